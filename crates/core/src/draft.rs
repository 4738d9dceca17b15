//! Reading a transaction as clients write it, strictly: what two readers could read differently is refused.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, U8, U64, U256};

use crate::{
    identity::ChainId,
    json::Json,
    transaction::{
        AUTHORIZATIONS_MAX, AccessEntry, Authorization, TransactionDraft, TransactionType,
    },
};

/// The most gas that one transaction may have on any chain (EIP-7825).
pub const GAS_MAX: u64 = 16_777_216;

/// A field that cannot be meant. Neither part repeats a value of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct FieldError {
    /// Its name, made harmless: at most 64 of letters, digits and `_.-[]`.
    pub field: String,
    /// One sentence without a full stop.
    pub reason: String,
}

impl FieldError {
    /// An error about a field. A name that is not a plain word is not repeated.
    #[must_use]
    pub fn new(field: &str, reason: impl fmt::Display) -> Self {
        Self { field: harmless(field).to_owned(), reason: reason.to_string() }
    }

    fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

/// A name of the agent's choice as a message may show it.
#[must_use]
pub fn harmless(name: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-[]".contains(&b);
    let fits = (1..=64).contains(&name.len());
    if fits && name.bytes().all(plain) { name } else { "(unprintable name)" }
}

impl TransactionDraft {
    /// Reads the object that `eth_sendTransaction` takes. Every shape of the known clients is accepted;
    /// a field that is unknown, contradictory or not in its canonical form is an error. Whether the chain
    /// is served and the account is the agent's is not asked here.
    pub fn parse(json: &Json) -> Result<Self, FieldError> {
        let members = json.as_object().ok_or_else(|| {
            FieldError::new("transaction", format!("is {}, not an object", json.kind()))
        })?;
        let mut fields = Fields::default();
        for (name, value) in members {
            fields.take(name, value)?;
        }
        fields.settle()
    }

    /// What no chain would take is refused, by whichever way it came in: gas below what the bytes cost, sums above what
    /// a chain can hold, authorisations that nobody has signed.
    pub(crate) fn can_be_meant(self) -> Result<Self, FieldError> {
        enough_gas(&self)?;
        affordable(&self)?;
        authorised(&self)?;
        Ok(self)
    }
}

/// The members as they are written, before they are compared with each other.
#[derive(Default)]
struct Fields {
    from: Option<Address>,
    to: Option<Address>,
    value: Option<U256>,
    data: Option<Bytes>,
    input: Option<Bytes>,
    gas: Option<u64>,
    gas_price: Option<u128>,
    max_fee: Option<u128>,
    tip: Option<u128>,
    nonce: Option<u64>,
    kind: Option<TransactionType>,
    chain: Option<ChainId>,
    access_list: Option<Vec<AccessEntry>>,
    authorizations: Option<Vec<Authorization>>,
}

impl Fields {
    fn take(&mut self, name: &str, json: &Json) -> Result<(), FieldError> {
        let named = |error: String| FieldError::new(name, error);
        if let Some(reason) = refused(name) {
            return Err(named(reason.to_owned()));
        }
        match name {
            "from" => self.from = given(json, address).map_err(named)?,
            "to" => self.to = given(json, address).map_err(named)?,
            "value" => self.value = given(json, quantity).map_err(named)?,
            "data" => self.data = given(json, bytes).map_err(named)?,
            "input" => self.input = given(json, bytes).map_err(named)?,
            "gas" => self.gas = given(json, gas).map_err(named)?.flatten(),
            "gasPrice" => self.gas_price = given(json, price).map_err(named)?,
            "maxFeePerGas" => self.max_fee = given(json, price).map_err(named)?,
            "maxPriorityFeePerGas" => self.tip = given(json, price).map_err(named)?,
            "nonce" => self.nonce = given(json, nonce).map_err(named)?,
            "type" => self.kind = given(json, kind).map_err(named)?,
            "chainId" => self.chain = given(json, small).map_err(named)?.map(ChainId),
            "accessList" => self.access_list = access_list(json)?,
            "authorizationList" => self.authorizations = authorizations(json)?,
            _ => return Err(named("is not a field of a transaction".into())),
        }
        Ok(())
    }

    /// Compares the fields with each other.
    fn settle(mut self) -> Result<TransactionDraft, FieldError> {
        self.settle_kind()?;
        self.settle_fees()?;
        let data = self.payload()?;
        let access_list = self.access_list.unwrap_or_default();
        let draft = TransactionDraft {
            from: self.from,
            to: self.to,
            value: self.value.unwrap_or_default(),
            data,
            gas: self.gas,
            gas_price: self.gas_price,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.tip,
            nonce: self.nonce,
            kind: self.kind,
            chain: self.chain,
            access_list,
            authorizations: self.authorizations.unwrap_or_default(),
        };
        draft.can_be_meant()
    }

    /// A list of authorisations makes a type 4, and only that carries one.
    fn settle_kind(&mut self) -> Result<(), FieldError> {
        use TransactionType::{AccessList, DynamicFee, Legacy, SetCode};
        let wrong = |reason| Err(FieldError::new("authorizationList", reason));
        match (self.authorizations.is_some(), self.kind) {
            (true, None) => self.kind = Some(SetCode),
            (true, Some(Legacy | AccessList | DynamicFee)) => {
                return wrong("goes only with `type` 0x4");
            }
            (false, Some(SetCode)) => return wrong("is missing from `type` 0x4"),
            (true, Some(SetCode)) | (false, None | Some(Legacy | AccessList | DynamicFee)) => {}
        }
        Ok(())
    }

    fn payload(&mut self) -> Result<Bytes, FieldError> {
        match (self.data.take(), self.input.take()) {
            (Some(data), Some(input)) if data != input => {
                Err(FieldError::new("input", "differs from `data`; give one of them"))
            }
            (data, input) => Ok(data.or(input).unwrap_or_default()),
        }
    }

    fn settle_fees(&mut self) -> Result<(), FieldError> {
        let dynamic = self.max_fee.is_some() || self.tip.is_some();
        let listed = self.access_list.as_ref().is_some_and(|list| !list.is_empty());
        match self.kind {
            // viem fills both from the node's suggestion; the type says which one is meant
            Some(TransactionType::DynamicFee | TransactionType::SetCode) if dynamic => {
                self.gas_price = None;
            }
            Some(TransactionType::DynamicFee | TransactionType::SetCode)
                if self.gas_price.is_some() =>
            {
                return Err(FieldError::new("gasPrice", "does not go with `type` 0x2 or 0x4"));
            }
            Some(TransactionType::Legacy) if listed => {
                return Err(FieldError::new("accessList", "does not go with `type` 0x0"));
            }
            Some(TransactionType::Legacy | TransactionType::AccessList) if dynamic => {
                return Err(FieldError::new(
                    "type",
                    "does not go with `maxFeePerGas` or `maxPriorityFeePerGas`",
                ));
            }
            None if dynamic && self.gas_price.is_some() => {
                return Err(FieldError::new("gasPrice", "beside `maxFeePerGas` needs a `type`"));
            }
            Some(_) | None => {}
        }
        match (self.max_fee, self.tip) {
            (Some(max), Some(tip)) if tip > max => {
                Err(FieldError::new("maxPriorityFeePerGas", "is above `maxFeePerGas`"))
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

/// Fields that other software knows and that we will not guess about.
fn refused(name: &str) -> Option<&'static str> {
    match name {
        "gasLimit" => Some("is not a field of a transaction; the gas limit is called `gas`"),
        "blobVersionedHashes"
        | "maxFeePerBlobGas"
        | "blobs"
        | "commitments"
        | "proofs"
        | "sidecar" => Some("blob transactions (EIP-4844) are not signed here"),
        _ => None,
    }
}

/// A field that is absent or `null` is not given.
fn given<T>(json: &Json, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    match json {
        Json::Null => Ok(None),
        Json::Text(text) => read(text).map(Some),
        Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
            Err(format!("is {}, not a string of 0x and hex digits", json.kind()))
        }
    }
}

/// `^0x(0|[1-9a-f][0-9a-f]*)$`, at most 64 digits.
pub fn quantity(text: &str) -> Result<U256, String> {
    let digits = text.strip_prefix("0x").ok_or("must be 0x and hex digits")?;
    let canonical = digits == "0" || !digits.starts_with('0');
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    match digits {
        "" => Err("has no digits; zero is 0x0".into()),
        _ if !digits.bytes().all(hex) => Err("must be 0x and lower-case hex digits".into()),
        _ if !canonical => Err("has leading zeros".into()),
        _ if digits.len() > 64 => Err("is above 2^256 - 1".into()),
        _ => U256::from_str_radix(digits, 16).map_err(|_| "is not a quantity".into()),
    }
}

fn small<T: TryFrom<U256>>(text: &str) -> Result<T, String> {
    T::try_from(quantity(text)?).map_err(|_| "is too large".into())
}

/// Wei per gas. More than 64 bits would be 18 of the chain's whole coins for one unit of gas.
fn price(text: &str) -> Result<u128, String> {
    small::<u64>(text).map(u128::from)
}

/// Gas of zero means that the client leaves it to us.
fn gas(text: &str) -> Result<Option<u64>, String> {
    match small(text)? {
        0 => Ok(None),
        gas if gas > GAS_MAX => Err(format!("is above {GAS_MAX}, the most of one transaction")),
        gas => Ok(Some(gas)),
    }
}

/// EIP-2681: the last nonce is never used.
fn nonce(text: &str) -> Result<u64, String> {
    small(text)
        .and_then(|nonce| if nonce == u64::MAX { Err("is too large".into()) } else { Ok(nonce) })
}

fn kind(text: &str) -> Result<TransactionType, String> {
    match small::<u64>(text)? {
        0 => Ok(TransactionType::Legacy),
        1 => Ok(TransactionType::AccessList),
        2 => Ok(TransactionType::DynamicFee),
        3 => Err("0x3: blob transactions (EIP-4844) are not signed here".into()),
        4 => Ok(TransactionType::SetCode),
        _ => Err("is not a type that is signed here: 0x0, 0x1, 0x2 or 0x4".into()),
    }
}

/// 20 bytes in lower case, in upper case, or in mixed case with the right EIP-55 checksum.
pub fn address(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").ok_or("must be 0x and 40 hex digits")?;
    let mut bytes = [0_u8; 20];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| "must be 0x and 40 hex digits")?;
    let address = Address::from(bytes);
    let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    if mixed && address.to_checksum(None) != text {
        return Err("has a wrong checksum (EIP-55)".into());
    }
    Ok(address)
}

/// An even number of hex digits behind `0x`, in either case.
pub fn bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.strip_prefix("0x").ok_or("must be 0x and hex digits")?;
    hex::decode(digits)
        .map(Bytes::from)
        .map_err(|_| "must be 0x and an even number of hex digits".into())
}

fn access_list(json: &Json) -> Result<Option<Vec<AccessEntry>>, FieldError> {
    if json.is_null() {
        return Ok(None);
    }
    let items = json.as_list().ok_or_else(|| FieldError::new("accessList", "is not an array"))?;
    items.iter().map(access_entry).collect::<Result<_, _>>().map(Some)
}

fn access_entry(json: &Json) -> Result<AccessEntry, FieldError> {
    let wrong = |name: &str, reason: &str| FieldError::new(name, reason).within("accessList");
    let members = json.as_object().ok_or_else(|| wrong("[]", "is not an object"))?;
    let (mut account, mut keys) = (None, None);
    for (name, value) in members {
        match name.as_str() {
            "address" => account = given(value, address).map_err(|e| wrong(name, &e))?,
            "storageKeys" => keys = Some(storage_keys(value).map_err(|e| wrong(name, &e))?),
            _ => return Err(wrong(name, "is not a field of an access list")),
        }
    }
    let address = account.ok_or_else(|| wrong("address", "is missing"))?;
    let storage_keys = keys.ok_or_else(|| wrong("storageKeys", "is missing"))?;
    Ok(AccessEntry { address, storage_keys })
}

fn storage_keys(json: &Json) -> Result<Vec<B256>, String> {
    let items = json.as_list().ok_or("is not an array")?;
    items.iter().map(storage_key).collect()
}

fn storage_key(json: &Json) -> Result<B256, String> {
    let key = given(json, bytes)?.ok_or("is null")?;
    B256::try_from(&key[..]).map_err(|_| "must be 0x and 64 hex digits".into())
}

fn authorizations(json: &Json) -> Result<Option<Vec<Authorization>>, FieldError> {
    if json.is_null() {
        return Ok(None);
    }
    let wrong = |reason: &str| FieldError::new("authorizationList", reason);
    let items = json.as_list().ok_or_else(|| wrong("is not an array"))?;
    if items.len() > AUTHORIZATIONS_MAX {
        return Err(wrong(&format!("has more than {AUTHORIZATIONS_MAX} entries")));
    }
    items.iter().map(authorization).collect::<Result<_, _>>().map(Some)
}

fn authorization(json: &Json) -> Result<Authorization, FieldError> {
    let wrong =
        |name: &str, reason: &str| FieldError::new(name, reason).within("authorizationList");
    let members = json.as_object().ok_or_else(|| wrong("[]", "is not an object"))?;
    let (mut chain_id, mut delegate, mut count) = (None, None, None);
    let (mut y_parity, mut v, mut r, mut s) = (None, None, None, None);
    for (name, value) in members {
        let named = |error: String| wrong(name, &error);
        match name.as_str() {
            "chainId" => chain_id = given(value, small::<u64>).map_err(named)?,
            "address" => delegate = given(value, address).map_err(named)?,
            "nonce" => count = given(value, nonce).map_err(named)?,
            "yParity" => y_parity = given(value, parity).map_err(named)?,
            // the same in the writing of before EIP-2718, which some clients add
            "v" => v = given(value, parity_of_v).map_err(named)?,
            "r" => r = given(value, quantity).map_err(named)?,
            "s" => s = given(value, quantity).map_err(named)?,
            _ => return Err(wrong(name, "is not a field of an authorisation")),
        }
    }
    if y_parity.is_some() && v.is_some() && y_parity != v {
        return Err(wrong("v", "differs from `yParity`"));
    }
    let missing = |name: &'static str| move || wrong(name, "is missing");
    Ok(Authorization {
        chain_id: U64::from(chain_id.ok_or_else(missing("chainId"))?),
        address: delegate.ok_or_else(missing("address"))?,
        nonce: U64::from(count.ok_or_else(missing("nonce"))?),
        y_parity: U8::from(y_parity.or(v).ok_or_else(missing("yParity"))?),
        r: r.ok_or_else(missing("r"))?,
        s: s.ok_or_else(missing("s"))?,
    })
}

fn parity(text: &str) -> Result<u8, String> {
    match small(text)? {
        parity @ 0..=1 => Ok(parity),
        2..=u8::MAX => Err("is neither 0x0 nor 0x1".into()),
    }
}

fn parity_of_v(text: &str) -> Result<u8, String> {
    match small(text)? {
        27 => Ok(0),
        28 => Ok(1),
        v @ 0..=1_u8 => Ok(v),
        2..=u8::MAX => Err("is none of 0x0, 0x1, 0x1b and 0x1c".into()),
    }
}

/// Gas that cannot even pay for the transaction's own bytes would be refused by every node.
fn enough_gas(draft: &TransactionDraft) -> Result<(), FieldError> {
    let least = intrinsic_gas(draft);
    match draft.gas {
        Some(gas) if gas < least => Err(FieldError::new(
            "gas",
            format!("is below {least}, what these bytes cost by themselves"),
        )),
        Some(_) | None => Ok(()),
    }
}

/// The yellow paper's intrinsic gas with EIP-2028, EIP-2930, EIP-3860 and EIP-7702; without later floors, which
/// not every chain has.
fn intrinsic_gas(draft: &TransactionDraft) -> u64 {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let zeros = count(draft.data.split(|byte| *byte == 0).count().saturating_sub(1));
    let length = count(draft.data.len());
    let payload =
        zeros.saturating_mul(4).saturating_add(length.saturating_sub(zeros).saturating_mul(16));
    let creation = if draft.to.is_none() {
        length.div_ceil(32).saturating_mul(2).saturating_add(32_000)
    } else {
        0
    };
    let listed = draft
        .access_list
        .iter()
        .map(|entry| count(entry.storage_keys.len()).saturating_mul(1900).saturating_add(2400));
    let listed = listed.fold(0, u64::saturating_add);
    let authorised = count(draft.authorizations.len()).saturating_mul(25_000);
    let parts = [payload, creation, listed, authorised];
    parts.into_iter().fold(21_000, u64::saturating_add)
}

fn authorised(draft: &TransactionDraft) -> Result<(), FieldError> {
    if draft.kind != Some(TransactionType::SetCode) {
        return Ok(());
    }
    let wrong = |reason: &str| Err(FieldError::new("authorizationList", reason));
    if draft.to.is_none() {
        return Err(FieldError::new("to", "is missing: a transaction of type 0x4 deploys nothing"));
    }
    match draft.authorizations.as_slice() {
        [] => wrong("is empty"),
        some if some.iter().any(|one| one.authority().is_none()) => {
            wrong("has an authorisation that nobody can have signed")
        }
        _ => Ok(()),
    }
}

/// Value and the most that the fee can be, together, must be a number that a chain can hold.
fn affordable(draft: &TransactionDraft) -> Result<(), FieldError> {
    let price = draft.max_fee_per_gas.or(draft.gas_price).unwrap_or_default();
    let fee = U256::from(price).saturating_mul(U256::from(draft.gas.unwrap_or(GAS_MAX)));
    match draft.value.checked_add(fee) {
        Some(_) => Ok(()),
        None => Err(FieldError::new("value", "and the fee together are above 2^256 - 1")),
    }
}

#[cfg(test)]
mod tests;
