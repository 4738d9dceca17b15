//! `chains:`

use alloy_primitives::{Address, U256, utils::parse_units};
use countersign_core::{abi::AbiFunction, identity::ChainId, time::Millis};
use countersign_decode::{Collection, Container};
use countersign_engine::setup::SimulationMode;

use super::{
    model::{ChainEntry, CollectionEntry, ContractEntry, FinalityRule, NativeEntry, TokenEntry},
    network,
    people::within,
    problem::Report,
    read::url,
    yaml::Node,
};

/// After this time without a receipt the fee of a wallet's next transaction is raised.
const BUMP_AFTER: Millis = Millis(5 * 60_000);

/// The longest that may be configured.
const BUMP_AFTER_MAX: Millis = Millis(7 * 24 * 3_600_000);

/// A newest block that is older than this is no ground to decide or settle on.
const STALE_AFTER: Millis = Millis(10 * 60_000);

/// The longest that may be configured.
const STALE_AFTER_MAX: Millis = Millis(24 * 3_600_000);

/// One chain.
pub(crate) fn entry(report: &Report, node: &Node) -> Option<ChainEntry> {
    report.section(node, "a chain", |s| {
        let id = s.required("id").and_then(|n| chain_id(report, n));
        let name = s.or("name", None, |r, n| name(r, n).map(Some));
        let upstream = s.required("upstream").and_then(|n| {
            let urls = report.list(n, |n| url(report, n, &["http", "https"]))?;
            if urls.is_empty() {
                report.refuse(n.place, "a chain needs at least one `upstream` URL");
            }
            Some(urls)
        });
        let finality = s.or("finality", None, |r, n| r.read_as(n, finality).map(Some));
        let fee_ceiling = s.or("fee_ceiling_gwei", 500_000_000_000, |r, n| r.read_as(n, gwei));
        let bump_after = s.or("bump_after", BUMP_AFTER, |r, n| within(r, n, BUMP_AFTER_MAX));
        let stale_after = s.or("stale_after", None, |r, n| within(r, n, STALE_AFTER_MAX).map(Some));
        let simulation = s.or("simulate", SimulationMode::WhenAvailable, simulate);
        let explorer = s.or("explorer", None, |r, n| r.read_as(n, explorer).map(Some));
        let native = s.or("native", ether(), native);
        let tokens = s.or("tokens", Vec::new(), |r, n| r.list(n, |n| token(r, n)));
        let collections = s.or("collections", Vec::new(), |r, n| r.list(n, |n| collection(r, n)));
        let contracts = s.or("contracts", Vec::new(), |r, n| r.list(n, |n| contract(r, n)));
        let id = id?;
        Some(ChainEntry {
            place: s.place(),
            id,
            name: name?.unwrap_or_else(|| id.to_string()),
            upstream: upstream?,
            finality: finality?.unwrap_or_else(|| usual_finality(id)),
            fee_ceiling: fee_ceiling?,
            bump_after: bump_after?,
            stale_after: stale_after?.unwrap_or_else(|| usual_age(id)),
            simulation: simulation?,
            explorer: explorer?,
            native: native?,
            tokens: tokens?,
            collections: collections?,
            contracts: contracts?,
        })
    })?
}

/// `finalized` where people's money is, one block where it is not.
fn usual_finality(id: ChainId) -> FinalityRule {
    if network::is_development(id) { FinalityRule::Blocks(1) } else { FinalityRule::Finalized }
}

/// Where people's money is blocks come by themselves; elsewhere perhaps only with transactions.
fn usual_age(id: ChainId) -> Millis {
    if network::is_development(id) { Millis::ZERO } else { STALE_AFTER }
}

fn ether() -> NativeEntry {
    NativeEntry { symbol: "ETH".into(), decimals: 18 }
}

pub(crate) fn chain_id(report: &Report, node: &Node) -> Option<ChainId> {
    match report.number(node)? {
        0 => {
            report.refuse(node.place, "`0` is not a chain id");
            None
        }
        id => Some(ChainId(id)),
    }
}

fn simulate(report: &Report, node: &Node) -> Option<SimulationMode> {
    let words = [
        ("when_available", SimulationMode::WhenAvailable),
        ("off", SimulationMode::Off),
        ("required", SimulationMode::Required),
    ];
    report.word(node, &words)
}

/// A word that can stand in a path and in a policy: `^[a-z0-9-]{1,63}$`.
pub(crate) fn name(report: &Report, node: &Node) -> Option<String> {
    report.read_as(node, countersign_core::identity::AppId::parse).map(|name| name.to_string())
}

/// A page for people, so that nothing secret can be in it.
fn explorer(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |rest: &str| {
        !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b))
    };
    match rest {
        Some(rest) if is_plain(rest) => Ok(text.trim_end_matches('/').to_owned()),
        Some(_) | None => {
            Err("this is no page of an explorer: expected a plain URL, as in https://etherscan.io"
                .to_owned())
        }
    }
}

fn finality(text: &str) -> Result<FinalityRule, String> {
    match (text, text.parse()) {
        ("finalized", _) => Ok(FinalityRule::Finalized),
        (_, Ok(blocks @ 1..)) => Ok(FinalityRule::Blocks(blocks)),
        _ => Err(format!(
            "`{text}` is no finality: expected a number of blocks from 1, or finalized"
        )),
    }
}

fn gwei(text: &str) -> Result<u128, String> {
    let wrong =
        || format!("`{text}` is not a fee in gwei: expected a number above 0, as in 500 or 0.5");
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(wrong());
    }
    let units = parse_units(text, "gwei").map_err(|_| wrong())?;
    let wei: U256 = units.into();
    u128::try_from(wei).ok().filter(|wei| *wei > 0).ok_or_else(wrong)
}

fn native(report: &Report, node: &Node) -> Option<NativeEntry> {
    report.section(node, "`native`", |s| {
        let symbol = s.required("symbol").and_then(|n| symbol(report, n));
        let decimals = s.or("decimals", 18, decimals);
        Some(NativeEntry { symbol: symbol?, decimals: decimals? })
    })?
}

fn decimals(report: &Report, node: &Node) -> Option<u8> {
    report.read_as(node, |text| match text.parse() {
        Ok(decimals @ 0..=36) => Ok(decimals),
        _ => Err(format!("`{text}` is no number of decimals: expected 0 to 36")),
    })
}

/// What price sources call something.
pub(crate) fn symbol(report: &Report, node: &Node) -> Option<String> {
    report.read_as(node, |text| {
        let fits = (1..=32).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits && plain {
            Ok(text.to_owned())
        } else {
            Err(format!("`{text}` is not a symbol, as in ETH or USD"))
        }
    })
}

fn token(report: &Report, node: &Node) -> Option<TokenEntry> {
    report.section(node, "a token", |s| {
        let id = s.required("id").and_then(|n| name(report, n));
        let address = s.required("address").and_then(|n| address(report, n));
        let decimals = s.required("decimals").and_then(|n| decimals(report, n));
        let price = s.or("price", None, |r, n| symbol(r, n).map(Some));
        let id = id?;
        let price = price?.unwrap_or_else(|| id.to_uppercase());
        Some(TokenEntry { place: s.place(), id, address: address?, decimals: decimals?, price })
    })?
}

/// `held_max` without a limit would be what nobody knows.
const HELD_MAX: u64 = 1_000_000;

fn collection(report: &Report, node: &Node) -> Option<CollectionEntry> {
    report.section(node, "a collection", |s| {
        let id = s.required("id").and_then(|n| name(report, n));
        let address = s.required("address").and_then(|n| address(report, n));
        let standard = s.required("standard").and_then(|n| report.word(n, &Collection::NAMES));
        let price = s.or("price", None, |r, n| symbol(r, n).map(Some));
        let held_max = s.or("held_max", None, |r, n| held_max(r, n).map(Some));
        let id = id?;
        let price = price?.unwrap_or_else(|| id.to_uppercase());
        Some(CollectionEntry {
            place: s.place(),
            id,
            address: address?,
            standard: standard?,
            price,
            held_max: held_max?,
        })
    })?
}

fn held_max(report: &Report, node: &Node) -> Option<u64> {
    report.read_as(node, |text| match text.parse() {
        Ok(items @ 1..=HELD_MAX) => Ok(items),
        _ => Err(format!("`{text}` is no number of items: expected 1 to {HELD_MAX}")),
    })
}

fn contract(report: &Report, node: &Node) -> Option<ContractEntry> {
    report.section(node, "a contract", |s| {
        let id = s.required("id").and_then(|n| name(report, n));
        let address = s.required("address").and_then(|n| address(report, n));
        let abi = s.or("abi", Vec::new(), |r, n| r.list(n, |n| r.read_as(n, AbiFunction::parse)));
        let action = s.or("action", None, |r, n| action(r, n).map(Some));
        let container = s.or("container", None, |r, n| r.word(n, &Container::NAMES).map(Some));
        Some(ContractEntry {
            place: s.place(),
            id: id?,
            address: address?,
            abi: abi?,
            action: action?,
            container: container?,
        })
    })?
}

fn action(report: &Report, node: &Node) -> Option<String> {
    report.read_as(node, |text| {
        let fits = (1..=63).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits && plain {
            Ok(text.to_owned())
        } else {
            Err(format!("`{text}` is not an action, as in swap or bridge_out"))
        }
    })
}

/// An address: all lower case, all upper case, or with a right checksum; never zero.
pub(crate) fn address(report: &Report, node: &Node) -> Option<Address> {
    report.read_as(node, checksummed)
}

/// The same, of any text.
pub(crate) fn checksummed(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let parsed: Option<Address> = (digits.len() == 40).then(|| text.parse().ok()).flatten();
    let address = parsed
        .ok_or_else(|| format!("`{text}` is not an address: expected 0x and 40 hex digits"))?;
    let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    if mixed && address.to_checksum(None) != text {
        return Err(format!(
            "`{text}` has a wrong checksum: if the digits are right it is {address}"
        ));
    }
    if address.is_zero() {
        Err("the zero address belongs to nobody".to_owned())
    } else {
        Ok(address)
    }
}
