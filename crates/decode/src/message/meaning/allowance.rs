//! Tokens: ERC-2612, DAI and ERC-4494 permits, ERC-3009 authorisations.

use alloy_primitives::{Address, U256};
use countersign_core::{action::Effect, token::Asset};

use super::{Authority, Scene, Table, Unfit, before, until};
use crate::{message::probe, standard::PERMIT2};

type Signed = Result<Authority, Unfit>;

pub(super) const TABLE: &Table = &[
    ("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)", permit),
    (
        "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
        dai_permit,
    ),
    ("Permit(address spender,uint256 tokenId,uint256 nonce,uint256 deadline)", item_permit),
    (
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
        authorization,
    ),
    (
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
        authorization,
    ),
    ("CancelAuthorization(address authorizer,bytes32 nonce)", cancellation),
];

impl Scene<'_> {
    /// The contract can be an ERC-20.
    fn fungible(&self) -> Result<(), Unfit> {
        let other = self.registry.governs(self.contract) && !self.registry.is_token(self.contract);
        if other { Err(Unfit::Unknown) } else { Ok(()) }
    }
}

fn permit(scene: Scene<'_>) -> Signed {
    scene.fungible()?;
    let fields = scene.fields();
    let owner = scene.owner("owner")?;
    let deadline = fields.number("deadline")?;
    let effect =
        scene.allowance(fields.address("spender")?, fields.number("value")?, Some(deadline));
    let nonce = probe::permit(scene.contract, owner, fields.number("nonce")?);
    Ok(Authority::new(vec![effect], until(deadline), Some(nonce)))
}

/// All or nothing; an expiry of zero is none.
fn dai_permit(scene: Scene<'_>) -> Signed {
    scene.fungible()?;
    let fields = scene.fields();
    let owner = scene.owner("holder")?;
    let expiry = Some(fields.number("expiry")?).filter(|expiry| !expiry.is_zero());
    let amount = if fields.flag("allowed")? { U256::MAX } else { U256::ZERO };
    let effect = scene.allowance(fields.address("spender")?, amount, expiry);
    let nonce = probe::permit(scene.contract, owner, fields.number("nonce")?);
    Ok(Authority::new(vec![effect], expiry.and_then(until), Some(nonce)))
}

/// One item of a collection. Where its nonce is kept is not agreed on.
fn item_permit(scene: Scene<'_>) -> Signed {
    if scene.registry.is_token(scene.contract) || scene.contract == PERMIT2 {
        return Err(Unfit::Unknown);
    }
    let fields = scene.fields();
    let deadline = fields.number("deadline")?;
    let effect = Effect::Approve {
        asset: Asset::Item { collection: scene.contract, id: fields.number("tokenId")? },
        owner: scene.wallet,
        spender: fields.address("spender")?,
        amount: U256::ONE,
        unlimited: false,
        deadline: Some(deadline),
    };
    Ok(Authority::new(vec![effect], until(deadline), None))
}

/// The signature is the transfer.
fn authorization(scene: Scene<'_>) -> Signed {
    scene.fungible()?;
    let fields = scene.fields();
    let from = scene.owner("from")?;
    let effect = Effect::Transfer {
        asset: Asset::Token(scene.contract),
        from,
        to: fields.address("to")?,
        amount: fields.number("value")?,
    };
    let nonce = probe::authorization(scene.contract, from, fields.word("nonce")?);
    Ok(Authority::new(vec![effect], before(fields.number("validBefore")?), Some(nonce)))
}

/// Takes an authorisation back, whoever it was for.
fn cancellation(scene: Scene<'_>) -> Signed {
    scene.owner("authorizer")?;
    if !scene.registry.is_token(scene.contract) {
        return Err(Unfit::Unknown);
    }
    let effect = Effect::Revoke { asset: Asset::Token(scene.contract), spender: Address::ZERO };
    Ok(Authority::new(vec![effect], None, None))
}
