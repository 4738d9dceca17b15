//! Sessions of people at the console: opened with a credential, known by a cookie afterwards.
//!
//! Nothing of them is stored: a restart of the gateway ends them all. Of a session's name only the SHA-256 is kept. A
//! session is worth what its credential is worth at each moment, so that it ends with the operator or the token.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_core::identity::OperatorId;
use countersign_engine::setup::PasskeySetup;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::credential::{Keyring, TokenDigest};

/// How long a session lasts without a request.
pub(super) const IDLE_MAX: Duration = Duration::from_mins(30);
/// How long a session lasts at most.
pub(super) const AGE_MAX: Duration = Duration::from_hours(12);
/// The most sessions of one operator; a further one ends the one that was used least recently.
const SESSIONS_MAX: usize = 16;
/// The most failed logins of one peer within [`FAILURES_WINDOW`].
const FAILURES_MAX: u32 = 10;
/// How long failed logins count.
pub(super) const FAILURES_WINDOW: Duration = Duration::from_mins(1);
/// The most peers whose failures are remembered.
const PEERS_MAX: usize = 4096;

/// By what a session was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// An operator's token; only its digest is remembered.
    Token(TokenDigest),
    /// An operator's passkey.
    Passkey(PasskeySetup),
}

impl Credential {
    /// A word for it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Passkey(_) => "passkey",
        }
    }

    /// Whether it is this operator's now.
    fn is_of(&self, operator: &OperatorId, keyring: &Keyring) -> bool {
        match self {
            Self::Token(digest) => keyring.operator(*digest).as_ref() == Some(operator),
            Self::Passkey(passkey) => keyring.has(operator, passkey),
        }
    }
}

/// The secret name of a session, as the cookie carries it: 32 random bytes. Debug does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionName([u8; 32]);

impl SessionName {
    /// A fresh name; `None` where the system has no randomness.
    pub(super) fn draw() -> Option<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok().map(|()| Self(bytes))
    }

    /// As it came in a cookie.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }

    pub(super) fn hex(self) -> String {
        hex::encode(self.0)
    }

    fn key(self) -> Key {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionName(..)")
    }
}

/// The SHA-256 of a session's name.
type Key = [u8; 32];

#[derive(Debug)]
struct Session {
    operator: OperatorId,
    credential: Credential,
    opened_at: Instant,
    used_at: Instant,
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.duration_since(self.used_at) < IDLE_MAX && now.duration_since(self.opened_at) < AGE_MAX
    }
}

/// The sessions that are open, and who failed to open one.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<Key, Session>>,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({})", locked(&self.open).len())
    }
}

/// Failed logins of one peer.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Failures {
    fn count_still(&self, now: Instant) -> bool {
        now.duration_since(self.since) < FAILURES_WINDOW
    }
}

impl Sessions {
    /// Opens a session under a fresh name.
    pub(super) fn open(&self, name: SessionName, operator: OperatorId, credential: Credential) {
        let now = Instant::now();
        let mut open = locked(&self.open);
        open.retain(|_, session| session.lasts(now));
        let own = open.iter().filter(|(_, session)| session.operator == operator);
        let own: Vec<(Key, Instant)> = own.map(|(key, session)| (*key, session.used_at)).collect();
        if own.len() >= SESSIONS_MAX
            && let Some((oldest, _)) = own.iter().min_by_key(|(_, used_at)| *used_at)
        {
            open.remove(oldest);
        }
        open.insert(name.key(), Session { operator, credential, opened_at: now, used_at: now });
    }

    /// Whose session it is. A session whose credential is worth nothing any more is ended.
    pub(super) fn used(&self, name: SessionName, keyring: &Keyring) -> Option<OperatorId> {
        self.find(name, keyring, true)
    }

    /// As [`Sessions::used`], but looking does not make it last longer.
    pub(super) fn seen(&self, name: SessionName, keyring: &Keyring) -> Option<OperatorId> {
        self.find(name, keyring, false)
    }

    fn find(&self, name: SessionName, keyring: &Keyring, is_use: bool) -> Option<OperatorId> {
        let (key, now) = (name.key(), Instant::now());
        let mut open = locked(&self.open);
        let session = open.get_mut(&key)?;
        if !session.credential.is_of(&session.operator, keyring) || !session.lasts(now) {
            open.remove(&key);
            return None;
        }
        if is_use {
            session.used_at = now;
        }
        Some(session.operator.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, name: SessionName) {
        locked(&self.open).remove(&name.key());
    }

    /// Whether a peer may try to log in.
    pub(super) fn may_try(&self, peer: IpAddr) -> bool {
        let failures = locked(&self.failures).get(&network(peer)).copied();
        let now = Instant::now();
        !failures.is_some_and(|found| found.count_still(now) && found.count >= FAILURES_MAX)
    }

    /// Counts a failed login.
    pub(super) fn failed(&self, peer: IpAddr) {
        let (peer, now) = (network(peer), Instant::now());
        let mut failures = locked(&self.failures);
        failures.retain(|_, found| found.count_still(now));
        if failures.len() >= PEERS_MAX && !failures.contains_key(&peer) {
            let oldest = failures.iter().min_by_key(|(_, found)| found.since).map(|(ip, _)| *ip);
            oldest.and_then(|oldest| failures.remove(&oldest));
        }
        let found = failures.entry(peer).or_insert(Failures { count: 0, since: now });
        found.count = found.count.saturating_add(1);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever has an IPv6 address has all of its /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_core::approval::passkey::PasskeyKey;

    use super::*;
    use crate::Credentials;

    fn keyring(token: &[u8]) -> (Arc<Keyring>, OperatorId, Credential) {
        let alice = OperatorId::parse("alice").unwrap();
        let digest = TokenDigest::of(token);
        let operators = vec![(digest, alice.clone())];
        let credentials = Credentials { operators, ..Credentials::default() };
        (Keyring::new(credentials), alice, Credential::Token(digest))
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_itself_when_nobody_uses_it_and_at_the_end_of_the_day() {
        let (keyring, alice, credential) = keyring(b"token");
        let sessions = Sessions::default();
        let [idle, busy] = [1, 2].map(|n| SessionName([n; 32]));
        for name in [idle, busy] {
            sessions.open(name, alice.clone(), credential.clone());
        }
        let step = Duration::from_mins(29);
        for _ in 0..(AGE_MAX.as_secs() / step.as_secs()) {
            tokio::time::advance(step).await;
            assert_eq!(sessions.seen(busy, &keyring), Some(alice.clone()));
            assert_eq!(sessions.used(busy, &keyring), Some(alice.clone()));
        }
        assert_eq!(sessions.used(idle, &keyring), None, "nobody used it");
        tokio::time::advance(step).await;
        assert_eq!(sessions.used(busy, &keyring), None, "older than a working day");
        assert_eq!(format!("{sessions:?}"), "Sessions(0)");
    }

    #[tokio::test(start_paused = true)]
    async fn looking_does_not_make_a_session_last() {
        let (keyring, alice, credential) = keyring(b"token");
        let (sessions, name) = (Sessions::default(), SessionName([1; 32]));
        sessions.open(name, alice, credential);
        tokio::time::advance(Duration::from_mins(20)).await;
        assert!(sessions.seen(name, &keyring).is_some());
        tokio::time::advance(Duration::from_mins(20)).await;
        assert!(sessions.seen(name, &keyring).is_none());
    }

    #[tokio::test]
    async fn a_session_ends_with_its_token_its_operator_or_by_a_word() {
        let (keyring, alice, credential) = keyring(b"token");
        let sessions = Sessions::default();
        let [one, two] = [1, 2].map(|n| SessionName([n; 32]));
        for name in [one, two] {
            sessions.open(name, alice.clone(), credential.clone());
        }
        sessions.end(one);
        assert_eq!(sessions.used(one, &keyring), None);
        assert_eq!(sessions.used(two, &keyring), Some(alice));
        let bob = OperatorId::parse("bob").unwrap();
        let operators = vec![(TokenDigest::of(b"token"), bob)];
        keyring.replace(Credentials { operators, ..Credentials::default() });
        assert_eq!(sessions.used(two, &keyring), None, "somebody else has the token now");
    }

    #[tokio::test]
    async fn a_session_ends_when_its_passkey_is_another_or_somebody_elses() {
        let [alice, bob] = ["alice", "bob"].map(|id| OperatorId::parse(id).unwrap());
        let passkey =
            |key| PasskeySetup { id: "a".into(), public_key: PasskeyKey::EdDsa([key; 32]) };
        let keyring = Keyring::new(Credentials::default());
        for (now, lasts) in [
            (vec![(passkey(1), alice.clone())], true),
            (vec![(passkey(1), bob.clone()), (passkey(1), alice.clone())], true),
            (vec![(passkey(1), bob)], false),
            (vec![(passkey(2), alice.clone())], false),
            (vec![], false),
        ] {
            let (sessions, name) = (Sessions::default(), SessionName([1; 32]));
            sessions.open(name, alice.clone(), Credential::Passkey(passkey(1)));
            keyring.replace(Credentials { passkeys: now, ..Credentials::default() });
            assert_eq!(sessions.used(name, &keyring), lasts.then(|| alice.clone()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_has_so_many_sessions_and_the_oldest_gives_way() {
        let (keyring, alice, credential) = keyring(b"token");
        let sessions = Sessions::default();
        let names: Vec<_> =
            (0..=SESSIONS_MAX).map(|n| SessionName([u8::try_from(n).unwrap(); 32])).collect();
        for name in &names {
            sessions.open(*name, alice.clone(), credential.clone());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(sessions.used(names[0], &keyring), None);
        assert!(names[1..].iter().all(|name| sessions.used(*name, &keyring).is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_fails_so_often_in_a_minute_and_its_network_with_it() {
        let sessions = Sessions::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, neighbour, other) = (ip("2001:db8::1"), ip("2001:db8::2"), ip("2001:db8:0:1::1"));
        (0..FAILURES_MAX).for_each(|_| sessions.failed(one));
        assert!(!sessions.may_try(one) && !sessions.may_try(neighbour) && sessions.may_try(other));
        tokio::time::advance(FAILURES_WINDOW).await;
        assert!(sessions.may_try(one));
        for n in 0..u32::try_from(PEERS_MAX).unwrap() * 2 {
            sessions.failed(IpAddr::V4(n.into()));
        }
        assert_eq!(locked(&sessions.failures).len(), PEERS_MAX, "bounded");
    }

    #[test]
    fn a_name_is_shown_nowhere_and_read_only_in_one_form() {
        let name = SessionName::draw().unwrap();
        assert_eq!(SessionName::parse(&name.hex()), Some(name));
        assert_eq!(format!("{name:?}"), "SessionName(..)");
        for text in ["", "00", &"zz".repeat(32), &"00".repeat(33)] {
            assert_eq!(SessionName::parse(text), None, "{text}");
        }
    }
}
