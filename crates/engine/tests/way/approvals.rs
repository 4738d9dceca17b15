//! People: what an approval answers, who counts, in which order, and with which key.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use countersign_core::{
    approval::{Signing, VoteSignature, signature::OfferedSignature, typed::TypedApproval},
    identity::{AppId, ApprovalDigest, OperationId, OperatorId},
    journal::{Entry, Written},
    operation::{OperationRecord, OperationState as S},
    time::Millis,
    trace::{Again, TraceRecord},
};
use countersign_engine::{DeskError, Engine, Yes, setup::Setup, submission::Answer};
use futures_util::future::join_all;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use crate::house::{House, PAYEE, POLICY, operator, send, take};

/// With a gate of another need.
fn needing(gate: &str) -> String {
    let from = "{ need: [{ any: 1, of: [alice, bob] }], ttl: 2h, drift: { fee: 25%, usd: 2% } }";
    let changed = POLICY.replace(from, gate);
    assert_ne!(changed, POLICY);
    changed
}

async fn says(engine: &Arc<Engine>, name: &str, record: &OperationRecord) -> Result<S, DeskError> {
    let record = engine.approve(&operator(name), record.id, record.digest.unwrap(), None).await?;
    Ok(record.state)
}

async fn trace(engine: &Engine, record: &OperationRecord) -> TraceRecord {
    engine.ports().journal.trace(record.trace).await.unwrap().unwrap()
}

/// What people were told had changed when they were asked again.
async fn changed(engine: &Engine, record: &OperationRecord, what: &str) -> Value {
    let trace = trace(engine, record).await;
    let mut entries = trace.approvals.iter().rev().filter_map(|entry| entry.get("changed"));
    let last = entries.next().unwrap_or_else(|| panic!("nothing changed: {:?}", trace.approvals));
    let all = last.as_array().unwrap();
    let found = all.iter().find(|change| change["what"] == what);
    found.unwrap_or_else(|| panic!("{what} is not in {last}")).clone()
}

fn asking(record: &OperationRecord) -> Vec<&str> {
    record.asks.iter().map(|ask| ask.rule.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_newly_asks_the_same_gate_is_no_part_of_what_was_approved() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    assert_eq!(asking(&parked), ["ask"]);
    let watch = "rules:\n  - { id: watch, when: { kind: transfer }, then: { approve: desk } }";
    engine.replace(house.setup(&POLICY.replace("rules:", watch)));
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    let again = house.only();
    assert_eq!((again.state, again.votes.len(), house.signer.signatures()), (S::Parked, 0, 0));
    assert_eq!(asking(&again), ["watch", "ask"]);
    assert_eq!(again.gates, parked.gates, "the gate is the same");
    let asked_by = changed(&engine, &again, "asked_by").await;
    assert_eq!(asked_by["from"], json!(["trader/ask"]));
    assert_eq!(asked_by["to"], json!(["trader/ask", "trader/watch"]));
    assert_eq!(says(&engine, "bob", &parked).await, Err(DeskError::OtherDigest));
    assert_eq!(says(&engine, "bob", &again).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Executed);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_asks_no_more_leaves_the_approval_as_it_was() {
    let house = House::new();
    let engine = house.gateway().await;
    let watch = "rules:\n  - { id: watch, when: { kind: transfer }, then: { approve: desk } }";
    engine.replace(house.setup(&POLICY.replace("rules:", watch)));
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    assert_eq!(asking(&parked), ["watch", "ask"]);
    engine.replace(house.setup(POLICY));
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Executed);
}

/// A window that the request does not fit asks with everything else, so that people are asked once.
#[tokio::test(start_paused = true)]
async fn a_window_that_is_too_full_is_a_part_of_the_question_and_one_that_fills_later_is_not() {
    let soft = |max: u32| {
        let soft = format!(
            "limits:\n  - {{ id: soft, sum: usd, per: 1h, max: {max}, over: {{ approve: desk }} }}"
        );
        POLICY.replace("limits:", &soft)
    };
    let house = House::new();
    let engine = house.gateway().await;
    engine.replace(house.setup(&soft(250)));
    take(engine.submit(send(&house, PAYEE, 90)).await);
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.ledger.all().remove(1);
    assert_eq!(asking(&parked), ["ask", "soft"]);
    let verdict = trace(&engine, &parked).await.decision.validation_result;
    assert!(verdict.as_str().unwrap().contains("soft"), "{verdict}");
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    assert_eq!(house.ledger.all()[1].state, S::Executed);

    let house = House::new();
    let engine = house.gateway().await;
    engine.replace(house.setup(&soft(250)));
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    assert_eq!(asking(&parked), ["ask"]);
    engine.replace(house.setup(&soft(150)));
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    let again = house.only();
    assert_eq!((again.state, asking(&again)), (S::Parked, vec!["soft", "ask"]));
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_shown_and_the_new_digest_binds_what_is_shown() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    house.prices.set("ETH", Some("1100"));
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    let again = house.only();
    assert_eq!(again.state, S::Parked);
    let usd = changed(&engine, &again, "usd").await;
    assert_eq!((usd["from"].clone(), usd["to"].clone()), (json!("200"), json!("220")));
    let price = changed(&engine, &again, "price eth@31337").await;
    assert_ne!(price["from"], price["to"]);
    let shown = countersign_engine::shown(&trace(&engine, &again).await, again.digest);
    let facts = shown.facts.unwrap();
    assert_eq!(facts.tokens[0].price.known().unwrap().to_string(), "1100", "the facts of now");
    assert_ne!(again.digest, parked.digest);
    // a sweep that has seen it approved decides nothing that the voter's own redemption has decided
    let asked = asked_again(&house);
    assert_eq!(asked.len(), 1, "{asked:?}");
    for (asked, decided) in &asked {
        let told = "what is shown is what is decided again";
        assert_eq!(asked["decision"], json!(decided.decision), "{told}");
        assert_eq!(asked["evidence"], json!(decided.decision_hash));
    }
    assert_eq!(house.replayed().equal, 2);
}

/// What people were told each time that they were asked again, with the decision behind it.
fn asked_again(house: &House) -> Vec<(Value, Again)> {
    let entries = house.journals.chains().into_iter().flat_map(|(_, chain)| chain);
    let updates = entries.filter_map(|entry| {
        let said = serde_json::from_str(Written::parse(&entry.text)?.said()).unwrap();
        let Entry::Update { update, .. } = said else { return None };
        Some((update.approval.filter(|said| said.get("asked_again").is_some())?, *update.again?))
    });
    updates.collect()
}

#[tokio::test(start_paused = true)]
async fn a_clause_waits_for_those_before_it_where_the_gate_has_an_order() {
    let house = House::new();
    let engine = house.gateway().await;
    let ordered = "{ need: [{ any: 1, of: [carol] }, { any: 1, of: [bob, carol] }], in_order: true, ttl: 2h }";
    engine.replace(house.setup(&needing(ordered)));
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    assert_eq!(says(&engine, "bob", &parked).await, Err(DeskError::NotInTurn));
    assert_eq!(says(&engine, "carol", &parked).await, Ok(S::Parked));
    assert_eq!(says(&engine, "carol", &parked).await, Ok(S::Parked), "once is once");
    assert_eq!(house.only().votes.len(), 1);
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Executed);
}

/// Every change of people between the first vote and the signature.
#[tokio::test(start_paused = true)]
async fn who_has_left_or_changed_does_not_count_any_more() {
    type Change = fn(&mut Setup);
    fn bob(setup: &mut Setup) -> &mut countersign_engine::setup::OperatorSetup {
        setup.operators.get_mut(&OperatorId::parse("bob").unwrap()).unwrap()
    }
    let table: [(&str, Change, S); 5] = [
        ("nothing", |_| {}, S::Executed),
        ("left", |s| drop(s.operators.remove(&OperatorId::parse("bob").unwrap())), S::Parked),
        ("no right", |s| bob(s).roles.clear(), S::Parked),
        ("another person", |s| bob(s).person = "robert".into(), S::Parked),
        ("another group", |s| bob(s).groups.clear(), S::Parked),
    ];
    for (name, change, state) in table {
        // half a quorum, then the change
        let house = House::new();
        let engine = house.gateway().await;
        let gate = "{ need: [{ any: 2, of: [desk] }], ttl: 2h }";
        let setup = || {
            let mut setup = house.setup(&needing(gate));
            setup.operators.values_mut().for_each(|o| o.groups = vec!["desk".into()]);
            setup
        };
        let member = |name: &str| setup().operators[&OperatorId::parse(name).unwrap()].clone();
        engine.replace(setup());
        take(engine.submit(send(&house, PAYEE, 200)).await);
        let (id, digest) = (house.only().id, house.only().digest.unwrap());
        engine.approve(&member("bob"), id, digest, None).await.unwrap();
        let mut changed_setup = setup();
        change(&mut changed_setup);
        engine.replace(changed_setup);
        let second = engine.approve(&member("carol"), id, digest, None).await.unwrap();
        let half = if state == S::Executed { S::Approved } else { S::Parked };
        assert_eq!((second.state, second.votes.len()), (half, 2), "{name}");

        // and the same after the last vote, before it is carried out
        let house = House::new();
        let engine = house.gateway().await;
        let delayed = "{ need: [{ any: 2, of: [desk] }], ttl: 2h, delay: 10m }";
        let setup = || {
            let mut setup = house.setup(&needing(delayed));
            setup.operators.values_mut().for_each(|o| o.groups = vec!["desk".into()]);
            setup
        };
        engine.replace(setup());
        take(engine.submit(send(&house, PAYEE, 200)).await);
        let (id, digest) = (house.only().id, house.only().digest.unwrap());
        for name in ["bob", "carol"] {
            engine.approve(&member(name), id, digest, None).await.unwrap();
        }
        house.settle_down(&engine).await;
        assert_eq!(house.only().state, S::Approved, "not before its time");
        let mut changed_setup = setup();
        change(&mut changed_setup);
        house.time.advance("10m".parse::<Millis>().unwrap());
        let engine = house.gateway().await;
        engine.replace(changed_setup);
        house.settle_down(&engine).await;
        assert_eq!(house.only().state, state, "{name}");
        // the vote stays, and counts for nothing without its group
        if state == S::Parked && name != "another group" {
            let votes = changed(&engine, &house.only(), "votes").await;
            assert_eq!(votes["to"], json!(["carol"]), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_and_a_no_at_once_are_one_decision() {
    for first in [true, false] {
        let house = House::new();
        let engine = house.gateway().await;
        take(engine.submit(send(&house, PAYEE, 200)).await);
        let parked = house.only();
        let bob = operator("bob");
        let yes = engine.approve(&bob, parked.id, parked.digest.unwrap(), None);
        let no = engine.reject(&bob, parked.id, "no".into());
        let (yes, no) = if first {
            tokio::join!(biased; yes, no)
        } else {
            let (no, yes) = tokio::join!(biased; no, yes);
            (yes, no)
        };
        assert_ne!(yes.is_ok(), no.is_ok(), "{yes:?} {no:?}");
        house.settle_down(&engine).await;
        assert_eq!(house.only().state, if yes.is_ok() { S::Executed } else { S::Rejected });
    }
}

const SIGNED: &str = "{ need: [{ any: 1, of: [bob, carol] }], sign: ethereum, ttl: 2h }";

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn address(byte: u8) -> Address {
    Address::from_public_key(key(byte).verifying_key())
}

fn raw(byte: u8, hash: B256) -> Signature {
    let (signature, recovery) = key(byte).sign_prehash_recoverable(hash.as_slice()).unwrap();
    Signature::from((signature, recovery))
}

fn offered(signature: Signature) -> OfferedSignature {
    OfferedSignature::Ethereum(Bytes::from(signature.as_bytes().to_vec()))
}

/// Bob has a key; carol has none.
fn with_keys(house: &House) -> Setup {
    let mut setup = house.setup(&needing(SIGNED));
    let bob = setup.operators.get_mut(&OperatorId::parse("bob").unwrap()).unwrap();
    bob.address = Some(address(3));
    setup
}

/// What is not bob's signature over this approval.
fn wrong(approval: TypedApproval<'_>) -> Vec<(&'static str, OfferedSignature)> {
    let hash = approval.signing_hash();
    let good = raw(3, hash);
    let order = U256::from_be_slice(&alloy_primitives::hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let high = Signature::new(good.r(), order - good.s(), !good.v());
    let app = AppId::parse("other").unwrap();
    let others = [
        ("another tenant", TypedApproval { app: &app, ..approval }),
        (
            "another operation",
            TypedApproval { operation: OperationId::from_random([1; 16]), ..approval },
        ),
        ("another digest", TypedApproval { digest: ApprovalDigest(B256::ZERO), ..approval }),
        (
            "another end",
            TypedApproval { expires_at: approval.expires_at.after(Millis(1000)), ..approval },
        ),
    ];
    let others = others.map(|(name, other)| (name, offered(raw(3, other.signing_hash()))));
    let rest = [
        ("another key", offered(raw(4, hash))),
        ("the bare digest", offered(raw(3, approval.digest.0))),
        ("in its high form", offered(high)),
        ("nothing", OfferedSignature::Ethereum(Bytes::new())),
        ("too long", OfferedSignature::Ethereum(Bytes::from(vec![27; 66]))),
    ];
    others.into_iter().chain(rest).collect()
}

#[tokio::test(start_paused = true)]
async fn where_the_gate_asks_for_a_key_a_token_alone_moves_nothing() {
    let house = House::new();
    let engine = house.gateway().await;
    engine.replace(with_keys(&house));
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    let digest = parked.digest.unwrap();
    let app = AppId::parse("default").unwrap();
    let approval = TypedApproval {
        app: &app,
        operation: parked.id,
        digest,
        expires_at: parked.expires_at.unwrap(),
    };
    let bob = with_keys(&house).operators[&OperatorId::parse("bob").unwrap()].clone();
    let say = async |signature: Option<OfferedSignature>| {
        let yes = Yes { digest, note: None, signature };
        engine.approve_signed(&bob, parked.id, yes).await.map(|record| record.state)
    };
    assert_eq!(say(None).await, Err(DeskError::Unsigned(vec![Signing::Ethereum])));
    let good = raw(3, approval.signing_hash());
    for (name, signature) in wrong(approval) {
        let said = say(Some(signature)).await;
        assert!(matches!(said, Err(DeskError::Signature(_))), "{name}: {said:?}");
    }
    assert_eq!(house.only().votes.len(), 0);
    let carol = operator("carol");
    let yes = Yes { digest, note: None, signature: Some(offered(good)) };
    let said = engine.approve_signed(&carol, parked.id, yes).await;
    assert!(matches!(said, Err(DeskError::Signature(_))), "bob's signature says nothing of carol");
    assert_eq!(say(Some(offered(good))).await, Ok(S::Approved));
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Executed);
    let trace = trace(&engine, &house.only()).await;
    let said = trace.approvals.iter().find(|entry| entry["decision"] == "approved").unwrap();
    let kept: VoteSignature = serde_json::from_value(said["signature"].clone()).unwrap();
    assert_eq!(kept.verify(&approval, None), Ok(()), "whoever has the record can verify it");
    assert!(trace.signatures.iter().any(|signature| signature["operator"] == "bob"));
}

#[tokio::test(start_paused = true)]
async fn a_vote_of_a_key_that_is_not_the_operators_any_more_does_not_count() {
    let house = House::new();
    let engine = house.gateway().await;
    let delayed = |address: Address| {
        let mut setup = house.setup(&needing(&SIGNED.replace("ttl: 2h", "ttl: 2h, delay: 10m")));
        setup.operators.get_mut(&OperatorId::parse("bob").unwrap()).unwrap().address =
            Some(address);
        setup
    };
    engine.replace(delayed(address(3)));
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    let app = AppId::parse("default").unwrap();
    let (digest, expires_at) = (parked.digest.unwrap(), parked.expires_at.unwrap());
    let approval = TypedApproval { app: &app, operation: parked.id, digest, expires_at };
    let yes = Yes { digest, note: None, signature: Some(offered(raw(3, approval.signing_hash()))) };
    let bob = delayed(address(3)).operators[&OperatorId::parse("bob").unwrap()].clone();
    engine.approve_signed(&bob, parked.id, yes).await.unwrap();
    house.settle_down(&engine).await;
    assert_eq!(house.only().state, S::Approved, "not before its time");
    house.time.advance("10m".parse::<Millis>().unwrap());
    let engine = house.gateway().await;
    engine.replace(delayed(address(5)));
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.signer.signatures()), (S::Parked, 0));
}

/// Ten thousand must not hide one: what would wait beside too many is refused, and the record says why for ever.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_parked_operations_lets_no_more_in() {
    let house = House::new();
    let crowded = || {
        let mut setup = house.setup(POLICY);
        setup.agents.values_mut().for_each(|agent| agent.parked_max = 2);
        setup
    };
    let gateways = [house.gateway().await, house.gateway().await];
    for engine in &gateways {
        engine.replace(crowded());
    }
    let asks = (0..8_u64).map(|n| {
        let engine = Arc::clone(&gateways[usize::from(n % 2 == 0)]);
        let request = send(&house, PAYEE, 200 + n);
        tokio::spawn(async move { take(engine.submit(request).await) })
    });
    let mut denied = Vec::new();
    for answer in join_all(asks).await {
        match answer.unwrap() {
            Answer::Pending(_) => {}
            Answer::Denied(denial) => denied.push(denial),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(denied.len(), 6);
    assert!(denied.iter().all(|denial| denial.code == "too_many_pending"), "{denied:?}");
    let [engine, _] = gateways;
    // whoever asks beforehand is told the same, and that what asks nobody goes on
    let simulated = async |engine: &Engine, amount: u64| {
        let told = engine.simulate(send(&house, PAYEE, amount)).await.unwrap().body;
        (told["outcome"].clone(), told["code"].clone())
    };
    let refused = (json!("deny"), json!("too_many_pending"));
    assert_eq!(simulated(&engine, 250).await, refused);
    assert_eq!(simulated(&engine, 49).await.0, json!("allow"));
    // what asks nobody goes on, and each decision leaves room for another
    assert!(matches!(take(engine.submit(send(&house, PAYEE, 50)).await), Answer::Signed(_)));
    let parked = house.ledger.all().into_iter().find(|o| o.state == S::Parked).unwrap();
    engine.reject(&operator("bob"), parked.id, "no".into()).await.unwrap();
    assert_eq!(simulated(&engine, 250).await.0, json!("park"), "there is room for one");
    assert!(matches!(take(engine.submit(send(&house, PAYEE, 300)).await), Answer::Pending(_)));
    let refused = engine.ports().journal.trace(denied[0].trace).await.unwrap().unwrap();
    assert_eq!(refused.decision.crowded, Some(2));
    assert_eq!(refused.decision.blocked_by.as_deref(), Some("max_pending"));
    assert_eq!(house.replayed().unjudged, 0);
}

/// Two gateways and one operator who clicks too often: the record says it once.
#[tokio::test(start_paused = true)]
async fn many_clicks_of_one_operator_are_one_entry() {
    for word in ["approved", "rejected"] {
        let house = House::new();
        let gateways = [house.gateway().await, house.gateway().await];
        take(gateways[0].submit(send(&house, PAYEE, 200)).await);
        let parked = house.only();
        let click = |n: usize| {
            let (engine, parked) = (Arc::clone(&gateways[n % 2]), parked.clone());
            tokio::spawn(async move {
                if word == "approved" {
                    says(&engine, "bob", &parked).await.map(drop)
                } else {
                    engine.reject(&operator("bob"), parked.id, "no".into()).await.map(drop)
                }
            })
        };
        let clicks = join_all((0..12).map(click)).await;
        assert!(clicks.iter().any(|click| matches!(click, Ok(Ok(())))), "{clicks:?}");
        house.settle_down(&gateways[0]).await;
        let said = trace(&gateways[0], &parked).await.approvals;
        let same = said.iter().filter(|entry| entry["decision"] == word).count();
        assert_eq!(same, 1, "{said:?}");
    }
}

/// Whoever takes an operation up has looked at it before: what was decided meanwhile is not decided again.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_looked_too_early_asks_nobody_again() {
    let house = House::new();
    let (engine, other) = (house.gateway().await, house.gateway().await);
    take(engine.submit(send(&house, PAYEE, 200)).await);
    let parked = house.only();
    house.prices.set("ETH", Some("1100"));
    assert_eq!(says(&engine, "bob", &parked).await, Ok(S::Approved));
    // it sees the operation approved, and the first gateway is at work on it before it is
    house.settle_down(&other).await;
    let asked = asked_again(&house);
    assert_eq!((house.only().state, asked.len()), (S::Parked, 1), "{asked:?}");
}
