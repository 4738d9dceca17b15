//! Permit2 at its canonical address: allowances with an end, over tokens that the arguments name.

use alloy_primitives::{Address, U256, address};
use countersign_core::{action::Effect, token::Asset};

use super::{Leaf, Scene, Table, arguments::Arguments};

type Leaves = Result<Vec<Leaf>, &'static str>;

/// The same on every chain.
pub(crate) const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// The most that 160 bits hold: Permit2 never reduces such an allowance.
const UNLIMITED: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0xffff_ffff, 0]);

pub(super) const TABLE: &Table = &[
    ("approve(address token,address spender,uint160 amount,uint48 expiration)", approve),
    ("transferFrom(address from,address to,uint160 amount,address token)", transfer),
    ("transferFrom((address from,address to,uint160 amount,address token)[] details)", transfers),
    ("lockdown((address token,address spender)[] approvals)", lockdown),
    (
        "permit(address owner,((address token,uint160 amount,uint48 expiration,uint48 nonce) details,address spender,uint256 sigDeadline) permit,bytes signature)",
        permit,
    ),
    (
        "permit(address owner,((address token,uint160 amount,uint48 expiration,uint48 nonce)[] details,address spender,uint256 sigDeadline) permit,bytes signature)",
        permits,
    ),
    (
        "permitTransferFrom(((address token,uint256 amount) permitted,uint256 nonce,uint256 deadline) permit,(address to,uint256 requestedAmount) transferDetails,address owner,bytes signature)",
        signed_transfer,
    ),
    (
        "permitWitnessTransferFrom(((address token,uint256 amount) permitted,uint256 nonce,uint256 deadline) permit,(address to,uint256 requestedAmount) transferDetails,address owner,bytes32 witness,string witnessTypeString,bytes signature)",
        signed_transfer,
    ),
    (
        "permitTransferFrom(((address token,uint256 amount)[] permitted,uint256 nonce,uint256 deadline) permit,(address to,uint256 requestedAmount)[] transferDetails,address owner,bytes signature)",
        signed_transfers,
    ),
    (
        "permitWitnessTransferFrom(((address token,uint256 amount)[] permitted,uint256 nonce,uint256 deadline) permit,(address to,uint256 requestedAmount)[] transferDetails,address owner,bytes32 witness,string witnessTypeString,bytes signature)",
        signed_transfers,
    ),
    ("invalidateNonces(address token,address spender,uint48 newNonce)", invalidate),
    ("invalidateUnorderedNonces(uint256 wordPos,uint256 mask)", invalidate_unordered),
];

/// What `token`, `amount` and `expiration` in `details` allow.
pub(crate) fn allowance(
    owner: Address,
    spender: Address,
    details: Arguments<'_>,
) -> Result<Effect, &'static str> {
    let asset = Asset::Token(details.address("token")?);
    let amount = details.number("amount")?;
    if amount.is_zero() {
        return Ok(Effect::Revoke { asset, spender });
    }
    let deadline = Some(details.number("expiration")?);
    let unlimited = amount == UNLIMITED;
    Ok(Effect::Approve { asset, owner, spender, amount, unlimited, deadline })
}

fn moved(details: Arguments<'_>) -> Result<Leaf, &'static str> {
    Ok(Leaf::call(Effect::Transfer {
        asset: Asset::Token(details.address("token")?),
        from: details.address("from")?,
        to: details.address("to")?,
        amount: details.number("amount")?,
    }))
}

fn approve(scene: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::call(allowance(scene.caller, args.address("spender")?, args)?)])
}

fn transfer(_: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![moved(args)?])
}

fn transfers(_: Scene, args: Arguments<'_>) -> Leaves {
    args.list("details")?.map(moved).collect()
}

fn lockdown(_: Scene, args: Arguments<'_>) -> Leaves {
    let revoked = |pair: Arguments<'_>| {
        let asset = Asset::Token(pair.address("token")?);
        Ok(Leaf::call(Effect::Revoke { asset, spender: pair.address("spender")? }))
    };
    args.list("approvals")?.map(revoked).collect()
}

fn permit(_: Scene, args: Arguments<'_>) -> Leaves {
    let (owner, spender) = (args.address("owner")?, args.address("permit.spender")?);
    Ok(vec![Leaf::signature(allowance(owner, spender, args.member("permit.details")?)?)])
}

fn permits(_: Scene, args: Arguments<'_>) -> Leaves {
    let (owner, spender) = (args.address("owner")?, args.address("permit.spender")?);
    args.list("permit.details")?
        .map(|details| Ok(Leaf::signature(allowance(owner, spender, details)?)))
        .collect()
}

/// The requested amount moves; Permit2 reverts where it is more than the permitted one.
fn signed_transfer(_: Scene, args: Arguments<'_>) -> Leaves {
    Ok(vec![Leaf::signature(Effect::Transfer {
        asset: Asset::Token(args.address("permit.permitted.token")?),
        from: args.address("owner")?,
        to: args.address("transferDetails.to")?,
        amount: args.number("transferDetails.requestedAmount")?,
    })])
}

/// Each requested amount, out of the permitted token at the same place.
fn signed_transfers(_: Scene, args: Arguments<'_>) -> Leaves {
    let permitted: Vec<_> = args.list("permit.permitted")?.collect();
    let details: Vec<_> = args.list("transferDetails")?.collect();
    if permitted.len() != details.len() {
        return Err("as many transfers as permitted tokens are needed");
    }
    let from = args.address("owner")?;
    let moved = |(permitted, details): (&Arguments<'_>, &Arguments<'_>)| {
        Ok(Leaf::signature(Effect::Transfer {
            asset: Asset::Token(permitted.address("token")?),
            from,
            to: details.address("to")?,
            amount: details.number("requestedAmount")?,
        }))
    };
    permitted.iter().zip(&details).map(moved).collect()
}

fn invalidate(_: Scene, args: Arguments<'_>) -> Leaves {
    let asset = Asset::Token(args.address("token")?);
    Ok(vec![Leaf::call(Effect::Revoke { asset, spender: args.address("spender")? })])
}

/// Signatures that anybody may hold, over any token, are worth nothing any more.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn invalidate_unordered(scene: Scene, _: Arguments<'_>) -> Leaves {
    let asset = Asset::Token(scene.target);
    Ok(vec![Leaf::call(Effect::Revoke { asset, spender: Address::ZERO })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlimited_is_all_of_160_bits() {
        assert_eq!(UNLIMITED.count_ones(), 160);
        assert_eq!(UNLIMITED.bit_len(), 160);
    }
}
