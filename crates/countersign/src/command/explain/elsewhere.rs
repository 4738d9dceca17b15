//! What the gateway answers before any policy is asked: whose account it is, and whose signatures a request carries.

use alloy_primitives::Address;
use countersign_core::{
    intent::Method,
    transaction::{Authorization, TransactionDraft},
};
use countersign_engine::submission::Draft;
use countersign_server::Asked;

use super::place::{House, of_address};
use crate::{
    config::{AgentEntry, SignerEntry, WalletEntry},
    failure::Failure,
};

/// A signature in a request that has no business at this gateway, and so is denied whatever a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Of the transaction.
    Transaction,
    /// Of an authorisation in it (EIP-7702).
    Authorisation,
}

impl Foreign {
    pub(super) const CODE: &str = "externally_signed";

    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Transaction => {
                "it is signed with a key that is not that of an external wallet of this agent; only bytes that the gateway has made for it are sent again"
            }
            Self::Authorisation => "an authorisation in it is signed with a key that signs none",
        }
    }
}

impl House<'_> {
    /// The signature for which a request is denied, if it has one. An account that its agent may not use, or that the
    /// gateway does not sign for, is an error, as it is at the door.
    pub(super) fn foreign(&self, asked: &Asked) -> Result<Option<Foreign>, Failure> {
        let raw = match &asked.draft {
            Draft::Raw(raw) => raw,
            Draft::Transaction(draft) => {
                self.signs_here(asked)?;
                return Ok(self.authorised(draft));
            }
            Draft::Message { .. } | Draft::Calls(_) => {
                self.signs_here(asked)?;
                return Ok(None);
            }
        };
        let own = self.own(raw.sender()).filter(|wallet| is_external(wallet));
        match own {
            Some(_) => Ok(self.authorised(&raw.as_ref().clone().into_draft())),
            None => Ok(Some(Foreign::Transaction)),
        }
    }

    fn signs_here(&self, asked: &Asked) -> Result<(), Failure> {
        let (Some(agent), Some(from)) = (self.agent, asked.draft.from()) else { return Ok(()) };
        let Some(wallet) = self.own(from) else {
            let reason = format!("`from`: the agent {} has no account {from}", agent.id);
            return Err(Failure::refused(reason));
        };
        // what is told without a method may be brought signed
        let brings = !asked.is_call && asked.method == Method::SendTransaction;
        if is_external(wallet) && !brings {
            return Err(Failure::refused(format!(
                "`from`: the account {from} signs for itself: sign with its own key, and explain that as eth_sendRawTransaction"
            )));
        }
        Ok(())
    }

    /// The wallet of an address, where the agent may use it.
    fn own(&self, address: Address) -> Option<&WalletEntry> {
        let wallet = of_address(self.config, address)?;
        let holds = |agent: &AgentEntry| agent.wallets.iter().any(|held| held.value == wallet.id);
        self.agent.is_none_or(holds).then_some(wallet)
    }

    /// A key that is here signs no authorisation.
    fn authorised(&self, draft: &TransactionDraft) -> Option<Foreign> {
        let held = |authority| {
            of_address(self.config, authority).is_some_and(|wallet| !is_external(wallet))
        };
        let mut authorities = draft.authorizations.iter().filter_map(Authorization::authority);
        authorities.any(held).then_some(Foreign::Authorisation)
    }
}

const fn is_external(wallet: &WalletEntry) -> bool {
    matches!(wallet.signer, SignerEntry::External)
}
