//! Random trees of containers, written by an encoder and read back.

use proptest::{collection::vec, prelude::*};

use super::{
    containers::{
        ACCOUNT, ENTRY, MULTI, MULTI_SEND, MULTICALL3, SAFE, SafeCall, aggregate, at, blobs,
        encoded, execute, handle_ops, multi_send, operation, packed, pay, safe, world,
    },
    *,
};
use crate::{DEPTH_MAX, EXPANSION_BYTES_MAX};

/// What holds what.
#[derive(Debug, Clone)]
enum Tree {
    /// A transfer of the token.
    Token(u64),
    /// A transfer of the chain's currency.
    Native(u64),
    /// Calls through Multicall3 (or something that looks like it), and what they leave of the value.
    Aggregate { known: bool, rest: u64, inner: Vec<Tree> },
    /// A call by a Safe (or something that looks like one), and what funds it.
    Safe { known: bool, fund: u64, inner: Box<Tree> },
    /// Calls by a Safe through its library.
    SafeBatch { known: bool, inner: Vec<Tree> },
    /// A call by an account (or something that looks like one).
    Account { known: bool, inner: Box<Tree> },
    /// An operation of an account.
    Operation { inner: Box<Tree> },
    /// A contract that calls itself.
    Own { known: bool, value: u64 },
}

/// A call as it is made.
struct Made {
    to: Address,
    value: u64,
    data: Vec<u8>,
}

impl Tree {
    fn made(&self) -> Made {
        let known = |known: bool, address| if known { address } else { STRANGER };
        match self {
            Self::Token(amount) => Made { to: TOKEN, value: 0, data: pay(BOB, *amount) },
            Self::Native(amount) => Made { to: BOB, value: *amount, data: vec![] },
            Self::Aggregate { known: yes, rest, inner } => {
                let calls: Vec<_> = inner.iter().map(Tree::made).collect();
                let sum: u64 = calls.iter().map(|made| made.value).sum();
                let calls: Vec<_> = calls.into_iter().map(|m| (m.to, m.value, m.data)).collect();
                let to = known(*yes, MULTICALL3);
                Made { to, value: sum + rest, data: aggregate(&calls) }
            }
            Self::Safe { known: yes, fund, inner } => {
                let Made { to, value, data } = inner.made();
                let data = safe(SafeCall { to, value, data, operation: 0, gas_price: 0 });
                Made { to: known(*yes, SAFE), value: *fund, data }
            }
            Self::SafeBatch { known: yes, inner } => {
                let calls = inner.iter().map(Tree::made);
                let calls: Vec<_> = calls.map(|m| (0, m.to, m.value, m.data)).collect();
                let data = multi_send(packed(&calls));
                let call = SafeCall { to: MULTI_SEND, value: 0, data, operation: 1, gas_price: 0 };
                Made { to: known(*yes, SAFE), value: 0, data: safe(call) }
            }
            Self::Account { known: yes, inner } => {
                let Made { to, value, data } = inner.made();
                Made { to: known(*yes, ACCOUNT), value: 0, data: execute(to, value, data) }
            }
            Self::Operation { inner } => {
                let Made { to, value, data } = inner.made();
                let op = operation(ACCOUNT, execute(to, value, data), 0);
                Made { to: ENTRY, value: 0, data: handle_ops(vec![op]) }
            }
            Self::Own { known: yes, value } => {
                let data = encoded("multicall(bytes[])", &[blobs(&[vec![1, 2, 3, 4]])]);
                Made { to: known(*yes, MULTI), value: *value, data }
            }
        }
    }

    /// Wei that the actions carry together: what the call carries, and what accounts, and contracts that
    /// nobody knows, send of their own.
    fn wei(&self) -> u64 {
        match self {
            Self::Token(_) => 0,
            Self::Native(amount) => *amount,
            Self::Aggregate { known: true, rest, inner } => {
                rest + inner.iter().map(Self::wei).sum::<u64>()
            }
            Self::Aggregate { known: false, inner, .. } => {
                self.made().value + inner.iter().map(Self::wei).sum::<u64>()
            }
            Self::Safe { fund, inner, .. } => fund + inner.wei(),
            Self::SafeBatch { inner, .. } => inner.iter().map(Self::wei).sum(),
            Self::Account { inner, .. } | Self::Operation { inner } => inner.wei(),
            Self::Own { value, .. } => *value,
        }
    }

    /// Payments to Bob with who pays, in the order of the tree.
    fn payments(&self, payer: Address) -> Vec<Effect> {
        let account = |known: bool, address| if known { address } else { STRANGER };
        match self {
            Self::Token(amount) => vec![sent(TOKEN_ASSET, payer, BOB, *amount)],
            Self::Native(amount) => vec![sent(Asset::Native, payer, BOB, *amount)],
            Self::Aggregate { known, inner, .. } => {
                let payer = account(*known, MULTICALL3);
                inner.iter().flat_map(|tree| tree.payments(payer)).collect()
            }
            Self::Safe { known, inner, .. } => inner.payments(account(*known, SAFE)),
            Self::SafeBatch { known, inner } => {
                let payer = account(*known, SAFE);
                inner.iter().flat_map(|tree| tree.payments(payer)).collect()
            }
            Self::Account { known, inner } => inner.payments(account(*known, ACCOUNT)),
            Self::Operation { inner } => inner.payments(ACCOUNT),
            Self::Own { .. } => vec![],
        }
    }

    /// How many containers lie inside each other at most.
    fn depth(&self) -> usize {
        let deepest = |trees: &[Self]| trees.iter().map(Self::depth).max().unwrap_or(0);
        match self {
            Self::Token(_) | Self::Native(_) => 0,
            Self::Aggregate { inner, .. } => 1 + deepest(inner),
            Self::Safe { inner, .. } | Self::Account { inner, .. } => 1 + inner.depth(),
            Self::SafeBatch { inner, .. } => 2 + deepest(inner),
            Self::Operation { inner } => 2 + inner.depth(),
            Self::Own { .. } => 1,
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let amount = || 0..1_000_000_u64;
    let leaf = prop_oneof![
        amount().prop_map(Tree::Token),
        amount().prop_map(Tree::Native),
        (any::<bool>(), amount()).prop_map(|(known, value)| Tree::Own { known, value }),
    ];
    leaf.prop_recursive(9, 24, 3, move |tree| {
        let several = vec(tree.clone(), 1..3);
        let (several, more) = (several.clone(), several);
        let known = any::<bool>;
        prop_oneof![
            (known(), amount(), several).prop_map(|(known, rest, inner)| Tree::Aggregate {
                known,
                rest,
                inner
            }),
            (known(), amount(), tree.clone()).prop_map(|(known, fund, inner)| Tree::Safe {
                known,
                fund,
                inner: inner.into()
            }),
            (known(), more).prop_map(|(known, inner)| Tree::SafeBatch { known, inner }),
            (known(), tree.clone())
                .prop_map(|(known, inner)| Tree::Account { known, inner: inner.into() }),
            tree.prop_map(|inner| Tree::Operation { inner: inner.into() }),
        ]
    })
}

fn read_tree(tree: &Tree) -> (Made, Vec<Action>) {
    let made = tree.made();
    let all = at(made.to, made.value, made.data.clone());
    (made, all)
}

fn is_undecodable(all: &[Action]) -> bool {
    matches!(all, [Action { effect: Effect::Undecodable { .. }, .. }])
}

/// Calldata with one thing wrong.
fn damage(mut data: Vec<u8>, at: prop::sample::Index, with: u8) -> Vec<u8> {
    match with {
        0 => data.truncate(at.index(data.len() + 1)),
        1 => data.push(0),
        _ => {
            if !data.is_empty() {
                let place = at.index(data.len());
                data[place] ^= with;
            }
        }
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    /// Whatever it is wrapped in, a payment is found, with the one who really pays, in order, once.
    #[test]
    fn nothing_disappears_in_containers_and_every_wei_is_counted(tree in trees()) {
        let (made, all) = read_tree(&tree);
        if tree.depth() > DEPTH_MAX {
            prop_assert!(is_undecodable(&all));
            prop_assert_eq!(all[0].value_wei, number(made.value));
            return Ok(());
        }
        let paid: Vec<Effect> = all
            .iter()
            .map(|action| action.effect.clone())
            .filter(|effect| matches!(effect, Effect::Transfer { to, .. } if *to == BOB))
            .collect();
        prop_assert_eq!(paid, tree.payments(SELF));
        let sum = all.iter().fold(U256::ZERO, |sum, action| sum + action.value_wei);
        prop_assert_eq!(sum, number(tree.wei()));
        let unread = |action: &Action| matches!(action.effect, Effect::Undecodable { .. });
        prop_assert_eq!(all.iter().filter(|action| unread(action)).count(), 0);
        let deepest = all.iter().map(|action| usize::from(action.depth)).max();
        prop_assert_eq!(deepest, Some(tree.depth()));
    }

    /// What a call does is found again, with another payer, behind any container.
    #[test]
    fn a_wrapped_call_holds_what_the_call_does(tree in trees()) {
        let (_, bare) = read_tree(&tree);
        let wraps = [
            Tree::Aggregate { known: true, rest: 0, inner: vec![tree.clone()] },
            Tree::Safe { known: true, fund: 0, inner: tree.clone().into() },
            Tree::SafeBatch { known: false, inner: vec![tree.clone()] },
            Tree::Account { known: false, inner: tree.clone().into() },
            Tree::Operation { inner: tree.into() },
        ];
        let kinds = |all: &[Action]| -> Vec<_> {
            all.iter().map(|a| (a.target, a.selector, a.effect.kind(), a.value_wei)).collect()
        };
        for wrap in wraps {
            let (_, all) = read_tree(&wrap);
            if !is_undecodable(&all) {
                prop_assert!(kinds(&all).ends_with(&kinds(&bare)), "{wrap:?}");
            }
        }
    }

    /// A byte more, less or other: still total, bounded and deterministic, and never less value.
    #[test]
    fn damaged_containers_are_read_within_bounds(
        tree in trees(),
        place in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let made = tree.made();
        let data = Bytes::from(damage(made.data, place, with));
        let registry = world();
        let call = Call { wallet: SELF, to: Some(made.to), value: number(made.value), data: &data };
        let all = actions(&call, &registry);
        prop_assert_eq!(&all, &actions(&call, &registry));
        prop_assert!((1..=LEAVES_MAX).contains(&all.len()));
        prop_assert!(all.iter().all(|action| usize::from(action.depth) <= DEPTH_MAX));
        let sum = all.iter().fold(U256::ZERO, |sum, action| sum.saturating_add(action.value_wei));
        prop_assert!(sum >= number(made.value));
        let held: usize = all.iter().map(|action| action.functions.len()).sum();
        prop_assert!(held * data.len() <= EXPANSION_BYTES_MAX + data.len());
    }
}
