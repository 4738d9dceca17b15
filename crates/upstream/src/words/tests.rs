use super::*;

const OURS: B256 = B256::repeat_byte(0xab);

fn error(code: i64, message: &str) -> NodeError {
    NodeError { code, message: message.into(), data: None }
}

fn kind(code: i64, message: &str) -> &'static str {
    match sent(&error(code, message), OURS) {
        Broadcast::Accepted => "accepted",
        Broadcast::NonceTooLow(words)
        | Broadcast::Refused(words)
        | Broadcast::Underpriced(words)
            if !words.contains(message) =>
        {
            "lost the node's words"
        }
        Broadcast::NonceTooLow(_) => "low",
        Broadcast::Underpriced(_) => "underpriced",
        Broadcast::Refused(_) => "refused",
        Broadcast::Unknown(_) => "unknown",
        Broadcast::OtherHash { .. } => "other hash",
    }
}

/// Attack NO-6: each client's own words.
const WORDS: &[(&str, i64, &str, &str)] = &[
    ("geth", -32000, "already known", "accepted"),
    ("geth", -32000, "nonce too low: next nonce 5, tx nonce 4", "low"),
    ("geth", -32000, "replacement transaction underpriced", "underpriced"),
    ("geth", -32000, "transaction underpriced: gas tip cap 1, minimum needed 2", "refused"),
    (
        "geth",
        -32000,
        "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
        "refused",
    ),
    ("geth", -32000, "intrinsic gas too low: gas 20000, minimum needed 21000", "refused"),
    ("geth", -32000, "tx fee (1.05 ether) exceeds the configured cap (1.00 ether)", "refused"),
    ("geth", -32000, "txpool is full", "refused"),
    ("geth", -32000, "transaction gas limit too high (cap: 16777216, tx: 30000000)", "refused"),
    ("geth", -32000, "in-flight transaction limit reached for delegated accounts", "refused"),
    ("reth", -32000, "already known", "accepted"),
    ("reth", -32003, "insufficient gas price to replace existing transaction", "underpriced"),
    ("reth", -32003, "max fee per gas less than block base fee", "refused"),
    ("nethermind", -32010, "AlreadyKnown", "accepted"),
    ("nethermind", -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4.", "low"),
    ("nethermind", -32010, "ReplacementNotAllowed", "underpriced"),
    ("nethermind", -32010, "InsufficientFunds, Account balance: 0", "refused"),
    ("nethermind", -32010, "FeeTooLow, MaxFeePerGas too low", "refused"),
    ("besu", -32000, "Known transaction", "accepted"),
    ("besu", -32001, "Nonce too low", "low"),
    ("besu", -32000, "Replacement transaction underpriced", "underpriced"),
    ("besu", -32004, "Upfront cost exceeds account balance", "refused"),
    ("besu", -32005, "Transaction gas limit exceeds block gas limit", "refused"),
    ("besu", -32009, "Gas price below current base fee", "refused"),
    ("erigon", -32000, "ALREADY_EXISTS: already known", "accepted"),
    ("erigon", -32000, "INTERNAL_ERROR: could not replace existing tx", "underpriced"),
    ("erigon", -32000, "INTERNAL_ERROR: underpriced", "refused"),
    ("erigon", -32000, "pending sub-pool is full", "refused"),
    ("anvil", -32003, "transaction already imported", "accepted"),
    ("anvil", -32003, "nonce too low", "low"),
    ("anvil", -32003, "replacement transaction underpriced", "underpriced"),
    ("anvil", -32003, "Insufficient funds for gas * price + value", "refused"),
    ("anvil", -32000, "intrinsic gas too low", "refused"),
    ("anvil", -32000, "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", "refused"),
    ("anvil", -32003, "max fee per gas less than block base fee", "refused"),
    ("anvil", -32003, "Out of gas: gas required exceeds allowance: 100", "refused"),
    (
        "op",
        -32000,
        "failed to forward tx to sequencer, please try again. Error message: 'nonce too low'",
        "low",
    ),
    ("op", -32000, "failed to forward tx to sequencer, please try again.", "unknown"),
    ("arbitrum", -32000, "nonce too low: address 0x1234, tx: 4 state: 5", "low"),
    ("arbitrum", -32000, "nonce too high: address 0x1234, tx: 6 state: 5", "refused"),
    (
        "arbitrum",
        -32000,
        "max fee per gas less than block base fee: address 0x12, maxFeePerGas: 1 baseFee: 2",
        "refused",
    ),
    ("any", -32603, "internal error", "unknown"),
    ("any", -32000, "context deadline exceeded", "unknown"),
    ("any", -32000, "unknown transaction type", "unknown"),
    ("any", -32000, "", "unknown"),
];

#[test]
fn every_client_is_understood_in_its_own_words() {
    for (client, code, message, expected) in WORDS {
        assert_eq!(kind(*code, message), *expected, "{client}: {message}");
    }
}

#[test]
fn a_known_hash_that_is_not_ours_is_told() {
    let theirs = B256::repeat_byte(1);
    for words in ["known transaction: {}", "already known [{}]", "({}) Already imported"] {
        let foreign = words.replace("{}", &theirs.to_string());
        assert_eq!(sent(&error(-32000, &foreign), OURS), Broadcast::OtherHash { theirs });
        let ours = words.replace("{}", &OURS.to_string());
        assert_eq!(kind(-32000, &ours), "accepted");
        assert_eq!(kind(-32000, &format!("{ours} instead of {theirs}")), "accepted");
    }
}

#[test]
fn the_meaning_may_stand_in_the_data() {
    let error = NodeError {
        code: -32000,
        message: "Invalid transaction".into(),
        data: Some("\"nonce too low\"".into()),
    };
    assert!(matches!(sent(&error, OURS), Broadcast::NonceTooLow(_)));
}

#[test]
fn every_row_decides_for_itself() {
    for (meaning, words) in SENDS {
        assert_eq!(super::meaning(words), Some(*meaning), "{words}");
    }
}

#[test]
fn an_estimate_fails_unless_the_node_is_clearly_in_trouble() {
    for (code, message, trouble) in [
        (3, "execution reverted: limit exceeded", false),
        (3, "timeout", false),
        (-32000, "execution reverted", false),
        (-32000, "gas required exceeds allowance (21000)", false),
        (-32000, "insufficient funds for transfer", false),
        (-32015, "VM execution error.", false),
        (-32003, "Insufficient funds for gas * price + value", false),
        (-32603, "execution reverted: ERC20: transfer amount exceeds balance", false),
        (-32000, "some words that nobody has seen", false),
        (-32602, "invalid argument 0", false),
        (-32603, "EVM error StackUnderflow", false),
        (-32603, "Internal error", true),
        (-32601, "the method eth_estimateGas does not exist", true),
        (-32005, "daily request count exceeded", true),
        (429, "slow down", true),
        (-32000, "header not found", true),
        (-32000, "missing trie node 12ab (path )", true),
    ] {
        assert_eq!(is_trouble(&error(code, message)), trouble, "{code} {message}");
    }
}
