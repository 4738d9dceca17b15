//! Log lines: one JSON object per event, or one short line each where a person looks on.

use std::{fmt, io::IsTerminal as _};

use countersign_core::time::Zone;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::{Context, Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    clock,
    failure::Failure,
    screen::{Paint, plain},
    telemetry::{is_whole, recorded, trail_of},
};

/// The longest text of one field of a line, in bytes; the rest is cut.
const FIELD_MAX: usize = 4096;

/// Sends log lines to the standard error. Call once.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::refused(format!("--log `{filter}`: {error}")))?;
    let registry = tracing_subscriber::registry().with(recorded());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        let short = Short(Paint::stderr());
        registry.with(layer.event_format(short).with_filter(Lines(filter))).try_init()
    } else {
        registry.with(layer.event_format(Json).with_filter(Lines(filter))).try_init()
    };
    started.map_err(|error| Failure::failed(format!("logs cannot be started: {error}")))
}

/// The events that were asked for; and of spans only wholes, for the trail that a line belongs to.
struct Lines(EnvFilter);

impl<S> Filter<S> for Lines
where
    EnvFilter: Filter<S>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if metadata.is_span() {
            is_whole(metadata)
        } else {
            is_fit(metadata) && Filter::<S>::enabled(&self.0, metadata, context)
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match (metadata.is_span(), is_whole(metadata)) {
            (true, true) => Interest::always(),
            (true, false) => Interest::never(),
            (false, _) if !is_fit(metadata) => Interest::never(),
            (false, _) => Filter::<S>::callsite_enabled(&self.0, metadata),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let hint = Filter::<S>::max_level_hint(&self.0)?;
        Some(hint.max(LevelFilter::ERROR))
    }
}

/// Libraries do not know what is a secret: what they say of every byte is not written, whatever was asked for.
fn is_fit(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("countersign") || *metadata.level() <= Level::INFO
}

/// `{"timestamp":..,"level":..,"target":..,"message":..,"trace_id":..,..}`
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields(Map::new());
        fields.put("timestamp", clock::now().to_string());
        fields.put("level", metadata.level().to_string());
        fields.put("target", metadata.target());
        // `null` on a line that belongs to no request
        let trail = context.event_scope().and_then(trail_of);
        fields.put("trace_id", trail.map(|trail| format!("{trail:032x}")));
        event.record(&mut fields);
        let line = serde_json::to_string(&fields.0).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// The members of a line.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = format!("{value:?}");
        if text.len() > FIELD_MAX {
            text.truncate(text.floor_char_boundary(FIELD_MAX));
            text.push('…');
        }
        self.put(field.name(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}

/// `12:00:00  decided  pending_approval  agent=dev-agent operation=op_..`
struct Short(Paint);

impl<S, N> FormatEvent<S, N> for Short
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut words = Words::default();
        event.record(&mut words);
        let time = clock::now().in_zone(&Zone::UTC).time().strftime("%H:%M:%S").to_string();
        writeln!(writer, "{}  {}", self.0.dim(&time), words.line(*event.metadata().level(), self.0))
    }
}

/// The fields of an event as words.
#[derive(Default)]
struct Words {
    message: String,
    status: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let inner = text.strip_prefix("Some(").and_then(|text| text.strip_suffix(')'));
        // some of it is an agent's own text
        let text = plain(inner.unwrap_or(&text).trim_matches('"'));
        match field.name() {
            "message" => self.message = text,
            "status" | "state" => self.status = text,
            _ if text == "None" => {}
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Words {
    fn line(&self, level: Level, paint: Paint) -> String {
        let message = match level {
            Level::ERROR => paint.red(&self.message),
            Level::WARN => paint.yellow(&self.message),
            _ => self.message.clone(),
        };
        let status = match self.status.as_str() {
            "" => String::new(),
            good @ ("allowed" | "executed" | "EXECUTED") => format!("  {}", paint.green(good)),
            bad @ ("blocked" | "failed" | "REVERTED" | "CONFLICT") => {
                format!("  {}", paint.red(bad))
            }
            other => format!("  {}", paint.yellow(other)),
        };
        let others: Vec<String> =
            self.others.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{message}{status}  {}", paint.dim(&others.join(" "))).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_short_line() {
        let words = Words {
            message: "decided".into(),
            status: "blocked".into(),
            others: vec![("agent", "bot".into()), ("blocked_by", "cap".into())],
        };
        let line = words.line(Level::INFO, Paint::NONE);
        assert_eq!(line, "decided  blocked  agent=bot blocked_by=cap");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_bad_usage() {
        let failure = start("countersign=loud").unwrap_err();
        assert!(failure.to_string().starts_with("--log `countersign=loud`: "), "{failure}");
    }
}
