//! A request as an operator pastes it: what the agent would send, or the part of it that matters.

use countersign_core::{
    bundle::BundleHandle,
    draft::FieldError,
    identity::{AgentId, ChainId},
    json::{Json, Limits},
    time::Millis,
};
use countersign_engine::{setup::Setup, submission::Submission};

use crate::answer::Fault;

use super::{asked::Told, said::Said};

/// What asks how a request would be judged, as an agent does.
const SIMULATE: &str = "countersign_simulate";

/// A pasted request, and whose it would be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pasted<'a> {
    pub(crate) text: &'a str,
    pub(crate) agent: &'a AgentId,
    pub(crate) chain: ChainId,
}

impl Pasted<'_> {
    /// What the agent would submit: a JSON-RPC request of a method that signs, typed data, or an object as
    /// `countersign_simulate` takes it. Where no account is named, it is the agent's first.
    pub(crate) fn submission(
        &self,
        setup: &Setup,
        (handle, received): (BundleHandle, Millis),
    ) -> Result<Submission, Fault> {
        let json = Json::parse(self.text.as_bytes(), Limits::REQUEST)
            .map_err(|error| FieldError::new("request", error.to_string()))?;
        let on = (self.chain, handle);
        let is_simulation = json.get("method").and_then(Json::as_text) == Some(SIMULATE);
        if let Some(params) = json.get("params").and_then(Json::as_list).filter(|_| is_simulation) {
            return self.submitted(Told::read(params, on)?, received);
        }
        let whole = if json.get("method").is_some() { json } else { self.whole(json, setup)? };
        self.submitted(Told::read(&[whole], on)?, received)
    }

    /// An object as `countersign_simulate` takes it.
    fn whole(&self, json: Json, setup: &Setup) -> Result<Json, FieldError> {
        let is_typed_data = json.get("primaryType").is_some() && json.get("domain").is_some();
        let mut members = match json {
            json @ Json::Object(_) if is_typed_data => vec![("typedData".to_owned(), json)],
            Json::Object(members) => members,
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::Text(_)
            | Json::List(_)) => {
                let reason = format!("is {}, not an object", other.kind());
                return Err(FieldError::new("request", reason));
            }
        };
        if members.iter().all(|(name, _)| name != "from") {
            let agent = setup.agents.get(self.agent);
            let first = agent.and_then(|agent| setup.wallets.get(agent.wallets.first()?));
            let from = first.ok_or_else(|| FieldError::new("from", "is missing"))?;
            members.insert(0, ("from".to_owned(), Json::Text(from.address.to_string())));
        }
        Ok(Json::Object(members))
    }

    fn submitted(
        &self,
        Told { method, drafted: (draft, beside), is_call: _ }: Told<'_>,
        received: Millis,
    ) -> Result<Submission, Fault> {
        let Said { declared, .. } = Said::in_parameter(beside)?;
        Ok(Submission {
            agent: self.agent.clone(),
            chain: self.chain,
            method,
            draft,
            declared,
            key: None,
            wait: Some(Millis::ZERO),
            batch: None,
            received,
        })
    }
}
