//! What holds whatever bytes come, one function per parser. libFuzzer calls them (`fuzz/` of the repository), and so do
//! the tests, over what it found worth keeping. Only tests and fuzzers see this module.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a panic is a finding")]

use alloy_primitives::B256;
use serde_json::Value;

use crate::{
    endpoint::Endpoint,
    settlement::actual,
    transport::Reply,
    wire::{Answer, Block, Data, NodeError, Number, Receipt, Wei, Word},
    words,
};

pub use crate::{prices::fuzz::price, simulation::fuzz::simulation};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A name and what holds of any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 3] = [("answer", answer), ("simulation", simulation), ("price", price)];

/// Nothing of a node's URL may come back to an agent, whatever the node makes of it.
const SECRET: &str = "SECRETSECRET";

/// The words of an error are cut.
const WORDS_LEN_MAX: usize = 2048;

/// An answer: a result is what another reading finds there, and an error has neither secrets nor controls.
pub fn answer(bytes: &[u8]) {
    let endpoint = Endpoint::parse("http://node/key/SECRETSECRET").unwrap();
    let reply = Reply { status: 200, body: bytes::Bytes::copy_from_slice(bytes) };
    match Answer::read(&reply, 7, &endpoint) {
        Err(_) => {}
        Ok(Answer::Error(error)) => is_clean(&error),
        Ok(answer @ Answer::Result(_)) => {
            let Answer::Result(text) = &answer else { return };
            // a number may be too large for theirs
            let all = serde_json::from_slice::<Value>(bytes);
            if let (Ok(all), Ok(result)) = (all, serde_json::from_slice::<Value>(text)) {
                assert_eq!(all.get("result"), Some(&result));
            }
            is_typed(&answer);
        }
    }
}

fn is_clean(error: &NodeError) {
    assert!(!error.message.contains(char::is_control) && !error.message.contains(SECRET));
    assert!(error.message.chars().count() <= WORDS_LEN_MAX);
    if let Some(data) = &error.data {
        let read = serde_json::from_str::<Value>(data);
        assert!(!data.contains(SECRET) && read.is_ok_and(|data| !shows(&data)), "{data}");
    }
    let _sent = words::sent(error, B256::ZERO);
    let _kinds = (words::is_closed(error), words::is_trouble(error), words::is_revert(error));
}

fn shows(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(SECRET),
        Value::Array(items) => items.iter().any(shows),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains(SECRET) || shows(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A wider quantity holds every narrower one, and a receipt is taken only for what it names.
fn is_typed(answer: &Answer) {
    let number = answer.clone().typed::<Number>().ok().map(|Number(number)| number);
    let wei = answer.clone().typed::<Wei>().ok().map(|Wei(wei)| wei);
    let word = answer.clone().typed::<Word>().ok().map(|Word(word)| word);
    assert!(number.is_none_or(|number| wei == Some(number.into())));
    assert!(wei.is_none_or(|wei| word == Some(alloy_primitives::U256::from(wei))));
    let _rest = (answer.clone().typed::<Data>().is_ok(), answer.clone().typed::<Block>().is_ok());
    if let Ok(receipt) = answer.clone().typed::<Receipt>() {
        let hash = receipt.transaction_hash;
        if let Ok(Some(found)) = actual(&receipt, hash, None) {
            assert_eq!(Some(found.block_number), receipt.block_number.map(|Number(n)| n));
            assert_eq!((found.hash, Some(found.block_hash)), (hash, receipt.block_hash));
        }
        assert!(actual(&receipt, !hash, None).is_err());
    }
}
