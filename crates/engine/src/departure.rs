//! From a signature to the node. What one wallet signed goes out in the order in which it was signed; while it is stored
//! and sent, the lane commits and signs the next.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::Instrument as _;

use crate::{
    engine::Engine,
    execute::Rest,
    lane::Outcome,
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

impl Engine {
    /// Stores what was signed and sends it when its turn has come, and then tells who waits.
    pub(crate) fn depart(
        self: &Arc<Self>,
        (signed, rest): (Signed, Rest),
        departures: &mut Departures,
        room: Room,
    ) {
        let (engine, place) = (Arc::clone(self), departures.place());
        let step = rest.step.clone();
        let work = async move {
            let outcome = engine.store_and_send(&rest, &signed, place).await;
            drop(room);
            rest.tell(outcome);
        };
        self.ports().clock.spawn(Box::pin(work.instrument(step)));
    }

    async fn store_and_send(&self, rest: &Rest, signed: &Signed, place: Place) -> Outcome {
        let id = signed.operation();
        let Made::Raw(attempt, bytes) = signed.made() else { return Outcome::Open };
        let stored = self.store_signed(id, *attempt, bytes).await;
        // also what is not sent lets nobody past those before it
        let gone = place.turn().await;
        let record = match stored {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(operation = %id, %error, "a signature is not stored, nothing is sent");
                return Outcome::Open;
            }
        };
        let sent = self.send(&rest.setup, &record, bytes).await;
        drop(gone);
        let record = match sent {
            Some(outcome) => self.note_sent(record, *attempt, &outcome).await,
            None => record,
        };
        self.follow(&record);
        self.hub().wake(record.id);
        Outcome::Finished(Box::new(record))
    }
}
