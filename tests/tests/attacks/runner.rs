//! Runs one file of vectors against one gateway, and names every row that got through.

use std::cell::RefCell;

use countersign_tests::{Setup, StoreKind, World, wait};
use serde_json::{Value, json};

use crate::{
    expectation::Hashes,
    request::{self, Got, Words},
    vector::{File, Row, Step},
};

const POLICY: &str = include_str!("../../vectors/policy.yaml");

/// What one row needs while it runs.
struct Run<'w> {
    world: &'w World,
    words: Words,
    hashes: Hashes,
}

pub(crate) async fn run(file: &str) {
    let file: File = serde_json::from_str(file).expect("a file of vectors");
    let (fresh, shared): (Vec<Row>, Vec<Row>) = file.rows.into_iter().partition(|row| row.fresh);
    let mut failures = Vec::new();
    let world = start().await;
    for row in shared {
        failures.extend(run_row(&world, row).await);
    }
    for row in fresh {
        failures.extend(run_row(&start().await, row).await);
    }
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n"));
}

async fn start() -> World {
    let setup = Setup::new(StoreKind::Embedded).with_another_agent();
    World::start(setup.with(|bot| POLICY.clone_into(&mut bot.policy))).await
}

/// What went wrong with one row.
async fn run_row(world: &World, row: Row) -> Vec<String> {
    let (name, steps) = row.into_steps();
    let before = world.footprint().await;
    let mut run = Run { world, words: request::words(world), hashes: Hashes::default() };
    let mut failures = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if let Err(why) = run.step(step).await {
            failures.push(format!("{name} [{number}]: {why}"));
        }
    }
    let after = world.footprint().await;
    let meant = run.hashes.count();
    let sent = after.nonce.checked_sub(before.nonce).and_then(|sent| usize::try_from(sent).ok());
    let signed = after.signed.checked_sub(before.signed);
    if sent != Some(meant) || signed != Some(meant) {
        failures.push(format!("{name}: {meant} meant, sent {sent:?}, signed {signed:?}"));
    }
    if meant == 0 && after.writes != before.writes {
        failures.push(format!("{name}: reached the node: {:?}", after.writes));
    }
    failures
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if step.at_once > 0 {
            return self.at_once(step).await;
        }
        let got = if step.until { self.until(step).await } else { self.ask(step, 0).await };
        self.learn(&got);
        if !step.until {
            let checked = step.expect.check(&got, &mut self.hashes);
            checked.map_err(|why| format!("{why}, in {}", cut(&got.text())))?;
        }
        self.mined(step).await
    }

    async fn ask(&self, step: &Step, number: usize) -> Got {
        let mut words = self.words.clone();
        words.insert("$n".to_owned(), number.to_string());
        request::send(self.world, &step.request, &words).await
    }

    async fn until(&mut self, step: &Step) -> Got {
        let mut hashes = std::mem::take(&mut self.hashes);
        let shared = RefCell::new(&mut hashes);
        let got = wait::until("an expectation", async || {
            let got = self.ask(step, 0).await;
            step.expect.check(&got, &mut shared.borrow_mut()).is_ok().then_some(got)
        })
        .await;
        self.hashes = hashes;
        got
    }

    /// All at once; each answer counts for the first expectation of the tally that it meets.
    async fn at_once(&mut self, step: &Step) -> Result<(), String> {
        let asked = (0..step.at_once).map(|number| self.ask(step, number));
        let answers = futures_util::future::join_all(asked).await;
        let mut counts = vec![0_usize; step.tally.len()];
        for got in &answers {
            let met = step.tally.iter().position(|one| one.check(got, &mut self.hashes).is_ok());
            let count = met.and_then(|met| counts.get_mut(met));
            let count = count.ok_or_else(|| format!("not expected: {}", cut(&got.text())))?;
            *count = count.saturating_add(1);
        }
        let wanted: Vec<_> = step.tally.iter().map(|one| one.times).collect();
        if counts == wanted { Ok(()) } else { Err(format!("{counts:?}, not {wanted:?}")) }
    }

    /// Remembers what later steps name: the operation that was parked, the digest that was shown, the last
    /// result.
    fn learn(&mut self, got: &Got) {
        let json = got.json().unwrap_or_default();
        let named = [
            ("$operation", json.pointer("/error/data/pending_operation_id")),
            ("$digest", json.get("digest")),
            ("$last", json.get("result")),
        ];
        for (word, value) in named {
            if let Some(value) = value.and_then(Value::as_str) {
                self.words.insert(word.to_owned(), value.to_owned());
            }
        }
    }

    async fn mined(&self, step: &Step) -> Result<(), String> {
        let Some(hash) = self.hashes.last.as_ref().filter(|_| !step.expect.mined.is_empty()) else {
            return Ok(());
        };
        let sent = wait::until("the node to know a transaction", async || {
            let sent = self.world.anvil.call("eth_getTransactionByHash", json!([hash])).await;
            (!sent.is_null()).then_some(sent)
        })
        .await;
        let wrong = step.expect.mined.iter().find(|(name, value)| sent.get(*name) != Some(*value));
        wrong.map_or(Ok(()), |(name, value)| Err(format!("{name} is not {value} in {sent}")))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(600).collect()
}
