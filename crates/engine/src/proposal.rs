//! What is proposed for a signature: a draft of a transaction, or a message that was read for what it is.

use alloy_primitives::{Address, B256, Signature};
use countersign_core::{
    action::Action,
    bundle::{Bundle, Call as BundledCall},
    draft::FieldError,
    identity::{ChainId, Fingerprint},
    intent::{Subject, calls_fingerprint, digest_fingerprint, fingerprint},
    message::{Content, Message},
    raw::RawTransaction,
    transaction::{Authorization, TransactionDraft, TransactionPlan},
};
use countersign_decode::{
    Call, TypedData, actions, delegations, text_actions, text_digest, typed_data_authority,
};

use crate::{
    admission::malformed,
    setup::ChainSetup,
    submission::{Answer, CallsDraft, Draft, Malformed},
};

/// A payload that is not complete, or not judged, yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Proposal {
    /// Gas, fees and nonce may be open.
    Transaction(TransactionDraft),
    /// Nothing is open: its owner has signed it.
    Signed(Box<Presigned>),
    /// A message, with what its signature would do.
    Message(Box<ReadMessage>),
    /// Several transactions, in order; none of them fixes a nonce.
    Calls(Box<CallsDraft>),
}

/// A transaction that is signed, with the draft that it comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Presigned {
    pub(crate) raw: RawTransaction,
    pub(crate) draft: TransactionDraft,
}

impl Presigned {
    pub(crate) fn new(raw: RawTransaction) -> Self {
        Self { draft: raw.clone().into_draft(), raw }
    }
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReadMessage {
    pub(crate) message: Message,
    pub(crate) actions: Vec<Action>,
}

impl Proposal {
    /// Reads a draft for a wallet on a chain.
    pub(crate) fn read(draft: &Draft, wallet: Address, chain: &ChainSetup) -> Result<Self, Answer> {
        match draft {
            Draft::Transaction(draft) => {
                for_chain(draft, chain.id)?;
                Ok(Self::Transaction(draft.clone()))
            }
            Draft::Raw(raw) => {
                let signed = Presigned::new(RawTransaction::clone(raw));
                for_chain(&signed.draft, chain.id)?;
                Ok(Self::Signed(Box::new(signed)))
            }
            Draft::Calls(bundle) => Ok(Self::Calls(bundle.clone())),
            Draft::Message { content, .. } => Self::of_message(content, wallet, chain)
                .map_err(|FieldError { field, reason }| malformed(&field, &reason)),
        }
    }

    /// Reads a message for what its signature would do.
    pub(crate) fn of_message(
        content: &Content,
        wallet: Address,
        chain: &ChainSetup,
    ) -> Result<Self, FieldError> {
        let read = match content {
            Content::Text(bytes) => ReadMessage {
                actions: text_actions(bytes, wallet, chain.id),
                message: Message {
                    chain: chain.id,
                    content: content.clone(),
                    digest: text_digest(bytes),
                    lasting: None,
                },
            },
            Content::TypedData(text) => typed(text, wallet, chain)?,
        };
        Ok(Self::Message(Box::new(read)))
    }

    /// What makes a request with it the same payload.
    pub(crate) fn fingerprint(&self, subject: &Subject<'_>) -> Fingerprint {
        let of = |draft: &TransactionDraft| {
            let carried = (&draft.data[..], &draft.access_list[..], &draft.authorizations[..]);
            fingerprint(subject, draft.to, draft.value, carried)
        };
        match self {
            Self::Transaction(draft) => of(draft),
            Self::Calls(bundle) => calls_fingerprint(bundle.calls.iter().map(of)),
            Self::Signed(signed) => digest_fingerprint(subject, signed.raw.hash()),
            Self::Message(read) => digest_fingerprint(subject, read.message.digest),
        }
    }

    /// What signing it would do, by everything that the chain's registry knows: of each call of a bundle, in order;
    /// everything else is one.
    pub(crate) fn actions_of_calls(&self, wallet: Address, chain: &ChainSetup) -> Vec<Vec<Action>> {
        match self {
            Self::Transaction(draft) => vec![does(draft, wallet, chain)],
            Self::Signed(signed) => vec![does(&signed.draft, wallet, chain)],
            Self::Calls(bundle) => {
                bundle.calls.iter().map(|draft| does(draft, wallet, chain)).collect()
            }
            Self::Message(read) => vec![read.actions.clone()],
        }
    }

    /// The place of its first call in its bundle, which stands for all of them.
    pub(crate) fn bundle(&self, rest: Vec<BundledCall>) -> Option<Box<Bundle>> {
        let Self::Calls(bundle) = self else { return None };
        let count = u32::try_from(bundle.calls.len()).unwrap_or(u32::MAX);
        let (handle, id) = (bundle.handle, bundle.id.clone());
        Some(Box::new(Bundle { handle, id, index: 0, count, rest }))
    }

    /// The one transaction, as far as it is said; `None` for a message and for a bundle.
    pub(crate) fn draft(&self) -> Option<&TransactionDraft> {
        match self {
            Self::Transaction(draft) => Some(draft),
            Self::Signed(signed) => Some(&signed.draft),
            Self::Message(_) | Self::Calls(_) => None,
        }
    }

    /// What was signed, where it was.
    pub(crate) fn signed(&self) -> Option<&TransactionPlan> {
        match self {
            Self::Signed(signed) => Some(&signed.raw.transaction().plan),
            Self::Transaction(_) | Self::Message(_) | Self::Calls(_) => None,
        }
    }

    /// The signature that came with it.
    pub(crate) fn signature(&self) -> Option<Signature> {
        match self {
            Self::Signed(signed) => Some(signed.raw.signature()),
            Self::Transaction(_) | Self::Message(_) | Self::Calls(_) => None,
        }
    }

    /// The nonce that the client fixed.
    pub(crate) fn nonce(&self) -> Option<u64> {
        self.draft()?.nonce
    }
}

/// The call's effects, and that of each authorisation that it carries.
pub(crate) fn does(draft: &TransactionDraft, wallet: Address, chain: &ChainSetup) -> Vec<Action> {
    let (to, value, data) = (draft.to, draft.value, &draft.data);
    let mut all = actions(&Call { wallet, to, value, data }, &chain.registry);
    all.extend(delegations(&draft.authorizations));
    all
}

/// Refuses what names another chain, in itself or in an authorisation: once it is in a transaction, anybody can use it
/// there.
pub(crate) fn for_chain(draft: &TransactionDraft, chain: ChainId) -> Result<(), Malformed> {
    let elsewhere = |one: &Authorization| one.chain().is_some_and(|named| named != chain);
    if draft.chain.is_some_and(|named| named != chain) {
        return Err(Malformed::new("chainId", "the transaction names another chain than the URL"));
    }
    if draft.authorizations.iter().any(elsewhere) {
        return Err(Malformed::new("authorizationList", "has an authorisation for another chain"));
    }
    Ok(())
}

/// What the key would sign for these words; `None` where they cannot be read.
pub(crate) fn digest(content: &Content) -> Option<B256> {
    match content {
        Content::Text(bytes) => Some(text_digest(bytes)),
        Content::TypedData(text) => TypedData::parse(text).ok().map(|data| data.digest()),
    }
}

fn typed(text: &str, wallet: Address, chain: &ChainSetup) -> Result<ReadMessage, FieldError> {
    let data = TypedData::parse(text)?.for_chain(chain.id)?;
    let authority = typed_data_authority(wallet, chain.id, &data, &chain.registry);
    let message = Message {
        chain: chain.id,
        content: Content::TypedData(data.canonical_json()),
        digest: data.digest(),
        lasting: authority.lasting,
    };
    Ok(ReadMessage { message, actions: authority.actions })
}
