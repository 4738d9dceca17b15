//! Price sources, from what the configuration says of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use countersign_core::identity::ChainId;
use countersign_engine::port::prices::{PriceAlarm, PriceBell};
use countersign_upstream::{
    ChainlinkOptions, HttpOptions, NodeChain, PriceOptions, PriceSources, SourceOptions,
};
use sha2::{Digest as _, Sha256};

use super::{
    ChainRecipe,
    headers::{headers, unreadable},
};
use crate::{
    clock,
    config::{Place, PriceBook, SourceEntry},
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
            headers: headers(entry.bearer_file.as_ref(), entry.headers_file.as_ref())?,
            prices: entry.prices.clone(),
            max_age: entry.max_age,
            deadline: entry.deadline,
        }),
    })
}
