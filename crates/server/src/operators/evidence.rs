//! Evidence: everything that the journals say, as a document that is verified elsewhere, or as a table for people.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Response, header},
};
use countersign_core::{
    evidence::{FORMAT, Filter, Header},
    identity::AgentId,
    time::Timestamp,
};
use countersign_engine::{
    evidence::{Document, Walk, sheet::Sheet},
    port::journal::JournalError,
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    Desk, Door, Problem,
    access::{Asked, Viewer},
    body::span,
    seats::Seat,
};

/// How many exports are on their way at the same time.
pub(super) const EXPORTS_MAX: usize = 16;

/// How many of them are one operator's.
pub(super) const EXPORTS_OF_ONE_MAX: usize = 4;

/// The longest name of a session that is asked for; requests cannot have a longer one either.
const SESSION_BYTES_MAX: usize = 1024;

/// The session that is asked for.
pub(super) fn session_named(name: Option<String>) -> Result<Option<String>, Problem> {
    if name.as_ref().is_some_and(|name| name.len() > SESSION_BYTES_MAX) {
        return Err(Problem::Malformed("`session`: is longer than any session's name".into()));
    }
    Ok(name)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    format: Format,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    agent: Option<AgentId>,
    session: Option<String>,
}

/// The two forms.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// What `countersign trace verify` reads.
    #[default]
    Json,
    /// What a spreadsheet reads.
    Csv,
}

/// `GET /evidence`: as a stream, however much there is. What breaks off is not whole, and verification says so.
pub(crate) async fn export(
    Viewer(operator): Viewer,
    State(desk): Door,
    Asked(which): Asked<Which>,
) -> Result<Response<Body>, Problem> {
    let Which { format, from, to, agent, session } = which;
    let (from, to) = span(from, to)?;
    let session = session_named(session)?;
    let full = || Problem::Unavailable("too many exports are on their way".into());
    let seat = desk.exporters.take(&operator.id).ok_or_else(full)?;
    let header = header(&desk, Filter { from, to, agent, session }).await?;
    let walk = Walk::begin(Arc::clone(&desk.ports().journal), header).await?;
    let going = Going { closing: desk.closing.clone(), seat };
    let (body, kind, file) = match format {
        Format::Json => (
            Body::from_stream(document(Document::new(walk), going)),
            "application/json",
            "attachment; filename=\"evidence.json\"",
        ),
        Format::Csv => (
            Body::from_stream(sheet(Sheet::new(walk), going)),
            "text/csv; charset=utf-8",
            "attachment; filename=\"evidence.csv\"",
        ),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
    Ok(response)
}

async fn header(desk: &Desk, filter: Filter) -> Result<Header, Problem> {
    let ledger = &desk.ports().ledger;
    // what is exported is anchored first; what an audit finds it seals and says itself
    if let Err(error) = ledger.audit().await {
        tracing::warn!(%error, "journals are exported as they were anchored before");
    }
    Ok(Header {
        format: FORMAT.to_owned(),
        app: desk.setup().app.clone(),
        exported_at: ledger.now().await?,
        durability: ledger.describe().await?.durability.to_string(),
        filter,
    })
}

/// Why a stream breaks off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the gateway stops")]
    Closing,
    #[error("it was not read for too long, and others wait")]
    Idle,
}

/// What has to stand for an export to go on.
struct Going {
    closing: watch::Receiver<bool>,
    seat: Arc<Seat>,
}

fn document(document: Document, going: Going) -> impl Stream<Item = Result<String, Broken>> + Send {
    stream::try_unfold((document, going), |(mut document, going)| async move {
        let piece = while_going(&going, document.next()).await?;
        Ok(piece.map(|piece| (piece, (document, going))))
    })
}

fn sheet(sheet: Sheet, going: Going) -> impl Stream<Item = Result<String, Broken>> + Send {
    stream::try_unfold((sheet, going), |(mut sheet, going)| async move {
        let rows = while_going(&going, sheet.next()).await?;
        Ok(rows.map(|rows| (rows, (sheet, going))))
    })
}

async fn while_going(
    going: &Going,
    next: impl Future<Output = Result<Option<String>, JournalError>>,
) -> Result<Option<String>, Broken> {
    if *going.closing.borrow() {
        return Err(Broken::Closing);
    }
    if !going.seat.hold() {
        return Err(Broken::Idle);
    }
    Ok(next.await?)
}
