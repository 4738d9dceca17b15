//! A response body that knows whether it was handed over.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use countersign_engine::submission::Receipt;
use http_body::{Body, Frame, SizeHint};

/// Bytes with the receipts of the answers in them. Given to the connection, the answers count as
/// delivered; dropped before, they stay owed to the agent.
#[derive(Debug)]
pub(crate) struct Parcel {
    bytes: Option<Bytes>,
    receipts: Vec<Receipt>,
}

impl Parcel {
    pub(crate) fn new(bytes: impl Into<Bytes>, receipts: Vec<Receipt>) -> Self {
        Self { bytes: Some(bytes.into()), receipts }
    }

    /// An answer, or none where only notifications came.
    pub(crate) fn of(text: Option<String>, receipts: Vec<Receipt>) -> Self {
        Self { bytes: text.map(Bytes::from), receipts }
    }

    /// Whether there is nothing to say.
    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_none()
    }

    /// The bytes, and what to call once they were handed over.
    pub(crate) fn open(self) -> (Option<Bytes>, Vec<Receipt>) {
        (self.bytes, self.receipts)
    }
}

impl Body for Parcel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.bytes.take().map(|bytes| Ok(Frame::data(bytes)));
        self.receipts.drain(..).for_each(Receipt::handed_over);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use countersign_engine::submission::Handover;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn only_a_body_that_was_taken_counts_as_delivered() {
        let lost = Arc::new(AtomicUsize::new(0));
        let receipt = || {
            let lost = lost.clone();
            Receipt::new(move |handover| {
                let is_lost = usize::from(handover == Handover::Lost);
                lost.fetch_add(is_lost, Ordering::SeqCst);
            })
        };
        let taken = Parcel::new("x", vec![receipt(), receipt()]).collect().await.unwrap();
        assert_eq!((taken.to_bytes(), lost.load(Ordering::SeqCst)), ("x".into(), 0));
        drop(Parcel::new("x", vec![receipt(), receipt()]));
        assert_eq!(lost.load(Ordering::SeqCst), 2);
    }
}
