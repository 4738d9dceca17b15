//! `countersign dev`: a chain, a wallet with money, an agent, an operator and a policy, with one word.

mod anvil;
mod folder;
mod funding;
mod welcome;

use std::{
    fs::{File, TryLockError},
    sync::Arc,
};

use countersign_core::identity::ChainId;
use countersign_upstream::{FinalityRule, NodeChain, NodeOptions};

use self::{anvil::Anvil, folder::DevFolder};
use crate::{
    cli::DevArgs,
    command::until_asked,
    config::{SecretUrl, is_development},
    failure::Failure,
    gateway::Gateway,
    policies::{self, Overrides},
    reload::Reload,
    screen::{Paint, complain, say},
};

/// Runs everything until it is asked to end; started again with the same folder, everything is as it was.
pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let folder = DevFolder::choose(args.data.as_deref())?;
    let _alone = alone_in(&folder)?;
    let anvil = match &args.upstream {
        Some(_) => None,
        None => Some(Anvil::start(folder.path()).await?),
    };
    let result = Box::pin(run_on(&args, &folder, anvil.as_ref())).await;
    if let Some(anvil) = anvil {
        anvil.end().await;
    }
    result
}

/// Holds the folder until this process ends, however it ends: a second run would take over the first one's anvil.
fn alone_in(folder: &DevFolder) -> Result<File, Failure> {
    let path = folder.path();
    let broken = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let file = File::create(path.join("dev.lock")).map_err(broken)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(format!(
            "another `countersign dev` runs in {}: end it, or give this one another --data",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(broken(error)),
    }
}

async fn run_on(args: &DevArgs, folder: &DevFolder, anvil: Option<&Anvil>) -> Result<(), Failure> {
    let url = args.upstream.clone().or_else(|| anvil.map(Anvil::url)).unwrap_or_default();
    let node = Node::find(&url).await?;
    folder.prepare(args, &url, node.id)?;
    let overrides = Overrides {
        rpc: Some(args.rpc),
        admin: Some(args.admin),
        upstream: Some(SecretUrl::parse(&url, &["http", "https"]).map_err(Failure::refused)?),
    };
    let loaded = policies::load_with(&folder.configuration(), &overrides)?;
    if !loaded.config.chains.iter().any(|chain| chain.id == node.id) {
        let message =
            "the folder was made for another chain than this node's {}: use another --data";
        return Err(Failure::refused(message.replace("{}", &node.id.to_string())));
    }
    loaded.warnings.iter().for_each(|warning| tracing::debug!("{warning}"));
    for wallet in &loaded.config.wallets {
        funding::fund(&node.chain, wallet.address).await;
    }
    let reload = Reload::new(&loaded, overrides);
    let gateway = Gateway::open(loaded, reload, None).await?;
    welcome::show(&gateway, folder, anvil)?;
    gateway.serve(until_asked()).await?;
    let kept = format!(
        "everything is kept in {0}; go on with: countersign dev --data {0}",
        folder.path().display()
    );
    say(Paint::stdout().dim(&kept));
    Ok(())
}

/// The node to work with.
struct Node {
    chain: Arc<NodeChain>,
    id: ChainId,
}

impl Node {
    /// Asks the node who it is. A network with real money is no place to play.
    async fn find(url: &str) -> Result<Self, Failure> {
        let id = match reports(url, ChainId(31337)).await? {
            Ok(id) => id,
            Err(reason) => {
                return Err(Failure::failed(format!("no node answers at the upstream: {reason}")));
            }
        };
        if !is_development(id) {
            return Err(Failure::refused(format!(
                "chain {id} is no development chain: use `countersign init` and `countersign serve` there"
            )));
        }
        let chain = open(url, id)?;
        Ok(Self { chain: Arc::new(chain), id })
    }
}

fn open(url: &str, id: ChainId) -> Result<NodeChain, Failure> {
    let options = NodeOptions::new(id, vec![url.to_owned()], FinalityRule::Blocks(1));
    NodeChain::new(options).map_err(|error| Failure::refused(error.to_string()))
}

async fn reports(url: &str, id: ChainId) -> Result<Result<ChainId, String>, Failure> {
    let mut reports = open(url, id)?.probe().await;
    Ok(reports.pop().map_or_else(|| Err("nobody was asked".to_owned()), |report| report.chain_id))
}

/// A word about the work, that does not belong to the screen's result.
fn note(text: &str) {
    complain(Paint::stderr().dim(text));
}
