//! What an operation may do in its life: states, attempts, nonces, keys, votes.

use countersign_core::{
    operation::{Attempt, OperationRecord, OperationState as S, Purpose},
    transaction::TransactionPlan,
};

use super::{Asked, Change, Oracle, State, head_of, is_split, place_of};

/// The edges of LEDGER §1.
fn is_edge(from: S, to: S) -> bool {
    let sent = [S::Broadcast, S::Unknown, S::Mined, S::Executed, S::Reverted, S::Conflict];
    match from {
        S::Denied | S::Rejected | S::Expired | S::Conflict => false,
        S::Parked => [S::Approved, S::Rejected, S::Expired].contains(&to),
        S::Approved => [S::Allowed, S::Parked, S::Rejected, S::Expired].contains(&to),
        S::Allowed => [S::Allowed, S::Parked, S::Prepared, S::Rejected].contains(&to),
        // what a deterministic signer made is stored with the node's word
        S::Prepared => [S::Signed, S::Broadcast, S::Unknown, S::Cancelling].contains(&to),
        S::Signed | S::Broadcast | S::Unknown => to == S::Cancelling || sent.contains(&to),
        S::Cancelling => {
            let ends = [S::Mined, S::Executed, S::Reverted, S::Cancelled, S::Conflict];
            ends.contains(&to)
        }
        S::Mined => {
            let on = [S::Mined, S::Broadcast, S::Cancelling, S::Executed, S::Reverted];
            on.contains(&to) || to == S::Cancelled
        }
        S::Executed | S::Reverted | S::Cancelled => [S::Broadcast, S::Cancelling].contains(&to),
    }
}

impl Oracle {
    /// Everything about a change that is not an amount.
    pub(super) fn life(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, .. } = change;
        if state.is_lost {
            if new.state == S::Prepared && old.is_none_or(|old| old.attempts.is_empty()) {
                let text = format!("{} is bound although history is lost", new.id);
                self.log.violate("I12", text);
            }
            return;
        }
        let born = [S::Denied, S::Parked, S::Allowed];
        match old {
            None if !born.contains(&new.state) => {
                self.log.violate("I3", format!("{} begins as {}", new.id, new.state.name()));
            }
            Some(old) if old.state != new.state && !is_edge(old.state, new.state) => {
                let (from, to) = (old.state.name(), new.state.name());
                self.log.violate("I3", format!("{} goes from {from} to {to}", new.id));
            }
            _ => {}
        }
        self.key(state, change);
        self.votes(state, change);
        self.attempts(state, change);
        let was = old.map(|old| old.state);
        state.note_revived(was, new);
        if new.state != S::Prepared || was == Some(S::Prepared) {
            self.further_attempt(state, change);
        } else {
            self.bound(state, change);
        }
        if new.state == S::Conflict && was != Some(S::Conflict) {
            self.conflict(new);
        }
        if let Some(old) = old
            && new.fence < old.fence
        {
            self.log.violate("I15", format!("the fence of {} went back", new.id));
        }
    }

    fn key(&self, state: &mut State, change: &Change<'_>) {
        let Some(key) = change.new.key.filter(|_| change.old.is_none()) else { return };
        let holder = state.keys.insert(key, change.new.id);
        if let Some(holder) = holder.filter(|holder| !state.voided.contains(holder)) {
            let text = format!("{} and {} have the same key", holder, change.new.id);
            self.log.violate("I14", text);
        }
    }

    fn votes(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let was = old.map(|old| old.state);
        let asked_anew = old.is_none_or(|old| old.digest != new.digest);
        // what people saw of a bundle they saw of each of its calls
        if is_split(*old, new)
            && let Some(asked) = state.asked.get(&head_of(new)).cloned()
        {
            let plans = asked.plans.into_iter().skip(place_of(new)).take(1).collect();
            state.asked.entry(new.id).or_insert(Asked { plans, ..asked });
        }
        if new.digest.is_some() && asked_anew && !is_split(*old, new) {
            state.asked.insert(new.id, Asked::of(new));
            if !new.votes.is_empty() {
                let text = format!("votes for another question count for {}", new.id);
                self.log.violate("I11", text);
            }
        }
        if new.state == S::Approved && was == Some(S::Parked) {
            let late = new.expires_at.is_none_or(|end| end <= glance.now);
            if late {
                self.log.violate("I11", format!("{} is approved after its time", new.id));
            }
            let owner = Some(crate::simulation::limits::OWNER);
            let excluded = owner.filter(|_| new.agent().as_str() == "trader");
            if !new.gates.iter().all(|gate| gate.is_open(&new.votes, excluded)) {
                let text = format!("{} is approved with a gate that is shut", new.id);
                self.log.violate("I11", text);
            }
        }
    }

    /// Attempts are only added; bytes are only filled in.
    fn attempts(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, .. } = change;
        let before: &[Attempt] = old.map_or(&[], |old| &old.attempts);
        for (index, was) in before.iter().enumerate() {
            let kept = new.attempts.get(index).is_some_and(|is| {
                is.transaction == was.transaction
                    && (was.hash.is_none() || (is.hash == was.hash && is.raw == was.raw))
            });
            if !kept {
                let text = format!("attempt {index} of {} is not what it was", new.id);
                self.log.violate("I4", text);
            }
        }
        let Some(first) = new.attempts.first() else { return };
        let plan = &first.transaction.plan;
        for attempt in &new.attempts {
            let nonce = attempt.transaction.nonce;
            let same = is_same_payload(plan, &attempt.transaction.plan);
            let fits = match attempt.purpose {
                Purpose::Payload => same,
                Purpose::Cancel => attempt.transaction.plan.value.is_zero(),
            };
            if !fits || nonce != first.transaction.nonce {
                let text = format!("attempt {} of {} is another payload", attempt.number, new.id);
                self.log.violate("I4", text);
            }
            if let Some(hash) = attempt.hash {
                state.hashes.insert(hash, new.id);
            }
        }
    }

    /// `ALLOWED` became `PREPARED`.
    fn bound(&self, state: &mut State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let fail = |invariant, why: &str| {
            self.log.violate(invariant, format!("{} is bound {why}", new.id));
        };
        if glance.sealed.is_some() {
            fail("I12", "although the ledger is sealed");
        }
        let covers =
            |f: &countersign_core::fact::Freeze| f.covers(new.agent(), new.wallet(), new.chain());
        if glance.freezes.iter().any(covers) {
            fail("I12", "although signing is frozen");
        }
        if old.is_some_and(|old| old.expires_at.is_some_and(|end| end <= glance.now)) {
            fail("I7", "after its time");
        }
        let Some(nonce) = new.nonce() else { return fail("I4", "without a nonce") };
        let wallet = new.wallet().clone();
        if let Some(other) = state.nonces.insert((wallet.clone(), nonce), new.id) {
            fail("I4", &format!("at nonce {nonce}, which {other} has"));
        }
        if new.intent.nonce.is_some_and(|fixed| fixed != nonce) {
            fail("I4", "at another nonce than its client fixed");
        }
        self.no_gap(state, new, nonce);
        self.is_its_turn(state, new, nonce);
        if !new.votes.is_empty() {
            self.is_what_people_saw(state, new);
        }
    }

    /// The calls of a bundle are bound one after the other, and what stands for all of them never is.
    fn is_its_turn(&self, state: &State, new: &OperationRecord, nonce: u64) {
        let fail = |why: &str| {
            self.log
                .violate("I4", format!("call {} of a bundle, {}, {why}", place_of(new), new.id));
        };
        if !new.intent.rest().is_empty() {
            return fail("is bound and stands for others");
        }
        let Some(earlier) = place_of(new).checked_sub(1) else { return };
        self.log.reach("further call");
        let handle = new.intent.bundle.as_deref().map(|bundle| bundle.handle);
        let earlier = handle.map(|handle| handle.operation(u32::try_from(earlier).unwrap()));
        let before = earlier.and_then(|id| state.records.get(&id)).and_then(OperationRecord::nonce);
        if before.is_none_or(|before| before >= nonce) {
            fail(&format!("has nonce {nonce}, and the one before it {before:?}"));
        }
    }

    /// Every nonce below is ours, or was used up on the chain.
    fn no_gap(&self, state: &State, new: &OperationRecord, nonce: u64) {
        let used = self.chain.account(new.intent.address).nonce;
        let ours = |n: u64| state.nonces.contains_key(&(new.wallet().clone(), n));
        if let Some(gap) = (used..nonce).find(|n| !ours(*n)) {
            let text = format!("{} has nonce {nonce}, and nobody has {gap}", new.id);
            self.log.violate("I8", text);
        }
    }

    fn is_what_people_saw(&self, state: &State, new: &OperationRecord) {
        let Some(asked) = state.asked.get(&new.id) else {
            let text = format!("{} has votes and nobody was asked", new.id);
            return self.log.violate("I11", text);
        };
        let bound = &new.attempts[0].transaction.plan;
        // its fee may differ: where its gates are not asked any more, it is judged like any other's
        let seen = asked.plans.first();
        if !seen.is_some_and(|seen| is_same_payload(seen, bound)) || asked.digest != new.digest {
            let text = format!("{} is not what people approved", new.id);
            self.log.violate("I11", text);
        }
    }

    /// A bump or a cancel was bound.
    fn further_attempt(&self, state: &State, change: &Change<'_>) {
        let Change { old, new, glance } = change;
        let before = old.map_or(0, |old| old.attempts.len());
        if new.attempts.len() <= before.max(1) {
            return;
        }
        let newest = new.attempts.last().unwrap();
        let name = match newest.purpose {
            Purpose::Payload => "bump",
            Purpose::Cancel => "cancel",
        };
        self.log.reach(name);
        if glance.sealed.is_some() {
            self.log.violate("I12", format!("a {name} of {} under a seal", new.id));
        }
        let stops = |f: &countersign_core::fact::Freeze| {
            let all = *f == countersign_core::fact::Freeze::All;
            f.covers(new.agent(), new.wallet(), new.chain())
                && (all || newest.purpose == Purpose::Payload)
        };
        if state.freezes.iter().any(stops) {
            self.log.violate("I12", format!("a {name} of {} under a freeze", new.id));
        }
    }

    /// Committed money may go only if the chain has proved that nothing of ours can be mined.
    fn conflict(&self, new: &OperationRecord) {
        let nonce = new.nonce().unwrap_or(u64::MAX);
        let ours = new.attempts.iter().filter_map(|attempt| attempt.hash);
        let mined = ours.into_iter().any(|hash| self.chain.truth(hash).is_some());
        if mined || !self.chain.is_nonce_final(new.intent.address, nonce) {
            let text = format!("{} is released and its nonce is not used elsewhere", new.id);
            self.log.violate("I7", text);
        }
    }
}

fn is_same_payload(a: &TransactionPlan, b: &TransactionPlan) -> bool {
    (a.chain, a.to, a.value, &a.data, a.gas) == (b.chain, b.to, b.value, &b.data, b.gas)
}
