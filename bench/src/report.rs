//! What is printed: a row for each promise, with its ratio, its target, and what it was made from.

use serde::Serialize;

/// How a ratio is judged.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) ratio: f64,
    pub(crate) bound: Bound,
    /// The ratio of each round.
    pub(crate) rounds: Vec<f64>,
    /// The two sides in their own units.
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

impl Row {
    /// The median of the rounds is what counts.
    pub(crate) fn new(name: &'static str, what: &str, bound: Bound, rounds: Vec<f64>) -> Self {
        let (ours, theirs) = (String::new(), String::new());
        Self { name, what: what.into(), ratio: median(&rounds), bound, rounds, ours, theirs }
    }

    /// With both sides in words.
    pub(crate) fn sides(mut self, ours: String, theirs: String) -> Self {
        (self.ours, self.theirs) = (ours, theirs);
        self
    }

    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.ratio <= most,
            Bound::AtLeast(least) => self.ratio >= least,
        }
    }
}

/// The middle of some numbers; of an even count the mean of the middle two.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.len(), sorted.get(half)) {
        (0, _) | (_, None) => f64::NAN,
        (n, Some(upper)) if n % 2 == 1 => *upper,
        (_, Some(upper)) => (sorted.get(half - 1).unwrap_or(upper) + upper) / 2.0,
    }
}

/// The table, for a terminal.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let (word, limit) = match row.bound {
            Bound::AtMost(most) => ("≤", most),
            Bound::AtLeast(least) => ("≥", least),
        };
        let (low, high) = row
            .rounds
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), r| (low.min(*r), high.max(*r)));
        let met = if row.is_met() { "met   " } else { "MISSED" };
        text.push_str(&format!(
            "{met} {:<22} {:>8.3}  {word} {limit:<6} [{low:.3} .. {high:.3}]  {}\n{:>30} ours {}; theirs {}\n",
            row.name, row.ratio, row.what, "", row.ours, row.theirs
        ));
    }
    text
}
