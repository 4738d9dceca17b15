//! All sources together: who is asked, what counts, and what is remembered of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use countersign_core::{amount::Price, time::Timestamp};
use countersign_engine::port::{
    Prices,
    prices::{PriceAlarm, PriceBell, PriceError, Quote},
};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    Sample, Silence,
    chainlink::ChainlinkFeeds,
    http::{DOCUMENT_BYTES_MAX, HttpPrices},
    judge::{BasisPoints, Choice, Step, choose, step},
    options::{PriceOptions, SourceOptions},
};
use crate::{
    flight::Flights,
    options::{UpstreamError, duration},
    transport::Transport,
};

/// A price is usable so many times longer than it is left alone.
const KEPT: u32 = 3;

/// What ended and began again within this time is still the same occurrence.
const SAME_OCCURRENCE: Duration = Duration::from_mins(10);

/// A source that takes longer has not answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Over which time a price may change by what is configured per minute.
const ANCHORED: Duration = Duration::from_mins(1);

/// Prices of several sources, checked against each other.
///
/// What was seen lately is answered without waiting, and never once it is too old by its own source's rule. Any number
/// of callers share one question per symbol.
pub struct PriceSources {
    sources: Vec<Source>,
    lines: BTreeMap<String, Line>,
    deviation: BasisPoints,
    change_per_minute: BasisPoints,
    refresh: Duration,
    wall: fn() -> Timestamp,
    bell: PriceBell,
    flights: Flights<String, Quote, PriceError>,
    /// What is wrong, and when it was seen last.
    wrongs: Mutex<BTreeMap<(&'static str, String), Instant>>,
}

#[derive(Debug)]
enum Source {
    Static(BTreeMap<String, Price>),
    Chainlink(ChainlinkFeeds),
    Http(Box<HttpPrices>),
}

/// One symbol.
#[derive(Debug, Default)]
struct Line {
    /// Places of the sources that name it.
    sources: Vec<usize>,
    /// Whether any of them can change.
    live: bool,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    held: Option<Held>,
    /// When sources were asked last, whatever they said.
    asked: Option<Instant>,
    /// What falls are measured against.
    anchor: Option<(Price, Instant)>,
}

#[derive(Debug, Clone)]
struct Held {
    quote: Quote,
    good_until: Option<Timestamp>,
    seen: Instant,
}

impl PriceSources {
    /// Sets all sources up. Connects to nothing.
    pub fn new(options: PriceOptions) -> Result<Self, UpstreamError> {
        let PriceOptions { sources, deviation, change_per_minute, refresh, wall, bell } = options;
        let refresh = duration(refresh);
        let sources = (1..).zip(sources).map(|(place, source)| Source::new(place, source, refresh));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let mut lines = BTreeMap::<String, Line>::new();
        for (index, source) in sources.iter().enumerate() {
            for symbol in source.symbols() {
                let line = lines.entry(symbol.clone()).or_default();
                line.sources.push(index);
                line.live |= source.is_live();
            }
        }
        Ok(Self {
            sources,
            lines,
            deviation,
            change_per_minute,
            refresh,
            wall,
            bell,
            flights: Flights::new(Duration::ZERO),
            wrongs: Mutex::default(),
        })
    }

    /// Every symbol that a source names.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// Asks every source that names a symbol, and judges what they say.
    async fn ask(&self, symbol: &str, line: &Line) -> Result<Quote, PriceError> {
        line.memory().asked = Some(Instant::now());
        let asked = line.sources.iter().filter_map(|index| self.sources.get(*index));
        let said = join_all(
            asked.map(|source| async { (source.name(), source.sample(symbol, self.wall).await) }),
        );
        let (mut samples, mut silences) = (Vec::new(), Vec::new());
        for (source, said) in said.await {
            match said {
                Ok(sample) => samples.push((source, sample)),
                Err(silence) => silences.push(self.note(symbol, &source, &silence)),
            }
        }
        let Some(held) = self.judged(symbol, &samples, line) else {
            let reason = silences.join("; ");
            let text = format!("{symbol}: {reason}");
            self.alarm(PriceAlarm::Unavailable(text), symbol.to_owned());
            return Err(PriceError::Unavailable { symbol: symbol.to_owned(), reason });
        };
        let Quote { price, source, .. } = &held.quote;
        tracing::debug!(symbol, %price, source, "a price was looked at");
        line.memory().held = Some(held.clone());
        Ok(held.quote)
    }

    /// Keeps in mind that a source says nothing of use.
    fn note(&self, symbol: &str, source: &str, silence: &Silence) -> String {
        let told = format!("{source}: {silence}");
        let about = format!("{symbol} {source}");
        match silence {
            Silence::Nonsense(_) => {
                self.alarm(PriceAlarm::Refused(format!("{symbol}, {told}")), about);
            }
            Silence::Failed(_) if self.is_new("failed", about) => {
                tracing::warn!(symbol, "a price source does not answer as it should: {told}");
            }
            Silence::Failed(_) => {}
        }
        told
    }

    /// What counts of what was said.
    fn judged(&self, symbol: &str, samples: &[(String, Sample)], line: &Line) -> Option<Held> {
        let prices: Vec<Price> = samples.iter().map(|(_, sample)| sample.price).collect();
        let choice = choose(&prices, self.deviation)?;
        if let Choice::Disagreed { highest, lowest } = choice
            && let (Some((above, high)), Some((below, low))) =
                (samples.get(highest), samples.get(lowest))
        {
            let text = format!("{symbol}: {} by {above}, {} by {below}", high.price, low.price);
            self.alarm(PriceAlarm::Disagree(text), symbol.to_owned());
        }
        let (source, Sample { price, at, good_until }) = samples.get(choice.index())?;
        let (price, held_back) =
            if line.live { self.stepped(symbol, *price, line) } else { (*price, false) };
        let source = if held_back { format!("{source}, held back") } else { source.clone() };
        let quote = Quote { price, at: *at, source };
        Some(Held { quote, good_until: *good_until, seen: Instant::now() })
    }

    /// No faster than is configured; and whether it had to be held back.
    fn stepped(&self, symbol: &str, now: Price, line: &Line) -> (Price, bool) {
        let at = Instant::now();
        let mut memory = line.memory();
        let Some((before, since)) = memory.anchor else {
            memory.anchor = Some((now, at));
            return (now, false);
        };
        let ago = at.saturating_duration_since(since);
        let step = step(before, ago, now, self.change_per_minute);
        let used = match step {
            Step::Usual | Step::Rose => now,
            Step::Fell(floor) => floor,
        };
        if ago >= ANCHORED || used > before {
            memory.anchor = Some((used, at));
        }
        drop(memory);
        if step != Step::Usual {
            let seconds = ago.as_secs();
            let text =
                format!("{symbol}: from {before} to {now} within {seconds} s, counted as {used}");
            self.alarm(PriceAlarm::Jumped(text), symbol.to_owned());
        }
        (used, used != now)
    }

    fn alarm(&self, alarm: PriceAlarm, about: String) {
        if self.is_new(alarm.code(), about) {
            (self.bell)(alarm);
        }
    }

    /// Whether this was not so lately. An occurrence is told once, however long it lasts.
    fn is_new(&self, code: &'static str, about: String) -> bool {
        let now = Instant::now();
        let mut wrongs = self.wrongs.lock().unwrap_or_else(PoisonError::into_inner);
        let last = wrongs.insert((code, about), now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= SAME_OCCURRENCE)
    }

    /// What is held of a symbol, if it may still be used.
    fn held(&self, line: &Line) -> Option<Quote> {
        let held = line.memory().held.clone()?;
        let looked_at = !line.live || held.seen.elapsed() < self.refresh.saturating_mul(KEPT);
        let young = held.good_until.is_none_or(|until| (self.wall)() <= until);
        (looked_at && young).then_some(held.quote)
    }

    async fn look(&self, symbol: &str, line: &Line) -> Result<Quote, PriceError> {
        self.flights.share(symbol.to_owned(), self.ask(symbol, line)).await
    }
}

#[async_trait]
impl Prices for PriceSources {
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError> {
        let line = self.lines.get(symbol);
        let line = line.ok_or_else(|| PriceError::NeverPriced(symbol.to_owned()))?;
        match self.held(line) {
            Some(quote) => Ok(quote),
            None => self.look(symbol, line).await,
        }
    }

    async fn refresh(&self) {
        let due = |line: &Line| {
            line.live && line.memory().asked.is_none_or(|asked| asked.elapsed() >= self.refresh)
        };
        let due = self.lines.iter().filter(|(_, line)| due(line));
        // what fails is told on the way
        let _told = join_all(due.map(|(symbol, line)| self.look(symbol, line))).await;
    }
}

impl std::fmt::Debug for PriceSources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PriceSources").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Line {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn new(place: usize, options: SourceOptions, refresh: Duration) -> Result<Self, UpstreamError> {
        Ok(match options {
            SourceOptions::Static(prices) => Self::Static(prices),
            SourceOptions::Chainlink(options) => Self::Chainlink(ChainlinkFeeds::new(options)),
            SourceOptions::Http(options) => {
                let transport = Transport::new(DOCUMENT_BYTES_MAX)?;
                let made = HttpPrices::new(options, refresh, transport);
                let made = made.map_err(|fault| UpstreamError::PriceUrl { place, fault })?;
                Self::Http(Box::new(made))
            }
        })
    }

    fn symbols(&self) -> BTreeSet<&String> {
        match self {
            Self::Static(prices) => prices.keys().collect(),
            Self::Chainlink(feeds) => feeds.symbols().collect(),
            Self::Http(prices) => prices.symbols().collect(),
        }
    }

    const fn is_live(&self) -> bool {
        match self {
            Self::Static(_) => false,
            Self::Chainlink(_) | Self::Http(_) => true,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Static(_) => "static".to_owned(),
            Self::Chainlink(feeds) => feeds.name(),
            Self::Http(prices) => prices.name(),
        }
    }

    async fn sample(&self, symbol: &str, wall: fn() -> Timestamp) -> Result<Sample, Silence> {
        let unnamed = || Silence::Failed("it does not name the symbol".into());
        let asked = async {
            match self {
                Self::Static(prices) => {
                    let price = prices.get(symbol).copied().ok_or_else(unnamed)?;
                    Ok(Sample { price, at: None, good_until: None })
                }
                Self::Chainlink(feeds) => {
                    feeds.sample(*feeds.feeds().get(symbol).ok_or_else(unnamed)?, wall()).await
                }
                Self::Http(prices) => {
                    prices.sample(prices.places().get(symbol).ok_or_else(unnamed)?, wall).await
                }
            }
        };
        let late = Silence::Failed(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
        tokio::time::timeout(ANSWER_WITHIN, Box::pin(asked)).await.unwrap_or(Err(late))
    }
}
