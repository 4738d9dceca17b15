//! Counters and histograms in Prometheus' text format. Labels come from fixed sets, never from an agent.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign_core::trace::Severity;
use countersign_engine::port::telemetry::Measured;

/// The upper bounds of a histogram's buckets, in microseconds.
type Bounds = &'static [u64];

/// Pure computation, around 5 µs.
const DECISIONS: Bounds =
    &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000];
/// One ECDSA here, around 50 µs; a key elsewhere answers in milliseconds.
const SIGNATURES: Bounds = &[
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    1_000_000, 5_000_000,
];
/// A script or a group commit: from 40 µs to what is an outage.
const STORE: Bounds = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000,
];
/// A node next door, or one that is asked until it is given up.
const UPSTREAM: Bounds = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
/// A read that is passed on, or a call that is held open for people.
const REQUESTS: Bounds = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The severities, as `countersign_incidents_total` names them.
const SEVERITIES: [(Severity, &str); 4] = [
    (Severity::Low, "Low"),
    (Severity::Medium, "Medium"),
    (Severity::High, "High"),
    (Severity::Critical, "Critical"),
];

/// A family of histograms (CONTRACT §5).
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    bounds: Bounds,
    of_label: RwLock<BTreeMap<&'static str, Arc<Histogram>>>,
}

#[derive(Debug)]
struct Histogram {
    /// One for each bound, and one for what is above.
    buckets: Vec<AtomicU64>,
    sum_us: AtomicU64,
}

/// What the process counts. Cheap to record into; anybody may hold one.
#[derive(Debug)]
pub struct Metrics {
    requests: RwLock<BTreeMap<(&'static str, &'static str), Arc<AtomicU64>>>,
    request: Family,
    decision: Family,
    sign: Family,
    store: Family,
    upstream: Family,
    incidents: [AtomicU64; SEVERITIES.len()],
    spans_dropped: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let family = |name, help, label, bounds| Family::new(name, help, label, bounds);
        Self {
            requests: RwLock::default(),
            request: family(
                "countersign_request_seconds",
                "From the first byte of a call to its answer.",
                Some("method"),
                REQUESTS,
            ),
            decision: family(
                "countersign_decision_seconds",
                "One decision of the policies, facts at hand.",
                None,
                DECISIONS,
            ),
            sign: family(
                "countersign_sign_seconds",
                "One signature, with its check.",
                None,
                SIGNATURES,
            ),
            store: family(
                "countersign_store_seconds",
                "One call of a function of the ledger or the journal.",
                Some("function"),
                STORE,
            ),
            upstream: family(
                "countersign_upstream_seconds",
                "One exchange with a node.",
                Some("method"),
                UPSTREAM,
            ),
            incidents: Default::default(),
            spans_dropped: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// One more call of a method, with its outcome, and how long it took in microseconds. Both words are the
    /// program's.
    pub fn request(&self, method: &'static str, outcome: &'static str, took_us: u64) {
        self.counted(method, outcome);
        self.request.observe(method, took_us);
    }

    /// One more call, of whose time nothing is known: one that was turned away before anything was done.
    pub fn counted(&self, method: &'static str, outcome: &'static str) {
        let known = read(&self.requests).get(&(method, outcome)).cloned();
        let counter = known.unwrap_or_else(|| {
            let mut all = self.requests.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry((method, outcome)).or_default())
        });
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How long something took, in microseconds.
    pub fn took(&self, what: Measured, took_us: u64) {
        match what {
            Measured::Decision => self.decision.observe("", took_us),
            Measured::Sign => self.sign.observe("", took_us),
            Measured::Store(function) => self.store.observe(function, took_us),
            Measured::Upstream(method) => self.upstream.observe(method, took_us),
        }
    }

    /// One more incident.
    pub fn incident(&self, severity: Severity) {
        for ((known, _), count) in SEVERITIES.iter().zip(&self.incidents) {
            if *known == severity {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// So many more spans were not sent to the collector; how many in all.
    pub fn spans_dropped(&self, more: u64) -> u64 {
        self.spans_dropped.fetch_add(more, Ordering::Relaxed).saturating_add(more)
    }

    /// Everything, as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // INVARIANT: writing into a string does not fail
        self.write(&mut text).unwrap_or_default();
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        head(text, "countersign_build_info", "gauge", "The version that runs.")?;
        writeln!(text, "countersign_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
        head(
            text,
            "countersign_requests_total",
            "counter",
            "Calls of agents, by what came of them.",
        )?;
        for ((method, outcome), count) in &*read(&self.requests) {
            let count = count.load(Ordering::Relaxed);
            writeln!(
                text,
                "countersign_requests_total{{method=\"{method}\",outcome=\"{outcome}\"}} {count}"
            )?;
        }
        for family in [&self.request, &self.decision, &self.sign, &self.store, &self.upstream] {
            family.write(text)?;
        }
        let about = "Incidents that this process raised.";
        head(text, "countersign_incidents_total", "counter", about)?;
        for ((_, word), count) in SEVERITIES.iter().zip(&self.incidents) {
            let count = count.load(Ordering::Relaxed);
            writeln!(text, "countersign_incidents_total{{severity=\"{word}\"}} {count}")?;
        }
        let about = "Spans that the collector did not get.";
        head(text, "countersign_spans_dropped_total", "counter", about)?;
        let dropped = self.spans_dropped.load(Ordering::Relaxed);
        writeln!(text, "countersign_spans_dropped_total {dropped}")
    }
}

impl Family {
    fn new(
        name: &'static str,
        help: &'static str,
        label: Option<&'static str>,
        bounds: Bounds,
    ) -> Self {
        let family = Self { name, help, label, bounds, of_label: RwLock::default() };
        if label.is_none() {
            family.histogram("");
        }
        family
    }

    fn observe(&self, label: &'static str, took_us: u64) {
        self.histogram(label).add(self.bounds, took_us);
    }

    fn histogram(&self, label: &'static str) -> Arc<Histogram> {
        let known = read(&self.of_label).get(label).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.of_label.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(label).or_insert_with(|| Arc::new(Histogram::new(self.bounds))))
        })
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        head(text, self.name, "histogram", self.help)?;
        for (label, histogram) in &*read(&self.of_label) {
            let own = self.label.map(|name| format!("{name}=\"{label}\""));
            histogram.write(text, self, own.as_deref())?;
        }
        Ok(())
    }
}

impl Histogram {
    fn new(bounds: Bounds) -> Self {
        let buckets = bounds.iter().map(|_| AtomicU64::new(0)).chain([AtomicU64::new(0)]);
        Self { buckets: buckets.collect(), sum_us: AtomicU64::new(0) }
    }

    fn add(&self, bounds: Bounds, took_us: u64) {
        let place = bounds.partition_point(|bound| *bound < took_us);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// The count is the sum of what was read of the buckets, so that it fits them while others record.
    fn write(&self, text: &mut String, family: &Family, own: Option<&str>) -> fmt::Result {
        let name = family.name;
        let inner = own.map(|own| format!("{own},")).unwrap_or_default();
        let outer = own.map(|own| format!("{{{own}}}")).unwrap_or_default();
        let bounds = family.bounds.iter().map(|bound| seconds(*bound)).chain(["+Inf".to_owned()]);
        let mut count: u64 = 0;
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            writeln!(text, "{name}_bucket{{{inner}le=\"{bound}\"}} {count}")?;
        }
        writeln!(text, "{name}_sum{outer} {}", seconds(self.sum_us.load(Ordering::Relaxed)))?;
        writeln!(text, "{name}_count{outer} {count}")
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// What stands above a family's samples.
pub(crate) fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A label's value as the format wants it.
pub(crate) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Microseconds as seconds, without floats: `0.0005`, `2.5`, `60.0`.
pub(crate) fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.request("eth_chainId", "ok", 2_600);
        metrics.counted("eth_chainId", "ok");
        metrics.took(Measured::Sign, 1_500_000);
        metrics.took(Measured::Store("reserve"), 100);
        metrics.took(Measured::Store("reserve"), 99_000_000);
        metrics.incident(Severity::High);
        assert_eq!((metrics.spans_dropped(2), metrics.spans_dropped(1)), (2, 3));
        let text = metrics.render();
        for line in [
            "countersign_requests_total{method=\"eth_chainId\",outcome=\"ok\"} 2",
            "countersign_request_seconds_bucket{method=\"eth_chainId\",le=\"0.0025\"} 0",
            "countersign_request_seconds_bucket{method=\"eth_chainId\",le=\"0.005\"} 1",
            "countersign_request_seconds_sum{method=\"eth_chainId\"} 0.0026",
            "countersign_sign_seconds_bucket{le=\"1.0\"} 0",
            "countersign_sign_seconds_bucket{le=\"5.0\"} 1",
            "countersign_sign_seconds_sum 1.5",
            "countersign_sign_seconds_count 1",
            "countersign_store_seconds_bucket{function=\"reserve\",le=\"0.0001\"} 1",
            "countersign_store_seconds_bucket{function=\"reserve\",le=\"5.0\"} 1",
            "countersign_store_seconds_bucket{function=\"reserve\",le=\"+Inf\"} 2",
            "countersign_decision_seconds_count 0",
            "countersign_incidents_total{severity=\"High\"} 1",
            "countersign_incidents_total{severity=\"Critical\"} 0",
            "countersign_spans_dropped_total 3",
            "# TYPE countersign_upstream_seconds histogram",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn bounds_rise_and_labels_are_escaped() {
        for bounds in [DECISIONS, SIGNATURES, STORE, UPSTREAM, REQUESTS] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        let shown = [0, 1, 500, 1_000_000, 60_000_000].map(seconds);
        assert_eq!(shown, ["0.0", "0.000001", "0.0005", "1.0", "60.0"]);
    }
}
