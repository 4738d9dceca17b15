//! From a call to its leaf effects.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use countersign_core::{
    abi::{DecodedCall, Selector},
    action::{Action, Effect, Outflow, Via},
    token::Asset,
};

use crate::{
    CALLDATA_BYTES_MAX, DEPTH_MAX, EXPANSION_BYTES_MAX, LEAVES_MAX,
    call::Call,
    container::{self, Container, Inside, Layout, Part, Purse},
    layout::DecodeError,
    privileged::is_privileged,
    protocol::{Desk, Flow, Known},
    readable::Readable,
    registry::{Claims, Registry},
    standard::{Leaf, Scene, Standard},
};

/// What a call would really do: at least one action and at most [`LEAVES_MAX`].
///
/// Total and deterministic, and bounded in time and memory by [`EXPANSION_BYTES_MAX`]. The actions are what
/// the arguments say; a contract may do otherwise, which only a simulation can tell.
#[must_use]
pub fn actions(call: &Call<'_>, registry: &Registry) -> Vec<Action> {
    let Some(to) = call.to else { return vec![deployment(call)] };
    let data = call.data.clone();
    let frame = Frame { caller: call.wallet, to, value: call.value, data, depth: 0 };
    let wallet = call.wallet;
    let (actions, at_hand) = (Vec::new(), BTreeMap::new());
    let mut reader = Reader { registry, wallet, actions, bytes: 0, at_hand };
    match reader.call(&frame) {
        Ok(()) => reader.actions,
        Err(Exceeded(bound)) => vec![reader.undecodable(&frame, bound.to_owned())],
    }
}

fn deployment(call: &Call<'_>) -> Action {
    let effect = if call.data.is_empty() {
        Effect::Undecodable { reason: "a deployment without init code".to_owned() }
    } else {
        Effect::Deploy { init_code_hash: keccak256(call.data) }
    };
    Action {
        effect,
        target: None,
        selector: None,
        functions: Vec::new(),
        value_wei: call.value,
        label: "deploy".to_owned(),
        via: Via::Call,
        depth: 0,
        privileged: false,
        unlisted: false,
        foreign: false,
        spends: None,
    }
}

/// A call somewhere inside the request.
struct Frame {
    /// Who calls: the wallet, or a container.
    caller: Address,
    to: Address,
    value: U256,
    data: Bytes,
    /// How many containers it lies inside.
    depth: usize,
}

impl Frame {
    fn selector(&self) -> Option<Selector> {
        self.data.first_chunk::<4>().map(|bytes| Selector::from(*bytes))
    }
}

/// A bound that the request lies beyond; then nothing of it is understood.
struct Exceeded(&'static str);

type Read = Result<(), Exceeded>;

/// Reads calls, and calls inside calls, within bounds for all of them together.
struct Reader<'r> {
    registry: &'r Registry,
    wallet: Address,
    actions: Vec<Action>,
    /// Calldata that was read, and that actions hold decoded.
    bytes: usize,
    /// Wei that a router was given and has not used yet; the router's own call carries it.
    at_hand: BTreeMap<Address, U256>,
}

impl Reader<'_> {
    fn call(&mut self, frame: &Frame) -> Read {
        if frame.depth > DEPTH_MAX {
            return Err(Exceeded("calls nested deeper than they are read"));
        }
        if frame.data.is_empty() {
            let native = self.native(frame, frame.value);
            return self.push(Action { selector: None, ..native });
        }
        self.weigh(&frame.data)?;
        match frame.selector() {
            Some(selector) if frame.data.len() <= CALLDATA_BYTES_MAX => {
                let claims = self.registry.claims(frame.to, selector);
                self.claimed(frame, &claims)
            }
            Some(_) => self.refuse(frame, DecodeError::TooLong.to_string()),
            None => self.refuse(frame, "calldata too short for a selector".to_owned()),
        }
    }

    /// A standard decides before what the contract is registered as, and that before the containers.
    fn claimed(&mut self, frame: &Frame, claims: &Claims<'_>) -> Read {
        match (claims.standard, claims.known, claims.layout) {
            (Some(standard), ..) => self.standard(frame, claims, standard),
            (None, Some(known), _) => self.known(frame, claims, known),
            (None, None, Some((layout, certain))) => self.layout(frame, claims, (layout, certain)),
            (None, None, None) => match refusal(claims, &frame.data) {
                None => self.plain(frame, claims),
                Some(refused) => self.refuse(frame, refused),
            },
        }
    }

    /// A call with a standard's selector. Where the standard does not decide alone, the contract's own ABI
    /// may read what the standard cannot.
    fn standard(&mut self, frame: &Frame, claims: &Claims<'_>, standard: &Standard) -> Read {
        let governed = self.registry.governs(frame.to);
        let leaves = match standard.readable.read(&frame.data) {
            Ok(read) => {
                let token = self.registry.is_token(frame.to);
                let scene = Scene { caller: frame.caller, target: frame.to, token };
                standard.leaves(scene, &read.args)
            }
            Err(_) if !governed && reads(&claims.own, &frame.data) => Ok(Vec::new()),
            Err(error) => {
                return self.refuse(frame, reason(&standard.readable, &error.to_string()));
            }
        };
        match leaves {
            Ok(leaves) if leaves.is_empty() => self.plain(frame, claims),
            Ok(leaves) => self.effects(frame, claims, leaves),
            Err(refused) => self.refuse(frame, reason(&standard.readable, refused)),
        }
    }

    /// A standard's effects, and the value beside them.
    fn effects(&mut self, frame: &Frame, claims: &Claims<'_>, leaves: Vec<Leaf>) -> Read {
        let functions = readings(claims, &frame.data);
        for Leaf { effect, via } in leaves {
            self.weigh(&frame.data)?;
            let foreign = self.is_foreign(&effect, &[frame.caller]);
            let action = self.action(frame, effect);
            self.push(Action { functions: functions.clone(), via, foreign, ..action })?;
        }
        self.beside(frame, frame.value)
    }

    /// A call of a contract that is registered as what it is.
    fn known(&mut self, frame: &Frame, claims: &Claims<'_>, known: &Known) -> Read {
        let desk = Desk { caller: frame.caller, contract: frame.to, value: frame.value };
        let read = known.readable.read(&frame.data).map_err(|error| error.to_string());
        let flow = read.and_then(|read| known.flow(desk, &read).map_err(str::to_owned));
        let flow = match flow {
            Ok(flow) => flow,
            Err(refused) => return self.refuse(frame, reason(&known.readable, &refused)),
        };
        let functions = readings(claims, &frame.data);
        self.weigh(&frame.data)?;
        let value_wei = if flow.value_to.is_some() { U256::ZERO } else { frame.value };
        let action = self.action(frame, Effect::Call);
        let spends = self.unpaid(frame, &flow);
        self.push(Action { functions, value_wei, spends, ..action })?;
        for (effect, via) in flow.effects {
            let foreign = self.is_foreign(&effect, &[frame.caller, frame.to]);
            let action = self.action(frame, effect);
            self.push(Action { via, foreign, ..action })?;
        }
        let Some(to) = flow.value_to.filter(|_| !frame.value.is_zero()) else { return Ok(()) };
        let amount = frame.value;
        let effect = Effect::Transfer { asset: Asset::Native, from: frame.caller, to, amount };
        let action = self.action(frame, effect);
        self.push(Action { value_wei: amount, ..action })
    }

    /// What is left to take once a router has wrapped what the request sent it: that value is counted
    /// already. Any other step may have used the value for something else.
    fn unpaid(&mut self, frame: &Frame, flow: &Flow) -> Option<Vec<Outflow>> {
        let before = self.at_hand.remove(&frame.to).unwrap_or_default();
        let spends = flow.spends.clone()?;
        if !flow.wraps_value {
            return Some(spends);
        }
        let mut at_hand = before.saturating_add(frame.value);
        let registry = self.registry;
        let pulled = |outflow: &Outflow| {
            let token = outflow.asset.contract();
            let wraps = token.and_then(|token| registry.container(token)) == Some(Container::Weth);
            match at_hand.checked_sub(outflow.amount) {
                Some(rest) if wraps => {
                    at_hand = rest;
                    false
                }
                Some(_) | None => true,
            }
        };
        let spends = spends.into_iter().filter(pulled).collect();
        self.at_hand.insert(frame.to, at_hand);
        Some(spends)
    }

    /// A call that reads as a container's. Where it is no certain one, the contract's own ABI may read what
    /// the layout cannot.
    fn layout(
        &mut self,
        frame: &Frame,
        claims: &Claims<'_>,
        (layout, certain): (&Layout, bool),
    ) -> Read {
        let read = match layout.readable.read(&frame.data) {
            Ok(read) => read,
            Err(_) if !certain && reads(&claims.own, &frame.data) => {
                return self.plain(frame, claims);
            }
            Err(error) => return self.refuse(frame, reason(&layout.readable, &error.to_string())),
        };
        let registry = self.registry;
        let inside = Inside { caller: frame.caller, container: frame.to, registry };
        let opened = layout.open(inside, &read);
        let opened = opened.and_then(|parts| {
            let sent = container::total(&parts).ok_or("more value than there is")?;
            let shares = certain && layout.purse == Purse::Shared;
            if shares && sent > frame.value {
                return Err("the calls send more value than comes with them");
            }
            Ok((parts, sent))
        });
        let (parts, sent) = match opened {
            Ok(opened) => opened,
            Err(refused) => return self.refuse(frame, reason(&layout.readable, refused)),
        };
        if !certain {
            self.plain(frame, claims)?;
        } else if parts.is_empty() {
            self.plain_with(frame, claims, Vec::new())?;
        } else {
            match layout.purse {
                Purse::Shared => self.beside(frame, frame.value.saturating_sub(sent))?,
                Purse::Own => self.beside(frame, frame.value)?,
                Purse::Kept if frame.value.is_zero() => {}
                Purse::Kept => {
                    self.plain_with(frame, claims, Vec::new())?;
                    self.at_hand.insert(frame.to, frame.value);
                }
            }
        }
        self.parts(frame, parts, (certain, frame.depth.saturating_add(1)))
    }

    /// What a container does, one container deeper.
    fn parts(&mut self, frame: &Frame, parts: Vec<Part>, at: (bool, usize)) -> Read {
        let (certain, depth) = at;
        if depth > DEPTH_MAX {
            return Err(Exceeded("calls nested deeper than they are read"));
        }
        for part in parts {
            match part {
                Part::Call { caller, to, value, data } => {
                    self.call(&Frame { caller, to, value, data, depth })?;
                }
                Part::Effect { effect, via } => {
                    let foreign = self.is_foreign(&effect, &[frame.caller, frame.to]);
                    let action = self.action(frame, effect);
                    self.push(Action { via, depth: level(depth), foreign, ..action })?;
                }
                Part::Fee { effect, account } => {
                    let foreign = self.is_foreign(&effect, &[account]);
                    let action = self.action(frame, effect);
                    self.push(Action { depth: level(depth), foreign, ..action })?;
                }
                Part::Step { selector, read, spends } => {
                    let action = self.action(frame, Effect::Call);
                    self.push(Action {
                        selector: Some(selector),
                        functions: vec![read],
                        depth: level(depth),
                        privileged: false,
                        spends: certain.then_some(spends),
                        ..action
                    })?;
                }
                Part::Plan(parts) => {
                    self.parts(frame, parts, (certain, depth.saturating_add(1)))?;
                }
            }
        }
        Ok(())
    }

    /// A call that stays a call.
    fn plain(&mut self, frame: &Frame, claims: &Claims<'_>) -> Read {
        self.at_hand.remove(&frame.to);
        self.weigh(&frame.data)?;
        let action = self.action(frame, Effect::Call);
        let functions = readings(claims, &frame.data);
        let unlisted = self.unlisted(frame, claims);
        self.push(Action { functions, value_wei: frame.value, unlisted, ..action })
    }

    /// Whether it moves what is neither the wallet's nor that of one of those who act here.
    fn is_foreign(&self, effect: &Effect, acting: &[Address]) -> bool {
        let Effect::Transfer { from, .. } = effect else { return false };
        *from != self.wallet && !acting.contains(from)
    }

    /// Whether the contract is registered as what it is, and neither that nor a standard says what this does.
    fn unlisted(&self, frame: &Frame, claims: &Claims<'_>) -> bool {
        let meant = claims.standard.is_some_and(|known| known.readable.read(&frame.data).is_ok());
        !meant && self.registry.container(frame.to).is_some_and(Container::is_whole)
    }

    /// A container's own call, of which all is known.
    fn plain_with(&mut self, frame: &Frame, claims: &Claims<'_>, spends: Vec<Outflow>) -> Read {
        self.weigh(&frame.data)?;
        let action = self.action(frame, Effect::Call);
        let functions = readings(claims, &frame.data);
        self.push(Action { functions, value_wei: frame.value, spends: Some(spends), ..action })
    }

    fn refuse(&mut self, frame: &Frame, reason: String) -> Read {
        let action = self.undecodable(frame, reason);
        self.push(action)
    }

    fn undecodable(&self, frame: &Frame, reason: String) -> Action {
        let action = self.action(frame, Effect::Undecodable { reason });
        Action { value_wei: frame.value, ..action }
    }

    /// Value that is transferred beside what the call's data does.
    fn beside(&mut self, frame: &Frame, amount: U256) -> Read {
        if amount.is_zero() {
            return Ok(());
        }
        let action = self.native(frame, amount);
        self.push(action)
    }

    fn native(&self, frame: &Frame, amount: U256) -> Action {
        let (from, to) = (frame.caller, frame.to);
        let effect = Effect::Transfer { asset: Asset::Native, from, to, amount };
        let action = self.action(frame, effect);
        Action { value_wei: amount, label: "transfer".to_owned(), ..action }
    }

    /// An action of this call, without value and without readings.
    fn action(&self, frame: &Frame, effect: Effect) -> Action {
        let selector = frame.selector();
        Action {
            label: label(self.registry, frame.to, &effect),
            privileged: hands_over(&effect, selector),
            effect,
            target: Some(frame.to),
            selector,
            functions: Vec::new(),
            value_wei: U256::ZERO,
            via: Via::Call,
            depth: level(frame.depth),
            unlisted: false,
            foreign: false,
            spends: None,
        }
    }

    fn push(&mut self, action: Action) -> Read {
        if self.actions.len() >= LEAVES_MAX {
            return Err(Exceeded("more effects than one request may have"));
        }
        self.actions.push(action);
        Ok(())
    }

    fn weigh(&mut self, data: &Bytes) -> Read {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > EXPANSION_BYTES_MAX {
            return Err(Exceeded("more calldata than is read once it is unfolded"));
        }
        Ok(())
    }
}

/// Depths are bounded far below what the field holds.
fn level(depth: usize) -> u8 {
    u8::try_from(depth).unwrap_or(u8::MAX)
}

/// Only what stays a call can hand over control; an effect says what it hands over.
fn hands_over(effect: &Effect, selector: Option<Selector>) -> bool {
    match effect {
        Effect::Call | Effect::Undecodable { .. } => selector.is_some_and(is_privileged),
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Deploy { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => false,
    }
}

fn reads(claims: &[&Readable], data: &[u8]) -> bool {
    claims.iter().any(|claim| claim.read(data).is_ok())
}

/// Why no ABI that claims a call reads it; `None` if one does, or none claims it.
fn refusal(claims: &Claims<'_>, data: &[u8]) -> Option<String> {
    let mut refused = None;
    for claim in claims.own.iter().chain(&claims.any) {
        match claim.read(data) {
            Ok(_) => return None,
            Err(error) => refused = refused.or_else(|| Some(reason(claim, &error.to_string()))),
        }
    }
    refused
}

fn reason(readable: &Readable, refused: &str) -> String {
    format!("not a canonical call of `{}`: {refused}", readable.function().signature())
}

/// Every distinct reading. The names that policies and the configuration gave come before our own.
fn readings(claims: &Claims<'_>, data: &[u8]) -> Vec<DecodedCall> {
    let ours = [
        claims.standard.map(|standard| &standard.readable),
        claims.known.map(|known| &known.readable),
        claims.layout.map(|(layout, _)| &layout.readable),
    ];
    let mut readings = Vec::new();
    for claim in claims.own.iter().chain(&claims.any).copied().chain(ours.into_iter().flatten()) {
        if let Ok(read) = claim.read(data)
            && !readings.contains(&read)
        {
            readings.push(read);
        }
    }
    readings
}

/// The word for what happens at a token, a collection or Permit2; the contract's own word elsewhere.
fn label(registry: &Registry, to: Address, effect: &Effect) -> String {
    match effect {
        Effect::Transfer { .. } | Effect::Approve { .. } | Effect::Revoke { .. }
            if registry.governs(to) =>
        {
            effect.kind()
        }
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => registry.label(to),
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
