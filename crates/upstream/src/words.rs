//! What nodes mean by their words: one table for signed bytes, one for estimates.
//!
//! Every client has its own words; `words/nodes.tsv` quotes them with where they were read. A
//! sentence that no row knows is unknown, and unknown never means failed. Words settle nothing: they
//! only say what to look up (a receipt, an earlier attempt, the balance), and the chain's state
//! decides.

use alloy_primitives::B256;
use countersign_engine::port::chain::Broadcast;

use crate::wire::NodeError;

/// What a row of the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The node has these bytes already.
    Known,
    /// The account has used the nonce.
    NonceTooLow,
    /// An earlier nonce is missing.
    NonceTooHigh,
    /// Another transaction holds the nonce, and this one does not pay enough to take its place.
    Underpriced,
    /// The node does not take them as things stand.
    Refused,
    /// It sounds like another row and says nothing about these bytes.
    Nothing,
}

/// The first row whose words occur, as whole words and in any case, decides. So rows that contain
/// the words of others come first.
const SENDS: &[(Meaning, &str)] = &[
    // what only sounds like one of the rows below
    (Meaning::Nothing, "block already known"),
    (Meaning::Refused, "authority nonce too low"),
    // known: geth, op-geth, reth, erigon, nethermind
    (Meaning::Known, "already known"),
    // nethermind before its words became geth's
    (Meaning::Known, "AlreadyKnown"),
    // besu, geth before 1.9.11
    (Meaning::Known, "known transaction"),
    // anvil, reth's pool, parity
    (Meaning::Known, "already imported"),
    // erigon, before and after its renaming of tx
    (Meaning::Known, "existing tx with same hash"),
    (Meaning::Known, "existing txn with same hash"),
    // zksync
    (Meaning::Known, "is already in the system"),
    // the nonce is used
    (Meaning::NonceTooLow, "nonce too low"),
    (Meaning::NonceTooLow, "nonce is too low"),
    (Meaning::NonceTooLow, "OldNonce"),
    // an earlier nonce is missing
    (Meaning::NonceTooHigh, "nonce too high"),
    (Meaning::NonceTooHigh, "nonce too far in future"),
    (Meaning::NonceTooHigh, "NonceGap"),
    (Meaning::NonceTooHigh, "NonceTooFarInFuture"),
    (Meaning::NonceTooHigh, "transaction nonce is too distant from current sender nonce"),
    (Meaning::NonceTooHigh, "an invalid transaction with a lower nonce exists"),
    (Meaning::NonceTooHigh, "gapped-nonce tx from delegated accounts"),
    (Meaning::NonceTooHigh, "delegation nonce gap"),
    (Meaning::NonceTooHigh, "NotCurrentNonceForDelegation"),
    // the nonce is taken in the pool
    (Meaning::Underpriced, "replacement transaction underpriced"),
    (Meaning::Underpriced, "insufficient gas price to replace existing transaction"),
    (Meaning::Underpriced, "could not replace existing tx"),
    (Meaning::Underpriced, "replaced by transaction with higher tip"),
    (Meaning::Underpriced, "ReplacementNotAllowed"),
    (Meaning::Underpriced, "OwnNonceAlreadyUsed"),
    (Meaning::Underpriced, "another transaction with same nonce in the queue"),
    // balance
    (Meaning::Refused, "insufficient funds"),
    (Meaning::Refused, "insufficient balance"),
    (Meaning::Refused, "InsufficientFunds"),
    (Meaning::Refused, "upfront cost exceeds account balance"),
    (Meaning::Refused, "not enough funds"),
    (Meaning::Refused, "transaction would cause overdraft"),
    (Meaning::Refused, "transaction overdraws from account"),
    (Meaning::Refused, "Int256Overflow"),
    (Meaning::Refused, "transaction cost overflow"),
    // gas
    (Meaning::Refused, "intrinsic gas too low"),
    (Meaning::Refused, "intrinsic gas too high"),
    (Meaning::Refused, "intrinsic gas exceeds gas limit"),
    (Meaning::Refused, "IntrinsicGas"),
    (Meaning::Refused, "insufficient gas for floor data gas cost"),
    (Meaning::Refused, "gas required exceeds allowance"),
    (Meaning::Refused, "exceeds block gas limit"),
    (Meaning::Refused, "exceeds max transaction gas limit"),
    (Meaning::Refused, "transaction gas limit is greater than the block gas limit"),
    (Meaning::Refused, "GasLimitExceeded"),
    (Meaning::Refused, "gas limit reached"),
    (Meaning::Refused, "gas limit too high"),
    (Meaning::Refused, "gas limit is too high"),
    (Meaning::Refused, "TxGasLimitCapExceeded"),
    (Meaning::Refused, "gas uint64 overflow"),
    (Meaning::Refused, "GasUintOverflow"),
    // fee
    (Meaning::Refused, "max fee per gas less than block base fee"),
    (Meaning::Refused, "max fee per gas higher than 2^256-1"),
    (Meaning::Refused, "max priority fee per gas higher than max fee per gas"),
    (Meaning::Refused, "max priority fee per gas exceeds max fee per gas"),
    (Meaning::Refused, "max priority fee per gas higher than 2^256-1"),
    (Meaning::Refused, "InvalidMaxPriorityFeePerGas"),
    (Meaning::Refused, "transaction priority fee below minimum required priority fee"),
    (Meaning::Refused, "gas price below configured minimum gas price"),
    (Meaning::Refused, "gas price below current base fee"),
    (Meaning::Refused, "transaction gas price below minimum"),
    (Meaning::Refused, "underpriced"),
    (Meaning::Refused, "fee too low"),
    (Meaning::Refused, "FeeTooLow"),
    (Meaning::Refused, "FeeTooLowToCompete"),
    (Meaning::Refused, "exceeds the configured cap"),
    (Meaning::Refused, "transaction fee cap exceeded"),
    // shape
    (Meaning::Refused, "nonce has max value"),
    (Meaning::Refused, "NonceTooHigh"),
    (Meaning::Refused, "transaction type not supported"),
    (Meaning::Refused, "unsupported transaction type"),
    (Meaning::Refused, "invalid transaction type"),
    (Meaning::Refused, "NotSupportedTxType"),
    (Meaning::Refused, "InvalidTxType"),
    (Meaning::Refused, "fork supporting this transaction type is not activated yet"),
    (Meaning::Refused, "max initcode size exceeded"),
    (Meaning::Refused, "initcode too large"),
    (Meaning::Refused, "oversized data"),
    (Meaning::Refused, "RLPTooLong"),
    (Meaning::Refused, "MaxTxSizeExceeded"),
    (Meaning::Refused, "transaction too large"),
    (Meaning::Refused, "only replay-protected (EIP-155) transactions allowed over RPC"),
    (Meaning::Refused, "invalid chain id"),
    (Meaning::Refused, "InvalidTxChainId"),
    (Meaning::Refused, "wrong chainId"),
    (Meaning::Refused, "chainId not supported"),
    (Meaning::Refused, "chainId is required"),
    (Meaning::Refused, "incompatible EIP-155 transaction, signed for another chain"),
    (Meaning::Refused, "invalid sender"),
    (Meaning::Refused, "invalid signature"),
    (Meaning::Refused, "InvalidTxSignature"),
    (Meaning::Refused, "FailedToResolveSender"),
    (Meaning::Refused, "failed to recover sender"),
    (Meaning::Refused, "sender not an eoa"),
    (Meaning::Refused, "sender is not an EOA"),
    (Meaning::Refused, "SenderIsContract"),
    (Meaning::Refused, "sender account not authorized to send transactions"),
    (Meaning::Refused, "transaction sender is not on the whitelist"),
    (Meaning::Refused, "plugin has marked the transaction as invalid"),
    (Meaning::Refused, "transaction filtered out"),
    (Meaning::Refused, "interop failsafe is active"),
    (Meaning::Refused, "cross chain tx is invalid before interop"),
    // room
    (Meaning::Refused, "txpool is full"),
    (Meaning::Refused, "sub-pool is full"),
    (Meaning::Refused, "account limit exceeded"),
    (Meaning::Refused, "spammer"),
    (Meaning::Refused, "address already reserved"),
    (Meaning::Refused, "authority already reserved"),
    (Meaning::Refused, "in-flight transaction limit reached for delegated accounts"),
    (Meaning::Refused, "delegation authority has pending transaction"),
    (Meaning::Refused, "DelegatorHasPendingTx"),
    (Meaning::Refused, "future transaction tries to replace pending"),
    (Meaning::Refused, "PendingTxsOfConflictingType"),
    (Meaning::Refused, "pending transaction type conflict"),
];

/// Words of a node that takes no transactions at the moment, whatever they are: another one may.
const CLOSED: &[&str] = &[
    "transaction pool not enabled",
    "initial sync is still in progress",
    "node is syncing",
    "publishing transactions not supported by this endpoint",
    "sequencer temporarily not available",
    "too many requests",
    "rate limit",
    "rate limited",
    "request limit reached",
    "unauthorized",
    "invalid api key",
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
    match meaning(error) {
        Meaning::Known => match another_hash(&error.message, hash) {
            Some(theirs) => Broadcast::OtherHash { theirs },
            None => Broadcast::Accepted,
        },
        Meaning::NonceTooLow => Broadcast::NonceTooLow(words),
        Meaning::Underpriced => Broadcast::Underpriced(words),
        Meaning::NonceTooHigh | Meaning::Refused => Broadcast::Refused(words),
        Meaning::Nothing => Broadcast::Unknown(words),
    }
}

/// Whether an error to signed bytes is about the node and not about them.
pub(crate) fn is_closed(error: &NodeError) -> bool {
    let message = error.message.to_lowercase();
    let says_so = || CLOSED.iter().any(|words| contains(&message, words));
    meaning(error) == Meaning::Nothing && (TROUBLE_CODES.contains(&error.code) || says_so())
}

/// Whether an error of an estimate says nothing about the call: then another node may know better.
pub(crate) fn is_trouble(error: &NodeError) -> bool {
    let message = error.message.to_lowercase();
    let occurs = |list: &[&str]| list.iter().any(|words| contains(&message, words));
    let coded = TROUBLE_CODES.contains(&error.code);
    error.code != 3 && !occurs(FAILURES) && (coded || occurs(TROUBLES))
}

/// Whether the error is a contract's own: it ran and did not agree.
pub(crate) fn is_revert(error: &NodeError) -> bool {
    error.message.to_lowercase().contains("revert")
}

fn meaning(error: &NodeError) -> Meaning {
    let said = |text: &str| Some(meaning_of(text)).filter(|said| *said != Meaning::Nothing);
    said(&error.message)
        .or_else(|| error.data.as_deref().and_then(said))
        .unwrap_or(Meaning::Nothing)
}

/// Some sequencers try a transaction out and refuse it if it reverts. What stands behind that word
/// was written by a contract, who may say anything.
fn meaning_of(text: &str) -> Meaning {
    let text = text.to_lowercase();
    let (own, reverts) = match text.split_once("revert") {
        Some((own, _)) => (own, true),
        None => (text.as_str(), false),
    };
    let row = SENDS.iter().find(|(_, words)| contains(own, words));
    let otherwise = if reverts { Meaning::Refused } else { Meaning::Nothing };
    row.map_or(otherwise, |(meaning, _)| *meaning)
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
