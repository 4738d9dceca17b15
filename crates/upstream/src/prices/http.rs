//! Prices in a JSON document that somebody serves.

use std::{collections::BTreeMap, time::Duration};

use countersign_core::time::{Millis, Timestamp};
use http::HeaderMap;

use super::{
    Sample, Silence, aged,
    document::{self, Misread},
    options::{HttpOptions, PricePlace},
};
use crate::{
    endpoint::{Endpoint, UrlFault},
    flight::Flights,
    options::duration,
    transport::{Fault, Transport},
};

/// A document of prices is small.
pub(super) const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Symbols that are asked for together share one document, unless prices are refreshed faster.
const SHARED_MAX: Duration = Duration::from_millis(500);

/// One document, of which several symbols are read.
pub(super) struct HttpPrices {
    endpoint: Endpoint,
    headers: HeaderMap,
    places: BTreeMap<String, PricePlace>,
    max_age: Millis,
    deadline: Duration,
    transport: Transport,
    documents: Flights<(), Document, String>,
}

/// A document, and when it came.
#[derive(Debug, Clone)]
struct Document {
    text: std::sync::Arc<str>,
    at: Timestamp,
}

/// Headers are secret, whoever made them.
impl std::fmt::Debug for HttpPrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpPrices({})", self.endpoint.shown())
    }
}

impl HttpPrices {
    /// Connects to nothing yet.
    pub(super) fn new(
        options: HttpOptions,
        refresh: Duration,
        transport: Transport,
    ) -> Result<Self, UrlFault> {
        let HttpOptions { url, headers, prices, max_age, deadline } = options;
        let (endpoint, deadline) = (Endpoint::parse(&url)?, duration(deadline));
        let documents = Flights::new(refresh.min(SHARED_MAX));
        Ok(Self { endpoint, headers, places: prices, max_age, deadline, transport, documents })
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = &String> {
        self.places.keys()
    }

    pub(super) fn name(&self) -> String {
        self.endpoint.shown().to_owned()
    }

    pub(super) const fn places(&self) -> &BTreeMap<String, PricePlace> {
        &self.places
    }

    /// What the document says at a place.
    pub(super) async fn sample(
        &self,
        place: &PricePlace,
        now: fn() -> Timestamp,
    ) -> Result<Sample, Silence> {
        let fetched = self.documents.share((), async {
            let text = self.fetch().await?;
            Ok(Document { text, at: now() })
        });
        let Document { text, at } = fetched.await.map_err(Silence::Failed)?;
        let nonsense = |misread: Misread| Silence::Nonsense(misread.to_string());
        let price = document::price_at(&text, &place.price).map_err(nonsense)?;
        let at = match &place.at {
            Some(place) => document::instant_at(&text, place).map_err(nonsense)?,
            None => at,
        };
        aged(price, at, now(), self.max_age)
    }

    async fn fetch(&self) -> Result<std::sync::Arc<str>, String> {
        let reply = self.transport.get(&self.endpoint, &self.headers, self.deadline).await;
        let body = match reply {
            Ok(reply) if reply.status == 200 => reply.body,
            Ok(reply) => return Err(format!("HTTP {}", reply.status)),
            Err(fault) => return Err(told(&fault)),
        };
        let text = std::str::from_utf8(&body).map_err(|_| "an answer that is not UTF-8")?;
        Ok(text.into())
    }
}

/// The transport's words are about nodes.
pub(crate) fn told(fault: &Fault) -> String {
    let Fault::Status(status) = fault else { return fault.to_string() };
    match status {
        300..=399 => {
            format!("HTTP {status}: a redirect is not followed, configure the final URL")
        }
        _ => format!("HTTP {status}"),
    }
}
