//! What a model can ask. Every tool only looks.

use std::time::Duration;

use countersign_core::operation::OperationState;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    door::{AgentDoor, NoResult},
    explain::{explained, refusal, would},
};

/// The longest wait of one call; some clients give up after a minute.
const WAIT_MAX: u64 = 50;
/// How often an operation is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Budget,
    Simulate,
    Explain,
    Operation,
    Wait,
}

impl Tool {
    const ALL: [Self; 5] =
        [Self::Budget, Self::Simulate, Self::Explain, Self::Operation, Self::Wait];

    const fn name(self) -> &'static str {
        match self {
            Self::Budget => "countersign_budget",
            Self::Simulate => "countersign_simulate",
            Self::Explain => "countersign_explain",
            Self::Operation => "countersign_operation",
            Self::Wait => "countersign_wait",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Budget => "What is left to spend",
            Self::Simulate => "What would become of a request",
            Self::Explain => "Why a request would be refused",
            Self::Operation => "Where an operation stands",
            Self::Wait => "Wait for an operation",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Budget => {
                "Every limit of this agent with its window, maximum, what is used and what remains, and when something frees. Amounts are USD or counts, as text."
            }
            Self::Simulate => {
                "The verdict on a transaction, a message, a bundle of calls or any call that signs, without doing it: `allow` (would be signed at once), `park` (would wait for people) or `deny`. Nothing is signed, sent or reserved."
            }
            Self::Explain => {
                "The same verdict in plain words: why a request would be refused or parked, and what to do about it."
            }
            Self::Operation => {
                "The state of one operation by its id (`op_…`, the `pending_operation_id` of an answer with code -32002). Only looks: its result stays there for the request that is repeated."
            }
            Self::Wait => {
                "Waits until an operation is finished or the time is over, at most 50 seconds; call it again to wait longer. When `finished` is true, send the very same request again to get its result."
            }
        }
    }

    /// By its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    fn input(self) -> Value {
        let request = json!({
            "type": "object",
            "description": "What would be sent. A transaction as in eth_sendTransaction: {to, value, data, gas, ..} with quantities as 0x hex (`from` may be left out where the agent has one account); or a message {message: text, from} or {typedData: {..}, from}; or a bundle {calls: [..], from}; or a whole call {method, params} of any method that signs, eth_sendRawTransaction and wallet_sendCalls too.",
        });
        let chain = json!({
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]{1,64}$",
            "description": "The chain's id or name; may be left out where the URL names one, or the gateway has one.",
        });
        let id = json!({"type": "string", "pattern": "^op_[0-9a-f]{32}$", "description": "The operation's id."});
        let seconds = json!({
            "type": "integer", "minimum": 0, "maximum": WAIT_MAX, "default": WAIT_MAX,
            "description": "How long to wait at most.",
        });
        match self {
            Self::Budget => object(&json!({}), &[]),
            Self::Simulate | Self::Explain => {
                object(&json!({"request": request, "chain": chain}), &["request"])
            }
            Self::Operation => object(&json!({"id": id}), &["id"]),
            Self::Wait => object(&json!({"id": id, "timeout_seconds": seconds}), &["id"]),
        }
    }

    fn output(self) -> Value {
        let text = || json!({"type": "string"});
        let maybe = || json!({"type": ["string", "null"]});
        let texts = || json!({"type": "array", "items": {"type": "string"}});
        let operation = json!({
            "id": text(), "status": text(), "code": text(), "hash": maybe(), "result": maybe(),
            "expires_at": maybe(), "trace_hash": text(), "finished": {"type": "boolean"},
        });
        let outcome = json!({"type": "string", "enum": ["allow", "park", "deny"]});
        match self {
            Self::Budget => {
                let line = json!({
                    "limit": text(), "policy": text(), "per": text(), "max": text(),
                    "used": text(), "remaining": text(), "frees_at": maybe(),
                });
                let line = json!({"type": "object", "properties": line, "required": ["limit", "max", "used", "remaining"]});
                let lines = json!({"limits": {"type": "array", "items": line}});
                json!({"type": "object", "properties": lines, "required": ["limits"]})
            }
            Self::Simulate => {
                let properties = json!({
                    "outcome": outcome, "code": text(), "reason": text(),
                    "violations": {"type": "array"}, "gates": {"type": "array"},
                    "actions": {"type": "array"}, "verdicts": {"type": "array"},
                    "charges": {"type": "array"},
                });
                json!({"type": "object", "properties": properties, "required": ["outcome", "code"]})
            }
            Self::Explain => {
                let outcome = json!({"type": "string", "enum": ["allow", "park", "deny", "error"]});
                let properties = json!({
                    "outcome": outcome, "code": text(), "summary": text(), "reasons": texts(),
                    "advice": texts(),
                });
                let required = ["outcome", "code", "summary", "reasons", "advice"];
                json!({"type": "object", "properties": properties, "required": required})
            }
            Self::Operation | Self::Wait => {
                json!({"type": "object", "properties": operation, "required": ["id", "status", "finished"]})
            }
        }
    }

    /// Calls it. What goes wrong is a result, too: the model reads it and may correct itself.
    pub(super) async fn call(self, door: &AgentDoor, arguments: &Value) -> Value {
        let answered = match Given::read(self, arguments) {
            Ok(given) => self.asked(door, &given).await,
            Err(wrong) => Err(wrong),
        };
        match answered {
            Ok((words, structured)) => json!({
                "content": [{"type": "text", "text": words}],
                "structuredContent": structured,
                "isError": false,
            }),
            Err(words) => {
                json!({"content": [{"type": "text", "text": words}], "isError": true})
            }
        }
    }

    async fn asked(self, door: &AgentDoor, given: &Given) -> Result<(String, Value), String> {
        let no = |error: NoResult| refusal(&error);
        let chain = given.chain.as_deref();
        match self {
            Self::Budget => {
                let lines = door.ask(None, "countersign_budget", &json!([])).await.map_err(no)?;
                let limits = json!({"limits": lines});
                Ok((limits.to_string(), limits))
            }
            Self::Simulate => {
                let verdict = simulated(door, chain, &given.request).await.map_err(no)?;
                Ok((verdict.to_string(), verdict))
            }
            Self::Explain => {
                let explained = match simulated(door, chain, &given.request).await {
                    Ok(verdict) => would(&verdict),
                    Err(error) => explained(&error),
                };
                Ok((explained.words(), explained.structured()))
            }
            Self::Operation => {
                let operation = look(door, &given.id).await.map_err(no)?;
                Ok((operation.to_string(), operation))
            }
            Self::Wait => wait(door, &given.id, given.seconds).await.map_err(no),
        }
    }
}

/// Every tool, as `tools/list` shows it.
pub(super) fn list() -> Vec<Value> {
    let shown = |tool: Tool| {
        json!({
            "name": tool.name(),
            "title": tool.title(),
            "description": tool.description(),
            "inputSchema": tool.input(),
            "outputSchema": tool.output(),
            "annotations": {
                "title": tool.title(),
                "readOnlyHint": true,
                "destructiveHint": false,
                "idempotentHint": true,
                "openWorldHint": false,
            },
        })
    };
    Tool::ALL.into_iter().map(shown).collect()
}

/// The arguments of a call, each within its bounds.
#[derive(Debug, Default)]
struct Given {
    request: Map<String, Value>,
    chain: Option<String>,
    id: String,
    seconds: u64,
}

impl Given {
    fn read(tool: Tool, arguments: &Value) -> Result<Self, String> {
        let members = arguments.as_object().ok_or("the arguments must be an object")?;
        let schema = tool.input();
        let known = |name: &str| schema.pointer("/properties").and_then(|p| p.get(name)).is_some();
        if members.keys().any(|name| !known(name)) {
            return Err(format!(
                "an argument is unknown; `{}` takes {}",
                tool.name(),
                names(&schema)
            ));
        }
        let mut given = Self { seconds: WAIT_MAX, ..Self::default() };
        for (name, value) in members {
            given.take(name, value)?;
        }
        let needs = |name: &str| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|all| all.iter().any(|needed| needed == name))
                && !members.contains_key(name)
        };
        match ["request", "id"].into_iter().find(|name| needs(name)) {
            Some(name) => Err(format!("`{name}` is missing")),
            None => Ok(given),
        }
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match (name, value) {
            ("request", Value::Object(request)) => self.request.clone_from(request),
            ("request", _) => return Err("`request` must be an object".into()),
            ("chain", Value::String(chain)) if is_segment(chain) => {
                self.chain = Some(chain.clone());
            }
            ("chain", _) => return Err("`chain` must be a chain's id or name".into()),
            ("id", Value::String(id)) if is_operation(id) => self.id.clone_from(id),
            ("id", _) => {
                return Err("`id` must be an operation's id, as in op_ and 32 hex digits".into());
            }
            (_, seconds) => {
                let seconds = seconds.as_u64().filter(|seconds| *seconds <= WAIT_MAX);
                self.seconds = seconds.ok_or("`timeout_seconds` must be between 0 and 50")?;
            }
        }
        Ok(())
    }
}

fn names(schema: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> =
        properties.into_iter().flat_map(|p| p.keys()).map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn is_segment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|b| b == b'.')
}

fn is_operation(text: &str) -> bool {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("op_").is_some_and(|id| id.len() == 32 && id.bytes().all(hex))
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The verdict; the only account of the agent stands in for a `from` that is not named. A call names it in its `params`.
async fn simulated(
    door: &AgentDoor,
    chain: Option<&str>,
    request: &Map<String, Value>,
) -> Result<Value, NoResult> {
    let mut request = request.clone();
    if !request.contains_key("from") && !request.contains_key("method") {
        let accounts = door.ask(chain, "eth_accounts", &json!([])).await?;
        if let Some([only]) = accounts.as_array().map(Vec::as_slice) {
            request.insert("from".to_owned(), only.clone());
        }
    }
    door.ask(chain, "countersign_simulate", &json!([request])).await
}

/// One look, which collects nothing.
async fn look(door: &AgentDoor, id: &str) -> Result<Value, NoResult> {
    let params = json!([id, {"collect": false}]);
    let mut operation = door.ask(None, "countersign_getOperation", &params).await?;
    // what this program does not know is not finished
    let state = operation.get("status").map(OperationState::deserialize).and_then(Result::ok);
    // of what is cancelled without a hash nobody can say yet how it ends
    let has_hash = operation.get("hash").is_some_and(|hash| !hash.is_null());
    let is_open = state == Some(OperationState::Cancelling) && !has_hash;
    let finished = state.is_some_and(OperationState::is_finished_for_agent) && !is_open;
    if let Some(members) = operation.as_object_mut() {
        members.insert("finished".to_owned(), finished.into());
    }
    Ok(operation)
}

async fn wait(door: &AgentDoor, id: &str, seconds: u64) -> Result<(String, Value), NoResult> {
    let began = Instant::now();
    loop {
        let operation = look(door, id).await?;
        let left = Duration::from_secs(seconds).saturating_sub(began.elapsed());
        let finished = operation.get("finished").and_then(Value::as_bool).unwrap_or_default();
        if finished || left.is_zero() {
            let words = if finished {
                format!(
                    "{operation}\nIt is finished. Send the very same request again to get its result."
                )
            } else {
                format!("{operation}\nIt is not finished yet. Call this again to wait longer.")
            };
            return Ok((words, operation));
        }
        sleep(LOOK_EVERY.min(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_held_to_their_schema() {
        let read = |tool, arguments: Value| Given::read(tool, &arguments).map(drop);
        let id = format!("op_{}", "0".repeat(32));
        assert_eq!(read(Tool::Budget, json!({})), Ok(()));
        assert_eq!(read(Tool::Operation, json!({"id": id})), Ok(()));
        assert_eq!(read(Tool::Wait, json!({"id": id, "timeout_seconds": 50})), Ok(()));
        assert_eq!(read(Tool::Simulate, json!({"request": {}, "chain": "anvil"})), Ok(()));
        for (tool, arguments) in [
            (Tool::Budget, json!([])),
            (Tool::Budget, json!({"agent": "other"})),
            (Tool::Operation, json!({})),
            (Tool::Operation, json!({"id": "op_x"})),
            (Tool::Wait, json!({"id": id, "timeout_seconds": 51})),
            (Tool::Wait, json!({"id": id, "timeout_seconds": -1})),
            (Tool::Simulate, json!({"request": "0x"})),
            (Tool::Simulate, json!({"request": {}, "chain": "../k/other"})),
            (Tool::Simulate, json!({"request": {}, "chain": ".."})),
            (Tool::Simulate, json!({"chain": "anvil"})),
        ] {
            assert!(read(tool, arguments.clone()).is_err(), "{arguments}");
        }
    }

    #[test]
    fn every_tool_only_looks_and_says_what_it_takes_and_gives() {
        for tool in list() {
            let at = |place: &str| tool.pointer(place).cloned().unwrap_or_default();
            assert_eq!(at("/annotations/readOnlyHint"), json!(true), "{tool}");
            assert_eq!(at("/inputSchema/type"), json!("object"), "{tool}");
            assert_eq!(at("/outputSchema/type"), json!("object"), "{tool}");
        }
    }
}
