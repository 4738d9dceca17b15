//! `prices:`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use countersign_core::{amount::Price, identity::ChainId, time::Millis};
use countersign_upstream::{BasisPoints, JsonPointer, PricePlace};

use super::{
    chain::{address, chain_id, symbol},
    model::{Placed, SecretUrl},
    people::within,
    problem::{Place, Report},
    read::{file, url},
    yaml::{Key, Node, Value},
};

/// How old a price may be, unless the configuration says otherwise.
const MAX_AGE: Millis = Millis(3_600_000);

/// The longest that may be configured.
const MAX_AGE_MAX: Millis = Millis(30 * 24 * 3_600_000);

/// How far two sources may be apart.
const DEVIATION: BasisPoints = BasisPoints(200);

/// How far a price may move in a minute.
const CHANGE_PER_MINUTE: BasisPoints = BasisPoints(1000);

/// How often sources are asked.
const REFRESH: Millis = Millis(30_000);

/// How long a server of prices may take, and the longest that may be configured.
const DEADLINE: Millis = Millis(3_000);
const DEADLINE_MAX: Millis = Millis(5_000);

/// Where prices come from, the preferred source first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PriceBook {
    pub(crate) deviation: BasisPoints,
    pub(crate) change_per_minute: BasisPoints,
    pub(crate) refresh: Millis,
    pub(crate) sources: Vec<Placed<SourceEntry>>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceEntry {
    /// Prices that never age.
    Static(BTreeMap<String, Placed<Price>>),
    /// Aggregators of Chainlink on one of our chains.
    Chainlink(ChainlinkEntry),
    /// A JSON document.
    Http(Box<HttpEntry>),
}

/// Aggregators of Chainlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChainlinkEntry {
    pub(crate) chain: Placed<ChainId>,
    pub(crate) feeds: BTreeMap<String, Address>,
    pub(crate) max_age: Millis,
    pub(crate) sequencer_uptime_feed: Option<Address>,
}

/// A JSON document with prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpEntry {
    pub(crate) url: Placed<SecretUrl>,
    pub(crate) prices: BTreeMap<String, PricePlace>,
    /// A file with a token in its first line.
    pub(crate) bearer_file: Option<Placed<PathBuf>>,
    /// A file with a header in each line.
    pub(crate) headers_file: Option<Placed<PathBuf>>,
    pub(crate) max_age: Millis,
    pub(crate) deadline: Millis,
}

impl PriceBook {
    /// Prices that never age, with their places.
    pub(crate) fn stated(&self) -> impl Iterator<Item = (&String, &Placed<Price>)> {
        self.sources.iter().flat_map(|source| match &source.value {
            SourceEntry::Static(prices) => prices.iter().collect(),
            SourceEntry::Chainlink(_) | SourceEntry::Http(_) => Vec::new(),
        })
    }

    /// Prices that never age, by symbol.
    pub(crate) fn fixed(&self) -> BTreeMap<String, Price> {
        self.stated().map(|(symbol, price)| (symbol.clone(), price.value)).collect()
    }

    /// Whether any source names a symbol.
    pub(crate) fn names(&self, symbol: &str) -> bool {
        self.sources.iter().any(|source| match &source.value {
            SourceEntry::Static(prices) => prices.contains_key(symbol),
            SourceEntry::Chainlink(entry) => entry.feeds.contains_key(symbol),
            SourceEntry::Http(entry) => entry.prices.contains_key(symbol),
        })
    }

    /// Files that nobody else may read.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (Place, &Path)> {
        let files = self.sources.iter().flat_map(|source| match &source.value {
            SourceEntry::Http(entry) => [entry.bearer_file.as_ref(), entry.headers_file.as_ref()],
            SourceEntry::Static(_) | SourceEntry::Chainlink(_) => [None, None],
        });
        files.flatten().map(|file| (file.place, file.value.as_path()))
    }
}

/// No source at all.
pub(crate) const fn none() -> PriceBook {
    PriceBook {
        deviation: DEVIATION,
        change_per_minute: CHANGE_PER_MINUTE,
        refresh: REFRESH,
        sources: Vec::new(),
    }
}

/// The whole section.
pub(crate) fn book(report: &Report, node: &Node, folder: &Path) -> Option<PriceBook> {
    report.section(node, "`prices`", |s| {
        let max_age = s.or("max_age", MAX_AGE, age);
        let deviation = s.or("deviation", DEVIATION, |r, n| r.read_as(n, percent));
        let change = s.or("change_per_minute", CHANGE_PER_MINUTE, |r, n| r.read_as(n, percent));
        let refresh = s.or("refresh", REFRESH, |r, n| r.read_as(n, pause));
        let max_age = max_age?;
        let sources =
            s.or("sources", Vec::new(), |r, n| r.list(n, |n| source(r, n, (max_age, folder))));
        Some(PriceBook {
            deviation: deviation?,
            change_per_minute: change?,
            refresh: refresh?,
            sources: sources?,
        })
    })?
}

fn source(report: &Report, node: &Node, about: (Millis, &Path)) -> Option<Placed<SourceEntry>> {
    report.section(node, "a price source", |s| {
        let stated = s.optional("static").map(|n| stated(report, n));
        let chainlink = s.optional("chainlink").map(|n| chainlink(report, n, about.0));
        let http = s.optional("http").map(|n| http(report, n, about));
        let place = s.place();
        let mut kinds = [stated, chainlink, http].into_iter().flatten();
        let (Some(entry), None) = (kinds.next(), kinds.next()) else {
            report.refuse(place, "a price source is one of `static`, `chainlink` and `http`");
            return None;
        };
        entry.map(|value| Placed { value, place })
    })?
}

fn stated(report: &Report, node: &Node) -> Option<SourceEntry> {
    let price = |node: &Node| Some(Placed { value: report.parsed(node)?, place: node.place });
    let wanted = "expected prices as `SYMBOL: \"USD\"`, as in ETH: \"3000\"";
    by_symbol(report, node, wanted, price).map(SourceEntry::Static)
}

fn chainlink(report: &Report, node: &Node, max_age: Millis) -> Option<SourceEntry> {
    report.section(node, "`chainlink`", |s| {
        let chain = s
            .required("chain")
            .and_then(|n| Some(Placed { value: chain_id(report, n)?, place: n.place }));
        let wanted = "expected aggregators as `SYMBOL: \"0x…\"`";
        let feeds =
            s.required("feeds").and_then(|n| by_symbol(report, n, wanted, |n| address(report, n)));
        let max_age = s.or("max_age", max_age, age);
        let uptime = s.or("sequencer_uptime_feed", None, |r, n| address(r, n).map(Some));
        Some(SourceEntry::Chainlink(ChainlinkEntry {
            chain: chain?,
            feeds: feeds?,
            max_age: max_age?,
            sequencer_uptime_feed: uptime?,
        }))
    })?
}

fn http(report: &Report, node: &Node, (max_age, folder): (Millis, &Path)) -> Option<SourceEntry> {
    report.section(node, "`http`", |s| {
        let url = s.required("url").and_then(|n| {
            Some(Placed { value: url(report, n, &["https", "http"])?, place: n.place })
        });
        let wanted = "expected places as `SYMBOL: /json/pointer`";
        let prices =
            s.required("prices").and_then(|n| by_symbol(report, n, wanted, |n| place(report, n)));
        let placed = |r: &Report, n: &Node| {
            Some(Some(Placed { value: file(r, n, folder)?, place: n.place }))
        };
        let bearer_file = s.or("bearer_file", None, placed);
        let headers_file = s.or("headers_file", None, placed);
        let max_age = s.or("max_age", max_age, age);
        let deadline = s.or("deadline", DEADLINE, |r, n| within(r, n, DEADLINE_MAX));
        Some(SourceEntry::Http(Box::new(HttpEntry {
            url: url?,
            prices: prices?,
            bearer_file: bearer_file?,
            headers_file: headers_file?,
            max_age: max_age?,
            deadline: deadline?,
        })))
    })?
}

/// `/ethereum/usd`, or `{ price: /ethereum/usd, at: /ethereum/last_updated_at }`.
fn place(report: &Report, node: &Node) -> Option<PricePlace> {
    if matches!(node.value, Value::Text(_)) {
        return Some(PricePlace { price: report.parsed(node)?, at: None });
    }
    report.section(node, "a price's place", |s| {
        let price = s.required("price").and_then(|n| report.parsed::<JsonPointer>(n));
        let at = s.or("at", None, |r, n| r.parsed::<JsonPointer>(n).map(Some));
        Some(PricePlace { price: price?, at: at? })
    })?
}

fn by_symbol<T>(
    report: &Report,
    node: &Node,
    wanted: &str,
    read: impl Fn(&Node) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let Value::Map(entries) = &node.value else {
        report.refuse(node.place, wanted);
        return None;
    };
    let named = |(key, node): &(Key, Node)| {
        let name = Node { place: key.place, value: Value::Text(key.text.clone()) };
        Some((symbol(report, &name)?, read(node)?))
    };
    Some(entries.iter().filter_map(named).collect())
}

fn age(report: &Report, node: &Node) -> Option<Millis> {
    within(report, node, MAX_AGE_MAX)
}

/// From one second: what is asked for more often is asked for by every request.
fn pause(text: &str) -> Result<Millis, String> {
    match text.parse::<Millis>() {
        Ok(pause @ Millis(1_000..=600_000)) => Ok(pause),
        Ok(_) => Err(format!("`{text}` is not between 1s and 10m")),
        Err(error) => Err(error.to_string()),
    }
}

/// `2%`, `0.5%`: from 0.01 % to 100 %.
pub(crate) fn percent(text: &str) -> Result<BasisPoints, String> {
    let wrong = || format!("`{text}` is not a percentage from 0.01% to 100%, as in 2% or 0.5%");
    hundredths(text).filter(|points| points.0 > 0).ok_or_else(wrong)
}

/// `0%`, `2%`, `0.5%`: from nothing to 100 %.
pub(crate) fn points(text: &str) -> Result<BasisPoints, String> {
    let wrong = || format!("`{text}` is not a percentage from 0% to 100%, as in 2% or 0.5%");
    hundredths(text).ok_or_else(wrong)
}

fn hundredths(text: &str) -> Option<BasisPoints> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 3 || part.len() > 2 {
        return None;
    }
    let points = format!("{whole}{part:0<2}").parse().ok()?;
    (points <= 10_000).then_some(BasisPoints(points))
}
