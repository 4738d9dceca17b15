//! The steps of a request as OpenTelemetry spans: which are recorded, and where they go when they end.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_engine::port::telemetry::WHOLE;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{
        SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData,
        SpanProcessor,
    },
};
use tokio::sync::mpsc;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer,
    layer::{Context as LayerContext, Filter},
    registry::LookupSpan,
};

/// How many traces of a hundred hundred are recorded of those that no caller decided about.
const ALL: u64 = 10_000;

/// Where ended spans go, once there is a collector. The subscriber is one for the process, and so is this.
static QUEUE: OnceLock<Queue> = OnceLock::new();

#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    dropped: AtomicU64,
    /// Of ten thousand.
    share: u64,
}

/// Whether steps are recorded.
pub(super) fn are_recorded() -> bool {
    QUEUE.get().is_some()
}

/// Records steps from now on; `share` of ten thousand where no caller decided. `None` if they are already.
pub(super) fn record(length: usize, share: u64) -> Option<mpsc::Receiver<SpanData>> {
    let (sender, receiver) = mpsc::channel(length);
    QUEUE.set(Queue { sender, dropped: AtomicU64::new(0), share: share.min(ALL) }).ok()?;
    tracing::callsite::rebuild_interest_cache();
    Some(receiver)
}

/// How many spans found the queue full since this was asked last.
pub(super) fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped.swap(0, Ordering::Relaxed))
}

/// Whether a span stands for everything that one request causes.
pub(crate) fn is_whole(metadata: &Metadata<'_>) -> bool {
    metadata.target() == WHOLE
}

/// The layer that makes OpenTelemetry's spans of ours. Only of spans: an event may repeat what an agent says.
pub(crate) fn recorded<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider =
        SdkTracerProvider::builder().with_sampler(ByCaller).with_span_processor(Ended).build();
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("countersign"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(OurSpans)
}

/// Spans of the house, while steps are recorded.
struct OurSpans;

impl<S> Filter<S> for OurSpans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &LayerContext<'_, S>) -> bool {
        are_recorded() && metadata.is_span() && metadata.target().starts_with("countersign")
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let ours = metadata.is_span() && metadata.target().starts_with("countersign");
        if are_recorded() && ours { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if are_recorded() { LevelFilter::TRACE } else { LevelFilter::OFF })
    }
}

/// What the caller decided; what a later whole belongs to; else a share of all traces.
#[derive(Debug, Clone)]
struct ByCaller;

impl ShouldSample for ByCaller {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone());
        let parent = parent.filter(opentelemetry::trace::SpanContext::is_valid);
        let linked = links.first().map(|link| &link.span_context);
        let is_sampled = match parent.as_ref().or(linked) {
            Some(decided) => decided.is_sampled(),
            None => falls_into(id, QUEUE.get().map_or(0, |queue| queue.share)),
        };
        SamplingResult {
            decision: if is_sampled {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: parent
                .map_or_else(TraceState::default, |parent| parent.trace_state().clone()),
        }
    }
}

/// The same for every gateway that sees this id.
fn falls_into(id: TraceId, share: u64) -> bool {
    // the last seven bytes are the ones that the standard calls random
    let random = u128::from_be_bytes(id.to_bytes()) & ((1 << 56) - 1);
    random.checked_rem(ALL.into()).is_some_and(|place| place < share.into())
}

/// Hands ended spans over without waiting; counts those for which there is no room.
#[derive(Debug)]
struct Ended;

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let Some(queue) = QUEUE.get().filter(|_| span.span_context.is_sampled()) else { return };
        if queue.sender.try_send(span).is_err() {
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_share() {
        let ids = (0..10_000_u128).map(|n| TraceId::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let count = |share| ids.clone().filter(|id| falls_into(*id, share)).count();
        assert_eq!((count(0), count(ALL)), (0, 10_000));
        assert!((800..1200).contains(&count(1000)), "{}", count(1000));
    }
}
