//! A block and its logs, as a node tells them and as subscriptions tell them on.

use alloy_primitives::{Address, B256, U64};
use countersign_engine::port::{
    Chain,
    chain::{ReadAnswer, ReadCall},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a block has besides its header.
const NOT_OF_HEADER: [&str; 5] =
    ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"];
/// The most bytes of one block's logs.
const LOGS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A block that was seen.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent: B256,
    /// Its header as JSON.
    pub(crate) header: String,
    /// Nothing where nobody asked for them.
    pub(crate) logs: Vec<Log>,
}

/// One log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    /// The log as JSON, without its end and without the word whether it was removed.
    body: String,
}

/// What a log is looked at for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    address: Address,
    topics: Vec<B256>,
    block_hash: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    number: U64,
    hash: B256,
    parent_hash: B256,
}

impl Block {
    /// Asks for a block by its hash; the error says why there is no answer yet.
    pub(crate) async fn fetch(port: &dyn Chain, hash: B256, logs: bool) -> Result<Self, String> {
        let block = ask(port, "eth_getBlockByHash", json!([hash, false])).await?;
        let mut block = Self::read(&block, hash)?;
        if logs {
            let filter = json!([{"blockHash": hash}]);
            block.logs = self::logs(&ask(port, "eth_getLogs", filter).await?, hash)?;
        }
        Ok(block)
    }

    pub(crate) fn bytes(&self) -> usize {
        let logs = self.logs.iter().map(|log| log.body.len());
        logs.fold(self.header.len(), usize::saturating_add)
    }

    fn read(text: &[u8], asked: B256) -> Result<Self, String> {
        let mut header: Map<String, Value> = parse(text)?;
        let link = Value::Object(header.clone());
        let Link { number, hash, parent_hash: parent } =
            serde_json::from_value(link).map_err(|_| "a block of another shape".to_owned())?;
        if hash != asked {
            return Err("another block than was asked for".to_owned());
        }
        for name in NOT_OF_HEADER {
            header.remove(name);
        }
        let header = Value::Object(header).to_string();
        Ok(Self { number: number.to(), hash, parent, header, logs: Vec::new() })
    }
}

fn logs(text: &[u8], block: B256) -> Result<Vec<Log>, String> {
    if text.len() > LOGS_BYTES_MAX {
        return Err("the logs of one block are too long".to_owned());
    }
    let logs: Vec<Map<String, Value>> = parse(text)?;
    logs.into_iter().map(|log| Log::read(log, block)).collect()
}

impl Log {
    fn read(mut log: Map<String, Value>, block: B256) -> Result<Self, String> {
        log.remove("removed");
        let place = Value::Object(log.clone());
        let Place { address, topics, block_hash } =
            serde_json::from_value(place).map_err(|_| "a log of another shape".to_owned())?;
        if block_hash != block {
            return Err("a log of another block".to_owned());
        }
        let text = Value::Object(log).to_string();
        let body = text.strip_suffix('}').unwrap_or(&text).to_owned();
        Ok(Self { address, topics, body })
    }

    /// The log as JSON, with the word whether its block was taken back.
    pub(crate) fn text(&self, is_removed: bool) -> String {
        format!(r#"{},"removed":{is_removed}}}"#, self.body)
    }
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|_| "nothing, or not what was asked for".to_owned())
}

async fn ask(port: &dyn Chain, method: &'static str, params: Value) -> Result<Vec<u8>, String> {
    let call = ReadCall { method, params: params.to_string() };
    match port.read(call).await {
        Ok(ReadAnswer::Result(text)) => Ok(text.to_vec()),
        Ok(ReadAnswer::Error { message, .. }) => Err(message),
        Err(error) => Err(error.to_string()),
    }
}
