//! Smart accounts: what a Safe or an account of ERC-4337 would do, and who may act for one.

use alloy_primitives::{Address, U256, address};
use countersign_core::{
    action::{Action, Effect},
    token::Asset,
};

use super::{Authority, Scene, Table, Unfit, Via, signed};
use crate::{actions, call::Call, message::probe};

type Signed = Result<Authority, Unfit>;

/// `DelegationManager` of the delegation framework, the same on every chain.
const DELEGATION_MANAGER: Address = address!("db9B1e94B5b69Df7e401DDbedE43491141047dB3");

/// The entry points that sign typed operations.
const ENTRY_POINTS: [Address; 2] = [
    address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108"), // 0.8
    address!("433709009B8330FDa32311DF1C2AFA402eD8D009"), // 0.9
];

/// What a Safe may count besides the gas that it hands on: the call itself and the copy of its data.
const REFUND_GAS_BESIDES: u64 = 100_000;

pub(super) const TABLE: &Table = &[
    (
        "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)",
        safe,
    ),
    (
        "PackedUserOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData)",
        operation,
    ),
    (
        "Delegation(address delegate,address delegator,bytes32 authority,Caveat[] caveats,uint256 salt)Caveat(address enforcer,bytes terms)",
        delegation,
    ),
];

impl Scene<'_> {
    /// What an account would do.
    fn carried(&self, call: &Call<'_>) -> Vec<Action> {
        let inner = actions(call, self.registry).into_iter().map(|mut action| {
            action.depth = action.depth.saturating_add(1);
            action.via = Via::Signature;
            action
        });
        inner.collect()
    }
}

/// A transaction of a Safe that the wallet owns a part of. A Safe has one more signature's weight; whether that
/// is enough, nobody asks here.
fn safe(scene: Scene<'_>) -> Signed {
    let domain = scene.data.domain();
    if domain.name.is_some() || domain.version.is_some() || domain.salt.is_some() {
        return Err(Unfit::Unknown);
    }
    let fields = scene.fields();
    let (safe, to) = (scene.contract, fields.address("to")?);
    let nonce = probe::safe(safe, fields.number("nonce")?);
    let (value, data) = (fields.number("value")?, fields.bytes("data")?);
    let mut authority = Authority::new(refund(scene)?, None, Some(nonce));
    match u8::try_from(fields.number("operation")?) {
        Ok(0) => {
            let call = Call { wallet: safe, to: Some(to), value, data };
            authority.actions.splice(..0, scene.carried(&call));
        }
        Ok(1) => {
            let chain = Some(scene.chain);
            let effect = Effect::Delegate { account: safe, delegate: to, chain };
            authority.actions.insert(0, signed(effect));
        }
        Ok(_) | Err(_) => return Err(Unfit::Never("a Safe has no such operation")),
    }
    Ok(authority)
}

/// What the Safe pays to whoever sends the transaction, at most: where it pays, it hands on no more gas than
/// `safeTxGas`.
fn refund(scene: Scene<'_>) -> Result<Vec<Effect>, Unfit> {
    let fields = scene.fields();
    let price = fields.number("gasPrice")?;
    if price.is_zero() {
        return Ok(Vec::new());
    }
    let used = fields.number("safeTxGas")?.saturating_add(U256::from(REFUND_GAS_BESIDES));
    let amount = used.saturating_add(fields.number("baseGas")?).saturating_mul(price);
    let token = fields.address("gasToken")?;
    Ok(vec![Effect::Transfer {
        asset: if token.is_zero() { Asset::Native } else { Asset::Token(token) },
        from: scene.contract,
        to: fields.address("refundReceiver")?,
        amount,
    }])
}

/// What the account would call, the fee that it pays, and the operation itself: how an account reads its own
/// calldata, what its factory and its paymaster do, nobody knows here.
fn operation(scene: Scene<'_>) -> Signed {
    if !ENTRY_POINTS.contains(&scene.contract) {
        return Err(Unfit::Unknown);
    }
    scene.named("ERC4337", Some("1"))?;
    let fields = scene.fields();
    let (sender, data) = (fields.address("sender")?, fields.bytes("callData")?);
    let nonce = probe::operation(scene.contract, sender, fields.number("nonce")?);
    let fee = Some(operation_fee(scene)?).filter(|fee| !fee.is_zero()).map(|amount| {
        let (asset, to) = (Asset::Native, scene.contract);
        Effect::Transfer { asset, from: sender, to, amount }
    });
    let fee = fee.into_iter().collect();
    let mut authority = Authority::new(fee, None, Some(nonce)).and(scene.terms());
    if !data.is_empty() {
        let call = Call { wallet: sender, to: Some(sender), value: U256::ZERO, data };
        authority.actions.splice(..0, scene.carried(&call));
    }
    Ok(authority)
}

/// Gas × price, unless a paymaster pays.
fn operation_fee(scene: Scene<'_>) -> Result<U256, Unfit> {
    let fields = scene.fields();
    if !fields.bytes("paymasterAndData")?.is_empty() {
        return Ok(U256::ZERO);
    }
    let halves = |path: &str| {
        let word = U256::from_be_bytes(fields.word(path)?.0);
        Ok::<_, Unfit>((word.wrapping_shr(128), word & U256::from(u128::MAX)))
    };
    let (verification, execution) = halves("accountGasLimits")?;
    let (_, price) = halves("gasFees")?;
    let gas =
        verification.saturating_add(execution).saturating_add(fields.number("preVerificationGas")?);
    Ok(gas.saturating_mul(price))
}

/// The delegate may act for the account, within what the caveats' contracts let pass.
fn delegation(scene: Scene<'_>) -> Signed {
    if scene.contract != DELEGATION_MANAGER {
        return Err(Unfit::Unknown);
    }
    scene.named("DelegationManager", Some("1"))?;
    let fields = scene.fields();
    let effect = Effect::Delegate {
        account: fields.address("delegator")?,
        delegate: fields.address("delegate")?,
        chain: Some(scene.chain),
    };
    Ok(Authority::new(vec![effect], None, None))
}
