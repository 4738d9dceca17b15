//! What a transaction would do, as a node tells it: `eth_simulateV1`, else `debug_traceCall`, else nothing.
//!
//! The wallet's own currency is read from its balance before and after, not from the transfers that a node adds to the
//! logs: some nodes note a transfer that then fails, and a contract could so pretend to pay.

mod effects;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::time::Duration;

use alloy_primitives::{Address, Bytes, U64, U256, hex, keccak256};
use countersign_core::{
    fact::Simulated,
    transaction::{AccessEntry, Authorization, TransactionPlan},
};
use countersign_engine::port::chain::ChainError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::{
    effects::{Effects, Log},
    frame::Frame,
};
use crate::{
    chain::NodeChain,
    node::Visit,
    transport::Fault,
    wire::{Answer, Data, Number, Question},
    words,
};

/// Whoever waits for a simulation waits no longer.
const DEADLINE: Duration = Duration::from_secs(4);

/// Whoever waits for a token's decimals waits no longer.
const DECIMALS_DEADLINE: Duration = Duration::from_secs(2);

/// `decimals()`
const DECIMALS: [u8; 4] = hex!("313ce567");

/// A result, or why a node's answer cannot be used. The node is not to blame: a contract wrote the logs.
type Told = Result<Simulated, String>;

impl NodeChain {
    pub(crate) async fn simulated(
        &self,
        wallet: Address,
        plan: &TransactionPlan,
    ) -> Result<Simulated, ChainError> {
        let asked = self.consult(|visit| Box::pin(simulate_at(visit, wallet, plan)));
        let late = || self.unavailable("no simulation in time");
        let told = tokio::time::timeout(DEADLINE, asked).await.map_err(|_| late())??;
        told.map_err(|reason| self.unavailable(&reason))
    }

    pub(crate) async fn fetch_decimals(&self, token: Address) -> Result<Option<U256>, ChainError> {
        let call = json!({ "to": token, "data": Bytes::from_static(&DECIMALS) });
        let question = self.question("eth_call", &(call, "latest"))?;
        let asked = self.nodes.ask(&question, |answer| match answer {
            Answer::Error(error) if words::is_trouble(&error) => Err(Fault::Refused(error)),
            Answer::Error(_) => Ok(None),
            Answer::Result(_) => Ok(answer.typed().ok().and_then(|data| word(&data))),
        });
        let late = || self.unavailable("no decimals in time");
        tokio::time::timeout(DECIMALS_DEADLINE, asked).await.map_err(|_| late())?
    }
}

/// By the one method, else by the other.
async fn simulate_at(
    visit: &Visit<'_>,
    wallet: Address,
    plan: &TransactionPlan,
) -> Result<Told, Fault> {
    let simulation = Question::new("eth_simulateV1", &blocks(wallet, plan))?;
    let first = match visit.ask(&simulation, Ok).await? {
        Answer::Result(text) => return Ok(understood(&text, wallet)),
        Answer::Error(error) => error,
    };
    let tracer = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let trace = Question::new("debug_traceCall", &(Call::new(wallet, plan), "latest", tracer))?;
    match visit.ask(&trace, Ok).await? {
        Answer::Result(text) => Ok(traced(&text, wallet)),
        Answer::Error(_) => Err(Fault::Refused(first)),
    }
}

/// One block: the wallet's balance, the transaction, the balance again.
fn blocks(wallet: Address, plan: &TransactionPlan) -> Value {
    let (place, probe) = (probe_address(wallet), json!({ "to": probe_address(wallet) }));
    let block = json!({
        "stateOverrides": { place.to_string(): { "code": balance_of(wallet) } },
        "calls": [probe, Call::new(wallet, plan), probe],
    });
    json!([{ "blockStateCalls": [block], "validation": false }, "latest"])
}

/// Where nobody has code.
fn probe_address(wallet: Address) -> Address {
    Address::from_word(keccak256(wallet))
}

/// Code that returns the balance of an account: PUSH20 it, BALANCE, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN.
fn balance_of(account: Address) -> Bytes {
    [&[0x73][..], account.as_slice(), &hex!("3160005260206000f3")[..]].concat().into()
}

/// What the answer to [`blocks`] means.
fn understood(text: &[u8], wallet: Address) -> Told {
    let blocks: Vec<Block> = read(text)?;
    let calls = blocks.into_iter().next().map(|block| block.calls).unwrap_or_default();
    let [before, transaction, after] =
        <[Called; 3]>::try_from(calls).map_err(|_| "a simulation of something else".to_owned())?;
    let balance = |called: &Called| word(&called.return_data).ok_or("a balance that is no number");
    let (before, after) = (balance(&before)?, balance(&after)?);
    if transaction.status != Number(1) {
        return Ok(Effects::reverted(wallet));
    }
    let mut effects = Effects::new(wallet);
    effects.native(before.saturating_sub(after), after.saturating_sub(before));
    transaction.logs.iter().try_for_each(|log| effects.log(log))?;
    effects.simulated()
}

/// What the answer of `debug_traceCall` means.
fn traced(text: &[u8], wallet: Address) -> Told {
    let frame: Frame = read(text)?;
    if frame.failed() {
        return Ok(Effects::reverted(wallet));
    }
    let mut effects = Effects::new(wallet);
    frame.tell(&mut effects)?;
    effects.simulated()
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|_| "a simulation that cannot be read".to_owned())
}

/// Exactly one word.
fn word(Data(bytes): &Data) -> Option<U256> {
    let word: [u8; 32] = bytes.as_ref().try_into().ok()?;
    Some(U256::from_be_bytes(word))
}

#[derive(Deserialize)]
struct Block {
    calls: Vec<Called>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Called {
    return_data: Data,
    #[serde(default)]
    logs: Vec<Log>,
    status: Number,
}

/// The transaction as a call object. It offers no fee, so that the balance shows what it does and nothing else.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    from: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    value: U256,
    data: &'a Bytes,
    gas: U64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    access_list: &'a [AccessEntry],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    authorization_list: &'a [Authorization],
}

impl<'a> Call<'a> {
    fn new(from: Address, plan: &'a TransactionPlan) -> Self {
        Self {
            from,
            to: plan.to,
            value: plan.value,
            data: &plan.data,
            gas: U64::from(plan.gas),
            access_list: &plan.access_list,
            authorization_list: &plan.authorizations,
        }
    }
}
