//! From the configuration to the engine's parts. What has not changed since the last time is used again: keys
//! stay unlocked and connections stay open over a reload.

mod headers;
mod keys;
mod outside;
mod prices;
mod snapshot;

pub(crate) use self::{
    keys::password,
    snapshot::{collections, registry, tokens},
};

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    identity::{AgentId, ChainId, WalletId},
    time::Millis,
};
use countersign_engine::{
    port::{Courier, Telemetry, prices::PriceBell, telemetry::Silent},
    setup::Setup,
    shelf::InForce,
};
use countersign_server::{Credentials, TokenDigest};
use countersign_signers::KeystoreSigner;
use countersign_upstream::{
    FinalityRule as Finality, HttpJudge, HttpOracles, NodeChain, NodeOptions, PriceSources, Webhook,
};

use crate::{
    clock,
    config::{
        ChainEntry, Config, Door, FinalityRule, Place, Problem, Problems, SecretUrl, TelemetryEntry,
    },
    policies::Loaded,
    telemetry::Collector,
};

/// How long requests that have begun may go on after the stop.
const DRAIN: Millis = Millis(20_000);

/// Opened chains and unlocked keys, with what they were made from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    chains: BTreeMap<ChainId, (ChainRecipe, Arc<NodeChain>)>,
    keys: BTreeMap<WalletId, (keys::Recipe, Arc<KeystoreSigner>)>,
    prices: Option<prices::Opened>,
    outside: outside::Outside,
    ear: prices::Ear,
    watcher: Watcher,
}

/// Who watches the exchanges with nodes; nobody, unless somebody is named.
#[derive(Debug, Clone)]
struct Watcher(Arc<dyn Telemetry>);

impl Default for Watcher {
    fn default() -> Self {
        Self(Arc::new(Silent))
    }
}

/// What makes two chains the same connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ChainRecipe {
    upstream: Vec<SecretUrl>,
    finality: FinalityRule,
    stale_after: Millis,
}

impl Parts {
    /// Nothing is open yet; what will be is watched.
    pub(crate) fn watched(telemetry: Arc<dyn Telemetry>) -> Self {
        Self { watcher: Watcher(telemetry), ..Self::default() }
    }

    /// The parts for a configuration; everything that cannot be opened is told at once. Blocks for about a
    /// second per new key.
    pub(crate) fn renew(&self, loaded: &Loaded) -> Result<(Self, Vec<Problem>), Problems> {
        let config = &loaded.config;
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let mut chains = BTreeMap::new();
        for entry in &config.chains {
            match self.chain(entry) {
                Ok(chain) => drop(chains.insert(entry.id, chain)),
                Err(message) => problems.push(at(config, entry.place, message)),
            }
        }
        let opened = prices::open(&config.prices, &chains, self.prices.as_ref(), &self.ear);
        let prices = opened.map_err(|(place, message)| problems.push(at(config, place, message)));
        let outside = outside::Outside::open(config);
        let outside = outside.map_err(|(place, message)| problems.push(at(config, place, message)));
        let keys = keys::unlock(config, &self.keys, &mut problems, &mut warnings);
        if problems.is_empty() {
            let (prices, outside) = (prices.ok(), outside.unwrap_or_default());
            let (ear, watcher) = (self.ear.clone(), self.watcher.clone());
            Ok((Self { chains, keys, prices, outside, ear, watcher }, warnings))
        } else {
            Err(Problems(problems))
        }
    }

    fn chain(&self, entry: &ChainEntry) -> Result<(ChainRecipe, Arc<NodeChain>), String> {
        let ChainEntry { finality, stale_after, .. } = *entry;
        let recipe = ChainRecipe { upstream: entry.upstream.clone(), finality, stale_after };
        if let Some((known, chain)) =
            self.chains.get(&entry.id).filter(|(known, _)| *known == recipe)
        {
            return Ok((known.clone(), Arc::clone(chain)));
        }
        let chain = open_chain(entry, &self.watcher.0).map_err(|error| error.to_string())?;
        Ok((recipe, Arc::new(chain)))
    }

    /// One immutable snapshot for the engine.
    pub(crate) fn setup(&self, loaded: &Loaded, in_force: &BTreeMap<AgentId, InForce>) -> Setup {
        snapshot::setup(self, loaded, in_force)
    }

    /// Who hears of wrong prices, from now on and over every reload.
    pub(crate) fn tell(&self, bell: PriceBell) {
        self.ear.listen(bell);
    }

    /// Where prices come from.
    pub(crate) fn prices(&self) -> Option<&Arc<PriceSources>> {
        self.prices.as_ref().map(|(_, sources)| sources)
    }

    /// Whom policies may ask about addresses.
    pub(crate) fn oracles(&self) -> Option<&Arc<HttpOracles>> {
        self.outside.oracles.as_ref()
    }

    /// Who reads mandates.
    pub(crate) fn judge(&self) -> Option<&Arc<HttpJudge>> {
        self.outside.judge.as_ref()
    }

    /// Who is told outside what happened.
    pub(crate) fn couriers(&self) -> Vec<Arc<dyn Courier>> {
        let courier = |webhook: &Arc<Webhook>| -> Arc<dyn Courier> { webhook.clone() };
        self.outside.webhooks.iter().map(courier).collect()
    }

    /// The opened chains.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (ChainId, &Arc<NodeChain>)> {
        self.chains.iter().map(|(id, (_, chain))| (*id, chain))
    }

    /// The addresses of the unlocked keys.
    pub(crate) fn addresses(&self) -> BTreeMap<WalletId, Address> {
        use countersign_engine::port::Signer as _;
        self.keys.iter().map(|(id, (_, key))| (id.clone(), key.address())).collect()
    }
}

/// Connects to nothing yet.
pub(crate) fn open_chain(
    entry: &ChainEntry,
    telemetry: &Arc<dyn Telemetry>,
) -> Result<NodeChain, countersign_upstream::UpstreamError> {
    let urls = entry.upstream.iter().map(|url| url.expose().to_owned()).collect();
    let finality = match entry.finality {
        FinalityRule::Blocks(blocks) => Finality::Blocks(blocks),
        FinalityRule::Finalized => Finality::Finalized,
    };
    let mut options = NodeOptions::new(entry.id, urls, finality);
    options.stale_after = Some(entry.stale_after).filter(|age| *age > Millis::ZERO);
    options.wall = Some(clock::now);
    options.telemetry = Arc::clone(telemetry);
    NodeChain::new(options)
}

/// Whose tokens and passkeys open which door.
pub(crate) fn credentials(config: &Config) -> Credentials {
    let digest = TokenDigest::new;
    let passkeys = config.operators.iter().flat_map(|operator| {
        operator.passkeys.iter().map(|p| (p.value.clone(), operator.id.clone()))
    });
    Credentials {
        agents: config.agents.iter().map(|a| (digest(a.token.value), a.id.clone())).collect(),
        operators: config.operators.iter().map(|o| (digest(o.token.value), o.id.clone())).collect(),
        passkeys: passkeys.collect(),
    }
}

/// Where traces go. Connects to nothing yet.
pub(crate) fn collector(entry: &TelemetryEntry) -> Result<Collector, String> {
    let url = entry.otlp.value.expose().parse().map_err(|_| "not a URL".to_owned())?;
    let headers = headers::headers(entry.bearer_file.as_ref(), entry.headers_file.as_ref())?;
    Collector::new(&url, entry.protocol, headers)
}

/// A door as it will be bound.
pub(crate) fn door(door: &Door) -> countersign_server::Door {
    let tls = door.tls.as_ref().map(|tls| countersign_server::TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
    });
    let (address, hosts) = (door.address, door.hosts.clone());
    countersign_server::Door { address, tls, hosts, drain: DRAIN }
}

/// Opens what a start opens before it asks anybody, and leaves nothing open: what works and surprises, or everything
/// that a start would refuse. Blocks like [`Parts::renew`].
pub(crate) fn rehearse(loaded: &Loaded) -> Result<Vec<Problem>, Problems> {
    let config = &loaded.config;
    let (warnings, mut problems) = match Parts::default().renew(loaded) {
        Ok((_parts, warnings)) => (warnings, Vec::new()),
        Err(Problems(problems)) => (Vec::new(), problems),
    };
    let doors = [&config.rpc, &config.admin].map(|entry| door(entry).check_tls());
    let refused = doors.into_iter().filter_map(Result::err);
    problems.extend(refused.map(|error| at(config, Place::default(), error.to_string())));
    if let Some(entry) = &config.telemetry
        && let Err(message) = collector(entry)
    {
        problems.push(at(config, entry.otlp.place, message));
    }
    if problems.is_empty() { Ok(warnings) } else { Err(Problems(problems)) }
}

pub(crate) fn at(config: &Config, place: Place, message: String) -> Problem {
    Problem { file: config.file.clone(), place, message }
}
