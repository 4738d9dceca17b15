//! Reads that go to the node, re-serialised: never the client's bytes.

use countersign_core::{
    draft::{FieldError, quantity},
    identity::ChainId,
    json::Json,
};
use countersign_engine::{
    port::chain::{ReadAnswer, ReadCall},
    setup::ChainSetup,
    submission::Unavailable,
};

use crate::answer::{self, Fault, INTERNAL};

use super::{
    AgentsDoor, Visit,
    filters::Owned,
    route::{Read, ReadKind},
};

/// The most blocks that one log filter may span.
const BLOCKS_MAX: u64 = 10_000;

impl AgentsDoor {
    pub(super) async fn forward(
        &self,
        visit: &Visit,
        read: Read,
        params: &[Json],
    ) -> Result<String, Fault> {
        let chain = visit.chain()?;
        let node = visit.setup.chains.get(&chain).ok_or_else(|| gone(chain))?;
        let params = without_trailing_nulls(params);
        if params.len() > read.params_max {
            let reason = format!("has more than {} entries", read.params_max);
            return Err(FieldError::new("params", reason).into());
        }
        match read.kind {
            ReadKind::Plain => {}
            ReadKind::Logs | ReadKind::NewFilter => narrow(node, params.first()).await?,
            ReadKind::Filter => self.filters.check(&owned(visit, chain, params.first())?)?,
        }
        let result = ask(node, read, params).await?;
        if read.kind == ReadKind::NewFilter {
            let id = Json::parse(result.as_bytes(), countersign_core::json::Limits::REQUEST).ok();
            self.filters.remember(owned(visit, chain, id.as_ref())?);
        }
        Ok(result)
    }
}

/// Some clients write absent parameters as `null`.
fn without_trailing_nulls(mut params: &[Json]) -> &[Json] {
    while let [rest @ .., Json::Null] = params {
        params = rest;
    }
    params
}

fn owned(visit: &Visit, chain: ChainId, id: Option<&Json>) -> Result<Owned, FieldError> {
    let id =
        id.and_then(Json::as_text).ok_or_else(|| FieldError::new("filter", "must be a string"))?;
    Ok(Owned { chain, id: id.to_owned(), agent: visit.agent.clone() })
}

async fn ask(node: &ChainSetup, read: Read, params: &[Json]) -> Result<String, Fault> {
    let params = Json::List(params.to_vec()).to_string();
    let call = ReadCall { method: read.method, params };
    match node.port.read(call).await {
        Err(_) => Err(gone(node.id)),
        Ok(ReadAnswer::Result(bytes)) => String::from_utf8(bytes.to_vec())
            .map_err(|_| Fault::new(INTERNAL, "the node's answer is not UTF-8")),
        Ok(ReadAnswer::Error { code, message, data }) => {
            let data = data.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            Err(answer::upstream(code, message, data))
        }
    }
}

fn gone(chain: ChainId) -> Fault {
    let reason = format!("no node of chain {chain} answers");
    Unavailable { code: "upstream_unavailable", reason }.into()
}

/// A log filter spans a bounded number of blocks.
async fn narrow(node: &ChainSetup, filter: Option<&Json>) -> Result<(), Fault> {
    let Some(filter) = filter else { return Ok(()) };
    if filter.get("blockHash").is_some() {
        return Ok(());
    }
    let (from, to) = (bound(filter, "fromBlock")?, bound(filter, "toBlock")?);
    let newest = match (from, to) {
        (Bound::Newest, Bound::Newest) => return Ok(()),
        (Bound::Block(_), Bound::Block(_)) => 0,
        (Bound::Newest | Bound::Block(_), _) => {
            node.port.head().await.map_err(|_| gone(node.id))?.number
        }
    };
    let span = to.number(newest).saturating_sub(from.number(newest));
    if span < BLOCKS_MAX {
        return Ok(());
    }
    let reason = format!("more than {BLOCKS_MAX} blocks before `toBlock`; ask in parts");
    Err(FieldError::new("fromBlock", reason).into())
}

/// One end of a range. A tag near the head counts as the head.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Block(u64),
    Newest,
}

impl Bound {
    const fn number(self, newest: u64) -> u64 {
        match self {
            Self::Block(number) => number,
            Self::Newest => newest,
        }
    }
}

fn bound(filter: &Json, field: &str) -> Result<Bound, FieldError> {
    match filter.get(field) {
        None | Some(Json::Null) => Ok(Bound::Newest),
        Some(Json::Text(tag)) => match tag.as_str() {
            "latest" | "pending" | "safe" | "finalized" => Ok(Bound::Newest),
            "earliest" => Ok(Bound::Block(0)),
            number => {
                let number = quantity(number).map_err(|reason| FieldError::new(field, reason))?;
                Ok(Bound::Block(u64::try_from(number).unwrap_or(u64::MAX)))
            }
        },
        Some(_) => Err(FieldError::new(field, "is not a block number or tag")),
    }
}
