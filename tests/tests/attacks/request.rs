//! From a vector's request to an answer.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use countersign_tests::{
    binary,
    http::{self, Raw, Reply},
    rpc,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    books,
    scene::Scene,
    vector::{At, Each, Piece, Request, Text},
    words::Words,
};

/// How long a raw socket may be silent before we look at what came.
const QUIET: Duration = Duration::from_millis(1500);

/// What came back.
#[derive(Debug)]
pub(crate) enum Got {
    Answer(Reply),
    Socket(Raw),
    /// No answer: the connection broke, or we hung up.
    Nothing(String),
    /// What the node itself says, or Redis itself, or the books; or nothing, where something was done.
    Fact(Value),
    /// The node's own refusal, or Redis's.
    Refused(String),
    /// What a command said.
    Said(binary::Said),
}

impl Text {
    fn bytes(&self, words: &Words) -> Bytes {
        match self {
            Self::Plain(text) => words.spell(text).into(),
            Self::Pieces(pieces) => {
                pieces.iter().flat_map(|piece| piece.bytes(words)).collect::<Vec<_>>().into()
            }
        }
    }
}

impl Piece {
    fn bytes(&self, words: &Words) -> Vec<u8> {
        match self {
            Self::Plain(text) => words.spell(text).into_bytes(),
            Self::Repeat { repeat, times } => words.spell(repeat).repeat(*times).into_bytes(),
            Self::Bytes { hex } => hex::decode(hex).expect("hex"),
            Self::Frame { frame, of, times } => {
                let first = hex::decode(frame).expect("hex");
                masked(&first, &words.spell(of)).repeat(*times)
            }
        }
    }
}

/// A frame with a mask that changes nothing.
fn masked(first: &[u8], payload: &str) -> Vec<u8> {
    let length = match payload.len() {
        short @ ..126 => vec![0x80 | u8::try_from(short).expect("a short length")],
        long => {
            let long = u64::try_from(long).expect("a length").to_be_bytes();
            [&[0xff], long.as_slice()].concat()
        }
    };
    [first, &length, &[0; 4], payload.as_bytes()].concat()
}

impl Request {
    /// Which gateway is asked by the request of that number.
    fn gateway(&self, scene: &Scene, number: usize) -> usize {
        match self.at {
            At::One(gateway) => gateway,
            At::Each(Each::Each) => number.checked_rem(scene.gateways()).expect("a gateway"),
        }
    }

    /// Whether it is done to the world, not asked of it.
    const fn is_act(&self) -> bool {
        self.line.is_some() || self.redis.is_some() || self.edit.is_some() || self.gateway.is_some()
    }
}

/// Does it to the world, if that is what it is; what Redis said, where it was asked.
pub(crate) async fn act(scene: &mut Scene, request: &Request, words: &Words) -> Option<Got> {
    let gateway = request.gateway(scene, 0);
    if let Some(line) = request.line {
        scene.set_line(line);
    }
    if let Some((name, from, to)) = &request.edit {
        scene.edit(gateway, (name, &words.spell(from), &words.spell(to)));
    }
    if let Some(lot) = request.gateway {
        let code = scene.befall(gateway, lot).await;
        return Some(Got::Fact(json!({"exit": code})));
    }
    if let Some(command) = &request.redis {
        let command: Vec<String> = command.iter().map(|word| words.spell(word)).collect();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        return Some(scene.ask_redis(&command).await.map_or_else(Got::Refused, Got::Fact));
    }
    request.is_act().then_some(Got::Fact(Value::Null))
}

/// Sends it and returns what came back; `number` counts those that are sent together.
pub(crate) async fn send(scene: &Scene, request: &Request, words: &Words, number: usize) -> Got {
    let gateway = request.gateway(scene, number);
    if request.books {
        return books::read(scene).await.map_or_else(Got::Nothing, Got::Fact);
    }
    if let Some((method, params)) = &request.node {
        return ask_node(scene, method, &words.spell_json(params)).await;
    }
    if let Some(arguments) = &request.command {
        let arguments = arguments.iter().map(|word| words.spell(word)).collect();
        return Got::Said(scene.run(gateway, arguments).await);
    }
    if let Some((method, path, body)) = &request.operator {
        let operator = scene.operator(request.who.as_deref().unwrap_or("alice"), gateway);
        let path = words.spell(path);
        let reply = match method.as_str() {
            "GET" => operator.get(&path).await,
            "POST" => {
                let lines = request.headers.iter().map(|(name, value)| (&**name, &**value));
                let lines: Vec<(&str, &str)> = lines.collect();
                operator.post_with(&lines, &path, &words.spell_json(body)).await
            }
            other => panic!("no such operator's request: {other}"),
        };
        return Got::Answer(reply);
    }
    if let Some(text) = &request.socket {
        let address = scene.gateway(gateway).addresses.rpc;
        return Got::Socket(http::raw(address, &text.bytes(words), QUIET).await);
    }
    let agent = scene.agent(request.who.as_deref().unwrap_or("bot"), gateway);
    post(&agent, request, words).await
}

async fn ask_node(scene: &Scene, method: &str, params: &Value) -> Got {
    let body = rpc::envelope(method, params).to_string();
    let reply = http::post(scene.world.anvil.address(), "/", &[], body).await;
    match rpc::answer(&reply.json()) {
        Ok(result) => Got::Fact(result),
        Err(error) => Got::Refused(error.message),
    }
}

async fn post(agent: &rpc::Agent, request: &Request, words: &Words) -> Got {
    let own = request.headers.iter().map(|(name, value)| (name.clone(), words.spell(value)));
    let mut headers: BTreeMap<String, String> = own.collect();
    let bare_path = request.path.is_some();
    headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    if !bare_path {
        headers.entry("authorization".to_owned()).or_insert(agent.basic());
    }
    let path = words.spell(request.path.as_deref().unwrap_or("/"));
    let lines: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let bytes = body(request, words);
    if request.hang_up {
        return hang_up(agent, &lines, &bytes).await;
    }
    let (address, head) = (agent.address, http::request("POST", agent.address, &path, &lines));
    if request.aside {
        tokio::spawn(async move { http::try_send(address, &head, bytes).await });
        return Got::Nothing("not waited for".to_owned());
    }
    http::try_send(agent.address, &head, bytes).await.map_or_else(Got::Nothing, Got::Answer)
}

/// The body of a request that is not given as a socket's bytes.
fn body(request: &Request, words: &Words) -> Bytes {
    let call = request.call.as_ref().map(|(method, params)| rpc::envelope(method, params));
    let transaction = request.transaction.as_ref();
    let transaction = transaction.map(|it| rpc::envelope("eth_sendTransaction", &json!([it])));
    if let Some(text) = &request.body {
        return text.bytes(words);
    }
    let json = call.or(transaction).or_else(|| request.json.clone()).expect("something to send");
    words.spell_json(&json).to_string().into()
}

/// Writes a request and goes away before the answer.
async fn hang_up(agent: &rpc::Agent, lines: &[(&str, &str)], body: &[u8]) -> Got {
    let head = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>();
    let host = agent.address;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\n{}content-length: {}\r\n\r\n",
        head.concat(),
        body.len()
    );
    let mut stream = TcpStream::connect(agent.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("a written head");
    stream.write_all(body).await.expect("a written body");
    Got::Nothing("hung up".to_owned())
}
