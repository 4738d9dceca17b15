//! The distributed trace (W3C Trace Context) that a request belongs to. A *trail*, because a trace is the record of
//! one decision.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest `tracestate` that is passed on, in bytes; a longer one is dropped whole.
const STATE_LEN_MAX: usize = 512;
/// The most members of a `tracestate`.
const STATE_MEMBERS_MAX: usize = 32;
/// The flags that have a meaning: sampled, and a random trace id.
const FLAGS: u8 = 0b11;
/// The flag of a trail that is recorded.
const SAMPLED: u8 = 0b01;

/// Where in which distributed trace something happens. Never zero in either id.
///
/// Written as a `traceparent` of version 00. What came beside it as `tracestate` is passed on and not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    id: u128,
    span: u64,
    flags: u8,
    state: Option<String>,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent, as in 00-{{32 hex digits}}-{{16 hex digits}}-01")]
pub struct TrailError;

impl Trail {
    /// A trail from its parts; `None` where an id is zero.
    #[must_use]
    pub fn new(id: u128, span: u64, is_sampled: bool) -> Option<Self> {
        let flags = if is_sampled { SAMPLED } else { 0 };
        (id != 0 && span != 0).then_some(Self { id, span, flags, state: None })
    }

    /// What two headers say. A malformed `traceparent` is no trail; a malformed `tracestate` is left out.
    #[must_use]
    pub fn of_headers(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut trail: Self = traceparent.trim().parse().ok()?;
        trail.state = tracestate.and_then(state);
        Some(trail)
    }

    /// The same with another vendor's words, where they are well formed.
    #[must_use]
    pub fn with_state(mut self, text: &str) -> Self {
        self.state = state(text);
        self
    }

    /// The id of the whole.
    #[must_use]
    pub const fn id(&self) -> u128 {
        self.id
    }

    /// The step in it.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// Whether whoever began it records it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The `tracestate`, if there is one.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl FromStr for Trail {
    type Err = TrailError;

    /// Of a later version than 00 only the beginning is read, as the standard says.
    fn from_str(text: &str) -> Result<Self, TrailError> {
        let mut parts = text.splitn(5, '-');
        let mut part = |length| parts.next().and_then(|part| hex(part, length)).ok_or(TrailError);
        let (version, id) = (part(2)?, part(32)?);
        let (span, flags) = (part(16)?, part(2)?);
        let is_longer = parts.next().is_some();
        if version == 0xff || (version == 0 && is_longer) {
            return Err(TrailError);
        }
        let span = u64::try_from(span).map_err(|_| TrailError)?;
        let flags = u8::try_from(flags).map_err(|_| TrailError)? & FLAGS;
        let trail = Self::new(id, span, false).ok_or(TrailError)?;
        Ok(Self { flags, ..trail })
    }
}

/// Exactly so many digits, all of them lower case.
fn hex(text: &str, length: usize) -> Option<u128> {
    let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (digits && text.len() == length).then(|| u128::from_str_radix(text, 16).ok())?
}

fn state(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
    let member = |member: &str| {
        let member = member.trim();
        member.is_empty()
            || member.split_once('=').is_some_and(|(key, value)| {
                is_key(key) && !value.is_empty() && !value.contains('=')
            })
    };
    let fits = text.len() <= STATE_LEN_MAX && text.split(',').count() <= STATE_MEMBERS_MAX;
    (fits && plain && !text.is_empty() && text.split(',').all(member)).then(|| text.to_owned())
}

fn is_key(key: &str) -> bool {
    let named = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    !key.is_empty() && key.bytes().all(named)
}

impl Serialize for Trail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let trail: Trail = GOOD.parse().unwrap();
        assert_eq!((trail.to_string().as_str(), trail.is_sampled()), (GOOD, true));
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-comes-later";
        let read: Trail = later.parse().unwrap();
        assert_eq!(read.to_string(), GOOD.replace("-01", "-03"));
        for bad in [
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "",
        ] {
            assert_eq!(bad.parse::<Trail>(), Err(TrailError), "{bad}");
        }
    }

    #[test]
    fn a_tracestate_is_passed_on_only_beside_a_trail_and_only_if_it_is_one() {
        let of = |text: &str| Trail::of_headers(GOOD, Some(text)).unwrap().state;
        assert_eq!(of("rojo=00f067,t@congo=x y").as_deref(), Some("rojo=00f067,t@congo=x y"));
        let many = vec!["a=b"; 33].join(",");
        let long = format!("a={}", "b".repeat(512));
        for bad in ["", "a", "a=b=c", "A=b", "a=\u{e9}", "a=\n", &many, &long] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(Trail::of_headers("x", Some("a=b")), None);
    }

    #[test]
    fn a_trail_is_stored_without_what_vendors_say() {
        let trail = Trail::of_headers(GOOD, Some("a=b")).unwrap();
        let json = serde_json::to_string(&trail).unwrap();
        assert_eq!(json, format!("\"{GOOD}\""));
        assert_eq!(serde_json::from_str::<Trail>(&json).unwrap(), GOOD.parse().unwrap());
    }
}
