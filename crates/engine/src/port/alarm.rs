//! What a store notices by itself and a person must know at once, whichever call it was noticed in.

use std::sync::Arc;

use countersign_core::trace::Severity;

/// Told at once, on the way of the call that noticed it. Must not block.
pub type Bell = Arc<dyn Fn(Alarm) + Send + Sync>;

/// What was noticed. Each text says it to an operator in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// The store lacks history that this gateway saw. Nothing new is signed until a person has looked.
    HistoryLost(String),
    /// The store holds what none of its functions would have left. Nothing new is signed until a person has looked.
    BooksDamaged(String),
    /// The clocks disagree. Nothing is written until they agree again.
    ClocksDisagree(String),
    /// The store takes this gateway's login or its commands no more. Nothing is done until it does.
    StoreRefuses(String),
    /// The store may forget what it acknowledges, and did not before. Nothing new is signed unless that was accepted.
    StoreWeakened(String),
}

impl Alarm {
    /// The incident's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HistoryLost(_) => "history_lost",
            Self::BooksDamaged(_) => "books_damaged",
            Self::ClocksDisagree(_) => "clocks_disagree",
            Self::StoreRefuses(_) => "store_refuses",
            Self::StoreWeakened(_) => "store_weakened",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::HistoryLost(_) | Self::BooksDamaged(_) => Severity::Critical,
            Self::ClocksDisagree(_) | Self::StoreRefuses(_) | Self::StoreWeakened(_) => {
                Severity::High
            }
        }
    }

    /// The incident's title.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::HistoryLost(_) => "the store has lost history: nothing new is signed",
            Self::BooksDamaged(_) => {
                "the books were changed by another hand: nothing new is signed"
            }
            Self::ClocksDisagree(_) => "the clocks disagree: nothing is signed until they agree",
            Self::StoreRefuses(_) => "the store refuses this gateway: nothing is signed",
            Self::StoreWeakened(_) => "the store may forget what it acknowledges",
        }
    }

    /// What exactly was noticed.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::HistoryLost(text)
        | Self::BooksDamaged(text)
        | Self::ClocksDisagree(text)
        | Self::StoreRefuses(text)
        | Self::StoreWeakened(text)) = self;
        text
    }
}
