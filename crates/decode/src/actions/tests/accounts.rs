//! Whoever a function of a registered contract names is seen, and what its layout does not have is told.

use std::collections::BTreeSet;

use alloy_dyn_abi::{DynSolType, DynSolValue as V, Specifier};
use alloy_json_abi::Param;

use super::*;
use crate::{
    Container,
    protocol::{self, path_of},
};

const HERE: Address = address!("000000000000000000000000000000000000c0de");
const OTHER: Address = address!("0000000000000000000000000000000000008080");

/// What is moved, by the names that the tables use.
const ASSETS: &[&str] = &[
    "asset",
    "assets",
    "burnToken",
    "collateralAsset",
    "debtAsset",
    "dstToken",
    "inputToken",
    "localToken",
    "makerAsset",
    "outputToken",
    "path",
    "remoteToken",
    "srcToken",
    "takerAsset",
    "token",
    "token0",
    "token1",
    "tokenA",
    "tokenB",
    "tokenIn",
    "tokenOut",
    "tokens",
];

/// Accounts that get nothing of the caller's by being named: who trades with it, whose debt it pays for their
/// collateral, what carries out a swap whose result is owed to somebody else, who alone may relay a transfer.
const COUNTERPARTIES: &[&str] = &[
    "allowedSender",
    "clipperExchange",
    "destinationCaller",
    "exclusiveRelayer",
    "executor",
    "maker",
    "order.receiver",
    "srcReceiver",
    "user",
];

/// A function's argument that may be an account, as its path.
fn accounts(params: &[Param], above: &str, one_inch: bool, found: &mut Vec<String>) {
    for param in params {
        let path =
            if above.is_empty() { param.name.clone() } else { format!("{above}.{}", param.name) };
        accounts(&param.components, &path, one_inch, found);
        let numbers = ["to", "maker", "receiver"];
        let written = match param.ty.as_str() {
            "address" => true,
            "bytes32" => {
                ["to", "recipient", "mintRecipient", "depositor"].contains(&param.name.as_str())
            }
            "uint256" => one_inch && numbers.contains(&param.name.as_str()),
            _ => false,
        };
        let passive =
            |names: &[&str]| names.contains(&param.name.as_str()) || names.contains(&path.as_str());
        if written && !passive(ASSETS) && !passive(COUNTERPARTIES) {
            found.push(path);
        }
    }
}

/// An argument that is plausible, and an account of the caller's own unless it is the chosen one.
fn argument(param: &Param, above: &str, chosen: &str) -> V {
    let path =
        if above.is_empty() { param.name.clone() } else { format!("{above}.{}", param.name) };
    if let Some(item) = param.ty.strip_suffix("[]") {
        let single = Param { ty: item.to_owned(), ..param.clone() };
        let items = match (item, param.name.as_str()) {
            ("address", "path" | "tokens") => vec![V::Address(TOKEN), V::Address(OTHER)],
            _ => vec![argument(&single, above, chosen)],
        };
        return V::Array(items);
    }
    let who = if path == chosen { BOB } else { SELF };
    let asset = ASSETS.contains(&param.name.as_str());
    let numbers = ["to", "maker", "receiver", "token", "srcToken", "makerAsset", "takerAsset"];
    let named = numbers.contains(&param.name.as_str());
    match param.resolve().unwrap() {
        DynSolType::Tuple(_) => {
            V::Tuple(param.components.iter().map(|inner| argument(inner, &path, chosen)).collect())
        }
        DynSolType::Address => V::Address(if asset { TOKEN } else { who }),
        DynSolType::FixedBytes(32) => {
            V::FixedBytes(if asset { TOKEN } else { who }.into_word(), 32)
        }
        DynSolType::FixedBytes(size) => V::FixedBytes(B256::ZERO, size),
        DynSolType::Uint(256) if named => V::Uint(word(if asset { TOKEN } else { who }), 256),
        DynSolType::Uint(bits) => V::Uint(U256::from(1), bits),
        DynSolType::Int(bits) => V::Int(I256::ONE, bits),
        DynSolType::Bool => V::Bool(param.name == "isAllowed"),
        DynSolType::Bytes if param.name.to_lowercase().ends_with("path") => {
            V::Bytes(path_of(&[TOKEN, OTHER]))
        }
        DynSolType::Bytes => V::Bytes(Vec::new()),
        other @ (DynSolType::Function
        | DynSolType::String
        | DynSolType::Array(_)
        | DynSolType::FixedArray(..)
        | DynSolType::CustomStruct { .. }) => panic!("{other:?}"),
    }
}

fn run(container: Container, function: &AbiFunction, chosen: &str) -> Vec<Action> {
    let args: Vec<V> = function.inputs().iter().map(|param| argument(param, "", chosen)).collect();
    let mut registry = Registry::new();
    registry.add_container(HERE, container);
    let data =
        Bytes::from([function.selector().to_vec(), V::Tuple(args).abi_encode_params()].concat());
    let call = Call { wallet: SELF, to: Some(HERE), value: U256::from(1), data: &data };
    actions(&call, &registry)
}

fn named_by(effect: &Effect) -> Vec<Address> {
    match effect {
        Effect::Transfer { from, to, .. } => vec![*from, *to],
        Effect::Approve { owner, spender, .. } => vec![*owner, *spender],
        Effect::Revoke { spender, .. } => vec![*spender],
        Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => Vec::new(),
    }
}

/// The way past a policy that lets calls of a known contract through: a recipient in a function whose effects
/// nobody lists.
#[test]
fn every_account_that_a_registered_function_names_is_seen() {
    let (mut seen, mut unseen) = (0, Vec::new());
    for (container, signature) in protocol::signatures() {
        let known = function(signature);
        let mut paths = Vec::new();
        accounts(known.inputs(), "", container == Container::OneInchRouter, &mut paths);
        // what is called there does as it is told by `data`, which nobody reads: its spends are unknown
        paths.retain(|path| !(container == Container::ZeroEx && path == "target"));
        for path in paths {
            let all = run(container, &known, &path);
            let named: BTreeSet<Address> =
                all.iter().flat_map(|action| named_by(&action.effect)).collect();
            if !named.contains(&BOB) {
                unseen.push(format!("{container:?} {signature}: {path}"));
            }
            seen += 1;
        }
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_registered_function_with_ones_own_accounts_gives_nothing_to_anybody() {
    let mut given = Vec::new();
    for (container, signature) in protocol::signatures() {
        let known = function(signature);
        let all = run(container, &known, "");
        let readable = |action: &Action| !matches!(action.effect, Effect::Undecodable { .. });
        if !all.iter().all(readable) {
            given.push(format!("{container:?} {signature} is not read: {all:?}"));
        }
        let others = all.iter().flat_map(|action| named_by(&action.effect));
        let others: BTreeSet<Address> = others.filter(|one| ![SELF, HERE].contains(one)).collect();
        if !others.is_empty() {
            given.push(format!("{container:?} {signature}: {others:?}"));
        }
    }
    assert!(given.is_empty(), "{given:#?}");
}

/// From the deployed contracts.
#[test]
fn the_selectors_are_those_of_the_contracts() {
    let known =
        |container, selector: &str| protocol::known(container, selector.parse().unwrap()).is_some();
    let one_inch = [
        "83800a8e", "e2c95c82", "a76dfc3b", "175accdc", "8770ba91", "ea76dddf", "c4d652af",
        "f497df75", "5a099843", "bc80f1a8",
    ];
    for selector in one_inch {
        assert!(known(Container::OneInchRouter, selector), "{selector}");
    }
    for (container, selector) in [
        (Container::UniswapV3Positions, "88316456"),
        (Container::UniswapV3Positions, "0c49ccbe"),
        (Container::UniswapV3Positions, "fc6f7865"),
        (Container::AavePool, "02c205f0"),
        (Container::AavePool, "ee3e210b"),
        (Container::AavePool, "ab9c4b5d"),
        (Container::EntryPoint, "b760faf9"),
        (Container::Erc4626, "85b77f45"),
        (Container::Erc4626, "7d41c86e"),
    ] {
        assert!(known(container, selector), "{container:?} {selector}");
    }
}

fn unlisted(container: Option<Container>, signature: &str, words: &[U256]) -> bool {
    let mut registry = Registry::new();
    if let Some(container) = container {
        registry.add_container(HERE, container);
    }
    let own = function("own(address)");
    registry.add_contract(HERE, None, vec![own, function("transfer(address,uint256)")]);
    let data = Bytes::from(data(signature, words));
    let call = Call { wallet: SELF, to: Some(HERE), value: U256::ZERO, data: &data };
    actions(&call, &registry).iter().any(|action| action.unlisted)
}

#[test]
fn what_the_layout_of_a_registered_contract_does_not_have_is_told() {
    let pool = Some(Container::AavePool);
    assert!(unlisted(pool, "sendEverythingTo(address)", &[word(BOB)]));
    assert!(
        unlisted(pool, "own(address)", &[word(BOB)]),
        "an ABI says what it reads, not who gets what"
    );
    assert!(!unlisted(pool, "setUserEMode(uint8)", &[U256::from(1)]));
    assert!(!unlisted(pool, "approve(address,uint256)", &[word(BOB), U256::from(1)]));
    assert!(!unlisted(None, "sendEverythingTo(address)", &[word(BOB)]));
    assert!(!unlisted(Some(Container::Multicall), "sendEverythingTo(address)", &[word(BOB)]));
    assert!(unlisted(Some(Container::Safe), "sendEverythingTo(address)", &[word(BOB)]));
    let calls = data("aggregate((address,bytes)[])", &[number(32), U256::ZERO]);
    let mut registry = Registry::new();
    registry.add_container(HERE, Container::Comet);
    let data = Bytes::from(calls);
    let call = Call { wallet: SELF, to: Some(HERE), value: U256::ZERO, data: &data };
    assert!(actions(&call, &registry)[0].unlisted, "another container's function");
}

/// A whole ABI, as a folder brings it, has the token's functions too.
#[test]
fn a_registered_contracts_abi_does_not_hide_its_transfers() {
    let transfer = data("transfer(address,uint256)", &[word(BOB), number(7)]);
    for (container, seen) in
        [(Container::Weth, true), (Container::Comet, true), (Container::Multicall, false)]
    {
        let mut registry = Registry::new();
        registry.add_container(HERE, container);
        registry.add_contract(HERE, None, vec![function("transfer(address dst,uint256 amount)")]);
        let data = Bytes::from(transfer.clone());
        let call = Call { wallet: SELF, to: Some(HERE), value: U256::ZERO, data: &data };
        let found = matches!(actions(&call, &registry)[0].effect, Effect::Transfer { .. });
        assert_eq!(found, seen, "{container:?}");
    }
}
