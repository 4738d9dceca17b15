//! JSON-RPC as an agent speaks it.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::http::{self, Headers, Reply};

/// A JSON-RPC error as it arrives.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    /// Its code.
    pub code: i64,
    /// Its message.
    pub message: String,
    /// Its data; null where absent.
    pub data: Value,
}

impl RpcError {
    /// A text field of the data.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.data.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The id of the operation that a parked call names.
    #[must_use]
    pub fn operation(&self) -> String {
        assert_eq!(self.code, -32002, "not parked: {self:?}");
        self.text("pending_operation_id").to_owned()
    }
}

/// What a call came to.
pub type Answer = Result<Value, RpcError>;

/// One call.
#[must_use]
pub fn envelope(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// Reads one response object.
pub fn answer(response: &Value) -> Answer {
    assert_eq!(response.get("jsonrpc"), Some(&json!("2.0")), "not JSON-RPC: {response}");
    let Some(error) = response.get("error") else {
        let result = response.get("result").cloned();
        return Ok(result.unwrap_or_else(|| panic!("neither result nor error: {response}")));
    };
    assert!(response.get("result").is_none(), "both result and error: {response}");
    Err(RpcError {
        code: error.get("code").and_then(Value::as_i64).expect("an integer code"),
        message: error.get("message").and_then(Value::as_str).expect("a message").to_owned(),
        data: error.get("data").cloned().unwrap_or_default(),
    })
}

/// An agent at the agents' door.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Where the door is.
    pub address: SocketAddr,
    /// Its secret.
    pub token: String,
    /// The account it sends from.
    pub wallet: String,
}

impl Agent {
    /// The credential in the form that the product prints.
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("agent:{}", self.token)))
    }

    /// The URL to give to a client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://agent:{}@{}/", self.token, self.address)
    }

    /// The URL to give to a client that keeps its connection.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("ws://agent:{}@{}/", self.token, self.address)
    }

    /// Posts a body with this agent's credential.
    pub async fn post(&self, headers: Headers<'_>, body: String) -> Reply {
        let basic = self.basic();
        let mut lines = vec![("authorization", basic.as_str())];
        lines.extend_from_slice(headers);
        http::post(self.address, "/", &lines, body).await
    }

    /// One call.
    pub async fn call(&self, method: &str, params: Value) -> Answer {
        self.call_with(&[], method, params).await
    }

    /// One call with headers.
    pub async fn call_with(&self, headers: Headers<'_>, method: &str, params: Value) -> Answer {
        let reply = self.post(headers, envelope(method, &params).to_string()).await;
        assert_eq!(reply.status, 200, "a parsed request is answered with 200: {}", reply.text());
        answer(&reply.json())
    }

    /// Several calls in one batch, with the ids 0, 1, 2 …
    pub async fn batch(&self, headers: Headers<'_>, calls: &[(&str, Value)]) -> Vec<Answer> {
        let entry = |(id, (method, params)): (usize, &(&str, Value))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let body = calls.iter().enumerate().map(entry).collect::<Value>();
        let reply = self.post(headers, body.to_string()).await.json();
        let entries = reply.as_array().unwrap_or_else(|| panic!("no array: {reply}"));
        let ids: Vec<_> = entries.iter().map(|entry| entry.get("id").cloned()).collect();
        assert_eq!(ids, (0..calls.len()).map(|id| Some(json!(id))).collect::<Vec<_>>());
        entries.iter().map(answer).collect()
    }

    /// A transfer of the native coin.
    #[must_use]
    pub fn transfer(&self, to: &str, value: &str) -> Value {
        json!({"from": self.wallet, "to": to, "value": value})
    }

    /// Sends the native coin; the hash, or the refusal.
    pub async fn send(&self, to: &str, value: &str) -> Result<String, RpcError> {
        self.send_with(&[], to, value).await
    }

    /// Sends the native coin with headers.
    pub async fn send_with(
        &self,
        headers: Headers<'_>,
        to: &str,
        value: &str,
    ) -> Result<String, RpcError> {
        let params = json!([self.transfer(to, value)]);
        let hash = self.call_with(headers, "eth_sendTransaction", params).await?;
        Ok(hash.as_str().unwrap_or_else(|| panic!("no hash: {hash}")).to_owned())
    }

    /// What became of an operation.
    pub async fn operation(&self, id: &str) -> Answer {
        self.call("countersign_getOperation", json!([id])).await
    }
}
