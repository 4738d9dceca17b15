//! Smart accounts: what a Safe or an account of ERC-4337 would do, and who may act for one.

use alloy_primitives::{Address, B256, Bytes, U256, address};
use countersign_core::{
    action::{Action, Effect},
    token::Asset,
};

use super::{Authority, Scene, Table, Unfit, Via};
use crate::{actions, call::Call, message::probe, standard::Arguments};

type Signed = Result<Authority, Unfit>;

/// `DelegationManager` of the delegation framework, the same on every chain.
const DELEGATION_MANAGER: Address = address!("db9B1e94B5b69Df7e401DDbedE43491141047dB3");

/// The entry points that sign typed operations.
const ENTRY_POINTS: [Address; 2] = [
    address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108"), // 0.8
    address!("433709009B8330FDa32311DF1C2AFA402eD8D009"), // 0.9
];

/// The first four bytes of `execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)`.
const EXEC_TRANSACTION: [u8; 4] = [0x6a, 0x76, 0x12, 0x02];

/// What its arguments take before the first of their tails.
const HEAD_BYTES: usize = 320;

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
        let inner = actions(call, self.registry).into_iter();
        inner.map(|action| Action { via: Via::Signature, ..action }).collect()
    }
}

/// A transaction of a Safe that the wallet owns a part of, read as the call that executes it: what the calldata
/// would do, the typed data would. Whether one more owner's signature is enough, nobody asks here.
fn safe(scene: Scene<'_>) -> Signed {
    let domain = scene.data.domain();
    if domain.name.is_some() || domain.version.is_some() || domain.salt.is_some() {
        return Err(Unfit::Unknown);
    }
    let fields = scene.fields();
    if fields.number("operation")? > U256::ONE {
        return Err(Unfit::Never("a Safe has no such operation"));
    }
    let data = &execution(fields)?;
    let (to, value) = (Some(scene.contract), U256::ZERO);
    let nonce = probe::safe(scene.contract, fields.number("nonce")?);
    let mut authority = Authority::new(Vec::new(), None, Some(nonce));
    // whoever sends it is paid a refund that names nobody, and that need not be the wallet
    let wallet = Address::ZERO;
    authority.actions = scene.carried(&Call { wallet, to, value, data });
    Ok(authority)
}

/// `execTransaction` of a Safe, without signatures.
fn execution(fields: Arguments<'_>) -> Result<Bytes, Unfit> {
    let number = |path| fields.number(path).map(|number| B256::from(number.to_be_bytes::<32>()));
    let address = |path| fields.address(path).map(|address| address.into_word());
    let data = fields.bytes("data")?;
    let padded = data.len().next_multiple_of(32);
    let word = |bytes: usize| B256::from(U256::from(bytes).to_be_bytes::<32>());
    // ten words of head, then the data with its length, then no signatures
    let head = [
        address("to")?,
        number("value")?,
        word(HEAD_BYTES),
        number("operation")?,
        number("safeTxGas")?,
        number("baseGas")?,
        number("gasPrice")?,
        address("gasToken")?,
        address("refundReceiver")?,
        word(HEAD_BYTES.saturating_add(32).saturating_add(padded)),
        word(data.len()),
    ];
    let mut call = EXEC_TRANSACTION.to_vec();
    call.extend(head.iter().flatten());
    call.extend_from_slice(&data);
    call.resize(call.len().saturating_add(padded.saturating_sub(data.len())), 0);
    call.extend_from_slice(B256::ZERO.as_slice());
    Ok(call.into())
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
        let (wallet, to, value) = (scene.contract, Some(sender), U256::ZERO);
        let call = Call { wallet, to, value, data: &data };
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
