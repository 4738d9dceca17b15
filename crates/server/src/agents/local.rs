//! What the gateway answers itself.

use alloy_primitives::Address;
use countersign_core::{
    draft::{FieldError, address},
    identity::OperationId,
    json::Json,
};
use countersign_engine::submission::{BudgetLine, OperationView};
use serde_json::{Value, json};

use crate::answer::{Fault, UNAUTHORISED};

use super::{
    AgentsDoor, Visit,
    route::{Local, TRANSACTION_COUNT},
};

impl AgentsDoor {
    pub(super) async fn local(
        &self,
        visit: &Visit,
        local: Local,
        params: &[Json],
    ) -> Result<String, Fault> {
        let answer = match local {
            Local::TransactionCount => return self.transaction_count(visit, params).await,
            Local::Simulate => return self.simulate(visit, params).await,
            Local::Operation => self.operation(visit, params).await?,
            Local::Budget => {
                none(params)?;
                let lines = self.engine.budget(&visit.agent).await?;
                lines.into_iter().map(budget_line).collect()
            }
            Local::Accounts => {
                none(params)?;
                json!(accounts(visit)?)
            }
            Local::ChainId => {
                none(params)?;
                format!("{:#x}", visit.chain()?.0).into()
            }
            Local::NetVersion => {
                none(params)?;
                visit.chain()?.to_string().into()
            }
            Local::Capabilities => capabilities(visit, params)?,
            Local::CallsStatus => self.calls_status(visit, params).await?,
            Local::Health => {
                none(params)?;
                "OK".into()
            }
        };
        Ok(answer.to_string())
    }

    /// In-flight nonces are laid over the node's count for `latest` and `pending` alike: some clients ask
    /// for the one, some for the other, before they fix a nonce.
    async fn transaction_count(&self, visit: &Visit, params: &[Json]) -> Result<String, Fault> {
        let chain = visit.chain()?;
        let tag = match params.get(1) {
            None | Some(Json::Null) => Some("latest"),
            Some(tag) => tag.as_text(),
        };
        let account =
            params.first().and_then(Json::as_text).ok_or_else(|| wrong_address("is missing"))?;
        let account = address(account).map_err(wrong_address)?;
        if let (Some(tag @ ("latest" | "pending")), ..=2) = (tag, params.len()) {
            let pending = tag == "pending";
            if let Some(count) = self.engine.transaction_count(chain, account, pending).await? {
                return Ok(Value::from(format!("{count:#x}")).to_string());
            }
        }
        self.forward(visit, TRANSACTION_COUNT, params).await
    }

    async fn operation(&self, visit: &Visit, params: &[Json]) -> Result<Value, Fault> {
        let wrong = |reason: &str| FieldError::new("id", reason);
        let (id, collects) = match params {
            [id] => (id, true),
            [id, options] => (id, collects(options)?),
            _ => return Err(wrong("must be the first parameter, and options the second").into()),
        };
        let id = id.as_text().ok_or_else(|| wrong("must be a string"))?;
        let missing = || wrong("there is no such operation");
        let id: OperationId = id.parse().map_err(|_| missing())?;
        let found = if collects {
            self.engine.operation_of(&visit.agent, id).await?
        } else {
            self.engine.look_at_operation(&visit.agent, id).await?
        };
        found.map(operation).ok_or_else(|| missing().into())
    }
}

/// `{"collect": false}` only looks: the result stays owed to whoever repeats the request.
fn collects(options: &Json) -> Result<bool, FieldError> {
    let wrong =
        || FieldError::new("params", "the second parameter is {\"collect\": true or false}");
    let Json::Object(members) = options else { return Err(wrong()) };
    match members.as_slice() {
        [(name, Json::Bool(collects))] if name == "collect" => Ok(*collects),
        _ => Err(wrong()),
    }
}

fn wrong_address(reason: impl std::fmt::Display) -> FieldError {
    FieldError::new("address", reason)
}

fn none(params: &[Json]) -> Result<(), FieldError> {
    if params.is_empty() { Ok(()) } else { Err(FieldError::new("params", "must be empty")) }
}

/// The accounts that this gateway signs for. One that signs for itself is not among them: clients take the first for
/// one that they can send from.
fn accounts(visit: &Visit) -> Result<Vec<Address>, Fault> {
    let wallets = visit.agent()?.wallets.iter().filter_map(|id| visit.setup.wallets.get(id));
    let ours = wallets.filter(|wallet| !wallet.signer.is_external());
    Ok(ours.map(|wallet| wallet.address).collect())
}

/// EIP-5792, for the chain of the path: no smart accounts.
fn capabilities(visit: &Visit, params: &[Json]) -> Result<Value, Fault> {
    let chain = visit.chain()?;
    if let Some(account) = params.first() {
        let text = account.as_text().ok_or_else(|| wrong_address("must be a string"))?;
        let account = address(text).map_err(wrong_address)?;
        if visit.setup.wallet_of(visit.agent()?, account).is_none() {
            let sentence = format!("This agent has no account {account:#x} here");
            return Err(Fault::new(UNAUTHORISED, &sentence));
        }
    }
    let chain = format!("{:#x}", chain.0);
    Ok(match params.get(1).filter(|chains| !chains.is_null()) {
        Some(asked) if !names(asked, &chain)? => json!({}),
        Some(_) | None => json!({chain: {"atomic": {"status": "unsupported"}}}),
    })
}

/// Whether a list of chain ids names this one.
fn names(chains: &Json, chain: &str) -> Result<bool, FieldError> {
    let wrong = || FieldError::new("chainIds", "must be a list of chain ids");
    let chains = chains.as_list().ok_or_else(wrong)?;
    let texts = chains.iter().map(Json::as_text).collect::<Option<Vec<_>>>();
    Ok(texts.ok_or_else(wrong)?.contains(&chain))
}

fn operation(view: OperationView) -> Value {
    let OperationView { id, status, code, hash, result, expires_at, trace } = view;
    json!({
        "id": id,
        "status": status,
        "code": code,
        "hash": hash,
        "result": result,
        "expires_at": expires_at,
        "trace_hash": trace,
    })
}

pub(crate) fn budget_line(line: BudgetLine) -> Value {
    let BudgetLine { limit, policy, per, unit, max, used, remaining, frees_at } = line;
    json!({
        "limit": limit,
        "policy": policy,
        "per": per,
        "unit": unit,
        "max": max,
        "used": used,
        "remaining": remaining,
        "frees_at": frees_at,
    })
}
