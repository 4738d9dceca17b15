//! What nodes mean by their words: one table for signed bytes, one for estimates.
//!
//! Every client has its own words. A sentence that no row knows is unknown, and unknown never means
//! failed.

use alloy_primitives::B256;
use countersign_engine::port::chain::Broadcast;

use crate::wire::NodeError;

/// What a row of the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Known,
    NonceTooLow,
    Underpriced,
    Refused,
}

/// The first row whose words occur, as whole words and in any case, decides. So rows that contain
/// the words of others come first.
const SENDS: &[(Meaning, &str)] = &[
    // geth, op-geth, reth, erigon, nethermind
    (Meaning::Known, "already known"),
    // nethermind before 1.30
    (Meaning::Known, "AlreadyKnown"),
    // besu, parity
    (Meaning::Known, "known transaction"),
    // reth's pool, anvil
    (Meaning::Known, "already imported"),
    // erigon
    (Meaning::Known, "existing tx with same hash"),
    // zksync
    (Meaning::Known, "is already in the system"),
    (Meaning::NonceTooLow, "nonce too low"),
    (Meaning::NonceTooLow, "nonce is too low"),
    (Meaning::NonceTooLow, "OldNonce"),
    (Meaning::Underpriced, "replacement transaction underpriced"),
    (Meaning::Underpriced, "insufficient gas price to replace existing transaction"),
    (Meaning::Underpriced, "could not replace existing tx"),
    (Meaning::Underpriced, "ReplacementNotAllowed"),
    (Meaning::Underpriced, "OwnNonceAlreadyUsed"),
    (Meaning::Underpriced, "another transaction with same nonce in the queue"),
    // balance
    (Meaning::Refused, "insufficient funds"),
    (Meaning::Refused, "insufficient balance"),
    (Meaning::Refused, "InsufficientFunds"),
    (Meaning::Refused, "upfront cost exceeds account balance"),
    (Meaning::Refused, "not enough funds"),
    // gas
    (Meaning::Refused, "intrinsic gas too low"),
    (Meaning::Refused, "intrinsic gas too high"),
    (Meaning::Refused, "intrinsic gas exceeds gas limit"),
    (Meaning::Refused, "insufficient gas for floor data gas cost"),
    (Meaning::Refused, "gas required exceeds allowance"),
    (Meaning::Refused, "exceeds block gas limit"),
    (Meaning::Refused, "GasLimitExceeded"),
    (Meaning::Refused, "gas limit too high"),
    (Meaning::Refused, "transaction gas limit exceeds"),
    (Meaning::Refused, "gas limit is too big"),
    (Meaning::Refused, "gas uint64 overflow"),
    // fee
    (Meaning::Refused, "max fee per gas less than block base fee"),
    (Meaning::Refused, "max priority fee per gas higher than max fee per gas"),
    (Meaning::Refused, "max priority fee per gas exceeds max fee per gas"),
    (Meaning::Refused, "max priority fee per gas higher than 2^256-1"),
    (Meaning::Refused, "gas price below configured minimum gas price"),
    (Meaning::Refused, "gas price below current base fee"),
    (Meaning::Refused, "transaction gas price below minimum"),
    (Meaning::Refused, "transaction underpriced"),
    (Meaning::Refused, "underpriced"),
    (Meaning::Refused, "FeeTooLow"),
    (Meaning::Refused, "FeeTooLowToCompete"),
    (Meaning::Refused, "feeCap below chain minimum"),
    (Meaning::Refused, "exceeds the configured cap"),
    (Meaning::Refused, "transaction fee cap exceeded"),
    // nonce, ahead
    (Meaning::Refused, "nonce too high"),
    (Meaning::Refused, "nonce has max value"),
    (Meaning::Refused, "nonce too far in the future"),
    (Meaning::Refused, "NonceGap"),
    (Meaning::Refused, "NonceTooFarInFuture"),
    (Meaning::Refused, "transaction nonce is too distant from current sender nonce"),
    (Meaning::Refused, "gapped-nonce tx from delegated accounts"),
    (Meaning::Refused, "in-flight transaction limit reached for delegated accounts"),
    (Meaning::Refused, "future transaction tries to replace pending"),
    // shape
    (Meaning::Refused, "transaction type not supported"),
    (Meaning::Refused, "NotSupportedTxType"),
    (Meaning::Refused, "max initcode size exceeded"),
    (Meaning::Refused, "oversized data"),
    (Meaning::Refused, "rlp too long"),
    (Meaning::Refused, "MaxTxSizeExceeded"),
    (Meaning::Refused, "only replay-protected (EIP-155) transactions allowed over RPC"),
    (Meaning::Refused, "invalid chain id"),
    (Meaning::Refused, "wrong chainId"),
    (Meaning::Refused, "invalid sender"),
    (Meaning::Refused, "sender not an eoa"),
    (Meaning::Refused, "SenderIsContract"),
    (Meaning::Refused, "sender account not authorized to send transactions"),
    // room
    (Meaning::Refused, "txpool is full"),
    (Meaning::Refused, "sub-pool is full"),
    (Meaning::Refused, "account limit exceeded"),
    (Meaning::Refused, "PendingTxsOfConflictingType"),
];

/// Words that say something about the node rather than about the call.
const TROUBLES: &[&str] = &[
    "header not found",
    "unknown block",
    "block not found",
    "missing trie node",
    "too many requests",
    "rate limit",
    "rate limited",
    "limit exceeded",
    "request limit reached",
    "timed out",
    "timeout",
    "context deadline exceeded",
    "service unavailable",
    "no available nodes",
    "Synchronizing",
    "internal error",
    "internal server error",
    "unauthorized",
    "invalid api key",
];

/// Words that say that the call itself fails, whatever the code.
const FAILURES: &[&str] = &[
    "execution reverted",
    "revert",
    "reverted",
    "out of gas",
    "invalid opcode",
    "insufficient funds",
    "insufficient balance",
    "gas required exceeds",
    "stack underflow",
    "VM execution error",
    "EVM error",
];

/// `-32601` no such method, `-32005` and `429` rate limits. Not `-32603`: anvil has it for failed
/// calls, too.
const TROUBLE_CODES: &[i64] = &[-32601, -32005, 429];

/// What an error means for the signed bytes with this hash.
pub(crate) fn sent(error: &NodeError, hash: B256) -> Broadcast {
    let words = error.to_string();
    let meaning = meaning(&error.message).or_else(|| error.data.as_deref().and_then(meaning));
    match meaning {
        Some(Meaning::Known) => match another_hash(&error.message, hash) {
            Some(theirs) => Broadcast::OtherHash { theirs },
            None => Broadcast::Accepted,
        },
        Some(Meaning::NonceTooLow) => Broadcast::NonceTooLow(words),
        Some(Meaning::Underpriced) => Broadcast::Underpriced(words),
        Some(Meaning::Refused) => Broadcast::Refused(words),
        None => Broadcast::Unknown(words),
    }
}

/// Whether an error of an estimate says nothing about the call: then another node may know better.
pub(crate) fn is_trouble(error: &NodeError) -> bool {
    let message = error.message.to_lowercase();
    let occurs = |list: &[&str]| list.iter().any(|words| contains(&message, words));
    let coded = TROUBLE_CODES.contains(&error.code);
    error.code != 3 && !occurs(FAILURES) && (coded || occurs(TROUBLES))
}

fn meaning(text: &str) -> Option<Meaning> {
    let text = text.to_lowercase();
    SENDS.iter().find(|(_, words)| contains(&text, words)).map(|(meaning, _)| *meaning)
}

/// Whether `words` occur in the lower-case `text` as whole words: `unknown transaction` is not
/// `known transaction`.
fn contains(text: &str, words: &str) -> bool {
    let words = words.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric();
    text.match_indices(&words).any(|(start, found)| {
        let (before, rest) = text.split_at(start);
        let after = rest.strip_prefix(found).unwrap_or("");
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// The hash that the words name, where none that they name is ours.
fn another_hash(text: &str, hash: B256) -> Option<B256> {
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == 'x';
    let hashes = || text.split(|c| !is_digit(c)).filter_map(|word| word.parse::<B256>().ok());
    hashes().next().filter(|_| hashes().all(|named| named != hash))
}

#[cfg(test)]
mod tests;
