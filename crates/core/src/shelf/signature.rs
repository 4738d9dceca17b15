//! Signatures of policies' texts: Ed25519 (RFC 8032), by keys that the configuration pins.
//!
//! A signature is for one app and for named uses, so that a text that was signed for one agent, or for a rehearsal, is
//! worth nothing elsewhere. It says who stands behind a text and which of two is newer; it does not say that a text is
//! a policy, nor that it may come into force.

use std::{fmt, str::FromStr};

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What stands before a key's hex digits, and before the text that is signed.
const ALGORITHM: &str = "ed25519:";

/// The first line of what is signed.
const PURPOSE: &str = "countersign policy";

/// A public key that policies are signed with: `ed25519:` and 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyKey(pub [u8; 32]);

/// A text that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is `ed25519:` and 64 hex digits; `countersign policy keygen` makes one")]
pub struct NoPolicyKey;

impl FromStr for PolicyKey {
    type Err = NoPolicyKey;

    fn from_str(text: &str) -> Result<Self, NoPolicyKey> {
        let digits = text.strip_prefix(ALGORITHM).ok_or(NoPolicyKey)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NoPolicyKey)?;
        Ok(Self(bytes))
    }
}

/// As it is configured.
impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", hex::encode(self.0))
    }
}

impl TryFrom<String> for PolicyKey {
    type Error = NoPolicyKey;

    fn try_from(text: String) -> Result<Self, NoPolicyKey> {
        text.parse()
    }
}

impl From<PolicyKey> for String {
    fn from(key: PolicyKey) -> Self {
        key.to_string()
    }
}

/// A signature of a policy's text, as it stands beside a file and is sent with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySignature {
    /// The app that it is for.
    pub app: String,
    /// Its uses: `agent ID`, or `guard NAME`.
    #[serde(rename = "for")]
    pub uses: Vec<String>,
    /// Higher than that of the text before it.
    pub sequence: u64,
    /// Who signed it.
    pub key: PolicyKey,
    /// 64 bytes, in hex.
    pub signature: String,
}

/// Why a signature is not one for this text and use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The key is not pinned.
    #[error("{0} is not among the pinned keys")]
    OtherKey(PolicyKey),
    /// It is for another app.
    #[error("it is signed for the app `{0}`")]
    OtherApp(String),
    /// It is for other uses.
    #[error("it is signed for {0}, not for `{1}`")]
    OtherUse(String, String),
    /// It is not of this text.
    #[error("the signature is not of this text: sign it again")]
    OtherText,
}

impl PolicySignature {
    /// What the key signs: a line, and the members in JSON with the text's SHA-256.
    #[must_use]
    pub fn signed_text(app: &str, uses: &[String], sequence: u64, text: &str) -> String {
        let digest = hex::encode(Sha256::digest(text));
        let members =
            serde_json::json!({"app": app, "for": uses, "sequence": sequence, "sha256": digest});
        format!("{PURPOSE}\n{members}")
    }

    /// Whether one of these keys signed this text for this use.
    ///
    /// # Errors
    ///
    /// Why none of them did.
    pub fn check(
        &self,
        text: &str,
        (app, usage): (&str, &str),
        keys: &[PolicyKey],
    ) -> Result<(), SignatureFault> {
        let Self { app: signed_for, uses, sequence, key, signature } = self;
        if !keys.contains(key) {
            return Err(SignatureFault::OtherKey(*key));
        }
        if signed_for != app {
            return Err(SignatureFault::OtherApp(signed_for.clone()));
        }
        if !uses.iter().any(|signed| signed == usage) {
            return Err(SignatureFault::OtherUse(format!("{uses:?}"), usage.to_owned()));
        }
        let message = Self::signed_text(app, uses, *sequence, text);
        let bytes = hex::decode(signature).map_err(|_| SignatureFault::OtherText)?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(message.as_bytes(), &bytes)
            .map_err(|_| SignatureFault::OtherText)
    }
}

/// The use of a policy as an agent's grant.
#[must_use]
pub fn agent_use(agent: &crate::identity::AgentId) -> String {
    format!("agent {agent}")
}

/// The use of a policy as a guard, by its name.
#[must_use]
pub fn guard_use(name: &str) -> String {
    format!("guard {name}")
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const TEXT: &str = "policy: trader\n";

    fn pair(seed: u8) -> (Ed25519KeyPair, PolicyKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = PolicyKey(pair.public_key().as_ref().try_into().unwrap());
        (pair, key)
    }

    fn signed(seed: u8, sequence: u64) -> PolicySignature {
        let (pair, key) = pair(seed);
        let uses = vec!["agent trader".to_owned(), "agent twin".to_owned()];
        let message = PolicySignature::signed_text("desk", &uses, sequence, TEXT);
        let signature = hex::encode(pair.sign(message.as_bytes()));
        PolicySignature { app: "desk".into(), uses, sequence, key, signature }
    }

    #[test]
    fn a_signature_is_of_one_text_app_use_number_and_key() {
        let good = signed(1, 7);
        let keys = [pair(2).1, pair(1).1];
        let check = |signature: &PolicySignature, text: &str, app, usage, keys: &[PolicyKey]| {
            signature.check(text, (app, usage), keys)
        };
        check(&good, TEXT, "desk", "agent twin", &keys).unwrap();
        let fault = |signature: &PolicySignature, text: &str, app, usage| {
            check(signature, text, app, usage, &keys).unwrap_err()
        };
        assert_eq!(
            fault(&good, "policy: other\n", "desk", "agent trader"),
            SignatureFault::OtherText
        );
        assert_eq!(
            fault(&good, TEXT, "rehearsal", "agent trader"),
            SignatureFault::OtherApp("desk".into())
        );
        let other_use = fault(&good, TEXT, "desk", "guard trader");
        assert!(matches!(other_use, SignatureFault::OtherUse(..)), "{other_use}");
        assert_eq!(
            check(&good, TEXT, "desk", "agent trader", &[pair(2).1]).unwrap_err(),
            SignatureFault::OtherKey(pair(1).1)
        );
        for changed in [
            PolicySignature { sequence: 8, ..good.clone() },
            PolicySignature { uses: vec!["agent trader".into()], ..good.clone() },
            PolicySignature { key: pair(2).1, ..good.clone() },
            PolicySignature { signature: "00".repeat(64), ..good.clone() },
            PolicySignature { signature: "what".into(), ..good.clone() },
        ] {
            assert_eq!(fault(&changed, TEXT, "desk", "agent trader"), SignatureFault::OtherText);
        }
    }

    /// RFC 8032, 7.1, test 1: an empty message.
    #[test]
    fn a_published_vector_is_verified() {
        let key: PolicyKey =
            "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
                .parse()
                .unwrap();
        let signature = hex::decode(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        )
        .unwrap();
        assert!(UnparsedPublicKey::new(&ED25519, key.0).verify(b"", &signature).is_ok());
        assert!("d75a98".parse::<PolicyKey>().is_err());
        assert!("ed25519:d75a98".parse::<PolicyKey>().is_err());
    }
}
