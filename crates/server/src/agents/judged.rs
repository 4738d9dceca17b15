//! Calls that may end in a signature.

use countersign_core::{
    bundle::BundleHandle,
    draft::{FieldError, bytes},
    identity::ChainId,
    intent::Method,
    json::Json,
    raw::RawTransaction,
    time::Millis,
    transaction::TransactionDraft,
};
use countersign_engine::submission::{Draft, Reply, Signed, Submission};
use serde_json::Value;

use crate::answer::{self, Fault, Given};

use super::{AgentsDoor, Outcome, Seat, Visit, calls, message, said::Said};

impl AgentsDoor {
    pub(super) async fn judge(
        &self,
        visit: &Visit,
        method: Method,
        params: &[Json],
        seat: Seat,
    ) -> Outcome {
        let mut submission = match self.submission(visit, method, params, seat) {
            Ok(submission) => submission,
            Err(fault) => return Err(fault).into(),
        };
        submission.declared.trail = self.engine.ports().telemetry.trail();
        let Reply { answer, receipt } = self.engine.submit(submission).await;
        let result = answer::settle(answer).map(|given| match given {
            Given::Transaction(signed) => written(visit, method, &signed),
            Given::Message(signed) => Value::from(signed.signature.to_string()).to_string(),
        });
        Outcome { result, receipt: Some(receipt) }
    }

    /// The verdict without the act.
    pub(super) async fn simulate(&self, visit: &Visit, params: &[Json]) -> Result<String, Fault> {
        let submission = self.simulated(visit, params)?;
        match self.engine.simulate(submission).await {
            Ok(simulation) => Ok(simulation.body.to_string()),
            Err(answer) => match answer::settle(answer) {
                Ok(_) => Err(Fault::unknown()),
                Err(fault) => Err(fault),
            },
        }
    }

    fn submission(
        &self,
        visit: &Visit,
        method: Method,
        params: &[Json],
        seat: Seat,
    ) -> Result<Submission, Fault> {
        let read = draft_of(method, params, (visit.chain()?, self.handle()))?;
        submitted(visit, method, read, seat)
    }

    fn simulated(&self, visit: &Visit, params: &[Json]) -> Result<Submission, Fault> {
        let (method, read) = draft_in_object(params, (visit.chain()?, self.handle()))?;
        submitted(visit, method, read, Seat { batch: None })
    }
}

/// A draft, and what is said beside it.
pub(super) type Drafted<'a> = (Draft, Option<&'a Json>);

/// What the parameters of a method that signs ask for.
pub(super) fn draft_of(
    method: Method,
    params: &[Json],
    (chain, handle): (ChainId, BundleHandle),
) -> Result<Drafted<'_>, Fault> {
    Ok(match method {
        Method::SendTransaction | Method::SignTransaction => transaction(chain, params)?,
        Method::SendRawTransaction => raw(chain, params)?,
        Method::PersonalSign | Method::Sign | Method::SignTypedData => {
            message::parse(method, params)?
        }
        Method::SendCalls => calls::parse(params, chain, handle)?,
    })
}

/// What is simulated is a transaction, a message or a bundle of calls.
pub(super) fn draft_in_object(
    params: &[Json],
    (chain, handle): (ChainId, BundleHandle),
) -> Result<(Method, Drafted<'_>), Fault> {
    if let [first] | [first, _] = params {
        let beside = params.get(1);
        if let Some((method, draft)) = message::in_object(first)? {
            return Ok((method, (draft, beside)));
        }
        if let Some(draft) = calls::in_object(first, chain, handle)? {
            return Ok((Method::SendCalls, (draft, beside)));
        }
    }
    let method = Method::SendTransaction;
    Ok((method, draft_of(method, params, (chain, handle))?))
}

pub(super) fn transaction(
    chain: ChainId,
    params: &[Json],
) -> Result<(Draft, Option<&Json>), FieldError> {
    let (transaction, beside) = match params {
        [transaction] => (transaction, None),
        [transaction, beside] => (transaction, Some(beside)),
        _ => return Err(FieldError::new("params", "must be one transaction")),
    };
    let draft = TransactionDraft::parse(transaction)?;
    if draft.from.is_none() {
        return Err(FieldError::new("from", "is missing"));
    }
    same_chain(&draft, chain)?;
    Ok((Draft::Transaction(draft), beside))
}

/// Bytes that their sender has signed.
pub(super) fn raw(chain: ChainId, params: &[Json]) -> Result<(Draft, Option<&Json>), FieldError> {
    let wrong = |reason: &str| FieldError::new("raw", reason);
    let (text, beside) = match params {
        [raw] => (raw, None),
        [raw, beside] => (raw, Some(beside)),
        _ => return Err(FieldError::new("params", "must be one signed transaction")),
    };
    let text = text.as_text().ok_or_else(|| wrong("is not a string of 0x and hex digits"))?;
    let raw = RawTransaction::parse(&bytes(text).map_err(|error| wrong(&error))?)?;
    if raw.transaction().plan.chain != chain {
        return Err(wrong(&format!("is not for chain {chain}, that of this path")));
    }
    Ok((Draft::Raw(Box::new(raw)), beside))
}

fn submitted(
    visit: &Visit,
    method: Method,
    (draft, beside): (Draft, Option<&Json>),
    seat: Seat,
) -> Result<Submission, Fault> {
    let index = seat.batch.map(|(_, index)| index);
    let said = visit.said.clone()?.and(Said::in_parameter(beside)?, index)?;
    let chosen = matches!(&draft, Draft::Calls(bundle) if bundle.id.is_some());
    if chosen && said.key.is_some() {
        let reason = "does not go with `id`: the id of a bundle is its key";
        return Err(FieldError::new("idempotencyKey", reason).into());
    }
    Ok(Submission {
        agent: visit.agent.clone(),
        chain: visit.chain()?,
        method,
        draft,
        declared: said.declared,
        key: said.key,
        wait: if seat.batch.is_some() { Some(Millis::ZERO) } else { visit.wait },
        batch: seat.batch.map(|(number, _)| number),
        received: visit.received,
    })
}

fn same_chain(draft: &TransactionDraft, chain: ChainId) -> Result<(), FieldError> {
    match draft.chain {
        Some(named) if named != chain => {
            Err(FieldError::new("chainId", format!("is not {chain}, the chain of this path")))
        }
        Some(_) | None => Ok(()),
    }
}

/// What the method promises to return once bytes exist: from here on there is no error any more.
fn written(visit: &Visit, method: Method, signed: &Signed) -> String {
    let raw = || Value::from(signed.raw.to_string()).to_string();
    match method {
        Method::SendTransaction | Method::SendRawTransaction => {
            Value::from(signed.hash.to_string()).to_string()
        }
        Method::SignTransaction if visit.wants_raw_and_tx => {
            geth::raw_and_tx(signed).unwrap_or_else(raw)
        }
        Method::SendCalls => calls::result(signed),
        Method::SignTransaction | Method::PersonalSign | Method::Sign | Method::SignTypedData => {
            raw()
        }
    }
}

/// geth's shape of `eth_signTransaction`.
mod geth {
    use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable as _};
    use alloy_eips::eip2718::Decodable2718 as _;
    use countersign_core::transaction::{FeeBid, TransactionType};
    use serde_json::{Map, Value, json};

    use super::Signed;

    /// `{raw, tx}`, with every field of `tx` as geth writes it; `None` if the bytes cannot be read again.
    pub(super) fn raw_and_tx(signed: &Signed) -> Option<String> {
        let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).ok()?;
        let from = envelope.recover_signer().ok()?;
        let mut tx = fields(signed);
        let signature = envelope.signature();
        let parity = u64::from(signature.v());
        let v = match signed.transaction.plan.kind {
            TransactionType::Legacy => {
                let chain = signed.transaction.plan.chain.0;
                chain.saturating_mul(2).saturating_add(35).saturating_add(parity)
            }
            TransactionType::AccessList
            | TransactionType::DynamicFee
            | TransactionType::SetCode => {
                tx.insert("yParity".into(), quantity(parity));
                parity
            }
        };
        tx.insert("from".into(), json!(from));
        tx.insert("v".into(), quantity(v));
        tx.insert("r".into(), quantity(signature.r()));
        tx.insert("s".into(), quantity(signature.s()));
        Some(json!({"raw": signed.raw, "tx": tx}).to_string())
    }

    fn fields(signed: &Signed) -> Map<String, Value> {
        let plan = &signed.transaction.plan;
        let mut tx = Map::new();
        let mut set = |name: &str, value: Value| drop(tx.insert(name.into(), value));
        set("hash", json!(signed.hash));
        set("chainId", quantity(plan.chain.0));
        set("nonce", quantity(signed.transaction.nonce));
        set("gas", quantity(plan.gas));
        set("to", json!(plan.to));
        set("value", quantity(plan.value));
        set("input", json!(plan.data));
        let kind = match plan.kind {
            TransactionType::Legacy => "0x0",
            TransactionType::AccessList => "0x1",
            TransactionType::DynamicFee => "0x2",
            TransactionType::SetCode => "0x4",
        };
        set("type", kind.into());
        if kind != "0x0" {
            set("accessList", json!(plan.access_list));
        }
        if kind == "0x4" {
            set("authorizationList", json!(plan.authorizations));
        }
        set("gasPrice", quantity(plan.fee.ceiling()));
        if let FeeBid::Dynamic { max_fee, tip } = plan.fee {
            set("maxFeePerGas", quantity(max_fee));
            set("maxPriorityFeePerGas", quantity(tip));
        }
        tx
    }

    fn quantity(number: impl std::fmt::LowerHex) -> Value {
        format!("{number:#x}").into()
    }
}
