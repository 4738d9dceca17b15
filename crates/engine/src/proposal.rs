//! What is proposed for a signature: a draft of a transaction, or a message that was read for what it is.

use alloy_primitives::{Address, B256, Signature};
use countersign_core::{
    action::Action,
    draft::FieldError,
    identity::{ChainId, Fingerprint},
    intent::{Subject, digest_fingerprint, fingerprint},
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
    submission::{Answer, Draft},
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
}

/// A transaction that is signed, with the draft that it comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Presigned {
    pub(crate) raw: RawTransaction,
    draft: TransactionDraft,
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
        match self {
            Self::Transaction(draft) => {
                let carried = (&draft.data[..], &draft.access_list[..], &draft.authorizations[..]);
                fingerprint(subject, draft.to, draft.value, carried)
            }
            Self::Signed(signed) => digest_fingerprint(subject, signed.raw.hash()),
            Self::Message(read) => digest_fingerprint(subject, read.message.digest),
        }
    }

    /// What signing it would do, by everything that the chain's registry knows.
    pub(crate) fn actions(&self, wallet: Address, chain: &ChainSetup) -> Vec<Action> {
        match self {
            Self::Transaction(draft) => does(draft, wallet, chain),
            Self::Signed(signed) => does(&signed.draft, wallet, chain),
            Self::Message(read) => read.actions.clone(),
        }
    }

    /// The transaction, as far as it is said; `None` for a message.
    pub(crate) fn draft(&self) -> Option<&TransactionDraft> {
        match self {
            Self::Transaction(draft) => Some(draft),
            Self::Signed(signed) => Some(&signed.draft),
            Self::Message(_) => None,
        }
    }

    /// What was signed, where it was.
    pub(crate) fn signed(&self) -> Option<&TransactionPlan> {
        match self {
            Self::Signed(signed) => Some(&signed.raw.transaction().plan),
            Self::Transaction(_) | Self::Message(_) => None,
        }
    }

    /// The signature that came with it.
    pub(crate) fn signature(&self) -> Option<Signature> {
        match self {
            Self::Signed(signed) => Some(signed.raw.signature()),
            Self::Transaction(_) | Self::Message(_) => None,
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
pub(crate) fn for_chain(draft: &TransactionDraft, chain: ChainId) -> Result<(), Answer> {
    let elsewhere = |one: &Authorization| one.chain().is_some_and(|named| named != chain);
    if draft.chain.is_some_and(|named| named != chain) {
        return Err(malformed("chainId", "the transaction names another chain than the URL"));
    }
    if draft.authorizations.iter().any(elsewhere) {
        return Err(malformed("authorizationList", "has an authorisation for another chain"));
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
