//! Transactions that come signed: of an owner's wallet, of a key that is here, of anybody else; and authorisations.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes};
use countersign_core::{
    fact::Freeze,
    identity::WalletId,
    intent::Method,
    operation::OperationState as S,
    time::Millis,
    trace::{Incident, Severity},
    transaction::{Authorization, FeeBid, TransactionPlan, TransactionType},
};
use countersign_engine::{
    BumpError, Engine,
    port::{
        Ledger as _, Signer as _,
        chain::ReadAnswer,
        journal::{IncidentQuery, JournalError},
    },
    setup::{Setup, WalletSetup, WalletSigner},
    submission::{Answer, Denied, Draft, Submission},
};
use countersign_testkit::{FakeSigner, chain::Mood};

use crate::{
    crash::{Cut, Mortal},
    house::{CHAIN, House, PAYEE, POLICY, STRANGER, draft, eth, operator, send, take},
};

/// A policy that lets code at the payee act for others, and counts nothing.
const DELEGATES: &str = r#"
policy: trader
kind: grant
for: { agent: trader }
sets:
  payees: ["0x1111111111111111111111111111111111111111"]
rules:
  - { id: pay, when: { kind: transfer, to: { in: "@payees" } }, then: allow }
  - { id: code, when: { kind: delegate, target: { in: "@payees" } }, then: allow }
"#;

/// A house whose agent has, beside its wallet, one whose owner signs.
struct Owned {
    house: House,
    owner: FakeSigner,
    engine: Arc<Engine>,
}

impl Owned {
    async fn new(policy: &str) -> Self {
        let house = House::new();
        let owner = FakeSigner::new(8);
        house.chain.fund(owner.address(), eth(1_000_000));
        let engine = house.gateway().await;
        engine.replace(with_owner(house.setup(policy), &owner, WalletSigner::External));
        Self { house, owner, engine }
    }

    /// A payment of so many USD that the owner signed.
    fn paid(&self, to: Address, usd: u64, nonce: u64) -> Submission {
        brought(&self.house, &self.owner, pays(to, usd), nonce)
    }

    async fn submit(&self, submission: Submission) -> Answer {
        take(self.engine.submit(submission).await)
    }

    async fn incidents(&self) -> Vec<Incident> {
        let query = IncidentQuery { limit: 100, ..IncidentQuery::default() };
        self.engine.ports().journal.incidents(&query).await.unwrap().items
    }
}

fn own() -> WalletId {
    WalletId::parse("own").unwrap()
}

fn with_owner(mut setup: Setup, owner: &FakeSigner, signer: WalletSigner) -> Setup {
    let address = owner.address();
    let wallet = WalletSetup { id: own(), address, signer, in_flight_max: 100 };
    setup.wallets.insert(own(), wallet);
    setup.agents.values_mut().for_each(|agent| agent.wallets.push(own()));
    setup
}

fn pays(to: Address, usd: u64) -> TransactionPlan {
    TransactionPlan {
        chain: CHAIN,
        kind: TransactionType::DynamicFee,
        to: Some(to),
        value: eth(usd),
        data: Bytes::new(),
        gas: 21_000,
        fee: FeeBid::Dynamic { max_fee: 4_000_000_000, tip: 1_000_000_000 },
        access_list: vec![],
        authorizations: vec![],
    }
}

fn brought(house: &House, key: &FakeSigner, plan: TransactionPlan, nonce: u64) -> Submission {
    let raw = key.sign_elsewhere(plan.with_nonce(nonce));
    Submission {
        method: Method::SendRawTransaction,
        draft: Draft::Raw(Box::new(raw)),
        ..send(house, PAYEE, 1)
    }
}

fn bytes(submission: &Submission) -> Bytes {
    let Draft::Raw(raw) = &submission.draft else { panic!("{submission:?}") };
    raw.encoded()
}

fn hash(answer: &Answer) -> alloy_primitives::B256 {
    let Answer::Signed(signed) = answer else { panic!("not sent: {answer:?}") };
    signed.hash
}

fn denied(answer: Answer) -> Denied {
    let Answer::Denied(denied) = answer else { panic!("not denied: {answer:?}") };
    denied
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_signed_is_judged_charged_and_settled_like_any_other_send() {
    let owned = Owned::new(POLICY).await;
    let asked = owned.paid(PAYEE, 50, 0);
    let raw = bytes(&asked);
    let sent = hash(&owned.submit(asked).await);
    assert_eq!(sent, alloy_primitives::keccak256(&raw));
    assert_eq!((owned.house.chain.sent(), owned.house.signer.signatures()), (vec![raw], 0));
    owned.house.settle_down(&owned.engine).await;
    let record = owned.house.only();
    assert_eq!((record.state, record.hash(), record.nonce()), (S::Executed, Some(sent), Some(0)));
    assert_eq!((record.intent.method, record.wallet()), (Method::SendRawTransaction, &own()));
    assert_eq!(owned.house.paid(), eth(50));
    let [reserved, committed, settled] = owned.house.counts().await;
    assert_eq!((reserved, committed, settled >= 50_000_000), (0, 0, true));

    for (to, usd, code) in [(STRANGER, 1, "no_rule_allows"), (PAYEE, 600, "per_tx_limit_exceeded")]
    {
        assert_eq!(denied(owned.submit(owned.paid(to, usd, 1)).await).code, code);
    }
    assert_eq!(owned.house.chain.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_people_is_sent_as_it_was_signed() {
    let owned = Owned::new(POLICY).await;
    let raw = bytes(&owned.paid(PAYEE, 200, 0));
    let answer = owned.submit(owned.paid(PAYEE, 200, 0)).await;
    let Answer::Pending(parked) = answer else { panic!("{answer:?}") };
    assert_eq!(owned.house.chain.sent(), Vec::<Bytes>::new());
    let digest = owned.house.only().digest.unwrap();
    owned.engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    owned.house.settle_down(&owned.engine).await;
    assert_eq!((owned.house.only().state, owned.house.chain.sent()), (S::Executed, vec![raw]));
    let collected = owned.submit(owned.paid(PAYEE, 200, 0)).await;
    assert_eq!(Some(hash(&collected)), owned.house.only().hash());
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_are_one_operation_for_ever() {
    let owned = Owned::new(POLICY).await;
    let first = hash(&owned.submit(owned.paid(PAYEE, 50, 0)).await);
    for _ in 0..2 {
        assert_eq!(hash(&owned.submit(owned.paid(PAYEE, 50, 0)).await), first);
        owned.house.settle_down(&owned.engine).await;
    }
    assert_eq!((owned.house.only().state, owned.house.paid()), (S::Executed, eth(50)));
    let other = owned.submit(owned.paid(PAYEE, 51, 0)).await;
    let Answer::NodeRefused(refused) = other else { panic!("{other:?}") };
    assert!(refused.message.contains("nonce 0 is taken"), "{}", refused.message);
}

#[tokio::test(start_paused = true)]
async fn a_signature_of_a_key_that_is_here_and_was_made_elsewhere_is_refused_and_told() {
    let owned = Owned::new(POLICY).await;
    let leaked = || brought(&owned.house, &owned.house.signer, pays(PAYEE, 1), 0);
    let first = denied(owned.submit(leaked()).await);
    assert_eq!((first.code.as_str(), first.operation), ("externally_signed", None));
    owned.house.time.advance(Millis(1));
    let again = denied(owned.submit(leaked()).await);
    assert_eq!(again.reason, first.reason);
    let told = owned.incidents().await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(
        (told[0].code.as_str(), told[0].severity),
        ("externally_signed", Severity::Critical)
    );
    assert_eq!(told[0].trace_hash, Some(first.trace));

    let foreign = brought(&owned.house, &FakeSigner::new(9), pays(PAYEE, 1), 0);
    let foreign = denied(owned.submit(foreign).await);
    assert_eq!((foreign.code, foreign.reason), (first.code, first.reason));
    assert_eq!(owned.incidents().await.len(), 1, "nobody's key is nobody's alarm");
    assert_eq!((owned.house.ledger.all(), owned.house.chain.sent()), (vec![], vec![]));
    assert_eq!(owned.house.journals.all().len(), 3, "each refusal is on record");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_from_the_chain_is_a_smaller_alarm() {
    let owned = Owned::new(POLICY).await;
    let old = owned.house.signer.address();
    owned.house.chain.use_nonce_elsewhere(old);
    denied(owned.submit(brought(&owned.house, &owned.house.signer, pays(PAYEE, 1), 0)).await);
    assert_eq!(owned.incidents().await[0].severity, Severity::Medium);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_signed_here_are_sent_for_the_agent_that_has_them() {
    let owned = Owned::new(POLICY).await;
    let house = &owned.house;
    let signing = Submission { method: Method::SignTransaction, ..send(house, PAYEE, 50) };
    let answer = owned.submit(signing).await;
    let Answer::Signed(signed) = answer else { panic!("{answer:?}") };
    assert_eq!(house.chain.sent(), Vec::<Bytes>::new(), "sending is the agent's own matter");
    let raw = countersign_core::raw::RawTransaction::parse(&signed.raw).unwrap();
    let bring = || Submission {
        method: Method::SendRawTransaction,
        draft: Draft::Raw(Box::new(raw.clone())),
        ..send(house, PAYEE, 1)
    };

    house.ledger.freeze_now(&Freeze::All);
    assert_eq!(denied(owned.submit(bring()).await).code, "frozen");
    house.ledger.unfreeze_now(&Freeze::All);

    for _ in 0..2 {
        assert_eq!(hash(&owned.submit(bring()).await), signed.hash);
    }
    house.settle_down(&owned.engine).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(50)));
    assert_eq!(hash(&owned.submit(bring()).await), signed.hash, "it is mined");
    assert_eq!((house.signer.signatures(), owned.incidents().await), (1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_simulation_says_of_a_signature_what_its_door_says_and_does_nothing() {
    let owned = Owned::new(POLICY).await;
    let house = &owned.house;
    let signing = Submission { method: Method::SignTransaction, ..send(house, PAYEE, 50) };
    let Answer::Signed(signed) = owned.submit(signing).await else { panic!("not signed") };
    let raw = countersign_core::raw::RawTransaction::parse(&signed.raw).unwrap();
    let made_here = || Submission {
        method: Method::SendRawTransaction,
        draft: Draft::Raw(Box::new(raw.clone())),
        ..send(house, PAYEE, 1)
    };
    let told = async |submission: Submission| {
        let body = owned.engine.simulate(submission).await.unwrap().body;
        [&body["outcome"], &body["code"]].map(|word| word.as_str().unwrap().to_owned())
    };
    let written = (house.ledger.all().len(), house.journals.all().len());
    let leaked = brought(house, &house.signer, pays(PAYEE, 1), 7);
    for (submission, expected) in [
        (owned.paid(PAYEE, 1, 0), ["allow", ""]),
        (owned.paid(STRANGER, 1, 0), ["deny", "no_rule_allows"]),
        (owned.paid(PAYEE, 200, 0), ["park", "amount_above_threshold"]),
        (leaked, ["deny", "externally_signed"]),
        (brought(house, &FakeSigner::new(9), pays(PAYEE, 1), 0), ["deny", "externally_signed"]),
        (made_here(), ["allow", ""]),
    ] {
        assert_eq!(told(submission.clone()).await, expected, "{submission:?}");
    }
    house.ledger.freeze_now(&Freeze::All);
    assert_eq!(told(made_here()).await, ["deny", "frozen"]);
    assert_eq!((house.ledger.all().len(), house.journals.all().len()), written);
    assert_eq!((house.chain.sent(), owned.incidents().await), (Vec::<Bytes>::new(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_a_cancel_has_replaced_are_not_sent_any_more() {
    let owned = Owned::new(POLICY).await;
    let house = &owned.house;
    let signing = Submission { method: Method::SignTransaction, ..send(house, PAYEE, 50) };
    let answer = owned.submit(signing).await;
    let Answer::Signed(signed) = answer else { panic!("{answer:?}") };
    let bob = operator("bob");
    owned.engine.cancel_operation(&bob, signed.operation).await.unwrap();
    let sent = house.chain.sent().len();
    let raw = countersign_core::raw::RawTransaction::parse(&signed.raw).unwrap();
    let bring = Submission {
        method: Method::SendRawTransaction,
        draft: Draft::Raw(Box::new(raw)),
        ..send(house, PAYEE, 1)
    };
    let answer = owned.submit(bring).await;
    assert!(matches!(&answer, Answer::NodeRefused(_)), "{answer:?}");
    assert_eq!(house.chain.sent().len(), sent);
}

#[tokio::test(start_paused = true)]
async fn an_owner_may_use_a_nonce_elsewhere_without_an_alarm() {
    let owned = Owned::new(POLICY).await;
    owned.house.chain.set_mood(Mood::Drops);
    hash(&owned.submit(owned.paid(PAYEE, 50, 0)).await);
    let [_, committed, _] = owned.house.counts().await;
    assert!(committed >= 50_000_000);
    owned.house.chain.use_nonce_elsewhere(owned.owner.address());
    owned.house.pass(&owned.engine, Millis(60_000)).await;
    assert_eq!(owned.house.only().state, S::Conflict);
    assert_eq!(owned.house.counts().await, [0, 0, 0], "what cannot happen holds nothing");
    assert_eq!(
        (owned.incidents().await, owned.house.ledger.freezes().await.unwrap()),
        (vec![], vec![])
    );

    owned.house.chain.set_mood(Mood::Takes);
    hash(&owned.submit(owned.paid(PAYEE, 20, 1)).await);
    owned.house.settle_down(&owned.engine).await;
    assert_eq!(owned.house.paid(), eth(20));
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_was_used_elsewhere_keeps_nobody_waiting() {
    let owned = Owned::new(POLICY).await;
    owned.house.chain.set_confirmations(1000);
    hash(&owned.submit(owned.paid(PAYEE, 50, 0)).await);
    owned.house.settle_down(&owned.engine).await;
    assert_eq!(owned.house.only().state, S::Mined, "in flight until it is final");
    owned.house.chain.use_nonce_elsewhere(owned.owner.address());
    hash(&owned.submit(owned.paid(PAYEE, 20, 2)).await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_in_the_place_of_what_an_owner_signed() {
    let owned = Owned::new(POLICY).await;
    owned.house.chain.set_mood(Mood::Drops);
    hash(&owned.submit(owned.paid(PAYEE, 50, 0)).await);
    let (id, bob) = (owned.house.only().id, operator("bob"));
    for refused in
        [owned.engine.bump(&bob, id, None).await, owned.engine.cancel_operation(&bob, id).await]
    {
        let Err(BumpError::Refused { code, .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!(code, "externally_signed");
    }
    let mut setup = with_owner(owned.house.setup(POLICY), &owned.owner, WalletSigner::External);
    setup.chains.values_mut().for_each(|chain| chain.bump_after = Millis(5_000));
    owned.engine.replace(setup);
    owned.house.pass(&owned.engine, Millis(60_000)).await;
    let told = owned.incidents().await;
    assert_eq!((told.len(), told[0].code.as_str()), (1, "operation_stuck"), "{told:#?}");
    assert_eq!(owned.house.only().attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_here_for_a_wallet_that_signs_itself() {
    let owned = Owned::new(POLICY).await;
    for method in [Method::SendTransaction, Method::SignTransaction] {
        let mut asked = Submission { method, ..send(&owned.house, PAYEE, 1) };
        draft(&mut asked).from = Some(owned.owner.address());
        let simulated = owned.engine.simulate(asked.clone()).await;
        assert_eq!(simulated, Err(Answer::SignsItself(owned.owner.address())));
        let answer = owned.submit(asked).await;
        assert_eq!(answer, Answer::SignsItself(owned.owner.address()));
    }
    assert_eq!(owned.house.ledger.all(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_gets_another_signer_gives_back_what_waited() {
    let owned = Owned::new(POLICY).await;
    let answer = owned.submit(owned.paid(PAYEE, 200, 0)).await;
    let Answer::Pending(parked) = answer else { panic!("{answer:?}") };
    let digest = owned.house.only().digest.unwrap();
    let key = Arc::new(FakeSigner::new(8));
    let setup = with_owner(owned.house.setup(POLICY), &owned.owner, key.clone().into());
    owned.engine.replace(setup);
    owned.engine.approve(&operator("bob"), parked.operation, digest, None).await.unwrap();
    owned.house.settle_down(&owned.engine).await;
    let record = owned.house.only();
    assert_eq!((record.state, record.code.as_str()), (S::Rejected, "configuration_changed"));
    assert_eq!((owned.house.chain.sent(), key.signatures()), (vec![], 0));
}

fn delegates(list: Vec<Authorization>) -> TransactionPlan {
    let gas = 200_000;
    TransactionPlan { kind: TransactionType::SetCode, authorizations: list, gas, ..pays(PAYEE, 1) }
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_needs_its_delegate_on_the_list_of_its_one_chain() {
    let somebody = FakeSigner::new(11);
    let one = |chain, delegate| vec![somebody.authorise(chain, delegate, 0)];
    for (list, code) in [
        (one(CHAIN.0, PAYEE), None),
        (one(CHAIN.0, STRANGER), Some("no_rule_allows")),
        (one(0, PAYEE), Some("delegation_everywhere")),
        ([one(CHAIN.0, PAYEE), one(CHAIN.0, STRANGER)].concat(), Some("no_rule_allows")),
    ] {
        let owned = Owned::new(DELEGATES).await;
        let raw = brought(&owned.house, &owned.owner, delegates(list.clone()), 0);
        let mut here = send(&owned.house, PAYEE, 1);
        draft(&mut here).authorizations.clone_from(&list);
        draft(&mut here).kind = Some(TransactionType::SetCode);
        draft(&mut here).gas = Some(200_000);
        for asked in [raw, here] {
            let answer = owned.submit(asked).await;
            match code {
                Some(code) => assert_eq!(denied(answer).code, code),
                None => drop(hash(&answer)),
            }
        }
        let carried = if code.is_none() { 2 } else { 0 };
        assert_eq!(owned.house.chain.sent().len(), carried);
        let types = owned.house.chain.sent().into_iter().filter(|raw| raw.first() == Some(&4));
        assert_eq!(types.count(), carried, "each is of type 4");
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_limit_in_usd_a_delegation_is_worth_more_than_any() {
    let policy = format!(
        "{DELEGATES}limits:\n  - {{ id: day, sum: usd, per: 24h, max: 1000, code: day }}\n"
    );
    let owned = Owned::new(&policy).await;
    let list = vec![FakeSigner::new(11).authorise(CHAIN.0, PAYEE, 0)];
    let answer = owned.submit(brought(&owned.house, &owned.owner, delegates(list), 0)).await;
    assert!(matches!(&answer, Answer::Denied(_)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_by_a_key_that_is_here_is_refused_and_told() {
    let owned = Owned::new(DELEGATES).await;
    let list = vec![owned.house.signer.authorise(CHAIN.0, PAYEE, 0)];
    let asked = brought(&owned.house, &owned.owner, delegates(list.clone()), 0);
    assert_eq!(denied(owned.submit(asked).await).code, "externally_signed");
    let mut here = send(&owned.house, PAYEE, 1);
    draft(&mut here).authorizations = list;
    assert_eq!(denied(owned.submit(here).await).code, "externally_signed");
    let told = owned.incidents().await;
    assert_eq!((told.len(), told[0].severity), (1, Severity::Critical), "{told:#?}");
    assert_eq!(owned.house.chain.sent(), Vec::<Bytes>::new());
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_for_another_chain_is_malformed() {
    let owned = Owned::new(DELEGATES).await;
    let list = vec![FakeSigner::new(11).authorise(1, PAYEE, 0)];
    let answer = owned.submit(brought(&owned.house, &owned.owner, delegates(list), 0)).await;
    let Answer::Malformed(wrong) = answer else { panic!("{answer:?}") };
    assert_eq!(wrong.field, "authorizationList");
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_code_acts_for_is_frozen_and_told_once() {
    let owned = Owned::new(POLICY).await;
    let code = format!("\"0xef0100{}\"", "77".repeat(20));
    owned.house.chain.answer_read("eth_getCode", ReadAnswer::Result(code.into_bytes().into()));
    owned.house.settle_down(&owned.engine).await;
    let told = owned.incidents().await;
    assert_eq!((told.len(), told[0].code.as_str()), (1, "wallet_delegated"), "{told:#?}");
    let hot = Freeze::Wallet(crate::house::wallet());
    assert_eq!(owned.house.ledger.freezes().await.unwrap(), std::slice::from_ref(&hot));

    owned.house.ledger.unfreeze_now(&hot);
    let next = owned.house.gateway().await;
    owned.house.settle_down(&next).await;
    assert_eq!(owned.house.ledger.freezes().await.unwrap(), [], "who lifted it meant it");
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_code_acts_for_is_frozen_whatever_call_of_the_store_is_lost() {
    for cut in 0..24 {
        let house = House::new();
        let code = format!("\"0xef0100{}\"", "77".repeat(20));
        house.chain.answer_read("eth_getCode", ReadAnswer::Result(code.into_bytes().into()));
        let mortal = Mortal::over(&house, Cut::OnlyBefore(cut));
        let engine = house.gateway_over(mortal.clone());
        house.pass(&engine, Millis(150_000)).await;
        assert!(mortal.was_cut(), "{cut}");
        let hot = Freeze::Wallet(crate::house::wallet());
        assert_eq!(house.ledger.freezes().await.unwrap(), [hot], "{cut}");
        let query = IncidentQuery { limit: 100, ..IncidentQuery::default() };
        let told = engine.ports().journal.incidents(&query).await.unwrap();
        let told = told.items.iter().filter(|one| one.code == "wallet_delegated").count();
        assert_eq!(told, 1, "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_code_acts_for_is_frozen_though_no_journal_answers_and_told_once_one_does() {
    let owned = Owned::new(POLICY).await;
    let code = format!("\"0xef0100{}\"", "77".repeat(20));
    owned.house.chain.answer_read("eth_getCode", ReadAnswer::Result(code.into_bytes().into()));
    owned.house.journals.break_with(Some(JournalError::Unavailable("the test says so".into())));
    owned.house.settle_down(&owned.engine).await;
    let hot = Freeze::Wallet(crate::house::wallet());
    assert_eq!(owned.house.ledger.freezes().await.unwrap(), std::slice::from_ref(&hot));
    owned.house.journals.break_with(None);
    owned.house.pass(&owned.engine, Millis(60_000)).await;
    let told = owned.incidents().await;
    assert_eq!((told.len(), told[0].code.as_str()), (1, "wallet_delegated"), "{told:#?}");
}
