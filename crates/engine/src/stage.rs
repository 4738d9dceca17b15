//! Proof tokens: each is made by one arrow of DESIGN §2 and taken by the next.

use countersign_core::identity::OperationId;

/// The right to one signature over one payload. Made from a committed reservation only.
#[derive(Debug)]
#[must_use]
pub struct Authorized<P> {
    operation: OperationId,
    attempt: u32,
    payload: P,
}

impl<P> Authorized<P> {
    /// Exactly what may be signed.
    #[must_use]
    pub const fn payload(&self) -> &P {
        &self.payload
    }

    /// The operation that the signature belongs to.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }

    /// The attempt of that operation.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}
