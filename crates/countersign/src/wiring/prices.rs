//! Price sources, from what the configuration says of them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use countersign_core::identity::ChainId;
use countersign_engine::port::prices::{PriceAlarm, PriceBell};
use countersign_upstream::{
    ChainlinkOptions, HttpOptions, NodeChain, PriceOptions, PriceSources, SourceOptions,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::{ChainRecipe, password};
use crate::{
    clock,
    config::{HttpEntry, Place, PriceBook, SourceEntry},
};

/// Opened chains, with what they were made from.
type Chains = BTreeMap<ChainId, (ChainRecipe, Arc<NodeChain>)>;

/// What makes two sets of sources the same: what was seen of them is kept then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    book: PriceBook,
    secrets: [u8; 32],
    chains: Vec<ChainRecipe>,
}

/// Who hears of wrong prices. Sources are made before there is anybody, and ask nothing until there is.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<OnceLock<PriceBell>>);

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ear(listens: {})", self.0.get().is_some())
    }
}

impl Ear {
    /// The first who listens stays.
    pub(super) fn listen(&self, bell: PriceBell) {
        let _first = self.0.get_or_init(|| bell);
    }

    fn bell(&self) -> PriceBell {
        let ear = Arc::clone(&self.0);
        Arc::new(move |alarm: PriceAlarm| {
            if let Some(bell) = ear.get() {
                bell(alarm);
            } else {
                tracing::warn!(code = alarm.code(), "{}", alarm.text());
            }
        })
    }
}

pub(super) type Opened = (Recipe, Arc<PriceSources>);

/// The sources of a configuration; those of before where nothing has changed. Connects to nothing.
pub(super) fn open(
    book: &PriceBook,
    chains: &Chains,
    known: Option<&Opened>,
    ear: &Ear,
) -> Result<Opened, (Place, String)> {
    let recipe = recipe(book, chains)?;
    if let Some((_, sources)) = known.filter(|(of, _)| *of == recipe) {
        return Ok((recipe, Arc::clone(sources)));
    }
    let mut sources = Vec::new();
    for source in &book.sources {
        let made = self::source(&source.value, chains);
        sources.push(made.map_err(|message| (source.place, message))?);
    }
    let options = PriceOptions {
        sources,
        deviation: book.deviation,
        change_per_minute: book.change_per_minute,
        refresh: book.refresh,
        wall: clock::now,
        bell: ear.bell(),
    };
    let place = book.sources.first().map_or_else(Place::default, |source| source.place);
    let made = PriceSources::new(options).map_err(|error| (place, error.to_string()))?;
    Ok((recipe, Arc::new(made)))
}

fn recipe(book: &PriceBook, chains: &Chains) -> Result<Recipe, (Place, String)> {
    let mut hasher = Sha256::new();
    for (place, file) in book.secrets() {
        let bytes = std::fs::read(file).map_err(|error| (place, unreadable(file, &error)))?;
        hasher.update(Sha256::digest(zeroize::Zeroizing::new(bytes).as_slice()));
    }
    let chain = |source: &crate::config::Placed<SourceEntry>| match &source.value {
        SourceEntry::Chainlink(entry) => chains.get(&entry.chain.value).map(|(of, _)| of.clone()),
        SourceEntry::Static(_) | SourceEntry::Http(_) => None,
    };
    let chains = book.sources.iter().filter_map(chain).collect();
    Ok(Recipe { book: book.clone(), secrets: hasher.finalize().into(), chains })
}

fn source(entry: &SourceEntry, chains: &Chains) -> Result<SourceOptions, String> {
    Ok(match entry {
        SourceEntry::Static(prices) => {
            let prices = prices.iter().map(|(symbol, price)| (symbol.clone(), price.value));
            SourceOptions::Static(prices.collect())
        }
        SourceEntry::Chainlink(entry) => {
            let id = entry.chain.value;
            let chain = chains.get(&id).ok_or_else(|| format!("there is no chain {id}"))?;
            SourceOptions::Chainlink(ChainlinkOptions {
                chain: Arc::clone(&chain.1),
                feeds: entry.feeds.clone(),
                max_age: entry.max_age,
                sequencer_uptime_feed: entry.sequencer_uptime_feed,
            })
        }
        SourceEntry::Http(entry) => SourceOptions::Http(HttpOptions {
            url: entry.url.value.expose().to_owned(),
            headers: headers(entry)?,
            prices: entry.prices.clone(),
            max_age: entry.max_age,
            deadline: entry.deadline,
        }),
    })
}

/// What stands in the secret files. No message repeats any of it.
fn headers(entry: &HttpEntry) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if let Some(file) = &entry.headers_file {
        let text = std::fs::read_to_string(&file.value);
        let text = text.map_err(|error| unreadable(&file.value, &error))?;
        let text = zeroize::Zeroizing::new(text);
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (name, value) = header_in(line).ok_or_else(|| {
                format!("{}:{number}: expected a header as `Name: value`", file.value.display())
            })?;
            headers.insert(name, value);
        }
    }
    if let Some(file) = &entry.bearer_file {
        let token = password(&file.value)?;
        let value = secret(&format!("Bearer {}", token.expose_secret().trim()));
        let value = value
            .ok_or_else(|| format!("{}: the first line cannot be a token", file.value.display()))?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn header_in(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, secret(value.trim())?))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unreadable(file: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_that_is_never_shown() {
        let (name, value) = header_in("X-Api-Key:  hunter2 ").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-api-key", &b"hunter2"[..]));
        assert!(!format!("{value:?}").contains("hunter2"));
        for line in ["X-Api-Key", ": x", "X Y: z", "X: \u{7}"] {
            assert!(header_in(line).is_none(), "{line}");
        }
    }
}
