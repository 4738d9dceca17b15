//! Runs one file of vectors, and names every row that got through: rows share a gateway where they can, the others
//! have worlds of their own, several at a time.

use std::{panic::AssertUnwindSafe, time::Duration};

use countersign_tests::{StoreKind, world::Footprint};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    expectation::Hashes,
    request::{self, Got},
    scene::Scene,
    vector::{Expect, File, Row, Setting, Step, Store},
    words::Words,
};

/// How many worlds at once, of all files. Rows wait most of the time.
static WORLDS: Semaphore = Semaphore::const_new(8);

/// How many of them start at once: to open a keystore is work.
static STARTS: Semaphore = Semaphore::const_new(2);

/// How long between two looks at what is to become true.
const GLANCE: Duration = Duration::from_millis(50);

/// What one row needs while it runs.
struct Run<'s> {
    scene: &'s mut Scene,
    words: Words,
    hashes: Hashes,
}

pub(crate) async fn run(file: &str) {
    let file: File = serde_json::from_str(file).expect("a file of vectors");
    let rows = file.rows.into_iter().filter(|row| row.proved_by.is_empty());
    let wanted = countersign_tests::place::environment("COUNTERSIGN_ROW").unwrap_or_default();
    let wanted = wanted.to_str().unwrap_or_default();
    let rows = rows.filter(|row| row.name().starts_with(wanted));
    let (fresh, shared): (Vec<Row>, Vec<Row>) = rows.partition(Row::is_fresh);
    let mut fresh: Vec<_> = fresh.into_iter().flat_map(on_its_stores).collect();
    // those that wait longest begin first
    fresh.sort_by_key(|(row, _)| std::cmp::Reverse(row.patience()));
    let fresh = fresh.into_iter();
    let fresh = fresh.map(|(row, store)| alone(row, store).boxed_local());
    let shared = std::iter::once(together(shared).boxed_local());
    let all = futures_util::future::join_all(shared.chain(fresh));
    let failures: Vec<String> = all.await.concat();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn on_its_stores(row: Row) -> Vec<(Row, StoreKind)> {
    let store = row.world.as_ref().map(|world| world.store).unwrap_or_default();
    match store {
        Store::Embedded => vec![(row, StoreKind::Embedded)],
        Store::Redis => vec![(row, StoreKind::Redis)],
        Store::Both => vec![(row.clone(), StoreKind::Embedded), (row, StoreKind::Redis)],
    }
}

async fn together(rows: Vec<Row>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let _place = WORLDS.acquire().await.expect("it is never closed");
    let mut scene = start(&Setting::default(), StoreKind::Embedded).await;
    let mut failures = Vec::new();
    for row in rows {
        failures.extend(run_row(&mut scene, row).await);
    }
    failures
}

async fn start(setting: &Setting, store: StoreKind) -> Scene {
    let _turn = STARTS.acquire().await.expect("it is never closed");
    Scene::start(setting, store).await
}

async fn alone(row: Row, store: StoreKind) -> Vec<String> {
    let _place = WORLDS.acquire().await.expect("it is never closed");
    let name = format!("{} ({store:?})", row.name());
    let work = async {
        let setting = row.world.clone().unwrap_or_default();
        let mut scene = start(&setting, store).await;
        let started = Instant::now();
        let mut failures = run_row(&mut scene, row).await;
        println!("{:>6.1?}  {name}", started.elapsed());
        if !failures.is_empty() {
            let log = scene.world.gateway.log();
            let lines = log.lines().filter(|line| !line.contains("\"INFO\""));
            failures.extend(lines.take(40).map(str::to_owned));
        }
        failures
    };
    match Box::pin(AssertUnwindSafe(work).catch_unwind()).await {
        Ok(failures) => failures,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            vec![format!("{name}: {}", text.unwrap_or_else(|| "it panicked".into()))]
        }
    }
}

/// What went wrong with one row.
async fn run_row(scene: &mut Scene, row: Row) -> Vec<String> {
    let (name, leaves) = (row.name(), row.leaves);
    let before = scene.footprint(true).await;
    let words = Words::of(scene);
    let mut run = Run { scene, words, hashes: Hashes::default() };
    let mut failures = Vec::new();
    for (number, step) in row.into_steps().iter().enumerate() {
        if let Err(why) = run.step(step).await {
            failures.push(format!("{name} [{number}]: {why}"));
        }
    }
    let after = run.scene.footprint(!leaves.no_books).await;
    let meant = run.hashes.count();
    let mined = meant.saturating_add(leaves.foreign).checked_sub(leaves.unmined);
    let (sent, signed) = moved(&before, &after);
    let written = meant.saturating_add(leaves.messages);
    if sent != mined || signed != Some(written) {
        failures.push(format!("{name}: {written} meant, sent {sent:?}, signed {signed:?}"));
    }
    if meant == 0 && after.writes != before.writes {
        failures.push(format!("{name}: reached the node: {:?}", after.writes));
    }
    failures
}

/// By how many transactions, and by how many signed operations.
fn moved(before: &Footprint, after: &Footprint) -> (Option<usize>, Option<usize>) {
    let sent = after.nonce.checked_sub(before.nonce).and_then(|sent| usize::try_from(sent).ok());
    (sent, after.signed.checked_sub(before.signed))
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if step.at_once > 0 {
            return self.at_once(step).await;
        }
        for number in 0..step.repeat {
            self.once(step, number).await?;
        }
        self.mined(step).await
    }

    async fn once(&mut self, step: &Step, number: usize) -> Result<(), String> {
        let words = self.words.with("$n", number.to_string());
        let acted = request::act(self.scene, &step.request, &words).await;
        let expect = step.expect.spelled(&words);
        let got = match acted {
            Some(got) => got,
            None if step.until => return self.until(step, &expect, number).await,
            None => self.ask(step, number).await,
        };
        self.learn(step, &got);
        let checked = expect.check(&got, &mut self.hashes);
        checked.map_err(|why| format!("{why}, in {}", cut(&got.text())))
    }

    async fn ask(&self, step: &Step, number: usize) -> Got {
        let words = self.words.with("$n", number.to_string());
        request::send(self.scene, &step.request, &words, number).await
    }

    async fn until(&mut self, step: &Step, expect: &Expect, number: usize) -> Result<(), String> {
        let end = Instant::now().checked_add(Duration::from_secs(step.within));
        loop {
            let got = self.ask(step, number).await;
            let checked = expect.check(&got, &mut self.hashes);
            match checked {
                Ok(()) => {
                    self.learn(step, &got);
                    return Ok(());
                }
                Err(why) if Some(Instant::now()) > end => {
                    let waited = step.within;
                    return Err(format!("{why}, after {waited} s, in {}", cut(&got.text())));
                }
                Err(_) => sleep(GLANCE).await,
            }
        }
    }

    /// All at once; each answer counts for the first expectation of the tally that it meets.
    async fn at_once(&mut self, step: &Step) -> Result<(), String> {
        let asked = (0..step.at_once).map(|number| self.ask(step, number));
        let answers = futures_util::future::join_all(asked).await;
        let tally: Vec<_> = step.tally.iter().map(|one| one.spelled(&self.words)).collect();
        let mut counts = vec![0_usize; tally.len()];
        for got in &answers {
            let met = tally.iter().position(|one| one.check(got, &mut self.hashes).is_ok());
            let count = met.and_then(|met| counts.get_mut(met));
            let count = count.ok_or_else(|| format!("not expected: {}", cut(&got.text())))?;
            *count = count.saturating_add(1);
        }
        let wanted: Vec<_> = tally.iter().map(|one| one.times).collect();
        if counts == wanted { Ok(()) } else { Err(format!("{counts:?}, not {wanted:?}")) }
    }

    /// Remembers what later steps name: the operation that was parked, the digest that was shown, the last
    /// result, and what the step itself wants to keep.
    fn learn(&mut self, step: &Step, got: &Got) {
        let json = got.json().unwrap_or_default();
        let named = [
            ("$operation", json.pointer("/error/data/pending_operation_id")),
            ("$digest", json.get("digest")),
            ("$last", json.get("result")),
        ];
        for (word, value) in named {
            if let Some(value) = value.and_then(Value::as_str) {
                self.words.learn(word, value.to_owned());
            }
        }
        for (word, pointer) in &step.keep {
            match json.pointer(pointer) {
                Some(Value::String(text)) => self.words.learn(word, text.clone()),
                Some(other) => self.words.learn(word, other.to_string()),
                None => panic!("{pointer} is not in {}", cut(&got.text())),
            }
        }
    }

    async fn mined(&self, step: &Step) -> Result<(), String> {
        let Some(hash) = self.hashes.last.as_ref().filter(|_| !step.expect.mined.is_empty()) else {
            return Ok(());
        };
        let sent = countersign_tests::wait::until("the node to know a transaction", async || {
            let anvil = &self.scene.world.anvil;
            let sent = anvil.call("eth_getTransactionByHash", json!([hash])).await;
            (!sent.is_null()).then_some(sent)
        })
        .await;
        let wrong = step.expect.mined.iter().find(|(name, value)| sent.get(*name) != Some(*value));
        wrong.map_or(Ok(()), |(name, value)| Err(format!("{name} is not {value} in {sent}")))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(900).collect()
}
