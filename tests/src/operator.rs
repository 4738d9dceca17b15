//! The operators' door as an operator uses it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::{self, Reply};

/// An operator at the operators' door.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Where the door is.
    pub address: SocketAddr,
    /// Their secret.
    pub token: String,
}

impl Operator {
    /// Gets a resource.
    pub async fn get(&self, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        http::get(self.address, path, &[("authorization", &bearer)]).await
    }

    /// Gets a resource that must be there.
    pub async fn read(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "GET {path}: {}", reply.text());
        reply.json()
    }

    /// The items of a list, all its pages.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.read(&format!("{path}{cursor}")).await;
            let found = page.get("items").and_then(Value::as_array).cloned();
            items.extend(found.unwrap_or_else(|| panic!("GET {path} is no list: {page}")));
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) if path.contains('?') => cursor = format!("&cursor={next}"),
                Some(next) => cursor = format!("?cursor={next}"),
                None => return items,
            }
        }
    }

    /// As [`Operator::list`]; nothing while the gateway cannot answer.
    pub async fn all(&self, path: &str) -> Option<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let reply = self.try_get(&format!("{path}{cursor}")).await.ok()?;
            let page = Some(reply).filter(|reply| reply.status == 200)?.json();
            items.extend(page.get("items").and_then(Value::as_array).cloned()?);
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Some(items),
            }
        }
    }

    /// Gets a resource, if the gateway lives.
    pub async fn try_get(&self, path: &str) -> Result<Reply, String> {
        let bearer = format!("Bearer {}", self.token);
        let head = http::request("GET", self.address, path, &[("authorization", &bearer)]);
        http::try_send(self.address, &head, bytes::Bytes::new()).await
    }

    /// Posts JSON, if the gateway lives.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Reply, String> {
        let bearer = format!("Bearer {}", self.token);
        let lines = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let head = http::request("POST", self.address, path, &lines);
        http::try_send(self.address, &head, body.to_string().into()).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        http::post(self.address, path, &[("authorization", &bearer)], body.to_string()).await
    }

    /// Posts JSON with further lines of the head.
    pub async fn post_with(&self, lines: &[(&str, &str)], path: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let head = [&[("authorization", bearer.as_str())], lines].concat();
        http::post(self.address, path, &head, body.to_string()).await
    }

    /// A pending operation.
    pub async fn pending(&self, id: &str) -> Value {
        self.read(&format!("/pending-operations/{id}")).await
    }

    /// Approves what the operator sees at this moment.
    pub async fn approve(&self, id: &str) -> Reply {
        let digest = self.pending(id).await.get("digest").cloned().unwrap_or_default();
        self.approve_digest(id, &digest).await
    }

    /// Approves under a given digest.
    pub async fn approve_digest(&self, id: &str, digest: &Value) -> Reply {
        let path = format!("/pending-operations/{id}/approve");
        self.post(&path, &json!({"digest": digest})).await
    }

    /// Rejects.
    pub async fn reject(&self, id: &str, reason: &str) -> Reply {
        let path = format!("/pending-operations/{id}/reject");
        self.post(&path, &json!({"reason": reason})).await
    }

    /// The traces that carry `field` with `value`, newest first.
    pub async fn traces(&self, query: &str) -> Vec<Value> {
        self.list(&format!("/apps/default/traces?{query}")).await
    }

    /// How many operations were signed or are later than that: the states of which a signature is part.
    pub async fn signed(&self) -> usize {
        let operations = self.list("/operations?limit=200").await;
        operations.iter().filter(|operation| is_signed(operation)).count()
    }
}

fn is_signed(operation: &Value) -> bool {
    let status = operation.get("status").and_then(Value::as_str);
    let status = status.unwrap_or_else(|| panic!("no status in {operation}")).to_uppercase();
    let unsigned = ["DENIED", "PARKED", "PENDING_APPROVAL", "APPROVED", "ALLOWED", "PREPARED"];
    !unsigned.contains(&status.as_str()) && status != "REJECTED" && status != "EXPIRED"
}
