//! The format of a vector file; `tests/vectors/README.md` explains it to people.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// For people.
    #[serde(rename = "about")]
    _about: String,
    pub(crate) rows: Vec<Row>,
}

/// One attack: either several requests that must all be answered alike, or steps in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) title: String,
    #[serde(default, rename = "note")]
    _note: String,
    /// Whether it needs a gateway with an unspent budget.
    #[serde(default)]
    pub(crate) fresh: bool,
    #[serde(default)]
    requests: Vec<Request>,
    #[serde(default)]
    expect: Expect,
    #[serde(default)]
    steps: Vec<Step>,
}

impl Row {
    pub(crate) fn into_steps(self) -> (String, Vec<Step>) {
        let Self { id, title, requests, expect, steps, .. } = self;
        assert!(requests.is_empty() != steps.is_empty(), "{id}: either requests or steps");
        let alike = requests.into_iter().map(|request| Step::new(request, expect.clone()));
        (format!("{id} {title}"), alike.chain(steps).collect())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) request: Request,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// That many at the same time; `$n` is the number of each.
    #[serde(default)]
    pub(crate) at_once: usize,
    /// How the answers of `at_once` must add up, each with its `times`.
    #[serde(default)]
    pub(crate) tally: Vec<Expect>,
    /// Ask again and again until the expectation holds.
    #[serde(default)]
    pub(crate) until: bool,
}

impl Step {
    fn new(request: Request, expect: Expect) -> Self {
        Self { request, expect, at_once: 0, tally: Vec::new(), until: false }
    }
}

/// What is sent. Exactly one of the last seven fields is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    /// Which agent asks, or which operator.
    #[serde(rename = "as")]
    pub(crate) who: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) path: Option<String>,
    /// Closes the connection as soon as the request is written.
    pub(crate) hang_up: bool,
    /// A well-formed call: method and parameters.
    pub(crate) call: Option<(String, Value)>,
    /// `eth_sendTransaction` of this object.
    pub(crate) transaction: Option<Value>,
    /// A body, given as the JSON that it is.
    pub(crate) json: Option<Value>,
    /// A body, given as text or bytes.
    pub(crate) body: Option<Text>,
    /// Everything that is written to the socket.
    pub(crate) socket: Option<Text>,
    /// A request at the operators' door: HTTP method, path, body.
    pub(crate) operator: Option<(String, String, Value)>,
    /// A call to the node itself, past the gateway: what happens in the world meanwhile.
    pub(crate) node: Option<(String, Value)>,
}

/// Text, or its pieces.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Pieces(Vec<Piece>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Piece {
    Plain(String),
    Repeat { repeat: String, times: usize },
    Bytes { hex: String },
}

/// What must come back; everything that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// One of these JSON-RPC codes; of every entry where an array comes back.
    pub(crate) error: Vec<i64>,
    /// The error's `data.code`.
    pub(crate) code: Option<String>,
    /// A part of the error's message, in any case.
    pub(crate) says: Option<String>,
    /// This result.
    pub(crate) result: Option<Value>,
    /// Some result.
    pub(crate) answered: bool,
    /// `new`: a transaction hash not seen before in this row; `same`: the last one seen.
    pub(crate) hash: Option<Hash>,
    /// What the node says of that transaction.
    pub(crate) mined: BTreeMap<String, Value>,
    /// One of these HTTP statuses.
    pub(crate) http: Vec<u16>,
    /// The connection is closed without an answer, or after a 400.
    pub(crate) closed: bool,
    /// Text that the answer contains, or does not.
    pub(crate) contains: Option<String>,
    pub(crate) lacks: Option<String>,
    /// An array with these entries.
    pub(crate) each: Vec<Self>,
    /// One of these.
    pub(crate) any: Vec<Self>,
    /// In `each` and `tally`: that many.
    #[serde(default = "once")]
    pub(crate) times: usize,
}

const fn once() -> usize {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hash {
    New,
    Same,
}
