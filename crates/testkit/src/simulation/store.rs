//! The books, as one process reaches them: calls get lost, answers get lost, and both may take long.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

use alloy_primitives::{Address, Bytes};
use async_trait::async_trait;
use countersign_core::{
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::{AgentId, ChainId, OperationId, WalletId},
    operation::{Actual, Delivery, OperationRecord, OperationState},
    pact::{Pact, PactStanding},
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Ledger,
    clock::BoxFuture,
    journal::Page,
    ledger::{
        Adopt, AdoptAnswer, Approve, ApproveAnswer, Bump, BumpAnswer, Census, Commit, CommitAnswer,
        DenyAnswer, Found, InitAnswer, LedgerError, LedgerStatus, MessageEnd, NewOperation,
        OperationQuery, PactAnswer, PactWord, Redeem, RedeemAnswer, Reject, RejectAnswer,
        ReleaseProof, Repeat, Reserve, ReserveAnswer, SentOutcome, Settle, SignedBytes, Split,
        SplitAnswer, Survey, Surveyed,
    },
};

use super::{
    chance::Chance,
    executor::{Executor, Process, WORLD},
    world::World,
};

/// One process's way to the store.
#[derive(Debug)]
pub(crate) struct Store {
    world: Weak<World>,
    process: Process,
    slot: usize,
    chance: Chance,
}

/// What becomes of a call that reaches the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    ReplyLost,
    /// The process ends before the answer comes.
    DiesAfter,
}

impl Store {
    pub(crate) fn new(world: &Arc<World>, process: Process, slot: usize) -> Self {
        let chance = Chance::new(world.plan.seed, 2000 + u64::from(process));
        Self { world: Arc::downgrade(world), process, slot, chance }
    }

    fn world(&self) -> Arc<World> {
        self.world.upgrade().unwrap()
    }

    /// The way there.
    async fn begin(&self, name: &'static str) -> Result<Fate, LedgerError> {
        let world = self.world();
        self.pause(&world).await;
        let plan = &world.plan;
        if world.is_store_away(self.slot) {
            world.log.reach("store.away");
            return Err(LedgerError::Unavailable("connection refused".into()));
        }
        let dies = world.dies_in_this_call(self.slot);
        if dies && self.chance.percent(50) {
            self.die(&world, name, "before").await;
        }
        let troubled = !world.is_healed();
        if troubled && self.chance.permille(plan.store_request_lost) {
            world.log.event("store.request_lost", 0, || name.into());
            return Err(if self.chance.percent(50) {
                LedgerError::Unavailable("broken pipe".into())
            } else {
                LedgerError::Ambiguous("timed out".into())
            });
        }
        world.history.prove(self.slot);
        Ok(if dies {
            Fate::DiesAfter
        } else if troubled && self.chance.permille(plan.store_reply_lost) {
            Fate::ReplyLost
        } else {
            Fate::Answered
        })
    }

    /// The way back.
    async fn end<T: std::fmt::Debug>(
        &self,
        name: &'static str,
        fate: Fate,
        answer: Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let world = self.world();
        world.oracle.step();
        world.log.remark(|| {
            let answer: String = format!("{answer:?}").chars().take(90).collect();
            format!("gw-{}-{} {name}: {answer}", self.slot, self.process)
        });
        if fate == Fate::DiesAfter {
            self.die(&world, name, "after").await;
        }
        self.pause(&world).await;
        if fate == Fate::ReplyLost {
            world.log.event("store.reply_lost", 0, || name.into());
            return Err(LedgerError::Ambiguous("timed out".into()));
        }
        world.history.saw(self.slot);
        if let Err(error) = &answer {
            world.log.event("store.error", 0, || format!("{name}: {error}"));
        }
        answer
    }

    async fn pause(&self, world: &Arc<World>) {
        Executor::turn().await;
        if self.chance.permille(world.plan.slow_store) {
            world.executor.sleep(Millis(self.chance.between(1, 60))).await;
        }
    }

    /// The process ends here: what called never goes on.
    async fn die(&self, world: &Arc<World>, name: &'static str, when: &str) {
        world.log.event("gateway.died_in_a_call", 0, || format!("{when} {name}"));
        world.kill(self.slot, self.process);
        std::future::pending::<()>().await;
    }

    /// Whether this call goes on by itself after its caller has given up.
    fn is_late(&self, world: &World, name: &'static str) -> bool {
        let plan = &world.plan;
        let rate = if name == "approve" { plan.late_votes } else { plan.store_late };
        !world.is_healed() && self.chance.permille(rate)
    }

    /// Has a call arrive after its caller was told that nobody knows.
    fn later(&self, name: &'static str, call: BoxFuture<()>) -> LedgerError {
        let (world, slot) = (self.world(), self.slot);
        let wait = Millis(self.chance.between(10, 4000));
        let executor = world.executor.clone();
        let arrival = async move {
            world.executor.sleep(wait).await;
            if world.is_store_away(slot) {
                return;
            }
            world.history.prove(slot);
            call.await;
            world.log.event("store.arrived_late", 0, || name.into());
            world.oracle.step();
        };
        executor.spawn(WORLD, Box::pin(arrival));
        LedgerError::Ambiguous("timed out".into())
    }
}

/// Each function goes to the books and comes back. Those that take one thing may arrive late, and what they did is
/// told to the oracle.
macro_rules! store {
    (
        plain { $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        late { $($late:ident($it:ident: $owned:ty) -> $said:ty, $tell:ident;)* }
    ) => {
        #[async_trait]
        impl Ledger for Store {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                let fate = self.begin(stringify!($name)).await?;
                let answer = self.world().books.$name($($arg),*).await;
                self.end(stringify!($name), fate, answer).await
            })*
            $(async fn $late(&self, $it: &$owned) -> Result<$said, LedgerError> {
                let fate = self.begin(stringify!($late)).await?;
                let world = self.world();
                if self.is_late(&world, stringify!($late)) {
                    let owned = $it.clone();
                    let call = async move {
                        let answer = world.books.$late(&owned).await;
                        $tell(&world, &owned, &answer);
                    };
                    return Err(self.later(stringify!($late), Box::pin(call)));
                }
                let answer = world.books.$late($it).await;
                $tell(&world, $it, &answer);
                self.end(stringify!($late), fate, answer).await
            })*
        }
    };
}

store! {
    plain {
        now() -> Timestamp;
        present(gateway: &str, ttl: Millis) -> ();
        find(repeat: &Repeat) -> Found;
        survey(survey: &Survey) -> Surveyed;
        expire(max: u32) -> Vec<OperationRecord>;
        signed(operation: OperationId, attempt: u32, bytes: &SignedBytes, said: Option<&SentOutcome>) -> OperationRecord;
        signed_message(operation: OperationId, signature: &Bytes) -> OperationRecord;
        end_message(operation: OperationId, end: MessageEnd) -> OperationRecord;
        sent(operation: OperationId, attempt: u32, outcome: &SentOutcome) -> OperationRecord;
        mined(operation: OperationId, actual: Option<&Actual>) -> OperationRecord;
        unsettle(operation: OperationId) -> OperationRecord;
        release_committed(operation: OperationId, proof: &ReleaseProof) -> OperationRecord;
        deliver(operation: OperationId, from: Delivery, to: Delivery) -> bool;
        operation(id: OperationId) -> Option<OperationRecord>;
        parked(agent: &AgentId, most: u32) -> u32;
        operations(query: &OperationQuery) -> Page<OperationRecord>;
        open(states: &[OperationState], idle_since: Timestamp, max: u32) -> Vec<OperationRecord>;
        census(states: &[OperationState]) -> BTreeMap<OperationState, Census>;
        settled_in(chain: ChainId, block: u64) -> Vec<OperationRecord>;
        holder(chain: ChainId, wallet: &WalletId, nonce: u64) -> Option<OperationId>;
        next_nonce(chain: ChainId, wallet: &WalletId) -> Option<u64>;
        status(charges: &[Charge], without: Option<OperationId>) -> Vec<Reading>;
        adopted() -> BTreeSet<CounterId>;
        note_adopted(limits: &BTreeSet<CounterId>) -> ();
        seen(chain: ChainId, wallet: &WalletId, addresses: &[Address]) -> BTreeSet<Address>;
        freezes() -> Vec<Freeze>;
        standing_freezes() -> Vec<StandingFreeze>;
        pact(pact: &Pact) -> Option<PactStanding>;
        seal(reason: &str) -> ();
        unseal() -> ();
        init() -> InitAnswer;
        audit() -> Option<String>;
        describe() -> LedgerStatus;
    }
    late {
        deny(denied: NewOperation) -> DenyAnswer, tells_nothing;
        reserve(reserve: Reserve) -> ReserveAnswer, tell_reserve;
        redeem(redeem: Redeem) -> RedeemAnswer, tell_redeem;
        split(split: Split) -> SplitAnswer, tells_nothing;
        approve(approve: Approve) -> ApproveAnswer, tell_approve;
        reject(reject: Reject) -> RejectAnswer, tell_reject;
        commit(commit: Commit) -> CommitAnswer, tell_commit;
        bump(bump: Bump) -> BumpAnswer, tells_nothing;
        settle(settle: Settle) -> OperationRecord, tells_nothing;
        adopt(adopt: Adopt) -> AdoptAnswer, tells_nothing;
        freeze(order: FreezeOrder) -> (), tells_nothing;
        unfreeze(freeze: Freeze) -> bool, tells_nothing;
        say(word: PactWord) -> PactAnswer, tells_nothing;
    }
}

fn tells_nothing<A, B>(_: &World, _: &A, _: &Result<B, LedgerError>) {}

fn tell_reserve(world: &World, reserve: &Reserve, answer: &Result<ReserveAnswer, LedgerError>) {
    if let Ok(ReserveAnswer::Over(_)) = answer {
        let parks = reserve.disposition.parks();
        world.oracle.refused(&reserve.charges, parks, None);
    }
}

fn tell_redeem(world: &World, redeem: &Redeem, answer: &Result<RedeemAnswer, LedgerError>) {
    if let Ok(RedeemAnswer::Over(_)) = answer {
        let parks = redeem.disposition.parks();
        world.oracle.refused(&redeem.charges, parks, Some(redeem.operation));
    }
}

fn tell_approve(world: &World, approve: &Approve, answer: &Result<ApproveAnswer, LedgerError>) {
    if let Ok(answer) = answer {
        world.oracle.approved(approve, answer);
    }
}

fn tell_reject(world: &World, reject: &Reject, _: &Result<RejectAnswer, LedgerError>) {
    world.oracle.rejected(reject);
}

fn tell_commit(world: &World, commit: &Commit, answer: &Result<CommitAnswer, LedgerError>) {
    if let Ok(answer) = answer {
        world.oracle.committed(commit, answer);
    }
}
