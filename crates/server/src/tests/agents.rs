use countersign_engine::port::Signer as _;
use countersign_engine::port::chain::ReadAnswer;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::house::{AGENT, BASIC, DESK, House, Reply, call, raw, send};

const STRANGER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

fn chain_id() -> String {
    call("eth_chainId", "[]")
}

#[tokio::test]
async fn every_form_of_credential_opens_the_door() {
    let house = House::open().await;
    let bearer = format!("Bearer {AGENT}");
    let path = format!("/k/{AGENT}");
    let path_and_chain = format!("/k/{AGENT}/anvil");
    for (path, credential) in [
        ("/", Some(BASIC)),
        ("/31337", Some(BASIC)),
        ("/anvil", Some(bearer.as_str())),
        (path.as_str(), None),
        (path_and_chain.as_str(), None),
        (path.as_str(), Some(bearer.as_str())),
    ] {
        let headers: Vec<_> =
            credential.map(|value| ("authorization", value)).into_iter().collect();
        let reply = send(house.agents, "POST", path, &headers, &chain_id()).await;
        assert_eq!((reply.status, &reply.json()["result"]), (200, &json!("0x7a69")), "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn no_or_another_credential_is_401_with_a_json_rpc_body() {
    let house = House::open().await;
    let operator = format!("Bearer {DESK}");
    let both = format!("/k/{DESK}");
    for (path, credential) in [
        ("/", None),
        ("/", Some("Bearer wrong-token")),
        ("/", Some("Basic d3Jvbmc=")),
        ("/", Some(operator.as_str())),
        ("/k/wrong-token", None),
        (both.as_str(), Some(BASIC)),
        ("/?token=agent-token", None),
    ] {
        let headers: Vec<_> =
            credential.map(|value| ("authorization", value)).into_iter().collect();
        let body = r#"{"jsonrpc":"2.0","id":"x","method":"eth_chainId"}"#;
        let reply = send(house.agents, "POST", path, &headers, body).await;
        assert_eq!(reply.status, 401, "{path} {credential:?}");
        assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        let json = reply.json();
        assert_eq!((&json["id"], &json["error"]["code"]), (&json!("x"), &json!(4100)));
        assert!(!reply.body.contains("token"), "{}", reply.body);
    }
    let long = format!("\"{}\"", "x".repeat(70_000));
    assert_eq!(send(house.agents, "POST", "/", &[], &long).await.status, 401);
    let batch = format!("[{},{}]", chain_id(), chain_id());
    let reply = send(house.agents, "POST", "/", &[], &batch).await;
    assert_eq!((reply.status, reply.json().as_array().map(Vec::len)), (401, Some(2)));
    house.close().await;
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_from_the_next_request_on() {
    let house = House::open().await;
    assert_eq!(house.post("/", &chain_id()).await.status, 200);
    house.keyring.replace(crate::Credentials::default());
    assert_eq!(house.post("/", &chain_id()).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn what_a_browser_or_a_stray_sends_is_turned_away() {
    let house = House::open().await;
    let own = ("authorization", BASIC);
    for (method, path, header, status) in [
        ("GET", "/", None, 405),
        ("OPTIONS", "/", Some(("origin", "https://evil.example")), 403),
        ("OPTIONS", "/", None, 405),
        ("POST", "/", Some(("content-type", "text/plain")), 415),
        ("POST", "/", Some(("content-type", "application/x-www-form-urlencoded")), 415),
        ("POST", "/", Some(("content-type", "application/jsonx")), 415),
        ("POST", "/", Some(("content-type", "application/json; charset=utf-8")), 200),
        ("POST", "/", Some(("content-encoding", "gzip")), 415),
        ("POST", "/", Some(("content-encoding", "identity")), 415),
        ("POST", "/", Some(("host", "evil.example")), 421),
        ("POST", "/", Some(("host", "127.0.0.1:8555")), 200),
        ("POST", "/", Some(("host", "gateway.test")), 200),
        ("POST", "/", Some(("origin", "https://evil.example")), 403),
        ("POST", "/", Some(("origin", "null")), 403),
        ("POST", "/a/b", None, 404),
        ("POST", "/k/", None, 404),
    ] {
        let headers: Vec<_> = [own].into_iter().chain(header).collect();
        let reply = send(house.agents, method, path, &headers, &chain_id()).await;
        assert_eq!(reply.status, status, "{method} {path} {header:?}: {}", reply.body);
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    house.close().await;
}

#[tokio::test]
async fn malformed_http_is_400_and_the_connection_is_closed() {
    let house = House::open().await;
    let body = chain_id();
    let length = body.len();
    let start = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: {BASIC}\r\n"
    );
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n0\r\n\r\n"),
        format!("content-length: {length}\r\ncontent-length: 5\r\n\r\n{body}"),
        format!("content-length: +{length}\r\n\r\n{body}"),
        format!("x: a\ncontent-length: {length}\r\n\r\n{body}"),
        format!("x: a\r\n b\r\ncontent-length: {length}\r\n\r\n{body}"),
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n".into(),
        format!("x: a\0b\r\ncontent-length: {length}\r\n\r\n{body}"),
        "transfer-encoding: chunked\r\n\r\n10000000000000000\r\n".into(),
        "transfer-encoding: chunked\r\n\r\nzz\r\n\r\n".into(),
        format!("host: localhost\r\ncontent-length: {length}\r\n\r\n{body}"),
    ] {
        let answer = raw(house.agents, format!("{start}{framing}").as_bytes()).await;
        assert_eq!(Reply::parse(&answer).status, 400, "{framing:?}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_body_is_bounded_by_what_it_announces_and_by_what_it_sends() {
    let house = House::open().await;
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(house.post("/", &large).await.status, 413);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: {BASIC}\r\ntransfer-encoding: chunked\r\n\r\n100002\r\n{large}\r\n0\r\n\r\n"
    );
    assert_eq!(Reply::parse(&raw(house.agents, head.as_bytes()).await).status, 413);
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_parsed_is_answered_with_200_and_a_code() {
    let house = House::open().await;
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{feff}{}", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","method":"eth_sendTransaction"}"#, -32700),
        ("{}", -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","Method":"eth_sendTransaction"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"anvil_setBalance","params":[]}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction ","params":[]}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}"#, -32602),
    ] {
        assert_eq!(house.rpc(body).await["error"]["code"], code, "{body}");
    }
    let unknown = house.call("user denied", "[]").await;
    assert!(!unknown["error"]["message"].as_str().unwrap().contains("denied"), "{unknown}");
    assert_eq!(house.post("/1", &chain_id()).await.json()["error"]["code"], -32602);
    house.close().await;
}

#[tokio::test]
async fn ids_are_echoed_and_notifications_get_nothing() {
    let house = House::open().await;
    for id in ["0", "null", "1e400", "9007199254740993", "\"a\\\"b\""] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_chainId"}}"#);
        let reply = house.post("/", &body).await;
        assert!(reply.body.contains(&format!("\"id\":{id},")), "{}", reply.body);
    }
    let silent = r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#;
    let reply = house.post("/", silent).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let send = format!(
        r#"{{"jsonrpc":"2.0","method":"eth_sendTransaction","params":[{{"to":"{STRANGER}"}}]}}"#
    );
    assert_eq!(house.rpc(&send).await["error"]["code"], -32600);
    let batch = house.rpc(&format!("[{silent},{},{send}]", chain_id())).await;
    assert_eq!(batch.as_array().map(Vec::len), Some(2));
    assert!(house.ledger.all().is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_batch_is_answered_in_order() {
    let house = House::open().await;
    let calls: Vec<String> = (0..50)
        .map(|id| match id % 3 {
            0 => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_chainId"}}"#),
            1 => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"nonsense"}}"#),
            _ => "7".to_owned(),
        })
        .collect();
    let answer = house.rpc(&format!("[{}]", calls.join(","))).await;
    let answers = answer.as_array().unwrap();
    assert_eq!(answers.len(), 50);
    for (id, answer) in answers.iter().enumerate() {
        let expected = if id % 3 == 2 { Value::Null } else { json!(id) };
        assert_eq!(answer["id"], expected);
    }
    house.close().await;
}

#[tokio::test]
async fn what_the_gateway_knows_it_answers_itself() {
    let house = House::open().await;
    let own = house.signer.address().to_checksum(None);
    let lower = own.to_lowercase();
    for (method, params, result) in [
        ("eth_accounts", "[]", json!([lower])),
        ("eth_requestAccounts", "null", json!([lower])),
        ("eth_chainId", "[]", json!("0x7a69")),
        ("net_version", "[]", json!("31337")),
        ("health_status", "[]", json!("OK")),
        (
            "wallet_getCapabilities",
            &format!("[\"{own}\"]"),
            json!({"0x7a69": {"atomic": {"status": "unsupported"}}}),
        ),
        ("eth_getTransactionCount", &format!("[\"{own}\",\"pending\"]"), json!("0x0")),
        ("eth_getTransactionCount", &format!("[\"{own}\"]"), json!("0x0")),
    ] {
        assert_eq!(house.call(method, params).await["result"], result, "{method}");
    }
    for (method, params, code) in [
        ("wallet_getCallsStatus", "[\"0x1\"]".to_owned(), 5730),
        ("wallet_getCapabilities", format!("[\"{STRANGER}\"]"), 4100),
        ("countersign_getOperation", "[\"op_00000000000000000000000000000000\"]".into(), -32602),
        ("countersign_getOperation", "[\"nonsense\"]".into(), -32602),
        ("countersign_simulate", "[]".into(), -32602),
        ("countersign_budget", "[1]".into(), -32602),
    ] {
        assert_eq!(house.call(method, &params).await["error"]["code"], code, "{method}");
    }
    assert!(house.call("countersign_budget", "[]").await["result"].is_array());
    house.close().await;
}

#[tokio::test]
async fn reads_are_forwarded_within_their_bounds() {
    let house = House::open().await;
    house.chain.answer_read("eth_call", ReadAnswer::Result("\"0x01\"".into()));
    house.chain.answer_read("eth_getLogs", ReadAnswer::Result("[]".into()));
    let reverted = ReadAnswer::Error {
        code: 3,
        message: "execution reverted: no".into(),
        data: Some("\"0x08c379a0\"".into()),
    };
    house.chain.answer_read("eth_estimateGas", reverted);
    let transaction = format!(r#"{{"to":"{STRANGER}"}}"#);
    let result = house.call("eth_call", &format!("[{transaction},\"latest\"]")).await;
    assert_eq!(result["result"], "0x01");
    let told = house.call("eth_estimateGas", &format!("[{transaction}]")).await["error"].clone();
    let words = json!({"code": 3, "message": "execution reverted: no", "data": "0x08c379a0"});
    assert_eq!(told, words);
    for (method, params) in [
        ("eth_call", format!("[{transaction},\"latest\",{{}}]")),
        ("eth_estimateGas", format!("[{transaction},\"latest\",{{}}]")),
        ("eth_getLogs", r#"[{"fromBlock":"0x0","toBlock":"0x2711"}]"#.to_owned()),
        ("eth_newFilter", r#"[{"fromBlock":"0x0","toBlock":"0x2711"}]"#.to_owned()),
        ("eth_getLogs", r#"[{"fromBlock":"0x00"}]"#.to_owned()),
        ("eth_getFilterChanges", r#"["0x1"]"#.to_owned()),
    ] {
        assert_eq!(house.call(method, &params).await["error"]["code"], -32602, "{params}");
    }
    let nulls = format!("[{transaction},\"latest\",null,null]");
    assert_eq!(house.call("eth_call", &nulls).await["result"], "0x01");
    for params in
        ["[{}]", r#"[{"fromBlock":"0x1","toBlock":"0x2710"}]"#, r#"[{"fromBlock":"earliest"}]"#]
    {
        assert_eq!(house.call("eth_getLogs", params).await["result"], json!([]), "{params}");
    }
    house.chain.set_down(true);
    assert_eq!(house.call("eth_call", "[{}]").await["error"]["code"], -32010);
    house.close().await;
}

#[tokio::test]
async fn a_transaction_that_cannot_be_meant_never_reaches_the_engine() {
    let house = House::open().await;
    let transaction = format!(r#"{{"to":"{STRANGER}","value":"0x1"}}"#);
    let transaction = transaction.replace("{\"to", &format!("{{\"from\":\"{STRANGER}\",\"to"));
    for params in [
        "[]".to_owned(),
        "[null]".into(),
        format!(r#"[{{"to":"{STRANGER}","value":"0x1"}}]"#),
        format!("[{transaction},\"latest\"]"),
        format!("[{transaction},{{}},{{}}]"),
        format!("[{transaction},{{\"nonsense\":1}}]"),
        format!(r#"[{{"to":"{STRANGER}","chainId":"0x1"}}]"#),
        format!(r#"[{{"to":"{STRANGER}","gasLimit":"0x5208"}}]"#),
        r#"[{"to":"0x70997970c51812dc3A010C7d01b50e0d17dc79C8"}]"#.into(),
    ] {
        for method in ["eth_sendTransaction", "eth_signTransaction", "countersign_simulate"] {
            let answer = house.call(method, &params).await;
            assert_eq!(answer["error"]["code"], -32602, "{method} {params}: {answer}");
        }
    }
    assert!(house.ledger.all().is_empty());
    assert_eq!(house.signer.signatures(), 0);
    house.close().await;
}

#[tokio::test]
async fn two_requests_on_one_connection_and_one_that_began_before_the_stop_are_answered() {
    let house = House::open().await;
    let body = chain_id();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: {BASIC}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(house.agents).await.unwrap();
    stream.write_all(format!("{request}{body}").as_bytes()).await.unwrap();
    let mut first = [0_u8; 512];
    let length = stream.read(&mut first).await.unwrap();
    assert!(String::from_utf8_lossy(&first[..length]).contains("0x7a69"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let (first, rest) = body.split_at(10);
    stream.write_all(first.as_bytes()).await.unwrap();
    // the head must have been read before the stop: a fresh connection's answer comes after it
    assert_eq!(house.post("/", &chain_id()).await.status, 200);
    house.begin_to_close();
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut second = String::new();
    stream.read_to_string(&mut second).await.unwrap();
    assert!(second.contains("0x7a69"), "{second}");
    let address = house.agents;
    house.close().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn http_2_is_spoken_without_negotiation() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let house = House::open().await;
    let stream = TcpStream::connect(house.agents).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/", house.agents))
        .header("authorization", BASIC)
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(chain_id())))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("0x7a69"));
    drop(sender);
    driver.await.unwrap().unwrap();
    house.close().await;
}
