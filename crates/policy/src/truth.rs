//! Three-valued truth. Unknown goes against the agent: each caller says what that means for it.

/// Why something is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A source that owes the fact failed: asking again may help.
    Unavailable,
    /// Nobody can know it: asking again changes nothing.
    Unknowable,
}

/// True, false, or unknown with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Unknown(Why),
}

impl Truth {
    pub(crate) const fn of(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }

    pub(crate) const fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown(why) => Self::Unknown(why),
        }
    }

    /// False if one is false; else unknown if one is unknown; else true.
    pub(crate) fn all(items: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::True;
        for item in items {
            whole = match (whole, item) {
                (Self::False, _) | (_, Self::False) => return Self::False,
                (Self::True, other) | (other, Self::True) => other,
                (Self::Unknown(a), Self::Unknown(b)) => Self::Unknown(a.max(b)),
            };
        }
        whole
    }

    /// True if one is true; else unknown if one is unknown; else false.
    pub(crate) fn any(items: impl IntoIterator<Item = Self>) -> Self {
        Self::all(items.into_iter().map(Self::not)).not()
    }

    /// Whether a rule that would stop something must reckon with it.
    pub(crate) const fn is_possible(self) -> bool {
        !matches!(self, Self::False)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_of_kleene() {
        use Truth::{False, True};
        let unknown = Truth::Unknown(Why::Unknowable);
        let table = [
            (True, True, True, True),
            (True, False, False, True),
            (True, unknown, unknown, True),
            (False, False, False, False),
            (False, unknown, False, unknown),
            (unknown, unknown, unknown, unknown),
        ];
        for (a, b, all, any) in table {
            assert_eq!((Truth::all([a, b]), Truth::any([a, b])), (all, any), "{a:?} {b:?}");
            assert_eq!((Truth::all([b, a]), Truth::any([b, a])), (all, any), "{b:?} {a:?}");
        }
        assert_eq!((Truth::all([]), Truth::any([])), (True, False));
    }

    #[test]
    fn what_nobody_can_know_outweighs_what_a_source_owes() {
        let (owed, never) = (Truth::Unknown(Why::Unavailable), Truth::Unknown(Why::Unknowable));
        assert_eq!(Truth::all([owed, never]), never);
        assert_eq!(Truth::any([never, owed]), never);
    }
}
