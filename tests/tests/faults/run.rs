//! Runs rows: breaks something, does something, heals it, repeats what was not answered, and compares all books.

use std::time::Duration;

use countersign_tests::{
    books::{Books, audit},
    config::{PAYEE, wallet_id},
    load::{Client, Fleet, Heard},
    money::USD,
    proxy::{Line, Proxy},
    rpc::RpcError,
    wait,
};
use tokio::time::{Instant, sleep};

use crate::scenario::{Act, Said, Scenario, Trouble};

/// What one row came to, for the printed table.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) said: Said,
    pub(crate) after: Duration,
    pub(crate) settled: Duration,
}

/// Longer than the window of the tests' agent, which is a second.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(1500);

/// One row on its way.
struct Run<'a> {
    fleet: &'a mut Fleet,
    scenario: Scenario,
    client: Client,
    key: Option<String>,
    wei: u128,
}

/// What was answered, with what it names.
struct Got {
    said: Said,
    hash: Option<String>,
    operation: Option<String>,
    after: Duration,
}

/// `number` makes the payment one that no other row makes.
pub(crate) async fn run(
    fleet: &mut Fleet,
    scenario: Scenario,
    number: u128,
) -> Result<Report, String> {
    let base = if [Act::Keyed, Act::Bare].contains(&scenario.act) { 10 } else { 150 };
    let wei = USD.saturating_mul(base).saturating_add(number);
    let unkeyed = [Act::Bare, Act::Collect].contains(&scenario.act);
    let key = (!unkeyed).then(|| format!("row-{number}"));
    let client = fleet.client(0, "bot");
    let started = Instant::now();
    let mut run = Run { fleet, scenario, client, key, wei };
    let got = match scenario.act {
        Act::Keyed | Act::Bare | Act::Parked => run.pay().await?,
        Act::Approve => run.decide(true).await?,
        Act::Reject => run.decide(false).await?,
        Act::Held => run.hold().await?,
        Act::Collect => run.collect().await?,
    };
    run.finish(&got).await?;
    Ok(Report { said: got.said, after: got.after, settled: started.elapsed() })
}

impl Run<'_> {
    async fn pay(&mut self) -> Result<Got, String> {
        let before = self.committed().await;
        self.strike().await;
        let started = Instant::now();
        let heard = self.client.send(self.key.as_deref(), PAYEE, self.wei).await;
        let got = self.judge(heard, started)?;
        if got.said == Said::Unavailable && self.committed().await != before {
            return Err("-32010, and something was committed".into());
        }
        sleep(Duration::from_secs(self.scenario.outlasts)).await;
        self.heal().await?;
        if self.key.is_none() && got.said == Said::Pending {
            // what was answered so is owed, however late its caller comes: also when no window covers it any more
            self.settled().await?;
            sleep(DUPLICATE_WINDOW).await;
        }
        Ok(got)
    }

    async fn decide(&mut self, yes: bool) -> Result<Got, String> {
        let id = self.park().await?;
        let alice = self.fleet.alice(0);
        let decide = async || {
            let reply =
                if yes { alice.approve(&id).await } else { alice.reject(&id, "not today").await };
            reply.status
        };
        self.strike().await;
        let started = Instant::now();
        let said = Said::Status(decide().await);
        let got = Got { said, hash: None, operation: Some(id.clone()), after: started.elapsed() };
        self.check(&got)?;
        self.heal().await?;
        if said != Said::Status(200) {
            // 409: the word counted although its answer was lost
            wait::until("the word to count", async || {
                [200, 409].contains(&decide().await).then_some(())
            })
            .await;
        }
        Ok(got)
    }

    async fn hold(&mut self) -> Result<Got, String> {
        let (client, key, wei) =
            (self.client.clone(), self.key.clone().unwrap_or_default(), self.wei);
        let held = tokio::spawn(async move {
            let headers = [("prefer", "wait=20"), ("idempotency-key", key.as_str())];
            client.send_with(&headers, PAYEE, wei).await
        });
        let alice = self.fleet.alice(0);
        let id = wait::until("the held call to be parked", async || {
            let items = alice.list("/pending-operations").await;
            items.first().and_then(|item| item["id"].as_str().map(str::to_owned))
        })
        .await;
        self.strike().await;
        let started = Instant::now();
        let got = self.judge(held.await.expect("no panic"), started)?;
        if got.operation.as_ref() != Some(&id) {
            return Err("the answer does not name the operation".into());
        }
        self.heal().await?;
        self.approve(&id).await;
        Ok(got)
    }

    async fn collect(&mut self) -> Result<Got, String> {
        let id = self.park().await?;
        self.approve(&id).await;
        self.settled().await?;
        self.pay().await
    }

    async fn park(&self) -> Result<String, String> {
        match self.client.send(self.key.as_deref(), PAYEE, self.wei).await {
            Heard::Refused(error) if error.code == -32002 => Ok(error.operation()),
            other @ (Heard::Hash(_) | Heard::Refused(_) | Heard::Nothing) => {
                Err(format!("not parked: {other:?}"))
            }
        }
    }

    async fn approve(&self, id: &str) {
        let alice = self.fleet.alice(0);
        wait::until("a yes", async || {
            let status = alice.approve(id).await.status;
            [200, 409].contains(&status).then_some(())
        })
        .await;
    }

    /// What was heard, if it is one of the row's answers and came in time.
    fn judge(&self, heard: Heard, started: Instant) -> Result<Got, String> {
        let after = started.elapsed();
        let got = match heard {
            Heard::Hash(hash) => Got { said: Said::Hash, hash: Some(hash), operation: None, after },
            Heard::Refused(error) => Got {
                said: said(&error)
                    .ok_or_else(|| format!("an answer of another kind: {error:?}"))?,
                hash: None,
                operation: Some(error.text("pending_operation_id").to_owned())
                    .filter(|id| !id.is_empty()),
                after,
            },
            Heard::Nothing => return Err(format!("no answer at all after {after:?}")),
        };
        self.check(&got)?;
        Ok(got)
    }

    fn check(&self, got: &Got) -> Result<(), String> {
        let Got { said, after, .. } = got;
        if !self.scenario.answers.contains(said) {
            return Err(format!(
                "{said:?} after {after:?}, not one of {:?}",
                self.scenario.answers
            ));
        }
        if *after > Duration::from_secs(self.scenario.within) {
            return Err(format!("{said:?} only after {after:?}"));
        }
        Ok(())
    }

    /// After the healing: whatever was not answered is found by repeating it, everything is settled, the payment is on
    /// chain once, or not at all where a person said no, and no book differs from another.
    async fn finish(&mut self, got: &Got) -> Result<(), String> {
        let paid = if self.scenario.act == Act::Reject {
            self.refused().await?
        } else {
            self.paid(got).await?
        };
        let books = self.settled().await?;
        let mut faults = self.fleet.audit(0, &books).await;
        let payments = books.payments_of(self.wei);
        if payments != paid {
            faults.push(format!("{payments} payments on chain, not {paid}"));
        }
        if let Some(named) = got.operation.as_deref().map(|id| (id, books.operation(id)))
            && named.1.is_none()
        {
            faults.push(format!("{} was named and is lost", named.0));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    async fn settled(&self) -> Result<Books, String> {
        let settles = Duration::from_secs(self.scenario.settles);
        let books = self.fleet.settled(0, settles).await;
        books.ok_or_else(|| format!("not settled within {settles:?}"))
    }

    async fn paid(&mut self, got: &Got) -> Result<usize, String> {
        if self.scenario.act == Act::Parked {
            self.approve_when_parked().await;
        }
        let key = self.key.as_deref();
        // without a key a second call after the answer may be a second payment
        let repeats = key.is_some() || got.hash.is_none();
        let again =
            if repeats { Some(self.client.insist(key, PAYEE, self.wei).await) } else { None };
        match (&got.hash, &again) {
            (Some(first), Some(again)) if first != again => {
                Err(format!("answered {first}, and when repeated {again}"))
            }
            (Some(_) | None, Some(_) | None) => Ok(1),
        }
    }

    async fn approve_when_parked(&self) {
        let parked = wait::until("the repeated call to be parked", async || {
            match self.client.send(self.key.as_deref(), PAYEE, self.wei).await {
                Heard::Refused(error) if error.code == -32002 => Some(error.operation()),
                Heard::Refused(_) | Heard::Nothing | Heard::Hash(_) => None,
            }
        })
        .await;
        self.approve(&parked).await;
    }

    async fn refused(&self) -> Result<usize, String> {
        match self.client.send(self.key.as_deref(), PAYEE, self.wei).await {
            Heard::Refused(error) if error.code == 4001 => Ok(0),
            other @ (Heard::Hash(_) | Heard::Refused(_) | Heard::Nothing) => {
                Err(format!("after a no: {other:?}"))
            }
        }
    }

    /// Nonces that were ever given out: past all lines where there is a Redis.
    async fn committed(&self) -> u64 {
        if self.fleet.redis.is_none() {
            return u64::try_from(self.fleet.alice(0).signed().await).expect("a count");
        }
        match self.scenario.trouble {
            // nobody can ask it; the chain tells later
            Trouble::Server(_) => 0,
            Trouble::Store(_) | Trouble::Node(_) | Trouble::StoreLine(_) | Trouble::NodeLine(_) => {
                audit::committed(&mut self.fleet.resp().await, &wallet_id(0)).await
            }
        }
    }

    async fn strike(&mut self) {
        match self.scenario.trouble {
            Trouble::Store(blow) => self.store_line().arm(blow),
            Trouble::Node(blow) => self.fleet.post(0).node.arm(blow),
            Trouble::StoreLine(line) => self.store_line().set(line),
            Trouble::NodeLine(line) => self.fleet.post(0).node.set(line),
            Trouble::Server(server) => server.strike(self.fleet).await,
        }
    }

    fn store_line(&self) -> &Proxy {
        self.fleet.post(0).store.as_ref().expect("a line to the store")
    }

    /// What was to break has broken; it is whole again. A blow that leaves the line open leaves its connection as it
    /// is: the gateway has to get over that by itself.
    async fn heal(&mut self) -> Result<(), String> {
        let line = match self.scenario.trouble {
            Trouble::Store(_) | Trouble::StoreLine(_) => self.store_line().clone(),
            Trouble::Node(_) | Trouble::NodeLine(_) => self.fleet.post(0).node.clone(),
            Trouble::Server(server) => {
                server.heal(self.fleet).await;
                return Ok(());
            }
        };
        match self.scenario.trouble {
            Trouble::Store(blow) | Trouble::Node(blow) => {
                wait::until("the blow", async || line.has_struck().then_some(())).await;
                if blow.then != Line::Open {
                    line.heal();
                }
            }
            Trouble::StoreLine(_) | Trouble::NodeLine(_) | Trouble::Server(_) => line.heal(),
        }
        Ok(())
    }
}

/// After a row that failed: whatever it broke is whole for the next one.
pub(crate) async fn mend(fleet: &mut Fleet, scenario: Scenario) {
    if let Trouble::Server(server) = scenario.trouble {
        server.heal(fleet).await;
    }
    let post = fleet.post(0);
    post.store.iter().chain([&post.node]).for_each(Proxy::heal);
}

fn said(error: &RpcError) -> Option<Said> {
    match error.code {
        -32002 => Some(Said::Pending),
        -32010 => Some(Said::Unavailable),
        _ => None,
    }
}
