//! A gateway, from a configuration to the last request.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use countersign_engine::{
    Engine, Ports,
    port::{
        Clock as _, Telemetry,
        ledger::{LedgerError, LedgerStatus},
    },
    shelf::{Follower, ShelfError},
};
use countersign_server::{Bound, Gatehouse, Keyring, Metrics, serve_agents, serve_operators};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::DurabilityClass,
    clock::{SystemClock, fill},
    config::{Config, Door, is_mainnet},
    failure::Failure,
    files::open_many,
    keeper::{Keeper, RememberingJournal, bell, price_bell},
    policies::Loaded,
    reload::{Reload, Reloader, files},
    state::StateFile,
    store::{OpenStore, weak_store, witness},
    telemetry::{Exporting, MeteredChronicle, MeteredJournal, MeteredLedger, Outlet, Watch},
    wiring::{self, Parts},
};

/// How long tasks beside requests may go on after that.
const JOIN: Duration = Duration::from_secs(20);

/// How often it is seen whether a price is due to be looked at.
const PRICES_LOOKED_AT: Duration = Duration::from_secs(1);

/// A gateway whose doors are bound and not yet served.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) loaded: Loaded,
    pub(crate) status: LedgerStatus,
    clock: Arc<SystemClock>,
    store: OpenStore,
    keeper: Keeper,
    house: Gatehouse,
    agents: Bound,
    operators: Bound,
    parts: Parts,
    follower: Follower,
    reload: Reload,
    accepted: Option<DurabilityClass>,
    outlet: Option<Outlet>,
}

impl Gateway {
    /// Opens everything. Nothing is served yet; where something is missing, nothing stays open.
    pub(crate) async fn open(
        loaded: Loaded,
        reload: Reload,
        accepted: Option<DurabilityClass>,
    ) -> Result<Self, Failure> {
        open_many();
        let metrics = Arc::new(Metrics::default());
        let telemetry: Arc<dyn Telemetry> = Arc::new(Watch::new(Arc::clone(&metrics)));
        let (loaded, parts) = unlock(loaded, Arc::clone(&telemetry)).await?;
        let config = &loaded.config;
        let agents = bind(&config.rpc).await?;
        let operators = bind(&config.admin).await?;
        let state = Arc::new(StateFile::open(config)?);
        state.accept_guards(&loaded)?;
        let reload = reload.remembering(Arc::clone(&state));
        parts.tell(price_bell(&state));
        let witness = witness().knowing(state.anchor()).telling(bell(&state));
        let own = (state.gateway(), witness);
        let weak = weak_store(config, accepted);
        let store = OpenStore::open(&config.store, &config.app, own, weak).await?;
        let described = store.ledger.describe().await;
        let described = described.map_err(|error| Failure::failed(error.to_string()))?;
        durable_enough(config, &described, accepted)?;
        let anchor = store.anchor();
        // before anything is served, it is known which ledger this is
        state.note(anchor());
        state.write()?;
        let (ledger, journal, chronicle) = metered(&store, config.store.system(), &telemetry);
        let journal = RememberingJournal::new(journal, Arc::clone(&state), Arc::clone(&metrics));
        let journal = Arc::new(journal);
        let outlet = outlet(config, state.gateway(), &metrics)?;
        let clock = Arc::new(SystemClock::new());
        let outside = Ports {
            ledger,
            journal: Arc::<RememberingJournal>::clone(&journal),
            chronicle,
            shelf: Arc::clone(&store.shelf),
            clock: clock.clone(),
            gateway: process_name(state.gateway()),
            telemetry,
        };
        let engine = Engine::new(outside, parts.setup(&loaded, &BTreeMap::new()));
        let mut follower = Follower::new(Arc::clone(&engine), state.gateway());
        follow(&mut follower, &loaded).await?;
        engine.replace(parts.setup(&loaded, &follower.in_force()));
        let keeper = Keeper { state, anchor, journal };
        let keyring = Keyring::new(wiring::credentials(config));
        let house = Gatehouse { engine, keyring, metrics };
        Ok(Self {
            loaded,
            follower,
            status: described,
            clock,
            store,
            keeper,
            house,
            agents,
            operators,
            parts,
            reload,
            accepted,
            outlet,
        })
    }

    /// Where the doors really are: a port 0 has become one.
    pub(crate) fn addresses(&self) -> (std::net::SocketAddr, std::net::SocketAddr) {
        (self.agents.local_addr(), self.operators.local_addr())
    }

    /// Serves until `stop` is cancelled, then: accept nothing, drain, sweep, close.
    pub(crate) async fn serve(self, stop: CancellationToken) -> Result<(), Failure> {
        let exporting = Exporting::start(self.outlet);
        let Self {
            clock,
            store,
            keeper,
            house,
            agents,
            operators,
            parts,
            follower,
            reload,
            accepted,
            ..
        } = self;
        let loaded = self.loaded;
        let reload = reload.demanding(store.demand(accepted));
        probe(&parts, &clock);
        announce(&house).await?;
        let kept = CancellationToken::new();
        let keeping = tokio::spawn(keeper.run(kept.clone()));
        let last = CancellationToken::new();
        let engine = tokio::spawn(Arc::clone(&house.engine).run(last.clone().cancelled_owned()));
        let engine = tokio::spawn(supervise(engine, stop.clone()));
        clock.spawn(Box::pin(end_waits(Arc::clone(&house.engine), stop.clone())));
        let reloader = Reloader::new((reload, loaded), (parts, follower), house.clone());
        reloader.note_policies().await;
        let reloading = tokio::spawn(reloader.run(stop.clone()));
        let pricing = tokio::spawn(keep_priced(Arc::clone(&house.engine), stop.clone()));
        // nobody waits for a receiver: what is not told now is told after the next start
        let telling = Arc::clone(&house.engine).tell_outside(stop.clone().cancelled_owned());
        let telling = tokio::spawn(telling);
        let served = serve_doors((agents, operators), &house, &stop).await;
        last.cancel();
        let worked = engine.await.is_ok_and(|worked| worked);
        let mut ended = vec![
            reloading.await.is_ok(),
            pricing.await.is_ok(),
            telling.await.is_ok(),
            clock.join(JOIN).await,
        ];
        kept.cancel();
        ended.push(keeping.await.is_ok());
        drop(house);
        store.close().await;
        ended.push(exporting.end().await);
        if ended.contains(&false) {
            tracing::warn!("not everything ended in time; it is taken up at the next start");
        }
        if worked { served } else { Err(Failure::failed("the engine broke: see the log")) }
    }
}

/// Both doors, until the stop or until one of them breaks.
async fn serve_doors(
    (agents, operators): (Bound, Bound),
    house: &Gatehouse,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let door = |served: std::io::Result<()>| {
        stop.cancel();
        served.map_err(|error| Failure::failed(format!("a door broke: {error}")))
    };
    let told = || stop.clone().cancelled_owned();
    let agents = async { door(serve_agents(agents, house.clone(), told()).await) };
    let operators = async { door(serve_operators(operators, house.clone(), told()).await) };
    let (agents, operators) = tokio::join!(agents, operators);
    agents.and(operators)
}

/// At the stop, agents that wait for people are told to ask again.
async fn end_waits(engine: Arc<Engine>, stop: CancellationToken) {
    stop.cancelled().await;
    engine.end_waits();
}

/// The parts of a store, each telling how long it takes.
fn metered(
    store: &OpenStore,
    system: &'static str,
    telemetry: &Arc<dyn Telemetry>,
) -> (Arc<MeteredLedger>, Arc<MeteredJournal>, Arc<MeteredChronicle>) {
    let inner = Arc::clone(&store.ledger);
    let ledger = MeteredLedger { inner, telemetry: Arc::clone(telemetry), system };
    let inner = Arc::clone(&store.journal);
    let journal = MeteredJournal { inner, telemetry: Arc::clone(telemetry), system };
    let inner = Arc::clone(&store.chronicle);
    let chronicle = MeteredChronicle { inner, telemetry: Arc::clone(telemetry), system };
    (Arc::new(ledger), Arc::new(journal), Arc::new(chronicle))
}

/// What is in force is known before anything is served. Where the store has lost what it held, or the clocks disagree,
/// nothing is signed until a person has looked, and the gateway runs so that they can.
async fn follow(follower: &mut Follower, loaded: &Loaded) -> Result<(), Failure> {
    match follower.look(files(loaded)).await.1 {
        Err(ShelfError::Lost(why) | ShelfError::Clock(why)) => {
            tracing::error!(why, "which versions of policies are in force is not known");
            Ok(())
        }
        other => other.map_err(|error| {
            Failure::failed(format!(
                "which versions of policies are in force is not known: {error}"
            ))
        }),
    }
}

/// Looks at prices before a request needs them.
async fn keep_priced(engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        let prices = Arc::clone(&engine.setup().prices);
        let round = async {
            prices.refresh().await;
            tokio::time::sleep(PRICES_LOOKED_AT).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// What a gateway takes in that nobody knows to be alive counts as left behind. Where nothing may be written, nothing
/// is taken in either, and the gateway runs so that people can look.
async fn announce(house: &Gatehouse) -> Result<(), Failure> {
    match house.engine.announce().await {
        Err(error @ (LedgerError::Lost(_) | LedgerError::Clock(_))) => {
            tracing::error!(%error, "nothing is signed until a person has looked");
            Ok(())
        }
        announced => announced
            .map_err(|error| Failure::failed(format!("the store takes no writes: {error}"))),
    }
}

/// A name of this process alone: what the last one left must not look as if it were still being worked on. The
/// journal keeps the gateway's own name, and so its chain.
fn process_name(gateway: &str) -> String {
    let mut mark = [0_u8; 6];
    fill(&mut mark);
    format!("{gateway}-{}", hex::encode(mark))
}

/// Without tracker and sweeper there is no gateway: if they end before they are told to, all ends. Whether they
/// ended in order.
async fn supervise(engine: tokio::task::JoinHandle<()>, stop: CancellationToken) -> bool {
    let worked = engine.await.is_ok() && stop.is_cancelled();
    if !worked {
        tracing::error!("the engine ended by itself; the gateway ends too");
        stop.cancel();
    }
    worked
}

/// Unlocks keys and sets up chains, away from the async workers.
async fn unlock(loaded: Loaded, telemetry: Arc<dyn Telemetry>) -> Result<(Loaded, Parts), Failure> {
    let work = tokio::task::spawn_blocking(move || {
        let renewed = Parts::watched(telemetry).renew(&loaded)?;
        Ok::<_, Failure>((loaded, renewed))
    });
    let done = work.await.map_err(|_| Failure::failed("the keys could not be unlocked"))?;
    let (loaded, (parts, warnings)) = done?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok((loaded, parts))
}

/// The way to the collector, where one is configured: steps are recorded from now on.
fn outlet(
    config: &Config,
    gateway: &str,
    metrics: &Arc<Metrics>,
) -> Result<Option<Outlet>, Failure> {
    let Some(entry) = &config.telemetry else { return Ok(None) };
    let collector = wiring::collector(entry).map_err(|problem| {
        Failure::refused(wiring::at(config, entry.otlp.place, problem).to_string())
    })?;
    let share = u64::from(entry.sample.0);
    Ok(Outlet::open(collector, share, gateway, Arc::clone(metrics)))
}

async fn bind(door: &Door) -> Result<Bound, Failure> {
    let in_use = "; is another gateway running there? choose another address under `listen`";
    wiring::door(door).bind().await.map_err(|error| match &error {
        countersign_server::DoorError::Address { .. } => {
            Failure::failed(format!("{error}{in_use}"))
        }
        countersign_server::DoorError::File { .. } | countersign_server::DoorError::Tls(_) => {
            Failure::refused(error.to_string())
        }
    })
}

/// A store that may forget what it acknowledged is no store for a mainnet, unless somebody says so.
fn durable_enough(
    config: &Config,
    status: &LedgerStatus,
    accepted: Option<DurabilityClass>,
) -> Result<(), Failure> {
    let mainnet = config.chains.iter().find(|chain| is_mainnet(chain.id));
    let weak = !matches!(status.durability, 'A' | 'B');
    match (mainnet, accepted) {
        (Some(chain), None) if weak => Err(Failure::refused(format!(
            "the store's durability is class {} ({}): too weak for chain {}. Use `appendfsync always` with acknowledged replicas, or the embedded store; or accept it with --accept-durability D",
            status.durability, status.durability_reason, chain.id
        ))),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Says which nodes do not answer, or serve another chain. The gateway runs all the same and recovers by itself.
fn probe(parts: &Parts, clock: &SystemClock) {
    use countersign_engine::port::Clock as _;
    for (id, chain) in parts.chains() {
        let chain = Arc::clone(chain);
        clock.spawn(Box::pin(async move {
            for report in chain.probe().await {
                match report.chain_id {
                    Ok(found) if found == id => {}
                    Ok(found) => tracing::error!(
                        node = report.url,
                        "the node serves chain {found}, not {id}: it is not used"
                    ),
                    Err(reason) => tracing::warn!(
                        node = report.url,
                        "the node of chain {id} does not answer: {reason}"
                    ),
                }
            }
        }));
    }
}
