//! A node, a store, a gateway, its agents and its operators.

use crate::{
    anvil::{self, Anvil},
    config::{self, Addresses, Setup, StoreKind},
    gateway::Gateway,
    operator::Operator,
    redis::RedisServer,
    rpc::Agent,
    tap::Tap,
};

/// Everything that one test needs, ended with it.
#[derive(Debug)]
pub struct World {
    /// The gateway.
    pub gateway: Gateway,
    /// What stands between it and the node.
    pub tap: Tap,
    /// The node.
    pub anvil: Anvil,
    /// The Redis, where the setup asks for one.
    pub redis: Option<RedisServer>,
    setup: Setup,
}

impl World {
    /// Starts all of it.
    pub async fn start(setup: Setup) -> Self {
        let anvil = Anvil::start().await;
        let tap = Tap::start(anvil.address()).await;
        let redis = match setup.store {
            StoreKind::Embedded => None,
            StoreKind::Redis => Some(RedisServer::start().await),
        };
        let url = redis.as_ref().map(RedisServer::url);
        let gateway = Gateway::start(&setup, Addresses::before(tap.address(), url)).await;
        Self { gateway, tap, anvil, redis, setup }
    }

    /// The agent of that id.
    #[must_use]
    pub fn agent(&self, id: &str) -> Agent {
        let setup = self.setup.agents.iter().find(|agent| agent.id == id);
        let account = setup.unwrap_or_else(|| panic!("no agent `{id}`")).wallet;
        let (_, wallet) = anvil::ACCOUNTS.get(account).expect("one of anvil's accounts");
        Agent {
            address: self.gateway.addresses.rpc,
            token: config::token(id),
            wallet: (*wallet).to_owned(),
        }
    }

    /// The first agent.
    #[must_use]
    pub fn bot(&self) -> Agent {
        self.agent("bot")
    }

    /// The operator of that id.
    #[must_use]
    pub fn operator(&self, id: &str) -> Operator {
        Operator { address: self.gateway.addresses.admin, token: config::token(id) }
    }

    /// The operator who may do everything.
    #[must_use]
    pub fn alice(&self) -> Operator {
        self.operator("alice")
    }

    /// What must not move when nothing may get through.
    pub async fn footprint(&self) -> Footprint {
        let bot = self.bot();
        Footprint {
            writes: self.tap.writes(),
            nonce: self.anvil.nonce(&bot.wallet).await,
            signed: self.alice().signed().await,
        }
    }
}

/// The traces that a signature or a send leaves outside the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Calls that reached the node and could act.
    pub writes: Vec<String>,
    /// The nonce of the bot's wallet at the node.
    pub nonce: u128,
    /// Operations of which a signature exists.
    pub signed: usize,
}
