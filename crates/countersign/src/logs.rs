//! Log lines: one JSON object per event, or one short line each where a person looks on.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::failure::Failure;

/// Sends log lines to the standard error. Call once.
pub(crate) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::refused(format!("--log `{filter}`: {error}")))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if std::io::stderr().is_terminal() {
        let layer = fmt::layer().compact().with_target(false).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let layer =
            fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(true);
        registry.with(layer.with_writer(std::io::stderr)).try_init()
    };
    started.map_err(|error| Failure::failed(format!("logs cannot be started: {error}")))
}
