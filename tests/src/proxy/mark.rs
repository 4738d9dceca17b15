//! By which bytes a message is known.

/// A kind of message: bytes that it has, and bytes that it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    has: &'static str,
    lacks: &'static str,
}

impl Mark {
    const fn of(has: &'static str) -> Self {
        Self { has, lacks: "" }
    }

    /// What every message of this kind has in it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.has
    }
}

/// Calls of the store: a script is known by an argument that no other script has.
pub mod store {
    use super::Mark;

    /// Any script.
    pub const ANY: Mark = Mark::of("$7\r\nEVALSHA\r\n");
    /// Whether a counterparty was paid before: asked while facts are gathered.
    pub const SEEN: Mark = Mark::of("$9\r\naddresses\r\n");
    /// `reserve`, and the record of a denial.
    pub const RESERVE: Mark = Mark::of("\r\n=delivery\r\n");
    /// The record of a decision.
    pub const RECORD: Mark = Mark::of("\r\n=attestation\r\n");
    /// `approve`.
    pub const APPROVE: Mark = Mark::of("$10\r\nvotes_seen\r\n");
    /// `reject`, by a person or because nothing came of it.
    pub const REJECT: Mark = Mark::of("$6\r\nreason\r\n");
    /// The redemption of what was approved, or left behind.
    pub const REDEEM: Mark = Mark { has: "\r\n=intent\r\n", lacks: "\r\n=delivery\r\n" };
    /// `commit`.
    pub const COMMIT: Mark = Mark::of("$13\r\nin_flight_max\r\n");
    /// `signed`.
    pub const SIGNED: Mark = Mark::of("$3\r\nraw\r\n");
    /// `sent`.
    pub const SENT: Mark = Mark::of("$7\r\noutcome\r\n");
    /// `settle`.
    pub const SETTLE: Mark = Mark::of("$4\r\nkept\r\n");
    /// Whether the agent has its answer.
    pub const DELIVER: Mark = Mark::of("$4\r\nfrom\r\n$7\r\nwaiting\r\n");
    /// That an agent takes a result that was owed to it.
    pub const COLLECT: Mark = Mark::of("$4\r\nfrom\r\n$4\r\nowed\r\n");
    /// That this gateway lives.
    pub const PRESENT: Mark = Mark::of("$3\r\nttl\r\n");
}

/// Calls of a node: by the method.
pub mod node {
    use super::Mark;

    /// Any call.
    pub const ANY: Mark = Mark::of("\"method\":");
    /// The chain's id.
    pub const CHAIN_ID: Mark = Mark::of("\"eth_chainId\"");
    /// A block.
    pub const BLOCK: Mark = Mark::of("\"eth_getBlockByNumber\"");
    /// A balance.
    pub const BALANCE: Mark = Mark::of("\"eth_getBalance\"");
    /// What a call would take.
    pub const ESTIMATE: Mark = Mark::of("\"eth_estimateGas\"");
    /// Signed bytes.
    pub const SEND: Mark = Mark::of("\"eth_sendRawTransaction\"");
    /// A receipt.
    pub const RECEIPT: Mark = Mark::of("\"eth_getTransactionReceipt\"");
}

/// More than the longest mark.
const TAIL: usize = 64;

/// What went by last on a connection: a mark may lie across two pieces.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

/// Bytes that go to the server, with what went before them.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    bytes: &'a [u8],
    before: usize,
}

impl Tail {
    /// The next piece behind what went by.
    pub(super) fn piece<'a>(&'a mut self, bytes: &[u8]) -> Piece<'a> {
        let spare = self.0.len().saturating_sub(TAIL);
        self.0.drain(..spare);
        let before = self.0.len();
        self.0.extend_from_slice(bytes);
        Piece { bytes: &self.0, before }
    }
}

impl Piece<'_> {
    /// How many messages of that kind end in this piece.
    pub(super) fn count(&self, mark: Mark) -> usize {
        let Mark { has, lacks } = mark;
        if !lacks.is_empty() && self.finds(lacks.as_bytes()).next().is_some() {
            return 0;
        }
        self.finds(has.as_bytes()).count()
    }

    fn finds<'a>(&'a self, word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let starts = self.bytes.windows(word.len()).enumerate();
        let found = starts.filter(move |(_, window)| *window == word).map(|(start, _)| start);
        found.filter(move |start| start.saturating_add(word.len()) > self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_across_two_pieces_counts_once() {
        let mut tail = Tail::default();
        let mark = Mark::of("abc");
        let counts =
            ["xab", "c", "abcabc", "", "ab"].map(|piece| tail.piece(piece.as_bytes()).count(mark));
        assert_eq!(counts, [0, 1, 2, 0, 0]);
    }

    #[test]
    fn a_mark_may_ask_that_something_is_absent() {
        let mark = Mark { has: "a", lacks: "b" };
        assert_eq!(
            ["a", "ab", "c"].map(|text| Tail::default().piece(text.as_bytes()).count(mark)),
            [1, 0, 0]
        );
    }
}
