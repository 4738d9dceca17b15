//! The policies that a configuration names, read and held against it.

pub(crate) mod signature;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use countersign_core::{
    approval::{Gate, Signing, Vote},
    identity::{AgentId, OperatorId},
    shelf::{agent_use, guard_use},
    time::Timestamp,
};
use countersign_engine::setup::Role;
use countersign_policy::{Diagnostic, Kind, Policy, PolicyErrors};

use self::signature::{Signatures, signature};
use crate::config::{
    self, AgentEntry, Config, OperatorEntry, Place, Placed, Problem, Problems, Report, SecretUrl,
    did_you_mean,
};

/// A configuration with its policies: everything that starting needs but the outside world.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) grants: BTreeMap<AgentId, Policy>,
    pub(crate) guards: Vec<Policy>,
    pub(crate) signed: Signatures,
    pub(crate) warnings: Vec<Problem>,
}

impl Loaded {
    /// Every file whose change matters, each once: the configuration first, then the policies and the ABIs.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let policies = self.config.agents.iter().map(|agent| &agent.policy.value);
        let guards = self.config.guards.iter().map(|guard| &guard.value);
        let policies: Vec<PathBuf> = policies.chain(guards).cloned().collect();
        let are_signed = !self.config.policy_changes.value.keys.is_empty();
        let signed: &[PathBuf] = if are_signed { &policies } else { &[] };
        let signatures: Vec<PathBuf> = signed.iter().map(|file| signature::beside(file)).collect();
        let abis = &self.config.abis;
        let abis = abis.folder.iter().chain(abis.files.iter().map(|abi| &abi.file));
        let files =
            std::iter::once(&self.config.file).chain(&policies).chain(&signatures).chain(abis);
        let secrets = self.config.secrets_for_others().map(|(_, file)| file.to_path_buf());
        let mut seen = BTreeSet::new();
        files.cloned().chain(secrets).filter(|file| seen.insert(file.clone())).collect()
    }
}

/// What `dev` decides instead of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) rpc: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    /// The one node of every chain.
    pub(crate) upstream: Option<SecretUrl>,
}

impl Overrides {
    fn apply(&self, config: &mut Config) {
        config.rpc.address = self.rpc.unwrap_or(config.rpc.address);
        config.admin.address = self.admin.unwrap_or(config.admin.address);
        if let Some(url) = &self.upstream {
            config.chains.iter_mut().for_each(|chain| chain.upstream = vec![url.clone()]);
        }
    }
}

/// Reads a configuration and every policy that it names; everything that is wrong is told at once.
pub(crate) fn load(file: &Path) -> Result<Loaded, Problems> {
    load_with(file, &Overrides::default())
}

/// The same, with some of it decided elsewhere.
pub(crate) fn load_with(file: &Path, overrides: &Overrides) -> Result<Loaded, Problems> {
    let report = Report::new(file);
    let loaded = config::read(file, &report).map(|mut config| {
        overrides.apply(&mut config);
        let mut signed = Signatures::default();
        let mut grants = BTreeMap::new();
        let mut files = BTreeMap::new();
        for agent in &config.agents {
            let Some(grant) = grant(&report, &config, agent, &mut files) else { continue };
            let (of, usage) = ((&agent.policy, &grant), agent_use(&agent.id));
            let signature = signature(&report, &config, of, &usage);
            signed.grants.extend(signature.map(|signature| (agent.id.clone(), signature)));
            grants.insert(agent.id.clone(), grant);
        }
        let mut guards = Vec::new();
        for entry in &config.guards {
            let Some(guard) = guard(&report, &config, entry) else { continue };
            let usage = guard_use(guard.name());
            let signature = signature(&report, &config, (entry, &guard), &usage);
            signed.guards.extend(signature.map(|found| (guard.name().to_owned(), found)));
            guards.push(guard);
        }
        Loaded { config, grants, guards, signed, warnings: Vec::new() }
    });
    let (loaded, warnings) = report.finish(loaded)?;
    Ok(Loaded { warnings, ..loaded })
}

/// Policies by their files, `None` where one cannot be read: what many agents have in common is read once, and kept once.
type ByFile = BTreeMap<PathBuf, Option<Policy>>;

fn grant(
    report: &Report,
    config: &Config,
    agent: &AgentEntry,
    files: &mut ByFile,
) -> Option<Policy> {
    let file = &agent.policy.value;
    let policy = files.entry(file.clone()).or_insert_with(|| read(report, file)).clone()?;
    if policy.kind() != Kind::Grant {
        report.refuse(
            agent.policy.place,
            format!(
                "`{}` is a guard: an agent needs a grant; list it under `guards`",
                file.display()
            ),
        );
    }
    let named = policy.scope().agent.as_ref();
    if let Some(other) = named.filter(|named| **named != agent.id) {
        report.refuse(
            agent.policy.place,
            format!("`{}` is for the agent `{other}`, not for `{}`", file.display(), agent.id),
        );
    }
    References { report, config, file, policy: &policy }.check(agent.owner.as_deref());
    Some(policy)
}

fn guard(report: &Report, config: &Config, guard: &Placed<PathBuf>) -> Option<Policy> {
    let file = &guard.value;
    let policy = read(report, file)?;
    if policy.kind() != Kind::Guard {
        report.refuse(
            guard.place,
            format!("`{}` is a grant: name it as an agent's `policy`", file.display()),
        );
    }
    References { report, config, file, policy: &policy }.check(None);
    Some(policy)
}

/// Reads one policy file and runs its own tests.
fn read(report: &Report, file: &Path) -> Option<Policy> {
    match parse(file) {
        Ok(policy) => {
            report.warn_all(policy.warnings().iter().map(|warning| problem(file, warning)));
            Some(policy)
        }
        Err(problems) => {
            report.refuse_all(problems.0);
            None
        }
    }
}

/// Reads one policy file, in any of the formats that there are, and runs its own tests.
pub(crate) fn parse(file: &Path) -> Result<Policy, Problems> {
    parse_as(file, Policy::parse)
}

/// Reads one policy file without running its tests.
pub(crate) fn parse_untested(file: &Path) -> Result<Policy, Problems> {
    parse_as(file, Policy::parse_untested)
}

/// Reads a policy file with this reader, and tells its findings as problems of the file.
pub(crate) fn parse_as<T>(
    file: &Path,
    read: impl FnOnce(&str, &str) -> Result<T, PolicyErrors>,
) -> Result<T, Problems> {
    let unreadable =
        |message| Problem { file: file.to_path_buf(), place: Place::default(), message };
    let text = config::text_of(file).map_err(|message| Problems(vec![unreadable(message)]))?;
    let parsed = read(&text, &file.display().to_string());
    parsed
        .map_err(|errors| Problems(errors.items.iter().map(|found| problem(file, found)).collect()))
}

fn problem(file: &Path, found: &Diagnostic) -> Problem {
    let number = |n: Option<u32>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let place = Place { line: number(found.line), column: number(found.column) };
    let hint = if found.hint.is_empty() { String::new() } else { format!("; {}", found.hint) };
    Problem { file: file.to_path_buf(), place, message: format!("{}{hint}", found.message) }
}

/// What a policy names and the configuration must have.
struct References<'a> {
    report: &'a Report,
    config: &'a Config,
    file: &'a Path,
    policy: &'a Policy,
}

impl References<'_> {
    fn check(&self, owner: Option<&str>) {
        self.scope();
        self.tokens();
        self.people();
        self.gates(owner);
        self.oracles();
    }

    fn scope(&self) {
        let scope = self.policy.scope();
        let wallets: Vec<&str> = self.config.wallets_declared.iter().map(String::as_str).collect();
        for wallet in &scope.wallets {
            self.known("wallet", wallet.as_str(), &wallets);
        }
        let chains: Vec<String> = self.config.chains.iter().map(|c| c.id.to_string()).collect();
        let chains: Vec<&str> = chains.iter().map(String::as_str).collect();
        for chain in &scope.chains {
            self.known("chain", &chain.to_string(), &chains);
        }
    }

    fn tokens(&self) {
        let names = self.config.chains.iter().flat_map(config::ChainEntry::token_names);
        let names: Vec<String> = names.collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for token in self.policy.tokens() {
            self.known("token", &token, &names);
        }
    }

    fn people(&self) {
        let ids = self.config.operators.iter().map(|o| o.id.as_str());
        let groups = self.config.operators.iter().flat_map(|o| o.groups.iter().map(String::as_str));
        let names: Vec<&str> = ids.chain(groups).collect();
        for name in self.policy.operators() {
            self.known("operator or group", &name, &names);
        }
    }

    fn oracles(&self) {
        let names: Vec<&str> = self.config.oracles.iter().map(|o| o.name.as_str()).collect();
        for (name, field) in self.policy.oracles() {
            self.known("oracle", &name, &names);
            let Some(oracle) = self.config.oracles.iter().find(|o| o.name == name) else {
                continue;
            };
            if oracle.fields.contains_key(&field) {
                continue;
            }
            let known = oracle.fields.keys().filter(|known| !known.is_empty());
            let known: Vec<String> = known.map(|known| format!("oracle.{name}.{known}")).collect();
            let hint = if known.is_empty() {
                format!("it says one thing: oracle.{name}")
            } else {
                format!("it says {}", known.join(", "))
            };
            self.refuse(&name, format!("the oracle `{name}` says nothing of `{field}`; {hint}"));
        }
    }

    fn known(&self, what: &str, name: &str, known: &[&str]) {
        if !known.contains(&name) {
            let hint = did_you_mean(name, known);
            self.refuse(name, format!("there is no {what} `{name}` in the configuration{hint}"));
        }
    }

    /// A gate that nobody can open parks for ever; that works, and is seldom meant.
    fn gates(&self, owner: Option<&str>) {
        let approvers = self.config.operators.iter().filter(|o| o.roles.contains(&Role::Approve));
        let votes: Vec<Vote> = approvers
            .map(|o| Vote {
                operator: o.id.clone(),
                person: o.person.clone(),
                groups: o.groups.clone(),
                note: None,
                at: Timestamp::default(),
                signature: None,
            })
            .collect();
        let signs = |gate: &Gate, operator: &OperatorId| {
            let known = self.config.operators.iter().find(|o| o.id == *operator);
            known.is_some_and(|o| gate.sign.iter().any(|signing| has_key(o, *signing)))
        };
        let shut = |gate: &&Gate| {
            let able = |vote: &&Vote| gate.sign.is_empty() || signs(gate, &vote.operator);
            let able: Vec<Vote> = votes.iter().filter(able).cloned().collect();
            let by_token = Gate { sign: Vec::new(), in_order: false, ..Gate::clone(gate) };
            !by_token.is_open(&able, owner)
        };
        for gate in self.policy.gates().iter().filter(shut) {
            let signed = if gate.sign.is_empty() { "" } else { " and have what it is signed with" };
            let message = format!(
                "nobody can open the gate `{}`: too few operators with the role `approve` are in it{signed} (owners do not count)",
                gate.id
            );
            self.report.warn_all([Problem {
                file: self.file.to_path_buf(),
                place: self.place(&gate.id),
                message,
            }]);
        }
    }

    fn refuse(&self, word: &str, message: String) {
        self.report.refuse_all([Problem {
            file: self.file.to_path_buf(),
            place: self.place(word),
            message,
        }]);
    }

    /// Where the policy says a word first.
    fn place(&self, word: &str) -> Place {
        let text = config::text_of(self.file).unwrap_or_default();
        let mut lines = text.lines().enumerate();
        let found = lines.find_map(|(index, line)| Some((index, column_of(line, word)?)));
        found.map_or_else(Place::default, |(line, column)| Place {
            line: line.saturating_add(1),
            column: column.saturating_add(1),
        })
    }
}

/// Whether an operator has what signs so.
const fn has_key(operator: &OperatorEntry, signing: Signing) -> bool {
    match signing {
        Signing::Ethereum => operator.address.is_some(),
        Signing::Passkey => !operator.passkeys.is_empty(),
    }
}

/// Where a line has a word that is not a part of a longer one.
fn column_of(line: &str, word: &str) -> Option<usize> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@');
    let mut found = line.match_indices(word);
    found.find_map(|(at, _)| {
        let (before, rest) = line.split_at(at);
        let after = rest.strip_prefix(word)?;
        let whole = !before.ends_with(inside) && !after.starts_with(inside);
        whole.then_some(at)
    })
}

#[cfg(test)]
mod tests;
