//! Operations as the operators' door shows them.

use serde_json::Value;

/// What moves value: the same in every attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload {
    /// Who gets it.
    pub to: String,
    /// Wei.
    pub value: u128,
    /// Calldata.
    pub data: String,
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Its state's name.
    pub state: String,
    /// Whose it is.
    pub agent: String,
    /// Which account pays.
    pub address: String,
    /// What was judged.
    pub payload: Payload,
    /// Its nonce, once it is committed.
    pub nonce: Option<u64>,
    /// What was signed, or is to be.
    pub attempts: Vec<Attempt>,
    /// What it takes out of which counter.
    pub charges: Vec<Charge>,
    /// What was kept of each charge, once it is settled.
    pub kept: Vec<u64>,
}

/// One signature, or the right to one.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its nonce.
    pub nonce: u64,
    /// What it moves.
    pub payload: Payload,
    /// Whether it is the operation's payload, not its cancellation.
    pub pays: bool,
    /// Its hash, once it is signed.
    pub hash: Option<String>,
}

/// A charge.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The counter, with the policy's and the limit's name before it.
    pub counter: String,
    /// Whether it counts micro-USD rather than occurrences.
    pub is_usd: bool,
    /// The most that the counter may show.
    pub limit: u64,
}

impl Operation {
    /// Reads one.
    #[must_use]
    pub fn read(view: &Value) -> Self {
        let list =
            |name: &str| view.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        Self {
            id: text(view, "id"),
            state: text(view, "state"),
            agent: text(view, "agent"),
            address: text(view, "address").to_lowercase(),
            payload: Payload::read(view.get("transaction").unwrap_or_default()),
            nonce: view.get("nonce").and_then(Value::as_u64),
            attempts: list("attempts").iter().map(Attempt::read).collect(),
            charges: list("charges").iter().map(Charge::read).collect(),
            kept: list("kept").iter().map(|kept| kept.as_u64().expect("an amount")).collect(),
        }
    }

    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let over =
            ["DENIED", "EXECUTED", "REVERTED", "REJECTED", "EXPIRED", "CANCELLED", "CONFLICT"];
        over.contains(&self.state.as_str())
    }

    /// Whether it waits for people.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.state == "PARKED"
    }

    /// The hashes of everything that was signed for it.
    pub fn hashes(&self) -> impl Iterator<Item = &str> {
        self.attempts.iter().filter_map(|attempt| attempt.hash.as_deref())
    }
}

impl Payload {
    fn read(plan: &Value) -> Self {
        Self {
            to: text(plan, "to").to_lowercase(),
            value: crate::anvil::quantity(plan.get("value").unwrap_or_default()),
            data: text(plan, "data"),
        }
    }

    /// Of a transaction as a node shows it.
    #[must_use]
    pub fn of_transaction(transaction: &Value) -> Self {
        Self {
            to: text(transaction, "to").to_lowercase(),
            value: crate::anvil::quantity(transaction.get("value").unwrap_or_default()),
            data: text(transaction, "input"),
        }
    }
}

impl Attempt {
    fn read(view: &Value) -> Self {
        let purpose = view.get("purpose").and_then(Value::as_str);
        Self {
            nonce: view.get("nonce").and_then(Value::as_u64).expect("an attempt has a nonce"),
            payload: Payload::read(view.get("transaction").unwrap_or_default()),
            pays: purpose.is_none_or(|purpose| purpose != "cancel"),
            hash: view.get("hash").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

impl Charge {
    fn read(view: &Value) -> Self {
        let source = view.get("source").unwrap_or_default();
        Self {
            counter: format!(
                "{}/{} {}",
                text(source, "policy"),
                text(source, "limit"),
                text(view, "counter")
            ),
            is_usd: text(view, "unit") == "usd",
            limit: view.get("limit").and_then(Value::as_u64).expect("a limit"),
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
