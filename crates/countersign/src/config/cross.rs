//! What only shows when the sections are looked at together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::Path,
};

use countersign_core::identity::ChainId;
use countersign_engine::setup::Role;

use super::{
    model::{AgentEntry, ChainEntry, Config, OperatorEntry, StoreChoice, TokenDigest},
    network,
    price::SourceEntry,
    problem::{Place, Report},
    reader::did_you_mean,
};

/// Reports every reference that leads nowhere, everything that stands there twice, and every secret that
/// others can read.
pub(crate) fn check(report: &Report, config: &Config) {
    unique(report, "the chain id", config.chains.iter().map(|c| (c.place, c.id)));
    unique(report, "the chain name", config.chains.iter().map(|c| (c.place, &c.name)));
    unique(report, "the wallet", config.wallets.iter().map(|w| (w.place, &w.id)));
    unique(report, "the wallet address", config.wallets.iter().map(|w| (w.place, w.address)));
    unique(report, "the agent", config.agents.iter().map(|a| (a.place, &a.id)));
    unique(report, "the operator", config.operators.iter().map(|o| (o.place, &o.id)));
    approvers(report, config);
    changers(report, config);
    config.chains.iter().for_each(|chain| names_in(report, chain));
    config.agents.iter().for_each(|agent| wallets_of(report, agent, config));
    tokens(report, config);
    chains_are_told_apart(report, config);
    unpriced(report, config);
    price_sources(report, config);
    unique(report, "the oracle", config.oracles.iter().map(|o| (o.place, &o.name)));
    in_the_clear(report, config);
    secrets(report, config);
}

fn unique<T: Ord + Display>(
    report: &Report,
    what: &str,
    entries: impl Iterator<Item = (Place, T)>,
) {
    let mut first = BTreeMap::new();
    for (place, key) in entries {
        if let Some(Place { line, .. }) = first.get(&key) {
            report.refuse(place, format!("{what} `{key}` is already used in line {line}"));
        } else {
            first.insert(key, place);
        }
    }
}

fn names_in(report: &Report, chain: &ChainEntry) {
    let native = [(chain.place, chain.native.symbol.to_lowercase())];
    let tokens = chain.tokens.iter().map(|t| (t.place, t.id.clone()));
    let collections = chain.collections.iter().map(|c| (c.place, c.id.clone()));
    unique(report, "the token", native.into_iter().chain(tokens).chain(collections));
    let tokens = chain.tokens.iter().map(|t| (t.place, t.address));
    let collections = chain.collections.iter().map(|c| (c.place, c.address));
    unique(report, "the token address", tokens.chain(collections));
    unique(report, "the contract", chain.contracts.iter().map(|c| (c.place, &c.id)));
    unique(report, "the contract address", chain.contracts.iter().map(|c| (c.place, c.address)));
}

/// A path `/1` must not mean a chain that is only called so.
fn chains_are_told_apart(report: &Report, config: &Config) {
    for chain in &config.chains {
        let other = |c: &&ChainEntry| c.id != chain.id && c.id.to_string() == chain.name;
        if config.chains.iter().any(|c| other(&c)) {
            report.refuse(
                chain.place,
                format!("the name `{}` is the id of another chain", chain.name),
            );
        }
    }
}

fn wallets_of(report: &Report, agent: &AgentEntry, config: &Config) {
    let known: Vec<&str> = config.wallets_declared.iter().map(String::as_str).collect();
    for wallet in &agent.wallets {
        let name = wallet.value.as_str();
        if !known.contains(&name) {
            let hint = did_you_mean(name, &known);
            report.refuse(wallet.place, format!("there is no wallet `{name}`{hint}"));
        }
    }
    unique(report, "the wallet", agent.wallets.iter().map(|w| (w.place, &w.value)));
}

/// One token, one meaning. The message names holders, never digests.
fn tokens(report: &Report, config: &Config) {
    let agents = config.agents.iter().map(|a| (&a.token, format!("the agent `{}`", a.id)));
    let operators = config.operators.iter().map(|o| (&o.token, format!("the operator `{}`", o.id)));
    let mut first: BTreeMap<TokenDigest, String> = BTreeMap::new();
    for (token, holder) in agents.chain(operators) {
        if let Some(known) = first.get(&token.value) {
            report.refuse(
                token.place,
                format!(
                    "{holder} has the same token as {known}: make one with `countersign token new`"
                ),
            );
        } else {
            first.insert(token.value, holder);
        }
    }
}

/// A gate that nobody can open leaves loosening to whoever edits files; that works, and is seldom meant.
fn changers(report: &Report, config: &Config) {
    let gate = &config.policy_changes.value.gate;
    let known: Vec<&str> =
        config.operators.iter().flat_map(|o| o.groups.iter().map(String::as_str)).collect();
    let place = config.policy_changes.place;
    for group in gate.groups.iter().filter(|group| !known.contains(&group.as_str())) {
        let hint = did_you_mean(group, &known);
        report.refuse(place, format!("no operator is in the group `{group}`{hint}"));
    }
    let changes = |o: &&OperatorEntry| o.roles.contains(&Role::Policy);
    let people = |in_gate: bool| -> BTreeSet<&str> {
        let all = config.operators.iter().filter(changes);
        all.filter(|o| !in_gate || gate.takes(&o.groups)).map(|o| o.person.as_str()).collect()
    };
    let (proposers, approvers) = (people(false), people(true));
    // whoever proposes does not count: of those who could, one stays away unless there is another to propose
    let spare = usize::from(proposers.is_subset(&approvers));
    let most = approvers.len().saturating_sub(spare);
    let needed = usize::try_from(gate.approvals).unwrap_or(usize::MAX);
    // where nothing is written nobody may mean to loosen anything that way
    let is_meant = place != Place::default();
    if is_meant && !proposers.is_empty() && most < needed {
        let message = format!(
            "nobody can loosen a policy through the API: `policy_changes` needs {needed} approvals by others than the proposer, and {most} could give one; write `approvals: 0` where one person runs this, or name more operators with the role `policy`"
        );
        report.warn(place, message);
    }
}

/// One key, one person; and no key that is here: an agent could ask for its signature.
fn approvers(report: &Report, config: &Config) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for operator in &config.operators {
        let addresses = operator.address.iter().map(|a| (a.place, a.value.to_string()));
        let passkeys = operator.passkeys.iter().map(|p| (p.place, p.value.id.clone()));
        for (place, key) in addresses.chain(passkeys) {
            match first.get(&key) {
                Some(person) if *person != operator.person => report.refuse(
                    place,
                    format!("`{key}` signs for `{person}` already: a key is one person's"),
                ),
                Some(_) => {}
                None => drop(first.insert(key, &operator.person)),
            }
        }
        let Some(address) = &operator.address else { continue };
        if config.wallets.iter().any(|wallet| wallet.address == address.value) {
            let message = format!(
                "`{}` is a wallet of agents: what it signs is no word of a person",
                address.value
            );
            report.refuse(address.place, message);
        }
    }
}

/// Not refused: a token that nobody priced is refused request by request.
fn unpriced(report: &Report, config: &Config) {
    for chain in &config.chains {
        let native = [(chain.place, &chain.native.symbol)];
        let tokens = chain.tokens.iter().map(|t| (t.place, &t.price));
        let collections = chain.collections.iter().map(|c| (c.place, &c.price));
        for (place, symbol) in native.into_iter().chain(tokens).chain(collections) {
            if !config.prices.names(symbol) {
                report.warn(
                    place,
                    format!("no price source names `{symbol}`: every limit in USD will refuse it"),
                );
            }
        }
    }
}

/// A source needs its chain; two statements about one symbol would only ever contradict each other; and a price that
/// anybody on the way can change is none.
fn price_sources(report: &Report, config: &Config) {
    let known = |id: ChainId| config.chains.iter().any(|chain| chain.id == id);
    for source in &config.prices.sources {
        match &source.value {
            SourceEntry::Chainlink(entry) if !known(entry.chain.value) => {
                let message = format!("there is no chain {} under `chains`", entry.chain.value);
                report.refuse(entry.chain.place, message);
            }
            SourceEntry::Http(entry) if entry.url.value.is_in_the_clear() => {
                let message = "prices over http:// can be changed on the way: use https://, or a server of this machine";
                let development = config.chains.iter().all(|c| network::is_development(c.id));
                if development {
                    report.warn(entry.url.place, message);
                } else {
                    report.refuse(entry.url.place, message);
                }
            }
            SourceEntry::Static(_) | SourceEntry::Chainlink(_) | SourceEntry::Http(_) => {}
        }
    }
    unique(
        report,
        "the static price of",
        config.prices.stated().map(|(symbol, price)| (price.place, symbol)),
    );
}

/// What can be changed on the way is nobody's word.
fn in_the_clear(report: &Report, config: &Config) {
    let development = config.chains.iter().all(|c| network::is_development(c.id));
    let oracles = config.oracles.iter().map(|oracle| &oracle.url);
    let urls = oracles.chain(config.judge.iter().map(|judge| &judge.url));
    for url in urls.filter(|url| url.value.is_in_the_clear()) {
        let message = "answers over http:// can be changed on the way: use https://, or a server of this machine";
        if development {
            report.warn(url.place, message);
        } else {
            report.refuse(url.place, message);
        }
    }
}

fn secrets(report: &Report, config: &Config) {
    let all_development = config.chains.iter().all(|chain| network::is_development(chain.id));
    let doors = [&config.rpc, &config.admin].into_iter().filter_map(|door| door.tls.as_ref());
    let keys = doors.map(|tls| (Place::default(), tls.key.as_path()));
    let held = config.wallets.iter().filter_map(|w| Some((w.place, w.keystore()?)));
    let wallets = held
        .flat_map(|(place, key)| [(place, key.keystore.as_path()), (place, &key.password_file)]);
    let store = match &config.store {
        StoreChoice::Redis(redis) => Some(redis.secrets().map(|file| (redis.place, file))),
        StoreChoice::Embedded(_) => None,
    };
    let all =
        keys.chain(wallets).chain(store.into_iter().flatten()).chain(config.secrets_for_others());
    for (place, file) in all.filter(|(_, file)| is_open_to_others(file)) {
        let message =
            format!("the secret file `{0}` can be read by others: chmod 600 {0}", file.display());
        if all_development { report.warn(place, message) } else { report.refuse(place, message) }
    }
}

/// Whether anybody but its owner and group can read a file, or anybody but its owner can change it.
#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o027 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_file: &Path) -> bool {
    false
}
