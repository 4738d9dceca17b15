//! Agents and an operator at work while things break: they send, side by side, with keys and without, repeat what was
//! not answered at whichever gateway, and decide what is parked.

use std::time::Duration;

use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{
    Client, Fleet, Heard,
    tally::{End, Tally, Wish},
};
use crate::{
    Operator,
    config::{PAYEE, STRANGER},
    money::USD,
    proxy::Chance,
};

/// Everybody who works.
#[derive(Debug)]
pub struct Work {
    /// What they were told.
    pub tally: Tally,
    stop: watch::Sender<bool>,
    agents: JoinSet<()>,
    desk: JoinSet<()>,
}

/// One client of an agent, with a door at each gateway.
struct Worker {
    name: String,
    agent: &'static str,
    doors: Vec<Client>,
    chance: Chance,
    tally: Tally,
}

/// The person at the desk.
struct Desk {
    doors: Vec<Operator>,
    chance: Chance,
    tally: Tally,
}

impl Work {
    /// Starts `clients` clients of each agent, and one person.
    #[must_use]
    pub fn start(
        fleet: &Fleet,
        agents: &[&'static str],
        clients: usize,
        chance: &mut Chance,
    ) -> Self {
        let tally = Tally::default();
        let (stop, stopped) = watch::channel(false);
        let mut work = Self { tally, stop, agents: JoinSet::new(), desk: JoinSet::new() };
        let doors = 0..fleet.posts.len();
        for number in 0..clients.saturating_mul(agents.len()) {
            let agent = *agents.iter().cycle().nth(number).expect("one of them");
            let worker = Worker {
                name: format!("{agent}-{number}"),
                agent,
                doors: doors.clone().map(|door| fleet.client(door, agent)).collect(),
                chance: chance.fork(),
                tally: work.tally.clone(),
            };
            work.agents.spawn(worker.work(number, stopped.clone()));
        }
        let doors = doors.map(|door| fleet.alice(door)).collect();
        let desk = Desk { doors, chance: chance.fork(), tally: work.tally.clone() };
        work.desk.spawn(desk.work());
        work
    }

    /// Nothing new is wished for; returns when every wish has its last word. `false` if that does not come in time.
    pub async fn finish(&mut self, within: Duration) -> bool {
        self.stop.send_replace(true);
        let all = async { while self.agents.join_next().await.is_some_and(|end| end.is_ok()) {} };
        let ended = tokio::time::timeout(within, all).await.is_ok() && self.agents.is_empty();
        self.desk.abort_all();
        ended
    }
}

impl Worker {
    async fn work(mut self, number: usize, stopped: watch::Receiver<bool>) {
        // every wish of every worker has an amount of its own
        let mut wei = u128::try_from(number).expect("a number").saturating_mul(1_000_000);
        while !*stopped.borrow() {
            wei = wei.saturating_add(1);
            self.wish(wei).await;
            sleep(Duration::from_millis(self.chance.below(80))).await;
        }
    }

    async fn wish(&mut self, unique: u128) {
        let (to, usd) = match self.chance.below(100) {
            0..=72 => (PAYEE, self.chance.below(9).saturating_add(1)),
            73..=89 => (PAYEE, 120),
            _ => (STRANGER, 5),
        };
        let wei = u128::from(usd).saturating_mul(USD).saturating_add(unique);
        let key = self.chance.percent(60).then(|| format!("{}-{unique}", self.name));
        let (hashes, parked) = Default::default();
        let wish = Wish { agent: self.agent, key, to, wei, hashes, parked, end: None };
        let number = self.tally.wish(wish.clone());
        if wish.key.is_some() && self.chance.percent(15) {
            // the same request twice at the same time
            let mut twin = self.twin();
            tokio::join!(self.pursue(number, &wish), twin.pursue(number, &wish));
        } else {
            self.pursue(number, &wish).await;
        }
    }

    fn twin(&mut self) -> Self {
        Self {
            name: self.name.clone(),
            agent: self.agent,
            doors: self.doors.clone(),
            chance: self.chance.fork(),
            tally: self.tally.clone(),
        }
    }

    /// Repeats until there is a last word.
    async fn pursue(&mut self, number: usize, wish: &Wish) {
        loop {
            let door = self.chance.pick(&self.doors).clone();
            match door.send(wish.key.as_deref(), wish.to, wish.wei).await {
                Heard::Hash(hash) => {
                    return self.tally.note(number, |wish| {
                        wish.hashes.insert(hash);
                        wish.end = Some(End::Paid);
                    });
                }
                Heard::Refused(error) if error.is_final() => {
                    return self.tally.note(number, |wish| wish.end = Some(End::of(&error)));
                }
                Heard::Refused(error) => {
                    let id = error.text("pending_operation_id").to_owned();
                    if !id.is_empty() {
                        self.tally.note(number, |wish| wish.parked.extend([id]));
                    }
                }
                Heard::Nothing => self.tally.broke(),
            }
            sleep(Duration::from_millis(self.chance.below(150).saturating_add(50))).await;
        }
    }
}

impl Desk {
    async fn work(mut self) {
        loop {
            let door = self.chance.pick(&self.doors).clone();
            for item in door.all("/pending-operations?limit=200").await.unwrap_or_default() {
                self.decide(&door, &item).await;
            }
            sleep(Duration::from_millis(150)).await;
        }
    }

    async fn decide(&mut self, door: &Operator, item: &Value) {
        let Some(id) = item.get("id").and_then(Value::as_str) else { return };
        let (yes, word) = match self.chance.below(10) {
            0..=5 => (true, serde_json::json!({"digest": item.get("digest")})),
            6..=7 => (false, serde_json::json!({"reason": "not today"})),
            _ => return,
        };
        let verb = if yes { "approve" } else { "reject" };
        let said = door.try_post(&format!("/pending-operations/{id}/{verb}"), &word).await;
        if said.is_ok_and(|reply| reply.status == 200) {
            self.tally.decided(id, yes);
        }
    }
}
