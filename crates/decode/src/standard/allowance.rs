//! ERC-20, ERC-721, ERC-777, ERC-1155, ERC-2612, ERC-6909, DAI and Aave's debt tokens: authority is given or
//! taken.

use alloy_primitives::{Address, U256};
use countersign_core::{action::Effect, token::Asset};

use super::{Leaf, Scene, Table, arguments::Arguments};

type Leaves = Result<Vec<Leaf>, &'static str>;

pub(super) const ANYWHERE: &Table = &[
    ("approve(address spender,uint256 amount)", approve),
    ("increaseAllowance(address spender,uint256 addedValue)", increase),
    ("decreaseAllowance(address spender,uint256 subtractedValue)", decrease),
    ("increaseApproval(address spender,uint256 addedValue)", increase),
    ("decreaseApproval(address spender,uint256 subtractedValue)", decrease),
    ("setOperator(address operator,bool approved)", operator),
    ("approve(address spender,uint256 id,uint256 amount)", approve_some_of_item),
    ("approveDelegation(address spender,uint256 amount)", approve),
    (
        "delegationWithSig(address owner,address spender,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        permit,
    ),
    ("approveAndCall(address spender,uint256 amount)", approve_and_call),
    ("approveAndCall(address spender,uint256 amount,bytes data)", approve_and_call),
    ("authorizeOperator(address operator)", authorize_operator),
    ("revokeOperator(address operator)", revoke_operator),
    (
        "cancelAuthorization(address authorizer,bytes32 nonce,uint8 v,bytes32 r,bytes32 s)",
        cancel_authorization,
    ),
    ("cancelAuthorization(address authorizer,bytes32 nonce,bytes signature)", cancel_authorization),
    ("setApprovalForAll(address operator,bool approved)", operator),
    (
        "permit(address owner,address spender,uint256 value,uint256 deadline,uint8 v,bytes32 r,bytes32 s)",
        permit,
    ),
    (
        "permit(address owner,address spender,uint256 value,uint256 deadline,bytes signature)",
        permit,
    ),
    (
        "permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed,uint8 v,bytes32 r,bytes32 s)",
        dai_permit,
    ),
];

/// The same selector, where the number is an item.
pub(super) const COLLECTIONS: &Table =
    &[("approve(address spender,uint256 tokenId)", approve_item)];

/// An allowance of an ERC-20 after the call.
fn allowance(scene: Scene, owner: Address, spender: Address, amount: U256) -> Effect {
    let asset = Asset::Token(scene.target);
    if amount.is_zero() {
        return Effect::Revoke { asset, spender };
    }
    granted(scene, owner, spender, amount)
}

/// An allowance that is given, even if it is one of nothing.
fn granted(scene: Scene, owner: Address, spender: Address, amount: U256) -> Effect {
    let (asset, unlimited) = (Asset::Token(scene.target), amount == U256::MAX);
    Effect::Approve { asset, owner, spender, amount, unlimited, deadline: None }
}

/// Zero takes an allowance away only where the number is known to be an amount: as an item's id it
/// gives item 0 away.
fn approve(scene: Scene, args: Arguments<'_>) -> Leaves {
    let spender = args.address("spender")?;
    let amount = args.number("amount")?;
    let known_to_be_an_amount = scene.token || spender.is_zero();
    let effect = if known_to_be_an_amount { allowance } else { granted };
    Ok(vec![Leaf::call(effect(scene, scene.caller, spender, amount))])
}

/// The spender is called besides, so that even an allowance of nothing is no revocation.
fn approve_and_call(scene: Scene, args: Arguments<'_>) -> Leaves {
    let (spender, amount) = (args.address("spender")?, args.number("amount")?);
    Ok(vec![Leaf::call(granted(scene, scene.caller, spender, amount))])
}

/// What it adds. An addition of nothing gives nothing, yet it is no revocation.
fn increase(scene: Scene, args: Arguments<'_>) -> Leaves {
    let (spender, amount) = (args.address("spender")?, args.number("addedValue")?);
    Ok(vec![Leaf::call(granted(scene, scene.caller, spender, amount))])
}

fn decrease(scene: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Token(scene.target);
    Ok(vec![Leaf::call(Effect::Revoke { asset, spender: args.address("spender")? })])
}

fn operator(scene: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Collection(scene.target);
    let spender = args.address("operator")?;
    let effect = if args.flag("approved")? {
        Effect::Approve {
            asset,
            owner: scene.caller,
            spender,
            amount: U256::MAX,
            unlimited: true,
            deadline: None,
        }
    } else {
        Effect::Revoke { asset, spender }
    };
    Ok(vec![Leaf::call(effect)])
}

/// ERC-6909: an allowance of one item, which nothing of takes away.
fn approve_some_of_item(scene: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Item { collection: scene.target, id: args.number("id")? };
    let (spender, amount) = (args.address("spender")?, args.number("amount")?);
    let unlimited = amount == U256::MAX;
    let owner = scene.caller;
    let effect = if amount.is_zero() {
        Effect::Revoke { asset, spender }
    } else {
        Effect::Approve { asset, owner, spender, amount, unlimited, deadline: None }
    };
    Ok(vec![Leaf::call(effect)])
}

/// ERC-777: somebody may move all of a fungible token.
fn authorize_operator(scene: Scene, args: Arguments<'_>) -> Leaves {
    let spender = args.address("operator")?;
    Ok(vec![Leaf::call(allowance(scene, scene.caller, spender, U256::MAX))])
}

fn revoke_operator(scene: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Token(scene.target);
    Ok(vec![Leaf::call(Effect::Revoke { asset, spender: args.address("operator")? })])
}

/// An ERC-3009 signature that anybody may hold is worth nothing any more.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn cancel_authorization(scene: Scene, _: Arguments<'_>) -> Leaves {
    let asset = Asset::Token(scene.target);
    Ok(vec![Leaf::signature(Effect::Revoke { asset, spender: Address::ZERO })])
}

fn permit(scene: Scene, args: Arguments<'_>) -> Leaves {
    let (owner, spender) = (args.address("owner")?, args.address("spender")?);
    Ok(vec![Leaf::signature(allowance(scene, owner, spender, args.number("value")?))])
}

fn dai_permit(scene: Scene, args: Arguments<'_>) -> Leaves {
    let (owner, spender) = (args.address("holder")?, args.address("spender")?);
    let amount = if args.flag("allowed")? { U256::MAX } else { U256::ZERO };
    Ok(vec![Leaf::signature(allowance(scene, owner, spender, amount))])
}

fn approve_item(scene: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Item { collection: scene.target, id: args.number("tokenId")? };
    let spender = args.address("spender")?;
    let effect = if spender.is_zero() {
        Effect::Revoke { asset, spender }
    } else {
        Effect::Approve {
            asset,
            owner: scene.caller,
            spender,
            amount: U256::ONE,
            unlimited: false,
            deadline: None,
        }
    };
    Ok(vec![Leaf::call(effect)])
}
