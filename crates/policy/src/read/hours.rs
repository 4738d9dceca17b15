//! Timetables: `{ tz: Europe/Paris, days: mon-fri, from: "08:00", to: "20:00" }`, or `hours: [9, 10]`.

use countersign_core::time::Zone;

use super::{Reader, each};
use crate::{condition::Hours, source::Node};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Reader<'_> {
    pub(crate) fn hours(&mut self, node: &Node) -> Option<Hours> {
        self.keys(node, "`hours`", &["tz", "days", "from", "to", "hours"])?;
        let zone = match node.get("tz") {
            None => Zone::UTC,
            Some(node) => self.parsed_with(node, Zone::parse)?,
        };
        let mut days = Vec::new();
        for day in each(node.get("days")) {
            days.extend(self.days(&day)?);
        }
        let mut listed = Vec::new();
        for hour in each(node.get("hours")) {
            listed.push(self.small(&hour, 0, 23, "an hour from 0 to 23")?);
        }
        let span = self.span(node);
        Some(Hours { zone, days, span, listed })
    }

    fn span(&mut self, node: &Node) -> Option<(u16, u16)> {
        match (node.get("from"), node.get("to")) {
            (None, None) => None,
            (Some(from), Some(to)) => {
                let (from_minute, to_minute) = (self.minute(from)?, self.minute(to)?);
                if from_minute == to_minute {
                    self.findings.error(
                        to.place,
                        "`from` and `to` are the same",
                        "leave both out for all day",
                    );
                    return None;
                }
                Some((from_minute, to_minute))
            }
            (Some(one), None) | (None, Some(one)) => {
                self.findings.error(one.place, "`from` and `to` belong together", "");
                None
            }
        }
    }

    /// `08:30` in minutes since midnight; `24:00` is the end of the day.
    fn minute(&mut self, node: &Node) -> Option<u16> {
        let text = self.word(node)?;
        let minute = text.split_once(':').and_then(|(hour, minute)| {
            let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            let number = |part: &str| part.parse::<u16>().ok().filter(|_| two(part));
            let (hour, minute) = (number(hour)?, number(minute)?);
            let whole = hour.checked_mul(60)?.checked_add(minute)?;
            (minute < 60 && whole <= 24 * 60).then_some(whole)
        });
        if minute.is_none() {
            self.findings.error(
                node.place,
                format!("`{text}` is not a time of day"),
                "as in \"08:00\"",
            );
        }
        minute
    }

    /// `mon`, `mon-fri` or 1 to 7.
    fn days(&mut self, node: &Node) -> Option<Vec<i8>> {
        let text = self.word(node)?;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return self.small(node, 1, 7, "an ISO day from 1 (Monday) to 7").map(|day| vec![day]);
        }
        let number = |word: &str| (1_i8..).zip(DAYS).find(|(_, d)| *d == word).map(|(n, _)| n);
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            self.findings.error(
                node.place,
                format!("`{text}` is not a day"),
                "as in mon, mon-fri, or a list of 1 (Monday) to 7",
            );
            return None;
        };
        let span: Vec<i8> = if first <= last {
            (first..=last).collect()
        } else {
            (first..=7).chain(1..=last).collect()
        };
        Some(span)
    }

    fn small(&mut self, node: &Node, min: i8, max: i8, what: &str) -> Option<i8> {
        let text = self.word(node)?;
        let number = text.parse::<i8>().ok().filter(|n| (min..=max).contains(n));
        if number.is_none() {
            self.findings.error(node.place, format!("`{text}` is not {what}"), "");
        }
        number
    }
}
