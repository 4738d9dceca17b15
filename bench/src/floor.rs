//! The least that a signing gateway can do: one hop, one parse, one script in Redis, one signature, one forward.
//!
//! It judges nothing, keeps no record and knows no failure: nobody should use it. What a real gateway costs is told as a
//! multiple of this.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Bytes as Data, Signature, TxKind, U256};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, Uri, body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use k256::ecdsa::SigningKey;
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

use crate::chain::{CHAIN, key};

/// Counts what is spent in a window, and gives out a nonce.
const SCRIPT: &str = r"
local spent = redis.call('HINCRBY', KEYS[1], 'day', ARGV[1])
if spent > tonumber(ARGV[2]) then
  redis.call('HINCRBY', KEYS[1], 'day', -ARGV[1])
  return -1
end
return redis.call('HINCRBY', KEYS[1], 'nonce', 1) - 1
";

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    params: [Draft; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Draft {
    to: Address,
    #[serde(default)]
    value: U256,
    #[serde(default)]
    data: Data,
    gas: U256,
}

struct Floor {
    key: SigningKey,
    redis: MultiplexedConnection,
    script: redis::Script,
    node: Client<HttpConnector, Full<Bytes>>,
    upstream: Uri,
}

/// Serves until it is killed.
pub(crate) async fn serve(address: SocketAddr, upstream: Uri, redis: &str) {
    let redis = redis::Client::open(redis).unwrap();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let floor = Arc::new(Floor {
        key: key(),
        redis: redis.get_multiplexed_async_connection().await.unwrap(),
        script: redis::Script::new(SCRIPT),
        node: Client::builder(TokioExecutor::new()).build(connector),
        upstream,
    });
    let listener = TcpListener::bind(address).await.unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        socket.set_nodelay(true).unwrap();
        let floor = Arc::clone(&floor);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let floor = Arc::clone(&floor);
                async move { Ok::<_, Infallible>(floor.answer(request).await) }
            });
            // a connection that breaks off is its caller's business
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service)
                    .await,
            );
        });
    }
}

impl Floor {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let call: Call<'_> = serde_json::from_slice(&body).unwrap();
        assert_eq!(call.method, "eth_sendTransaction");
        let [draft] = &call.params;
        let mut redis = self.redis.clone();
        let nonce: i64 =
            self.script.key("floor").arg(1).arg(i64::MAX).invoke_async(&mut redis).await.unwrap();
        let raw = self.sign(draft, u64::try_from(nonce).unwrap());
        let forwarded = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x{}"]}}"#,
            hex::encode(&raw)
        );
        let request = Request::post(&self.upstream)
            .header("content-type", "application/json")
            .body(Full::from(forwarded))
            .unwrap();
        let answer = self.node.request(request).await.unwrap();
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        let answer: Answer<'_> = serde_json::from_slice(&answer).unwrap();
        let (id, hash) = (call.id.get(), answer.result.get());
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{hash}}}"#);
        let response = Response::builder().header("content-type", "application/json");
        response.body(Full::from(text)).unwrap()
    }

    fn sign(&self, draft: &Draft, nonce: u64) -> Vec<u8> {
        let transaction = TxEip1559 {
            chain_id: CHAIN,
            nonce,
            gas_limit: draft.gas.to(),
            max_fee_per_gas: 3_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(draft.to),
            value: draft.value,
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: draft.data.clone(),
        };
        let digest = transaction.signature_hash();
        let signature = self.key.sign_prehash_recoverable(digest.as_slice()).unwrap();
        transaction.into_signed(Signature::from(signature)).encoded_2718()
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}
