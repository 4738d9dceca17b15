//! ERC-20, ERC-721, ERC-1155, ERC-777, ERC-1363, ERC-3009 and ERC-6909: value moves.

use alloy_primitives::U256;
use countersign_core::{action::Effect, token::Asset};

use super::{Leaf, Scene, Table, arguments::Arguments};

type Leaves = Result<Vec<Leaf>, &'static str>;

pub(super) const ANYWHERE: &Table = &[
    ("transfer(address to,uint256 amount)", token),
    ("transferFrom(address from,address to,uint256 amount)", token_from),
    ("transfer(address to,uint256 id,uint256 amount)", some_of_own_item),
    ("transferFrom(address from,address to,uint256 id,uint256 amount)", some_of_item),
    ("transferAndCall(address to,uint256 amount)", token),
    ("transferAndCall(address to,uint256 amount,bytes data)", token),
    ("transferFromAndCall(address from,address to,uint256 amount)", token_from),
    ("transferFromAndCall(address from,address to,uint256 amount,bytes data)", token_from),
    ("send(address to,uint256 amount,bytes data)", token),
    (
        "operatorSend(address from,address to,uint256 amount,bytes data,bytes operatorData)",
        token_from,
    ),
    ("safeTransferFrom(address from,address to,uint256 tokenId)", item_from),
    ("safeTransferFrom(address from,address to,uint256 tokenId,bytes data)", item_from),
    (
        "safeTransferFrom(address from,address to,uint256 id,uint256 amount,bytes data)",
        some_of_item,
    ),
    (
        "safeBatchTransferFrom(address from,address to,uint256[] ids,uint256[] amounts,bytes data)",
        batch,
    ),
    (
        "transferWithAuthorization(address from,address to,uint256 amount,uint256 validAfter,uint256 validBefore,bytes32 nonce,uint8 v,bytes32 r,bytes32 s)",
        authorized,
    ),
    (
        "transferWithAuthorization(address from,address to,uint256 amount,uint256 validAfter,uint256 validBefore,bytes32 nonce,bytes signature)",
        authorized,
    ),
    (
        "receiveWithAuthorization(address from,address to,uint256 amount,uint256 validAfter,uint256 validBefore,bytes32 nonce,uint8 v,bytes32 r,bytes32 s)",
        authorized,
    ),
    (
        "receiveWithAuthorization(address from,address to,uint256 amount,uint256 validAfter,uint256 validBefore,bytes32 nonce,bytes signature)",
        authorized,
    ),
];

/// The same selectors, where the number is an item. `transfer` is that of collections from before
/// ERC-721.
pub(super) const COLLECTIONS: &Table = &[
    ("transfer(address to,uint256 tokenId)", item),
    ("transferFrom(address from,address to,uint256 tokenId)", item_from),
];

fn token(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::call(Effect::Transfer {
        asset: Asset::Token(scene.target),
        from: scene.caller,
        to: args.address("to")?,
        amount: args.number("amount")?,
    })])
}

fn token_from(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::call(moved(scene, args)?)])
}

fn authorized(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::signature(moved(scene, args)?)])
}

/// A token goes from the account that the arguments name.
fn moved(scene: Scene, args: Arguments<'_>) -> Result<Effect, &'static str> {
    Ok(Effect::Transfer {
        asset: Asset::Token(scene.target),
        from: args.address("from")?,
        to: args.address("to")?,
        amount: args.number("amount")?,
    })
}

fn item(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::call(Effect::Transfer {
        asset: Asset::Item { collection: scene.target, id: args.number("tokenId")? },
        from: scene.caller,
        to: args.address("to")?,
        amount: U256::ONE,
    })])
}

fn item_from(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![items(scene, args, args.number("tokenId")?, U256::ONE)?])
}

/// ERC-6909.
fn some_of_own_item(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::call(Effect::Transfer {
        asset: Asset::Item { collection: scene.target, id: args.number("id")? },
        from: scene.caller,
        to: args.address("to")?,
        amount: args.number("amount")?,
    })])
}

fn some_of_item(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![items(scene, args, args.number("id")?, args.number("amount")?)?])
}

fn batch(scene: Scene, args: Arguments<'_>) -> Leaves {
    let ids = args.numbers("ids")?;
    let amounts = args.numbers("amounts")?;
    if ids.len() != amounts.len() {
        return Err("as many amounts as ids are needed");
    }
    ids.into_iter().zip(amounts).map(|(id, amount)| items(scene, args, id, amount)).collect()
}

fn items(scene: Scene, args: Arguments<'_>, id: U256, amount: U256) -> Result<Leaf, &'static str> {
    Ok(Leaf::call(Effect::Transfer {
        asset: Asset::Item { collection: scene.target, id },
        from: args.address("from")?,
        to: args.address("to")?,
        amount,
    }))
}
