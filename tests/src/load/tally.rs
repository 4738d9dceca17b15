//! What clients and operators were told, and whether it was true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{books::Books, rpc::RpcError};

/// One thing that an agent wanted: one payment at most, however often it was asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Whose it is.
    pub agent: &'static str,
    /// Its idempotency key, if it has one.
    pub key: Option<String>,
    /// Who is to be paid.
    pub to: &'static str,
    /// How much; no other wish has this amount, so that the chain shows which it was.
    pub wei: u128,
    /// Every hash that was ever answered.
    pub hashes: BTreeSet<String>,
    /// Every operation that it was told to wait for.
    pub parked: BTreeSet<String>,
    /// The last word.
    pub end: Option<End>,
}

/// The last word on a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A hash.
    Paid,
    /// A no that is final, with its code.
    Refused(String),
}

/// Everything that was heard, shared by those who hear.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    wishes: Vec<Wish>,
    yes: BTreeSet<String>,
    no: BTreeSet<String>,
    broken: u64,
}

impl Tally {
    /// A new wish; its number.
    pub(super) fn wish(&self, wish: Wish) -> usize {
        let mut heard = self.heard();
        heard.wishes.push(wish);
        heard.wishes.len().saturating_sub(1)
    }

    /// Something was heard about a wish.
    pub(super) fn note(&self, number: usize, note: impl FnOnce(&mut Wish)) {
        note(self.heard().wishes.get_mut(number).expect("a wish that was made"));
    }

    /// A person's yes or no was taken.
    pub(super) fn decided(&self, id: &str, yes: bool) {
        let mut heard = self.heard();
        if yes {
            heard.yes.insert(id.to_owned())
        } else {
            heard.no.insert(id.to_owned())
        };
    }

    /// A call had no answer.
    pub(super) fn broke(&self) {
        let mut heard = self.heard();
        heard.broken = heard.broken.saturating_add(1);
    }

    /// Every operation that somebody was told to wait for.
    #[must_use]
    pub fn parked(&self) -> BTreeSet<String> {
        self.heard().wishes.iter().flat_map(|wish| wish.parked.clone()).collect()
    }

    /// How many wishes ended with that code; `paid` for those that were.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for wish in &self.heard().wishes {
            let name = match &wish.end {
                None => "open",
                Some(End::Paid) => "paid",
                Some(End::Refused(code)) => code,
            };
            let count: &mut usize = ends.entry(name.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        ends
    }

    /// For people: how much was heard.
    #[must_use]
    pub fn summary(&self) -> String {
        let ends = self.ends();
        let Heard { wishes, yes, no, broken } = &*self.heard();
        format!(
            "{} wishes {ends:?}, {} approved, {} rejected, {broken} calls without an answer",
            wishes.len(),
            yes.len(),
            no.len()
        )
    }

    /// Where books and chain contradict what was answered, when all is settled.
    #[must_use]
    pub fn lies(&self, books: &Books) -> Vec<String> {
        let heard = self.heard();
        let mut lies: Vec<String> =
            heard.wishes.iter().flat_map(|wish| wish_lies(wish, books)).collect();
        let state = |id: &String| books.operation(id).map(|operation| operation.state.clone());
        for (ids, wanted) in [(&heard.yes, "EXECUTED"), (&heard.no, "REJECTED")] {
            let odd = ids.iter().filter(|id| state(id).as_deref() != Some(wanted));
            lies.extend(
                odd.map(|id| format!("{id} is {:?}, a person's word made it {wanted}", state(id))),
            );
        }
        lies
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wish_lies(wish: &Wish, books: &Books) -> Vec<String> {
    let mut lies = Vec::new();
    let payments = books.payments_of(wish.wei);
    let promised = usize::from(wish.end == Some(End::Paid));
    if payments != promised || wish.end.is_none() {
        lies.push(format!("{payments} payments for {wish:?}"));
    }
    let mined = |hash: &String| books.mined.iter().any(|mined| mined.hash == *hash);
    if wish.hashes.len() > 1 || !wish.hashes.iter().all(mined) {
        lies.push(format!("hashes that are not one payment: {wish:?}"));
    }
    lies.extend(
        wish.parked
            .iter()
            .filter(|id| books.operation(id).is_none())
            .map(|id| format!("{id} was named and is lost")),
    );
    lies
}

impl End {
    /// Of a refusal that is final.
    pub(super) fn of(error: &RpcError) -> Self {
        let code = error.text("code");
        let code = if code.is_empty() { error.code.to_string() } else { code.to_owned() };
        Self::Refused(code)
    }
}
