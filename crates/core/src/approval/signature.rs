//! What a vote is signed with besides the token, and how that is verified. Pure: whoever has the record can do it again.

use std::{fmt, str::FromStr};

use alloy_primitives::{Address, Bytes, Signature};
use serde::{Deserialize, Serialize};

use super::{
    passkey::{Assertion, PasskeyKey, RelyingParty},
    typed::TypedApproval,
};

/// How a vote may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// With the key of an Ethereum address, over typed data (EIP-712).
    Ethereum,
    /// With a passkey (WebAuthn), over the digest as its challenge.
    Passkey,
}

impl Signing {
    /// Each with its word.
    pub const ALL: [(&'static str, Self); 2] =
        [("ethereum", Self::Ethereum), ("passkey", Self::Passkey)];
}

/// The word that policies use.
impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, signing)| signing == self).map_or("", |(w, _)| w);
        f.write_str(word)
    }
}

impl FromStr for Signing {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, SigningError> {
        let found = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, signing)| *signing);
        found.ok_or_else(|| SigningError(text.to_owned()))
    }
}

/// A word that is no way to sign a vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no way to sign an approval: ethereum or passkey")]
pub struct SigningError(String);

/// The signature of a vote with everything that verifies it, so that it can be kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteSignature {
    /// Over [`TypedApproval`].
    Ethereum {
        /// Whose key.
        address: Address,
        /// 65 bytes: r ‖ s ‖ v, with s in its low form and v 27 or 28.
        signature: Bytes,
    },
    /// Over the digest, by an authenticator.
    Passkey {
        /// The credential's id, in base64url.
        credential: String,
        /// Its public key.
        public_key: PasskeyKey,
        /// What the authenticator said and signed.
        assertion: Assertion,
    },
}

impl VoteSignature {
    /// Its kind.
    #[must_use]
    pub const fn signing(&self) -> Signing {
        match self {
            Self::Ethereum { .. } => Signing::Ethereum,
            Self::Passkey { .. } => Signing::Passkey,
        }
    }

    /// Whether it is what its key signed for this approval. `party` is where passkeys are used; without, no passkey is
    /// believed. Whose key it is, is not asked here.
    pub fn verify(
        &self,
        approval: &TypedApproval<'_>,
        party: Option<&RelyingParty>,
    ) -> Result<(), SignatureFault> {
        match self {
            Self::Ethereum { address, signature } => {
                let signer = recovered(approval, signature)?;
                if signer == *address { Ok(()) } else { Err(SignatureFault::OtherKey) }
            }
            Self::Passkey { credential: _, public_key, assertion } => {
                let party = party.ok_or(SignatureFault::NoRelyingParty)?;
                assertion.verify(approval.digest.0.as_slice(), party, public_key)
            }
        }
    }

    /// A passkey's id and how often its authenticator has signed; zero where it does not count.
    #[must_use]
    pub fn count(&self) -> Option<(&str, u32)> {
        match self {
            Self::Ethereum { .. } => None,
            Self::Passkey { credential, assertion, .. } => {
                assertion.count().map(|count| (credential.as_str(), count))
            }
        }
    }
}

/// A signature as an operator offers it: whose key it is, the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferedSignature {
    /// 65 bytes over [`TypedApproval`].
    Ethereum(Bytes),
    /// What an authenticator said of the digest.
    Passkey {
        /// The credential's id, in base64url.
        credential: String,
        /// What it said.
        assertion: Assertion,
    },
}

/// The vote of an Ethereum key in its one form, if it is of this address.
pub fn ethereum(
    approval: &TypedApproval<'_>,
    address: Address,
    signature: &[u8],
) -> Result<VoteSignature, SignatureFault> {
    let parsed = parsed(signature)?;
    let signed =
        VoteSignature::Ethereum { address, signature: Bytes::from(parsed.as_bytes().to_vec()) };
    signed.verify(approval, None).map(|()| signed)
}

fn recovered(approval: &TypedApproval<'_>, signature: &[u8]) -> Result<Address, SignatureFault> {
    let hash = approval.signing_hash();
    parsed(signature)?.recover_address_from_prehash(&hash).map_err(|_| SignatureFault::Broken)
}

/// r ‖ s ‖ v; v is 27 or 28, and 0 or 1 as some hardware says.
fn parsed(bytes: &[u8]) -> Result<Signature, SignatureFault> {
    let (rs, v) = bytes.split_at_checked(64).ok_or(SignatureFault::Broken)?;
    let odd = match v {
        [0 | 27] => false,
        [1 | 28] => true,
        _ => return Err(SignatureFault::Broken),
    };
    let signature = Signature::from_bytes_and_parity(rs, odd);
    if signature.normalize_s().is_some() {
        return Err(SignatureFault::HighS);
    }
    Ok(signature)
}

/// Why a signature is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Not of its form, or not over these bytes.
    #[error("the signature is not one of its key over this approval")]
    Broken,
    /// Malleable (EIP-2).
    #[error("the signature is not in its low form")]
    HighS,
    /// It recovers to another address.
    #[error("the signature is of another key")]
    OtherKey,
    /// This gateway says nowhere where passkeys are used.
    #[error("this gateway takes no passkeys: `listen.admin.passkeys` says where they are used")]
    NoRelyingParty,
    /// The browser's part is not for this approval.
    #[error("`clientDataJSON`: {0}")]
    ClientData(&'static str),
    /// The authenticator's part is not as it must be.
    #[error("`authenticatorData`: {0}")]
    Authenticator(&'static str),
}
