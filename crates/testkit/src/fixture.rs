//! Small valid things to build tests from. Numbers make them distinct: the same number gives the same thing.

use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, U256, eip191_hash_message};
use countersign_core::{
    approval::{Ask, Gate, Quorum, Vote},
    charge::{Charge, CounterId, LimitRef, Over, Unit, Window},
    fact::Freeze,
    freeze::{FreezeOrder, Freezer},
    identity::{
        AgentId, ApprovalDigest, ChainId, KeyHash, OperationId, OperatorId, PolicyId, TraceHash,
        WalletId,
    },
    intent::{Declared, Intent, Method, Payload},
    message::{Content, Lasting, Message},
    operation::{Actual, Delivery, OperationRecord, OperationState, Purpose},
    time::{Millis, Period, Timestamp},
    trace::Posted,
    transaction::{FeeBid, TransactionPlan, TransactionType, UnsignedTransaction},
};
use countersign_engine::port::ledger::{
    Approve, Bump, Commit, Disposition, NewOperation, Parking, Redeem, Reject, Repeat, Reserve,
    Settle, SignedBytes,
};

/// The chain of every fixture: anvil's.
pub const CHAIN: ChainId = ChainId(31337);

/// The gateway of every fixture.
pub const GATEWAY: &str = "gateway-1";

/// The deadline of every fixture that is to be carried out: the year 2100.
pub const FAR: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// One hour.
pub const HOUR: Millis = Millis(3_600_000);

/// One day of 24 hours.
pub const DAY: Millis = Millis(86_400_000);

fn bytes32(tag: u8, n: u64) -> B256 {
    let mut bytes = [0_u8; 32];
    bytes[0] = tag;
    bytes[24..].copy_from_slice(&n.to_be_bytes());
    B256::from(bytes)
}

/// The n-th operation id.
#[must_use]
pub fn operation_id(n: u64) -> OperationId {
    let mut bytes = [0_u8; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    OperationId::from_random(bytes)
}

/// The n-th address; none of them is zero.
#[must_use]
pub fn address(n: u64) -> Address {
    let mut bytes = [0xaa_u8; 20];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    Address::from(bytes)
}

/// An agent.
#[must_use]
pub fn agent(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

/// A person's order, without a word on why.
#[must_use]
pub fn order(freeze: &Freeze) -> FreezeOrder {
    let by = Freezer::Operator(OperatorId::parse("olga").unwrap());
    FreezeOrder { freeze: freeze.clone(), by, reason: None }
}

/// A wallet.
#[must_use]
pub fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

/// The n-th trace hash.
#[must_use]
pub fn trace_hash(n: u64) -> TraceHash {
    TraceHash(bytes32(0x7a, n))
}

/// The n-th idempotency key's hash.
#[must_use]
pub fn key(n: u64) -> KeyHash {
    KeyHash(bytes32(0x6b, n))
}

/// The n-th approval digest.
#[must_use]
pub fn digest(n: u64) -> ApprovalDigest {
    ApprovalDigest(bytes32(0xdd, n))
}

/// The agent `trader` sends `n` wei from the wallet `hot` to a shop: payloads with different `n` are
/// different.
#[must_use]
pub fn intent(n: u64) -> Intent {
    Intent {
        agent: agent("trader"),
        wallet: wallet("hot"),
        address: address(1),
        method: Method::SendTransaction,
        payload: Payload::Transaction(TransactionPlan {
            chain: CHAIN,
            kind: TransactionType::DynamicFee,
            to: Some(address(2)),
            value: U256::from(n),
            data: Bytes::new(),
            gas: 21_000,
            fee: FeeBid::Dynamic { max_fee: 2_000_000_000, tip: 1_000_000_000 },
            access_list: Vec::new(),
            authorizations: Vec::new(),
        }),
        data_fee_max: alloy_primitives::U256::ZERO,
        nonce: None,
        signature: None,
        declared: Declared::default(),
        bundle: None,
    }
}

/// The transaction of an intent that has one.
#[must_use]
pub fn plan(intent: &Intent) -> &TransactionPlan {
    intent.plan().unwrap()
}

/// The same, to be changed.
#[must_use]
pub fn plan_mut(intent: &mut Intent) -> &mut TransactionPlan {
    match &mut intent.payload {
        Payload::Transaction(plan) => plan,
        Payload::Message(_) => panic!("a message has no plan"),
    }
}

/// The agent `trader` has the wallet `hot` sign a text: texts with different `n` are different. The signature moves
/// value for so many seconds, or none.
#[must_use]
pub fn message(n: u64, until: Option<u64>) -> Intent {
    let text = format!("message {n}");
    let payload = Payload::Message(Message {
        chain: CHAIN,
        digest: eip191_hash_message(&text),
        content: Content::Text(text.into_bytes().into()),
        lasting: until.map(|until| Lasting { until: Some(until), used_up: Vec::new() }),
    });
    Intent { method: Method::PersonalSign, payload, ..intent(n) }
}

/// The n-th operation over the n-th intent: no key, no batch, no duplicate window.
#[must_use]
pub fn operation(n: u64) -> NewOperation {
    operation_of(n, intent(n))
}

/// The n-th operation over an intent of the caller.
#[must_use]
pub fn operation_of(n: u64, intent: Intent) -> NewOperation {
    NewOperation {
        id: operation_id(n),
        gateway: GATEWAY.into(),
        repeat: Repeat {
            fingerprint: intent.fingerprint(),
            key: None,
            window: Millis::ZERO,
            batch: None,
        },
        intent,
        trace: trace_hash(n),
        code: String::new(),
        reason: "allowed by rule `shop`".into(),
    }
}

/// A counter with a name.
#[must_use]
pub fn counter(name: &str) -> CounterId {
    CounterId::from_parts(&["testkit", name])
}

/// A charge of `amount` against `limit`, which denies what does not fit.
#[must_use]
pub fn charge(name: &str, window: Window, amount: u64, limit: u64) -> Charge {
    let per = match window {
        Window::Rolling(length) => length.to_string(),
        Window::Calendar(_) => "day".into(),
        Window::Grant => "grant".into(),
    };
    Charge {
        counter: counter(name),
        window,
        unit: Unit::Usd,
        value: amount,
        fee: 0,
        limit,
        over: Over::Deny,
        source: LimitRef {
            policy: "testkit".into(),
            limit: name.into(),
            code: "daily_quota_exceeded".into(),
            per,
        },
    }
}

/// A charge on a rolling window of 24 hours.
#[must_use]
pub fn rolling(name: &str, amount: u64, limit: u64) -> Charge {
    charge(name, Window::Rolling(DAY), amount, limit)
}

/// A charge on the UTC day of an instant.
#[must_use]
pub fn daily(name: &str, now: Timestamp, amount: u64, limit: u64) -> Charge {
    let day = Period::day(now, &countersign_core::time::Zone::UTC);
    charge(name, Window::Calendar(day), amount, limit)
}

/// A charge that asks people where it does not fit.
#[must_use]
pub fn asking(charge: Charge, waived: bool) -> Charge {
    Charge { over: Over::Park { gate: gate("large"), waived }, ..charge }
}

/// A gate that one of the group `treasury` opens.
#[must_use]
pub fn gate(id: &str) -> Gate {
    Gate {
        policy: "testkit".into(),
        id: id.into(),
        need: vec![Quorum { any: 1, of: vec!["treasury".into()] }],
        in_order: false,
        sign: Vec::new(),
        ttl: HOUR,
        delay: Millis::ZERO,
        drift_fee_bps: None,
        drift_usd_bps: None,
    }
}

/// What people are asked, under the n-th digest.
#[must_use]
pub fn parking(n: u64, expires_at: Timestamp) -> Parking {
    let ask = Ask { policy: "testkit".into(), gate: "large".into(), rule: "day".into() };
    Parking { gates: vec![gate("large")], asks: vec![ask], digest: digest(n), expires_at }
}

/// The n-th operation, to be reserved and carried out before [`FAR`].
#[must_use]
pub fn reserve(n: u64, charges: Vec<Charge>) -> Reserve {
    let disposition = Disposition::Allow(FAR);
    let delivery = Delivery::Waiting;
    Reserve { operation: operation(n), charges, disposition, parked_max: u32::MAX, delivery }
}

/// The n-th operation, to be reserved and parked under the n-th digest.
#[must_use]
pub fn park(n: u64, charges: Vec<Charge>, expires_at: Timestamp) -> Reserve {
    Reserve { disposition: Disposition::Park(parking(n, expires_at)), ..reserve(n, charges) }
}

/// The n-th operation, approved, to be carried out with these charges; [`GATEWAY`] asks.
#[must_use]
pub fn redeem(n: u64, charges: Vec<Charge>) -> Redeem {
    Redeem {
        operation: operation_id(n),
        intent: intent(n),
        charges,
        disposition: Disposition::Allow(FAR),
        trace: trace_hash(n),
        gateway: GATEWAY.into(),
    }
}

/// That this operator posted a record, and nothing else.
#[must_use]
pub fn posted(operator: &str) -> Posted {
    let by = OperatorId::parse(operator).unwrap();
    Posted { by, tx_hash: None, signatures: Vec::new(), duration_ms: None }
}

/// A vote of an operator of the group `treasury`.
#[must_use]
pub fn vote(operator: &str, at: Timestamp) -> Vote {
    Vote {
        operator: OperatorId::parse(operator).unwrap(),
        person: operator.into(),
        groups: vec!["treasury".into()],
        note: None,
        at,
        signature: None,
    }
}

/// The first vote on the n-th operation under the n-th digest; it opens the gate.
#[must_use]
pub fn approve(n: u64, operator: &str, at: Timestamp) -> Approve {
    Approve {
        operation: operation_id(n),
        digest: digest(n),
        vote: vote(operator, at),
        votes_seen: 0,
        completes: true,
        passkey: None,
    }
}

/// A person's no to the n-th operation, from any state before commit.
#[must_use]
pub fn reject(n: u64) -> Reject {
    Reject {
        operation: operation_id(n),
        from: vec![OperationState::Parked, OperationState::Approved, OperationState::Allowed],
        code: "rejected".into(),
        reason: "rejected by ann".into(),
        vote: None,
        void: false,
    }
}

/// The n-th version of a grant.
#[must_use]
pub fn grant(n: u8) -> PolicyId {
    PolicyId(B256::repeat_byte(n))
}

/// A commit of the n-th operation: floor 0, at most 16 in flight.
#[must_use]
pub fn commit(n: u64) -> Commit {
    Commit {
        operation: operation_id(n),
        fence: 0,
        floor: 0,
        in_flight_max: 16,
        grant: grant(0),
        shrinks_only: false,
        shared_lane: false,
        counterparties: vec![address(2)],
    }
}

/// The payload of a committed operation again, at a fee that is higher the later the attempt.
#[must_use]
pub fn bump(record: &OperationRecord, attempt: u32, fees: Vec<u64>) -> Bump {
    let mut transaction = record.attempts.first().unwrap().transaction.clone();
    let max_fee = 1_000_000_000 * (2 + u128::from(attempt));
    transaction.plan.fee = FeeBid::Dynamic { max_fee, tip: max_fee / 2 };
    Bump { operation: record.id, attempt, purpose: Purpose::Payload, transaction, fees }
}

/// A transfer of nothing in a committed operation's place.
#[must_use]
pub fn cancel(record: &OperationRecord, attempt: u32, fees: Vec<u64>) -> Bump {
    let mut bump = bump(record, attempt, fees);
    let plan = &mut bump.transaction.plan;
    (plan.to, plan.value, plan.data) = (Some(record.intent.address), U256::ZERO, Bytes::new());
    plan.gas = 21_000;
    Bump { purpose: Purpose::Cancel, ..bump }
}

/// Bytes that stand for the signed transaction; the hash depends on the nonce and the payload.
#[must_use]
pub fn signed_bytes(transaction: &UnsignedTransaction) -> SignedBytes {
    let hash = transaction.signing_hash();
    SignedBytes { transaction: transaction.clone(), raw: Bytes::from(hash.to_vec()), hash }
}

/// The signed bytes of a committed operation's first attempt.
#[must_use]
pub fn signed_first(record: &OperationRecord) -> SignedBytes {
    signed_bytes(&record.attempts.first().unwrap().transaction)
}

/// The signed bytes of an operation's newest attempt.
#[must_use]
pub fn signed_newest(record: &OperationRecord) -> SignedBytes {
    signed_bytes(&record.attempts.last().unwrap().transaction)
}

/// A receipt of these bytes, in block 7.
#[must_use]
pub fn receipt(hash: B256, succeeded: bool) -> Actual {
    Actual {
        hash,
        block_number: 7,
        block_hash: bytes32(0xb1, 7),
        succeeded,
        fee_wei: U256::from(21_000_000_000_000_u64),
    }
}

/// A settlement of a signed operation that keeps these amounts.
#[must_use]
pub fn settle(record: &OperationRecord, kept: Vec<u64>) -> Settle {
    Settle {
        operation: record.id,
        actual: receipt(record.hash().unwrap(), true),
        attempts: record.attempts.len(),
        charges: record.charges.clone(),
        kept,
    }
}

/// Reads an instant.
#[must_use]
pub fn at(text: &str) -> Timestamp {
    Timestamp::from_str(text).unwrap()
}
