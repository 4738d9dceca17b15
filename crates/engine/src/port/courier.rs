//! Those who tell people outside what happened. They are never on the way of a request: whoever waits for them is a
//! task of its own, and what they cannot deliver is told again later, or counted and dropped.

use std::fmt;

use async_trait::async_trait;

use crate::notice::{Kind, Notice};

/// One receiver.
#[async_trait]
pub trait Courier: fmt::Debug + Send + Sync {
    /// What the receiver is called in the books: the same over restarts and for every gateway, and no secret.
    fn receiver(&self) -> &str;

    /// Whether it wants to hear of such things.
    fn wants(&self, kind: Kind) -> bool;

    /// Delivers a notice, within seconds. The receiver may have it also where this says that it has not.
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered>;
}

/// It has no acknowledgement. The text is for operators and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub String);
