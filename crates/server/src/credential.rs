//! Who is asking: tokens as they arrive, and the digests that the configuration keeps of them.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::identity::{AgentId, OperatorId};
use countersign_engine::setup::PasskeySetup;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

/// The SHA-256 of a token's bytes. A token itself is never kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// A digest that a configuration names.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest of a token as it arrived.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Nothing that could be compared with a token.
impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// Every credential of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Agents' tokens: worth something at the agents' door only.
    pub agents: Vec<(TokenDigest, AgentId)>,
    /// Operators' tokens: worth something at the operators' door only.
    pub operators: Vec<(TokenDigest, OperatorId)>,
    /// Operators' passkeys: they open sessions of the console. Accounts of one person may share one.
    pub passkeys: Vec<(PasskeySetup, OperatorId)>,
}

/// The credentials in force; a reload replaces them whole.
#[derive(Debug, Default)]
pub struct Keyring(watch::Sender<Arc<Credentials>>);

impl Keyring {
    /// A keyring with these credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Arc::new(credentials))))
    }

    /// Puts other credentials in force, for every request that begins afterwards. Connections that stay open are told.
    pub fn replace(&self, credentials: Credentials) {
        self.0.send_replace(Arc::new(credentials));
    }

    /// Changes each time that other credentials are in force.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Credentials>> {
        self.0.subscribe()
    }

    pub(crate) fn agent(&self, presented: TokenDigest) -> Option<AgentId> {
        find(&self.current().agents, presented)
    }

    pub(crate) fn operator(&self, presented: TokenDigest) -> Option<OperatorId> {
        find(&self.current().operators, presented)
    }

    /// The passkeys with this id, and the accounts that have them: several, where one person has several.
    pub(crate) fn passkeys(&self, id: &str) -> Vec<(PasskeySetup, OperatorId)> {
        let current = self.current();
        current.passkeys.iter().filter(|(known, _)| known.id == id).cloned().collect()
    }

    /// Whether this account has this passkey.
    pub(crate) fn has(&self, operator: &OperatorId, passkey: &PasskeySetup) -> bool {
        let current = self.current();
        current.passkeys.iter().any(|(known, owner)| known == passkey && owner == operator)
    }

    fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.borrow())
    }
}

/// Compares with every entry, so that the time says nothing about where a match was.
fn find<T: Clone>(entries: &[(TokenDigest, T)], presented: TokenDigest) -> Option<T> {
    let mut found = None;
    for (digest, owner) in entries {
        if bool::from(digest.0.ct_eq(&presented.0)) {
            found = Some(owner.clone());
        }
    }
    found
}

/// What a request presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    Nothing,
    Token(TokenDigest),
    /// Something that is no credential of ours, or two different ones.
    Unusable,
}

impl Presented {
    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(headers: &HeaderMap) -> Self {
        Self::header(headers, bearer)
    }

    /// The token of a `Bearer` or `Basic` header; of the latter, the password.
    pub(crate) fn bearer_or_basic(headers: &HeaderMap) -> Self {
        Self::header(headers, |value| bearer(value).or_else(|| basic(value)))
    }

    fn header(headers: &HeaderMap, read: impl Fn(&HeaderValue) -> Option<TokenDigest>) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => read(value).map_or(Self::Unusable, Self::Token),
            (Some(_), Some(_)) => Self::Unusable,
        }
    }

    /// Two places of one request: they must not name two tokens.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, given) | (given, Self::Nothing) => given,
            (given, same) if given == same => given,
            (Self::Token(_) | Self::Unusable, Self::Token(_) | Self::Unusable) => Self::Unusable,
        }
    }

    pub(crate) const fn token(self) -> Option<TokenDigest> {
        match self {
            Self::Token(digest) => Some(digest),
            Self::Nothing | Self::Unusable => None,
        }
    }
}

fn scheme<'a>(value: &'a HeaderValue, name: &str) -> Option<&'a str> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    (scheme.eq_ignore_ascii_case(name) && !rest.is_empty()).then_some(rest)
}

fn bearer(value: &HeaderValue) -> Option<TokenDigest> {
    scheme(value, "bearer").map(|token| TokenDigest::of(token.as_bytes()))
}

fn basic(value: &HeaderValue) -> Option<TokenDigest> {
    let decoded = STANDARD.decode(scheme(value, "basic")?).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.get(colon.checked_add(1)?..)?;
    (!password.is_empty()).then(|| TokenDigest::of(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn every_form_of_a_credential_names_its_token() {
        let token = Presented::Token(TokenDigest::of(b"s3cret"));
        for (values, expected) in [
            (&["Bearer s3cret"][..], token),
            (&["bearer  s3cret "], token),
            (&["Basic YWdlbnQ6czNjcmV0"], token),
            (&["basic OnMzY3JldA=="], token),
            (&[], Presented::Nothing),
            (&["s3cret"], Presented::Unusable),
            (&["Bearer "], Presented::Unusable),
            (&["Basic ???"], Presented::Unusable),
            (&["Basic czNjcmV0"], Presented::Unusable),
            (&["Basic YWdlbnQ6"], Presented::Unusable),
            (&["Digest s3cret"], Presented::Unusable),
            (&["Bearer s3cret", "Bearer s3cret"], Presented::Unusable),
        ] {
            assert_eq!(Presented::bearer_or_basic(&headers(values)), expected, "{values:?}");
        }
        let basic = headers(&["Basic YWdlbnQ6czNjcmV0"]);
        assert_eq!(Presented::bearer(&basic), Presented::Unusable);
    }

    #[test]
    fn two_places_may_not_name_two_tokens() {
        let [one, two] = [b"1", b"2"].map(|t| Presented::Token(TokenDigest::of(t)));
        assert_eq!(one.and(Presented::Nothing), one);
        assert_eq!(one.and(one), one);
        assert_eq!(one.and(two), Presented::Unusable);
        assert_eq!(Presented::Unusable.and(one), Presented::Unusable);
    }

    #[test]
    fn each_kind_of_token_opens_its_own_door_only() {
        let [agent, operator] = [b"agent-token", b"other-token"].map(|t| TokenDigest::of(t));
        let keyring = Keyring::new(Credentials {
            agents: vec![(agent, AgentId::parse("bot").unwrap())],
            operators: vec![(operator, OperatorId::parse("alice").unwrap())],
            passkeys: vec![],
        });
        assert!(keyring.agent(agent).is_some() && keyring.operator(agent).is_none());
        assert!(keyring.operator(operator).is_some() && keyring.agent(operator).is_none());
        keyring.replace(Credentials::default());
        assert!(keyring.agent(agent).is_none());
        assert!(!format!("{keyring:?}").contains("51"));
    }
}
