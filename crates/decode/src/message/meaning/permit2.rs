//! Permit2 at its canonical address: allowances that a spender may pull, and transfers that it may make once.

use alloy_primitives::{Address, U256, address};
use countersign_core::{action::Effect, token::Asset};

use super::{Authority, Scene, Table, Unfit, until};
use crate::{
    message::probe,
    standard::{Arguments, PERMIT2},
};

type Signed = Result<Authority, Unfit>;

/// What Permit2 never reduces.
const UNLIMITED: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0xffff_ffff, 0]);

/// x402's contracts, the same on every chain: they pay whom the witness names, and nobody else.
const X402_EXACT: Address = address!("402085c248EeA27D92E8b30b2C58ed07f9E20001");
const X402_UP_TO: Address = address!("4020A4f3b7b90ccA423B9fabCc0CE57C6C240002");

pub(super) const TABLE: &Table = &[
    (
        "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        single,
    ),
    (
        "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
        batch,
    ),
    (
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)",
        transfer,
    ),
    (
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)",
        transfers,
    ),
    (
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)",
        |scene| payment(scene, X402_EXACT),
    ),
    (
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,address facilitator,uint256 validAfter)",
        |scene| payment(scene, X402_UP_TO),
    ),
];

/// How the types begin to which a spender appends what it wants to have signed besides.
const WITH_WITNESS: &Table = &[
    (
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,",
        transfer,
    ),
    (
        "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline,",
        transfers,
    ),
];

/// A transfer with terms that only its spender understands: the money may go, and the terms are shown as what
/// they are, unknown.
pub(super) fn with_witness(scene: Scene<'_>, kind: &str) -> Signed {
    let (_, permitted) = WITH_WITNESS
        .iter()
        .find(|(start, _)| kind.starts_with(start))
        .filter(|_| kind.contains(")TokenPermissions(address token,uint256 amount)"))
        .ok_or(Unfit::Unknown)?;
    Ok(permitted(scene)?.and(scene.terms()))
}

impl Scene<'_> {
    fn at_permit2(&self) -> Result<(), Unfit> {
        if self.contract == PERMIT2 { self.named("Permit2", None) } else { Err(Unfit::Unknown) }
    }

    /// An allowance. Its end counts from when the signature is used; an end of zero is that same second.
    fn pulled(&self, details: Arguments<'_>) -> Result<Effect, &'static str> {
        let spender = self.fields().address("spender")?;
        let asset = Asset::Token(details.address("token")?);
        let amount = details.number("amount")?;
        if amount.is_zero() {
            return Ok(Effect::Revoke { asset, spender });
        }
        let (owner, unlimited) = (self.wallet, amount == UNLIMITED);
        let deadline = Some(self.end(details)?);
        Ok(Effect::Approve { asset, owner, spender, amount, unlimited, deadline })
    }

    fn end(&self, details: Arguments<'_>) -> Result<U256, &'static str> {
        let end = Some(details.number("expiration")?).filter(|end| !end.is_zero());
        end.map_or_else(|| self.fields().number("sigDeadline"), Ok)
    }

    /// Allowances that one signature gives together, or not at all: whether it did, the first one's nonce tells.
    /// Used after the end of an allowance it allows nothing.
    fn together<'f>(&self, details: impl Iterator<Item = Arguments<'f>>) -> Signed {
        let details: Vec<Arguments<'_>> = details.collect();
        let effects = details.iter().map(|details| self.pulled(*details));
        let effects = effects.collect::<Result<_, _>>()?;
        let Some(first) = details.first() else { return Err(Unfit::Unknown) };
        let ends = details.iter().map(|details| self.end(*details));
        let end = ends.collect::<Result<Vec<U256>, _>>()?.into_iter().max().unwrap_or_default();
        let pair = [self.wallet, first.address("token")?, self.fields().address("spender")?];
        let nonce = probe::allowance(PERMIT2, pair, first.number("nonce")?);
        let last = self.fields().number("sigDeadline")?;
        Ok(Authority::new(effects, until(last.min(end)), Some(nonce)))
    }

    fn once(&self, effects: Vec<Effect>) -> Signed {
        let nonce = probe::bitmap(PERMIT2, self.wallet, self.fields().number("nonce")?);
        let deadline = self.fields().number("deadline")?;
        Ok(Authority::new(effects, until(deadline), Some(nonce)))
    }

    /// The spender says whom it pays, when it pays.
    fn permitted(&self, permitted: Arguments<'_>) -> Result<Effect, &'static str> {
        let amount = permitted.number("amount")?;
        Ok(Effect::Approve {
            asset: Asset::Token(permitted.address("token")?),
            owner: self.wallet,
            spender: self.fields().address("spender")?,
            amount,
            unlimited: amount == U256::MAX,
            deadline: Some(self.fields().number("deadline")?),
        })
    }
}

fn single(scene: Scene<'_>) -> Signed {
    scene.at_permit2()?;
    scene.together(std::iter::once(scene.fields().member("details")?))
}

fn batch(scene: Scene<'_>) -> Signed {
    scene.at_permit2()?;
    scene.together(scene.fields().list("details")?)
}

fn transfer(scene: Scene<'_>) -> Signed {
    scene.at_permit2()?;
    scene.once(vec![scene.permitted(scene.fields().member("permitted")?)?])
}

fn transfers(scene: Scene<'_>) -> Signed {
    scene.at_permit2()?;
    let permitted = scene.fields().list("permitted")?;
    scene.once(permitted.map(|permitted| scene.permitted(permitted)).collect::<Result<_, _>>()?)
}

/// A payment through a contract that pays whom the witness names. Through another one, the same words are
/// terms like any others.
fn payment(scene: Scene<'_>, proxy: Address) -> Signed {
    scene.at_permit2()?;
    let fields = scene.fields();
    if fields.address("spender")? != proxy {
        return Ok(transfer(scene)?.and(scene.terms()));
    }
    scene.once(vec![Effect::Transfer {
        asset: Asset::Token(fields.address("permitted.token")?),
        from: scene.wallet,
        to: fields.address("witness.to")?,
        amount: fields.number("permitted.amount")?,
    }])
}
