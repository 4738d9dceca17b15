//! Counters and histograms in Prometheus' text format. Labels come from fixed sets, never from an agent.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
};

use countersign_core::time::Millis;

/// Upper bounds of the histograms' buckets in microseconds, and as Prometheus writes them in seconds.
const BUCKETS: [(u64, &str); 12] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (10_000_000, "10"),
    (60_000_000, "60"),
];

/// What is measured (CONTRACT §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duration {
    /// `countersign_decision_seconds`
    Decision,
    /// `countersign_request_seconds{method}`
    Request,
    /// `countersign_sign_seconds`
    Sign,
    /// `countersign_store_seconds{function}`
    Store,
    /// `countersign_upstream_seconds{method}`
    Upstream,
}

impl Duration {
    const ALL: [Self; 5] = [Self::Decision, Self::Request, Self::Sign, Self::Store, Self::Upstream];

    const fn name(self) -> &'static str {
        match self {
            Self::Decision => "countersign_decision_seconds",
            Self::Request => "countersign_request_seconds",
            Self::Sign => "countersign_sign_seconds",
            Self::Store => "countersign_store_seconds",
            Self::Upstream => "countersign_upstream_seconds",
        }
    }

    const fn label(self) -> Option<&'static str> {
        match self {
            Self::Decision | Self::Sign => None,
            Self::Request | Self::Upstream => Some("method"),
            Self::Store => Some("function"),
        }
    }
}

/// What the process counts. Cheap to record into; anybody may hold one.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    requests: BTreeMap<(&'static str, &'static str), u64>,
    durations: BTreeMap<(Duration, &'static str), Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum_us: u64,
}

impl Metrics {
    /// One more request of a method, with its outcome. Both are words of the program.
    pub fn request(&self, method: &'static str, outcome: &'static str) {
        self.with(|books| add(books.requests.entry((method, outcome)).or_default(), 1));
    }

    /// How long something took; `label` is a word of the program, empty where the family has none.
    pub fn observe(&self, what: Duration, label: &'static str, took: Millis) {
        let took_us = took.0.saturating_mul(1000);
        self.with(|books| books.durations.entry((what, label)).or_default().add(took_us));
    }

    /// Everything, as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.with(|books| books.render(&mut text).unwrap_or_default());
        text
    }

    fn with(&self, act: impl FnOnce(&mut Books)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Books {
    fn render(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "# TYPE countersign_requests_total counter")?;
        for ((method, outcome), count) in &self.requests {
            writeln!(
                text,
                "countersign_requests_total{{method=\"{method}\",outcome=\"{outcome}\"}} {count}"
            )?;
        }
        for what in Duration::ALL {
            writeln!(text, "# TYPE {} histogram", what.name())?;
            for ((_, label), histogram) in self.durations.iter().filter(|((w, _), _)| *w == what) {
                histogram.render(text, what, label)?;
            }
        }
        Ok(())
    }
}

impl Histogram {
    fn add(&mut self, took_us: u64) {
        for (count, (bound, _)) in self.buckets.iter_mut().zip(BUCKETS) {
            if took_us <= bound {
                add(count, 1);
            }
        }
        add(&mut self.count, 1);
        add(&mut self.sum_us, took_us);
    }

    fn render(&self, text: &mut String, what: Duration, label: &str) -> std::fmt::Result {
        let name = what.name();
        let own = what.label().map(|l| format!("{l}=\"{label}\""));
        let inner = own.as_ref().map(|own| format!("{own},")).unwrap_or_default();
        let outer = own.map(|own| format!("{{{own}}}")).unwrap_or_default();
        for (count, (_, bound)) in self.buckets.iter().zip(BUCKETS) {
            writeln!(text, "{name}_bucket{{{inner}le=\"{bound}\"}} {count}")?;
        }
        writeln!(text, "{name}_bucket{{{inner}le=\"+Inf\"}} {}", self.count)?;
        let (seconds, rest) = (self.sum_us / 1_000_000, self.sum_us % 1_000_000);
        writeln!(text, "{name}_sum{outer} {seconds}.{rest:06}")?;
        writeln!(text, "{name}_count{outer} {}", self.count)
    }
}

fn add(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.request("eth_chainId", "ok");
        metrics.request("eth_chainId", "ok");
        metrics.observe(Duration::Request, "eth_chainId", Millis(3));
        metrics.observe(Duration::Sign, "", Millis(1500));
        let text = metrics.render();
        for line in [
            "countersign_requests_total{method=\"eth_chainId\",outcome=\"ok\"} 2",
            "countersign_request_seconds_bucket{method=\"eth_chainId\",le=\"0.0025\"} 0",
            "countersign_request_seconds_bucket{method=\"eth_chainId\",le=\"0.005\"} 1",
            "countersign_request_seconds_sum{method=\"eth_chainId\"} 0.003000",
            "countersign_sign_seconds_bucket{le=\"10\"} 1",
            "countersign_sign_seconds_sum 1.500000",
            "countersign_sign_seconds_count 1",
            "# TYPE countersign_store_seconds histogram",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
