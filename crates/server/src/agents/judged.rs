//! Calls that may end in a signature.

use countersign_core::{draft::FieldError, intent::Method, json::Json, time::Millis};
use countersign_engine::submission::{Draft, Reply, Signed, Submission};
use serde_json::Value;

use crate::answer::{self, Fault, Given};

use super::{
    AgentsDoor, Outcome, Seat, Visit,
    asked::{self, Drafted, Told},
    calls,
    said::Said,
};

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
        let drafted = asked::drafted(method, params, (visit.chain()?, self.handle()))?;
        submitted(visit, method, drafted, seat)
    }

    /// What is simulated is a call of a signing method, or what such a call would carry. What an account that signs for
    /// itself would send comes to this door as bytes that are signed.
    fn simulated(&self, visit: &Visit, params: &[Json]) -> Result<Submission, Fault> {
        let told = Told::read(params, (visit.chain()?, self.handle()))?;
        let Told { method, drafted, is_call } = told;
        let account = drafted.0.from().filter(|_| !is_call && method == Method::SendTransaction);
        let wallet = account.and_then(|from| visit.setup.wallet_of(visit.agent().ok()?, from));
        let brings = wallet.is_some_and(|wallet| wallet.signer.is_external());
        let method = if brings { Method::SendRawTransaction } else { method };
        submitted(visit, method, drafted, Seat { batch: None })
    }
}

fn submitted(
    visit: &Visit,
    method: Method,
    (draft, beside): Drafted<'_>,
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
