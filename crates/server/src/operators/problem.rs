//! Errors of the operators' door as RFC 9457 problem details with a stable `code`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_core::{
    approval::Signing, operation::OperationState, shelf::ShelfRefusal, text::is_hidden,
};
use countersign_engine::{
    BumpError, DeskError, PactError,
    port::{journal::JournalError, ledger::LedgerError},
    shelf::ShelfError,
    submission::Unavailable,
};
use countersign_policy::{Diagnostic, PactState};
use serde_json::{Value, json};

use super::sessions::FAILURES_WINDOW;

const CHALLENGE_OVER: &str =
    "the challenge is not of this gateway, older than two minutes, or was used: ask for another";
const OTHER_HOST: &str =
    "this host name is not served here; use the address or add it to the listener's `hosts`";

/// What went wrong, by cause.
#[derive(Debug)]
pub(crate) enum Problem {
    /// 400: the request cannot be meant; the sentence names the field.
    Malformed(String),
    /// 401: no operator has this credential.
    Unauthorised,
    /// 403: the operator lacks a role.
    Role(&'static str),
    /// 403: in none of the gates.
    NotInGate,
    /// 403: nobody approves for themselves.
    Requester,
    /// 403: the gate asks for a signature, of one of these kinds; a token is not enough.
    Unsigned(Vec<Signing>),
    /// 403: what was signed is worth nothing, and why.
    Signature(String),
    /// 409: others come first.
    NotInTurn,
    /// 403: a page of another origin.
    OtherOrigin,
    /// 403: a cookie came along with a request that the console did not make.
    OtherSite,
    /// 404: unknown and foreign things look the same.
    NotFound,
    /// 405
    Method,
    /// 409: it does not wait any more; this is where it stands.
    Decided(OperationState),
    /// 409: not what was parked.
    OtherDigest,
    /// 409: nothing can take its place at its nonce any more, or yet; this is where it stands.
    NotInFlight(OperationState),
    /// 409: its last attempt is in hand.
    Busy,
    /// 409: no further attempt, with the code of what stands against it and a sentence.
    NoAttempt(String, String),
    /// 409: nothing of the kind is in force.
    NotInForce,
    /// 409: the agent's grant is another version.
    PactDiffers,
    /// 409: this cannot be said to the pact any more; this is where it stands.
    PactStands(PactState),
    /// 409: the ledger does not fit the chains or the journals; each line is one difference.
    Differences(Vec<String>),
    /// 409: there is something in the store already.
    NotEmpty,
    /// 409: somebody else changed it meanwhile; this is its version now.
    OtherVersion(u64),
    /// 409: its life has no such step.
    IllegalMove(String),
    /// 410
    Expired,
    /// 410: what a passkey signed for a login was asked long ago, elsewhere, or opened a session already.
    ChallengeOver,
    /// 429: so many logins failed.
    TooManyAttempts,
    /// 412: `If-Match` names another version than this.
    NotAsSeen(u64),
    /// 409 or 403: no step leads on from where a version stands, or not for this operator or this text.
    Version(ShelfRefusal),
    /// 422: a text that is no policy for the agent.
    PolicyInvalid(Vec<Diagnostic>),
    /// 414
    TargetTooLong,
    /// 431
    HeadersTooLong,
    /// 421: a host name that is not ours.
    OtherHost,
    /// 500
    Crash,
    /// 503: the store does not hold the ledger that this gateway knew.
    LedgerLost(String),
    /// 503: with the reason for operators.
    Unavailable(String),
}

impl Problem {
    fn status_and_code(&self) -> (StatusCode, &str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Unauthorised => (StatusCode::UNAUTHORIZED, "unauthorised"),
            Self::Role(_) => (StatusCode::FORBIDDEN, "role_missing"),
            Self::NotInGate => (StatusCode::FORBIDDEN, "not_in_gate"),
            Self::Requester => (StatusCode::FORBIDDEN, "requester"),
            Self::Unsigned(_) => (StatusCode::FORBIDDEN, "signature_required"),
            Self::Signature(_) => (StatusCode::FORBIDDEN, "signature_invalid"),
            Self::NotInTurn => (StatusCode::CONFLICT, "not_in_turn"),
            Self::OtherOrigin => (StatusCode::FORBIDDEN, "other_origin"),
            Self::OtherSite => (StatusCode::FORBIDDEN, "other_site"),
            Self::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Decided(_) => (StatusCode::CONFLICT, "already_decided"),
            Self::OtherDigest => (StatusCode::CONFLICT, "digest_mismatch"),
            Self::NotInFlight(_) => (StatusCode::CONFLICT, "not_in_flight"),
            Self::Busy => (StatusCode::CONFLICT, "busy"),
            Self::NoAttempt(code, _) => (StatusCode::CONFLICT, code),
            Self::NotInForce => (StatusCode::CONFLICT, "not_in_force"),
            Self::PactDiffers => (StatusCode::CONFLICT, "pact_differs"),
            Self::PactStands(_) => (StatusCode::CONFLICT, "pact_stands"),
            Self::Differences(_) => (StatusCode::CONFLICT, "differences"),
            Self::NotEmpty => (StatusCode::CONFLICT, "not_empty"),
            Self::LedgerLost(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger_lost"),
            Self::OtherVersion(_) => (StatusCode::CONFLICT, "other_version"),
            Self::IllegalMove(_) => (StatusCode::CONFLICT, "illegal_move"),
            Self::Expired => (StatusCode::GONE, "expired"),
            Self::ChallengeOver => (StatusCode::GONE, "challenge_over"),
            Self::NotAsSeen(_) => (StatusCode::PRECONDITION_FAILED, "other_version"),
            Self::Version(refusal) => of_a_version(refusal),
            Self::PolicyInvalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "policy_invalid"),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "target_too_long"),
            Self::HeadersTooLong => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_long")
            }
            Self::OtherHost => (StatusCode::MISDIRECTED_REQUEST, "other_host"),
            Self::Crash => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    /// What a parser says of a request: it shows parts of that, which may be long and may not be what they look like.
    pub(crate) fn malformed(said: &str) -> Self {
        let mut shown = String::new();
        let mut plain = said.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c });
        shown.extend(plain.by_ref().take(SAID_MAX));
        if plain.next().is_some() {
            shown.push('…');
        }
        Self::Malformed(shown)
    }

    /// A cursor that no page of this list has ended with.
    pub(crate) fn cursor() -> Self {
        Self::Malformed("`cursor`: is not one of this list".into())
    }

    /// Whether somebody tried to come in with what is worth nothing.
    pub(super) const fn is_refused_login(&self) -> bool {
        matches!(self, Self::Unauthorised | Self::Signature(_) | Self::ChallengeOver)
    }

    fn detail(&self) -> String {
        match self {
            Self::Malformed(reason)
            | Self::Unavailable(reason)
            | Self::IllegalMove(reason)
            | Self::Signature(reason)
            | Self::NoAttempt(_, reason) => reason.clone(),
            Self::OtherVersion(now) | Self::NotAsSeen(now) => {
                format!("it was changed meanwhile and is at version {now} now: look at it again")
            }
            Self::TargetTooLong => "path and query are longer than 8 KiB".into(),
            Self::HeadersTooLong => "the headers are longer than 32 KiB".into(),
            Self::Unauthorised => "no operator has this credential".into(),
            Self::Role(role) => format!("this operator lacks the role `{role}`"),
            Self::NotInGate => "this operator is in none of the gates that this waits for".into(),
            Self::Requester => {
                "nobody approves for an agent that their person owns, nor what they proposed".into()
            }
            Self::Version(refusal) => refusal.to_string(),
            Self::PolicyInvalid(found) => lines(found),
            Self::Unsigned(kinds) => unsigned(kinds),
            Self::NotInTurn => {
                "it is not this operator's turn: the gate has an order, and others come first".into()
            }
            Self::OtherOrigin => "pages of other origins are not served".into(),
            Self::OtherSite => {
                "a cookie is worth something in the console's own requests only: they carry the header `Countersign-Console: 1`".into()
            }
            Self::TooManyAttempts => "too many logins failed; try again in a minute".into(),
            Self::NotFound => "there is nothing here under this name".into(),
            Self::Method => "this route has no such method".into(),
            Self::Decided(state) => {
                format!("the operation is not waiting any more: it is {}", state.name())
            }
            Self::NotInFlight(state) => {
                format!("the operation is {}: nothing can take its place", state.name())
            }
            Self::Busy => "its last attempt is being signed or sent; look again in a moment".into(),
            Self::OtherDigest => {
                "the digest is not that of what waits: look at it again before approving".into()
            }
            Self::NotInForce => "it was not in force".into(),
            Self::PactDiffers => {
                "the agent's grant is another version by now: look at it again".into()
            }
            Self::PactStands(state) => format!("the pact is {state}"),
            Self::Differences(differences) => format!(
                "the ledger does not fit what chains and journals say: {}. Look into each of them; what you accept is recorded",
                differences.join("; ")
            ),
            Self::NotEmpty => {
                "the store holds something: a new ledger is made in an empty one only".into()
            }
            Self::LedgerLost(why) => format!("the ledger is lost: {why}"),
            Self::Expired => "the operation has expired".into(),
            Self::ChallengeOver => CHALLENGE_OVER.into(),
            Self::OtherHost => OTHER_HOST.into(),
            Self::Crash => "the gateway failed".into(),
        }
    }
}

const fn of_a_version(refusal: &ShelfRefusal) -> (StatusCode, &'static str) {
    match refusal {
        ShelfRefusal::NotProposer => (StatusCode::FORBIDDEN, "not_proposer"),
        ShelfRefusal::Unsigned => (StatusCode::FORBIDDEN, "policy_unsigned"),
        ShelfRefusal::Stands(_) => (StatusCode::CONFLICT, "version_stands"),
        ShelfRefusal::OtherBase => (StatusCode::CONFLICT, "version_compared"),
        ShelfRefusal::Waits => (StatusCode::CONFLICT, "version_waits"),
        ShelfRefusal::NotAsked => (StatusCode::CONFLICT, "version_not_asked"),
        ShelfRefusal::TooMany => (StatusCode::CONFLICT, "too_many_versions"),
        ShelfRefusal::AllowsTooMuch => (StatusCode::CONFLICT, "allows_too_much"),
        ShelfRefusal::FallsBehind(_) => (StatusCode::CONFLICT, "falls_behind"),
        ShelfRefusal::OldSequence(_) => (StatusCode::CONFLICT, "sequence_old"),
    }
}

/// How many characters of what a parser says are shown.
const SAID_MAX: usize = 400;

fn lines(found: &[Diagnostic]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn unsigned(kinds: &[Signing]) -> String {
    let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    format!(
        "the gate takes only approvals that are signed: {}; `signing` of the pending operation says what is signed",
        kinds.join(" or ")
    )
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let (status, code) = problem.status_and_code();
        let mut document = json!({
            "type": format!("urn:countersign:problem:{code}"),
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "code": code,
            "detail": problem.detail(),
        });
        let further = if let Problem::PactStands(state) = &problem {
            Some(("state", json!(state)))
        } else if let Problem::OtherVersion(now) | Problem::NotAsSeen(now) = &problem {
            Some(("version", json!(now)))
        } else if let Problem::Decided(state) | Problem::NotInFlight(state) = &problem {
            Some(("operation_status", json!(state.name())))
        } else if let Problem::Unsigned(kinds) = &problem {
            Some(("accepts", json!(kinds)))
        } else if let Problem::Differences(differences) = &problem {
            Some(("differences", json!(differences)))
        } else if let Problem::Version(ShelfRefusal::Stands(state)) = &problem {
            Some(("state", json!(state)))
        } else if let Problem::Version(ShelfRefusal::FallsBehind(falls)) = &problem {
            Some(("falls", json!(falls)))
        } else if let Problem::PolicyInvalid(found) = &problem {
            Some(("diagnostics", found.iter().map(diagnostic).collect()))
        } else {
            None
        };
        if let (Some((name, value)), Some(members)) = (further, document.as_object_mut()) {
            members.insert(name.into(), value);
        }
        let mut response = Response::new(Body::from(document.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(problem, Problem::TooManyAttempts) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(FAILURES_WINDOW.as_secs()));
        }
        if matches!(problem, Problem::Unauthorised) {
            let realm = HeaderValue::from_static("Bearer realm=\"countersign\"");
            headers.insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

pub(super) fn diagnostic(found: &Diagnostic) -> Value {
    let Diagnostic { file: _, line, column, message, hint } = found;
    json!({"line": line, "column": column, "message": message, "hint": hint})
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into()
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Missing => Self::NotFound,
            DeskError::Decided(record) => Self::Decided(record.state),
            DeskError::OtherDigest => Self::OtherDigest,
            DeskError::Expired => Self::Expired,
            DeskError::NotInGate => Self::NotInGate,
            DeskError::Requester => Self::Requester,
            DeskError::Unsigned(kinds) => Self::Unsigned(kinds),
            DeskError::Signature(why) => Self::Signature(why),
            DeskError::NotInTurn => Self::NotInTurn,
            DeskError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<BumpError> for Problem {
    fn from(error: BumpError) -> Self {
        match error {
            BumpError::Missing => Self::NotFound,
            BumpError::Elsewhere(record) => Self::NotInFlight(record.state),
            BumpError::Busy => Self::Busy,
            BumpError::Refused { code, reason } => Self::NoAttempt(code, reason),
            BumpError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<PactError> for Problem {
    fn from(error: PactError) -> Self {
        match error {
            PactError::Missing => Self::NotFound,
            PactError::Differs => Self::PactDiffers,
            PactError::Stands(state) => Self::PactStands(state),
            PactError::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Missing => Self::NotFound,
            ShelfError::Invalid(errors) => Self::PolicyInvalid(errors.items),
            ShelfError::Refused(refusal) => Self::Version(refusal),
            ShelfError::OtherDigest => Self::OtherDigest,
            ShelfError::NotInGate => Self::NotInGate,
            ShelfError::Requester => Self::Requester,
            ShelfError::Signature(fault) => Self::Signature(fault.to_string()),
            ShelfError::Lost(why) => Self::LedgerLost(why),
            ShelfError::Clock(reason) | ShelfError::Unavailable(reason) => {
                Self::Unavailable(reason)
            }
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Lost(why) => Self::LedgerLost(why),
            LedgerError::Unavailable(_)
            | LedgerError::Ambiguous(_)
            | LedgerError::Refused(_)
            | LedgerError::Damaged(_)
            | LedgerError::Clock(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Cursor(_) => Self::cursor(),
            JournalError::Unavailable(_) | JournalError::Unpinned => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable.reason)
    }
}
