//! From a vector's request to an answer.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use countersign_tests::{
    World,
    config::{PAYEE, STRANGER, TOKEN},
    http::{self, Raw, Reply},
    rpc,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::vector::{Piece, Request, Text};

/// How long a raw socket may be silent before we look at what came.
const QUIET: Duration = Duration::from_millis(1500);

/// What came back.
#[derive(Debug)]
pub(crate) enum Got {
    Answer(Reply),
    Socket(Raw),
    /// No answer: the connection broke, or we hung up.
    Nothing(String),
    /// The node's own answer.
    Node(Value),
}

/// The words that a vector may use instead of values: `$wallet`, `$payee` …
pub(crate) type Words = BTreeMap<String, String>;

/// The words of a world.
pub(crate) fn words(world: &World) -> Words {
    let (bot, other) = (world.bot(), world.agent("other"));
    [
        ("$wallet", bot.wallet.clone()),
        ("$lower_wallet", bot.wallet.to_lowercase()),
        ("$other_wallet", other.wallet),
        ("$payee", PAYEE.to_owned()),
        ("$stranger", STRANGER.to_owned()),
        ("$token", TOKEN.to_owned()),
        ("$word_payee", word(PAYEE)),
        ("$word_stranger", word(STRANGER)),
        ("$word_wallet", word(&bot.wallet.to_lowercase())),
        ("$basic", bot.basic()),
        ("$secret", bot.token),
        ("$operators_secret", world.alice().token),
        ("$host", bot.address.to_string()),
    ]
    .map(|(word, value)| (word.to_owned(), value))
    .into()
}

/// An address as a word of calldata.
fn word(address: &str) -> String {
    format!("{}{}", "0".repeat(24), address.trim_start_matches("0x"))
}

/// Replaces the words, longer ones first.
pub(crate) fn spell(text: &str, words: &Words) -> String {
    words.iter().rev().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

fn spell_json(value: &Value, words: &Words) -> Value {
    let replace = |text: &str| Value::String(spell(text, words));
    match value {
        Value::String(text) => replace(text),
        Value::Array(items) => items.iter().map(|item| spell_json(item, words)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), spell_json(value, words))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

impl Text {
    fn bytes(&self, words: &Words) -> Bytes {
        match self {
            Self::Plain(text) => spell(text, words).into(),
            Self::Pieces(pieces) => {
                pieces.iter().flat_map(|piece| piece.bytes(words)).collect::<Vec<_>>().into()
            }
        }
    }
}

impl Piece {
    fn bytes(&self, words: &Words) -> Vec<u8> {
        match self {
            Self::Plain(text) => spell(text, words).into_bytes(),
            Self::Repeat { repeat, times } => spell(repeat, words).repeat(*times).into_bytes(),
            Self::Bytes { hex } => hex::decode(hex).expect("hex"),
        }
    }
}

/// Sends it and returns what came back.
pub(crate) async fn send(world: &World, request: &Request, words: &Words) -> Got {
    if let Some((method, params)) = &request.node {
        return Got::Node(world.anvil.call(method, spell_json(params, words)).await);
    }
    if let Some((method, path, body)) = &request.operator {
        return Got::Answer(operate(world, request, (method, path, body), words).await);
    }
    if let Some(text) = &request.socket {
        let bytes = text.bytes(words);
        return Got::Socket(http::raw(world.gateway.addresses.rpc, &bytes, QUIET).await);
    }
    post(world, request, words).await
}

async fn operate(
    world: &World,
    request: &Request,
    (method, path, body): (&str, &str, &Value),
    words: &Words,
) -> Reply {
    let operator = world.operator(request.who.as_deref().unwrap_or("alice"));
    let path = spell(path, words);
    match method {
        "GET" => operator.get(&path).await,
        "POST" => operator.post(&path, &spell_json(body, words)).await,
        other => panic!("no such operator's request: {other}"),
    }
}

async fn post(world: &World, request: &Request, words: &Words) -> Got {
    let agent = world.agent(request.who.as_deref().unwrap_or("bot"));
    let basic = agent.basic();
    let own = request.headers.iter().map(|(name, value)| (name.clone(), spell(value, words)));
    let mut headers: BTreeMap<String, String> = own.collect();
    let bare_path = request.path.is_some();
    headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    if !bare_path {
        headers.entry("authorization".to_owned()).or_insert(basic);
    }
    let path = spell(request.path.as_deref().unwrap_or("/"), words);
    let lines: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let bytes = body(request, words);
    if request.hang_up {
        return hang_up(&agent, &lines, &bytes).await;
    }
    let head = http::request("POST", agent.address, &path, &lines);
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
    spell_json(&json, words).to_string().into()
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
