//! The folder of a `dev`: an ordinary configuration, and the tokens that a restart prints again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_core::identity::ChainId;
use countersign_signers::Cost;

use crate::{
    cli::DevArgs,
    command::Token,
    config::variable,
    failure::Failure,
    files::{private_folder, write_private},
    scaffold::{Blueprint, DEV_POLICY},
};

pub(super) const AGENT: &str = "dev-agent";
pub(super) const OPERATOR: &str = "you";
const WALLET: &str = "dev-wallet";

/// Where everything of one `dev` lies.
#[derive(Debug)]
pub(super) struct DevFolder(PathBuf);

impl DevFolder {
    /// The given folder, or one in the user's cache.
    pub(super) fn choose(given: Option<&Path>) -> Result<Self, Failure> {
        let folder = given.map_or_else(usual, Path::to_path_buf);
        private_folder(&folder)?;
        let folder = folder.canonicalize().unwrap_or(folder);
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.0.join("countersign.yaml")
    }

    /// Makes the configuration, unless it is there already: what somebody has changed stays.
    pub(super) fn prepare(
        &self,
        args: &DevArgs,
        upstream: &str,
        chain: ChainId,
    ) -> Result<(), Failure> {
        if self.configuration().exists() {
            return Ok(());
        }
        self.clear()?;
        let blueprint = Blueprint {
            rpc: args.rpc.to_string(),
            admin: args.admin.to_string(),
            chain: chain.0,
            chain_name: if chain.0 == 31337 { "anvil" } else { "dev" },
            upstream: upstream.to_owned(),
            wallet: WALLET,
            agent: AGENT,
            operator: OPERATOR,
            eth: "1000",
            change_delay: "0s",
            cost: Cost::Standard,
            policy: DEV_POLICY,
        };
        let made = blueprint.build(&self.0)?;
        write_private(&self.token_file(AGENT), made.agent.expose())?;
        write_private(&self.token_file(OPERATOR), made.operator.expose())
    }

    /// A token as it was made; somebody who changed the configuration's hashes has their own.
    pub(super) fn token(&self, name: &str) -> Result<Token, Failure> {
        let file = self.token_file(name);
        let text = fs::read_to_string(&file)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        Ok(Token::from_text(text.trim()))
    }

    fn token_file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.token"))
    }

    /// Takes away what a start left that was cut off before the configuration was there.
    fn clear(&self) -> Result<(), Failure> {
        let leftovers = [
            self.0.join(format!("keys/{WALLET}.json")),
            self.0.join(format!("keys/{WALLET}.password")),
            self.0.join(format!("policies/{AGENT}.yaml")),
            self.token_file(AGENT),
            self.token_file(OPERATOR),
        ];
        for file in leftovers.iter().filter(|file| file.exists()) {
            fs::remove_file(file)
                .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        }
        Ok(())
    }
}

fn usual() -> PathBuf {
    let cache = variable("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_else(std::env::temp_dir).join("countersign-dev")
}
