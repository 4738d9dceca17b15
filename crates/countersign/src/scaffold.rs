//! A whole configuration in a fresh folder: for `init`, and for `dev`.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use countersign_signers::{Cost, create};
use secrecy::SecretString;

use crate::{
    command::{Token, fresh},
    failure::Failure,
    files::{private_folder, write_private},
};

const CONFIGURATION: &str = include_str!("scaffold/countersign.yaml");

/// The policy of a new agent, with its gate in one operator's hands.
pub(crate) const POLICY: &str = include_str!("scaffold/policy.yaml");

/// The policy of `dev`, one of the repository's examples.
pub(crate) const DEV_POLICY: &str = include_str!("../../../policies/dev.yaml");

/// Somebody whom both policies let be paid: the second of anvil's accounts.
pub(crate) const PAYEE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// What differs from one scaffold to another.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    pub(crate) rpc: String,
    pub(crate) admin: String,
    pub(crate) chain: u64,
    pub(crate) chain_name: &'static str,
    pub(crate) upstream: String,
    pub(crate) wallet: &'static str,
    pub(crate) agent: &'static str,
    pub(crate) operator: &'static str,
    /// USD for one ETH.
    pub(crate) eth: &'static str,
    /// How long a looser policy waits.
    pub(crate) change_delay: &'static str,
    pub(crate) cost: Cost,
    /// The agent's policy, with places in braces.
    pub(crate) policy: &'static str,
}

/// What was made. The tokens are nowhere else.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) configuration: PathBuf,
    pub(crate) address: Address,
    pub(crate) agent: Token,
    pub(crate) operator: Token,
}

impl Blueprint {
    /// Writes configuration, policy, key and password. The configuration comes last: where it is, everything is.
    pub(crate) fn build(&self, folder: &Path) -> Result<Made, Failure> {
        for part in ["", "keys", "policies"] {
            private_folder(&folder.join(part))?;
        }
        let address = self.key(folder)?;
        let (agent, operator) = (fresh(), fresh());
        let policy = self.fill(self.policy, address, &agent, &operator);
        write_private(&folder.join(format!("policies/{}.yaml", self.agent)), &policy)?;
        let configuration = folder.join("countersign.yaml");
        write_private(&configuration, &self.fill(CONFIGURATION, address, &agent, &operator))?;
        Ok(Made { configuration, address, agent, operator })
    }

    fn key(&self, folder: &Path) -> Result<Address, Failure> {
        let password = fresh();
        let file = |kind: &str| folder.join(format!("keys/{}.{kind}", self.wallet));
        write_private(&file("password"), password.expose())?;
        let password = SecretString::from(password.expose().to_owned());
        create(&file("json"), &password, self.cost)
            .map_err(|error| Failure::failed(error.to_string()))
    }

    fn fill(&self, template: &str, address: Address, agent: &Token, operator: &Token) -> String {
        let (chain, address) = (self.chain.to_string(), address.to_string());
        let finality = if self.chain == 31337 { "1" } else { "2" };
        let (agent_digest, operator_digest) = (agent.digest(), operator.digest());
        let places = [
            // first, so that it meets the templates only and never a digest
            ("31337", chain.as_str()),
            ("{rpc}", self.rpc.as_str()),
            ("{admin}", &self.admin),
            ("{chain}", &chain),
            ("{chain_name}", self.chain_name),
            ("{upstream}", &self.upstream),
            ("{finality}", finality),
            ("{wallet}", self.wallet),
            ("{address}", &address),
            ("{agent}", self.agent),
            ("{agent_digest}", &agent_digest),
            ("{operator}", self.operator),
            ("{operator_digest}", &operator_digest),
            ("{eth}", self.eth),
            ("{change_delay}", self.change_delay),
        ];
        places.iter().fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies;

    #[test]
    fn what_is_built_passes_its_own_check() {
        check("agent-1", POLICY);
        check("dev-agent", DEV_POLICY);
    }

    fn check(agent: &'static str, policy: &'static str) {
        let folder = tempfile::tempdir().unwrap();
        let blueprint = Blueprint {
            rpc: "127.0.0.1:8555".into(),
            admin: "127.0.0.1:8556".into(),
            chain: 31337,
            chain_name: "anvil",
            upstream: "http://127.0.0.1:8545".into(),
            wallet: "ops-1",
            agent,
            operator: "alice",
            eth: "3000",
            change_delay: "1h",
            cost: Cost::Light,
            policy,
        };
        let made = blueprint.build(folder.path()).unwrap();
        let loaded = policies::load(&made.configuration).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.config.wallets[0].address, made.address);
        assert_eq!(hex::encode(loaded.config.agents[0].token.value), made.agent.digest());
        let policy = loaded.grants.values().next().unwrap();
        let outcomes = policy.run_tests();
        assert!(outcomes.len() > 3);
        assert!(outcomes.iter().all(|outcome| outcome.passed), "{outcomes:?}");
    }
}
