//! Everything that outlives a gateway, and the gateways.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::{Address, U256};
use countersign_core::{
    identity::{AgentId, AppId, OperatorId, WalletId},
    time::Millis,
};
use countersign_decode::Registry;
use countersign_engine::{
    Engine, Ports,
    port::{Ledger, Signer as _, telemetry::Silent},
    setup::{
        AgentSetup, ChainSetup, OnShelf, OperatorSetup, PolicyChanges, Role, Setup, TokenSetup,
        WalletSetup,
    },
};
use tokio::sync::oneshot;

use super::{
    agents::Orders,
    chain::{Chain, NodePort, OnSend},
    chance::Chance,
    clock::ProcessClock,
    executor::{Executor, Process, WORLD},
    history::History,
    journal::Papers,
    limits::{AGENTS, LEVELS, Level, OPERATORS, OWNER, REVERTER, papers},
    log::Log,
    oracle::Oracle,
    plan::Plan,
    signer::Key,
    store::Store,
};
use crate::{
    FixedPrices, ManualTime, ModelJournals, ModelLedger, ModelShelf,
    fixture::CHAIN,
    ledger::flawed::{Flaw, FlawedLedger},
};

/// The wallets: the first is every agent's, the second the first agent's alone.
pub(crate) const WALLETS: [&str; 2] = ["hot", "cold"];

/// The world of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) executor: Executor,
    pub(crate) log: Arc<Log>,
    pub(crate) chance: Chance,
    pub(crate) chain: Arc<Chain>,
    pub(crate) model: Arc<ModelLedger>,
    pub(crate) books: Arc<dyn Ledger>,
    pub(crate) journals: ModelJournals,
    pub(crate) prices: Arc<FixedPrices>,
    pub(crate) keys: Vec<Arc<Key>>,
    pub(crate) oracle: Arc<Oracle>,
    pub(crate) history: History,
    pub(crate) orders: Orders,
    state: Mutex<State>,
    healed: AtomicBool,
    over: AtomicBool,
    this: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    last_process: Process,
    gateways: BTreeMap<usize, Gateway>,
    /// The table of limits in force, and every one that was.
    level: usize,
    levels: BTreeSet<usize>,
    store_away: bool,
    store_away_for: BTreeSet<usize>,
    journal_away: bool,
    /// How many calls to the store a gateway makes before it dies.
    dies_after: BTreeMap<usize, u64>,
}

/// One gateway that lives.
#[derive(Debug)]
struct Gateway {
    process: Process,
    engine: Arc<Engine>,
    is_open: bool,
    stop: Option<oneshot::Sender<()>>,
}

/// A gateway whose doors are open.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) process: Process,
    pub(crate) engine: Arc<Engine>,
}

impl World {
    pub(crate) fn new(plan: Plan, keeps_lines: bool) -> Arc<Self> {
        let plan = Arc::new(plan);
        let time = ManualTime::default();
        let executor = Executor::new(plan.seed, plan.start, time.clone());
        let log = Arc::new(Log::new(executor.clone(), keeps_lines));
        let chain = Chain::new(executor.clone(), Arc::clone(&log), Arc::clone(&plan), plan.seed);
        let chain = Arc::new(chain);
        let model = Arc::new(ModelLedger::new(time));
        let books: Arc<dyn Ledger> = match plan.flaw {
            Some(flaw) => Arc::new(FlawedLedger::new(Arc::clone(&model), flaw)),
            None => model.clone(),
        };
        let oracle = Oracle::new(Arc::clone(&log), Arc::clone(&chain), Arc::clone(&model));
        let believes = plan.has(Flaw::HistoryBelieved);
        let history = History::new(Arc::clone(&log), Arc::clone(&model), believes);
        let world = Arc::new_cyclic(|world: &Weak<Self>| Self {
            executor,
            log,
            chance: Chance::new(plan.seed, 4),
            chain,
            model,
            books,
            journals: ModelJournals::default(),
            prices: Arc::new(FixedPrices::of(&[("ETH", "1000")])),
            keys: (1..)
                .zip(WALLETS)
                .map(|(n, _)| Key::new(world.clone(), n, plan.signer_varies).into())
                .collect(),
            oracle: Arc::new(oracle),
            history,
            orders: Orders::default(),
            state: Mutex::default(),
            healed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            this: world.clone(),
            plan,
        });
        world.use_limits(world.plan.limits);
        world.chain.may_revert(REVERTER);
        world.fund();
        world
    }

    /// A wallet's address.
    pub(crate) fn address(&self, place: usize) -> Address {
        self.keys[place].address()
    }

    pub(crate) fn this(&self) -> Arc<Self> {
        self.this.upgrade().unwrap()
    }

    /// Every wallet has more than enough.
    pub(crate) fn fund(&self) {
        let plenty = U256::from(10_u64).pow(U256::from(24));
        self.keys.iter().for_each(|key| self.chain.fund(key.address(), plenty));
    }

    /// From now on gateways that start judge by this table; those that live are told one by one.
    pub(crate) fn use_limits(&self, level: usize) {
        let mut state = self.state();
        state.level = level;
        state.levels.insert(level);
    }

    /// Every table that was ever in force.
    pub(crate) fn levels(&self) -> Vec<Level> {
        self.state().levels.iter().map(|level| LEVELS[*level]).collect()
    }

    /// What a gateway is told at its start, or when the limits change.
    pub(crate) fn setup(self: &Arc<Self>) -> Setup {
        let papers = papers(self.state().level);
        let sends: Box<dyn OnSend> = Box::new(Watch(Arc::clone(&self.oracle)));
        let port = Arc::new(NodePort::new(Arc::clone(&self.chain), sends));
        let chain = ChainSetup {
            id: CHAIN,
            name: "simulated".into(),
            port,
            fee_ceiling: 900_000_000_000,
            native: TokenSetup {
                name: "eth@31337".into(),
                address: None,
                decimals: 18,
                symbol: "ETH".into(),
            },
            tokens: vec![],
            collections: Vec::new(),
            registry: registry(),
            gap_wait: Millis(2000),
            bump_after: self.plan.bump_after,
            simulation: countersign_engine::setup::SimulationMode::WhenAvailable,
            explorer: None,
        };
        let agent = |(place, grant)| {
            let agent = AgentSetup {
                id: AgentId::parse(AGENTS[place]).unwrap(),
                wallets: WALLETS[..2 - place].iter().map(|w| WalletId::parse(w).unwrap()).collect(),
                grant,
                owner: (place == 0).then(|| OWNER.into()),
                role: None,
                duplicate_window: self.plan.duplicate_window,
                hold: self.plan.hold,
                parked_max: u32::MAX,
                breaker: None,
                shelf: OnShelf::default(),
            };
            (agent.id.clone(), agent)
        };
        Setup {
            app: AppId::parse("default").unwrap(),
            chains: BTreeMap::from([(CHAIN, chain)]),
            wallets: self
                .keys
                .iter()
                .zip(WALLETS)
                .map(|(key, id)| self.wallet_setup(key, id))
                .collect(),
            agents: papers.grants.into_iter().enumerate().map(agent).collect(),
            operators: OPERATORS
                .map(|name| (OperatorId::parse(name).unwrap(), operator(name)))
                .into(),
            guards: vec![papers.guard],
            prices: self.prices.clone(),
            oracles: None,
            passkeys: None,
            judge: None,
            couriers: Vec::new(),
            changes: PolicyChanges::default(),
        }
    }

    fn wallet_setup(&self, key: &Arc<Key>, id: &str) -> (WalletId, WalletSetup) {
        let id = WalletId::parse(id).unwrap();
        let signer = key.clone().into();
        let (address, in_flight_max) = (key.address(), self.plan.in_flight_max);
        (id.clone(), WalletSetup { id, address, signer, in_flight_max })
    }

    /// Starts a gateway: a process with a name of its own, whose doors open once the store knows that it lives.
    pub(crate) fn start(self: &Arc<Self>, slot: usize) {
        let mut state = self.state();
        if state.gateways.contains_key(&slot) {
            return;
        }
        state.last_process += 1;
        let process = state.last_process;
        drop(state);
        let ahead = Millis(self.chance.below(1500));
        let clock = ProcessClock::new(self.executor.clone(), process, self.plan.seed, ahead);
        let ports = Ports {
            ledger: Arc::new(Store::new(self, process, slot)),
            journal: Arc::new(Papers::new(self, &format!("gw-{slot}"))),
            chronicle: Arc::new(ModelLedger::new(ManualTime::default())),
            shelf: Arc::new(ModelShelf::default()),
            clock: Arc::new(clock),
            gateway: format!("gw-{slot}-{process}"),
            telemetry: Arc::new(Silent),
        };
        let engine = Engine::new(ports, self.setup());
        let (stop, stopped) = oneshot::channel();
        let gateway =
            Gateway { process, engine: Arc::clone(&engine), is_open: false, stop: Some(stop) };
        self.state().gateways.insert(slot, gateway);
        self.log.event("gateway.started", u64::from(process), || format!("gw-{slot}-{process}"));
        let world = Arc::clone(self);
        let life = async move {
            while engine.announce().await.is_err() {
                world.executor.sleep(Millis(300)).await;
            }
            world.open(slot, process);
            Box::pin(engine.run(async { drop(stopped.await) })).await;
        };
        self.executor.spawn(process, Box::pin(life));
    }

    fn open(&self, slot: usize, process: Process) {
        let mut state = self.state();
        let gateway = state.gateways.get_mut(&slot).filter(|gateway| gateway.process == process);
        if let Some(gateway) = gateway {
            gateway.is_open = true;
        }
    }

    /// Ends a process as `kill -9` does, if it is still the one in this slot. Somebody starts it again.
    pub(crate) fn kill(&self, slot: usize, process: Process) {
        let mut state = self.state();
        let is_it = state.gateways.get(&slot).is_some_and(|gateway| gateway.process == process);
        let gone = if is_it { state.gateways.remove(&slot) } else { None };
        state.dies_after.remove(&slot);
        drop(state);
        if is_it {
            self.log.event("gateway.killed", u64::from(process), || format!("gw-{slot}-{process}"));
        }
        self.executor.kill(process);
        drop(gone);
        if is_it {
            let (world, after) = (self.this(), Millis(self.chance.between(50, 15_000)));
            let executor = self.executor.clone();
            let starts = async move {
                world.executor.sleep(after).await;
                world.start(slot);
            };
            executor.spawn(WORLD, Box::pin(starts));
        }
    }

    /// Kills whoever is in this slot.
    pub(crate) fn kill_slot(&self, slot: usize) {
        let process = self.state().gateways.get(&slot).map(|gateway| gateway.process);
        if let Some(process) = process {
            self.kill(slot, process);
        }
    }

    /// Asks a gateway to stop: it takes nothing more, ends held calls, and has a while for what it has begun.
    pub(crate) fn stop(self: &Arc<Self>, slot: usize) {
        let mut state = self.state();
        let Some(gateway) = state.gateways.get_mut(&slot) else { return };
        gateway.is_open = false;
        let (process, engine, stop) =
            (gateway.process, Arc::clone(&gateway.engine), gateway.stop.take());
        drop(state);
        self.log.event("gateway.stopped", u64::from(process), || format!("gw-{slot}-{process}"));
        engine.end_waits();
        let drain = Millis(self.chance.between(50, 12_000));
        let world = Arc::clone(self);
        let draining = async move {
            world.executor.sleep(drain).await;
            drop(stop);
            world.executor.sleep(Millis(200)).await;
            world.kill(slot, process);
        };
        self.executor.spawn(WORLD, Box::pin(draining));
    }

    /// The slots with a living gateway.
    pub(crate) fn living(&self) -> Vec<usize> {
        self.state().gateways.keys().copied().collect()
    }

    /// Some gateway whose doors are open.
    pub(crate) fn any_open(&self, chance: &Chance) -> Option<Open> {
        let state = self.state();
        let open = state.gateways.values().filter(|gateway| gateway.is_open);
        let open: Vec<&Gateway> = open.collect();
        if open.is_empty() {
            return None;
        }
        let Gateway { process, engine, .. } = chance.pick(&open);
        Some(Open { process: *process, engine: Arc::clone(engine) })
    }

    /// The engines that live.
    pub(crate) fn engines(&self) -> Vec<Arc<Engine>> {
        self.state().gateways.values().map(|gateway| Arc::clone(&gateway.engine)).collect()
    }

    pub(crate) fn set_store_away(&self, away: bool) {
        self.state().store_away = away;
    }

    pub(crate) fn set_store_away_for(&self, slot: usize, away: bool) {
        let mut state = self.state();
        if away {
            state.store_away_for.insert(slot);
        } else {
            state.store_away_for.remove(&slot);
        }
    }

    pub(crate) fn is_store_away(&self, slot: usize) -> bool {
        let state = self.state();
        state.store_away || state.store_away_for.contains(&slot)
    }

    pub(crate) fn set_journal_away(&self, away: bool) {
        self.state().journal_away = away;
    }

    pub(crate) fn is_journal_away(&self) -> bool {
        let state = self.state();
        state.journal_away || state.store_away
    }

    /// A gateway dies in its n-th call to the store from now on.
    pub(crate) fn doom(&self, slot: usize, calls: u64) {
        self.state().dies_after.insert(slot, calls);
    }

    pub(crate) fn dies_in_this_call(&self, slot: usize) -> bool {
        let mut state = self.state();
        let Some(left) = state.dies_after.get_mut(&slot) else { return false };
        if *left > 0 {
            *left -= 1;
            return false;
        }
        state.dies_after.remove(&slot);
        true
    }

    /// Ends all trouble: from now on everything works.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
        let mut state = self.state();
        state.store_away = false;
        state.store_away_for.clear();
        state.journal_away = false;
        state.dies_after.clear();
        drop(state);
        self.prices.set("ETH", Some("1000"));
        self.keys.iter().for_each(|key| key.set_away(false));
        self.executor.hold_store_back(Millis::ZERO);
        self.chain.heal();
        self.fund();
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.healed.load(Ordering::SeqCst)
    }

    /// The run is over, for those who ask in a loop.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst) || self.log.is_violated()
    }

    pub(crate) fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Drops what holds the world from inside.
    pub(crate) fn clear(&self) {
        let gateways = std::mem::take(&mut self.state().gateways);
        self.executor.clear();
        drop(gateways);
        self.executor.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the decoder knows, read once per process.
fn registry() -> Registry {
    static READ: OnceLock<Registry> = OnceLock::new();
    READ.get_or_init(Registry::new).clone()
}

/// An operator that may approve.
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

#[derive(Debug)]
struct Watch(Arc<Oracle>);

impl OnSend for Watch {
    fn leaves(&self, hash: alloy_primitives::B256) {
        self.0.leaves(hash);
    }
}
