//! From a signature to the node. What one wallet signed goes out in the order in which it was signed; while it is stored
//! and sent, the lane commits and signs the next.

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
    /// Stores what was signed and sends it when its turn has come, and then tells who waits.
    pub(crate) fn depart(
        self: &Arc<Self>,
        parcel: Parcel,
        departures: &mut Departures,
        room: Room,
    ) {
        let (engine, place) = (Arc::clone(self), departures.place());
        let step = parcel.rest.step.clone();
        let work = async move {
            let record = engine.store_and_send(&parcel, place).await;
            drop(room);
            parcel.rest.tell(match record {
                Some(record) => Outcome::Finished(Box::new(record)),
                None => Outcome::Open,
            });
        };
        self.ports().clock.spawn(Box::pin(work.instrument(step)));
    }

    /// The operation with its signature; `None` where nothing can be said of it, and somebody else has to go on.
    async fn store_and_send(&self, parcel: &Parcel, place: Place) -> Option<OperationRecord> {
        let Parcel { signed, bound, rest } = parcel;
        let id = signed.operation();
        let Made::Raw(attempt, bytes) = signed.made() else { return None };
        // what is bound makes these very bytes again, whoever goes on with it: one step stores them with the node's word
        if signed.is_determined() && bound.intent.method != Method::SignTransaction {
            let gone = place.turn().await;
            let said = self.send(&rest.setup, bound, bytes).await;
            drop(gone);
            // asked once: its agent waits, and a sweep stores what is not stored
            let stored = self.ports().ledger.signed(id, *attempt, bytes, said.as_ref()).await;
            return match stored {
                Ok(record) => Some(self.departed(record)),
                Err(error) => {
                    tracing::error!(operation = %id, %error, "what was sent is not stored; it will be signed again and is the same");
                    // the hash is true whatever the books say by now
                    let refused = matches!(error, LedgerError::Refused(_));
                    (!refused).then(|| as_sent(bound, *attempt, bytes, said.as_ref()))
                }
            };
        }
        let stored = self.store_signed(id, *attempt, bytes, None).await;
        // also what is not sent lets nobody past those before it
        let gone = place.turn().await;
        let record = stored.map_err(|error| {
            tracing::error!(operation = %id, %error, "a signature is not stored, nothing is sent");
        }).ok()?;
        let said = self.send(&rest.setup, &record, bytes).await;
        drop(gone);
        let record = match said {
            Some(outcome) => self.note_sent(record, *attempt, &outcome).await,
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
    record.state = match (bound.state, said) {
        (OperationState::Prepared, Some(SentOutcome::Accepted)) => OperationState::Broadcast,
        (OperationState::Prepared, Some(SentOutcome::Unknown(_))) => OperationState::Unknown,
        (OperationState::Prepared, None) => OperationState::Signed,
        (state, _) => state,
    };
    record
}
