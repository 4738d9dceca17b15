//! A nonce that is used, and by none of the hashes that the books have: whose transaction it was, and what follows.

use std::sync::Arc;

use countersign_core::{
    operation::{Money, OperationRecord},
    time::Millis,
    trace::Severity,
};

use crate::{
    engine::Engine,
    intake::failed_update,
    port::ledger::ReleaseProof,
    setup::ChainSetup,
    stage::{Made, Reservation},
    tracker::receipt,
};

/// How long a nonce must be seen used by nobody we know before that is believed.
const SUSPECT_FOR: Millis = Millis(30_000);

impl Engine {
    /// No hash of ours had a receipt although the nonce is used. A node may know a count before it knows a receipt,
    /// and this look may be older than a signature: proof is only what is asked in this order: a final count,
    /// then the operation as it stands, then every hash that it has, and this for a while.
    pub(crate) async fn look_for_conflict(
        self: &Arc<Self>,
        chain: &ChainSetup,
        known: &OperationRecord,
    ) {
        let id = known.id;
        let Ok(final_nonce) = chain.port.final_nonce(known.intent.address).await else { return };
        let Ok(Some(record)) = self.ports().ledger.operation(id).await else { return };
        if record != *known {
            self.follow_as_it_is(&record);
        }
        let on_its_way = record.state.is_signed() && record.state.money() == Money::Committed;
        let Some(nonce) = record.nonce().filter(|_| on_its_way) else { return };
        let found = receipt(chain, &record).await;
        if let Ok(Some(actual)) = found {
            // of an attempt that was not known here: another gateway bound it
            let finality = chain.port.finality(&actual).await;
            self.mined(&record, &actual, finality).await;
            return;
        }
        let is_missing = final_nonce > nonce && found == Ok(None);
        if !self.suspects_for_long(&record, is_missing) || !self.has_all_hashes(&record).await {
            return;
        }
        let proof = ReleaseProof::NonceUsedElsewhere { final_nonce };
        match self.ports().ledger.release_committed(id, &proof).await {
            Ok(released) => {
                self.unfollow(&released);
                if released.intent.signature.is_some() {
                    self.replaced_by_owner(&released).await;
                } else {
                    self.stop_wallet(&released).await;
                }
            }
            Err(error) => {
                tracing::warn!(operation = %id, %error, "a conflict is not noted yet");
            }
        }
    }

    /// Whether every attempt that may have been sent has its hash in the books. What a deterministic signer makes is sent
    /// before it is stored: where nobody came to store it, it is made again from what is bound, to be looked for. The
    /// nonce is used for good, so these bytes can do nothing any more.
    async fn has_all_hashes(&self, record: &OperationRecord) -> bool {
        let Some(left) = Reservation::unsigned(record) else { return true };
        let setup = self.setup();
        let Some(wallet) = setup.wallets.get(record.wallet()) else { return false };
        if !wallet.signer.is_deterministic() {
            return true;
        }
        if self.is_stopped(record).await {
            return false;
        }
        let Some((signed, bound)) = self.signature(&setup, left).await else { return false };
        if let Made::Raw(attempt, bytes) = signed.made() {
            match self.store_signed(bound.id, *attempt, bytes, None).await {
                Ok(record) => self.follow_as_it_is(&record),
                Err(error) => {
                    tracing::warn!(operation = %bound.id, %error, "a hash that may be on the chain is not stored yet");
                }
            }
        }
        false
    }

    /// Whether every look since [`SUSPECT_FOR`] found the same.
    fn suspects_for_long(&self, record: &OperationRecord, is_missing: bool) -> bool {
        let now = self.ports().clock.monotonic();
        let since = self.change(record, |tracked| {
            let before = tracked.suspect_since.filter(|_| is_missing);
            tracked.suspect_since = before.or(is_missing.then_some(now));
            tracked.suspect_since
        });
        since.flatten().is_some_and(|since| now.0.saturating_sub(since.0) >= SUSPECT_FOR.0)
    }

    /// Whose key is elsewhere may use the nonce for something else, at any time: what was judged here cannot happen any
    /// more, and holds nothing.
    async fn replaced_by_owner(&self, record: &OperationRecord) {
        tracing::info!(operation = %record.id, "the wallet's owner used the nonce for another transaction");
        self.note(record, &failed_update("replaced_by_owner")).await;
        self.hub().wake(record.id);
    }

    /// The key is used elsewhere: nothing more is signed with it until a person has looked.
    async fn stop_wallet(&self, record: &OperationRecord) {
        let title = "a nonce of ours was used by a transaction that we did not make";
        if let Err(error) = self.distrust(record.wallet(), title).await {
            tracing::error!(wallet = %record.wallet(), %error, "a wallet in conflict could not be frozen");
        }
        self.raise(Severity::Critical, "nonce_conflict", title, Some(record)).await;
    }
}
