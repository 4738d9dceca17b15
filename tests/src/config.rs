//! A configuration directory as an operator would write it (CONTRACT §2).

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{anvil, binary, place};

/// Who may be paid.
pub const PAYEE: &str = "0x1111111111111111111111111111111111111111";

/// Who may not.
pub const STRANGER: &str = "0x9999999999999999999999999999999999999999";

/// A token that the configuration names, at an address without code.
pub const TOKEN: &str = "0x2222222222222222222222222222222222222222";

/// The policy of the check from outside: 1 000 USD in any 24 hours, a person above 100 USD, never above 500.
pub const POLICY: &str = include_str!("policy.yaml");

/// Which store a gateway runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The file of its own.
    Embedded,
    /// A Redis.
    Redis,
}

/// An agent of the configuration.
#[derive(Debug, Clone)]
pub struct AgentSetup {
    /// Its id; its token is `<id>-token`.
    pub id: &'static str,
    /// Its wallet: the number of one of anvil's accounts.
    pub wallet: usize,
    /// Its policy's text.
    pub policy: String,
    /// Who owns it.
    pub owner: &'static str,
    /// For how long an equal send counts as a repetition.
    pub duplicate_window: &'static str,
    /// For how long a parked call is held open.
    pub hold: &'static str,
}

impl AgentSetup {
    /// An agent on one of anvil's accounts, under the policy of the check from outside.
    #[must_use]
    pub fn new(id: &'static str, wallet: usize) -> Self {
        let policy = POLICY.replace("{agent}", id).replace("{wallet}", &wallet_id(wallet));
        Self { id, wallet, policy, owner: "carol", duplicate_window: "15s", hold: "0s" }
    }
}

/// What to start a gateway with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its store.
    pub store: StoreKind,
    /// Its agents.
    pub agents: Vec<AgentSetup>,
    /// Serve TLS on both doors, with certificates from `ca.pem`, `server.pem`, `server.key`.
    pub tls: bool,
    /// Further files of the directory: where they lie in it, and their texts.
    pub files: Vec<(String, String)>,
    /// What the configuration says otherwise: a text that is in it, and what stands in its place.
    pub changes: Vec<(String, String)>,
    /// Which log lines are written; the usual ones without.
    pub log: Option<&'static str>,
}

impl Setup {
    /// One agent, `bot`, on the first of anvil's accounts.
    #[must_use]
    pub fn new(store: StoreKind) -> Self {
        let agents = vec![AgentSetup::new("bot", 0)];
        Self { store, agents, tls: false, files: Vec::new(), changes: Vec::new(), log: None }
    }

    /// The same with one more agent, `other`, on the second account.
    #[must_use]
    pub fn with_another_agent(mut self) -> Self {
        self.agents.push(AgentSetup::new("other", 1));
        self
    }

    /// The same, and the first agent may use one more of anvil's accounts, whose owner signs.
    #[must_use]
    pub fn with_owner_of(mut self, account: usize) -> Self {
        let (own, id) = (wallet_id(0), wallet_id(account));
        let (_, address) = anvil::ACCOUNTS.get(account).expect("one of anvil's accounts");
        let entry =
            format!("wallets:\n  - {{ id: {id}, address: \"{address}\", signer: external }}\n");
        let (one, both) = (format!("wallets: [{own}]"), format!("wallets: [{own}, {id}]"));
        self.changes.push(("wallets:\n".into(), entry));
        self.changes.push((one.clone(), both.clone()));
        self.with(|bot| bot.policy = bot.policy.replace(&one, &both))
    }

    /// The same, and a fee is raised after two seconds. For races at a node that mines at once: anvil may take a nonce in
    /// while it mines the one before, and then holds it as if that one were still to come, until it is replaced.
    #[must_use]
    pub fn with_fees_raised_soon(mut self) -> Self {
        let finality = "    finality: 1\n";
        self.changes.push((finality.into(), format!("{finality}    bump_after: 2s\n")));
        self
    }

    /// The same with a change to the first agent.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut AgentSetup)) -> Self {
        if let Some(first) = self.agents.first_mut() {
            change(first);
        }
        self
    }
}

/// Where everything listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The agents' door.
    pub rpc: SocketAddr,
    /// The operators' door.
    pub admin: SocketAddr,
    /// The node.
    pub node: SocketAddr,
    /// The Redis, if one is used.
    pub redis: Option<String>,
}

impl Addresses {
    /// Free doors before a given node.
    #[must_use]
    pub fn before(node: SocketAddr, redis: Option<String>) -> Self {
        Self { rpc: place::free_address(), admin: place::free_address(), node, redis }
    }
}

/// The id of the wallet on one of anvil's accounts.
#[must_use]
pub fn wallet_id(account: usize) -> String {
    format!("ops-{account}")
}

/// The secret of an agent or operator.
#[must_use]
pub fn token(id: &str) -> String {
    format!("{id}-token-7f3a91c2")
}

/// Writes the whole directory and returns the configuration file's path.
#[must_use]
pub fn write(folder: &Path, setup: &Setup, addresses: &Addresses) -> PathBuf {
    for part in ["keys", "policies"] {
        fs::create_dir_all(folder.join(part)).expect("a folder");
    }
    for agent in &setup.agents {
        write_key(folder, agent.wallet);
        write_file(&policy_file(folder, agent.id), &agent.policy);
    }
    setup.files.iter().for_each(|(name, text)| write_file(&folder.join(name), text));
    let file = folder.join("countersign.yaml");
    let mut text = text(setup, addresses);
    for (from, to) in &setup.changes {
        assert!(text.contains(from), "`{from}` is not in the configuration:\n{text}");
        text = text.replace(from, to);
    }
    write_file(&file, &text);
    file
}

/// Where an agent's policy lies.
#[must_use]
pub fn policy_file(folder: &Path, agent: &str) -> PathBuf {
    folder.join(format!("policies/{agent}.yaml"))
}

/// Takes the file away from everybody else.
pub fn keep_private(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a file of ours");
}

fn write_file(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    keep_private(file);
}

/// One of anvil's keys as a keystore: imported with the product's own command, once for each build of the
/// binary, because its key derivation is slow on purpose.
fn write_key(folder: &Path, account: usize) {
    let id = wallet_id(account);
    let (password, out) = (format!("keys/{id}.password"), format!("keys/{id}.json"));
    write_file(&folder.join(&password), "correct horse battery staple");
    let program = binary::countersign();
    let kept = program.with_file_name(format!("countersign-test-key-{id}.json"));
    if is_newer(&kept, program) {
        fs::copy(&kept, folder.join(&out)).expect("a keystore");
    } else {
        import_key(folder, account, [&password, &out]);
        let own = kept.with_extension(std::process::id().to_string());
        fs::copy(folder.join(&out), &own).expect("a keystore");
        fs::rename(own, kept).expect("a keystore");
    }
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let modified = |file: &Path| file.metadata().and_then(|metadata| metadata.modified()).ok();
    modified(file) > modified(than)
}

fn import_key(folder: &Path, account: usize, [password, out]: [&str; 2]) {
    let (key, address) = anvil::ACCOUNTS.get(account).expect("one of anvil's accounts");
    write_file(&folder.join("plain.key"), key);
    let arguments = [
        "key",
        "import",
        "--private-key-file",
        "plain.key",
        "--password-file",
        password,
        "--out",
        out,
    ];
    let said = binary::run(folder, &arguments);
    assert_eq!(said.code, 0, "key import: {}", said.err);
    assert!(said.out.contains(address), "key import prints the address: {}", said.out);
    fs::remove_file(folder.join("plain.key")).expect("the plain key is there");
}

fn text(setup: &Setup, addresses: &Addresses) -> String {
    let mut text = String::new();
    let tls = if setup.tls {
        ", tls: { certificate: server.pem, key: server.key, client_ca: ca.pem }"
    } else {
        ""
    };
    let store = match &addresses.redis {
        None => "{ embedded: ./data }".to_owned(),
        Some(url) => format!("{{ redis: \"{url}\", acknowledge_replicas: 0 }}"),
    };
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes text");
    line("app: default\nlisten:".to_owned());
    line(format!("  rpc: {{ address: \"{}\"{tls} }}", addresses.rpc));
    line(format!("  admin: {{ address: \"{}\"{tls} }}", addresses.admin));
    line(format!("state: ./state\nstore: {store}"));
    line(chain(addresses));
    line("wallets:".to_owned());
    setup.agents.iter().for_each(|agent| line(wallet(agent.wallet)));
    line("agents:".to_owned());
    setup.agents.iter().for_each(|agent| line(self::agent(agent)));
    line("operators:".to_owned());
    line(operator("alice", "view, approve, policy, freeze"));
    line(operator("bob", "view, approve"));
    line(operator("carol", "view, approve"));
    line(operator("vera", "view"));
    line(
        "prices: { max_age: 1h, sources: [ { static: { ETH: \"1000\", USD: \"1\" } } ] }"
            .to_owned(),
    );
    text
}

fn chain(addresses: &Addresses) -> String {
    format!(
        r#"chains:
  - id: {}
    name: anvil
    upstream: ["http://{}"]
    finality: 1
    fee_ceiling_gwei: 500
    simulate: "off"
    native: {{ symbol: ETH, decimals: 18 }}
    tokens: [ {{ id: usdc, address: "{TOKEN}", decimals: 6, price: USD }} ]"#,
        anvil::CHAIN,
        addresses.node,
    )
}

fn wallet(account: usize) -> String {
    let id = wallet_id(account);
    let (_, address) = anvil::ACCOUNTS.get(account).expect("one of anvil's accounts");
    format!(
        "  - {{ id: {id}, address: \"{address}\", signer: {{ keystore: keys/{id}.json, \
         password_file: keys/{id}.password }} }}"
    )
}

fn agent(agent: &AgentSetup) -> String {
    format!(
        "  - {{ id: {id}, token_sha256: \"{}\", wallets: [{}], policy: policies/{id}.yaml, \
         owner: {}, role: trader, duplicate_window: {}, hold: {} }}",
        digest(agent.id),
        wallet_id(agent.wallet),
        agent.owner,
        agent.duplicate_window,
        agent.hold,
        id = agent.id,
    )
}

fn operator(id: &str, roles: &str) -> String {
    let digest = digest(id);
    format!(
        "  - {{ id: {id}, token_sha256: \"{digest}\", roles: [{roles}], person: {id}, groups: [desk] }}"
    )
}

fn digest(id: &str) -> String {
    hex::encode(Sha256::digest(token(id)))
}
