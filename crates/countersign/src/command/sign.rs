//! `countersign policy keygen` and `countersign policy sign`

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::shelf::{PolicyKey, PolicySignature};
use countersign_engine::port::Clock as _;
use countersign_policy::Policy;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use zeroize::Zeroizing;

use crate::{
    cli::{KeygenArgs, SignArgs},
    clock::SystemClock,
    config::{self, Report},
    failure::Failure,
    files::{unusable, write_private},
    policies::{self, signature},
    screen::{complain, say},
};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Makes a key, and prints its public half.
pub(super) fn keygen(args: &KeygenArgs) -> Result<(), Failure> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.map_err(|_| Failure::failed("the system has no random numbers"))?;
    let public = public(&pair(made.as_ref()).map_err(Failure::failed)?).map_err(Failure::failed)?;
    let text = Zeroizing::new(format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(made.as_ref())));
    write_private(&args.out, &text)?;
    say(public.to_string());
    complain(format!(
        "written to {}: keep it where no gateway is; its public key goes under `policy_changes.keys`",
        args.out.display()
    ));
    Ok(())
}

/// Signs a policy that can be read.
pub(super) fn run(args: &SignArgs) -> Result<(), Failure> {
    let policy = policies::parse(&args.file)?;
    let (app, uses) = purpose(args, &policy)?;
    let pair = read(&args.key)?;
    let key = public(&pair).map_err(Failure::failed)?;
    let sequence = args.sequence.unwrap_or_else(seconds);
    let message = PolicySignature::signed_text(&app, &uses, sequence, policy.source());
    let signature = hex::encode(pair.sign(message.as_bytes()));
    let signed = PolicySignature { app, uses, sequence, key, signature };
    let text = serde_json::to_string_pretty(&signed);
    let text = text.map_err(|error| Failure::failed(error.to_string()))?;
    let file = signature::beside(&args.file);
    std::fs::write(&file, format!("{text}\n")).map_err(|error| unusable(&file, &error))?;
    say(format!(
        "{}: {} for {} of `{}`, number {}, by {}",
        file.display(),
        policy.id(),
        signed.uses.join(", "),
        signed.app,
        signed.sequence,
        signed.key
    ));
    Ok(())
}

/// Which app and which uses a signature is for.
fn purpose(args: &SignArgs, policy: &Policy) -> Result<(String, Vec<String>), Failure> {
    if let Some(app) = &args.app {
        return Ok((app.clone(), args.uses.clone()));
    }
    let report = Report::new(&args.config);
    let read = config::read(&args.config, &report);
    let (config, _) = report.finish(read)?;
    let uses = signature::uses(&config, &args.file, policy);
    if uses.is_empty() {
        return Err(Failure::refused(format!(
            "no agent in {} has the policy {}; say what it is for with --app and --for \"agent ID\"",
            args.config.display(),
            args.file.display()
        )));
    }
    Ok((config.app.to_string(), uses))
}

fn read(file: &Path) -> Result<Ed25519KeyPair, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
    let text = Zeroizing::new(text);
    let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let wrong = |why: &str| Failure::refused(format!("{}: {why}", file.display()));
    let body = body.ok_or_else(|| wrong("is no private key in PEM (PKCS #8)"))?;
    let digits = Zeroizing::new(body.split_whitespace().collect::<String>());
    let bytes = STANDARD.decode(digits.as_bytes());
    let bytes = Zeroizing::new(bytes.map_err(|_| wrong("is no private key in PEM (PKCS #8)"))?);
    pair(&bytes).map_err(wrong)
}

fn pair(pkcs8: &[u8]) -> Result<Ed25519KeyPair, &'static str> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| "is no Ed25519 key")
}

fn public(pair: &Ed25519KeyPair) -> Result<PolicyKey, &'static str> {
    let bytes = pair.public_key().as_ref().try_into();
    Ok(PolicyKey(bytes.map_err(|_| "has no public key of 32 bytes")?))
}

/// Since 1970: whoever signs later has a higher number, on whatever machine.
fn seconds() -> u64 {
    SystemClock::new().wall().millis() / 1000
}
