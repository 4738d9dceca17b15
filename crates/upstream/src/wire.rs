//! JSON-RPC as nodes speak it: exactly the members that are needed.

use std::{borrow::Cow, fmt};

use alloy_primitives::{Address, B256, U256, hex};
use bytes::Bytes;
use countersign_core::json::{Json, Limits};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

use crate::{
    endpoint::Endpoint,
    transport::{Fault, Reply},
};

/// Longer words of a node are cut: they go into logs, traces and answers.
const WORDS_LEN_MAX: usize = 2048;

/// A method with its parameters as JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: &'static str,
    pub(crate) params: Box<RawValue>,
}

impl Question {
    /// A question of our own.
    pub(crate) fn new(method: &'static str, params: &impl Serialize) -> Result<Self, Fault> {
        let params = serde_json::value::to_raw_value(params);
        let params = params.map_err(|error| Fault::Nonsense(error.to_string()))?;
        Ok(Self { method, params })
    }

    /// The request body.
    pub(crate) fn body(&self, id: u64) -> Result<Bytes, Fault> {
        let envelope = Envelope { jsonrpc: "2.0", id, method: self.method, params: &self.params };
        let body = serde_json::to_vec(&envelope);
        body.map(Bytes::from).map_err(|error| Fault::Nonsense(error.to_string()))
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a RawValue,
}

/// What a node answered to our question.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The `result` member as JSON text.
    Result(Bytes),
    /// The `error` member.
    Error(NodeError),
}

/// A node's `error` member, without secrets of its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<String>,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}: {}", self.code, self.message)
    }
}

impl Answer {
    /// Reads a reply to request `id`.
    pub(crate) fn read(reply: &Reply, id: u64, endpoint: &Endpoint) -> Result<Self, Fault> {
        let parsed: Received<'_> = serde_json::from_slice(&reply.body).map_err(|error| {
            if reply.status >= 400 { Fault::Status(reply.status) } else { nonsense(&error) }
        })?;
        let Received { jsonrpc, id: named, result, error } = parsed;
        if jsonrpc != "2.0" || named != id {
            return Err(Fault::Nonsense("not the answer to our request".into()));
        }
        match (result, error) {
            (_, Some(error)) => Ok(Self::Error(error.clean(endpoint))),
            (Some(result), None) => Ok(Self::Result(reply.body.slice_ref(result.get().as_bytes()))),
            (None, None) => Err(Fault::Nonsense("neither a result nor an error".into())),
        }
    }

    /// The result as a type; a JSON-RPC error is a fault.
    pub(crate) fn typed<T: DeserializeOwned>(self) -> Result<T, Fault> {
        match self {
            Self::Result(text) => serde_json::from_slice(&text).map_err(|error| nonsense(&error)),
            Self::Error(error) => Err(Fault::Refused(error)),
        }
    }
}

/// Without the offending value: it may be anything.
fn nonsense(error: &serde_json::Error) -> Fault {
    let what = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "JSON of another shape",
        serde_json::error::Category::Eof => "JSON that ends too early",
    };
    Fault::Nonsense(what.into())
}

#[derive(Deserialize)]
struct Received<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: u64,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<ReceivedError<'a>>,
}

/// `null` is a result, too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

#[derive(Deserialize)]
struct ReceivedError<'a> {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl ReceivedError<'_> {
    fn clean(self, endpoint: &Endpoint) -> NodeError {
        // secrets are looked for in what will be shown: a control or an escape could stand inside one
        let message: String = self.message.chars().filter(|c| !c.is_control()).collect();
        let message = endpoint.scrub(&message).chars().take(WORDS_LEN_MAX).collect();
        let data = self.data.and_then(|data| {
            let plain = Json::parse(data.get().as_bytes(), Limits::REQUEST).ok()?;
            Some(endpoint.scrub(&plain.to_string()))
        });
        NodeError { code: self.code, message, data }
    }
}

/// The members of a block that matter here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Block {
    pub(crate) number: Number,
    pub(crate) hash: B256,
    /// Seconds since the epoch.
    pub(crate) timestamp: Number,
    pub(crate) gas_limit: Number,
    #[serde(default)]
    pub(crate) base_fee_per_gas: Option<Wei>,
    /// The hashes of what it holds.
    pub(crate) transactions: Vec<B256>,
}

/// The members of a receipt that matter here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    pub(crate) from: Address,
    #[serde(default)]
    pub(crate) block_number: Option<Number>,
    #[serde(default)]
    pub(crate) block_hash: Option<B256>,
    pub(crate) status: Number,
    pub(crate) gas_used: Number,
    pub(crate) effective_gas_price: Wei,
    /// OP-stack chains charge L1 data beside the gas.
    #[serde(default)]
    pub(crate) l1_fee: Option<Word>,
    /// And, since Isthmus, something for the operator.
    #[serde(default)]
    pub(crate) operator_fee_scalar: Option<Number>,
    #[serde(default)]
    pub(crate) operator_fee_constant: Option<Number>,
    /// Receipts have this one since Jovian, which counts the operator's scalar otherwise.
    #[serde(default, rename = "daFootprintGasScalar")]
    pub(crate) da_footprint_gas_scalar: Option<Number>,
}

/// A JSON-RPC quantity up to 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u64);

/// A JSON-RPC quantity up to 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wei(pub(crate) u128);

/// A JSON-RPC quantity up to 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) U256);

/// Bytes as JSON-RPC writes them: `0x` and pairs of hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Data(pub(crate) Bytes);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_quantity(from).map(Self)
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_quantity(from).map(Self)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_quantity(from).map(Self)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let wrong = || D::Error::custom("not bytes");
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        if digits.starts_with("0x") {
            return Err(wrong());
        }
        hex::decode(digits).map(|bytes| Self(bytes.into())).map_err(|_| wrong())
    }
}

/// `0x` and at least one hex digit; nothing else is a number. Leading zeros are forgiven.
fn read_quantity<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<U256>,
{
    let text = Cow::<str>::deserialize(from)?;
    let digits = text.strip_prefix("0x").filter(|digits| {
        (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let number = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    let fits = number.and_then(|number| T::try_from(number).ok());
    fits.ok_or_else(|| D::Error::custom("not a quantity"))
}

/// A number as a JSON-RPC quantity.
pub(crate) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}
