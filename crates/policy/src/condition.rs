//! Conditions: the tree of a `when`, and its three-valued evaluation.

use countersign_core::time::{Timestamp, Zone};

use crate::{
    field::Field,
    matcher::{Known, Matcher, Setting},
    truth::{Truth, Why},
};

/// What a `when` asks.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(Field, Matcher),
    Hours(Hours),
}

/// Something that knows, or does not know, the values of fields.
pub(crate) trait Values {
    /// The value of a field.
    fn value(&self, field: &Field) -> Result<Known, Why>;
    /// The wallet and the instant.
    fn setting(&self) -> Setting;
}

impl Condition {
    /// Always true.
    pub(crate) const ALWAYS: Self = Self::All(Vec::new());

    /// Whether the condition holds for these values.
    pub(crate) fn holds(&self, values: &impl Values) -> Truth {
        match self {
            Self::All(inner) => Truth::all(inner.iter().map(|c| c.holds(values))),
            Self::Any(inner) => Truth::any(inner.iter().map(|c| c.holds(values))),
            Self::Not(inner) => inner.holds(values).not(),
            Self::Field(field, matcher) => matcher.test(&values.value(field), values.setting()),
            Self::Hours(hours) => Truth::of(hours.contains(values.setting().now)),
        }
    }
}

impl Condition {
    /// Whether its shape proves that it holds for nothing but the functions or selectors that it lists.
    pub(crate) fn names_function(&self) -> bool {
        self.names(&|field, matcher| {
            matches!(field, Field::Argument { .. })
                || matches!(field, Field::Function | Field::Selector) && matcher.lists()
        })
    }

    /// Whether it says whose assets may be moved, and not that they are the wallet's own.
    pub(crate) fn names_others(&self) -> bool {
        self.names(&|field, _| *field == Field::From)
            && !self.names(&|field, matcher| *field == Field::From && matcher.is_wallet())
    }

    /// Whether it holds for nothing but the URIs, or hosts of URIs, of logins that it lists.
    pub(crate) fn names_uri(&self) -> bool {
        let is_uri = |path: &str| matches!(path, "uri" | "uri_host");
        self.names(&|field, matcher| {
            matches!(field, Field::Siwe(path) if is_uri(&path.0)) && matcher.lists()
        })
    }

    /// Whether it cannot hold without a test that names what it asks for.
    fn names(&self, by: &dyn Fn(&Field, &Matcher) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(|part| part.names(by)),
            Self::Any(parts) => parts.iter().all(|part| part.names(by)),
            Self::Field(field, matcher) => by(field, matcher),
            Self::Not(_) | Self::Hours(_) => false,
        }
    }
}

/// A weekly timetable in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) zone: Zone,
    /// ISO days, 1 (Monday) to 7; empty means every day.
    pub(crate) days: Vec<i8>,
    /// Minutes since midnight: from the first until just before the second. The end may lie before the
    /// start: then the span goes over midnight and belongs to the day of its start.
    pub(crate) span: Option<(u16, u16)>,
    /// Whole hours, 0 to 23; empty means every hour.
    pub(crate) listed: Vec<i8>,
}

const DAY_MINUTES: u16 = 24 * 60;

impl Hours {
    fn contains(&self, now: Timestamp) -> bool {
        let civil = now.in_zone(&self.zone);
        let hour = u16::try_from(civil.hour()).unwrap_or(0);
        let minute =
            hour.saturating_mul(60).saturating_add(u16::try_from(civil.minute()).unwrap_or(0));
        let today = civil.weekday().to_monday_one_offset();
        let yesterday = if today == 1 { 7 } else { today.saturating_sub(1) };
        let on = |day: i8| self.days.is_empty() || self.days.contains(&day);
        let listed = self.listed.is_empty() || self.listed.contains(&civil.hour());
        let (from, to) = self.span.unwrap_or((0, DAY_MINUTES));
        let inside = if from < to {
            on(today) && (from..to).contains(&minute)
        } else {
            (on(today) && minute >= from) || (on(yesterday) && minute < to)
        };
        listed && inside
    }
}
