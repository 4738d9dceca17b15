//! What a passkey is asked to sign for a login. Asking leaves nothing behind, so that whoever asks a million times has
//! filled nothing: a challenge carries its own proof that it was made here, and when. Only what opened a session is
//! remembered, until it would be too old anyway.
//!
//! Like sessions, challenges are one gateway's own, and end with it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::time::Instant;

/// How long a person may take to touch their authenticator.
pub(super) const CHALLENGE_AGE_MAX: Duration = Duration::from_mins(2);

/// The most logins with passkeys within [`CHALLENGE_AGE_MAX`].
const SPENT_MAX: usize = 4096;

/// Random bytes, the milliseconds since the gateway began, and the code over both. No approval has a challenge of this
/// length: a login is never an approval, nor the other way round.
const LENGTH: usize = DRAWN + 8 + 32;
const DRAWN: usize = 16;

/// What makes and knows challenges.
pub(super) struct Challenges {
    /// Drawn at the start; without, nothing is asked.
    key: Option<[u8; 32]>,
    began: Instant,
    spent: Mutex<HashMap<[u8; DRAWN], Instant>>,
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges(..)")
    }
}

/// A challenge of ours that is young and not spent, as far as was known when it was looked at.
#[derive(Debug)]
#[must_use]
pub(super) struct Fresh {
    drawn: [u8; DRAWN],
    made_at: Instant,
}

impl Challenges {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        Self { key, began: Instant::now(), spent: Mutex::default() }
    }

    /// A fresh one; `None` where the system has no randomness.
    pub(super) fn make(&self) -> Option<Vec<u8>> {
        let mut drawn = [0; DRAWN];
        getrandom::fill(&mut drawn).ok()?;
        let age = u64::try_from(self.began.elapsed().as_millis()).ok()?;
        let made = [&drawn[..], &age.to_be_bytes()].concat();
        let code = self.mac(&made)?.finalize().into_bytes();
        Some([&made[..], &code[..]].concat())
    }

    /// Whether this was asked here a moment ago, and opened nothing yet.
    pub(super) fn fresh(&self, asked: &[u8]) -> Option<Fresh> {
        let (made, code) =
            Some(asked).filter(|a| a.len() == LENGTH)?.split_at_checked(DRAWN + 8)?;
        self.mac(made)?.verify_slice(code).ok()?;
        let (drawn, age) = made.split_first_chunk::<DRAWN>()?;
        let age = Duration::from_millis(u64::from_be_bytes(age.try_into().ok()?));
        let fresh = Fresh { drawn: *drawn, made_at: self.began.checked_add(age)? };
        let known = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        (fresh.lasts(Instant::now()) && !known.contains_key(drawn)).then_some(fresh)
    }

    /// Takes it for one login; `false` if another was faster.
    #[must_use]
    pub(super) fn spend(&self, fresh: &Fresh) -> bool {
        let now = Instant::now();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, made_at| is_young(*made_at, now));
        let takes = fresh.lasts(now) && spent.len() < SPENT_MAX;
        takes && spent.insert(fresh.drawn, fresh.made_at).is_none()
    }

    fn mac(&self, made: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key?).ok()?;
        Some(mac.chain_update(b"countersign login").chain_update(made))
    }
}

impl Fresh {
    fn lasts(&self, now: Instant) -> bool {
        is_young(self.made_at, now)
    }
}

fn is_young(made_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(made_at) < CHALLENGE_AGE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_challenge_is_worth_one_login_for_two_minutes_and_here() {
        let (here, elsewhere) = (Challenges::new(), Challenges::new());
        let (one, two) = (here.make().unwrap(), here.make().unwrap());
        assert_ne!(one, two);
        assert!(here.fresh(&one).is_some() && elsewhere.fresh(&one).is_none());
        for n in 0..one.len() {
            let mut bent = one.clone();
            bent[n] ^= 1;
            assert!(here.fresh(&bent).is_none(), "byte {n}");
        }
        for other in [&one[..55], &[&one[..], &[0]].concat(), &[0; 32], &[]] {
            assert!(here.fresh(other).is_none(), "{}", other.len());
        }
        // two come with the same: one of them is first
        let [first, second] = [here.fresh(&one).unwrap(), here.fresh(&one).unwrap()];
        assert!(here.spend(&first) && !here.spend(&second) && here.fresh(&one).is_none());
        tokio::time::advance(CHALLENGE_AGE_MAX).await;
        assert!(here.fresh(&two).is_none(), "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_is_forgotten_when_it_is_too_old_and_never_before() {
        let here = Challenges::new();
        let first = here.make().unwrap();
        for _ in 0..SPENT_MAX {
            assert!(here.spend(&here.fresh(&here.make().unwrap()).unwrap()));
        }
        assert!(
            !here.spend(&here.fresh(&first).unwrap()),
            "no room, and nothing is forgotten for it"
        );
        tokio::time::advance(CHALLENGE_AGE_MAX).await;
        assert!(here.spend(&here.fresh(&here.make().unwrap()).unwrap()));
        assert_eq!(here.spent.lock().unwrap().len(), 1);
    }
}
