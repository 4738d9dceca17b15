//! Log lines: one JSON object per event, or one short line each where a person looks on.

use std::{fmt, io::IsTerminal as _};

use countersign_core::time::Zone;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    clock,
    failure::Failure,
    screen::{Paint, plain},
};

/// Sends log lines to the standard error. Call once.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::refused(format!("--log `{filter}`: {error}")))?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer();
    let started = if std::io::stderr().is_terminal() {
        let short = Short(Paint::stderr());
        registry.with(layer.event_format(short).with_writer(std::io::stderr)).try_init()
    } else {
        let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(true);
        registry.with(layer.with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|error| Failure::failed(format!("logs cannot be started: {error}")))
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
