//! Passkeys: what a WebAuthn authenticator signs, read strictly (W3C WebAuthn 3, §7.2). `ES256` and `EdDSA`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::signature::SignatureFault;

/// The most bytes of what the browser says.
pub const CLIENT_DATA_MAX: usize = 4096;
/// The most bytes of what the authenticator says.
pub const AUTHENTICATOR_DATA_MAX: usize = 1024;
/// The most bytes of its signature: one of P-256 has at most 72, one of Ed25519 has 64.
pub const SIGNATURE_MAX: usize = 128;
/// The most bytes of a credential's id (§5.8.3 of the specification says 1023).
pub const CREDENTIAL_ID_MAX: usize = 1023;

/// Where passkeys are used: what browsers bind a credential to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// A domain: `ops.example.com`.
    pub id: String,
    /// Where the pages are from that may ask: `https://ops.example.com`.
    pub origins: Vec<String>,
}

/// The public key of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyKey {
    /// A point of P-256, uncompressed: `ES256`, -7.
    Es256([u8; 65]),
    /// Ed25519: `EdDSA`, -8.
    EdDsa([u8; 32]),
}

/// What stands before the point in a `SubjectPublicKeyInfo` of P-256 (RFC 5480), and before the key in one of Ed25519
/// (RFC 8410). There is one encoding of each.
const ES256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const EDDSA_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PasskeyKey {
    /// Reads what `AuthenticatorAttestationResponse.getPublicKey()` gives: a `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn parse(spki: &[u8]) -> Option<Self> {
        if let Some(point) = spki.strip_prefix(&ES256_PREFIX) {
            let point = <[u8; 65]>::try_from(point).ok()?;
            return (point.first() == Some(&4)).then_some(Self::Es256(point));
        }
        let key = spki.strip_prefix(&EDDSA_PREFIX)?;
        <[u8; 32]>::try_from(key).ok().map(Self::EdDsa)
    }

    /// The same again, in DER.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::Es256(point) => [&ES256_PREFIX[..], &point[..]].concat(),
            Self::EdDsa(key) => [&EDDSA_PREFIX[..], &key[..]].concat(),
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

impl Serialize for PasskeyKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.spki()))
    }
}

impl<'de> Deserialize<'de> for PasskeyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let spki = URL_SAFE_NO_PAD.decode(&text).map_err(serde::de::Error::custom)?;
        Self::parse(&spki).ok_or_else(|| serde::de::Error::custom("no key of a passkey"))
    }
}

/// What an authenticator and its browser said, in base64url as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assertion {
    /// What the browser saw: JSON.
    #[serde(rename = "clientDataJSON", with = "base64url")]
    pub client_data: Vec<u8>,
    /// What the authenticator saw.
    #[serde(with = "base64url")]
    pub authenticator_data: Vec<u8>,
    /// Over `authenticatorData ‖ SHA-256(clientDataJSON)`.
    #[serde(with = "base64url")]
    pub signature: Vec<u8>,
}

/// `webauthn.get`, as a browser says it. It may say more (§5.8.1); what is known must be as it must be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// What an authenticator signs (§6.1).
struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    count: u32,
    extensions: &'a [u8],
}

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

impl<'a> AuthenticatorData<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (flags, rest) = rest.split_first()?;
        let (count, extensions) = rest.split_first_chunk::<4>()?;
        Some(Self { rp_id_hash, flags: *flags, count: u32::from_be_bytes(*count), extensions })
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn refusal(&self, party: &RelyingParty) -> Option<&'static str> {
        let refusals = [
            (*self.rp_id_hash != *Sha256::digest(&party.id), "is for another relying party"),
            (!self.has(USER_PRESENT), "nobody was present"),
            (!self.has(USER_VERIFIED), "the user was not verified"),
            (
                self.has(BACKED_UP) && !self.has(BACKUP_ELIGIBLE),
                "is backed up and cannot be: its flags contradict each other",
            ),
            (self.has(ATTESTED), "is of a registration"),
            (
                self.has(EXTENDED) == self.extensions.is_empty(),
                "has other bytes than its flags say",
            ),
        ];
        refusals.into_iter().find(|(refused, _)| *refused).map(|(_, why)| why)
    }
}

impl Assertion {
    /// From `clientDataJSON`, `authenticatorData` and `signature` in base64url.
    #[must_use]
    pub fn from_base64url([client_data, authenticator_data, signature]: [&str; 3]) -> Option<Self> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        Some(Self {
            client_data: bytes(client_data)?,
            authenticator_data: bytes(authenticator_data)?,
            signature: bytes(signature)?,
        })
    }

    /// Whether this key signed these bytes here, with its user present and verified.
    pub fn verify(
        &self,
        asked: &[u8],
        party: &RelyingParty,
        key: &PasskeyKey,
    ) -> Result<(), SignatureFault> {
        self.answers(asked, party)?;
        if self.signature.len() <= SIGNATURE_MAX && self.is_signed_by(key) {
            Ok(())
        } else {
            Err(SignatureFault::Broken)
        }
    }

    /// Whether it claims to be said to these bytes, here, with its user present and verified. Whether anybody signed it
    /// is not asked: whoever made it can tell as much.
    pub fn answers(&self, asked: &[u8], party: &RelyingParty) -> Result<(), SignatureFault> {
        if let Some(why) = self.strange_client_data(asked, party) {
            return Err(SignatureFault::ClientData(why));
        }
        let read = Some(&self.authenticator_data).filter(|d| d.len() <= AUTHENTICATOR_DATA_MAX);
        let read = read.and_then(|data| AuthenticatorData::parse(data));
        let refusal = read.map_or(Some("is not of its form"), |data| data.refusal(party));
        refusal.map_or(Ok(()), |why| Err(SignatureFault::Authenticator(why)))
    }

    /// What it claims to have been asked; whether it was, only who asked knows.
    #[must_use]
    pub fn asked(&self) -> Option<Vec<u8>> {
        let said = self.said()?;
        URL_SAFE_NO_PAD.decode(said.challenge).ok()
    }

    /// How often the authenticator has signed, as it says; zero where it does not count.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        AuthenticatorData::parse(&self.authenticator_data).map(|data| data.count)
    }

    /// What the browser said, where it is no longer than it may be.
    fn said(&self) -> Option<ClientData> {
        let bytes = Some(&self.client_data).filter(|bytes| bytes.len() <= CLIENT_DATA_MAX)?;
        serde_json::from_slice(bytes).ok()
    }

    fn strange_client_data(&self, asked: &[u8], party: &RelyingParty) -> Option<&'static str> {
        if self.client_data.len() > CLIENT_DATA_MAX {
            return Some("is too long");
        }
        let Some(said) = self.said() else { return Some("is not of its form") };
        let refusals = [
            (said.kind != "webauthn.get", "is of another ceremony"),
            (said.challenge != challenge(asked), "is for another challenge"),
            (!party.origins.contains(&said.origin), "is of another origin"),
            (said.cross_origin || said.top_origin.is_some(), "is of a page inside another's"),
        ];
        refusals.into_iter().find(|(refused, _)| *refused).map(|(_, why)| why)
    }

    fn is_signed_by(&self, key: &PasskeyKey) -> bool {
        let client_data = Sha256::digest(&self.client_data);
        key.has_signed(&[&self.authenticator_data[..], &client_data[..]].concat(), &self.signature)
    }
}

/// What is asked of an authenticator, as browsers repeat it: in base64url.
#[must_use]
pub fn challenge(asked: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(asked)
}

/// Bytes as base64url without padding, in one form only.
mod base64url {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        URL_SAFE_NO_PAD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
