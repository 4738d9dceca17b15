//! What a configuration says, typed. References between its parts hold; files that it names exist.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use countersign_core::{
    abi::AbiFunction,
    approval::passkey::RelyingParty,
    identity::{AgentId, AppId, ChainId, OperatorId, WalletId},
    time::Millis,
};
use countersign_decode::{Collection, Container};
use countersign_engine::setup::{PasskeySetup, PolicyChanges, Role, SimulationMode};

use super::{
    abi::Abis,
    notify::NotifyEntry,
    outside::{JudgeEntry, OracleEntry, SecretFiles},
    price::PriceBook,
    problem::Place,
    store::RedisEntry,
    telemetry::TelemetryEntry,
};

/// A value and where the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A configuration whose parts fit together.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file that it was read from.
    pub(crate) file: PathBuf,
    pub(crate) app: AppId,
    pub(crate) rpc: Door,
    pub(crate) admin: Door,
    /// Where operators' passkeys are used.
    pub(crate) passkeys: RelyingParty,
    pub(crate) state: PathBuf,
    pub(crate) store: StoreChoice,
    pub(crate) chains: Vec<ChainEntry>,
    pub(crate) wallets: Vec<WalletEntry>,
    /// Names of wallets, of those too that could not be read.
    pub(crate) wallets_declared: Vec<String>,
    pub(crate) agents: Vec<AgentEntry>,
    pub(crate) operators: Vec<OperatorEntry>,
    /// For agents that have none of their own.
    pub(crate) breaker: Option<BreakerEntry>,
    /// Who lets a policy be loosened while the gateway runs, and who signs policies.
    pub(crate) policy_changes: Placed<PolicyChanges>,
    /// Files of policies that may only narrow.
    pub(crate) guards: Vec<Placed<PathBuf>>,
    pub(crate) prices: PriceBook,
    /// Whom policies may ask about addresses.
    pub(crate) oracles: Vec<OracleEntry>,
    /// Who reads mandates.
    pub(crate) judge: Option<JudgeEntry>,
    /// Who is told outside what happened.
    pub(crate) notify: Vec<NotifyEntry>,
    /// What the folder of ABIs has.
    pub(crate) abis: Abis,
    /// Where traces go.
    pub(crate) telemetry: Option<TelemetryEntry>,
}

impl Config {
    /// Files with what others want to see before they answer: nobody else may read them.
    pub(crate) fn secrets_for_others(&self) -> impl Iterator<Item = (Place, &Path)> {
        let oracles = self.oracles.iter().map(|oracle| &oracle.secrets);
        let files = oracles.chain(self.judge.iter().map(|judge| &judge.secrets));
        let webhooks = self.notify.iter().filter_map(|entry| entry.secret.as_ref());
        let collector = self
            .telemetry
            .iter()
            .flat_map(|entry| [entry.bearer_file.as_ref(), entry.headers_file.as_ref()]);
        let single = webhooks.chain(collector.flatten());
        let single = single.map(|file| (file.place, file.value.as_path()));
        self.prices.secrets().chain(files.flat_map(SecretFiles::all)).chain(single)
    }
}

/// Where one of the two doors listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    /// Names that it answers to, besides `localhost` and IP addresses.
    pub(crate) hosts: Vec<String>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}

/// Where the books are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    /// One file in this folder, one process.
    Embedded(PathBuf),
    /// Shared by several gateways.
    Redis(RedisEntry),
}

impl StoreChoice {
    /// What OpenTelemetry calls it.
    pub(crate) const fn system(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "sqlite",
            Self::Redis(_) => "redis",
        }
    }
}

/// A URL that may carry a credential: only its scheme and host are ever shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretUrl(String);

impl SecretUrl {
    /// Reads a URL of one of these schemes. The message does not repeat the URL.
    pub(crate) fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let wanted = || format!("expected a URL that begins with {}://", schemes.join(":// or "));
        let (scheme, rest) = text.split_once("://").ok_or_else(wanted)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if !schemes.contains(&scheme) || authority.is_empty() {
            return Err(wanted());
        }
        match text.parse::<http::Uri>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => {
                Err("not a URL: what it cannot hold, in a password too, is written %XX".into())
            }
        }
    }

    /// The whole URL, credentials and all.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a password stands between scheme and host.
    pub(crate) fn has_password(&self) -> bool {
        self.authority().rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    }

    /// Whether what is said to it can be read and changed on the way.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let host = self.authority().rsplit('@').next().unwrap_or_default();
        let name = host.parse::<http::uri::Authority>();
        let name = name.as_ref().map_or("", |authority| authority.host());
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let here = name == "localhost" || address.is_ok_and(|address| address.is_loopback());
        self.0.starts_with("http://") && !here
    }

    fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }
}

/// Scheme and host only: a path may be a key as well.
impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.split_once("://").map_or("", |(scheme, _)| scheme);
        let host = self.authority().rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}")
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One chain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChainEntry {
    pub(crate) place: Place,
    pub(crate) id: ChainId,
    pub(crate) name: String,
    pub(crate) upstream: Vec<SecretUrl>,
    pub(crate) finality: FinalityRule,
    /// Wei per gas.
    pub(crate) fee_ceiling: u128,
    /// Zero: the fee of what is stuck is never raised by itself.
    pub(crate) bump_after: Millis,
    /// Zero: a newest block may be of any age.
    pub(crate) stale_after: Millis,
    pub(crate) simulation: SimulationMode,
    /// Without a slash at its end.
    pub(crate) explorer: Option<String>,
    pub(crate) native: NativeEntry,
    pub(crate) tokens: Vec<TokenEntry>,
    pub(crate) collections: Vec<CollectionEntry>,
    pub(crate) contracts: Vec<ContractEntry>,
}

impl ChainEntry {
    /// What policies may name: `eth@31337`, `usdc@31337`.
    pub(crate) fn token_names(&self) -> Vec<String> {
        let native = self.native.symbol.to_lowercase();
        let tokens = self.tokens.iter().map(|token| token.id.as_str());
        let ids = tokens.chain(self.collections.iter().map(|items| items.id.as_str()));
        std::iter::once(native.as_str()).chain(ids).map(|id| format!("{id}@{}", self.id)).collect()
    }
}

/// When a receipt is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalityRule {
    /// So many blocks; the receipt's own counts as one.
    Blocks(u64),
    /// The node's `finalized` tag.
    Finalized,
}

/// The chain's own currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NativeEntry {
    pub(crate) symbol: String,
    pub(crate) decimals: u8,
}

/// A token that policies may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenEntry {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) address: Address,
    pub(crate) decimals: u8,
    /// What price sources call it.
    pub(crate) price: String,
}

/// A collection of items that policies may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CollectionEntry {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) address: Address,
    pub(crate) standard: Collection,
    /// What price sources call one item of it.
    pub(crate) price: String,
    /// The most items of it that a wallet holds.
    pub(crate) held_max: Option<u64>,
}

/// A contract whose functions are known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContractEntry {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) address: Address,
    pub(crate) abi: Vec<AbiFunction>,
    pub(crate) action: Option<String>,
    /// What its calls hold, where that is known.
    pub(crate) container: Option<Container>,
}

/// One wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WalletEntry {
    pub(crate) place: Place,
    pub(crate) id: WalletId,
    pub(crate) address: Address,
    pub(crate) signer: SignerEntry,
    pub(crate) in_flight_max: u32,
}

/// Who signs for a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignerEntry {
    /// This gateway, with a key from a file.
    Keystore(KeystoreEntry),
    /// Its owner, elsewhere.
    External,
}

/// A key and what unlocks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeystoreEntry {
    pub(crate) keystore: PathBuf,
    pub(crate) password_file: PathBuf,
}

impl WalletEntry {
    /// The key's files, where it is here.
    pub(crate) const fn keystore(&self) -> Option<&KeystoreEntry> {
        match &self.signer {
            SignerEntry::Keystore(entry) => Some(entry),
            SignerEntry::External => None,
        }
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentEntry {
    pub(crate) place: Place,
    pub(crate) id: AgentId,
    pub(crate) token: Placed<TokenDigest>,
    pub(crate) wallets: Vec<Placed<WalletId>>,
    pub(crate) policy: Placed<PathBuf>,
    pub(crate) owner: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) duplicate_window: Millis,
    pub(crate) hold: Millis,
    pub(crate) parked_max: u32,
    pub(crate) breaker: Option<BreakerEntry>,
}

/// When an agent is frozen for its denials; at zero of them, never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BreakerEntry {
    pub(crate) denials: u32,
    pub(crate) within: Millis,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperatorEntry {
    pub(crate) place: Place,
    pub(crate) id: OperatorId,
    pub(crate) token: Placed<TokenDigest>,
    pub(crate) roles: Vec<Role>,
    pub(crate) person: String,
    pub(crate) groups: Vec<String>,
    /// Whose key signs its approvals.
    pub(crate) address: Option<Placed<Address>>,
    pub(crate) passkeys: Vec<Placed<PasskeySetup>>,
}

/// The SHA-256 of a token's bytes.
pub(crate) type TokenDigest = [u8; 32];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_its_credentials() {
        let url =
            SecretUrl::parse("https://bot:hunter2@node.example:8545/v3/KEY?k=KEY", &["https"]);
        let url = url.unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://node.example:8545 https://node.example:8545");
        assert!(url.has_password());
        let refused = SecretUrl::parse("ftp://u:hunter2@h/", &["http", "https"]).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
