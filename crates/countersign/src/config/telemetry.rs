//! `telemetry:`

use std::path::{Path, PathBuf};

use countersign_upstream::BasisPoints;

use super::{
    model::{Placed, SecretUrl},
    price::percent,
    problem::Report,
    read::{file, url},
    yaml::Node,
};
use crate::telemetry::Protocol;

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TelemetryEntry {
    pub(crate) otlp: Placed<SecretUrl>,
    /// Without it, port 4317 means gRPC and every other HTTP.
    pub(crate) protocol: Option<Protocol>,
    /// The share of the traces that no caller decided about.
    pub(crate) sample: BasisPoints,
    /// A file with a token in its first line.
    pub(crate) bearer_file: Option<Placed<PathBuf>>,
    /// A file with a header in each line.
    pub(crate) headers_file: Option<Placed<PathBuf>>,
}

/// The whole section, if it is right.
#[derive(Debug)]
pub(crate) enum Section {
    /// Without a collector there are no traces.
    Nowhere,
    /// To this one.
    To(TelemetryEntry),
}

impl Section {
    pub(crate) fn entry(self) -> Option<TelemetryEntry> {
        match self {
            Self::Nowhere => None,
            Self::To(entry) => Some(entry),
        }
    }
}

pub(crate) fn telemetry(report: &Report, node: &Node, folder: &Path) -> Option<Section> {
    report.section(node, "`telemetry`", |s| {
        let placed = |r: &Report, n: &Node| {
            Some(Some(Placed { value: file(r, n, folder)?, place: n.place }))
        };
        let otlp = s.optional("otlp").map(|n| (n, url(report, n, &["http", "https"])));
        let words = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)];
        let protocol = s.or("protocol", None, |r, n| r.word(n, &words).map(Some));
        let sample = s.or("sample", BasisPoints(10_000), |r, n| r.read_as(n, percent));
        let bearer_file = s.or("bearer_file", None, placed);
        let headers_file = s.or("headers_file", None, placed);
        let Some((at, otlp)) = otlp else { return Some(Section::Nowhere) };
        let otlp = otlp?;
        let authority = otlp.expose().split('/').nth(2).unwrap_or_default();
        if authority.contains('@') {
            let message = "a collector's credentials go into `bearer_file` or `headers_file`";
            report.refuse(at.place, message);
            return None;
        }
        Some(Section::To(TelemetryEntry {
            otlp: Placed { value: otlp, place: at.place },
            protocol: protocol?,
            sample: sample?,
            bearer_file: bearer_file?,
            headers_file: headers_file?,
        }))
    })?
}
