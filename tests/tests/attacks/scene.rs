//! The world of one row, or of all rows that share one: what it is made of, and what is done to it.

use std::fs;

use countersign_tests::{
    Agent, Gateway, Operator, Setup, StoreKind, World, binary,
    books::{Resp, Said},
    config::{Addresses, wallet_id},
    place,
    world::Footprint,
};

use crate::vector::{LineToNode, Lot, Setting};

/// Everything that runs.
pub(crate) struct Scene {
    pub(crate) world: World,
    /// Gateways beside the world's own, on the same store and node.
    more: Vec<Gateway>,
    redis: Option<Resp>,
}

impl Scene {
    pub(crate) async fn start(setting: &Setting, store: StoreKind) -> Self {
        let setup = setup(setting, store);
        let world = World::start(setup.clone()).await;
        let mut more = Vec::new();
        for _ in 0..setting.more_gateways {
            let url = world.redis.as_ref().expect("several gateways need a Redis").url();
            let addresses = Addresses::before(world.tap.address(), Some(url));
            more.push(Gateway::start(&setup, addresses).await);
        }
        Self { world, more, redis: None }
    }

    /// How many gateways there are.
    pub(crate) fn gateways(&self) -> usize {
        self.more.len().saturating_add(1)
    }

    pub(crate) fn gateway(&self, number: usize) -> &Gateway {
        let more = |number: usize| self.more.get(number).expect("so many gateways");
        number.checked_sub(1).map_or(&self.world.gateway, more)
    }

    fn gateway_mut(&mut self, number: usize) -> &mut Gateway {
        match number.checked_sub(1) {
            None => &mut self.world.gateway,
            Some(number) => self.more.get_mut(number).expect("so many gateways"),
        }
    }

    pub(crate) fn agent(&self, id: &str, gateway: usize) -> Agent {
        Agent { address: self.gateway(gateway).addresses.rpc, ..self.world.agent(id) }
    }

    pub(crate) fn operator(&self, id: &str, gateway: usize) -> Operator {
        Operator { address: self.gateway(gateway).addresses.admin, ..self.world.operator(id) }
    }

    /// What must not move when nothing may get through, and what moves once for each transaction that does. Without
    /// books nobody can say how many were signed: then the node has to.
    pub(crate) async fn footprint(&self, has_books: bool) -> Footprint {
        let mut nonce: u128 = 0;
        for agent in ["bot", "other"] {
            let count = self.world.anvil.nonce(&self.world.agent(agent).wallet).await;
            nonce = nonce.saturating_add(count);
        }
        let signed = if has_books {
            self.operator("alice", 0).signed().await
        } else {
            usize::try_from(nonce).expect("a count")
        };
        Footprint { writes: self.world.tap.writes(), nonce, signed }
    }

    pub(crate) fn set_line(&self, line: LineToNode) {
        let tap = &self.world.tap;
        match line {
            LineToNode::Open => {
                tap.revive();
                tap.lose_answers_to_sends(false);
            }
            LineToNode::Dead => tap.die(),
            LineToNode::Deaf => tap.lose_answers_to_sends(true),
        }
    }

    /// One command to Redis, on one connection for the whole row.
    pub(crate) async fn ask_redis(&mut self, command: &[&str]) -> Said {
        let redis = match self.redis.take() {
            Some(redis) => redis,
            None => Resp::connect(&self.world.redis.as_ref().expect("a Redis").url()).await,
        };
        self.redis.insert(redis).ask(command).await
    }

    /// An operator's hand in the gateway's directory.
    pub(crate) fn edit(&self, gateway: usize, (name, from, to): (&str, &str, &str)) {
        let file = self.gateway(gateway).folder().join(name);
        let text = fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(from), "`{from}` is not in {name}:\n{text}");
        fs::write(&file, text.replace(from, to)).expect("a file that can be written");
    }

    /// What the chain's coin costs in whole USD, as the configuration says now.
    pub(crate) fn price(&self) -> u128 {
        let text = fs::read_to_string(self.world.gateway.file()).expect("the configuration");
        let price = text.split("ETH: \"").nth(1).and_then(|rest| rest.split('"').next());
        price.and_then(|price| price.parse().ok()).expect("a price in whole USD")
    }

    pub(crate) async fn befall(&mut self, gateway: usize, lot: Lot) -> Option<i32> {
        let gateway = self.gateway_mut(gateway);
        match lot {
            Lot::Kill => {
                gateway.kill9();
                None
            }
            Lot::Terminate => {
                gateway.terminate();
                gateway.ended().await
            }
            Lot::Start => {
                gateway.open_again().await;
                None
            }
        }
    }

    /// The command line, to its end.
    pub(crate) async fn run(&self, gateway: usize, arguments: Vec<String>) -> binary::Said {
        let folder = self.gateway(gateway).folder().to_path_buf();
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            binary::run(&folder, &arguments)
        };
        tokio::task::spawn_blocking(run).await.expect("a command that ends")
    }
}

/// A bot under the vectors' policy, another agent with a wallet of its own, and what the row asks for besides.
fn setup(setting: &Setting, store: StoreKind) -> Setup {
    let mut setup = Setup::new(store).with_another_agent();
    setup = setup.with(|bot| bot.policy = policy("../policy.yaml"));
    for (agent, name) in &setting.policies {
        let found = setup.agents.iter_mut().find(|setup| setup.id == agent);
        let found = found.unwrap_or_else(|| panic!("no agent `{agent}`"));
        let text = policy(name).replace("{agent}", found.id);
        found.policy = text.replace("{wallet}", &wallet_id(found.wallet));
    }
    // anvil's published keys, in keystores that open sooner than those that `countersign key` writes
    let keys = setup.agents.iter().map(|agent| {
        let id = wallet_id(agent.wallet);
        (format!("keys/{id}.json"), vector(&format!("keys/{id}.keystore")))
    });
    setup.files = keys.collect();
    setup.changes.clone_from(&setting.config);
    let guards: Vec<String> =
        setting.guards.iter().map(|name| format!("policies/guard-{name}")).collect();
    if !guards.is_empty() {
        let texts = setting.guards.iter().map(|name| policy(name));
        setup.files.extend(guards.iter().cloned().zip(texts));
        let lines = format!("guards: [ {} ]\nprices:", guards.join(", "));
        setup.changes.push(("prices:".to_owned(), lines));
    }
    setup
}

fn policy(name: &str) -> String {
    vector(&format!("policies/{name}"))
}

/// A file that stands beside the rows.
fn vector(name: &str) -> String {
    let file = place::checkout().join("tests/vectors").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
