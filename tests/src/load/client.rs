//! An agent's client that survives its gateway: a broken connection is something that it is told, not a failed
//! test.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    http::{self, Headers},
    rpc::{self, Answer, RpcError},
    wait,
};

/// No answer: the connection broke, or the wait was too long. It says nothing of the request.
#[derive(Debug, Clone)]
pub struct Broken(pub String);

/// What a send came to, as far as its client knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The hash.
    Hash(String),
    /// A refusal, with its code and data.
    Refused(RpcError),
    /// No answer came.
    Nothing,
}

/// An agent at the agents' door.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the door is.
    pub address: SocketAddr,
    /// Its secret.
    pub token: String,
    /// The account that it sends from.
    pub wallet: String,
}

impl Client {
    /// One call.
    pub async fn call(
        &self,
        headers: Headers<'_>,
        method: &str,
        params: &Value,
    ) -> Result<Answer, Broken> {
        let basic = format!("Basic {}", STANDARD.encode(format!("agent:{}", self.token)));
        let mut lines =
            vec![("content-type", "application/json"), ("authorization", basic.as_str())];
        lines.extend_from_slice(headers);
        let head = http::request("POST", self.address, "/", &lines);
        let body = Bytes::from(rpc::envelope(method, params).to_string());
        let reply = http::try_send(self.address, &head, body).await.map_err(Broken)?;
        assert_eq!(reply.status, 200, "a parsed request is answered with 200: {}", reply.text());
        Ok(rpc::answer(&reply.json()))
    }

    /// Sends the native coin once.
    pub async fn send(&self, key: Option<&str>, to: &str, wei: u128) -> Heard {
        self.send_with(key.map(|key| ("idempotency-key", key)).as_slice(), to, wei).await
    }

    /// Sends the native coin once, with headers.
    pub async fn send_with(&self, headers: Headers<'_>, to: &str, wei: u128) -> Heard {
        let params = json!([{"from": self.wallet, "to": to, "value": format!("{wei:#x}")}]);
        match self.call(headers, "eth_sendTransaction", &params).await {
            Ok(Ok(hash)) => Heard::Hash(hash.as_str().expect("a hash").to_owned()),
            Ok(Err(error)) => Heard::Refused(error),
            Err(Broken(_)) => Heard::Nothing,
        }
    }

    /// Sends the same again and again until there is a hash.
    pub async fn insist(&self, key: Option<&str>, to: &str, wei: u128) -> String {
        wait::until("the hash of a repeated send", async || match self.send(key, to, wei).await {
            Heard::Hash(hash) => Some(hash),
            Heard::Refused(error) if error.is_final() => panic!("refused for good: {error:?}"),
            Heard::Refused(_) | Heard::Nothing => None,
        })
        .await
    }

    /// What is used of each window: the policy's and the limit's name, in micro-USD or occurrences.
    pub async fn budget(&self) -> Vec<(String, u64)> {
        let answer = self.call(&[], "countersign_budget", &json!([])).await.expect("a gateway");
        let lines = answer.expect("a budget").as_array().cloned().expect("a list");
        lines.iter().map(budget_line).collect()
    }
}

fn budget_line(line: &Value) -> (String, u64) {
    let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or_default();
    let counts = line.get("unit").and_then(Value::as_str) == Some("count")
        || text("limit").starts_with("count");
    let used = if counts { text("used").parse().expect("a count") } else { micro(text("used")) };
    (format!("{}/{}", text("policy"), text("limit")), used)
}

/// A decimal number of USD.
fn micro(usd: &str) -> u64 {
    let (whole, part) = usd.split_once('.').unwrap_or((usd, ""));
    let digits = format!("{whole}{part:0<6}");
    digits.parse().unwrap_or_else(|_| panic!("not an amount: {usd}"))
}

impl RpcError {
    /// Whether repeating the request cannot change the answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        ![-32002, -32010, -32603].contains(&self.code)
    }
}
