//! The console: files of our own, in the binary. They hold nothing but what every gateway has, so that they need no
//! credential; whatever they show comes from the routes beside them.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{Problem, access::Named};

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// Name, content type and text of a file.
type File = (&'static str, &'static str, &'static str);

const INDEX: File = ("index.html", PAGE, include_str!("../console/index.html"));

/// What the page loads.
const FILES: [File; 43] = [
    ("agents.js", SCRIPT, include_str!("../console/agents.js")),
    ("amounts.js", SCRIPT, include_str!("../console/amounts.js")),
    ("api.js", SCRIPT, include_str!("../console/api.js")),
    ("charts.js", SCRIPT, include_str!("../console/charts.js")),
    ("console.css", STYLE, include_str!("../console/console.css")),
    ("decoded.js", SCRIPT, include_str!("../console/decoded.js")),
    ("dialogs.js", SCRIPT, include_str!("../console/dialogs.js")),
    ("diff.js", SCRIPT, include_str!("../console/diff.js")),
    ("dom.js", SCRIPT, include_str!("../console/dom.js")),
    ("editor.js", SCRIPT, include_str!("../console/editor.js")),
    ("evaluations.js", SCRIPT, include_str!("../console/evaluations.js")),
    ("evidence.js", SCRIPT, include_str!("../console/evidence.js")),
    ("evidence_check.js", SCRIPT, include_str!("../console/evidence_check.js")),
    ("evidence_report.js", SCRIPT, include_str!("../console/evidence_report.js")),
    ("evidence_text.js", SCRIPT, include_str!("../console/evidence_text.js")),
    ("explain.js", SCRIPT, include_str!("../console/explain.js")),
    ("find.js", SCRIPT, include_str!("../console/find.js")),
    ("freezes.js", SCRIPT, include_str!("../console/freezes.js")),
    ("inbox.js", SCRIPT, include_str!("../console/inbox.js")),
    ("incidents.js", SCRIPT, include_str!("../console/incidents.js")),
    ("keyboard.js", SCRIPT, include_str!("../console/keyboard.js")),
    ("lists.js", SCRIPT, include_str!("../console/lists.js")),
    ("live.js", SCRIPT, include_str!("../console/live.js")),
    ("login.js", SCRIPT, include_str!("../console/login.js")),
    ("main.js", SCRIPT, include_str!("../console/main.js")),
    ("mark.svg", DRAWING, include_str!("../console/mark.svg")),
    ("operations.js", SCRIPT, include_str!("../console/operations.js")),
    ("overview.js", SCRIPT, include_str!("../console/overview.js")),
    ("policies.js", SCRIPT, include_str!("../console/policies.js")),
    ("router.js", SCRIPT, include_str!("../console/router.js")),
    ("sha256.js", SCRIPT, include_str!("../console/sha256.js")),
    ("signing.js", SCRIPT, include_str!("../console/signing.js")),
    ("source.js", SCRIPT, include_str!("../console/source.js")),
    ("spend.js", SCRIPT, include_str!("../console/spend.js")),
    ("theme.js", SCRIPT, include_str!("../console/theme.js")),
    ("theme_switch.js", SCRIPT, include_str!("../console/theme_switch.js")),
    ("time.js", SCRIPT, include_str!("../console/time.js")),
    ("traces.js", SCRIPT, include_str!("../console/traces.js")),
    ("untrusted.js", SCRIPT, include_str!("../console/untrusted.js")),
    ("version.js", SCRIPT, include_str!("../console/version.js")),
    ("version_parts.js", SCRIPT, include_str!("../console/version_parts.js")),
    ("votes.js", SCRIPT, include_str!("../console/votes.js")),
    ("widgets.js", SCRIPT, include_str!("../console/widgets.js")),
];

/// A file with the name of its content.
#[derive(Debug, Clone)]
struct Served {
    kind: &'static str,
    text: &'static str,
    tag: HeaderValue,
}

impl Served {
    fn new((_, kind, text): File) -> Self {
        let digest = hex::encode(Sha256::digest(text));
        let tag = HeaderValue::from_str(&format!("\"{digest}\""));
        Self { kind, text, tag: tag.unwrap_or(HeaderValue::from_static("\"\"")) }
    }

    /// The file, or that the browser has it.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| self.is_among(tags));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, self.tag.clone()),
        ];
        if known {
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else {
            (headers, self.text).into_response()
        }
    }
}

impl Served {
    /// Whether its tag is in a list, as a strong or a weak one: a cache on the way makes it weak when it packs the file.
    fn is_among(&self, tags: &HeaderValue) -> bool {
        let own = self.tag.to_str().unwrap_or_default();
        let mut all = tags.to_str().unwrap_or_default().split(',').map(str::trim);
        all.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
    }
}

static SERVED: LazyLock<BTreeMap<&'static str, Served>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.0, Served::new(*file))).collect());

static PAGE_SERVED: LazyLock<Served> = LazyLock::new(|| Served::new(INDEX));

/// `GET /`
pub(crate) async fn page(asked: HeaderMap) -> Response {
    PAGE_SERVED.answer(&asked)
}

/// `GET /console/{file}`
pub(crate) async fn file(
    Named(name): Named<String>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let served = SERVED.get(name.as_str()).ok_or(Problem::NotFound)?;
    Ok(served.answer(&asked))
}
