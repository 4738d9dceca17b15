//! A gateway with fakes behind it, and the barest of HTTP clients.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use countersign_core::{
    identity::{AgentId, AppId, OperatorId, WalletId},
    time::{Millis, Timestamp},
};
use countersign_decode::Registry;
use countersign_engine::{
    Engine, Ports,
    port::{Signer, telemetry::Silent},
    setup::{
        AgentSetup, ChainSetup, OnShelf, OperatorSetup, PolicyChanges, Role, Setup, TokenSetup,
        WalletSetup,
    },
};
use countersign_policy::Policy;
use countersign_testkit::{
    FakeChain, FakeClock, FakeSigner, FixedPrices, ManualTime, ModelJournal, ModelLedger,
    ModelShelf, fixture,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

use super::conformance::{CONTRACT, Sent};
use crate::{
    Credentials, Door, Gatehouse, Keyring, Metrics, TlsFiles, TokenDigest, serve_agents,
    serve_operators,
};

pub(crate) const AGENT: &str = "agent-token";
pub(crate) const VIEWER: &str = "viewer-token";
pub(crate) const DESK: &str = "desk-token";
pub(crate) const BEA: &str = "bea-token";
pub(crate) const OLGA: &str = "olga-token";
/// `agent:agent-token`
pub(crate) const BASIC: &str = "Basic YWdlbnQ6YWdlbnQtdG9rZW4=";

/// Everything that a test may look at from behind.
pub(crate) struct House {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) signer: Arc<FakeSigner>,
    pub(crate) ledger: Arc<ModelLedger>,
    pub(crate) journal: Arc<ModelJournal>,
    pub(crate) shelf: ModelShelf,
    pub(crate) time: ManualTime,
    pub(crate) agents: SocketAddr,
    pub(crate) operators: Operators,
    pub(crate) engine: Arc<Engine>,
    stop: watch::Sender<bool>,
    doors: Vec<JoinHandle<std::io::Result<()>>>,
}

pub(crate) const GRANT: &str = r"
policy: trader
kind: grant
for: { agent: trader, wallets: [hot] }
gates:
  desk: { need: [{ any: 1, of: [treasury] }], ttl: 1h }
rules:
  - { id: pay, when: { kind: transfer }, then: allow }
limits:
  - { id: large, sum: usd, per: tx, max: 100, code: amount_above_threshold, over: { approve: desk } }
  - { id: cap, sum: usd, per: tx, max: 500, code: per_tx_limit_exceeded }
";

fn token(name: &str, symbol: &str) -> TokenSetup {
    TokenSetup { name: name.into(), address: None, decimals: 18, symbol: symbol.into() }
}

fn agent(id: &str, wallet: &str) -> (AgentId, AgentSetup) {
    let id = AgentId::parse(id).unwrap();
    let agent = AgentSetup {
        id: id.clone(),
        wallets: vec![WalletId::parse(wallet).unwrap()],
        grant: Policy::parse(GRANT, "trader.yaml").unwrap(),
        owner: Some("olga".into()),
        role: None,
        duplicate_window: Millis(15_000),
        hold: Millis::ZERO,
        parked_max: u32::MAX,
        breaker: None,
        shelf: OnShelf::default(),
    };
    (id, agent)
}

fn operator(id: &str, roles: &[Role]) -> (OperatorId, OperatorSetup) {
    let id = OperatorId::parse(id).unwrap();
    let operator = OperatorSetup {
        id: id.clone(),
        roles: roles.to_vec(),
        person: id.to_string(),
        groups: vec!["treasury".into()],
        address: None,
        passkeys: Vec::new(),
    };
    (id, operator)
}

fn wallet(id: &str, signer: Arc<FakeSigner>) -> (WalletId, WalletSetup) {
    let id = WalletId::parse(id).unwrap();
    let address = signer.address();
    (id.clone(), WalletSetup { id, address, signer: signer.into(), in_flight_max: 16 })
}

fn setup(chain: Arc<FakeChain>, signer: Arc<FakeSigner>) -> Setup {
    let native = token("eth@31337", "ETH");
    let chain = ChainSetup {
        id: fixture::CHAIN,
        name: "anvil".into(),
        port: chain,
        fee_ceiling: 500_000_000_000,
        native: native.clone(),
        tokens: vec![native],
        collections: Vec::new(),
        registry: Registry::new(),
        gap_wait: Millis(1000),
        bump_after: Millis::ZERO,
        simulation: countersign_engine::setup::SimulationMode::WhenAvailable,
        explorer: None,
    };
    let roles = [Role::View, Role::Approve, Role::Freeze, Role::Policy];
    Setup {
        app: AppId::parse("default").unwrap(),
        chains: BTreeMap::from([(chain.id, chain)]),
        wallets: BTreeMap::from([wallet("hot", signer), wallet("cold", FakeSigner::new(9).into())]),
        agents: BTreeMap::from([agent("trader", "hot"), agent("other", "cold")]),
        operators: BTreeMap::from([
            operator("alice", &roles),
            operator("bea", &[Role::View, Role::Policy]),
            operator("olga", &[Role::View, Role::Policy]),
            operator("victor", &[Role::View]),
        ]),
        guards: Vec::new(),
        prices: Arc::new(FixedPrices::of(&[("ETH", "1000")])),
        oracles: None,
        passkeys: None,
        judge: None,
        couriers: Vec::new(),
        changes: PolicyChanges::default(),
    }
}

pub(crate) fn credentials() -> Credentials {
    let digest = |token: &str| TokenDigest::of(token.as_bytes());
    Credentials {
        agents: vec![(digest(AGENT), AgentId::parse("trader").unwrap())],
        operators: vec![
            (digest(DESK), OperatorId::parse("alice").unwrap()),
            (digest(VIEWER), OperatorId::parse("victor").unwrap()),
            (digest(BEA), OperatorId::parse("bea").unwrap()),
            (digest(OLGA), OperatorId::parse("olga").unwrap()),
        ],
        passkeys: Vec::new(),
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(None).await
    }

    pub(crate) async fn open_with(tls: Option<TlsFiles>) -> Self {
        let time = ManualTime::at(Timestamp::from_millis(1_767_225_600_000));
        let chain = Arc::new(FakeChain::new(fixture::CHAIN));
        let signer = Arc::new(FakeSigner::new(1));
        chain.fund(signer.address(), alloy_primitives::U256::from(10_u64.pow(19)));
        let ledger = Arc::new(ModelLedger::new(time.clone()));
        let journal = Arc::new(ModelJournal::new());
        let shelf = ModelShelf::default();
        let ports = Ports {
            ledger: ledger.clone(),
            journal: journal.clone(),
            chronicle: ledger.clone(),
            shelf: Arc::new(shelf.clone()),
            clock: Arc::new(FakeClock::new(time.clone())),
            gateway: "gateway-1".into(),
            telemetry: Arc::new(Silent),
        };
        let engine = Engine::new(ports, setup(chain.clone(), signer.clone()));
        let keyring = Keyring::new(credentials());
        let own = Arc::clone(&engine);
        let gatehouse =
            Gatehouse { engine, keyring: keyring.clone(), metrics: Arc::new(Metrics::default()) };
        let door = Door {
            address: "127.0.0.1:0".parse().unwrap(),
            tls,
            hosts: vec!["gateway.test".into()],
            drain: Millis(5000),
        };
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            stopped.wait_for(|stop| *stop).await.unwrap();
        };
        let (one, two) = (door.bind().await.unwrap(), door.bind().await.unwrap());
        let (agents, operators) = (one.local_addr(), Operators(two.local_addr()));
        let doors = vec![
            tokio::spawn(serve_agents(one, gatehouse.clone(), until(stopped.clone()))),
            tokio::spawn(serve_operators(two, gatehouse, until(stopped))),
        ];
        Self {
            keyring,
            chain,
            signer,
            ledger,
            journal,
            shelf,
            time,
            agents,
            operators,
            engine: own,
            stop,
            doors,
        }
    }

    pub(crate) fn begin_to_close(&self) {
        self.stop.send_replace(true);
    }

    /// Stops both doors and waits for their ends.
    pub(crate) async fn close(self) {
        self.begin_to_close();
        for door in self.doors {
            door.await.unwrap().unwrap();
        }
    }

    /// A JSON-RPC request of the agent.
    pub(crate) async fn rpc(&self, body: &str) -> Value {
        let reply = self.post("/", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        send(self.agents, "POST", path, &[("authorization", &format!("Bearer {AGENT}"))], body)
            .await
    }

    /// One call of the agent: its response.
    pub(crate) async fn call(&self, method: &str, params: &str) -> Value {
        self.rpc(&call(method, params)).await
    }

    /// A request of the operator with this token.
    pub(crate) async fn of(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        send(self.operators, method, path, &[("authorization", &bearer)], body).await
    }

    /// A request of an operator.
    pub(crate) async fn desk(&self, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {DESK}");
        send(self.operators, method, path, &[("authorization", &bearer)], body).await
    }
}

pub(crate) fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The first header of this name, in lower case as the head is kept.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = pairs.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// The body without the frames of its chunks; `None` of one that broke off.
    pub(crate) fn content(&self) -> Option<String> {
        if self.header("transfer-encoding") != Some("chunked") {
            return Some(self.body.clone());
        }
        let (mut content, mut rest) = (String::new(), self.body.as_str());
        loop {
            let (length, after) = rest.split_once("\r\n")?;
            let length = usize::from_str_radix(length, 16).ok()?;
            if length == 0 {
                return Some(content);
            }
            let (chunk, after) = after.split_at_checked(length)?;
            content.push_str(chunk);
            rest = after.strip_prefix("\r\n")?;
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_lowercase(), body: body.into() }
    }
}

/// Where the operators' door is. What is sent there is held against the API's document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operators(pub(crate) SocketAddr);

/// A door that requests are sent to.
pub(crate) trait Goal {
    fn address(&self) -> SocketAddr;

    /// What has to be true of every reply.
    fn holds(&self, _: Sent<'_>, _: &Reply) {}
}

impl Goal for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}

impl Goal for Operators {
    fn address(&self) -> SocketAddr {
        self.0
    }

    fn holds(&self, sent: Sent<'_>, reply: &Reply) {
        if let Some(violation) = CONTRACT.violation(sent, reply) {
            panic!("{violation}\nto {sent:?}\n{}\n{}", reply.head, reply.body);
        }
    }
}

/// One request on a connection of its own. `host` and `content-type` are given unless named.
pub(crate) async fn send(
    goal: impl Goal,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let reply = unjudged(goal.address(), method, path, headers, body).await;
    goal.holds(Sent { method, target: path, headers, body }, &reply);
    reply
}

/// As [`send`], and whatever comes back is taken.
pub(crate) async fn unjudged(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let length = body.len().to_string();
    let defaults = [
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("content-length", length.as_str()),
    ];
    let named = |name: &str| headers.iter().any(|(given, _)| *given == name);
    let defaults = defaults.iter().filter(|(name, _)| !named(name));
    for (name, value) in headers.iter().chain(defaults) {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    Reply::parse(&raw(address, format!("{head}\r\n{body}").as_bytes()).await)
}

/// Sends bytes and reads until the other side closes.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // a refusal may come before everything is written
    let _written = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
