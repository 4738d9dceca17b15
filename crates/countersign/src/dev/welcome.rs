//! The first screen: where everything is, what the policy allows, and what to paste.

use super::{
    anvil::Anvil,
    folder::{AGENT, DevFolder, OPERATOR},
};
use crate::{
    config::variable,
    failure::Failure,
    gateway::Gateway,
    scaffold::PAYEE,
    screen::{Paint, say},
};

/// Prints the screen. It shows the play tokens: that is what it is for.
pub(super) fn show(
    gateway: &Gateway,
    folder: &DevFolder,
    anvil: Option<&Anvil>,
) -> Result<(), Failure> {
    let paint = Paint::stdout();
    let (agent, operator) = (folder.token(AGENT)?, folder.token(OPERATOR)?);
    let (rpc, admin) = gateway.addresses();
    let url = format!("http://{AGENT}:{}@{rpc}/", agent.expose());
    let chain = gateway.loaded.config.chains.first();
    let chain_id = chain.map_or_else(String::new, |chain| chain.id.to_string());
    let node = chain
        .and_then(|chain| chain.upstream.first())
        .map_or_else(String::new, ToString::to_string);
    let wallet = gateway
        .loaded
        .config
        .wallets
        .first()
        .map_or_else(String::new, |wallet| wallet.address.to_string());
    let line =
        |name: &str, value: &str| say(format!("  {}  {value}", paint.dim(&format!("{name:<9}"))));
    say("");
    say(format!(
        "  {} {}",
        paint.bold(&paint.cyan("countersign dev")),
        paint.dim(env!("CARGO_PKG_VERSION"))
    ));
    say("");
    line("agents", &paint.green(&url));
    line("operators", &paint.green(&format!("http://{admin}/")));
    line("", &format!("token {}", operator.expose()));
    line("chain", &format!("{chain_id} {} {node}", if anvil.is_some() { "anvil" } else { "node" }));
    line("wallet", &wallet);
    line("folder", &folder.path().display().to_string());
    line("store", &format!("durability class {}", gateway.status.durability));
    say("");
    allowed(folder, paint);
    snippets(
        &Places { url, wallet, admin: format!("http://{admin}"), token: operator.expose() },
        paint,
    );
    say(paint.dim("  Decisions appear below. Ctrl-C ends everything; the folder keeps it."));
    say("");
    Ok(())
}

fn allowed(folder: &DevFolder, paint: Paint) {
    let file = folder.path().join(format!("policies/{AGENT}.yaml"));
    say(format!(
        "  {} {}",
        paint.bold("The policy"),
        paint.dim(&format!("{} (edit it: it is reloaded)", file.display()))
    ));
    for (what, limit) in [
        ("pays", "anvil's ten accounts; anybody else is denied".to_owned()),
        ("up to 100 USD", "at once (1 ETH = 1000 USD here, so 0.1 ETH)".to_owned()),
        ("up to 500 USD", format!("after `{OPERATOR}` approved")),
        ("above 500 USD", "never".to_owned()),
        ("1000 USD", "in any 24 hours, fees included".to_owned()),
    ] {
        say(format!("    {what:<14} {limit}"));
    }
    say("");
}

struct Places<'a> {
    url: String,
    wallet: String,
    admin: String,
    token: &'a str,
}

/// Everything after `$` is set by the first two lines, so that what is pasted stays short.
fn snippets(places: &Places<'_>, paint: Paint) {
    let Places { url, wallet, admin, token } = places;
    let name = |name: &str| paint.dim(&format!("{name:<8}"));
    say(format!("  {}", paint.bold("Pay 50 USD, as the agent")));
    say(format!("    export ETH_RPC_URL={url}"));
    say(format!("    export WALLET={wallet} PAYEE={PAYEE}"));
    say(format!(
        "    {}cast send --unlocked --from $WALLET $PAYEE --value 0.05ether",
        name("cast")
    ));
    say(format!(
        "    {}createWalletClient({{ account: process.env.WALLET, transport: http(process.env.ETH_RPC_URL) }})",
        name("viem")
    ));
    say(
        "              .sendTransaction({ to: process.env.PAYEE, value: parseEther('0.05'), chain: null })",
    );
    say(format!(
        "    {}await (await new JsonRpcProvider(process.env.ETH_RPC_URL).getSigner())",
        name("ethers")
    ));
    say("              .sendTransaction({ to: process.env.PAYEE, value: parseEther('0.05') })");
    say(format!(
        "    {}Web3(HTTPProvider(environ['ETH_RPC_URL'])).eth.send_transaction(",
        name("web3.py")
    ));
    say("              {'from': environ['WALLET'], 'to': environ['PAYEE'], 'value': 5 * 10**16})");
    say(format!(
        "    {}curl $ETH_RPC_URL -H 'content-type: application/json' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,",
        name("curl")
    ));
    say(
        "              \"method\":\"eth_sendTransaction\",\"params\":[{\"from\":\"'$WALLET'\",\"to\":\"'$PAYEE'\",\"value\":\"0xb1a2bc2ec50000\"}]}'",
    );
    say("");
    let program = program();
    say(format!("  {}", paint.bold("Pay 200 USD, and approve it as the operator")));
    say(
        "    cast send --unlocked --from $WALLET $PAYEE --value 0.2ether        # parked: the answer names op_…",
    );
    say(format!("    export COUNTERSIGN_ADMIN={admin} COUNTERSIGN_TOKEN={token}"));
    say(format!("    {program} operation list --status PENDING_APPROVAL"));
    say(format!(
        "    {program} operation approve op_…    # executes by itself; the same cast again returns its hash"
    ));
    say(format!("    {program} trace list"));
    say(
        "    curl -H \"Authorization: Bearer $COUNTERSIGN_TOKEN\" $COUNTERSIGN_ADMIN/pending-operations",
    );
    say("");
}

/// How to call this program: by its name where a shell would find it.
fn program() -> String {
    let path = variable("PATH").unwrap_or_default();
    let named = |folder: std::path::PathBuf| folder.join("countersign").is_file();
    let here = std::env::current_exe()
        .map_or_else(|_| "countersign".into(), |file| file.display().to_string());
    if std::env::split_paths(&path).any(named) { "countersign".to_owned() } else { here }
}
