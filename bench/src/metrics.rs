//! What a gateway says of itself at `/metrics`, as far as the bench asks.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::load::get;

/// Every series, by its name with its labels as they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

/// What one histogram counted between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spent {
    pub(crate) count: f64,
    pub(crate) seconds: f64,
}

impl Metrics {
    pub(crate) async fn of(admin: SocketAddr) -> Self {
        Self::parse(&get(admin, "/metrics").await)
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// The sum of a family's series.
    pub(crate) fn total(&self, family: &str) -> f64 {
        self.labelled(family).map(|(_, value)| value).sum()
    }

    /// What a histogram's series counted since an earlier look, by label; those that counted nothing are left out.
    pub(crate) fn since(&self, before: &Self, family: &str) -> BTreeMap<String, Spent> {
        let (sums, counts) = (format!("{family}_sum"), format!("{family}_count"));
        let grown = |name: &str, key: &str| {
            let of =
                |metrics: &Self| metrics.0.get(&format!("{name}{key}")).copied().unwrap_or(0.0);
            of(self) - of(before)
        };
        let keys = self.labelled(&counts).map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        let spent = keys.into_iter().map(|key| {
            let spent = Spent { count: grown(&counts, &key), seconds: grown(&sums, &key) };
            (label(&key).to_owned(), spent)
        });
        spent.filter(|(_, spent)| spent.count > 0.0).collect()
    }

    fn labelled<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(family)?;
            (rest.is_empty() || rest.starts_with('{')).then_some((rest, *value))
        })
    }
}

/// The value of the one label.
fn label(key: &str) -> &str {
    key.split('"').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a_seconds Words.\n\
        a_seconds_bucket{function=\"now\",le=\"0.1\"} 3\n\
        a_seconds_sum{function=\"now\"} 0.5\n\
        a_seconds_count{function=\"now\"} 3\n\
        open{state=\"PARKED\"} 2\n\
        open{state=\"MINED\"} 1\n\
        opened 9\n";

    #[test]
    fn a_family_is_summed_up_and_not_those_whose_names_begin_like_it() {
        assert_eq!(Metrics::parse(TEXT).total("open"), 3.0);
    }

    #[test]
    fn what_was_spent_is_what_came_since_the_earlier_look() {
        let before = Metrics::parse(
            "a_seconds_sum{function=\"now\"} 0.2\na_seconds_count{function=\"now\"} 1\n",
        );
        let spent = Metrics::parse(TEXT).since(&before, "a_seconds");
        let now = spent.get("now").unwrap();
        assert_eq!(now.count, 2.0);
        assert!((now.seconds - 0.3).abs() < 1e-9);
        assert_eq!(Metrics::parse(TEXT).since(&Metrics::parse(TEXT), "a_seconds").len(), 0);
    }
}
