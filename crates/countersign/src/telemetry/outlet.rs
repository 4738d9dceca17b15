//! Sends ended spans to the collector: in batches, beside all work. A collector that is dead, slow or full costs
//! spans, which are counted, and nothing else.

use std::{fmt, sync::Arc, time::Duration};

use countersign_server::Metrics;
use opentelemetry::KeyValue;
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use prost::Message as _;
use tokio::{
    sync::mpsc::Receiver,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    collector::{Collector, Refusal},
    steps,
};

/// Spans that may wait; further ones are dropped.
const QUEUE_MAX: usize = 4096;
/// Spans of one request to the collector.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a batch is kept for a collector that does not take it.
const KEEP: Duration = Duration::from_secs(30);
/// Between two tries at the same batch, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// How long the end may take.
const LAST: Duration = Duration::from_secs(2);
/// How often losses are told of.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The way out of the process.
pub(crate) struct Outlet {
    spans: Receiver<SpanData>,
    collector: Collector,
    resource: ResourceAttributesWithSchema,
    metrics: Arc<Metrics>,
    lost: u64,
    why: String,
    told: Option<Instant>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet({})", self.collector)
    }
}

impl Outlet {
    /// Begins to record steps. `share` of ten thousand traces are, where no caller decided. `None` where steps of this
    /// process go elsewhere already.
    pub(crate) fn open(
        collector: Collector,
        share: u64,
        gateway: &str,
        metrics: Arc<Metrics>,
    ) -> Option<Self> {
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "countersign"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", gateway.to_owned()),
        ]);
        let resource = ResourceAttributesWithSchema::from(&resource.build());
        let spans = steps::record(QUEUE_MAX, share)?;
        Some(Self { spans, collector, resource, metrics, lost: 0, why: String::new(), told: None })
    }

    /// Sends until `stop` is cancelled, then what is left, for a moment: whatever the collector does, it ends then.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let end = async {
            stop.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = end => {}
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        loop {
            let mut batch = Vec::new();
            let more = tokio::select! {
                more = self.gather(&mut batch) => more,
                () = stop.cancelled() => false,
            };
            if !more {
                self.spans.close();
                self.finish(batch).await;
                return;
            }
            self.deliver(batch, stop).await;
            self.tell();
        }
    }

    /// What ends within a second, up to a batch. `false` if nothing will come any more.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) -> bool {
        let Ok(first) = timeout(TELL_EVERY, self.spans.recv()).await else { return true };
        let Some(first) = first else { return false };
        batch.push(first);
        let rest = async {
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX.saturating_sub(batch.len());
                if self.spans.recv_many(batch, room).await == 0 {
                    return;
                }
            }
        };
        let _full = timeout(GATHER, rest).await;
        true
    }

    async fn deliver(&mut self, batch: Vec<SpanData>, stop: &CancellationToken) {
        if batch.is_empty() {
            return;
        }
        let (count, body) = self.encoded(batch);
        let (mut pause, mut kept) = (PAUSE_MIN, Duration::ZERO);
        loop {
            match self.collector.post(body.clone()).await {
                Ok(rejected) => return self.lose(rejected, "the collector rejected some"),
                Err(Refusal::Now(_)) if kept < KEEP && !stop.is_cancelled() => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                    self.tell();
                    kept = kept.saturating_add(pause);
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
                Err(Refusal::Now(why) | Refusal::Ever(why)) => return self.lose(count, &why),
            }
        }
    }

    async fn finish(&mut self, mut batch: Vec<SpanData>) {
        loop {
            while batch.len() < BATCH_MAX {
                let Ok(span) = self.spans.try_recv() else { break };
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let (_, body) = self.encoded(std::mem::take(&mut batch));
            if self.collector.post(body).await.is_err() {
                return;
            }
        }
    }

    fn encoded(&self, batch: Vec<SpanData>) -> (u64, bytes::Bytes) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        (count, ExportTraceServiceRequest { resource_spans }.encode_to_vec().into())
    }

    fn lose(&mut self, count: u64, why: &str) {
        if count > 0 {
            self.lost = self.lost.saturating_add(count);
            why.clone_into(&mut self.why);
            self.metrics.spans_dropped(count);
        }
    }

    /// Says what was lost, once in a while.
    fn tell(&mut self) {
        let overflowed = steps::dropped();
        self.lose(overflowed, "more spans ended than the collector takes");
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if self.lost > 0 && is_due {
            let (lost, why) = (self.lost, &self.why);
            tracing::warn!(lost, collector = %self.collector, why, "spans did not reach the collector");
            (self.lost, self.told) = (0, Some(Instant::now()));
        }
    }
}

/// An outlet at work, if there is one.
#[derive(Debug)]
pub(crate) struct Exporting {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Exporting {
    /// Sets it to work.
    pub(crate) fn start(outlet: Option<Outlet>) -> Self {
        let stop = CancellationToken::new();
        let task = outlet.map(|outlet| tokio::spawn(outlet.run(stop.clone())));
        Self { stop, task }
    }

    /// Sends what is left, for a moment. Whether it ended in order.
    pub(crate) async fn end(self) -> bool {
        self.stop.cancel();
        match self.task {
            Some(task) => task.await.is_ok(),
            None => true,
        }
    }
}
