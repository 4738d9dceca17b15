//! A gateway over fakes: one chain, one wallet, one agent, two operators.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    charge::Charge,
    identity::{AgentId, AppId, ChainId, OperatorId, WalletId},
    intent::{Declared, Method},
    operation::OperationRecord,
    time::Millis,
    transaction::TransactionDraft,
};
use countersign_decode::Registry;
use countersign_engine::{
    Engine, Ports,
    port::{Clock, Ledger, Signer, telemetry::Silent},
    setup::{
        AgentSetup, ChainSetup, OnShelf, OperatorSetup, PolicyChanges, Role, Setup, TokenSetup,
        WalletSetup, WalletSigner,
    },
    submission::{Answer, Draft, Reply, Submission},
};
use countersign_policy::Policy;
use countersign_testkit::{
    FakeChain, FakeClock, FakeSigner, FixedPrices, ManualTime, ModelJournals, ModelLedger,
    ModelShelf, fixture, replay::Replays,
};

/// The payee that the policy names.
pub(crate) const PAYEE: Address = Address::new([0x11; 20]);
/// Nobody that the policy names.
pub(crate) const STRANGER: Address = Address::new([0x99; 20]);
/// The chain of every test.
pub(crate) const CHAIN: ChainId = ChainId(31337);

pub(crate) const POLICY: &str = r#"
policy: trader
kind: grant
for: { agent: trader }
sets:
  payees: ["0x1111111111111111111111111111111111111111"]
gates:
  desk: { need: [{ any: 1, of: [alice, bob] }], ttl: 2h, drift: { fee: 25%, usd: 2% } }
rules:
  - { id: pay, when: { kind: transfer, to: { in: "@payees" } }, then: allow }
limits:
  - { id: ask,  sum: usd, per: tx, max: 100, over: { approve: desk }, code: amount_above_threshold }
  - { id: cap,  sum: usd, per: tx, max: 500, code: per_tx_limit_exceeded }
  - { id: day,  sum: usd, per: 24h, max: 1000, code: rolling_limit_exceeded }
"#;

/// Everything that outlives a gateway, and the gateways' shared parts.
pub(crate) struct House {
    pub(crate) time: ManualTime,
    pub(crate) ledger: Arc<ModelLedger>,
    pub(crate) journals: ModelJournals,
    pub(crate) shelf: ModelShelf,
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) signer: Arc<FakeSigner>,
    pub(crate) prices: Arc<FixedPrices>,
    gateways: AtomicU64,
}

/// Whatever a test did: each decision that it led to can be taken again.
impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.replayed();
        }
    }
}

impl House {
    /// A funded wallet, ETH at 1000 USD.
    pub(crate) fn new() -> Self {
        let time = ManualTime::at(fixture::at("2026-01-01T12:00:00Z"));
        let chain = FakeChain::new(CHAIN);
        let signer = FakeSigner::new(7);
        chain.fund(signer.address(), eth(1_000_000));
        Self {
            ledger: Arc::new(ModelLedger::new(time.clone())),
            journals: ModelJournals::default(),
            shelf: ModelShelf::default(),
            chain: Arc::new(chain),
            signer: Arc::new(signer),
            prices: Arc::new(FixedPrices::of(&[("ETH", "1000")])),
            gateways: AtomicU64::new(0),
            time,
        }
    }

    /// The journals replay: every decision of them, the one at redemption and that of a higher fee as well.
    pub(crate) fn replayed(&self) -> Replays {
        let replays = Replays::of(&self.journals);
        assert_eq!(replays.faults, Vec::<String>::new());
        replays
    }

    /// A gateway over this house's parts.
    pub(crate) async fn gateway(&self) -> Arc<Engine> {
        let engine = self.gateway_over(self.ledger.clone());
        engine.announce().await.unwrap();
        engine
    }

    /// A gateway over another view of the ledger.
    pub(crate) fn gateway_over(&self, ledger: Arc<dyn Ledger>) -> Arc<Engine> {
        let name = format!("gateway-{}", self.gateways.fetch_add(1, Ordering::SeqCst));
        let clock: Arc<dyn Clock> = Arc::new(Seeded {
            clock: FakeClock::new(self.time.clone()),
            gateway: self.gateways.load(Ordering::SeqCst),
        });
        let journal = Arc::new(self.journals.journal(&name));
        let chronicle = self.ledger.clone();
        let versions = Arc::new(self.shelf.clone());
        let telemetry = Arc::new(Silent);
        let ports =
            Ports { ledger, journal, chronicle, shelf: versions, clock, gateway: name, telemetry };
        Engine::new(ports, self.setup(POLICY))
    }

    /// The setup with another policy.
    pub(crate) fn setup(&self, policy: &str) -> Setup {
        let wallet = wallet();
        let agent = AgentSetup {
            id: AgentId::parse("trader").unwrap(),
            wallets: vec![wallet.clone()],
            grant: Policy::parse(policy, "trader.yaml").unwrap(),
            owner: Some("alice".into()),
            role: None,
            duplicate_window: Millis::ZERO,
            hold: Millis::ZERO,
            parked_max: u32::MAX,
            breaker: None,
            shelf: OnShelf::default(),
        };
        let signer: Arc<dyn Signer> = self.signer.clone();
        let wallet = WalletSetup {
            address: signer.address(),
            id: wallet,
            signer: WalletSigner::Held(signer),
            in_flight_max: 100,
        };
        Setup {
            app: AppId::parse("default").unwrap(),
            chains: BTreeMap::from([(CHAIN, self.chain_setup())]),
            wallets: BTreeMap::from([(wallet.id.clone(), wallet)]),
            agents: BTreeMap::from([(agent.id.clone(), agent)]),
            operators: ["alice", "bob", "carol"]
                .map(|name| (OperatorId::parse(name).unwrap(), operator(name)))
                .into(),
            guards: vec![],
            prices: self.prices.clone(),
            oracles: None,
            passkeys: None,
            judge: None,
            couriers: Vec::new(),
            changes: PolicyChanges::default(),
        }
    }

    fn chain_setup(&self) -> ChainSetup {
        ChainSetup {
            id: CHAIN,
            name: "anvil".into(),
            port: self.chain.clone(),
            fee_ceiling: 500_000_000_000,
            native: TokenSetup {
                name: "eth@31337".into(),
                address: None,
                decimals: 18,
                symbol: "ETH".into(),
            },
            tokens: vec![],
            collections: Vec::new(),
            registry: Registry::new(),
            gap_wait: Millis(2000),
            bump_after: Millis::ZERO,
            simulation: countersign_engine::setup::SimulationMode::WhenAvailable,
            explorer: None,
        }
    }

    /// Runs a gateway's chores for so long (of paused time), mining all along.
    pub(crate) async fn settle_down(&self, engine: &Arc<Engine>) {
        let stop = async {
            for _ in 0..40 {
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                self.time.advance(Millis(250));
                self.chain.mine();
            }
        };
        Arc::clone(engine).run(stop).await;
    }

    /// Runs a gateway's chores for so long (of paused time); nothing is mined.
    pub(crate) async fn pass(&self, engine: &Arc<Engine>, time: Millis) {
        let stop = async {
            for _ in 0..time.0.div_ceil(250) {
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                self.time.advance(Millis(250));
            }
        };
        Arc::clone(engine).run(stop).await;
    }

    /// A gateway that raises the fee of what is stuck for a minute.
    pub(crate) async fn impatient(&self) -> Arc<Engine> {
        let engine = self.gateway().await;
        let mut setup = self.setup(POLICY);
        setup.chains.values_mut().for_each(|chain| chain.bump_after = Millis(60_000));
        engine.replace(setup);
        engine
    }

    /// What the one limit's counter shows: reserved, committed, settled.
    pub(crate) async fn counts(&self) -> [u64; 3] {
        let record = self.ledger.all().into_iter().next().unwrap();
        let day = record.charges.into_iter().find(|c| c.source.limit == "day").unwrap();
        self.counts_of(day).await
    }

    /// What a charge's counter shows: reserved, committed, settled.
    pub(crate) async fn counts_of(&self, charge: Charge) -> [u64; 3] {
        let readings = self.ledger.status(&[charge], None).await.unwrap();
        let reading = readings.into_iter().next().unwrap();
        [reading.reserved, reading.committed, reading.settled]
    }

    /// The wallet's address.
    pub(crate) fn signer_address(&self) -> Address {
        self.signer.address()
    }

    /// The one record of the ledger.
    pub(crate) fn only(&self) -> OperationRecord {
        let mut all = self.ledger.all();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// What the payee has got, in whole ETH thousandths.
    pub(crate) fn paid(&self) -> U256 {
        self.chain.peek(PAYEE).balance
    }
}

/// So many thousandths of an ETH: so many USD.
pub(crate) fn eth(thousandths: u64) -> U256 {
    U256::from(thousandths) * U256::from(1_000_000_000_000_000_u64)
}

pub(crate) fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

pub(crate) fn operator(name: &str) -> OperatorSetup {
    OperatorSetup {
        id: OperatorId::parse(name).unwrap(),
        roles: vec![Role::Approve],
        person: name.into(),
        groups: vec![],
        address: None,
        passkeys: Vec::new(),
    }
}

/// A send of so many USD.
pub(crate) fn send(house: &House, to: Address, usd: u64) -> Submission {
    Submission {
        agent: AgentId::parse("trader").unwrap(),
        chain: CHAIN,
        method: Method::SendTransaction,
        draft: Draft::Transaction(TransactionDraft {
            from: Some(house.signer.address()),
            to: Some(to),
            value: eth(usd),
            data: Bytes::new(),
            gas: None,
            gas_price: None,
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            nonce: None,
            kind: None,
            chain: None,
            access_list: vec![],
            authorizations: vec![],
        }),
        declared: Declared::default(),
        key: None,
        wait: None,
        batch: None,
        received: Millis::ZERO,
    }
}

/// Takes the answer as a client does that gets all of it.
pub(crate) fn take(reply: Reply) -> Answer {
    let Reply { answer, receipt } = reply;
    receipt.handed_over();
    answer
}

/// Chance that differs from gateway to gateway.
#[derive(Debug)]
struct Seeded {
    clock: FakeClock,
    gateway: u64,
}

impl Clock for Seeded {
    fn wall(&self) -> countersign_core::time::Timestamp {
        self.clock.wall()
    }

    fn monotonic(&self) -> Millis {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Millis) -> countersign_engine::port::clock::BoxFuture<()> {
        self.clock.sleep(duration)
    }

    fn spawn(&self, task: countersign_engine::port::clock::BoxFuture<()>) {
        self.clock.spawn(task);
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = self.clock.random();
        bytes[0] = u8::try_from(self.gateway).unwrap();
        bytes
    }
}

/// The transaction that is asked for.
pub(crate) fn draft(submission: &mut Submission) -> &mut TransactionDraft {
    match &mut submission.draft {
        Draft::Transaction(draft) => draft,
        Draft::Message { .. } | Draft::Raw(_) | Draft::Calls(_) => {
            panic!("nothing is open in it")
        }
    }
}
