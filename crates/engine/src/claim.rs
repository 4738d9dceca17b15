//! Which operations this process is at work on, so that no sweep takes up what is in somebody's hands.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::identity::OperationId;

/// The operations in hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Mutex<HashSet<OperationId>>>);

/// One operation in hand, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Claim {
    operation: OperationId,
    claims: Claims,
}

impl Claims {
    /// Takes an operation in hand; `None` if it is in somebody's hands already.
    pub(crate) fn take(&self, operation: OperationId) -> Option<Claim> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(operation);
        new.then(|| Claim { operation, claims: self.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.operation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_in_one_hand_at_a_time() {
        let claims = Claims::default();
        let operation = OperationId::from_random([1; 16]);
        let claim = claims.take(operation);
        assert!(claim.is_some() && claims.take(operation).is_none());
        drop(claim);
        assert!(claims.take(operation).is_some());
    }
}
