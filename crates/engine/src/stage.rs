//! Proof tokens: each is made by one arrow of DESIGN §2 and taken by the next.
//!
//! There is no way from a request to a key but through these types, in this order. None can be copied,
//! stored, or made outside of this module's arrows.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, Signature};
use countersign_core::{
    identity::{OperationId, PolicyId},
    message::Message,
    operation::{OperationRecord, OperationState},
    transaction::{TransactionPlan, UnsignedTransaction},
};
use countersign_policy::decision::Permit;
use secp256k1::{
    Message as Prehash, Secp256k1, VerifyOnly,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use crate::port::ledger::{Commit, CommitAnswer, LedgerError};
use crate::port::{Ledger, ledger::SignedBytes, signer::SignerError};
use crate::setup::WalletSigner;

/// What signatures are checked with. No secret passes through it.
static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Money held for one operation, in stage `S`.
#[derive(Debug)]
#[must_use]
pub struct Reservation<S> {
    record: Box<OperationRecord>,
    stage: S,
}

/// All counters were re-checked and charged in one step; nothing is bound yet.
#[derive(Debug)]
pub struct Reserved {
    permit: Permit,
}

/// Nonce and payload are bound durably: the ledger knows that a signature may exist.
#[derive(Debug)]
pub struct Committed {
    bound: Bound,
    given: Option<Signature>,
}

/// What is bound, exactly as it is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// A transaction at its nonce.
    Transaction {
        /// All of it.
        transaction: UnsignedTransaction,
        /// Which attempt of its operation it is.
        attempt: u32,
    },
    /// A message: it has no nonce, and one attempt.
    Message(Message),
}

impl Bound {
    /// The digest that the key signs: a transaction's signing hash (EIP-155), or a message's digest (EIP-191, EIP-712).
    #[must_use]
    pub fn digest(&self) -> B256 {
        match self {
            Self::Transaction { transaction, .. } => transaction.signing_hash(),
            Self::Message(message) => message.digest,
        }
    }
}

impl<S> Reservation<S> {
    /// The operation as the ledger had it at this stage.
    #[must_use]
    pub const fn record(&self) -> &OperationRecord {
        &self.record
    }
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Commitment {
    /// Bound.
    Made(Reservation<Committed>),
    /// Not bound; the reservation still stands.
    Refused(Reservation<Reserved>, CommitAnswer),
    /// The ledger shows the operation in other hands: further on already, or bound to what another gateway
    /// judged. Nothing may be signed under this permit.
    Elsewhere(Box<OperationRecord>),
}

impl Reservation<Reserved> {
    /// The ledger's word that it reserved what this permit charges.
    pub(crate) const fn new(permit: Permit, record: Box<OperationRecord>) -> Self {
        Self { record, stage: Reserved { permit } }
    }

    /// The grant's version that allows it.
    pub(crate) const fn grant(&self) -> PolicyId {
        self.stage.permit.policy()
    }

    /// Binds nonce and payload in the ledger.
    pub(crate) async fn commit(
        self,
        ledger: &dyn Ledger,
        commit: &Commit,
    ) -> Result<Commitment, (Self, LedgerError)> {
        // INVARIANT: what stands for a whole bundle holds the money of all its calls and signs none of them.
        if !self.stage.permit.intent().rest().is_empty() {
            return Ok(Commitment::Elsewhere(self.record));
        }
        match ledger.commit(commit).await {
            Ok(CommitAnswer::Bound(record)) => Ok(self.bound(record)),
            Ok(refused) => Ok(Commitment::Refused(self, refused)),
            Err(error) => Err((self, error)),
        }
    }

    fn bound(self, record: Box<OperationRecord>) -> Commitment {
        let permitted = self.stage.permit.intent();
        let inside = match (permitted.plan(), record.attempts.first()) {
            (Some(plan), Some(attempt)) => {
                lies_inside(&attempt.transaction.plan, plan)
                    && permitted.signature == record.intent.signature
            }
            (None, None) => record.message() == permitted.message(),
            (Some(_), None) | (None, Some(_)) => false,
        };
        // INVARIANT: a payload outside of the permit is never signed under it.
        if !inside {
            return Commitment::Elsewhere(record);
        }
        match Reservation::committed(record) {
            Ok(committed) => Commitment::Made(committed),
            Err(record) => Commitment::Elsewhere(record),
        }
    }
}

/// Exact in everything that moves value; gas and fee at most what was permitted.
fn lies_inside(payload: &TransactionPlan, permitted: &TransactionPlan) -> bool {
    let TransactionPlan { chain, kind, to, value, data, gas, fee, access_list, authorizations } =
        payload;
    *chain == permitted.chain
        && *kind == permitted.kind
        && *to == permitted.to
        && *value == permitted.value
        && *data == permitted.data
        && *access_list == permitted.access_list
        && *authorizations == permitted.authorizations
        && *gas <= permitted.gas
        && fee.ceiling() <= permitted.fee.ceiling()
}

/// The states in which a bound attempt may still wait for its signature.
const SIGNS: [OperationState; 5] = [
    OperationState::Prepared,
    OperationState::Signed,
    OperationState::Broadcast,
    OperationState::Unknown,
    OperationState::Cancelling,
];

impl Reservation<Committed> {
    /// An attempt that the ledger shows as bound; the record again if its newest attempt is signed already, or it is
    /// in a state in which nothing is signed.
    pub(crate) fn committed(record: Box<OperationRecord>) -> Result<Self, Box<OperationRecord>> {
        let waiting = record.attempts.last().filter(|attempt| attempt.raw.is_none());
        let prepared = waiting.filter(|_| SIGNS.contains(&record.state));
        let transaction = prepared.map(|attempt| Bound::Transaction {
            transaction: attempt.transaction.clone(),
            attempt: attempt.number,
        });
        let message = record.message().filter(|_| record.state == OperationState::Prepared);
        let given = record.intent.signature;
        match transaction.or_else(|| message.cloned().map(Bound::Message)) {
            Some(bound) => Ok(Self { record, stage: Committed { bound, given } }),
            None => Err(record),
        }
    }

    /// The first attempt without a signature in the books: where a deterministic signer made one, it may have been sent
    /// all the same.
    pub(crate) fn unsigned(record: &OperationRecord) -> Option<Self> {
        let left = record.attempts.iter().find(|attempt| attempt.hash.is_none())?;
        let (transaction, attempt) = (left.transaction.clone(), left.number);
        let (bound, given) = (Bound::Transaction { transaction, attempt }, record.intent.signature);
        Some(Self { record: Box::new(record.clone()), stage: Committed { bound, given } })
    }

    /// A further attempt that the ledger has bound, if it lies inside of what was permitted.
    pub(crate) fn bumped(permit: &Permit, record: Box<OperationRecord>) -> Commitment {
        let newest = record.attempts.last().map(|attempt| &attempt.transaction.plan);
        let both = newest.zip(permit.intent().plan());
        // INVARIANT: a payload outside of the permit is never signed under it.
        if !both.is_some_and(|(plan, permitted)| lies_inside(plan, permitted)) {
            return Commitment::Elsewhere(record);
        }
        match Self::committed(record) {
            Ok(committed) => Commitment::Made(committed),
            Err(record) => Commitment::Elsewhere(record),
        }
    }

    /// The right to one signature over exactly the bound payload, and the operation as it was bound.
    pub(crate) fn authorize(self) -> (Authorized, Box<OperationRecord>) {
        let Committed { bound, given } = self.stage;
        (Authorized { operation: self.record.id, bound, given }, self.record)
    }
}

/// The right to one signature over one payload. Made from a committed reservation only.
#[derive(Debug)]
#[must_use]
pub struct Authorized {
    operation: OperationId,
    bound: Bound,
    /// The owner's signature, where it came with the request.
    given: Option<Signature>,
}

impl Authorized {
    /// Exactly what may be signed.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The operation that the signature belongs to.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }
}

/// A signature that is by the key that we meant, over the bytes that we meant.
#[derive(Debug)]
#[must_use]
pub struct Signed {
    operation: OperationId,
    made: Made,
    is_determined: bool,
}

/// What a signature made.
#[derive(Debug)]
pub enum Made {
    /// The bytes of a transaction, for an attempt.
    Raw(u32, SignedBytes),
    /// A message's signature: 65 bytes, r ‖ s ‖ v with v 27 or 28.
    Signature(Bytes),
}

impl Signed {
    /// The operation.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }

    /// What was made.
    #[must_use]
    pub const fn made(&self) -> &Made {
        &self.made
    }

    /// Whether what is bound makes it again, byte for byte: by a deterministic signer (RFC 6979), or because the
    /// signature is a part of what is bound.
    #[must_use]
    pub(crate) const fn is_determined(&self) -> bool {
        self.is_determined
    }
}

/// Why an authorised payload has no usable signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    /// The signer could not.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// It signed with another key, or other bytes. The signature is thrown away.
    #[error("the signer of {expected} returned a signature that is not its own")]
    NotOurs {
        /// Whose signature it ought to be.
        expected: Address,
    },
    /// Who signs for the wallet was changed in the configuration after the operation was judged.
    #[error("the signer of {0} is another one now than when this was judged")]
    Changed(Address),
}

/// Has an authorised payload signed, or takes the signature that its owner gave with it, and checks it before anybody
/// else sees it.
pub(crate) async fn sign(
    authorized: Authorized,
    signer: &WalletSigner,
    expected: Address,
) -> Result<Signed, SignError> {
    let signature = match (signer, authorized.given) {
        (WalletSigner::Held(key), None) => key.sign(&authorized).await?,
        (WalletSigner::External, Some(given)) => given,
        // INVARIANT: what another hand signed never passes for the work of a key that is here
        (WalletSigner::Held(_), Some(_)) | (WalletSigner::External, None) => {
            return Err(SignError::Changed(expected));
        }
    };
    if recovered(&signature, authorized.bound.digest()) != Some(expected) {
        return Err(SignError::NotOurs { expected });
    }
    let Authorized { operation, bound, given: _ } = authorized;
    let made = match bound {
        Bound::Transaction { transaction, attempt } => {
            let (raw, hash): (Bytes, B256) = transaction.encode_signed(signature);
            Made::Raw(attempt, SignedBytes { transaction, raw, hash })
        }
        Bound::Message(_) => Made::Signature(signature.as_bytes().into()),
    };
    Ok(Signed { operation, made, is_determined: signer.is_deterministic() })
}

/// The address whose key made a signature. Its arithmetic is another's than the one that signs here: a mistake of the one
/// is none of the other.
fn recovered(signature: &Signature, digest: B256) -> Option<Address> {
    // EIP-2: a high s is malleable, and nodes refuse it
    if signature.normalize_s().is_some() {
        return None;
    }
    let parity = if signature.v() { RecoveryId::One } else { RecoveryId::Zero };
    let [r, s] = [signature.r(), signature.s()].map(|half| half.to_be_bytes::<32>());
    let both = RecoverableSignature::from_compact(&[r, s].concat(), parity).ok()?;
    let key = CURVE.recover_ecdsa(Prehash::from_digest(digest.0), &both).ok()?;
    let [_, point @ ..] = key.serialize_uncompressed();
    Some(Address::from_raw_public_key(&point))
}
