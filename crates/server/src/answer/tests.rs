use alloy_primitives::{Address, B256};
use countersign_core::{
    identity::{PolicyId, TraceHash},
    time::Timestamp,
};
use countersign_policy::decision::{Register, Violation};

use super::*;

const REASON: &str = "100 USD asked, 50 of 1000 USD left, frees 2026-01-01T00:00:00Z";

fn denied(code: &str, reason: &str) -> Answer {
    Answer::Denied(Denied {
        code: code.into(),
        reason: reason.into(),
        register: Register::Constructive,
        violations: vec![Violation {
            rule: "day".into(),
            code: code.into(),
            limit: Some("1000".into()),
            current: Some("950".into()),
            requested: Some("100".into()),
            frees_at: Some("2026-01-01T00:00:00Z".into()),
        }],
        trace: TraceHash(B256::repeat_byte(1)),
        policy: Some(PolicyId(B256::repeat_byte(2))),
        operation: None,
    })
}

fn pending(state: OperationState) -> Answer {
    Answer::Pending(Pending {
        operation: OperationId::from_random([7; 16]),
        state,
        code: "amount_above_threshold".into(),
        reason: "more than 100 USD".into(),
        gates: vec!["desk".into()],
        expires_at: Some(Timestamp::from_millis(1_767_225_600_000)),
        trace: TraceHash(B256::repeat_byte(1)),
        policy: Some(PolicyId(B256::repeat_byte(2))),
    })
}

fn told(answer: Answer) -> Value {
    serde_json::from_str(&settle(answer).unwrap_err().to_text()).unwrap()
}

#[test]
fn a_denial_has_the_shape_of_the_contract() {
    let (ones, twos) = ("01".repeat(32), "02".repeat(32));
    assert_eq!(
        told(denied("daily_quota_exceeded", REASON)),
        json!({
            "code": 4001,
            "message": format!("User denied by policy [daily_quota_exceeded]: {REASON}. Nothing was sent. (trace 0x{ones})"),
            "data": {
                "status": "denied", "code": "daily_quota_exceeded", "reason": REASON,
                "register": "constructive", "final": true,
                "violations": [{
                    "rule": "day", "code": "daily_quota_exceeded", "limit": "1000", "current": "950",
                    "requested": "100", "frees_at": "2026-01-01T00:00:00Z"
                }],
                "trace_hash": format!("0x{ones}"), "policy": format!("sha256:{twos}"),
            }
        })
    );
    let rejected = told(denied("approval_rejected", "not today."));
    assert_eq!(
        rejected["message"],
        format!(
            "User denied by operator [approval_rejected]: not today. Nothing was sent. (trace 0x{ones})"
        )
    );
}

#[test]
fn a_parked_call_has_the_shape_of_the_contract() {
    let (id, ones, twos) = ("07".repeat(16), "01".repeat(32), "02".repeat(32));
    assert_eq!(
        told(pending(OperationState::Parked)),
        json!({
            "code": -32002,
            "message": format!("Waiting for approval [amount_above_threshold], operation op_{id}. Nothing was sent yet; it will be when approved. The same request again returns the result."),
            "data": {
                "status": "PENDING_APPROVAL", "pending_operation_id": format!("op_{id}"),
                "code": "amount_above_threshold", "gates": ["desk"], "sent": false,
                "retry_after_ms": 5000, "expires_at": "2026-01-01T00:00:00Z",
                "trace_hash": format!("0x{ones}"), "policy": format!("sha256:{twos}"),
            }
        })
    );
}

#[test]
fn what_may_have_been_sent_is_never_called_unsent() {
    for state in OperationState::ALL {
        let told = told(pending(state));
        let money_is_held = matches!(
            state,
            OperationState::Parked | OperationState::Approved | OperationState::Allowed
        );
        assert_eq!(told["data"]["sent"], if money_is_held { json!(false) } else { Value::Null });
        let message = told["message"].as_str().unwrap();
        assert_eq!(message.contains("Nothing was sent"), money_is_held, "{message}");
    }
}

#[test]
fn the_other_answers_have_their_codes() {
    let account = Address::repeat_byte(0xab);
    for (answer, code, message) in [
        (
            Answer::Malformed(Malformed { field: "nonce".into(), reason: "the next is 4".into() }),
            PARAMS,
            "`nonce`: the next is 4. Nothing was sent.".to_owned(),
        ),
        (
            Answer::NotYours(account),
            UNAUTHORISED,
            format!("This agent has no account {account:#x} here. Nothing was sent."),
        ),
        (
            Answer::SignsItself(account),
            UNAUTHORISED,
            format!(
                "The account {account:#x} signs for itself: sign with its own key, and send that with eth_sendRawTransaction. Nothing was sent."
            ),
        ),
        (
            Answer::Unavailable(Unavailable {
                code: "store_unavailable",
                reason: "the store does not answer".into(),
            }),
            UNAVAILABLE,
            "Not available [store_unavailable]: the store does not answer. Nothing was sent; it is safe to repeat.".into(),
        ),
    ] {
        let told = told(answer);
        assert_eq!((told["code"].as_i64(), told["message"].as_str()), (Some(code), Some(message.as_str())));
    }
}

#[test]
fn the_nodes_words_are_kept_and_its_code_is_not() {
    let told = told(Answer::NodeRefused(NodeRefused {
        message: "insufficient funds for gas * price + value".into(),
        upstream_code: Some(-32000),
        upstream_data: Some(json!("0x")),
    }));
    assert_eq!(told["code"], NODE_REFUSED);
    assert_eq!(told["message"], "insufficient funds for gas * price + value. Nothing was sent.");
    assert_eq!(told["data"]["upstream"], -32000);
}

/// Every sentence of ours with the most loaded texts that a policy, a person or an agent can put in it.
#[test]
fn no_message_of_ours_changes_what_a_client_does() {
    let loaded: Vec<&str> = LOADED.iter().map(|(loaded, _)| *loaded).collect();
    let text = loaded.join(" ").to_uppercase();
    let unavailable = Unavailable { code: "store_unavailable", reason: text.clone() };
    let malformed = Malformed { field: text.clone(), reason: text.clone() };
    let mut answers = vec![
        denied("x", &text),
        denied("approval_rejected", &text),
        Answer::Malformed(malformed),
        Answer::NotYours(Address::ZERO),
        Answer::SignsItself(Address::ZERO),
        Answer::Unavailable(unavailable),
    ];
    answers.extend(OperationState::ALL.map(pending));
    for answer in answers {
        let message = settle(answer).unwrap_err().message;
        // the one phrase that we mean: ethers reports ACTION_REJECTED for it
        let rest = message.replace("User denied by ", "").to_lowercase();
        for phrase in &loaded {
            assert!(!rest.contains(phrase), "{phrase}: {message}");
        }
        assert!(message.contains("sent"), "{message}");
    }
}

#[test]
fn a_message_is_one_bounded_line_that_hides_nothing() {
    let text = format!("a\nb\u{202e}c\u{200b}d\0 {}", "x".repeat(10_000));
    let message = settle(denied("x", &text)).unwrap_err().message;
    assert!(!message.chars().any(is_hidden), "{message}");
    assert!(message.len() < 1000);
}

#[test]
fn a_node_cannot_speak_with_our_codes() {
    for code in [DENIED, UNAUTHORISED, PENDING, NODE_REFUSED, UNAVAILABLE] {
        assert_eq!(upstream(code, "x".into(), None).code, INTERNAL);
    }
    for code in [-32000, -32601, -32602, -32005, 3] {
        assert_eq!(upstream(code, "x".into(), Some(json!("0x"))).code, code);
    }
}

#[test]
fn a_response_echoes_its_id_as_it_was_written() {
    for id in ["null", "0", "1e400", "\"a\\n\"", "9007199254740993"] {
        let id = Json::parse(id.as_bytes(), countersign_core::json::Limits::REQUEST).unwrap();
        let text = response(&id, Ok("true"));
        assert_eq!(text, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":true}}"#));
    }
}
