//! JSON-RPC as nodes speak it: exactly the members that are needed.

use std::{borrow::Cow, fmt};

use alloy_primitives::{B256, U64, U128, U256};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    endpoint::Endpoint,
    transport::{Fault, Reply},
};

/// Longer words of a node are cut: they go into logs, traces and answers.
const WORDS_LEN_MAX: usize = 2048;

/// A method with its parameters as JSON text, and the trace that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a str,
    pub(crate) params: Box<RawValue>,
    pub(crate) traceparent: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A question of our own.
    pub(crate) fn new(method: &'a str, params: &impl Serialize) -> Result<Self, Fault> {
        let params = serde_json::value::to_raw_value(params);
        let params = params.map_err(|error| Fault::Nonsense(error.to_string()))?;
        Ok(Self { method, params, traceparent: None })
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
        let message = endpoint.scrub(&self.message);
        let message = message.chars().filter(|c| !c.is_control()).take(WORDS_LEN_MAX).collect();
        let data = self.data.map(|data| endpoint.scrub(data.get()));
        NodeError { code: self.code, message, data }
    }
}

/// The members of a block that matter here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Block {
    pub(crate) number: U64,
    pub(crate) hash: B256,
    pub(crate) gas_limit: U64,
    #[serde(default)]
    pub(crate) base_fee_per_gas: Option<U128>,
}

/// The members of a receipt that matter here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    #[serde(default)]
    pub(crate) block_number: Option<U64>,
    #[serde(default)]
    pub(crate) block_hash: Option<B256>,
    pub(crate) status: U64,
    pub(crate) gas_used: U256,
    pub(crate) effective_gas_price: U256,
    /// OP-stack chains charge L1 data beside the gas.
    #[serde(default)]
    pub(crate) l1_fee: Option<U256>,
}

/// A number as a JSON-RPC quantity.
pub(crate) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}
