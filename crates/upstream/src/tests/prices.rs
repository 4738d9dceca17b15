//! Price sources against a real aggregator contract on a real node, and against a server of documents.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use alloy_primitives::{Address, B256, U256, hex};
use bytes::Bytes;
use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::{
    Prices,
    prices::{PriceAlarm, PriceError, Quote},
};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{anvil::Anvil, stub};
use crate::{
    BasisPoints, ChainlinkOptions, HttpOptions, NodeChain, PriceOptions, PricePlace, PriceSources,
    SourceOptions,
};

const NOW_S: u64 = 1_700_000_000;
const HOUR: Millis = Millis(3_600_000);

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_S * 1000)
}

type Rung = Arc<Mutex<Vec<PriceAlarm>>>;

/// Sources, and what they ring for. Every price is looked at again, unless a test says otherwise.
fn options(sources: Vec<SourceOptions>) -> (PriceOptions, Rung) {
    let rung = Rung::default();
    let heard = Arc::clone(&rung);
    let options = PriceOptions {
        sources,
        deviation: BasisPoints(200),
        change_per_minute: BasisPoints(1000),
        refresh: Millis::ZERO,
        wall: now,
        bell: Arc::new(move |alarm| heard.lock().unwrap().push(alarm)),
    };
    (options, rung)
}

fn of(sources: Vec<SourceOptions>) -> (PriceSources, Rung) {
    let (options, rung) = options(sources);
    (PriceSources::new(options).unwrap(), rung)
}

fn codes(rung: &Rung) -> Vec<&'static str> {
    rung.lock().unwrap().iter().map(PriceAlarm::code).collect()
}

fn stated(prices: &[(&str, &str)]) -> SourceOptions {
    let price = |(symbol, price): &(&str, &str)| ((*symbol).to_owned(), price.parse().unwrap());
    SourceOptions::Static(prices.iter().map(price).collect())
}

async fn shown(prices: &PriceSources, symbol: &str) -> Result<String, String> {
    let told = |error: PriceError| error.to_string();
    prices.price(symbol).await.map(|quote| quote.price.to_string()).map_err(told)
}

// ---------------------------------------------------------------- Chainlink

const FEED: Address = Address::repeat_byte(0xfe);
const UPTIME: Address = Address::repeat_byte(0x5e);

/// An aggregator by hand. `latestRoundData()` returns the storage words 0 to 4, `decimals()` returns word 5, and
/// everything else reverts.
const AGGREGATOR: [u8; 71] = hex!(
    "6000 35 60e0 1c"           // 00 the selector
    "80 63feaf968c 14 601c 57"  // 06 latestRoundData() goes to 1c
    "63313ce567 14 603d 57"     // 10 decimals() goes to 3d
    "5f 5f fd"                  // 19 revert with nothing
    "5b 5f 54 5f 52"            // 1c word 0: roundId
    "6001 54 6020 52"           // 21 word 1: answer
    "6002 54 6040 52"           // 27 word 2: startedAt
    "6003 54 6060 52"           // 2d word 3: updatedAt
    "6004 54 6080 52"           // 33 word 4: answeredInRound
    "60a0 5f f3"                // 39 return all five
    "5b 6005 54 5f 52 6020 5f f3" // 3d word 5: decimals
);

async fn deploy(anvil: &Anvil, at: Address, words: [U256; 6]) {
    let code = format!("0x{}", hex::encode(AGGREGATOR));
    anvil.ask("anvil_setCode", json!([at, code])).await;
    for (slot, word) in words.into_iter().enumerate() {
        store(anvil, at, slot, word).await;
    }
}

async fn store(anvil: &Anvil, at: Address, slot: usize, word: U256) {
    let params = json!([at, format!("{slot:#x}"), B256::from(word)]);
    anvil.ask("anvil_setStorageAt", params).await;
}

fn round(words: [u64; 6]) -> [U256; 6] {
    words.map(U256::from)
}

fn chainlink(chain: NodeChain, sequencer_uptime_feed: Option<Address>) -> SourceOptions {
    SourceOptions::Chainlink(ChainlinkOptions {
        chain: Arc::new(chain),
        feeds: BTreeMap::from([
            ("ETH".to_owned(), FEED),
            ("NOTHING".to_owned(), Address::repeat_byte(0x99)),
        ]),
        max_age: HOUR,
        sequencer_uptime_feed,
    })
}

fn chain(anvil: &Anvil) -> NodeChain {
    NodeChain::new(stub::options(std::slice::from_ref(&anvil.url))).unwrap()
}

#[tokio::test]
async fn an_aggregators_round_is_believed_only_as_a_whole() {
    let anvil = Anvil::start().await;
    let good = round([7, 317_412_345_678, NOW_S, NOW_S - 30, 7, 8]);
    deploy(&anvil, FEED, good).await;
    let (prices, rung) = of(vec![chainlink(chain(&anvil), None)]);
    let quote = Quote {
        price: "3174.12345678".parse().unwrap(),
        at: Some(Timestamp::from_millis((NOW_S - 30) * 1000)),
        source: "chainlink on chain 31337".into(),
    };
    assert_eq!(prices.price("ETH").await, Ok(quote));
    for (slot, word, why) in [
        (1, U256::ZERO, "its answer is 0 or less"),
        (1, U256::MAX, "its answer is 0 or less"),
        (1, U256::from(1) << 254, "its price is above 10^12 USD"),
        (3, U256::ZERO, "its newest round is not complete"),
        (3, U256::from(NOW_S + 61), "its price is from 61 s in the future"),
        (
            3,
            U256::from(NOW_S - 3601),
            "its price is 3601 s old, more than the 1h that are configured",
        ),
        (4, U256::from(6), "its newest round was answered in an earlier one"),
        (5, U256::from(77), "its `decimals` is no number of decimals"),
    ] {
        store(&anvil, FEED, slot, word).await;
        let expected =
            format!("the price of `ETH` is not available: chainlink on chain 31337: {why}");
        assert_eq!(shown(&prices, "ETH").await, Err(expected));
        store(&anvil, FEED, slot, good[slot]).await;
        assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3174.12345678"));
    }
    let refused = shown(&prices, "NOTHING").await.unwrap_err();
    assert!(
        refused.ends_with("its contract is no aggregator: it has no `latestRoundData`"),
        "{refused}"
    );
    // one of each kind for each symbol, however often it was so
    assert_eq!(
        codes(&rung),
        ["price_refused", "price_unavailable", "price_refused", "price_unavailable"]
    );
}

#[tokio::test]
async fn prices_of_a_roll_up_count_only_while_its_sequencer_is_up() {
    let anvil = Anvil::start().await;
    deploy(&anvil, FEED, round([7, 300_000_000_000, NOW_S, NOW_S, 7, 8])).await;
    deploy(&anvil, UPTIME, round([1, 0, NOW_S - 7200, NOW_S, 1, 0])).await;
    let (prices, _) = of(vec![chainlink(chain(&anvil), Some(UPTIME))]);
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3000"));
    store(&anvil, UPTIME, 1, U256::from(1)).await;
    assert!(shown(&prices, "ETH").await.unwrap_err().ends_with("the chain's sequencer is down"));
    store(&anvil, UPTIME, 1, U256::ZERO).await;
    store(&anvil, UPTIME, 2, U256::from(NOW_S - 60)).await;
    let refused = shown(&prices, "ETH").await.unwrap_err();
    assert!(refused.contains("up again for 1 minutes only"), "{refused}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_leaves_no_price_and_the_next_source_counts() {
    let dead = NodeChain::new(stub::options(&[stub::nobody().await])).unwrap();
    let (prices, rung) = of(vec![chainlink(dead, None), stated(&[("ETH", "3000")])]);
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3000"));
    assert!(codes(&rung).is_empty());
    assert!(matches!(prices.price("NOTHING").await, Err(PriceError::Unavailable { .. })));
    assert_eq!(prices.price("BTC").await, Err(PriceError::NeverPriced("BTC".into())));
}

// ---------------------------------------------------------------- HTTP

/// What a server of documents does next.
#[derive(Debug, Clone)]
enum Page {
    Says(u16, String),
    Stalls,
}

/// A server of one document, which a test rewrites.
struct Site {
    port: u16,
    page: Arc<Mutex<Page>>,
    hits: Arc<AtomicUsize>,
    headers: Arc<Mutex<HeaderMap>>,
    task: JoinHandle<()>,
}

impl Site {
    async fn new(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let page = Arc::new(Mutex::new(Page::Says(200, text.into())));
        let (hits, headers) = (Arc::default(), Arc::default());
        let task = tokio::spawn(serve(
            listener,
            Arc::clone(&page),
            Arc::clone(&hits),
            Arc::clone(&headers),
        ));
        Self { port, page, hits, headers, task }
    }

    fn says(&self, text: &str) {
        *self.page.lock().unwrap() = Page::Says(200, text.into());
    }

    fn turns(&self, page: Page) {
        *self.page.lock().unwrap() = page;
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Its prices of ETH and BTC, at `/eth` and `/btc`.
    fn source(&self) -> HttpOptions {
        let place = |price: &str| PricePlace { price: price.parse().unwrap(), at: None };
        HttpOptions {
            url: format!("http://127.0.0.1:{}/v1/pathsecret0?key=querysecret", self.port),
            headers: HeaderMap::new(),
            prices: BTreeMap::from([("ETH".into(), place("/eth")), ("BTC".into(), place("/btc"))]),
            max_age: HOUR,
            deadline: Millis(300),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    page: Arc<Mutex<Page>>,
    hits: Arc<AtomicUsize>,
    headers: Arc<Mutex<HeaderMap>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (page, hits, headers) = (Arc::clone(&page), Arc::clone(&hits), Arc::clone(&headers));
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                hits.fetch_add(1, Ordering::SeqCst);
                *headers.lock().unwrap() = request.headers().clone();
                let page = page.lock().unwrap().clone();
                async move {
                    match page {
                        Page::Says(status, text) => Response::builder()
                            .status(status)
                            .header("location", "http://127.0.0.1:9/")
                            .body(Full::new(Bytes::from(text))),
                        Page::Stalls => std::future::pending().await,
                    }
                }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
            // a client that goes away is part of the play
            drop(served);
        });
    }
}

#[tokio::test]
async fn callers_share_one_question_and_then_ask_none() {
    let site = Site::new(r#"{"eth": 3000.5, "btc": "60000"}"#).await;
    let (mut options, _) = options(vec![SourceOptions::Http(site.source())]);
    options.refresh = HOUR;
    let prices = PriceSources::new(options).unwrap();
    let asked = join_all((0..100).map(|_| shown(&prices, "ETH"))).await;
    assert_eq!(asked, vec![Ok("3000.5".to_owned()); 100]);
    assert_eq!(site.hits(), 1);
    // what nobody asked for yet is looked at too, and what was seen just now is left alone
    prices.refresh().await;
    prices.refresh().await;
    let after = site.hits();
    assert!(after <= 2, "{after}");
    assert_eq!(shown(&prices, "BTC").await.as_deref(), Ok("60000"));
    assert_eq!((shown(&prices, "ETH").await.as_deref(), site.hits()), (Ok("3000.5"), after));
}

#[tokio::test]
async fn nobody_waits_for_a_look_while_a_price_is_fresh() {
    let site = Site::new(r#"{"eth": 3000, "btc": 1}"#).await;
    let (mut options, _) = options(vec![SourceOptions::Http(site.source())]);
    options.refresh = HOUR;
    let prices = Arc::new(PriceSources::new(options).unwrap());
    prices.price("ETH").await.unwrap();
    site.turns(Page::Stalls);
    // BTC was never looked at: this one waits
    let looking = Arc::clone(&prices);
    let look = tokio::spawn(async move { looking.price("BTC").await });
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3000"));
    drop(look.await.unwrap());
}

#[tokio::test]
async fn what_can_be_no_price_is_refused_and_told() {
    let site = Site::new("").await;
    let long = "9".repeat(1000);
    for sample in [
        "-1",
        "NaN",
        "\"NaN\"",
        "\"inf\"",
        "0",
        "0.0",
        "1e-30",
        "1e30",
        "\"1,000\"",
        &long,
        "null",
        "true",
        "[]",
        "\"\"",
        "1, \"eth\": 1",
    ] {
        site.says(&format!("{{\"eth\": {sample}}}"));
        let (prices, rung) = of(vec![SourceOptions::Http(site.source())]);
        let found = prices.price("ETH").await;
        assert!(matches!(found, Err(PriceError::Unavailable { .. })), "{sample}: {found:?}");
        assert_eq!(codes(&rung), ["price_refused", "price_unavailable"], "{sample}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_serve_has_no_price_and_no_secret_is_shown() {
    let site = Site::new("").await;
    let flood = format!("{{\"eth\": 1, \"x\": \"{}\"}}", "x".repeat(1024 * 1024));
    for (page, why) in [
        (Page::Says(500, r#"{"eth": 1}"#.into()), "HTTP 500"),
        (Page::Says(404, r#"{"eth": 1}"#.into()), "HTTP 404"),
        (
            Page::Says(302, r#"{"eth": 1}"#.into()),
            "HTTP 302: a redirect is not followed, configure the final URL",
        ),
        (Page::Says(429, String::new()), "HTTP 429, too many requests"),
        (Page::Says(200, flood), "an answer of more than 1048576 bytes"),
        (Page::Says(200, "<html>".into()), "what it says is not JSON"),
        (Page::Says(200, "{}".into()), "its answer has nothing at /eth, or has it twice"),
        (Page::Stalls, "no answer within 300 ms"),
    ] {
        site.turns(page);
        let mut source = site.source();
        source.headers.insert("x-key", HeaderValue::from_static("headersecret"));
        let (prices, rung) = of(vec![SourceOptions::Http(source)]);
        let told = shown(&prices, "ETH").await.unwrap_err();
        let expected =
            format!("the price of `ETH` is not available: http://127.0.0.1:{}: {why}", site.port);
        assert_eq!(told, expected);
        let everything = format!("{told} {prices:?} {rung:?}");
        for secret in ["pathsecret0", "querysecret", "headersecret"] {
            assert!(!everything.contains(secret), "{everything}");
        }
    }
}

#[tokio::test]
async fn a_server_sees_its_headers_and_speaks_tls_where_the_url_says_so() {
    let site = Site::new(r#"{"eth": 5}"#).await;
    let mut source = site.source();
    source.headers.insert("authorization", HeaderValue::from_static("Bearer abc"));
    let (prices, _) = of(vec![SourceOptions::Http(source.clone())]);
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("5"));
    let seen = site.headers.lock().unwrap().clone();
    assert_eq!(seen["authorization"], "Bearer abc");
    source.url = source.url.replace("http://", "https://");
    let (prices, _) = of(vec![SourceOptions::Http(source)]);
    // this one speaks no TLS
    assert!(matches!(prices.price("ETH").await, Err(PriceError::Unavailable { .. })));
}

#[tokio::test]
async fn the_first_counts_where_sources_agree_and_the_highest_where_they_do_not() {
    let (one, two) = (Site::new("").await, Site::new("").await);
    let sources = || vec![SourceOptions::Http(one.source()), SourceOptions::Http(two.source())];
    let (high, low) = (r#"{"eth": 3100}"#, r#"{"eth": 3000}"#);
    for (first, second, expected, rings) in [
        (low, r#"{"eth": 3060}"#, "3000", &[][..]),
        (low, high, "3100", &["prices_disagree"][..]),
        (high, low, "3100", &["prices_disagree"][..]),
        (low, "{", "3000", &["price_refused"][..]),
        ("{", high, "3100", &["price_refused"][..]),
        ("{\"eth\": 1e-30}", low, "3000", &["price_refused"][..]),
    ] {
        one.says(first);
        two.says(second);
        let (prices, rung) = of(sources());
        for _ in 0..3 {
            assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok(expected), "{first} {second}");
        }
        assert_eq!(codes(&rung), rings, "{first} {second}");
    }
    one.turns(Page::Says(500, String::new()));
    two.turns(Page::Says(503, String::new()));
    let (prices, rung) = of(sources());
    let told = shown(&prices, "ETH").await.unwrap_err();
    assert!(told.ends_with("HTTP 503") && told.contains("HTTP 500; "), "{told}");
    assert_eq!(codes(&rung), ["price_unavailable"]);
}

#[tokio::test]
async fn a_fall_counts_step_by_step_and_a_rise_at_once() {
    let site = Site::new(r#"{"eth": 3000}"#).await;
    let (prices, rung) = of(vec![SourceOptions::Http(site.source())]);
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3000"));
    for (text, expected, source) in [
        (r#"{"eth": 2800}"#, "2800", ""),
        (r#"{"eth": 30}"#, "2700", ", held back"),
        (r#"{"eth": 9000}"#, "9000", ""),
        (r#"{"eth": 3000}"#, "8100", ", held back"),
    ] {
        site.says(text);
        let quote = prices.price("ETH").await.unwrap();
        assert_eq!(quote.price.to_string(), expected, "{text}");
        assert!(quote.source.ends_with(&format!("{}{source}", site.port)), "{quote:?}");
    }
    assert_eq!(codes(&rung), ["price_jumped"]);
}

#[tokio::test]
async fn a_price_that_says_when_it_was_is_too_old_by_its_own_time() {
    static WALL: AtomicU64 = AtomicU64::new(NOW_S * 1000);
    let site = Site::new(&format!("{{\"eth\": 3000, \"at\": {}}}", NOW_S - 3590)).await;
    let mut source = site.source();
    source.prices.get_mut("ETH").unwrap().at = Some("/at".parse().unwrap());
    let (mut options, _) = options(vec![SourceOptions::Http(source)]);
    options.refresh = HOUR;
    options.wall = || Timestamp::from_millis(WALL.load(Ordering::SeqCst));
    let prices = PriceSources::new(options).unwrap();
    let quote = prices.price("ETH").await.unwrap();
    assert_eq!(quote.at, Some(Timestamp::from_millis((NOW_S - 3590) * 1000)));
    WALL.fetch_add(10_000, Ordering::SeqCst);
    assert_eq!(shown(&prices, "ETH").await.as_deref(), Ok("3000"));
    WALL.fetch_add(1, Ordering::SeqCst);
    let told = shown(&prices, "ETH").await.unwrap_err();
    assert!(told.contains("3600 s old, more than the 1h"), "{told}");
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_named_by_the_place_of_its_source() {
    let mut source = Site::new("").await.source();
    source.url = "wss://host/key".into();
    let sources = vec![stated(&[]), SourceOptions::Http(source)];
    let refused = PriceSources::new(options(sources).0).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the price source 2 is a WebSocket: use the node's http:// or https:// URL"
    );
}
