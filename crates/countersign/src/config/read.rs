//! The configuration's sections, read from the tree.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use countersign_core::{approval::passkey::RelyingParty, identity::AppId};

use super::{
    abi, chain,
    model::{ChainEntry, Config, Door, Placed, SecretUrl, StoreChoice, TlsFiles},
    notify, outside, people, price,
    problem::Report,
    reader::{Section, path_from},
    relying,
    store::store,
    telemetry,
    yaml::{Node, Value},
};

/// Reads every section; what is wrong is in the report. `None` where a part could not be read at all.
pub(crate) fn config(report: &Report, root: &Node, file: &Path) -> Option<Config> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let found = report.section(root, "the configuration", |s| {
        let app =
            s.or("app", AppId::parse("default").ok(), |r, n| Some(r.read_as(n, AppId::parse)));
        let doors = listen(report, s, folder);
        let state = s.or("state", folder.join("state"), |r, n| path(r, n, folder));
        let store =
            s.or("store", StoreChoice::Embedded(folder.join("data")), |r, n| store(r, n, folder));
        let chains = s.required("chains").and_then(|n| chains(report, n));
        let wallets = s.required("wallets");
        let wallets_declared = wallets.map(ids).unwrap_or_default();
        let wallets = wallets.and_then(|n| report.list(n, |n| people::wallet(report, n, folder)));
        let agents =
            s.required("agents").and_then(|n| report.list(n, |n| people::agent(report, n, folder)));
        let operators = s.or("operators", Vec::new(), |r, n| r.list(n, |n| people::operator(r, n)));
        let breaker = s.or("breaker", None, |r, n| people::breaker(r, n).map(Some));
        let policy_changes =
            s.or("policy_changes", people::default_changes(), people::policy_changes);
        let guards = s.or("guards", Vec::new(), |r, n| r.list(n, |n| policy_file(r, n, folder)));
        let prices = s.or("prices", price::none(), |r, n| price::book(r, n, folder));
        let oracles =
            s.or("oracles", Vec::new(), |r, n| r.list(n, |n| outside::oracle(r, n, folder)));
        let judge = s.or("judge", None, |r, n| outside::judge(r, n, folder).map(Some));
        let notify = s.or("notify", Vec::new(), |r, n| r.list(n, |n| notify::entry(r, n, folder)));
        let abis = s.or("abis", abi::Abis::default(), |r, n| abi::folder(r, n, folder));
        let telemetry = s.or("telemetry", telemetry::Section::Nowhere, |r, n| {
            telemetry::telemetry(r, n, folder)
        });
        let (rpc, (admin, passkeys)) = doors?;
        Some(Config {
            file: file.to_path_buf(),
            app: app??,
            rpc,
            passkeys: passkeys.unwrap_or_else(|| relying::local(&admin)),
            admin,
            state: state?,
            store: store?,
            chains: chains?,
            wallets: wallets?,
            wallets_declared,
            agents: agents?,
            operators: operators?,
            breaker: breaker?,
            policy_changes: policy_changes?,
            guards: guards?,
            prices: prices?,
            oracles: oracles?,
            judge: judge?,
            notify: notify?,
            abis: abis?,
            telemetry: telemetry?.entry(),
        })
    });
    found?
}

fn chains(report: &Report, node: &Node) -> Option<Vec<ChainEntry>> {
    if matches!(&node.value, Value::Null)
        || matches!(&node.value, Value::List(items) if items.is_empty())
    {
        report.refuse(node.place, "`chains` is empty: a gateway needs at least one");
    }
    report.list(node, |n| chain::entry(report, n))
}

/// What the entries of a list call themselves, whatever else is wrong with them.
fn ids(list: &Node) -> Vec<String> {
    let Value::List(items) = &list.value else { return Vec::new() };
    let id = |item: &Node| match &item.value {
        Value::Map(entries) => entries.iter().find_map(|(key, node)| match &node.value {
            Value::Text(id) if key.text == "id" => Some(id.clone()),
            Value::Text(_) | Value::Null | Value::List(_) | Value::Map(_) => None,
        }),
        Value::Null | Value::Text(_) | Value::List(_) => None,
    };
    items.iter().filter_map(id).collect()
}

/// The operators' door, and where their passkeys are used if that is said.
type Admin = (Door, Option<RelyingParty>);

fn listen(report: &Report, s: &mut Section<'_>, folder: &Path) -> Option<(Door, Admin)> {
    let rpc =
        Door { address: SocketAddr::from(([127, 0, 0, 1], 8555)), tls: None, hosts: Vec::new() };
    let admin =
        Door { address: SocketAddr::from(([127, 0, 0, 1], 8556)), tls: None, hosts: Vec::new() };
    let Some(node) = s.optional("listen") else { return Some((rpc, (admin, None))) };
    report.section(node, "`listen`", |s| {
        let rpc = s.or("rpc", (rpc, None), |r, n| {
            let (door, passkeys) = door(r, n, folder)?;
            if passkeys.is_some() {
                r.refuse(n.place, "agents have no passkeys: move `passkeys` to `listen.admin`");
            }
            Some((door, passkeys))
        });
        let rpc = rpc.map(|(door, _)| door);
        let admin = s.or("admin", (admin, None), |r, n| door(r, n, folder));
        Some((rpc?, admin?))
    })?
}

fn door(report: &Report, node: &Node, folder: &Path) -> Option<Admin> {
    report.section(node, "a door", |s| {
        let address = s.required("address").and_then(|n| report.read_as(n, socket));
        let tls = s.or("tls", None, |r, n| tls(r, n, folder).map(Some));
        let hosts = s.or("hosts", Vec::new(), |r, n| r.list(n, |n| r.text(n)));
        let passkeys = s.or("passkeys", None, |r, n| relying::party(r, n).map(Some));
        let door = Door { address: address?, tls: tls?, hosts: hosts? };
        if door.tls.is_none() && !door.address.ip().is_loopback() {
            let message = "listens beyond this machine without tls: tokens travel in the clear";
            report.warn(s.place(), message);
        }
        Some((door, passkeys?))
    })?
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = named.as_deref().unwrap_or(text).parse();
    parsed
        .map_err(|_| format!("`{text}` is not an address: expected IP:PORT, as in 127.0.0.1:8555"))
}

fn tls(report: &Report, node: &Node, folder: &Path) -> Option<TlsFiles> {
    report.section(node, "`tls`", |s| {
        let certificate = s.required("certificate").and_then(|n| file(report, n, folder));
        let key = s.required("key").and_then(|n| file(report, n, folder));
        let client_ca = s.or("client_ca", None, |r, n| file(r, n, folder).map(Some));
        Some(TlsFiles { certificate: certificate?, key: key?, client_ca: client_ca? })
    })?
}

/// A URL whose password, if it has one, comes from the environment.
pub(crate) fn url(report: &Report, node: &Node, schemes: &[&str]) -> Option<SecretUrl> {
    let url = report.read_as(node, |text| SecretUrl::parse(text, schemes))?;
    let written = matches!(&node.value, Value::Text(raw) if !raw.contains("${"));
    if written && url.has_password() {
        report.refuse(
            node.place,
            "a password is written in this URL: put it into the environment and write ${NAME}",
        );
    }
    Some(url)
}

/// A path from the folder of the configuration file. Need not exist.
pub(crate) fn path(report: &Report, node: &Node, folder: &Path) -> Option<PathBuf> {
    report.text(node).map(|text| path_from(folder, &text))
}

/// A path to a file that exists.
pub(crate) fn file(report: &Report, node: &Node, folder: &Path) -> Option<PathBuf> {
    let path = path(report, node, folder)?;
    if path.is_file() {
        return Some(path);
    }
    report.refuse(node.place, format!("there is no file `{}`", path.display()));
    None
}

/// A policy's file, with its place.
pub(crate) fn policy_file(report: &Report, node: &Node, folder: &Path) -> Option<Placed<PathBuf>> {
    Some(Placed { value: file(report, node, folder)?, place: node.place })
}
