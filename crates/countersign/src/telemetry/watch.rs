//! The clock, the counters and the trails of this process.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use countersign_core::trail::Trail;
use countersign_engine::port::{
    Telemetry,
    telemetry::{Measured, Origin},
};
use countersign_server::Metrics;
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    Registry,
    registry::{LookupSpan, Scope},
};

use super::steps::are_recorded;
use crate::clock::fill;

/// Watches one gateway.
pub(crate) struct Watch {
    metrics: Arc<Metrics>,
    start: Instant,
    ids: Ids,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch(..)")
    }
}

/// What a whole carries.
struct Held {
    /// What log lines name, and what happens later.
    trail: Trail,
    /// What its caller named.
    given: Option<Trail>,
}

impl Watch {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "durations are measured here and nowhere else"
        )]
        let start = Instant::now();
        Self { metrics, start, ids: Ids::new() }
    }
}

impl Telemetry for Watch {
    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn took(&self, what: Measured, micros: u64) {
        self.metrics.took(what, micros);
    }

    fn begin(&self, whole: &Span, origin: Origin<'_>) {
        let recorded = are_recorded().then(|| begun(whole, origin)).flatten();
        let (own, given) = match origin {
            Origin::Call(given) => (recorded.or_else(|| given.cloned()), given.cloned()),
            // whoever looks for a request's lines finds those of later, too
            Origin::Later(of) => (of.cloned().or(recorded), None),
        };
        if let Some(trail) = own.or_else(|| self.ids.next()) {
            hold(whole, Held { trail, given });
        }
    }

    fn trail(&self) -> Option<Trail> {
        held(&Span::current(), |held| held.trail.clone())
    }

    fn passed_on(&self) -> Option<Trail> {
        if are_recorded() {
            of_step(&Span::current())
        } else {
            held(&Span::current(), |held| held.given.clone()).flatten()
        }
    }
}

/// Makes the recorded span a part of its caller's trace, or one that names the trace that it goes on with.
fn begun(whole: &Span, origin: Origin<'_>) -> Option<Trail> {
    match origin {
        Origin::Call(Some(caller)) => {
            let parent = Context::new().with_remote_span_context(context(caller));
            whole.set_parent(parent).ok()?;
        }
        Origin::Later(Some(of)) => whole.add_link(context(of)),
        Origin::Call(None) | Origin::Later(None) => {}
    }
    of_step(whole)
}

fn context(trail: &Trail) -> SpanContext {
    let flags = if trail.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = trail.state().and_then(|state| state.parse::<TraceState>().ok());
    let (id, span) = (TraceId::from(trail.id()), SpanId::from(trail.span()));
    SpanContext::new(id, span, flags, true, state.unwrap_or_default())
}

/// Where a recorded step stands.
fn of_step(step: &Span) -> Option<Trail> {
    let context = step.context();
    let span = context.span();
    let here = span.span_context();
    let id = u128::from_be_bytes(here.trace_id().to_bytes());
    let own = u64::from_be_bytes(here.span_id().to_bytes());
    let trail = Trail::new(id, own, here.is_sampled())?;
    let state = here.trace_state().header();
    Some(if state.is_empty() { trail } else { trail.with_state(&state) })
}

fn hold(whole: &Span, what: Held) {
    whole.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>();
        if let Some(span) = registry.and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(what);
        }
    });
}

fn held<T>(step: &Span, read: impl FnOnce(&Held) -> T) -> Option<T> {
    let found = step.with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        for span in span.scope() {
            if let Some(held) = span.extensions().get::<Held>() {
                return Some(read(held));
            }
        }
        None
    });
    found.flatten()
}

/// The id of the trail that the innermost whole of these spans belongs to.
pub(crate) fn trail_of<'a, S>(scope: Scope<'a, S>) -> Option<u128>
where
    S: Subscriber + LookupSpan<'a>,
{
    let mut found = scope.filter_map(|span| span.extensions().get::<Held>().map(|h| h.trail.id()));
    found.next()
}

/// Ids of trails that nobody else named: unique, no secret, and without a call of the system for each.
struct Ids {
    seeds: [u64; 3],
    count: AtomicU64,
}

impl Ids {
    fn new() -> Self {
        let mut bytes = [0_u8; 24];
        fill(&mut bytes);
        let mut seeds = [0_u64; 3];
        for (seed, part) in seeds.iter_mut().zip(bytes.chunks_exact(8)) {
            *seed = part.iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
        }
        Self { seeds, count: AtomicU64::new(0) }
    }

    fn next(&self) -> Option<Trail> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let [high, low, span] = self.seeds.map(|seed| mixed(seed, count));
        Trail::new((u128::from(high) << 64) | u128::from(low), span, false)
    }
}

/// `SplitMix64`: neighbouring numbers give numbers that look unrelated.
const fn mixed(seed: u64, count: u64) -> u64 {
    let z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_also_between_processes() {
        let (one, two) = (Ids::new(), Ids::new());
        let all: BTreeSet<u128> =
            (0..1000).flat_map(|_| [&one, &two]).filter_map(|ids| Some(ids.next()?.id())).collect();
        assert_eq!(all.len(), 2000);
    }
}
