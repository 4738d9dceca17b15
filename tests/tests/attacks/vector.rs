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

/// One attack: several requests that must all be answered alike, steps in order, or the tests that prove it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    title: String,
    #[serde(default, rename = "note")]
    _note: String,
    /// Whether it needs a gateway with an unspent budget.
    #[serde(default)]
    fresh: bool,
    /// Of what else that gateway's world is made.
    #[serde(default)]
    pub(crate) world: Option<Setting>,
    /// What the row leaves on the chain besides one transaction for each new hash.
    #[serde(default)]
    pub(crate) leaves: Leaves,
    #[serde(default)]
    requests: Vec<Request>,
    #[serde(default)]
    expect: Expect,
    #[serde(default)]
    steps: Vec<Step>,
    /// `path of a file::name of a test` that shows what no row can ask, or what would need heavy machinery here.
    #[serde(default)]
    pub(crate) proved_by: Vec<String>,
}

impl Row {
    /// Whether it has a world of its own.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh || self.world.is_some()
    }

    /// How long it may have to wait at one of its steps, in seconds.
    pub(crate) fn patience(&self) -> u64 {
        self.steps.iter().map(|step| step.within).max().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.id, self.title)
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        let Self { id, requests, expect, steps, proved_by, .. } = self;
        let forms = [!requests.is_empty(), !steps.is_empty(), !proved_by.is_empty()];
        let given = forms.iter().filter(|given| **given).count();
        assert_eq!(given, 1, "{id}: either requests, or steps, or proved_by");
        let alike = requests.into_iter().map(|request| Step::new(request, expect.clone()));
        alike.chain(steps).collect()
    }
}

/// What a row's world is made of, beside what every world has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Setting {
    pub(crate) store: Store,
    /// Gateways beside the first, on the same Redis.
    pub(crate) more_gateways: usize,
    /// An agent's policy: a file in `policies`.
    pub(crate) policies: BTreeMap<String, String>,
    /// Guards: files in `policies`.
    pub(crate) guards: Vec<String>,
    /// What the configuration says otherwise: a text that is in it, and what stands in its place.
    pub(crate) config: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Store {
    #[default]
    Embedded,
    Redis,
    /// The row runs twice.
    Both,
}

/// What a row leaves on the chain that is not one transaction for each new hash.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Leaves {
    /// Transactions of the agents' wallets that were made past the gateway.
    pub(crate) foreign: usize,
    /// Signed ones that are not on the chain.
    pub(crate) unmined: usize,
    /// Messages that are signed.
    pub(crate) messages: usize,
    /// Whether nobody can list the operations any more.
    pub(crate) no_books: bool,
}

#[derive(Debug, Clone, Deserialize)]
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
    /// That many one after the other, each answered so; `$n` is the number of each.
    #[serde(default = "once")]
    pub(crate) repeat: usize,
    /// Ask again and again until the expectation holds.
    #[serde(default)]
    pub(crate) until: bool,
    /// For so many seconds.
    #[serde(default = "patience")]
    pub(crate) within: u64,
    /// Words for later steps: a JSON pointer into the answer each.
    #[serde(default)]
    pub(crate) keep: BTreeMap<String, String>,
}

impl Step {
    const fn new(request: Request, expect: Expect) -> Self {
        Self {
            request,
            expect,
            at_once: 0,
            tally: Vec::new(),
            repeat: 1,
            until: false,
            within: patience(),
            keep: BTreeMap::new(),
        }
    }
}

/// What is sent, or done to the world. Exactly one of the fields from `call` on is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    /// Which agent asks, or which operator.
    #[serde(rename = "as")]
    pub(crate) who: Option<String>,
    /// At which gateway, from 0; `each`: one after the other of them.
    pub(crate) at: At,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) path: Option<String>,
    /// Closes the connection as soon as the request is written.
    pub(crate) hang_up: bool,
    /// Waits for no answer, and holds the connection open.
    pub(crate) aside: bool,
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
    /// The command `countersign`, run to its end in the gateway's directory.
    pub(crate) command: Option<Vec<String>>,
    /// A call to the node itself, past the gateway: what happens in the world meanwhile.
    pub(crate) node: Option<(String, Value)>,
    /// How the line to the node is from now on.
    pub(crate) line: Option<LineToNode>,
    /// A command to the Redis itself, past the gateway.
    pub(crate) redis: Option<Vec<String>>,
    /// A file in the gateway's directory: its name, a text that is in it, and what stands in its place.
    pub(crate) edit: Option<(String, String, String)>,
    /// What becomes of the gateway's process.
    pub(crate) gateway: Option<Lot>,
    /// The books: what the operators' door shows against what the chain says.
    pub(crate) books: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum At {
    One(usize),
    Each(Each),
}

impl Default for At {
    fn default() -> Self {
        Self::One(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Each {
    Each,
}

/// The line between gateway and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineToNode {
    /// Everything passes.
    Open,
    /// Connections break without an answer.
    Dead,
    /// What is sent arrives, and the answer to it is lost.
    Deaf,
}

/// What becomes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lot {
    /// `SIGKILL`.
    Kill,
    /// `SIGTERM`, and it ends in order.
    Terminate,
    /// It starts again in the same directory, and its doors are open.
    Start,
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
    Repeat {
        repeat: String,
        times: usize,
    },
    Bytes {
        hex: String,
    },
    /// A masked WebSocket frame: its first byte, its payload, and how often.
    Frame {
        frame: String,
        of: String,
        #[serde(default = "once")]
        times: usize,
    },
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
    /// `new`: a transaction hash not seen before in this row; `same`: the last one seen; `raised`: one not seen before,
    /// of a transaction that was seen under another; `known`: any that was seen.
    pub(crate) hash: Option<Hash>,
    /// What the node says of that transaction.
    pub(crate) mined: BTreeMap<String, Value>,
    /// A part of the answer, which is JSON: each named member, each listed item somewhere in its list. What is empty
    /// is meant empty.
    pub(crate) shows: Option<Value>,
    /// One of these HTTP statuses.
    pub(crate) http: Vec<u16>,
    /// A command's exit code.
    pub(crate) exit: Option<i32>,
    /// The connection is closed without an answer, or after a 400.
    pub(crate) closed: bool,
    /// One of these codes, with which a WebSocket connection is closed.
    pub(crate) close: Vec<u16>,
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

const fn patience() -> u64 {
    30
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hash {
    New,
    Same,
    Raised,
    Known,
}
