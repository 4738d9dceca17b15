//! What is proposed for a signature: a draft of a transaction, or a message that was read for what it is.

use alloy_primitives::{Address, B256};
use countersign_core::{
    action::Action,
    draft::FieldError,
    identity::Fingerprint,
    intent::{Subject, fingerprint, message_fingerprint},
    message::{Content, Message},
    transaction::TransactionDraft,
};
use countersign_decode::{
    Call, TypedData, actions, text_actions, text_digest, typed_data_authority,
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
    /// A message, with what its signature would do.
    Message(Box<ReadMessage>),
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
            Draft::Transaction(draft) if draft.chain.is_some_and(|named| named != chain.id) => {
                let reason = "the transaction names another chain than the URL";
                Err(malformed("chainId", reason))
            }
            Draft::Transaction(draft) => Ok(Self::Transaction(draft.clone())),
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
                fingerprint(subject, draft.to, draft.value, (&draft.data, &draft.access_list))
            }
            Self::Message(read) => message_fingerprint(subject, read.message.digest),
        }
    }

    /// What signing it would do, by everything that the chain's registry knows.
    pub(crate) fn actions(&self, wallet: Address, chain: &ChainSetup) -> Vec<Action> {
        match self {
            Self::Transaction(draft) => {
                let (to, value, data) = (draft.to, draft.value, &draft.data);
                actions(&Call { wallet, to, value, data }, &chain.registry)
            }
            Self::Message(read) => read.actions.clone(),
        }
    }

    /// The nonce that the client fixed.
    pub(crate) const fn nonce(&self) -> Option<u64> {
        match self {
            Self::Transaction(draft) => draft.nonce,
            Self::Message(_) => None,
        }
    }
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
