//! What the calls of a bundle need, each after those before it: `eth_simulateV1`, where a node has it.

use alloy_primitives::Address;
use countersign_core::transaction::TransactionDraft;
use countersign_engine::port::chain::{ChainError, Estimate};
use serde::Deserialize;
use serde_json::json;

use crate::{
    chain::{Call, NodeChain},
    wire::{Answer, Number},
};

/// What no transaction undercuts; one that takes no more gets no refund either.
const GAS_INTRINSIC: u64 = 21_000;

impl NodeChain {
    /// `None` where no node makes such a simulation, or what it says cannot be read: then each call can still be asked for
    /// by itself.
    pub(crate) async fn estimated_in_order(
        &self,
        from: Address,
        drafts: &[TransactionDraft],
    ) -> Result<Option<Vec<Estimate>>, ChainError> {
        // the first call needs what it needs by itself
        if drafts.len() < 2 {
            return Ok(None);
        }
        let calls: Vec<Call<'_>> = drafts.iter().map(|draft| Call::unpriced(from, draft)).collect();
        let block = json!({ "calls": calls });
        let params = json!([{ "blockStateCalls": [block], "validation": false }, "latest"]);
        let question = self.question("eth_simulateV1", &params)?;
        self.nodes
            .ask(&question, |answer| match answer {
                Answer::Error(_) => Ok(None),
                Answer::Result(text) => Ok(read(&text, drafts.len())),
            })
            .await
    }
}

fn read(text: &[u8], count: usize) -> Option<Vec<Estimate>> {
    let [Block { calls }] =
        <[Block; 1]>::try_from(serde_json::from_slice::<Vec<Block>>(text).ok()?).ok()?;
    (calls.len() == count).then(|| calls.into_iter().map(Called::estimate).collect())
}

#[derive(Deserialize)]
struct Block {
    calls: Vec<Called>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called {
    gas_used: Number,
    status: Number,
    #[serde(default)]
    error: Option<Failed>,
}

#[derive(Deserialize, Default)]
struct Failed {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Called {
    fn estimate(self) -> Estimate {
        let Self { gas_used: Number(used), status: Number(status), error } = self;
        if status == 1 {
            return Estimate::Gas(limit(used));
        }
        let Failed { code, message } = error.unwrap_or_default();
        let message = if message.is_empty() { "execution reverted".into() } else { message };
        Estimate::Fails { code, message, data: None }
    }
}

/// The gas used is what is left after refunds, which are at most a fifth (EIP-3529); the limit has to hold all of it.
fn limit(used: u64) -> u64 {
    if used <= GAS_INTRINSIC { used } else { used.saturating_add(used.div_ceil(4)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_own_word_and_refunds_are_counted() {
        let text = br#"[{"number":"0x1","calls":[{"gasUsed":"0x5208","status":"0x1","logs":[]},
            {"gasUsed":"0xc350","status":"0x1"},
            {"gasUsed":"0x1","status":"0x0","error":{"code":3,"message":"execution reverted: no"}}]}]"#;
        let failed =
            Estimate::Fails { code: 3, message: "execution reverted: no".into(), data: None };
        let expected = vec![Estimate::Gas(21_000), Estimate::Gas(62_500), failed];
        assert_eq!(read(text, 3), Some(expected));
        assert_eq!(read(text, 2), None, "an answer to something else");
        assert_eq!(read(b"[]", 0), None);
        assert_eq!(read(b"{}", 3), None);
    }
}
