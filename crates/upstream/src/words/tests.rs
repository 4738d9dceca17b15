use std::collections::{BTreeMap, BTreeSet};

use super::*;

const OURS: B256 = B256::repeat_byte(0xab);

/// The clients of attack NO-6.
const CLIENTS: [&str; 8] =
    ["geth", "reth", "nethermind", "besu", "erigon", "anvil", "op", "arbitrum"];

/// What a situation means, whoever tells it.
const SITUATIONS: [(&str, Meaning); 24] = [
    ("known", Meaning::Known),
    ("nonce_low", Meaning::NonceTooLow),
    ("nonce_high", Meaning::NonceTooHigh),
    ("replacement", Meaning::Underpriced),
    ("funds", Meaning::Refused),
    ("intrinsic", Meaning::Refused),
    ("base_fee", Meaning::Refused),
    ("fee_floor", Meaning::Refused),
    ("fee_cap", Meaning::Refused),
    ("tip", Meaning::Refused),
    ("block_gas", Meaning::Refused),
    ("gas_cap", Meaning::Refused),
    ("pool_full", Meaning::Refused),
    ("account_limit", Meaning::Refused),
    ("delegated", Meaning::Refused),
    ("initcode", Meaning::Refused),
    ("oversized", Meaning::Refused),
    ("type", Meaning::Refused),
    ("chain_id", Meaning::Refused),
    ("unprotected", Meaning::Refused),
    ("signature", Meaning::Refused),
    ("sender_code", Meaning::Refused),
    ("shape", Meaning::Refused),
    ("reverted", Meaning::Refused),
];

/// What a client has no words for: Arbitrum's sequencer has no pool, so that what is known or
/// replaced is a used nonce; erigon's pool does not compare with the base fee.
const SPEECHLESS: [(&str, &str); 3] =
    [("arbitrum", "known"), ("arbitrum", "replacement"), ("erigon", "base_fee")];

struct Row {
    client: &'static str,
    situation: &'static str,
    error: NodeError,
    seen: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("nodes.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            let [client, situation, code, text, seen, _] = cells[..] else { panic!("{line}") };
            let text = text.replace("{ours}", &OURS.to_string());
            Row { client, situation, error: error(code.parse().unwrap(), &text), seen }
        })
        .collect()
}

fn error(code: i64, message: &str) -> NodeError {
    NodeError { code, message: message.into(), data: None }
}

/// Attack NO-6.
#[test]
fn every_client_means_the_same_by_its_own_words() {
    let mut meanings = BTreeMap::from(SITUATIONS);
    meanings.extend([("filtered", Meaning::Refused), ("closed", Meaning::Nothing)]);
    meanings.insert("other", Meaning::Nothing);
    for Row { client, situation, error, .. } in rows() {
        assert_eq!(meaning(&error), meanings[situation], "{client}, {situation}: {error}");
        assert_eq!(is_closed(&error), situation == "closed", "{client}, {situation}: {error}");
    }
}

#[test]
fn every_client_has_words_for_what_a_sender_has_to_tell_apart() {
    let rows = rows();
    let told: BTreeSet<_> = rows.iter().map(|row| (row.client, row.situation)).collect();
    for client in CLIENTS {
        for (situation, _) in &SITUATIONS[..7] {
            let has_words = told.contains(&(client, situation));
            let speechless = SPEECHLESS.contains(&(client, situation));
            assert!(has_words != speechless, "{client} on {situation}");
        }
    }
}

#[test]
fn most_words_were_read_where_the_node_says_them() {
    let rows = rows();
    let count = |seen: &str| rows.iter().filter(|row| row.seen == seen).count();
    let (run, source) = (count("run"), count("source"));
    assert_eq!(run + source + count("quoted") + count("memory"), rows.len());
    assert!(run + source > rows.len() / 4 * 3, "{run} and {source} of {}", rows.len());
}

#[test]
fn each_meaning_has_its_answer_with_the_nodes_words() {
    for Row { client, error, .. } in rows() {
        let words = error.to_string();
        let expected = match meaning(&error) {
            Meaning::Known => Broadcast::Accepted,
            Meaning::NonceTooLow => Broadcast::NonceTooLow(words),
            Meaning::Underpriced => Broadcast::Underpriced(words),
            Meaning::NonceTooHigh | Meaning::Refused => Broadcast::Refused(words),
            Meaning::Nothing => Broadcast::Unknown(words),
        };
        assert_eq!(sent(&error, OURS), expected, "{client}: {error}");
    }
}

#[test]
fn words_inside_others_mean_nothing_of_their_own() {
    for (text, expected) in [
        ("unknown transaction", Meaning::Nothing),
        ("unknown transaction type", Meaning::Nothing),
        ("not already knowns", Meaning::Nothing),
        ("the nonce too lowly", Meaning::Nothing),
        ("block already known", Meaning::Nothing),
        ("authority nonce too low", Meaning::Refused),
        ("FEE_TOO_LOW: replacement transaction underpriced", Meaning::Underpriced),
        ("ALREADY_EXISTS: already known", Meaning::Known),
        ("ALREADY KNOWN", Meaning::Known),
        ("nonce too low (already known)", Meaning::Known),
        ("nonce too low, execution reverted: already known", Meaning::NonceTooLow),
        ("execution reverted: already known", Meaning::Refused),
        ("VM Exception while processing transaction: revert nonce too low", Meaning::Refused),
        ("İ already known", Meaning::Known),
        ("\u{0}", Meaning::Nothing),
    ] {
        assert_eq!(meaning(&error(-32000, text)), expected, "{text}");
    }
}

#[test]
fn a_known_hash_that_is_not_ours_is_told() {
    let theirs = B256::repeat_byte(1);
    for words in ["known transaction: {}", "already known [{}]", "({}) Already imported"] {
        let foreign = words.replace("{}", &theirs.to_string());
        assert_eq!(sent(&error(-32000, &foreign), OURS), Broadcast::OtherHash { theirs });
        let ours = words.replace("{}", &OURS.to_string());
        for text in [&ours, &format!("{ours} instead of {theirs}")] {
            assert_eq!(sent(&error(-32000, text), OURS), Broadcast::Accepted, "{text}");
        }
    }
}

#[test]
fn the_meaning_may_stand_in_the_data() {
    for (message, data, expected) in [
        ("Invalid transaction", "\"nonce too low\"", Meaning::NonceTooLow),
        ("Invalid transaction", "{\"message\":\"already known\"}", Meaning::Known),
        ("execution reverted", "\"already known\"", Meaning::Refused),
        ("VM execution error", "\"Reverted 0x08c379a0 already known\"", Meaning::Refused),
        ("Invalid transaction", "[]", Meaning::Nothing),
    ] {
        let data = Some(data.into());
        let error = NodeError { code: -32000, message: message.into(), data };
        assert_eq!(meaning(&error), expected, "{error:?}");
    }
}

#[test]
fn every_row_decides_for_itself() {
    for (expected, words) in SENDS {
        assert_eq!(meaning_of(words), *expected, "{words}");
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
