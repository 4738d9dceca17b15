//! What a call asks to have signed, read from its parameters alone: nobody is looked up and nothing is judged.

use countersign_core::{
    bundle::BundleHandle,
    draft::{FieldError, bytes, harmless},
    identity::ChainId,
    intent::{Declared, Method},
    json::Json,
    raw::RawTransaction,
    transaction::TransactionDraft,
};
use countersign_engine::submission::Draft;

use super::{
    call::is_id,
    calls, message,
    route::{Route, route},
    said::Said,
};
use crate::answer::{Fault, NOTHING_SENT};

/// What is to be signed, and what its agent says beside it.
pub(super) type Drafted<'a> = (Draft, Option<&'a Json>);

/// Where a call is made, and what a bundle in it is called.
type Ground = (ChainId, BundleHandle);

/// What a signing call asks for, as the agents' door reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its method; for what is told without one, that which would carry it.
    pub method: Method,
    /// What is to be signed.
    pub draft: Draft,
    /// What the agent says about it.
    pub declared: Declared,
    /// Whether it was told as a call, with its method.
    pub is_call: bool,
}

/// Why something asks for nothing that could be signed, in the words of the door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AskError(String);

impl Asked {
    /// Reads what `countersign_simulate` takes: a call of a signing method as `{method, params}`, or a transaction, a
    /// message or a bundle of calls by itself.
    pub fn parse(told: &Json, chain: ChainId, handle: BundleHandle) -> Result<Self, AskError> {
        let told = std::slice::from_ref(told);
        let read = || -> Result<Self, Fault> {
            let Told { method, drafted: (draft, beside), is_call } =
                Told::read(told, (chain, handle))?;
            let declared = Said::in_parameter(beside)?.declared;
            Ok(Self { method, draft, declared, is_call })
        };
        read().map_err(|Fault { message, .. }| {
            AskError(message.strip_suffix(NOTHING_SENT).unwrap_or(&message).to_owned())
        })
    }
}

/// The parameters of a simulation, read.
pub(super) struct Told<'a> {
    pub(super) method: Method,
    pub(super) drafted: Drafted<'a>,
    /// Whether it is a call, with its method.
    pub(super) is_call: bool,
}

impl<'a> Told<'a> {
    pub(super) fn read(params: &'a [Json], ground: Ground) -> Result<Self, Fault> {
        let Some((first, beside)) = params.split_first().filter(|(_, rest)| rest.len() < 2) else {
            let reason = "must be one transaction, message, bundle of calls or call";
            return Err(FieldError::new("params", reason).into());
        };
        let beside = beside.first();
        if first.get("method").is_some() {
            let (method, params) = call(first)?;
            if beside.is_some() {
                let reason = "what is said beside a call stands in its own `params`";
                return Err(FieldError::new("params", reason).into());
            }
            return Ok(Self { method, drafted: drafted(method, params, ground)?, is_call: true });
        }
        let (method, draft) = if let Some(message) = message::in_object(first)? {
            message
        } else if let Some(bundle) = calls::in_object(first, ground.0, ground.1)? {
            (Method::SendCalls, bundle)
        } else {
            let alone = std::slice::from_ref(first);
            (Method::SendTransaction, transaction(ground.0, alone)?.0)
        };
        Ok(Self { method, drafted: (draft, beside), is_call: false })
    }
}

/// The method and the parameters of a call that is told of: one that signs. `jsonrpc` and `id` may be left out.
fn call(json: &Json) -> Result<(Method, &[Json]), FieldError> {
    let (mut method, mut params) = ("", &[][..]);
    for (name, value) in json.as_object().unwrap_or_default() {
        let wrong = |reason: &str| Err(FieldError::new(name, reason));
        match (name.as_str(), value) {
            ("jsonrpc", version) if version.as_text() == Some("2.0") => {}
            ("jsonrpc", _) => return wrong("must be \"2.0\""),
            ("id", id) if is_id(id) => {}
            ("id", _) => return wrong("must be a string, a number or null"),
            ("method", Json::Text(named)) => method = named,
            ("method", _) => return wrong("must be a string"),
            ("params", Json::Null) => {}
            ("params", Json::List(items)) => params = items,
            ("params", _) => return wrong("must be an array"),
            _ => return wrong("is not a member of a call"),
        }
    }
    let wrong =
        |reason: &str| Err(FieldError::new("method", format!("`{}` {reason}", harmless(method))));
    match route(method).1 {
        Route::Judge(method) => Ok((method, params)),
        Route::Answer(_) | Route::Forward(_) | Route::Subscription(_) => {
            wrong("signs nothing, and so nothing judges it")
        }
        Route::Refuse => wrong("is not a method of this gateway"),
    }
}

/// What a call of a signing method is about.
pub(super) fn drafted(
    method: Method,
    params: &[Json],
    (chain, handle): Ground,
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

fn same_chain(draft: &TransactionDraft, chain: ChainId) -> Result<(), FieldError> {
    match draft.chain {
        Some(named) if named != chain => {
            Err(FieldError::new("chainId", format!("is not {chain}, the chain of this path")))
        }
        Some(_) | None => Ok(()),
    }
}
