//! From a signature to the node. What one wallet signed goes out in the order in which it was signed; while it is on its
//! way, the lane commits and signs the next.

use std::sync::Arc;

use countersign_core::{
    intent::Method,
    operation::{OperationRecord, OperationState},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Instrument as _;

use crate::{
    engine::Engine,
    execute::Rest,
    lane::Outcome,
    port::ledger::{LedgerError, SentOutcome, SignedBytes},
    stage::{Made, Signed},
};

/// The most transactions of a lane that are signed and not yet sent.
const UNDER_WAY_MAX: usize = 32;

/// The order of a lane's signatures on their way to the node.
#[derive(Debug)]
pub(crate) struct Departures {
    room: Arc<Semaphore>,
    /// Ends when the one that was signed last has gone out.
    last: Option<oneshot::Receiver<()>>,
}

/// The right to have one more under way.
pub(crate) type Room = Option<OwnedSemaphorePermit>;

/// A place in the order.
#[derive(Debug)]
struct Place {
    before: Option<oneshot::Receiver<()>>,
    gone: Gone,
}

/// Dropped when something has gone out, or never will: the next may go.
type Gone = oneshot::Sender<()>;

impl Place {
    /// Waits until all that were signed before have gone out.
    async fn turn(self) -> Gone {
        if let Some(before) = self.before {
            // nothing is ever said: it ends
            drop(before.await);
        }
        self.gone
    }
}

impl Departures {
    pub(crate) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(UNDER_WAY_MAX)), last: None }
    }

    /// Waits until one more may be signed.
    pub(crate) async fn room(&self) -> Room {
        // INVARIANT: nobody closes it
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Behind all that were signed.
    fn place(&mut self) -> Place {
        let (gone, last) = oneshot::channel();
        Place { before: self.last.replace(last), gone }
    }
}

/// What is to go out.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) signed: Signed,
    /// The operation as it was bound.
    pub(crate) bound: Box<OperationRecord>,
    pub(crate) rest: Rest,
}

impl Engine {
    /// Sends what was signed when its turn has come, has it stored, and then tells who waits.
    pub(crate) fn depart(
        self: &Arc<Self>,
        parcel: Parcel,
        departures: &mut Departures,
        room: Room,
    ) {
        let (engine, place) = (Arc::clone(self), departures.place());
        let step = parcel.rest.step.clone();
        let work = async move {
            let record = engine.deliver(&parcel, place).await;
            drop(room);
            parcel.rest.tell(match record {
                Some(record) => Outcome::Finished(Box::new(record)),
                None => Outcome::Open,
            });
        };
        self.ports().clock.spawn(Box::pin(work.instrument(step)));
    }

    /// The operation with its signature; `None` where nothing can be said of it, and somebody else has to go on.
    async fn deliver(&self, parcel: &Parcel, place: Place) -> Option<OperationRecord> {
        let Made::Raw(attempt, bytes) = parcel.signed.made() else { return None };
        let is_sent = parcel.bound.intent.method != Method::SignTransaction;
        if parcel.signed.is_determined() && is_sent {
            self.send_and_store(parcel, (*attempt, bytes), place).await
        } else {
            self.store_and_send(parcel, (*attempt, bytes), place).await
        }
    }

    /// What is bound makes these very bytes again, whoever goes on with it: one step stores them with the node's word.
    async fn send_and_store(
        &self,
        Parcel { bound, rest, .. }: &Parcel,
        (attempt, bytes): (u32, &SignedBytes),
        place: Place,
    ) -> Option<OperationRecord> {
        let gone = place.turn().await;
        let said = self.send(&rest.setup, bound, bytes).await;
        drop(gone);
        // asked once: its agent waits, and a sweep stores what is not stored
        match self.ports().ledger.signed(bound.id, attempt, bytes, said.as_ref()).await {
            Ok(record) => Some(self.departed(record)),
            Err(error) => {
                tracing::error!(operation = %bound.id, %error, "what was sent is not stored; it will be signed again and is the same");
                // the hash is true whatever the books say by now
                let refused = matches!(error, LedgerError::Refused(_));
                (!refused).then(|| as_sent(bound, attempt, bytes, said.as_ref()))
            }
        }
    }

    /// Bytes that no signer makes again, and those that only their agent sends, are in the books before anybody else has
    /// them.
    async fn store_and_send(
        &self,
        Parcel { bound, rest, .. }: &Parcel,
        (attempt, bytes): (u32, &SignedBytes),
        place: Place,
    ) -> Option<OperationRecord> {
        let stored = self.store_signed(bound.id, attempt, bytes, None).await;
        // also what is not sent lets nobody past those before it
        let gone = place.turn().await;
        let record = stored.map_err(|error| {
            tracing::error!(operation = %bound.id, %error, "a signature is not stored, nothing is sent");
        }).ok()?;
        let said = self.send(&rest.setup, &record, bytes).await;
        drop(gone);
        let record = match said {
            Some(outcome) => self.note_sent(record, attempt, &outcome).await,
            None => record,
        };
        Some(self.departed(record))
    }

    /// From now on the chain is asked about it.
    fn departed(&self, record: OperationRecord) -> OperationRecord {
        self.follow(&record);
        self.hub().wake(record.id);
        record
    }
}

/// A bound operation as the books will have it once what was sent is stored.
fn as_sent(
    bound: &OperationRecord,
    attempt: u32,
    bytes: &SignedBytes,
    said: Option<&SentOutcome>,
) -> OperationRecord {
    let mut record = bound.clone();
    if let Some(sent) = record.attempts.iter_mut().find(|known| known.number == attempt) {
        (sent.raw, sent.hash) = (Some(bytes.raw.clone()), Some(bytes.hash));
    }
    if bound.state == OperationState::Prepared {
        record.state = OperationState::Signed;
    }
    record.state = said.and_then(|said| said.after(record.state)).unwrap_or(record.state);
    record
}
