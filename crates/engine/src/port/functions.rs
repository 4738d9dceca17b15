//! What ports can be asked, as lists: a function that is added is added here, and nobody who stands before a port can
//! forget it.

/// Every function of the [`Ledger`](crate::port::Ledger) for `$wrap!`, behind the words that stand after its name: for those who do
/// the same around each function of another one. The names of the types are looked up where this is used.
#[macro_export]
macro_rules! ledger_functions {
    ($wrap:ident $($with:tt)*) => {
        $wrap! {
            $($with)*
            now() -> Timestamp;
            present(gateway: &str, ttl: Millis) -> ();
            find(repeat: &Repeat) -> Found;
            survey(survey: &Survey) -> Surveyed;
            deny(denied: &NewOperation) -> DenyAnswer;
            reserve(reserve: &Reserve) -> ReserveAnswer;
            redeem(redeem: &Redeem) -> RedeemAnswer;
            split(split: &Split) -> SplitAnswer;
            approve(approve: &Approve) -> ApproveAnswer;
            reject(reject: &Reject) -> RejectAnswer;
            expire(max: u32) -> Vec<OperationRecord>;
            commit(commit: &Commit) -> CommitAnswer;
            bump(bump: &Bump) -> BumpAnswer;
            signed(operation: OperationId, attempt: u32, bytes: &SignedBytes, said: Option<&SentOutcome>) -> OperationRecord;
            signed_message(operation: OperationId, signature: &Bytes) -> OperationRecord;
            end_message(operation: OperationId, end: MessageEnd) -> OperationRecord;
            sent(operation: OperationId, attempt: u32, outcome: &SentOutcome) -> OperationRecord;
            mined(operation: OperationId, actual: Option<&Actual>) -> OperationRecord;
            settle(settle: &Settle) -> OperationRecord;
            unsettle(operation: OperationId) -> OperationRecord;
            release_committed(operation: OperationId, proof: &ReleaseProof) -> OperationRecord;
            deliver(operation: OperationId, from: Delivery, to: Delivery) -> bool;
            operation(id: OperationId) -> Option<OperationRecord>;
            parked(agent: &AgentId, most: u32) -> u32;
            operations(query: &OperationQuery) -> Page<OperationRecord>;
            open(states: &[OperationState], idle_since: Timestamp, max: u32) -> Vec<OperationRecord>;
            census(states: &[OperationState]) -> BTreeMap<OperationState, Census>;
            settled_in(chain: ChainId, block: u64) -> Vec<OperationRecord>;
            holder(chain: ChainId, wallet: &WalletId, nonce: u64) -> Option<OperationId>;
            next_nonce(chain: ChainId, wallet: &WalletId) -> Option<u64>;
            status(charges: &[Charge], without: Option<OperationId>) -> Vec<Reading>;
            adopted() -> BTreeSet<CounterId>;
            note_adopted(limits: &BTreeSet<CounterId>) -> ();
            adopt(adopt: &Adopt) -> AdoptAnswer;
            seen(chain: ChainId, wallet: &WalletId, addresses: &[Address]) -> BTreeSet<Address>;
            freeze(order: &FreezeOrder) -> ();
            unfreeze(freeze: &Freeze) -> bool;
            freezes() -> Vec<Freeze>;
            standing_freezes() -> Vec<StandingFreeze>;
            say(word: &PactWord) -> PactAnswer;
            pact(pact: &Pact) -> Option<PactStanding>;
            seal(reason: &str) -> ();
            unseal() -> ();
            init() -> InitAnswer;
            audit() -> Option<String>;
            describe() -> LedgerStatus;
        }
    };
}

/// Every function of the [`Journal`](crate::port::Journal) for `$wrap!`, behind the words that stand after its name: for those who do
/// the same around each function of another one. The names of the types are looked up where this is used.
#[macro_export]
macro_rules! journal_functions {
    ($wrap:ident $($with:tt)*) => {
        $wrap! {
            $($with)*
            pin(policy: PolicyId, canonical: &str) -> ();
            record(entry: &NewTrace) -> bool;
            update(trace: TraceHash, update: &TraceUpdate) -> ();
            trace(trace: TraceHash) -> Option<TraceRecord>;
            traces(query: &TraceQuery) -> Page<TraceRecord>;
            raise(occurrence: &Occurrence) -> Taken;
            incident(id: &str) -> Option<Incident>;
            incidents(query: &IncidentQuery) -> Page<Incident>;
            change_incident(id: &str, step: &IncidentMove) -> IncidentAnswer;
            chains() -> Vec<Chain>;
            entries(gateway: &str, after: u64, limit: u32) -> Vec<Chained>;
        }
    };
}
