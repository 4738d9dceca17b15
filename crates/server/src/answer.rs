//! The only place where an outcome becomes a JSON-RPC code and a message.
//!
//! Some clients show only the message, so it is enough by itself and says whether anything was sent.
//! Words of a message change what clients do; `LOADED` lists those that ours must not contain.

use countersign_core::{
    draft::FieldError, identity::OperationId, json::Json, operation::OperationState,
    text::is_hidden,
};
use countersign_engine::submission::{
    Answer, Denied, Malformed, NodeRefused, Pending, Signed, SignedMessage, Unavailable,
};
use serde_json::{Value, json};

/// Not JSON.
pub(crate) const PARSE: i64 = -32700;
/// Not a request.
pub(crate) const REQUEST: i64 = -32600;
/// Not a method of this door.
pub(crate) const METHOD: i64 = -32601;
/// A parameter cannot be meant.
pub(crate) const PARAMS: i64 = -32602;
/// Our fault.
pub(crate) const INTERNAL: i64 = -32603;
/// Denied by a policy or an operator.
pub(crate) const DENIED: i64 = 4001;
/// Not this agent's account, or no agent at all.
pub(crate) const UNAUTHORISED: i64 = 4100;
/// Parked.
pub(crate) const PENDING: i64 = -32002;
/// The node refused before anything was signed.
pub(crate) const NODE_REFUSED: i64 = -32003;
/// Something that is needed does not answer, and nothing was committed.
pub(crate) const UNAVAILABLE: i64 = -32010;
/// EIP-5792: a capability that is not known, and not optional.
pub(crate) const CAPABILITY: i64 = 5700;
/// EIP-5792: another chain than the path's.
pub(crate) const OTHER_CHAIN: i64 = 5710;
/// EIP-5792: the agent has another bundle with this id.
pub(crate) const DUPLICATE_BUNDLE: i64 = 5720;
/// EIP-5792: too many calls.
pub(crate) const BUNDLE_TOO_LARGE: i64 = 5740;
/// EIP-5792: the calls cannot be made as one.
pub(crate) const NOT_ATOMIC: i64 = 5760;
/// EIP-5792: no such bundle of calls.
pub(crate) const UNKNOWN_BUNDLE: i64 = 5730;

/// How the message of an error ends after which nothing was done.
pub(crate) const NOTHING_SENT: &str = ". Nothing was sent.";

/// How long an agent should wait before it asks for a parked operation again.
const RETRY_AFTER_MS: u32 = 5000;
/// The longest free text inside a message, in characters.
const TEXT_MAX: usize = 600;

/// Words that make clients retry or reinterpret, with what stands in their place where a policy or a
/// person wrote them.
const LOADED: [(&str, &str); 12] = [
    ("request limit", "request-limit"),
    ("rate limit", "rate-limit"),
    ("rate exceeded", "rate-exceeded"),
    ("too many requests", "too-many-requests"),
    ("credits limited", "credits-limited"),
    ("insufficient funds", "insufficient-funds"),
    ("nonce too low", "nonce-too-low"),
    ("underpriced", "under-priced"),
    ("execution reverted", "execution-reverted"),
    ("already known", "already-known"),
    ("user denied", "user-denied"),
    ("user rejected", "user-rejected"),
];

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Fault {
    /// An error whose message is one sentence of ours without a full stop.
    pub(crate) fn new(code: i64, sentence: &str) -> Self {
        Self { code, message: format!("{}{NOTHING_SENT}", plain(sentence)), data: None }
    }

    /// A fault of ours, after which nobody can say what was done.
    pub(crate) fn unknown() -> Self {
        let message =
            "The gateway failed, and something may have been sent. The same request again tells.";
        Self { code: INTERNAL, message: message.into(), data: None }
    }

    /// A word for metrics and logs, from a fixed set.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self.code {
            PARSE => "parse",
            REQUEST => "request",
            METHOD => "method",
            PARAMS => "params",
            INTERNAL => "internal",
            DENIED => "denied",
            UNAUTHORISED => "unauthorised",
            PENDING => "pending",
            NODE_REFUSED => "node_refused",
            UNAVAILABLE => "unavailable",
            CAPABILITY | OTHER_CHAIN | DUPLICATE_BUNDLE | BUNDLE_TOO_LARGE | NOT_ATOMIC => "bundle",
            UNKNOWN_BUNDLE => "unknown_bundle",
            _ => "node_error",
        }
    }

    /// The `error` member, in the order that people read it.
    fn to_text(&self) -> String {
        let Self { code, message, data } = self;
        let message = Value::from(message.as_str());
        let data = data.as_ref().map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
        format!(r#"{{"code":{code},"message":{message}{data}}}"#)
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::new(PARAMS, &error.to_string())
    }
}

impl From<Unavailable> for Fault {
    fn from(unavailable: Unavailable) -> Self {
        let Unavailable { code, reason } = unavailable;
        let message = format!(
            "Not available [{code}]: {}. Nothing was sent; it is safe to repeat.",
            plain(&reason)
        );
        let data = json!({"status": "unavailable", "code": code, "reason": reason});
        Self { code: UNAVAILABLE, message, data: Some(data) }
    }
}

/// What was signed.
#[derive(Debug)]
pub(crate) enum Given {
    /// A transaction.
    Transaction(Signed),
    /// A message.
    Message(SignedMessage),
}

/// What to say to an agent: what was signed, or an error.
pub(crate) fn settle(answer: Answer) -> Result<Given, Fault> {
    match answer {
        Answer::Signed(signed) => Ok(Given::Transaction(signed)),
        Answer::SignedMessage(signed) => Ok(Given::Message(signed)),
        Answer::Denied(denied) => Err(self::denied(&denied)),
        Answer::Pending(pending) => Err(self::pending(&pending)),
        Answer::Malformed(Malformed { field, reason }) => {
            Err(FieldError::new(&field, reason).into())
        }
        Answer::NotYours(address) => {
            let sentence = format!("This agent has no account {address:#x} here");
            Err(Fault::new(UNAUTHORISED, &sentence))
        }
        Answer::SignsItself(address) => {
            let sentence = format!(
                "The account {address:#x} signs for itself: sign with its own key, and send that with eth_sendRawTransaction"
            );
            Err(Fault::new(UNAUTHORISED, &sentence))
        }
        Answer::DuplicateBundle => {
            let message = "A bundle of calls with this id was submitted before; wallet_getCallsStatus tells what became of it. Nothing more was sent.";
            Err(Fault { code: DUPLICATE_BUNDLE, message: message.into(), data: None })
        }
        Answer::NodeRefused(refused) => Err(node_refused(refused)),
        Answer::Unavailable(unavailable) => Err(unavailable.into()),
        Answer::Broken => Err(Fault::unknown()),
    }
}

fn denied(denied: &Denied) -> Fault {
    let Denied { code, reason, register, violations, trace, policy, operation: _ } = denied;
    let by = if code == "approval_rejected" { "operator" } else { "policy" };
    let message = format!(
        "User denied by {by} [{code}]: {}. Nothing was sent. (trace {trace})",
        plain(reason)
    );
    let data = json!({
        "status": "denied",
        "code": code,
        "reason": reason,
        "register": register,
        "final": true,
        "violations": violations,
        "trace_hash": trace,
        "policy": policy,
    });
    Fault { code: DENIED, message, data: Some(data) }
}

fn pending(pending: &Pending) -> Fault {
    let Pending { operation, state, code, reason: _, gates, expires_at, trace, policy } = pending;
    let (status, sent, message) = waiting(*state, code, *operation);
    let data = json!({
        "status": status,
        "pending_operation_id": operation,
        "code": code,
        "gates": gates,
        "sent": sent,
        "retry_after_ms": RETRY_AFTER_MS,
        "expires_at": expires_at,
        "trace_hash": trace,
        "policy": policy,
    });
    Fault { code: PENDING, message, data: Some(data) }
}

/// Status, whether it was sent (`None`: nobody can say yet), and the message.
fn waiting(
    state: OperationState,
    code: &str,
    id: OperationId,
) -> (&'static str, Option<bool>, String) {
    let code = if code.is_empty() { String::new() } else { format!(" [{code}]") };
    match state {
        OperationState::Parked => (
            "PENDING_APPROVAL",
            Some(false),
            format!(
                "Waiting for approval{code}, operation {id}. Nothing was sent yet; it will be when approved. The same request again returns the result."
            ),
        ),
        OperationState::Approved | OperationState::Allowed => (
            state.name(),
            Some(false),
            format!(
                "Still at work{code}, operation {id}. Nothing was sent yet; it goes on by itself. The same request again returns the result."
            ),
        ),
        OperationState::Denied
        | OperationState::Prepared
        | OperationState::Signed
        | OperationState::Broadcast
        | OperationState::Unknown
        | OperationState::Mined
        | OperationState::Executed
        | OperationState::Reverted
        | OperationState::Rejected
        | OperationState::Expired
        | OperationState::Cancelling
        | OperationState::Cancelled
        | OperationState::Conflict => (
            state.name(),
            None,
            format!(
                "Still at work{code}, operation {id}. It may have been sent; it goes on by itself. The same request again returns the result."
            ),
        ),
    }
}

/// The node's words are kept: clients know how to read them.
fn node_refused(refused: NodeRefused) -> Fault {
    let NodeRefused { message, upstream_code, upstream_data } = refused;
    let message = format!("{}. Nothing was sent.", one_line(&message));
    let data = json!({"upstream": upstream_code, "upstream_data": upstream_data});
    Fault { code: NODE_REFUSED, message, data: Some(data) }
}

/// A node's error to a read: its code and words, unless the code means something of ours.
pub(crate) fn upstream(code: i64, message: String, data: Option<Value>) -> Fault {
    match code {
        DENIED | UNAUTHORISED | PENDING | NODE_REFUSED | UNAVAILABLE => {
            Fault { code: INTERNAL, message, data: Some(json!({"upstream": code})) }
        }
        _ => Fault { code, message, data },
    }
}

/// Text of a policy, a person or ours, as one line without a full stop and without loaded words.
fn plain(text: &str) -> String {
    let mut line = one_line(text);
    for (loaded, harmless) in LOADED {
        while let Some(at) = line.to_ascii_lowercase().find(loaded) {
            line.replace_range(at..at.saturating_add(loaded.len()), harmless);
        }
    }
    line
}

fn one_line(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(TEXT_MAX).collect();
    line.trim().trim_end_matches('.').to_owned()
}

/// One JSON-RPC response.
pub(crate) fn response(id: &Json, result: Result<&str, &Fault>) -> String {
    match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(fault) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, fault.to_text()),
    }
}

#[cfg(test)]
mod tests;
