//! Oracles over HTTP: a document about one address.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use alloy_primitives::Address;
use async_trait::async_trait;
use countersign_core::{
    context::ContextValue,
    fact::{Asked, Fact},
    identity::ChainId,
    time::Millis,
};
use countersign_engine::port::Oracles;
use http::HeaderMap;

use crate::{
    endpoint::{Endpoint, UrlFault},
    flight::Flights,
    options::{UpstreamError, duration},
    prices::{JsonPointer, document::value_at, http::told},
    transport::Transport,
};

/// What is said of one address is short.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// Where the address stands in a URL.
const ADDRESS: &str = "{address}";

/// Where the chain's id stands, where it does.
const CHAIN: &str = "{chain}";

/// One oracle. Its `Debug` shows no URL and no header.
#[derive(Clone)]
pub struct OracleOptions {
    /// Its name.
    pub name: String,
    /// `http://` or `https://`, with `{address}` and perhaps `{chain}` in it. Secret: it may hold credentials.
    pub url: String,
    /// Headers that it wants to see. Secret.
    pub headers: HeaderMap,
    /// Whom of an action it is asked about.
    pub asks: Asked,
    /// Where each of its fields stands; the name of the only one may be empty.
    pub fields: BTreeMap<String, JsonPointer>,
    /// How long an answer holds.
    pub max_age: Millis,
    /// How long it may take to answer.
    pub deadline: Millis,
}

impl fmt::Debug for OracleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OracleOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

type Said = BTreeMap<String, ContextValue>;

/// Oracles over HTTP. No redirect is followed; what is not HTTP 200 with JSON of at most 64 KiB is no
/// answer.
#[derive(Debug)]
pub struct HttpOracles {
    transport: Transport,
    oracles: BTreeMap<String, HttpOracle>,
}

struct HttpOracle {
    options: OracleOptions,
    deadline: Duration,
    answers: Flights<(ChainId, Address), Arc<Said>, String>,
}

impl fmt::Debug for HttpOracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl HttpOracles {
    /// Connects to nothing yet.
    pub fn new(options: Vec<OracleOptions>) -> Result<Self, OracleError> {
        let transport = Transport::new(DOCUMENT_BYTES_MAX)?;
        let oracles = options.into_iter().map(|options| {
            let oracle = HttpOracle::new(options)?;
            Ok((oracle.options.name.clone(), oracle))
        });
        Ok(Self { transport, oracles: oracles.collect::<Result<_, OracleError>>()? })
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.oracles.keys().map(String::as_str)
    }
}

#[async_trait]
impl Oracles for HttpOracles {
    fn asks(&self, oracle: &str) -> Option<Asked> {
        self.oracles.get(oracle).map(|oracle| oracle.options.asks)
    }

    async fn say(&self, oracle: &str, chain: ChainId, address: Address) -> Fact<Said> {
        let Some(oracle) = self.oracles.get(oracle) else {
            return Fact::Unknown("there is no such oracle".into());
        };
        let asked = oracle.ask(&self.transport, chain, address);
        match oracle.answers.share((chain, address), asked).await {
            Ok(said) => Fact::Known(Said::clone(&said)),
            Err(reason) => Fact::Unknown(reason),
        }
    }
}

impl HttpOracle {
    fn new(options: OracleOptions) -> Result<Self, OracleError> {
        if !options.url.contains(ADDRESS) {
            return Err(OracleError::NoAddress);
        }
        let oracle = Self {
            deadline: duration(options.deadline),
            answers: Flights::new(duration(options.max_age)),
            options,
        };
        oracle.endpoint(ChainId(1), Address::ZERO)?;
        Ok(oracle)
    }

    fn endpoint(&self, chain: ChainId, address: Address) -> Result<Endpoint, UrlFault> {
        let url = self.options.url.replace(ADDRESS, &format!("{address:#x}"));
        Endpoint::parse(&url.replace(CHAIN, &chain.0.to_string()))
    }

    async fn ask(
        &self,
        transport: &Transport,
        chain: ChainId,
        address: Address,
    ) -> Result<Arc<Said>, String> {
        let endpoint = self.endpoint(chain, address).map_err(|fault| fault.to_string())?;
        let reply = transport.get(&endpoint, &self.options.headers, self.deadline).await;
        let body = match reply {
            Ok(reply) if reply.status == 200 => reply.body,
            Ok(reply) => return Err(format!("HTTP {}", reply.status)),
            Err(fault) => return Err(told(&fault)),
        };
        read(&body, &self.options.fields).map(Arc::new)
    }
}

/// The fields of a document. One that it does not have stays unknown; one that has none of them is no answer.
fn read(body: &[u8], fields: &BTreeMap<String, JsonPointer>) -> Result<Said, String> {
    let text = std::str::from_utf8(body).map_err(|_| "an answer that is not UTF-8")?;
    let mut said = Said::new();
    let mut wrong = None;
    for (name, place) in fields {
        match value_at(text, place) {
            Ok(value) => drop(said.insert(name.clone(), value)),
            Err(misread) => wrong = wrong.or(Some(misread)),
        }
    }
    match wrong.filter(|_| said.is_empty()) {
        Some(misread) => Err(misread.to_string()),
        None => Ok(said),
    }
}

/// Why an oracle cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The client could not be made.
    #[error(transparent)]
    Client(#[from] UpstreamError),
    /// Its URL is none.
    #[error("its URL: {0}")]
    Url(#[from] UrlFault),
    /// It could not tell addresses apart.
    #[error("its URL does not say {{address}}")]
    NoAddress,
}
