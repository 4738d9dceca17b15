//! A call and what it calls, as `callTracer` shows them.

use alloy_primitives::Address;
use serde::Deserialize;

use super::effects::{Effects, Log};
use crate::wire::Word;

/// One call.
#[derive(Deserialize)]
pub(super) struct Frame {
    #[serde(rename = "type")]
    kind: String,
    from: Address,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default)]
    value: Option<Word>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    logs: Vec<Log>,
    #[serde(default)]
    calls: Vec<Frame>,
}

impl Frame {
    /// Whether nothing remains of it.
    pub(super) const fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// What remains of it. JSON is read to a bounded depth, and so is this.
    pub(super) fn tell(&self, effects: &mut Effects) -> Result<(), String> {
        if self.failed() {
            return Ok(());
        }
        // the value of a delegated call is that of its caller once more
        let moves = ["CALL", "CREATE", "CREATE2", "SELFDESTRUCT"].contains(&self.kind.as_str());
        if let (true, Some(to), Some(Word(value))) = (moves, self.to, self.value) {
            effects.payment(self.from, to, value);
        }
        self.logs.iter().try_for_each(|log| effects.log(log))?;
        self.calls.iter().try_for_each(|call| call.tell(effects))
    }
}
