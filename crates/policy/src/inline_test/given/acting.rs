//! The imagined actions: effects, and calls with their arguments.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use countersign_core::{
    abi::{AbiFunction, AbiValue, DecodedCall},
    action::{Action, Effect, Via},
    token::Asset,
};

use super::{Stage, WALLET, address_of};
use crate::{
    field::{Shape, members},
    matcher::{NATIVE, Operand},
    read::whole,
    source::{Entry, Node},
    view,
};

impl Stage<'_, '_> {
    fn asset(&mut self, node: &Node) -> Asset {
        match self.operand(node, "token", &Shape::Token) {
            Some(Operand::Token(name)) if name != NATIVE => self.know(&name),
            Some(Operand::Address(address)) => Asset::Token(address),
            Some(_) | None => Asset::Native,
        }
    }

    pub(super) fn action(&mut self, node: &Node) -> Option<Action> {
        let kind = self.text(node, "kind").unwrap_or_else(|| "transfer".to_owned());
        let function = self.function(node);
        let effect = self.effect(node, &kind)?;
        let functions = match &function {
            Some(function) => vec![self.call(function, node)],
            None => Vec::new(),
        };
        let value = self.number(node, "value_wei");
        let value_wei = value.unwrap_or_else(|| native_amount(&effect));
        let target = self.target(node, &effect);
        let selector = match self.operand(node, "selector", &Shape::Selector) {
            Some(Operand::Bytes(bytes)) => {
                countersign_core::abi::Selector::try_from(&bytes[..]).ok()
            }
            Some(_) | None => function.as_ref().map(AbiFunction::selector),
        };
        let label = self.text(node, "action").unwrap_or(kind);
        let via = match self.text(node, "via").as_deref() {
            Some("signature") => Via::Signature,
            Some(_) | None => Via::Call,
        };
        let depth = self.small(node, "depth").and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
        let privileged = self.truth(node, "privileged").unwrap_or(false);
        let foreign = self.truth(node, "foreign").unwrap_or_else(|| is_of_another(&effect));
        let action = Action {
            effect,
            target,
            selector,
            functions,
            value_wei,
            label,
            via,
            depth,
            privileged,
            unlisted: self.truth(node, "unlisted").unwrap_or(false),
            foreign,
            spends: None,
        };
        if self.truth(node, "recipient.seen").unwrap_or(true) {
            self.seen.extend(view::counterparty(&action));
        }
        Some(action)
    }

    fn effect(&mut self, node: &Node, kind: &str) -> Option<Effect> {
        let asset = self.asset(node);
        let amount = self.number(node, "amount").unwrap_or(U256::ZERO);
        let other = Address::repeat_byte(0x77);
        let effect = match kind {
            "transfer" => Effect::Transfer {
                asset,
                from: self.address(node, "from").unwrap_or(WALLET),
                to: self.address(node, "to").unwrap_or(other),
                amount,
            },
            "approve" => Effect::Approve {
                asset,
                owner: WALLET,
                spender: self.address(node, "spender").unwrap_or(other),
                amount,
                unlimited: self.truth(node, "unlimited").unwrap_or(false),
                deadline: self.number(node, "deadline"),
            },
            "revoke" => {
                Effect::Revoke { asset, spender: self.address(node, "spender").unwrap_or(other) }
            }
            "call" => Effect::Call,
            "deploy" => Effect::Deploy { init_code_hash: keccak256(b"test") },
            "delegate" => Effect::Delegate {
                account: WALLET,
                delegate: self.address(node, "target").unwrap_or(other),
                chain: Some(self.chain),
            },
            "typed_data" => Effect::TypedData {
                primary_type: self.text(node, "primary_type").unwrap_or_default(),
                domain: fields(node.get("domain")),
                message: fields(node.get("message")),
            },
            "text" => Effect::Text {
                text: self.text(node, "text").unwrap_or_default(),
                siwe: node.get("siwe").map(|siwe| fields(Some(siwe))),
            },
            _ => {
                let place = node.get("kind").map_or(node.place, |kind| kind.place);
                self.reader.findings.error(
                    place,
                    format!("a test cannot imagine a `{kind}`"),
                    "kinds are transfer, approve, revoke, call, deploy, delegate, typed_data and text",
                );
                return None;
            }
        };
        Some(effect)
    }

    fn target(&mut self, node: &Node, effect: &Effect) -> Option<Address> {
        let named = self.address(node, "target");
        let of_asset = |asset: &Asset, other: &Address| asset.contract().unwrap_or(*other);
        match effect {
            Effect::Transfer { asset, to, .. } => named.or_else(|| Some(of_asset(asset, to))),
            Effect::Approve { asset, spender, .. } | Effect::Revoke { asset, spender } => {
                named.or_else(|| Some(of_asset(asset, spender)))
            }
            Effect::Call | Effect::Undecodable { .. } => named.or(Some(Address::repeat_byte(0x77))),
            Effect::Delegate { delegate, .. } => Some(*delegate),
            Effect::Deploy { .. }
            | Effect::TypedData { .. }
            | Effect::Text { .. }
            | Effect::Opaque { .. } => named,
        }
    }

    fn function(&mut self, node: &Node) -> Option<AbiFunction> {
        let value = node.get("fn")?.clone();
        self.reader.parsed_with(&value, AbiFunction::parse)
    }

    fn call(&mut self, function: &AbiFunction, node: &Node) -> DecodedCall {
        let args = self.argument("args", node.get("args"), &members(function.inputs()), node);
        DecodedCall { signature: function.signature().to_owned(), args }
    }

    /// An argument from the nested `args`, or from a dotted key, or nothing in particular.
    fn argument(
        &mut self,
        path: &str,
        nested: Option<&Node>,
        shape: &Shape,
        given: &Node,
    ) -> AbiValue {
        let node = nested.or_else(|| given.get(path).filter(|_| path != "args"));
        match shape {
            Shape::Tuple(members) => AbiValue::Tuple(
                members
                    .iter()
                    .map(|(name, inner)| {
                        let nested = node.and_then(|node| node.get(name));
                        let path = format!("{path}.{name}");
                        (name.clone(), self.argument(&path, nested, inner, given))
                    })
                    .collect(),
            ),
            Shape::List(inner) => {
                let items = node.and_then(Node::list).unwrap_or_default();
                let read = items.iter().map(|item| self.argument(path, Some(item), inner, given));
                AbiValue::List(read.collect())
            }
            Shape::Number
            | Shape::Int
            | Shape::Usd
            | Shape::Percent
            | Shape::Instant
            | Shape::Address
            | Shape::Token
            | Shape::Kind
            | Shape::Selector
            | Shape::Function
            | Shape::Bool
            | Shape::Text
            | Shape::Bytes
            | Shape::Declared
            | Shape::Decimal
            | Shape::Unread => self.plain_argument(node, shape),
        }
    }

    fn plain_argument(&mut self, node: Option<&Node>, shape: &Shape) -> AbiValue {
        let is_token = node.and_then(Node::text).is_some_and(|text| {
            *shape == Shape::Address && text.contains('@') && !text.starts_with('@')
        });
        let shape = if is_token { &Shape::Token } else { shape };
        let operand = node.and_then(|node| self.member(node, shape));
        match (operand, shape) {
            (Some(Operand::Token(name)), _) => {
                let asset = self.know(&name);
                AbiValue::Address(asset.contract().unwrap_or(Address::ZERO))
            }
            (Some(operand @ (Operand::Address(_) | Operand::Wallet)), _) => {
                AbiValue::Address(address_of(&operand))
            }
            (Some(Operand::Number(number)), _) => AbiValue::Uint(number),
            (Some(Operand::Int(number)), _) => AbiValue::Int(number),
            (Some(Operand::Bool(truth)), _) => AbiValue::Bool(truth),
            (Some(Operand::Bytes(bytes)), _) => AbiValue::Bytes(bytes),
            (Some(Operand::Text(text)), _) => AbiValue::Text(text),
            (_, Shape::Address) => AbiValue::Address(Address::ZERO),
            (_, Shape::Bool) => AbiValue::Bool(false),
            (_, Shape::Int) => AbiValue::Int(alloy_primitives::I256::ZERO),
            (_, Shape::Bytes) => AbiValue::Bytes(Bytes::new()),
            (_, Shape::Text | Shape::Declared | Shape::Unread) => AbiValue::Text(String::new()),
            _ => AbiValue::Uint(U256::ZERO),
        }
    }
}

/// Whether a transfer is of somebody else's; an account that acts in the request is stated with `foreign: false`.
fn is_of_another(effect: &Effect) -> bool {
    matches!(effect, Effect::Transfer { from, .. } if *from != WALLET)
}

const fn native_amount(effect: &Effect) -> U256 {
    if let Effect::Transfer { asset: Asset::Native, amount, .. } = effect {
        *amount
    } else {
        U256::ZERO
    }
}

/// Fields as their spelling says: lists and mappings as they are, digits as numbers, addresses as addresses.
fn fields(node: Option<&Node>) -> AbiValue {
    let Some(node) = node else { return AbiValue::Tuple(Vec::new()) };
    if let Some(entries) = node.map() {
        let read = |entry: &Entry| (entry.key.clone(), fields(Some(&entry.node)));
        return AbiValue::Tuple(entries.iter().map(read).collect());
    }
    if let Some(items) = node.list() {
        return AbiValue::List(items.iter().map(|item| fields(Some(item))).collect());
    }
    let text = node.text().unwrap_or_default();
    let is_address = text.len() == 42 && text.starts_with("0x");
    match (whole(text), text.parse::<Address>()) {
        (_, Ok(address)) if is_address => AbiValue::Address(address),
        (Some(number), _) => AbiValue::Uint(number),
        (None, _) if text == "self" => AbiValue::Address(WALLET),
        (None, _) => text.parse().map_or_else(|_| AbiValue::Text(text.to_owned()), AbiValue::Bool),
    }
}
