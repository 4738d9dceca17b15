//! Typed data (EIP-712) as clients write it, read strictly.

mod domain;
mod fault;
mod hash;
mod schema;
mod value;

use alloy_primitives::{Address, B256};
use countersign_core::{
    abi::AbiValue,
    draft::FieldError,
    identity::ChainId,
    json::{Json, Limits},
};

pub(crate) use self::domain::Domain;
use self::{
    domain::DOMAIN_TYPE,
    fault::{Fault, Inside},
    schema::Schema,
};

/// What typed data may be at most.
const TYPED_DATA_LIMITS: Limits = Limits { depth: 32, bytes: 256 * 1024, members: 1 << 14 };

/// Typed data of which every field was read, and nothing is left over: what is shown is what is signed.
///
/// Types that the message does not reach are forgotten; they are not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedData {
    domain: Domain,
    schema: Schema,
    message: AbiValue,
}

impl TypedData {
    /// Reads the JSON object that `eth_signTypedData_v4` takes.
    ///
    /// Accepted are integers as decimal strings, as `0x` hex strings and as whole JSON numbers of any
    /// size. Refused is what two readers could read differently, and what would be shown but not signed.
    /// It is not asked whether the chain is served and what the message means.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        Json::parse(text.as_bytes(), TYPED_DATA_LIMITS)
            .map_err(|error| Fault::at("", error))
            .and_then(|json| Self::from_object(&json))
            .map_err(Fault::into_error)
    }

    /// Itself, if its domain names this chain or none at all.
    pub fn for_chain(self, chain: ChainId) -> Result<Self, FieldError> {
        match self.domain.chain {
            Some(named) if named != chain => {
                Err(FieldError::new("domain.chainId", "is not the chain of this request"))
            }
            Some(_) | None => Ok(self),
        }
    }

    fn from_object(json: &Json) -> Result<Self, Fault> {
        let members = json.as_object().ok_or_else(|| Fault::at("", "is not an object"))?;
        if let Some((name, _)) = members.iter().find(|(name, _)| !MEMBERS.contains(&&**name)) {
            return Err(Fault::at(name, "is not a field of typed data"));
        }
        let member = |name: &str| json.get(name).ok_or_else(|| Fault::at(name, "is missing"));
        let primary = member("primaryType")?
            .as_text()
            .ok_or_else(|| Fault::at("primaryType", "is not a string"))?;
        let (schema, listed) = Schema::parse(member("types")?, primary)?;
        let domain = Domain::parse(member("domain")?, &listed)?;
        let message = value::read_struct(&schema, primary, member("message")?).inside("message")?;
        Ok(Self { domain, schema, message })
    }

    /// What is signed: `keccak256(0x1901 ‖ domainSeparator ‖ hashStruct(message))`.
    #[must_use]
    pub fn digest(&self) -> B256 {
        hash::digest(self.domain.separator(), self.message_hash())
    }

    /// `hashStruct` of the message alone: what some contracts call the order's hash.
    pub(crate) fn message_hash(&self) -> B256 {
        hash::message(&self.schema, &self.message)
    }

    /// The chain that the domain names.
    #[must_use]
    pub const fn chain(&self) -> Option<ChainId> {
        self.domain.chain
    }

    /// The contract that the domain names.
    #[must_use]
    pub const fn verifying_contract(&self) -> Option<Address> {
        self.domain.contract
    }

    /// The root of the types.
    #[must_use]
    pub fn primary_type(&self) -> &str {
        self.schema.primary()
    }

    /// The full type of the message, with the types that it refers to: what contracts hash and compare.
    #[must_use]
    pub fn encode_type(&self) -> String {
        self.schema.encode_type(self.schema.primary())
    }

    /// The fields of the message, an [`AbiValue::Tuple`].
    #[must_use]
    pub const fn message(&self) -> &AbiValue {
        &self.message
    }

    pub(crate) const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// One spelling for all that mean the same. Reading it again gives the same value.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        let text = |text: &str| Json::Text(text.to_owned());
        let listed = (DOMAIN_TYPE.to_owned(), self.domain.listed());
        let types = std::iter::once(listed).chain(self.schema.to_json()).collect();
        Json::Object(vec![
            ("types".to_owned(), Json::Object(types)),
            ("primaryType".to_owned(), text(self.schema.primary())),
            ("domain".to_owned(), value::to_json(&self.domain.to_value())),
            ("message".to_owned(), value::to_json(&self.message)),
        ])
        .to_string()
    }
}

const MEMBERS: [&str; 4] = ["types", "primaryType", "domain", "message"];

#[cfg(test)]
mod tests;
