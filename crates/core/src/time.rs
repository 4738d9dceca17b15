//! Instants, durations and the windows that money is counted in. Nothing here reads a clock.

use std::{fmt, str::FromStr};

use jiff::{Timestamp as Civil, ToSpan, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, printed as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// An instant from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This instant plus a duration; stays at the end of time rather than wrapping.
    #[must_use]
    pub const fn after(self, duration: Millis) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// This instant minus a duration; stays at the epoch rather than wrapping.
    #[must_use]
    pub const fn before(self, duration: Millis) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }

    /// How long from `earlier` until this instant; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    fn civil(self) -> Civil {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        Civil::from_millisecond(ms).unwrap_or(Civil::MAX)
    }

    /// The civil date and time in a zone.
    #[must_use]
    pub fn in_zone(self, zone: &Zone) -> civil::DateTime {
        zone.0.to_datetime(self.civil())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TimeError::Instant(text.into());
        let civil: Civil = text.parse().map_err(|_| wrong())?;
        u64::try_from(civil.as_millisecond()).map(Self).map_err(|_| wrong())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A length of time in milliseconds, written `15s`, `2h`, `7d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        // INVARIANT: 2^32 × 1000 fits in u64.
        Self(u64::from_le_bytes(widen(seconds)).saturating_mul(1000))
    }
}

const fn widen(seconds: u32) -> [u8; 8] {
    let [a, b, c, d] = seconds.to_le_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let whole = UNITS.iter().find(|(_, ms)| self.0.is_multiple_of(*ms));
        let (unit, ms) = whole.copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0.checked_div(ms).unwrap_or(self.0))
    }
}

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Millis {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TimeError::Duration(text.into());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (digits, unit) = text.split_at(split);
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        count.checked_mul(*ms).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An IANA time zone, from the database that is compiled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Looks a zone up by its IANA name (`UTC`, `Europe/Paris`).
    pub fn parse(name: &str) -> Result<Self, TimeError> {
        TimeZone::get(name).map(Self).map_err(|_| TimeError::Zone(name.into()))
    }

    /// The IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

/// A half-open span of time: from `start` until just before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl Period {
    /// Whether an instant lies inside.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// The civil day of `now` in `zone`, from midnight to midnight, however long it is.
    #[must_use]
    pub fn day(now: Timestamp, zone: &Zone) -> Self {
        let date = now.in_zone(zone).date();
        Self::between(date, date.saturating_add(1.day()), zone)
    }

    /// The civil month of `now` in `zone`, from the 1st to the next 1st.
    #[must_use]
    pub fn month(now: Timestamp, zone: &Zone) -> Self {
        let first = now.in_zone(zone).date().first_of_month();
        Self::between(first, first.saturating_add(1.month()), zone)
    }

    fn between(from: civil::Date, to: civil::Date, zone: &Zone) -> Self {
        Self { start: midnight(from, zone), end: midnight(to, zone) }
    }
}

fn midnight(date: civil::Date, zone: &Zone) -> Timestamp {
    let ambiguous = zone.0.to_ambiguous_timestamp(date.to_datetime(civil::Time::midnight()));
    let ms = ambiguous.compatible().map_or(i64::MAX, jiff::Timestamp::as_millisecond);
    Timestamp(u64::try_from(ms).unwrap_or(0))
}

/// An instant, a duration or a zone that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339, or out of reach.
    #[error(
        "`{0}` is not an instant: expected RFC 3339 between 1970 and 9999, as in 2027-01-31T00:00:00Z"
    )]
    Instant(String),
    /// Not a number and a unit.
    #[error("`{0}` is not a duration: expected a number and a unit, as in 15s, 2h or 7d")]
    Duration(String),
    /// Not in the time zone database.
    #[error("`{0}` is not a time zone: expected an IANA name, as in UTC or Europe/Paris")]
    Zone(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn instants_and_durations_round_trip() {
        assert_eq!(at("2026-01-01T00:00:00Z").to_string(), "2026-01-01T00:00:00Z");
        for text in ["0s", "15s", "2h", "7d", "1500ms", "90m"] {
            assert_eq!(text.parse::<Millis>().unwrap().to_string(), text);
        }
        for text in ["", "s", "15", "1w", "1.5h", "-1s", "99999999999999999999d"] {
            assert!(text.parse::<Millis>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_its_zone_says() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        let spring = Period::day(at("2026-03-29T12:00:00Z"), &paris);
        assert_eq!(spring.end.since(spring.start), "23h".parse().unwrap());
        let autumn = Period::day(at("2026-10-25T12:00:00Z"), &paris);
        assert_eq!(autumn.end.since(autumn.start), "25h".parse().unwrap());
        let utc = Period::day(at("2026-12-31T23:59:59.999Z"), &Zone::UTC);
        assert_eq!(utc.end, at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let december = Period::month(at("2026-12-15T00:00:00Z"), &Zone::UTC);
        assert_eq!(december.start, at("2026-12-01T00:00:00Z"));
        assert_eq!(december.end, at("2027-01-01T00:00:00Z"));
    }
}
