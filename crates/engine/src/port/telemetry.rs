//! Who watches: how long things take, and which distributed trace (W3C Trace Context) they belong to.

use std::fmt;

use countersign_core::trail::Trail;
use tracing::Span;

/// The target of spans that everything that they cause belongs to. They exist whether or not anybody records the steps
/// inside of them, so that log lines can name their trail.
pub const WHOLE: &str = "countersign::whole";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measured {
    /// One `decide`.
    Decision,
    /// One signature, with its check.
    Sign,
    /// One function of a store.
    Store(&'static str),
    /// One exchange with a node, by method.
    Upstream(&'static str),
}

/// What a whole begins with.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A call, with the trail that its caller named: the whole is a part of that.
    Call(Option<&'a Trail>),
    /// Work that goes on after its call, with the trail of the call: a whole of its own that names it.
    Later(Option<&'a Trail>),
}

/// Measures and follows. Nothing here waits or fails, and nothing depends on what it says.
pub trait Telemetry: fmt::Debug + Send + Sync {
    /// Microseconds since some fixed point of this process; only differences mean anything.
    fn micros(&self) -> u64;

    /// Notes how long something took, in microseconds.
    fn took(&self, what: Measured, micros: u64);

    /// Says what a span of target [`WHOLE`] begins with. Call before the span is entered.
    fn begin(&self, whole: &Span, origin: Origin<'_>);

    /// The trail of the whole that the caller works for.
    fn trail(&self) -> Option<Trail>;

    /// What a node is told: the step that the caller is in, or what a client named where steps are not recorded.
    fn passed_on(&self) -> Option<Trail>;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Telemetry for Silent {
    fn micros(&self) -> u64 {
        0
    }

    fn took(&self, _: Measured, _: u64) {}

    fn begin(&self, _: &Span, _: Origin<'_>) {}

    fn trail(&self) -> Option<Trail> {
        None
    }

    fn passed_on(&self) -> Option<Trail> {
        None
    }
}

/// Measures what runs between its making and its end, if that is reached.
#[derive(Debug)]
pub struct Stopwatch<'a> {
    telemetry: &'a dyn Telemetry,
    began: u64,
}

impl<'a> Stopwatch<'a> {
    /// Begins now.
    #[must_use]
    pub fn start(telemetry: &'a dyn Telemetry) -> Self {
        Self { telemetry, began: telemetry.micros() }
    }

    /// Notes what it took until now.
    pub fn stop(self, what: Measured) {
        self.telemetry.took(what, self.telemetry.micros().saturating_sub(self.began));
    }
}
