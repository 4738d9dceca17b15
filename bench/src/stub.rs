//! A node that does next to nothing: what is left of a send is what stands before it.
//!
//! It takes any raw transaction, names its hash, and mines all that it has once in a while. It verifies nothing.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{B256, keccak256};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::net::TcpListener;

use crate::chain::{CHAIN, wallet};

/// What the chain has.
#[derive(Default)]
struct Chain {
    /// In which block each transaction is; 0 for one that waits.
    mined_in: HashMap<B256, u64>,
    /// By block, from 1 on.
    blocks: Vec<Vec<B256>>,
    waiting: Vec<B256>,
}

#[derive(Deserialize)]
struct Call<'a> {
    id: &'a RawValue,
    #[serde(borrow)]
    method: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Serves until it is killed.
pub(crate) async fn serve(address: SocketAddr, block_time: Duration) {
    let chain: Arc<Mutex<Chain>> = Arc::default();
    let mining = Arc::clone(&chain);
    tokio::spawn(async move {
        let mut clock = tokio::time::interval(block_time);
        loop {
            clock.tick().await;
            mining.lock().unwrap().mine();
        }
    });
    let listener = TcpListener::bind(address).await.unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        let chain = Arc::clone(&chain);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&chain)));
            // a connection that breaks off is its caller's business
            drop(
                hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(socket), service)
                    .await,
            );
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    chain: Arc<Mutex<Chain>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = if body.first() == Some(&b'[') {
        let calls: Vec<Call<'_>> = serde_json::from_slice(&body).unwrap_or_default();
        let all: Vec<String> = calls.iter().map(|call| said(call, &chain)).collect();
        format!("[{}]", all.join(","))
    } else {
        match serde_json::from_slice::<Call<'_>>(&body) {
            Ok(call) => said(&call, &chain),
            Err(_) => r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#.into(),
        }
    };
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::from(text)).unwrap())
}

fn said(call: &Call<'_>, chain: &Mutex<Chain>) -> String {
    let id = call.id.get();
    match result(call, chain) {
        Some(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        None => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
        ),
    }
}

fn result(call: &Call<'_>, chain: &Mutex<Chain>) -> Option<String> {
    let params = call.params.map_or("[]", RawValue::get);
    Some(match call.method.as_ref() {
        "eth_sendRawTransaction" => {
            let [raw]: [&str; 1] = serde_json::from_str(params).ok()?;
            let bytes = hex::decode(raw.strip_prefix("0x")?).ok()?;
            let hash = keccak256(bytes);
            chain.lock().unwrap().take(hash);
            format!("\"{hash:#x}\"")
        }
        "eth_chainId" => format!("\"{CHAIN:#x}\""),
        "eth_blockNumber" => format!("\"{:#x}\"", chain.lock().unwrap().blocks.len()),
        "eth_gasPrice" | "eth_maxPriorityFeePerGas" => "\"0x3b9aca00\"".into(),
        "eth_estimateGas" => "\"0x5208\"".into(),
        "eth_getBalance" => "\"0xffffffffffffffffffffffffffff\"".into(),
        "eth_getCode" | "eth_call" => "\"0x\"".into(),
        "web3_clientVersion" => "\"stub\"".into(),
        "eth_getTransactionCount" => {
            let chain = chain.lock().unwrap();
            let pending = params.contains("pending");
            let mined = chain.mined_in.len() - chain.waiting.len();
            format!("\"{:#x}\"", if pending { chain.mined_in.len() } else { mined })
        }
        "eth_getTransactionReceipt" => {
            let [hash]: [B256; 1] = serde_json::from_str(params).ok()?;
            chain.lock().unwrap().receipt(hash).to_string()
        }
        "eth_getBlockByNumber" => {
            let (tag, _): (String, bool) = serde_json::from_str(params).ok()?;
            let chain = chain.lock().unwrap();
            let newest = chain.blocks.len() as u64;
            let number = match tag.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                None => newest,
            };
            chain.block(number).to_string()
        }
        _ => return None,
    })
}

fn hash_of(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

impl Chain {
    fn take(&mut self, hash: B256) {
        if self.mined_in.insert(hash, 0).is_none() {
            self.waiting.push(hash);
        }
    }

    fn mine(&mut self) {
        let block = std::mem::take(&mut self.waiting);
        let number = self.blocks.len() as u64 + 1;
        for hash in &block {
            self.mined_in.insert(*hash, number);
        }
        self.blocks.push(block);
    }

    fn block(&self, number: u64) -> Value {
        let transactions = match number {
            0 => &[][..],
            n => match self.blocks.get(n as usize - 1) {
                Some(block) => block,
                None => return Value::Null,
            },
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({
            "number": format!("{number:#x}"),
            "hash": hash_of(number),
            "parentHash": hash_of(number.saturating_sub(1)),
            "timestamp": format!("{now:#x}"),
            "gasLimit": "0x1c9c380",
            "gasUsed": "0x0",
            "baseFeePerGas": "0x3b9aca00",
            "transactions": transactions,
        })
    }

    fn receipt(&self, hash: B256) -> Value {
        let number = match self.mined_in.get(&hash) {
            Some(number) if *number > 0 => *number,
            Some(_) | None => return Value::Null,
        };
        json!({
            "transactionHash": hash,
            "from": wallet(),
            "blockHash": hash_of(number),
            "blockNumber": format!("{number:#x}"),
            "status": "0x1",
            "gasUsed": "0x5208",
            "effectiveGasPrice": "0x77359400",
            "logs": [],
        })
    }
}
