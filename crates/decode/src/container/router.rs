//! Uniswap's Universal Router: a string of commands with an input for each.
//!
//! A command that moves the caller's money by itself is that effect. Any other is a step, a `Call` with
//! the command's name as its function, so that a rule can ask for `args.recipient`; the router's words for
//! "whoever calls" and "the router" stand there as the addresses that they mean. Where a step sends
//! something to anybody else, that is a `Transfer` beside it, of 2^256 − 1 where the step leaves the amount
//! open.

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    abi::AbiValue,
    action::{Effect, Outflow, Via},
    token::Asset,
};

use super::{
    Inside, Part, Table,
    command::{self, Step},
};
use crate::{
    readable::Readable,
    standard::{Arguments, permit2},
};

type Parts = Result<Vec<Part>, &'static str>;

pub(super) const TABLE: &Table = &[
    ("execute(bytes commands,bytes[] inputs,uint256 deadline)", execute),
    ("execute(bytes commands,bytes[] inputs)", execute),
];

/// How deep plans may lie inside plans.
const PLAN_DEPTH_MAX: usize = 8;

/// The router's words for whoever calls it, and for itself.
const MSG_SENDER: Address = Address::with_last_byte(1);
const ADDRESS_THIS: Address = Address::with_last_byte(2);

fn execute(inside: Inside<'_>, args: Arguments<'_>) -> Parts {
    plan(Router(inside), args, PLAN_DEPTH_MAX)
}

fn plan(router: Router<'_>, args: Arguments<'_>, depth: usize) -> Parts {
    let depth = depth.checked_sub(1).ok_or("plans that lie too deep inside plans")?;
    let (commands, inputs) = (args.bytes("commands")?, args.blobs("inputs")?);
    if commands.len() != inputs.len() {
        return Err("as many inputs as commands are needed");
    }
    let mut parts = Vec::new();
    for (command, input) in commands.iter().zip(&inputs) {
        parts.extend(router.command(*command, input, depth)?);
    }
    Ok(parts)
}

/// The router, and who calls it.
#[derive(Clone, Copy)]
struct Router<'r>(Inside<'r>);

/// What is done with a command's arguments.
type Act = fn(Router<'_>, Arguments<'_>) -> Result<Deed, &'static str>;

/// What a command comes to.
#[derive(Default)]
struct Deed {
    /// What the router takes from the caller.
    spends: Vec<Outflow>,
    /// What leaves the router for somebody else, or the caller by an allowance.
    effects: Vec<(Effect, Via)>,
    /// The effects say everything.
    is_whole: bool,
}

impl Router<'_> {
    /// A command that may fail is refused like an unknown one: what stays behind would not be what was
    /// judged.
    fn command(self, code: u8, input: &Bytes, depth: usize) -> Parts {
        match code {
            0x10 => self.v4_swap(input),
            0x21 => {
                let read = command::read(SUB_PLAN.as_ref(), input)?;
                let parts = plan(self, Arguments(&read.args), depth)?;
                Ok(vec![Part::Plan(parts)])
            }
            _ => {
                let unknown = "a command that nobody knows, or that may fail";
                self.step(KNOWN_COMMANDS.get(&code).ok_or(unknown)?, input)
            }
        }
    }

    fn step(self, step: &Step<Act>, input: &Bytes) -> Parts {
        let mut read = command::read(Some(&step.readable), input)?;
        self.resolve(&mut read.args);
        let Deed { spends, effects, is_whole } = (step.act)(self, Arguments(&read.args))?;
        let effects = effects.into_iter().map(|(effect, via)| Part::Effect { effect, via });
        let selector = step.readable.function().selector();
        let step = (!is_whole).then_some(Part::Step { selector, read, spends });
        Ok(step.into_iter().chain(effects).collect())
    }

    /// Replaces the router's words in `recipient` by the addresses that they mean.
    fn resolve(self, args: &mut AbiValue) {
        let AbiValue::Tuple(members) = args else { return };
        for (_, value) in members.iter_mut().filter(|(name, _)| name == "recipient") {
            if let AbiValue::Address(address) = value {
                *address = self.meant(*address);
            }
        }
    }

    fn meant(self, address: Address) -> Address {
        match address {
            MSG_SENDER => self.0.caller,
            ADDRESS_THIS => self.0.container,
            other => other,
        }
    }

    /// Something leaves the router for `to`, unless it comes back or stays.
    fn pays(self, asset: Asset, to: Address, amount: U256) -> Vec<(Effect, Via)> {
        let Inside { caller, container, .. } = self.0;
        if to == caller || to == container {
            return Vec::new();
        }
        vec![(Effect::Transfer { asset, from: container, to, amount }, Via::Call)]
    }

    /// What a swap takes, where the caller pays for it, and where its output goes.
    fn swap(self, args: Arguments<'_>, ends: Ends) -> Result<Deed, &'static str> {
        let Ends { token_in, amount_in, token_out, amount_out } = ends;
        let taken = Outflow { asset: Asset::Token(token_in), amount: amount_in };
        let effects = self.pays(Asset::Token(token_out), args.address("recipient")?, amount_out);
        let spends = if args.flag("payerIsUser")? { vec![taken] } else { Vec::new() };
        Ok(Deed { spends, effects, is_whole: false })
    }
}

/// Both ends of a swap.
#[derive(Clone, Copy)]
struct Ends {
    token_in: Address,
    amount_in: U256,
    token_out: Address,
    amount_out: U256,
}

const COMMANDS: &[(u8, &str, Act)] = &[
    (
        0x00,
        "V3_SWAP_EXACT_IN(address recipient,uint256 amountIn,uint256 amountOutMin,bytes path,bool payerIsUser)",
        v3_in,
    ),
    (
        0x01,
        "V3_SWAP_EXACT_OUT(address recipient,uint256 amountOut,uint256 amountInMax,bytes path,bool payerIsUser)",
        v3_out,
    ),
    (0x02, "PERMIT2_TRANSFER_FROM(address token,address recipient,uint160 amount)", transfer_from),
    (
        0x03,
        "PERMIT2_PERMIT_BATCH(((address token,uint160 amount,uint48 expiration,uint48 nonce)[] details,address spender,uint256 sigDeadline) permit,bytes signature)",
        permits,
    ),
    (0x04, "SWEEP(address token,address recipient,uint256 amountMin)", sweep),
    (0x05, "TRANSFER(address token,address recipient,uint256 value)", transfer),
    (0x06, "PAY_PORTION(address token,address recipient,uint256 bips)", sweep),
    (
        0x08,
        "V2_SWAP_EXACT_IN(address recipient,uint256 amountIn,uint256 amountOutMin,address[] path,bool payerIsUser)",
        v2_in,
    ),
    (
        0x09,
        "V2_SWAP_EXACT_OUT(address recipient,uint256 amountOut,uint256 amountInMax,address[] path,bool payerIsUser)",
        v2_out,
    ),
    (
        0x0a,
        "PERMIT2_PERMIT(((address token,uint160 amount,uint48 expiration,uint48 nonce) details,address spender,uint256 sigDeadline) permit,bytes signature)",
        permit,
    ),
    (0x0b, "WRAP_ETH(address recipient,uint256 amountMin)", unwrap),
    (0x0c, "UNWRAP_WETH(address recipient,uint256 amountMin)", unwrap),
    (
        0x0d,
        "PERMIT2_TRANSFER_FROM_BATCH((address from,address to,uint160 amount,address token)[] details)",
        transfers_from,
    ),
    (0x0e, "BALANCE_CHECK_ERC20(address owner,address token,uint256 minBalance)", check),
];

const ACTIONS: &[(u8, &str, Act)] = &[
    (
        0x06,
        "SWAP_EXACT_IN_SINGLE(((address currency0,address currency1,uint24 fee,int24 tickSpacing,address hooks) poolKey,bool zeroForOne,uint128 amountIn,uint128 amountOutMinimum,bytes hookData) params)",
        check,
    ),
    (
        0x07,
        "SWAP_EXACT_IN((address currencyIn,(address intermediateCurrency,uint24 fee,int24 tickSpacing,address hooks,bytes hookData)[] path,uint128 amountIn,uint128 amountOutMinimum) params)",
        check,
    ),
    (
        0x08,
        "SWAP_EXACT_OUT_SINGLE(((address currency0,address currency1,uint24 fee,int24 tickSpacing,address hooks) poolKey,bool zeroForOne,uint128 amountOut,uint128 amountInMaximum,bytes hookData) params)",
        check,
    ),
    (
        0x09,
        "SWAP_EXACT_OUT((address currencyOut,(address intermediateCurrency,uint24 fee,int24 tickSpacing,address hooks,bytes hookData)[] path,uint128 amountOut,uint128 amountInMaximum) params)",
        check,
    ),
    (0x0b, "SETTLE(address currency,uint256 amount,bool payerIsUser)", settle),
    (0x0c, "SETTLE_ALL(address currency,uint256 maxAmount)", settle_all),
    (0x0e, "TAKE(address currency,address recipient,uint256 amount)", take),
    (0x0f, "TAKE_ALL(address currency,uint256 minAmount)", check),
    (0x10, "TAKE_PORTION(address currency,address recipient,uint256 bips)", take_portion),
];

static KNOWN_COMMANDS: LazyLock<BTreeMap<u8, Step<Act>>> =
    LazyLock::new(|| command::steps(COMMANDS));

static KNOWN_ACTIONS: LazyLock<BTreeMap<u8, Step<Act>>> = LazyLock::new(|| command::steps(ACTIONS));

static SUB_PLAN: LazyLock<Option<Readable>> =
    LazyLock::new(|| command::readable("EXECUTE_SUB_PLAN(bytes commands,bytes[] inputs)"));

static V4_SWAP: LazyLock<Option<Readable>> =
    LazyLock::new(|| command::readable("V4_SWAP(bytes actions,bytes[] params)"));

impl Router<'_> {
    fn v4_swap(self, input: &Bytes) -> Parts {
        let read = command::read(V4_SWAP.as_ref(), input)?;
        let args = Arguments(&read.args);
        let (actions, params) = (args.bytes("actions")?, args.blobs("params")?);
        if actions.len() != params.len() {
            return Err("as many parameters as actions are needed");
        }
        let mut parts = Vec::new();
        for (action, input) in actions.iter().zip(&params) {
            let step = KNOWN_ACTIONS.get(action).ok_or("a pool action that nobody knows")?;
            parts.extend(self.step(step, input)?);
        }
        bound_open_debts(&mut parts);
        Ok(vec![Part::Plan(parts)])
    }
}

/// A settlement of whatever is owed is bounded by what the swaps beside it may take of that currency.
fn bound_open_debts(parts: &mut [Part]) {
    let bounds: Vec<(Address, Option<U256>)> = parts.iter().filter_map(input_of).collect();
    let bound = |asset: &Asset| {
        let mut same = bounds.iter().filter(|(token, _)| Asset::Token(*token) == *asset).peekable();
        same.peek()?;
        same.try_fold(U256::ZERO, |sum, (_, amount)| sum.checked_add((*amount)?))
    };
    let spends = parts.iter_mut().filter_map(|part| match part {
        Part::Step { spends, .. } => Some(spends),
        Part::Call { .. } | Part::Effect { .. } | Part::Fee { .. } | Part::Plan(_) => None,
    });
    for outflow in spends.flatten().filter(|outflow| outflow.amount == U256::MAX) {
        outflow.amount = bound(&outflow.asset).unwrap_or(U256::MAX);
    }
}

/// The currency that a swap takes, and at most how much; an amount of 0 stands for whatever there is.
fn input_of(part: &Part) -> Option<(Address, Option<U256>)> {
    let Part::Step { read, .. } = part else { return None };
    let args = Arguments(&read.args).member("params").ok()?;
    let one = |key: &str| args.address(&format!("poolKey.{key}")).ok();
    let currency = args.address("currencyIn").ok().or_else(|| {
        let zero_for_one = args.flag("zeroForOne").ok()?;
        one(if zero_for_one { "currency0" } else { "currency1" })
    });
    // a swap for an exact output over several pools names what it takes last
    let currency = currency.or_else(|| args.address("path.0.intermediateCurrency").ok())?;
    let amount = args.number("amountIn").or_else(|_| args.number("amountInMaximum")).ok()?;
    Some((currency, Some(amount).filter(|amount| !amount.is_zero())))
}

fn v3_in(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (first, last) = path_ends(&args.bytes("path")?)?;
    let amount_in = args.number("amountIn")?;
    router.swap(args, Ends { token_in: first, amount_in, token_out: last, amount_out: U256::MAX })
}

/// The path of an exact output begins with what comes out.
fn v3_out(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (first, last) = path_ends(&args.bytes("path")?)?;
    let (amount_in, amount_out) = (args.number("amountInMax")?, args.number("amountOut")?);
    router.swap(args, Ends { token_in: last, amount_in, token_out: first, amount_out })
}

fn v2_in(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (token_in, token_out) = list_ends(&args.addresses("path")?)?;
    let amount_in = args.number("amountIn")?;
    router.swap(args, Ends { token_in, amount_in, token_out, amount_out: U256::MAX })
}

fn v2_out(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (token_in, token_out) = list_ends(&args.addresses("path")?)?;
    let (amount_in, amount_out) = (args.number("amountInMax")?, args.number("amountOut")?);
    router.swap(args, Ends { token_in, amount_in, token_out, amount_out })
}

/// A path of Uniswap V3: token, fee, token, fee, … token.
pub(crate) fn path_ends(path: &Bytes) -> Result<(Address, Address), &'static str> {
    let wrong = "a path that is not made of tokens and fees";
    let hops = path.len().checked_sub(20).ok_or(wrong)?;
    let ends = path.first_chunk::<20>().zip(path.last_chunk::<20>());
    match ends {
        Some((first, last)) if hops > 0 && hops.is_multiple_of(23) => {
            Ok((Address::from(*first), Address::from(*last)))
        }
        Some(_) | None => Err(wrong),
    }
}

/// A path of Uniswap V2: tokens.
pub(crate) fn list_ends(path: &[Address]) -> Result<(Address, Address), &'static str> {
    match path {
        [first, .., last] => Ok((*first, *last)),
        [_] | [] => Err("a path of fewer than two tokens"),
    }
}

/// The zero address stands for the chain's own currency.
fn asset(token: Address) -> Asset {
    if token.is_zero() { Asset::Native } else { Asset::Token(token) }
}

fn transfer_from(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let from = router.0.caller;
    let (asset, to) = (Asset::Token(args.address("token")?), args.address("recipient")?);
    let amount = args.number("amount")?;
    if to == router.0.container {
        let spends = vec![Outflow { asset, amount }];
        return Ok(Deed { spends, ..Deed::default() });
    }
    let effects = vec![(Effect::Transfer { asset, from, to, amount }, Via::Call)];
    Ok(Deed { effects, is_whole: true, ..Deed::default() })
}

fn transfers_from(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let mut deed = Deed { is_whole: true, ..Deed::default() };
    for details in args.list("details")? {
        let from = details.address("from")?;
        if from != router.0.caller {
            return Err("a transfer from somebody else than who calls");
        }
        let effect = Effect::Transfer {
            asset: Asset::Token(details.address("token")?),
            from,
            to: details.address("to")?,
            amount: details.number("amount")?,
        };
        deed.effects.push((effect, Via::Call));
    }
    Ok(deed)
}

fn permit(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (permit, owner) = (args.member("permit")?, router.0.caller);
    let spender = permit.address("spender")?;
    let effect = permit2::allowance(owner, spender, permit.member("details")?)?;
    Ok(Deed { effects: vec![(effect, Via::Signature)], is_whole: true, ..Deed::default() })
}

fn permits(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (permit, owner) = (args.member("permit")?, router.0.caller);
    let spender = permit.address("spender")?;
    let effect = |details| Ok((permit2::allowance(owner, spender, details)?, Via::Signature));
    let effects = permit.list("details")?.map(effect).collect::<Result<_, &'static str>>()?;
    Ok(Deed { effects, is_whole: true, ..Deed::default() })
}

/// All or a part of what the router has.
fn sweep(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let asset = asset(args.address("token")?);
    let effects = router.pays(asset, args.address("recipient")?, U256::MAX);
    Ok(Deed { effects, ..Deed::default() })
}

fn transfer(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (asset, amount) = (asset(args.address("token")?), args.number("value")?);
    let effects = router.pays(asset, args.address("recipient")?, amount);
    Ok(Deed { effects, ..Deed::default() })
}

fn unwrap(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let effects = router.pays(Asset::Native, args.address("recipient")?, U256::MAX);
    Ok(Deed { effects, ..Deed::default() })
}

/// It takes nothing and pays nobody.
#[expect(clippy::unnecessary_wraps, reason = "the form that the tables take")]
fn check(_: Router<'_>, _: Arguments<'_>) -> Result<Deed, &'static str> {
    Ok(Deed::default())
}

/// What is owed to a pool in the chain's own currency comes out of the call's value.
fn owed(currency: Address, amount: U256) -> Deed {
    let outflow = |asset| Outflow { asset, amount };
    let taken = (!currency.is_zero()).then(|| outflow(Asset::Token(currency)));
    Deed { spends: taken.into_iter().collect(), ..Deed::default() }
}

/// An amount of 0 is whatever is owed.
fn settle(_: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (currency, amount) = (args.address("currency")?, args.number("amount")?);
    let amount = if amount.is_zero() { U256::MAX } else { amount };
    Ok(if args.flag("payerIsUser")? { owed(currency, amount) } else { Deed::default() })
}

fn settle_all(_: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    Ok(owed(args.address("currency")?, args.number("maxAmount")?))
}

/// An amount of 0 is whatever is due.
fn take(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let (asset, amount) = (asset(args.address("currency")?), args.number("amount")?);
    let amount = if amount.is_zero() { U256::MAX } else { amount };
    let effects = router.pays(asset, args.address("recipient")?, amount);
    Ok(Deed { effects, ..Deed::default() })
}

fn take_portion(router: Router<'_>, args: Arguments<'_>) -> Result<Deed, &'static str> {
    let asset = asset(args.address("currency")?);
    let effects = router.pays(asset, args.address("recipient")?, U256::MAX);
    Ok(Deed { effects, ..Deed::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_pool_action_is_readable() {
        assert_eq!(KNOWN_COMMANDS.len(), COMMANDS.len());
        assert_eq!(KNOWN_ACTIONS.len(), ACTIONS.len());
        assert!(SUB_PLAN.is_some() && V4_SWAP.is_some());
    }
}
