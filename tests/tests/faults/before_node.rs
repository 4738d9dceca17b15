//! The line to the node, and a node that says what is not so.

use countersign_tests::proxy::{
    End::{Close, Reset, Silence},
    Fault::{Answered, Dripped, HalfAnswer, Instead, Late, NeverArrives, NoAnswer},
    Garble::{Empty, Error, Html, NotJson, Null, OtherHash, OtherId, Result, Status},
    Line::{Dark, Drip, Refused, Slow},
    node::{BLOCK, CHAIN_ID, ESTIMATE, RECEIPT, SEND},
};

use crate::scenario::{
    Act::{Approve, Bare},
    Said::{self, Hash, Pending, Unavailable},
    Scenario, row,
};

/// Each row with its outcome. Where nothing is said: the hash, by 4 s; afterwards one payment, always.
#[rustfmt::skip]
pub(crate) const ROWS: &[Scenario] = &[
    // nothing was signed yet
    row("no node listens").node_line(Refused).says(&[Unavailable], 3),
    row("the node's line is half-open").node_line(Dark).says(&[Unavailable], 12),
    row("the node hangs up under a question").node(ESTIMATE, NoAnswer(Reset)),
    row("the node has an HTML page for an estimate").node(ESTIMATE, Answered(Html)).act(Bare).says(&[Unavailable], 3),
    row("the node's estimate is a 503").node(ESTIMATE, Instead(Status(503))).says(&[Unavailable], 3),
    row("the node's estimate is no number").node(ESTIMATE, Answered(Result("a lot"))).says(&[Unavailable], 3),
    row("the node says that it serves another chain").node(CHAIN_ID, Answered(Result("0x1"))).says(&[Hash, Unavailable], 3),
    row("the node answers another question").node(ESTIMATE, Answered(OtherId)).act(Bare).says(&[Unavailable], 3),
    // signed bytes: whatever is said, the hash is true
    row("a send's answer is lost").node(SEND, NoAnswer(Close)),
    row("a send's answer is a reset").node(SEND, NoAnswer(Reset)).act(Bare),
    row("a send is answered by silence").node(SEND, NoAnswer(Silence)).says(&[Hash], 6),
    row("half a send's answer, then the end").node(SEND, HalfAnswer(Close)),
    row("half a send's answer, then a reset").node(SEND, HalfAnswer(Reset)),
    row("half a send's answer, then silence").node(SEND, HalfAnswer(Silence)).act(Bare).says(&[Hash], 6),
    row("a send never arrives").node(SEND, NeverArrives(Reset)),
    row("a send never arrives, and nobody says so").node(SEND, NeverArrives(Silence)).act(Bare).says(&[Hash], 6),
    row("a send's answer is late").node(SEND, Late(2000)),
    row("a send's answer drips").node(SEND, Dripped(10)),
    row("a send is a 503 although it was taken").node(SEND, Answered(Status(503))),
    row("a send is a 502 and was not taken").node(SEND, Instead(Status(502))).act(Bare),
    row("a send is a 429 and was not taken").node(SEND, Instead(Status(429))),
    row("a send is an HTML page").node(SEND, Answered(Html)),
    row("a send is no JSON").node(SEND, Answered(NotJson)).act(Bare),
    row("a send is answered by nothing").node(SEND, Answered(Empty)),
    row("a send's answer belongs to another request").node(SEND, Answered(OtherId)),
    row("a send's answer is null").node(SEND, Answered(Null)),
    row("a send's answer names another hash").node(SEND, Answered(OtherHash)),
    row("a send is `already known` and was not").node(SEND, Instead(Error(-32000, "already known"))).settles(60),
    row("a send is `nonce too low` although it was taken").node(SEND, Answered(Error(-32000, "nonce too low"))),
    row("a send is `nonce too low` and was not taken").node(SEND, Instead(Error(-32000, "nonce too low: next nonce 99"))).act(Bare),
    row("a send is `underpriced` and was not taken").node(SEND, Instead(Error(-32000, "replacement transaction underpriced"))),
    row("a send is `insufficient funds` although it was taken").node(SEND, Answered(Error(-32000, "insufficient funds for gas * price + value"))),
    row("a send is `insufficient funds` and was not taken").node(SEND, Instead(Error(-32000, "insufficient funds for gas * price + value"))).act(Bare),
    row("a send is an error in words that nobody knows").node(SEND, Answered(Error(-39999, "the moon is full"))),
    row("after a send the node is dark").node(SEND, NoAnswer(Silence)).then(Dark).says(&[Hash], 6),
    row("after a send that never arrived no node listens").node(SEND, NeverArrives(Reset)).then(Refused).act(Bare),
    row("an approved payment's send loses its answer").node(SEND, NoAnswer(Reset)).act(Approve).says(&[Said::Status(200)], 2),
    row("an approved payment meets no node").node(BLOCK, NeverArrives(Reset)).then(Refused).act(Approve).says(&[Said::Status(200)], 2),
    // the chain's word
    row("a receipt's answer is lost").node(RECEIPT, NoAnswer(Reset)),
    row("a receipt is answered by silence").node(RECEIPT, NoAnswer(Silence)).act(Bare),
    row("a receipt is cut in half").node(RECEIPT, HalfAnswer(Close)),
    row("a receipt is an HTML page").node(RECEIPT, Answered(Html)),
    row("a receipt is missing although it is there").node(RECEIPT, Answered(Null)).act(Bare),
    row("a receipt is of no transaction").node(RECEIPT, Answered(OtherHash)),
    row("a receipt is a 503").node(RECEIPT, Instead(Status(503))),
    // slow
    row("every answer of the node is up to a second late").node_line(Slow { seed: 4, most: 1000 }).says(&[Hash, Pending, Unavailable], 30),
    row("every answer of the node is up to 5 s late").node_line(Slow { seed: 5, most: 5000 }).act(Bare).says(&[Hash, Pending, Unavailable], 40),
    row("every answer of the node drips").node_line(Drip(1)).says(&[Hash, Pending, Unavailable], 30),
    row("a question about gas is answered by silence").node(ESTIMATE, NoAnswer(Silence)).says(&[Hash, Unavailable], 12),
];
