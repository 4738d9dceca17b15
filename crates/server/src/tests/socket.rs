//! The agents' door over WebSocket, with a client of the same library and one that writes its bytes itself.

use countersign_engine::port::Signer as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use super::house::{AGENT, BASIC, DESK, House, call, raw};

const PAYEE: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
/// At 1000 USD for one ETH: within what is allowed, and above what needs a person.
const SMALL: &str = "0x38d7ea4c68000";
const LARGE: &str = "0x2c68af0bb140000";

type Headers<'h> = &'h [(&'static str, &'h str)];

/// A client.
struct Line(WebSocketStream<TcpStream>);

impl Line {
    async fn open(house: &House) -> Self {
        Self::open_with(house, "/", &[("authorization", BASIC)]).await.unwrap()
    }

    /// The status of the refusal, where there is one.
    async fn open_with(house: &House, path: &str, headers: Headers<'_>) -> Result<Self, u16> {
        let mut request = format!("ws://{}{path}", house.agents).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(house.agents).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ask(&mut self, text: impl Into<String>) -> Value {
        self.say(text).await;
        self.hear().await
    }

    async fn call(&mut self, method: &str, params: &str) -> Value {
        self.ask(call(method, params)).await
    }

    /// The code and the reason with which the gateway ends it.
    async fn end(mut self) -> (u16, String) {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn transfer(house: &House, value: &str) -> String {
    format!(r#"{{"from":"{}","to":"{PAYEE}","value":"{value}"}}"#, house.signer.address())
}

fn numbered(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

#[tokio::test]
async fn every_form_of_credential_opens_it_at_the_upgrade_and_nothing_else_does() {
    let house = House::open().await;
    let (bearer, operator) = (format!("Bearer {AGENT}"), format!("Bearer {DESK}"));
    let (path, query) = (format!("/k/{AGENT}/anvil"), format!("/?token={AGENT}"));
    let own = ("authorization", BASIC);
    for (path, headers, status) in [
        ("/", vec![own], 101),
        ("/31337", vec![("authorization", bearer.as_str())], 101),
        (path.as_str(), vec![], 101),
        ("/", vec![], 401),
        ("/", vec![("authorization", operator.as_str())], 401),
        (query.as_str(), vec![], 401),
        ("/k/wrong", vec![], 401),
        ("/a/b", vec![own], 404),
        ("/", vec![own, ("host", "evil.example")], 421),
        ("/", vec![own, ("origin", "https://evil.example")], 403),
        ("/", vec![own, ("origin", "null")], 403),
        ("/", vec![own, ("idempotency-key", "k")], 400),
        ("/", vec![own, ("sec-websocket-version", "8")], 426),
    ] {
        match Line::open_with(&house, path, &headers).await {
            Ok(mut line) => {
                assert_eq!(status, 101, "{path} {headers:?}");
                assert_eq!(line.call("eth_chainId", "[]").await["result"], "0x7a69");
            }
            Err(refused) => assert_eq!(refused, status, "{path} {headers:?}"),
        }
    }
    house.close().await;
}

#[tokio::test]
async fn what_is_sent_behind_an_upgrade_without_a_credential_is_never_read() {
    let house = House::open().await;
    let send = call("eth_sendTransaction", &format!("[{}]", transfer(&house, SMALL)));
    let head = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend([0x81, 0xfe]);
    bytes.extend(u16::try_from(send.len()).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(send.as_bytes());
    let answer = raw(house.agents, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(house.signer.signatures(), 0);
    house.close().await;
}

#[tokio::test]
async fn calls_batches_and_mistakes_are_answered_as_over_http() {
    let house = House::open().await;
    let mut line = Line::open(&house).await;
    let bodies = [
        call("eth_chainId", "[]"),
        call("eth_accounts", "[]"),
        call("anvil_setBalance", "[]"),
        call("eth_call", "[1,2,3,4]"),
        format!("[{},{},7]", call("eth_chainId", "[]"), call("nonsense", "[]")),
        "[]".into(),
        "{".into(),
        String::new(),
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","extra":1}"#.into(),
        call("eth_sendTransaction", &format!("[{}]", transfer(&house, SMALL))),
        call("eth_sendTransaction", &format!("[{}]", transfer(&house, LARGE))),
    ];
    for body in bodies {
        assert_eq!(line.ask(body.as_str()).await, house.rpc(&body).await, "{body}");
    }
    assert_eq!(house.signer.signatures(), 1, "the same call over HTTP was its repetition");
    // bytes are read as text is, and a notification is not answered
    line.say(r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await;
    let bytes = call("net_version", "[]").into_bytes();
    line.0.send(Message::binary(bytes)).await.unwrap();
    assert_eq!(line.hear().await["result"], "31337");
    house.close().await;
}

#[tokio::test]
async fn a_held_send_does_not_stop_what_comes_after_it() {
    let house = House::open().await;
    let headers = [("authorization", BASIC), ("prefer", "wait=60")];
    let mut line = Line::open_with(&house, "/", &headers).await.unwrap();
    let params = format!("[{}]", transfer(&house, LARGE));
    line.say(numbered(1, "eth_sendTransaction", &params)).await;
    assert_eq!(line.ask(numbered(2, "eth_chainId", "[]")).await["id"], 2);
    let id = loop {
        let inbox = house.desk("GET", "/pending-operations", "").await.json();
        if let Some(id) = inbox["items"][0]["id"].as_str() {
            break id.to_owned();
        }
        tokio::task::yield_now().await;
    };
    let reject = format!("/pending-operations/{id}/reject");
    assert_eq!(house.desk("POST", &reject, r#"{"reason":"no"}"#).await.status, 200);
    let answer = line.hear().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(4001)), "{answer}");
    house.close().await;
}

#[tokio::test]
async fn what_the_upgrade_says_holds_for_every_call_that_does_not_say_otherwise() {
    let house = House::open().await;
    let headers = [("authorization", BASIC), ("countersign-session", "run-1")];
    let mut line = Line::open_with(&house, "/", &headers).await.unwrap();
    for (beside, session) in [("{}", "run-1"), (r#"{"session":"run-2"}"#, "run-2")] {
        let params = format!("[{},{beside}]", transfer(&house, "0x853a0d2313c0000"));
        let denied = line.call("eth_sendTransaction", &params).await;
        let hash = denied["error"]["data"]["trace_hash"].as_str().unwrap();
        let trace = house.desk("GET", &format!("/apps/default/traces/{hash}"), "").await.json();
        assert!(trace.to_string().contains(session), "{trace}");
    }
    house.close().await;
}

#[tokio::test]
async fn an_answer_that_a_lost_connection_did_not_take_stays_owed() {
    let house = House::open().await;
    let headers = [("authorization", BASIC), ("prefer", "wait=60")];
    let mut line = Line::open_with(&house, "/", &headers).await.unwrap();
    let params = format!("[{}]", transfer(&house, LARGE));
    line.say(call("eth_sendTransaction", &params)).await;
    let parked = loop {
        let inbox = house.desk("GET", "/pending-operations", "").await.json();
        if inbox["items"] != json!([]) {
            break inbox["items"][0].clone();
        }
        tokio::task::yield_now().await;
    };
    drop(line);
    let (id, digest) = (parked["id"].as_str().unwrap(), &parked["digest"]);
    let approve = format!("/pending-operations/{id}/approve");
    let yes = house.desk("POST", &approve, &json!({"digest": digest}).to_string()).await;
    assert_eq!(yes.status, 200, "{}", yes.body);
    let mut again = Line::open_with(&house, "/", &headers).await.unwrap();
    let collected = again.call("eth_sendTransaction", &params).await;
    assert!(collected["result"].is_string(), "{collected}");
    assert_eq!(house.signer.signatures(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_credential_that_is_withdrawn_ends_its_connections() {
    let house = House::open().await;
    let (mut busy, idle) = (Line::open(&house).await, Line::open(&house).await);
    assert_eq!(busy.call("eth_chainId", "[]").await["result"], "0x7a69");
    house.keyring.replace(crate::Credentials::default());
    for line in [busy, idle] {
        assert_eq!(line.end().await.0, 1008);
    }
    assert_eq!(Line::open_with(&house, "/", &[("authorization", BASIC)]).await.err(), Some(401));
    house.close().await;
}

#[tokio::test]
async fn the_stop_lets_calls_end_and_says_goodbye() {
    let house = House::open().await;
    let headers = [("authorization", BASIC), ("prefer", "wait=1")];
    let mut line = Line::open_with(&house, "/", &headers).await.unwrap();
    let params = format!("[{}]", transfer(&house, LARGE));
    line.say(numbered(7, "eth_sendTransaction", &params)).await;
    // it has been read once another call that came later is answered
    assert_eq!(line.ask(numbered(8, "eth_chainId", "[]")).await["id"], 8);
    house.begin_to_close();
    let answer = line.hear().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32002)), "{answer}");
    assert_eq!(line.end().await, (1001, "the gateway stops".into()));
    house.close().await;
}

/// A masked frame with these first bits.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            bytes.push(0xff);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn what_floods_or_breaks_the_protocol_is_told_so_and_cut() {
    let house = House::open().await;
    let endless = [frame(0x01, b"x"), frame(0x00, b"").repeat(1_000_000)].concat();
    let mut long = vec![0x81, 0xff];
    long.extend((64_u64 << 20).to_be_bytes());
    long.extend([0; 4]);
    for (name, bytes, code) in [
        ("a million fragments", endless, 1008),
        ("a frame of 64 MiB", long, 1009),
        (
            "a message in parts of more than 1 MiB",
            [frame(0x01, &vec![b' '; 900_000]), frame(0x80, &vec![b' '; 900_000])].concat(),
            1009,
        ),
        ("a flood of pings", frame(0x89, b"").repeat(5000), 1008),
        ("a flood of pongs", frame(0x8a, b"").repeat(5000), 1008),
        ("a compressed message", frame(0xc1, b"x"), 1002),
        ("bytes inside of a text", [frame(0x01, b"{"), frame(0x82, b"}")].concat(), 1002),
        ("an unmasked frame", vec![0x81, 0x01, b'x'], 1002),
        ("an unknown opcode", frame(0x83, b""), 1002),
        ("a text that is not UTF-8", frame(0x81, &[0xff, 0xfe]), 1007),
    ] {
        let mut line = Line::open(&house).await;
        let stream = line.0.get_mut();
        // the gateway may have closed before everything is written
        let _cut = stream.write_all(&bytes).await;
        assert_eq!(line.end().await.0, code, "{name}");
    }
    // the longest message that HTTP takes as a body, in the most fragments
    let text = call("eth_chainId", "[]");
    let padded = format!("{text}{}", " ".repeat((1 << 20) - text.len()));
    let mut line = Line::open(&house).await;
    assert_eq!(line.ask(padded).await["result"], "0x7a69");
    house.close().await;
}

#[tokio::test]
async fn an_agent_has_a_bounded_number_of_connections() {
    let house = House::open().await;
    let mut lines = Vec::new();
    let refused = loop {
        match Line::open_with(&house, "/", &[("authorization", BASIC)]).await {
            Ok(line) => lines.push(line),
            Err(status) => break status,
        }
    };
    assert_eq!((refused, lines.len()), (429, 64));
    assert_eq!(house.call("eth_chainId", "[]").await["result"], "0x7a69");
    let mut last = lines.pop().unwrap();
    last.0.close(None).await.unwrap();
    while last.0.next().await.is_some() {}
    // the place is free when the gateway has seen the end
    while Line::open_with(&house, "/", &[("authorization", BASIC)]).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(lines);
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_asked_and_then_cut_and_who_says_it_too_slowly_is_cut_sooner() {
    let house = House::open().await;
    let mut slow = Line::open(&house).await;
    let partly = &frame(0x81, b"{}")[..3];
    slow.0.get_mut().write_all(partly).await.unwrap();
    assert_eq!(slow.end().await, (1008, "a message did not arrive in time".into()));
    // a client that answers pings stays, however little it has to say
    let mut present = Line::open(&house).await;
    let mut silent = Line::open(&house).await;
    let gone = async {
        let mut bytes = Vec::new();
        silent.0.get_mut().read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes[..2], [0x89, 0x00], "a ping");
        assert_eq!(bytes[2..6], [0x88, u8::try_from(bytes.len() - 4).unwrap(), 0x03, 0xf0]);
    };
    tokio::select! {
        () = gone => {}
        message = async {
            while let Some(Ok(Message::Ping(_))) = present.0.next().await {}
        } => panic!("{message:?}"),
    }
    assert_eq!(present.call("eth_chainId", "[]").await["result"], "0x7a69");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn who_listens_to_a_chain_that_nobody_sees_any_more_is_told_so() {
    let house = House::open().await;
    house.chain.mine();
    let mut line = Line::open(&house).await;
    subscribe(&mut line, r#"["newHeads"]"#).await;
    house.chain.set_down(true);
    assert_eq!(line.end().await.0, 1011);
    house.chain.set_down(false);
    let mut again = Line::open(&house).await;
    subscribe(&mut again, r#"["newHeads"]"#).await;
    house.chain.mine();
    assert_eq!(again.hear().await["params"]["result"]["number"], "0x2");
    house.close().await;
}

async fn subscribe(line: &mut Line, params: &str) -> String {
    let answer = line.call("eth_subscribe", params).await;
    answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn heads_and_logs_are_told_to_those_who_subscribed_and_taken_back_after_a_reorg() {
    let house = House::open().await;
    house.chain.mine();
    let mut line = Line::open(&house).await;
    let (token, topic) =
        (alloy_primitives::Address::repeat_byte(9), alloy_primitives::B256::repeat_byte(7));
    let heads = subscribe(&mut line, r#"["newHeads"]"#).await;
    let filter = format!(r#"["logs",{{"address":"{token:#x}","topics":["{topic}"]}}]"#);
    let logs = subscribe(&mut line, &filter).await;
    let none = subscribe(&mut line, &format!(r#"["logs",{{"topics":[null,"{topic}"]}}]"#)).await;
    assert!(heads != logs && logs != none && heads.len() == 34, "{heads} {logs}");
    house.chain.log(token, &[topic]);
    house.chain.log(token, &[]);
    house.chain.mine();
    let told = line.hear().await;
    assert_eq!(told["method"], "eth_subscription");
    assert_eq!(
        (&told["params"]["subscription"], &told["params"]["result"]["number"]),
        (&json!(heads), &json!("0x2"))
    );
    let told = line.hear().await["params"].clone();
    assert_eq!((&told["subscription"], &told["result"]["removed"]), (&json!(logs), &json!(false)));
    house.chain.reorg(1);
    house.chain.mine();
    let told = line.hear().await["params"].clone();
    assert_eq!((&told["subscription"], &told["result"]["removed"]), (&json!(logs), &json!(true)));
    assert_eq!(line.hear().await["params"]["result"]["number"], "0x2");
    // who has left hears nothing more, and nobody ends what is another's
    let mut other = Line::open(&house).await;
    let end = format!("[\"{heads}\"]");
    assert_eq!(other.call("eth_unsubscribe", &end).await["error"]["code"], -32602);
    assert_eq!(line.call("eth_unsubscribe", &end).await["result"], true);
    assert_eq!(line.call("eth_unsubscribe", &end).await["error"]["code"], -32602);
    house.chain.log(token, &[topic]);
    house.chain.mine();
    assert_eq!(line.hear().await["params"]["subscription"], logs);
    house.close().await;
}

#[tokio::test]
async fn subscriptions_are_bounded_and_other_peoples_transactions_are_not_told() {
    let house = House::open().await;
    house.chain.mine();
    let mut line = Line::open(&house).await;
    let pending = r#"["newPendingTransactions"]"#;
    assert_eq!(line.call("eth_subscribe", pending).await["error"]["code"], -32602);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..32 {
        ids.insert(subscribe(&mut line, r#"["newHeads"]"#).await);
    }
    assert_eq!(ids.len(), 32);
    let refused = line.call("eth_subscribe", r#"["newHeads"]"#).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    house.chain.set_down(true);
    let mut other = Line::open(&house).await;
    assert_eq!(
        other.call("eth_subscribe", r#"["newHeads"]"#).await["result"].as_str().map(str::len),
        Some(34)
    );
    for method in ["eth_subscribe", "eth_unsubscribe"] {
        let over_http = house.call(method, r#"["newHeads"]"#).await;
        assert_eq!(over_http["error"]["code"], -32601, "{over_http}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_subscription_to_a_chain_that_nobody_sees_is_refused_and_may_be_repeated() {
    let house = House::open().await;
    house.chain.mine();
    house.chain.set_down(true);
    let mut line = Line::open(&house).await;
    assert_eq!(line.call("eth_subscribe", r#"["newHeads"]"#).await["error"]["code"], -32010);
    house.chain.set_down(false);
    subscribe(&mut line, r#"["newHeads"]"#).await;
    house.chain.mine();
    assert_eq!(line.hear().await["params"]["result"]["number"], "0x2");
    house.close().await;
}

/// Time goes on by itself wherever everybody waits for it.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_news_is_cut_and_costs_the_others_nothing() {
    const LOGS: usize = 2000;
    let house = House::open().await;
    house.chain.mine();
    let (mut deaf, mut other) = (Line::open(&house).await, Line::open(&house).await);
    subscribe(&mut other, r#"["newHeads"]"#).await;
    for _ in 0..32 {
        subscribe(&mut deaf, r#"["logs"]"#).await;
    }
    // more than the system's buffers take
    for _ in 0..LOGS {
        house.chain.log(alloy_primitives::Address::ZERO, &[alloy_primitives::B256::ZERO; 4]);
    }
    for number in 2..40_u64 {
        house.chain.mine();
        assert_eq!(other.hear().await["params"]["result"]["number"], format!("{number:#x}"));
    }
    let mut told = 0;
    while let Some(Ok(message)) = deaf.0.next().await {
        assert!(!message.is_close(), "it could not be told");
        told += 1;
    }
    assert!(told < 32 * LOGS, "{told}");
    house.close().await;
}
