//! The ledger held against the chain and the journals: what a person looks at before they lift a seal.

use std::fmt;

use alloy_primitives::Address;
use countersign_core::{
    identity::{ChainId, OperationId, TraceHash, WalletId},
    operation::{OperationRecord, OperationState},
    trace::TraceStatus,
};
use futures_util::future::{join_all, try_join_all};

use crate::{
    engine::Engine,
    port::{
        chain::{ReadAnswer, ReadCall},
        journal::{JournalError, TraceQuery},
        ledger::{LedgerError, LedgerStatus, OperationQuery},
    },
    setup::{ChainSetup, Setup, WalletSetup},
};

/// How many of the newest traces of each kind are held against the ledger.
const TRACES_MAX: u32 = 200;

/// How many open operations are looked at.
const OPEN_MAX: u32 = 1000;

/// The states whose operations go on by themselves when a seal is lifted, or are on their way.
const OPEN: [OperationState; 8] = [
    OperationState::Approved,
    OperationState::Allowed,
    OperationState::Prepared,
    OperationState::Signed,
    OperationState::Broadcast,
    OperationState::Unknown,
    OperationState::Mined,
    OperationState::Cancelling,
];

/// Traces of these have an operation that was reserved.
const RESERVED: [TraceStatus; 3] =
    [TraceStatus::Allowed, TraceStatus::PendingApproval, TraceStatus::Executed];

/// What the ledger, the chains and the journals say of the same things.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconciliation {
    /// Each wallet on each chain.
    pub lanes: Vec<LaneCheck>,
    /// Operations that go on by themselves, or are on their way.
    pub open: Vec<OperationRecord>,
    /// Decisions on record whose operation the ledger does not have.
    pub unfounded: Vec<Unfounded>,
}

/// One wallet on one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneCheck {
    /// The chain.
    pub chain: ChainId,
    /// The wallet.
    pub wallet: WalletId,
    /// Its address.
    pub address: Address,
    /// The next nonce by the ledger; `None` where it has bound none.
    pub next: Option<u64>,
    /// How many transactions the chain has mined; `None` where no node answers.
    pub latest: Option<u64>,
    /// The same with those that wait in the node's pool.
    pub pending: Option<u64>,
    /// Operations that are committed and not terminal.
    pub in_flight: u64,
}

/// A decision on record without its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfounded {
    /// The decision.
    pub trace: TraceHash,
    /// The operation that it led to.
    pub operation: OperationId,
}

impl LaneCheck {
    /// How many transactions of this wallet the ledger does not know; `None` where the chain does not say.
    #[must_use]
    pub fn unknown(&self) -> Option<u64> {
        let count = self.latest?.max(self.pending?);
        Some(count.saturating_sub(self.next.unwrap_or(0)))
    }
}

impl fmt::Display for LaneCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, wallet, next, .. } = self;
        match self.unknown() {
            Some(count) => {
                let next = next.unwrap_or(0);
                write!(
                    f,
                    "{wallet} on chain {chain} has {count} transactions from nonce {next} on that the ledger does not know"
                )
            }
            None => write!(f, "how many transactions {wallet} has on chain {chain} cannot be read"),
        }
    }
}

impl Reconciliation {
    /// What does not fit, one line each. Nothing is lifted over it unless a person accepts it.
    #[must_use]
    pub fn differences(&self, status: &LedgerStatus) -> Vec<String> {
        let missing = status.missing.iter();
        let missing =
            missing.map(|what| format!("{what} of the log, which was seen, is not in the store"));
        let lanes = self.lanes.iter().filter(|lane| lane.unknown() != Some(0));
        let unfounded = self.unfounded.iter().map(|Unfounded { trace, operation }| {
            format!("the ledger has no sound record of {operation}, which trace {trace} is about")
        });
        missing.chain(lanes.map(ToString::to_string)).chain(unfounded).collect()
    }
}

impl Engine {
    /// Holds the ledger against the chains and the journals. A ledger that is lost has nothing to say.
    pub async fn reconcile(&self) -> Result<Reconciliation, LedgerError> {
        let setup = self.setup();
        let open = self.open_operations().await?;
        let lanes = self.lane_checks(&setup, &open).await?;
        Ok(Reconciliation { lanes, open, unfounded: self.unfounded().await? })
    }

    async fn open_operations(&self) -> Result<Vec<OperationRecord>, LedgerError> {
        let states = OPEN.to_vec();
        let query = OperationQuery { states, limit: OPEN_MAX, ..OperationQuery::default() };
        let page = unless_lost(self.ports().ledger.operations(&query).await)?;
        Ok(page.map(|page| page.items).unwrap_or_default())
    }

    async fn lane_checks(
        &self,
        setup: &Setup,
        open: &[OperationRecord],
    ) -> Result<Vec<LaneCheck>, LedgerError> {
        // what the owner of a wallet does with a key of their own is not in these books
        let ours = setup.wallets.values().filter(|wallet| !wallet.signer.is_external());
        let lanes = ours.flat_map(|wallet| {
            setup.chains.values().map(move |chain| self.lane_check(wallet, chain, open))
        });
        try_join_all(lanes).await
    }

    async fn lane_check(
        &self,
        wallet: &WalletSetup,
        chain: &ChainSetup,
        open: &[OperationRecord],
    ) -> Result<LaneCheck, LedgerError> {
        let next = unless_lost(self.ports().ledger.next_nonce(chain.id, &wallet.id).await)?;
        let here = |record: &&OperationRecord| {
            record.nonce().is_some() && record.chain() == chain.id && *record.wallet() == wallet.id
        };
        Ok(LaneCheck {
            chain: chain.id,
            wallet: wallet.id.clone(),
            address: wallet.address,
            next: next.flatten(),
            latest: chain.port.account(wallet.address).await.ok().map(|account| account.nonce),
            pending: pending_count(chain, wallet.address).await,
            in_flight: u64::try_from(open.iter().filter(here).count()).unwrap_or(u64::MAX),
        })
    }

    /// Of the newest decisions that led to a reservation, those whose operation is not there, or not as it was left.
    async fn unfounded(&self) -> Result<Vec<Unfounded>, LedgerError> {
        let mut named = Vec::new();
        for status in RESERVED {
            let query =
                TraceQuery { status: Some(status), limit: TRACES_MAX, ..TraceQuery::default() };
            let page = match self.ports().journal.traces(&query).await {
                Ok(page) => page,
                // a journal that cannot be read names nothing; the ledger beside it says why
                Err(
                    JournalError::Unavailable(_) | JournalError::Cursor(_) | JournalError::Unpinned,
                ) => continue,
            };
            named.extend(page.items.into_iter().filter(|trace| !trace.attestation).filter_map(
                |trace| {
                    let operation = trace.decision.operation_id?;
                    Some(Unfounded { trace: trace.trace_hash, operation })
                },
            ));
        }
        let found = named.into_iter().map(async |unfounded| {
            let operation = match self.ports().ledger.operation(unfounded.operation).await {
                // what another hand changed proves nothing, and must not hide the rest
                Err(LedgerError::Damaged(_)) => Ok(None),
                answer => answer,
            };
            Ok(unless_lost(operation)?.is_some_and(|o| o.is_none()).then_some(unfounded))
        });
        let found: Vec<Result<_, LedgerError>> = join_all(found).await;
        Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

/// What a lost ledger would have to say is nothing.
fn unless_lost<T>(answer: Result<T, LedgerError>) -> Result<Option<T>, LedgerError> {
    match answer {
        Err(LedgerError::Lost(_)) => Ok(None),
        answer => answer.map(Some),
    }
}

/// The account's transactions with those that wait in the node's pool.
async fn pending_count(chain: &ChainSetup, address: Address) -> Option<u64> {
    let call = ReadCall {
        method: "eth_getTransactionCount",
        params: format!(r#"["{address:#x}","pending"]"#),
    };
    match chain.port.read(call).await.ok()? {
        ReadAnswer::Result(text) => quantity(&text),
        ReadAnswer::Error { .. } => None,
    }
}

fn quantity(text: &[u8]) -> Option<u64> {
    let text: String = serde_json::from_slice(text).ok()?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(next: Option<u64>, latest: Option<u64>, pending: Option<u64>) -> LaneCheck {
        let (chain, wallet) = (ChainId(1), WalletId::parse("hot").unwrap());
        LaneCheck { chain, wallet, address: Address::ZERO, next, latest, pending, in_flight: 0 }
    }

    #[test]
    fn what_the_chain_has_above_the_next_nonce_is_unknown_and_silence_is_no_agreement() {
        for (next, latest, pending, unknown) in [
            (Some(5), Some(5), Some(5), Some(0)),
            (Some(5), Some(3), Some(5), Some(0)),
            (Some(5), Some(6), Some(6), Some(1)),
            (Some(5), Some(5), Some(8), Some(3)),
            (None, Some(0), Some(0), Some(0)),
            (None, Some(2), Some(2), Some(2)),
            (Some(5), None, Some(5), None),
            (Some(5), Some(5), None, None),
        ] {
            assert_eq!(lane(next, latest, pending).unknown(), unknown);
        }
        assert_eq!(quantity(br#""0x1f""#), Some(31));
        for wrong in [&b"31"[..], b"\"31\"", b"null", b"\"0x\"", b"{"] {
            assert_eq!(quantity(wrong), None);
        }
    }

    #[test]
    fn differences_are_told_in_lines_for_people() {
        let trace = TraceHash(alloy_primitives::B256::ZERO);
        let operation = OperationId::from_random([1; 16]);
        let lanes = vec![
            lane(Some(5), Some(5), Some(5)),
            lane(Some(5), Some(8), Some(8)),
            lane(None, None, None),
        ];
        let unfounded = vec![Unfounded { trace, operation }];
        let reconciliation = Reconciliation { lanes, open: Vec::new(), unfounded };
        let status = LedgerStatus {
            ledger_id: "one".into(),
            durability: 'A',
            durability_reason: String::new(),
            sealed: None,
            epoch: 0,
            sequence: 7,
            head: String::new(),
            missing: Some("line 9 [ab] of epoch 0".into()),
            lost: None,
            clocks: None,
        };
        let told = reconciliation.differences(&status);
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].starts_with("line 9 [ab] of epoch 0 of the log"), "{}", told[0]);
        assert!(told[1].contains("hot on chain 1 has 3 transactions from nonce 5"), "{}", told[1]);
        assert!(told[2].contains("cannot be read"), "{}", told[2]);
        assert!(told[3].contains(&operation.to_string()), "{}", told[3]);
    }
}
