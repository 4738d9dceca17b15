//! Bundles of calls (EIP-5792, version 2.0.0): their parameters, strictly, and what became of them.

use countersign_core::{
    bundle::{BUNDLE_ID_BYTES_MAX, BundleHandle, CALLS_MAX},
    draft::{FieldError, address, quantity},
    identity::ChainId,
    json::Json,
    transaction::TransactionDraft,
};
use countersign_engine::submission::{CallLog, CallReceipt, CallsDraft, CallsView, Draft, Signed};
use serde_json::{Value, json};

use crate::answer::{BUNDLE_TOO_LARGE, CAPABILITY, Fault, NOT_ATOMIC, OTHER_CHAIN, UNKNOWN_BUNDLE};

use super::{AgentsDoor, Visit};

/// The version that is spoken.
const VERSION: &str = "2.0.0";

impl AgentsDoor {
    /// A handle for a new bundle.
    pub(super) fn handle(&self) -> BundleHandle {
        let clock = &self.engine.ports().clock;
        BundleHandle::from_random([clock.random(), clock.random()])
    }

    pub(super) async fn calls_status(
        &self,
        visit: &Visit,
        params: &[Json],
    ) -> Result<Value, Fault> {
        let wrong = |reason: &str| FieldError::new("id", reason);
        let [id] = params else { return Err(wrong("must be the only parameter").into()) };
        let id = id.as_text().ok_or_else(|| wrong("must be a string"))?;
        let unknown = || Fault::new(UNKNOWN_BUNDLE, "There is no such bundle of calls");
        if id.len() > BUNDLE_ID_BYTES_MAX {
            return Err(unknown());
        }
        self.engine.calls_status(&visit.agent, id).await?.map(shown).ok_or_else(unknown)
    }
}

/// The parameters of `wallet_sendCalls`.
pub(super) fn parse(
    params: &[Json],
    chain: ChainId,
    handle: BundleHandle,
) -> Result<(Draft, Option<&Json>), Fault> {
    let (first, beside) = match params {
        [first] => (first, None),
        [first, beside] => (first, Some(beside)),
        _ => return Err(FieldError::new("params", "must be one bundle of calls").into()),
    };
    let asked = Asked::parse(first)?;
    let missing = |name: &str| FieldError::new(name, "is missing");
    asked.version.ok_or_else(|| missing("version"))?;
    asked.chain.ok_or_else(|| missing("chainId"))?;
    asked.atomic.ok_or_else(|| missing("atomicRequired"))?;
    Ok((asked.draft(chain, handle)?, beside))
}

/// The bundle of a simulation, `{from, calls}`; `None` if it is something else.
pub(super) fn in_object(
    json: &Json,
    chain: ChainId,
    handle: BundleHandle,
) -> Result<Option<Draft>, Fault> {
    match json.get("calls") {
        None => Ok(None),
        Some(_) => Asked::parse(json)?.draft(chain, handle).map(Some),
    }
}

/// What the agent is told once the first call is signed.
pub(super) fn result(signed: &Signed) -> String {
    // every operation of this method belongs to a bundle
    let id = signed.bundle.clone().unwrap_or_else(|| signed.hash.to_string());
    json!({ "id": id }).to_string()
}

/// A bundle as it is written.
#[derive(Default)]
struct Asked<'a> {
    version: Option<()>,
    from: Option<&'a Json>,
    chain: Option<ChainId>,
    calls: Option<&'a [Json]>,
    atomic: Option<bool>,
    id: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn parse(json: &'a Json) -> Result<Self, Fault> {
        let wrong = |name: &str, reason: &str| FieldError::new(name, reason);
        let members = json.as_object().ok_or_else(|| wrong("params", "must be an object"))?;
        let mut asked = Self::default();
        for (name, json) in members.iter().filter(|(_, json)| !json.is_null()) {
            let text = || json.as_text().ok_or_else(|| wrong(name, "must be a string"));
            match name.as_str() {
                "version" if text()? == VERSION => asked.version = Some(()),
                "version" => return Err(wrong("version", "must be 2.0.0").into()),
                "from" => asked.from = Some(json),
                "chainId" => asked.chain = Some(chain_id(text()?)?),
                "calls" => {
                    asked.calls =
                        Some(json.as_list().ok_or_else(|| wrong(name, "must be a list"))?);
                }
                "atomicRequired" => {
                    let Json::Bool(required) = json else {
                        return Err(wrong(name, "must be true or false").into());
                    };
                    asked.atomic = Some(*required);
                }
                "id" => asked.id = Some(chosen_id(text()?)?),
                "capabilities" => capabilities(json)?,
                _ => return Err(wrong(name, "is not a field of a bundle of calls").into()),
            }
        }
        Ok(asked)
    }

    fn draft(self, chain: ChainId, handle: BundleHandle) -> Result<Draft, Fault> {
        let Self { version: _, from, chain: named, calls, atomic, id } = self;
        if named.is_some_and(|named| named != chain) {
            let sentence =
                format!("The bundle names another chain than {chain}, that of this path");
            return Err(Fault::new(OTHER_CHAIN, &sentence));
        }
        if atomic == Some(true) {
            let sentence = "These accounts make calls one after the other, not as one";
            return Err(Fault::new(NOT_ATOMIC, sentence));
        }
        let from = from.ok_or_else(|| FieldError::new("from", "is missing"))?;
        let account = from.as_text().ok_or_else(|| FieldError::new("from", "must be a string"))?;
        let account = address(account).map_err(|reason| FieldError::new("from", reason))?;
        let calls = calls.ok_or_else(|| FieldError::new("calls", "is missing"))?;
        if calls.is_empty() {
            return Err(FieldError::new("calls", "is empty").into());
        }
        if calls.len() > CALLS_MAX {
            let sentence = format!("A bundle has at most {CALLS_MAX} calls");
            return Err(Fault::new(BUNDLE_TOO_LARGE, &sentence));
        }
        let each = calls.iter().enumerate().map(|(index, json)| call(from, json, index));
        let calls = each.collect::<Result<_, Fault>>()?;
        let id = id.map(str::to_owned);
        Ok(Draft::Calls(Box::new(CallsDraft { from: account, id, handle, calls })))
    }
}

/// One call is a transaction of `to`, `data` and `value`; everything else is filled in.
fn call(from: &Json, json: &Json, index: usize) -> Result<TransactionDraft, Fault> {
    let named = |name: &str| format!("calls[{index}].{name}");
    let within = |FieldError { field, reason }| FieldError::new(&named(&field), reason);
    let shape = || FieldError::new(&format!("calls[{index}]"), "must be an object");
    let mut members = vec![("from".to_owned(), from.clone())];
    for (name, value) in json.as_object().ok_or_else(shape)? {
        match name.as_str() {
            "to" | "data" | "value" => members.push((name.clone(), value.clone())),
            "capabilities" => capabilities(value)?,
            _ => return Err(FieldError::new(&named(name), "is not a field of a call").into()),
        }
    }
    Ok(TransactionDraft::parse(&Json::Object(members)).map_err(within)?)
}

/// None is known here: one that is not optional stands against the bundle.
fn capabilities(json: &Json) -> Result<(), Fault> {
    let wrong = |reason: &str| FieldError::new("capabilities", reason);
    if json.is_null() {
        return Ok(());
    }
    for (name, capability) in json.as_object().ok_or_else(|| wrong("must be an object"))? {
        let members = capability.as_object().ok_or_else(|| wrong("must hold objects"))?;
        let optional = members.iter().find(|(name, _)| name == "optional").map(|(_, value)| value);
        match optional {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) | None => {
                let name = countersign_core::draft::harmless(name);
                let sentence =
                    format!("The capability `{name}` is not known here, and not optional");
                return Err(Fault::new(CAPABILITY, &sentence));
            }
            Some(_) => return Err(wrong("`optional` must be true or false").into()),
        }
    }
    Ok(())
}

fn chain_id(text: &str) -> Result<ChainId, FieldError> {
    let wrong = |reason: String| FieldError::new("chainId", reason);
    let id = u64::try_from(quantity(text).map_err(wrong)?);
    id.map(ChainId).map_err(|_| wrong("is too large".into()))
}

fn chosen_id(text: &str) -> Result<&str, FieldError> {
    match text.len() {
        0 => Err(FieldError::new("id", "is empty")),
        length if length > BUNDLE_ID_BYTES_MAX => {
            Err(FieldError::new("id", format!("is longer than {BUNDLE_ID_BYTES_MAX} bytes")))
        }
        _ => Ok(text),
    }
}

fn shown(view: CallsView) -> Value {
    let CallsView { id, chain, status, receipts } = view;
    json!({
        "version": VERSION,
        "id": id,
        "chainId": format!("{:#x}", chain.0),
        "status": status.code(),
        "atomic": false,
        "receipts": receipts.into_iter().map(receipt).collect::<Vec<_>>(),
    })
}

fn receipt(receipt: CallReceipt) -> Value {
    let CallReceipt { logs, succeeded, block_hash, block_number, gas_used, transaction_hash } =
        receipt;
    let log = |CallLog { address, data, topics }| json!({ "address": address, "data": data, "topics": topics });
    json!({
        "logs": logs.into_iter().map(log).collect::<Vec<_>>(),
        "status": if succeeded { "0x1" } else { "0x0" },
        "blockHash": block_hash,
        "blockNumber": format!("{block_number:#x}"),
        "gasUsed": format!("{gas_used:#x}"),
        "transactionHash": transaction_hash,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use countersign_core::json::Limits;

    use super::*;

    const ME: &str = "0x1111111111111111111111111111111111111111";

    fn read(text: &str) -> Result<CallsDraft, Fault> {
        let params = [Json::parse(text.as_bytes(), Limits::REQUEST).unwrap()];
        let (draft, _) = parse(&params, ChainId(31337), BundleHandle(B256::ZERO))?;
        let Draft::Calls(bundle) = draft else { panic!("{draft:?}") };
        Ok(*bundle)
    }

    fn with(extra: &str) -> String {
        let base = r#""version":"2.0.0","chainId":"0x7a69","atomicRequired":false"#;
        format!(r#"{{{base},"from":"{ME}",{extra}}}"#)
    }

    fn calls(calls: &str) -> String {
        with(&format!(r#""calls":[{calls}]"#))
    }

    #[test]
    fn a_bundle_is_transactions_in_order_with_an_id_or_without() {
        let bundle = read(&calls(&format!(r#"{{"to":"{ME}","value":"0x1"}},{{"data":"0x00"}}"#)));
        let bundle = bundle.unwrap();
        assert_eq!((bundle.calls.len(), bundle.id), (2, None));
        assert_eq!(bundle.calls[0].to, Some(ME.parse().unwrap()));
        assert_eq!(bundle.calls[1].to, None, "a deployment");
        let named = with(&format!(r#""id":"mine","calls":[{{"to":"{ME}"}}],"capabilities":{{}}"#));
        assert_eq!(read(&named).unwrap().id.as_deref(), Some("mine"));
        let optional = r#""calls":[{"to":null,"data":"0x00","capabilities":{"x":{"optional":true}}}],"capabilities":{"paymasterService":{"optional":true,"url":"http://x"}}"#;
        assert_eq!(read(&with(optional)).unwrap().calls.len(), 1);
    }

    #[test]
    fn what_cannot_be_meant_or_done_has_the_code_that_clients_know() {
        let many = vec!["{}"; CALLS_MAX + 1].join(",");
        let long = format!(r#""calls":[{{}}],"id":"{}""#, "x".repeat(BUNDLE_ID_BYTES_MAX + 1));
        let whole = |text: &str| text.replace("0x7a69", "0x1");
        for (text, code) in [
            (calls(&many), 5740),
            (whole(&calls("{}")), 5710),
            (calls("{}").replace("false", "true"), 5760),
            (with(r#""calls":[{}],"capabilities":{"paymasterService":{"url":"x"}}"#), 5700),
            (with(r#""calls":[{}],"capabilities":{"a":{"optional":false}}"#), 5700),
            (with(r#""calls":[{}],"capabilities":{"a":{"optional":1}}"#), -32602),
            (with(r#""calls":[{}],"capabilities":{"a":1}"#), -32602),
            (calls(r#"{"capabilities":{"a":{}}}"#), 5700),
            (calls(""), -32602),
            (calls("1"), -32602),
            (calls(r#"{"to":"0x1"}"#), -32602),
            (calls(r#"{"nonce":"0x1"}"#), -32602),
            (with(&long), -32602),
            (with(r#""calls":[{}],"id":"""#), -32602),
            (with(r#""calls":[{}],"x":1"#), -32602),
            (with(r#""calls":{}"#), -32602),
            (calls("{}").replace("2.0.0", "1.0"), -32602),
            (calls("{}").replace(r#""version":"2.0.0","#, ""), -32602),
            (calls("{}").replace(r#""atomicRequired":false,"#, ""), -32602),
            (calls("{}").replace(r#""chainId":"0x7a69","#, ""), -32602),
            (calls("{}").replace("0x7a69", "0x07a69"), -32602),
        ] {
            assert_eq!(read(&text).unwrap_err().code, code, "{text:.200}");
        }
    }
}
