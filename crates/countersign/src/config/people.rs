//! `wallets:`, `agents:`, `operators:`

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{
    approval::passkey::{CREDENTIAL_ID_MAX, PasskeyKey},
    identity::{AgentId, OperatorId, WalletId},
    shelf::{ChangeGate, MayFall},
    time::Millis,
};
use countersign_engine::setup::{PasskeySetup, PolicyChanges, Role};

use super::{
    chain::address,
    model::{
        AgentEntry, BreakerEntry, KeystoreEntry, OperatorEntry, Placed, SignerEntry, TokenDigest,
        WalletEntry,
    },
    price::{percent, points},
    problem::{Place, Report},
    read::{file, policy_file},
    yaml::{Node, Value},
};

/// The most that a caller is held open.
const HOLD_MAX: Millis = Millis(60_000);

/// The longest time for which an equal request may count as a repetition.
const DUPLICATE_WINDOW_MAX: Millis = Millis(86_400_000);

/// The most denials that a breaker counts.
const DENIALS_MAX: u32 = 10_000;

/// How many people may have to say yes to a looser policy.
const APPROVALS_MAX: u32 = 32;

/// How long a looser policy may have to wait.
const CHANGE_DELAY_MAX: Millis = Millis(30 * 86_400_000);

/// The shortest time over which denials are counted, and the longest.
const BREAKER_WINDOW_MIN: Millis = Millis(1000);
const BREAKER_WINDOW_MAX: Millis = Millis(86_400_000);

/// The most operations of one wallet that may be in flight.
const IN_FLIGHT: u32 = 16_384;

/// How many operations of an agent may wait for people, unless the configuration says: more than this nobody reads.
const PENDING: u32 = 1000;

/// One wallet.
pub(crate) fn wallet(report: &Report, node: &Node, folder: &Path) -> Option<WalletEntry> {
    report.section(node, "a wallet", |s| {
        let id = s.required("id").and_then(|n| report.read_as(n, WalletId::parse));
        let address = s.required("address").and_then(|n| address(report, n));
        let signer = s.required("signer").and_then(|n| signer(report, n, folder));
        let in_flight_max = s.or("max_in_flight", IN_FLIGHT, in_flight);
        Some(WalletEntry {
            place: s.place(),
            id: id?,
            address: address?,
            signer: signer?,
            in_flight_max: in_flight_max?,
        })
    })?
}

/// `external`, or the files of a key.
fn signer(report: &Report, node: &Node, folder: &Path) -> Option<SignerEntry> {
    if matches!(&node.value, Value::Text(_)) {
        return report.word(node, &[("external", ())]).map(|()| SignerEntry::External);
    }
    report.section(node, "`signer`", |s| {
        let keystore = s.required("keystore").and_then(|n| file(report, n, folder));
        let password_file = s.required("password_file").and_then(|n| file(report, n, folder));
        let entry = KeystoreEntry { keystore: keystore?, password_file: password_file? };
        Some(SignerEntry::Keystore(entry))
    })?
}

fn in_flight(report: &Report, node: &Node) -> Option<u32> {
    report.read_as(node, |text| match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err(format!("`{text}` is not a number from 1 to 1000000")),
    })
}

fn pending(report: &Report, node: &Node) -> Option<u32> {
    report.read_as(node, |text| match text.parse() {
        Ok(count @ 1..=10_000) => Ok(count),
        _ => Err(format!("`{text}` is not a number from 1 to 10000")),
    })
}

/// One agent.
pub(crate) fn agent(report: &Report, node: &Node, folder: &Path) -> Option<AgentEntry> {
    report.section(node, "an agent", |s| {
        let id = s.required("id").and_then(|n| report.read_as(n, AgentId::parse));
        let token = s.required("token_sha256").and_then(|n| token(report, n));
        let wallets = s.required("wallets").and_then(|n| {
            let ids = report.list(n, |n| {
                Some(Placed { value: report.read_as(n, WalletId::parse)?, place: n.place })
            })?;
            if ids.is_empty() {
                report.refuse(n.place, "an agent needs at least one wallet");
            }
            Some(ids)
        });
        let policy = s.required("policy").and_then(|n| policy_file(report, n, folder));
        let owner = s.or("owner", None, |r, n| r.text(n).map(Some));
        let role = s.or("role", None, |r, n| r.text(n).map(Some));
        let duplicate_window =
            s.or("duplicate_window", Millis(15_000), |r, n| within(r, n, DUPLICATE_WINDOW_MAX));
        let hold = s.or("hold", Millis::ZERO, |r, n| within(r, n, HOLD_MAX));
        let parked_max = s.or("max_pending", PENDING, pending);
        let breaker = s.or("breaker", None, |r, n| breaker(r, n).map(Some));
        Some(AgentEntry {
            place: s.place(),
            id: id?,
            token: token?,
            wallets: wallets?,
            policy: policy?,
            owner: owner?,
            role: role?,
            duplicate_window: duplicate_window?,
            hold: hold?,
            parked_max: parked_max?,
            breaker: breaker?,
        })
    })?
}

/// When an agent is frozen for its denials; no denials at all turn it off.
pub(crate) fn breaker(report: &Report, node: &Node) -> Option<BreakerEntry> {
    report.section(node, "`breaker`", |s| {
        let denials = s.required("denials").and_then(|n| report.read_as(n, denials));
        let within = s.required("within").and_then(|n| window(report, n));
        Some(BreakerEntry { denials: denials?, within: within? })
    })?
}

/// Who lets a policy be loosened, how long that takes then, and who signs policies.
pub(crate) fn policy_changes(report: &Report, node: &Node) -> Option<Placed<PolicyChanges>> {
    let otherwise = ChangeGate::default();
    report.section(node, "`policy_changes`", |s| {
        let approvals = s.or("approvals", otherwise.approvals, |r, n| r.read_as(n, approvals));
        let groups = s.or("groups", Vec::new(), |r, n| r.list(n, |n| r.text(n)));
        let delay = s.or("delay", otherwise.delay, |r, n| within(r, n, CHANGE_DELAY_MAX));
        let keys = s.or("keys", Vec::new(), |r, n| r.list(n, |n| r.read_as(n, str::parse)));
        let allowed = s.or("newly_allowed", None, |r, n| r.read_as(n, percent).map(|p| Some(p.0)));
        let at_risk =
            s.or("newly_allowed_at_risk", None, |r, n| r.read_as(n, str::parse).map(Some));
        let may_fall = s.or("may_fall", MayFall::default(), may_fall);
        let gate = ChangeGate {
            approvals: approvals?,
            groups: groups?,
            delay: delay?,
            newly_allowed_bp: allowed?,
            newly_allowed_at_risk: at_risk?,
            may_fall: may_fall?,
        };
        Some(Placed { value: PolicyChanges { gate, keys: keys? }, place: node.place })
    })?
}

/// How far each evaluator may fall.
fn may_fall(report: &Report, node: &Node) -> Option<MayFall> {
    report.section(node, "`may_fall`", |s| {
        let mut most = |name| s.or(name, None, |r, n| r.read_as(n, points).map(|p| Some(p.0)));
        let (compliance, utility) = (most("compliance"), most("utility"));
        let (latency, safety) = (most("latency"), most("safety"));
        let economics = most("economics");
        Some(MayFall {
            compliance: compliance?,
            utility: utility?,
            latency: latency?,
            safety: safety?,
            economics: economics?,
        })
    })?
}

/// Where the file does not say.
pub(crate) fn default_changes() -> Placed<PolicyChanges> {
    Placed { value: PolicyChanges::default(), place: Place::default() }
}

fn approvals(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count <= APPROVALS_MAX => Ok(count),
        _ => {
            Err(format!("`{text}` is not a number from 0 to {APPROVALS_MAX}; at 0 nobody is asked"))
        }
    }
}

fn denials(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count <= DENIALS_MAX => Ok(count),
        _ => Err(format!("`{text}` is not a number from 0 to {DENIALS_MAX}; 0 turns it off")),
    }
}

fn window(report: &Report, node: &Node) -> Option<Millis> {
    let given = within(report, node, BREAKER_WINDOW_MAX)?;
    if given < BREAKER_WINDOW_MIN {
        report
            .refuse(node.place, format!("denials are counted over {BREAKER_WINDOW_MIN} at least"));
        return None;
    }
    Some(given)
}

/// A length of time that is not above `max`.
pub(crate) fn within(report: &Report, node: &Node, max: Millis) -> Option<Millis> {
    report.read_as(node, |text| match text.parse::<Millis>() {
        Ok(given) if given > max => Err(format!("`{text}` is too long: at most {max}")),
        Ok(given) => Ok(given),
        Err(error) => Err(error.to_string()),
    })
}

/// One operator.
pub(crate) fn operator(report: &Report, node: &Node) -> Option<OperatorEntry> {
    report.section(node, "an operator", |s| {
        let id = s.required("id").and_then(|n| report.read_as(n, OperatorId::parse));
        let token = s.required("token_sha256").and_then(|n| token(report, n));
        let roles = s.required("roles").and_then(|n| report.list(n, |n| role(report, n)));
        let person = s.or("person", None, |r, n| r.text(n).map(Some));
        let groups = s.or("groups", Vec::new(), |r, n| r.list(n, |n| r.text(n)));
        let address = s.or("address", None, |r, n| {
            Some(Some(Placed { value: address(r, n)?, place: n.place }))
        });
        let passkeys = s.or("passkeys", Vec::new(), |r, n| r.list(n, |n| passkey(r, n)));
        let id = id?;
        let person = person?.unwrap_or_else(|| id.to_string());
        Some(OperatorEntry {
            place: s.place(),
            id,
            token: token?,
            roles: roles?,
            person,
            groups: groups?,
            address: address?,
            passkeys: passkeys?,
        })
    })?
}

/// One credential, as a browser gives it when it is made: `id`, and `response.getPublicKey()` in base64url.
fn passkey(report: &Report, node: &Node) -> Option<Placed<PasskeySetup>> {
    report.section(node, "a passkey", |s| {
        let id = s.required("id").and_then(|n| report.read_as(n, credential));
        let public_key = s.required("public_key").and_then(|n| report.read_as(n, public_key));
        let value = PasskeySetup { id: id?, public_key: public_key? };
        Some(Placed { value, place: s.place() })
    })?
}

fn credential(text: &str) -> Result<String, String> {
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if (1..=CREDENTIAL_ID_MAX).contains(&bytes.len()) => Ok(text.to_owned()),
        Ok(_) | Err(_) => {
            Err(format!("`{text}` is not the id of a credential: expected base64url"))
        }
    }
}

fn public_key(text: &str) -> Result<PasskeyKey, &'static str> {
    let spki = URL_SAFE_NO_PAD.decode(text).ok();
    spki.and_then(|spki| PasskeyKey::parse(&spki)).ok_or(
        "not the public key of a passkey: expected what `getPublicKey()` gives (P-256 or Ed25519), in base64url",
    )
}

fn role(report: &Report, node: &Node) -> Option<Role> {
    let roles = [
        ("view", Role::View),
        ("approve", Role::Approve),
        ("policy", Role::Policy),
        ("freeze", Role::Freeze),
    ];
    report.word(node, &roles)
}

/// The message does not repeat what was given: somebody may have put the token itself there.
fn token(report: &Report, node: &Node) -> Option<Placed<TokenDigest>> {
    let value = report.read_as(node, |text| {
        let mut digest = [0_u8; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| {
            "not a SHA-256 in 64 hex digits: `countersign token new` prints a token with its hash"
        })?;
        Ok::<_, &str>(digest)
    })?;
    Some(Placed { value, place: node.place })
}
