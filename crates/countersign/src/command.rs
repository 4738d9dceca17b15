//! What each command does.

mod check;
mod doctor;
mod evidence;
mod explain;
mod init;
mod key;
mod ledger;
mod mcp;
mod operation;
mod policy;
mod schema;
mod serve;
mod sign;
mod token;
mod trace;

pub(crate) use self::{
    schema::NAMES as SCHEMAS,
    serve::until_asked,
    token::{Token, fresh},
};

use clap::CommandFactory as _;
use serde_json::Value;

use crate::{
    cli::{Cli, Command, Output},
    failure::Failure,
    screen::{escaped, say},
};

/// Runs one command to its end.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Check(args) => check::run(&args).await,
        Command::Policy(command) => policy::run(command),
        Command::Key(command) => key::run(command),
        Command::Serve(args) => Box::pin(serve::run(&args)).await,
        Command::Dev(args) => Box::pin(crate::dev::run(args)).await,
        Command::Init(args) => init::run(&args),
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Token(command) => token::run(command),
        Command::Operation(command) => operation::run(command).await,
        Command::Trace(command) => trace::run(command).await,
        Command::Freeze(args) => ledger::freeze(args).await,
        Command::Unfreeze(args) => ledger::unfreeze(args).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Mcp(args) => mcp::run(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
            say(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

/// JSON for people and programs alike.
fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()))
}

/// The name of a column, and what stands in it.
type Column = (&'static str, fn(&Value) -> String);

/// A list as it was asked for: the whole answer as JSON, or some columns of its items.
fn show_list(answer: &Value, output: Output, columns: &[Column]) {
    if output == Output::Json {
        return say(pretty(answer));
    }
    let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let row = |item: &Value| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let head: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    say(crate::screen::table(&head, &rows));
    if rows.is_empty() {
        crate::screen::complain("nothing to show");
    }
}

/// A member as text that is safe for a terminal; `-` where there is none.
fn cell(item: &Value, key: &str) -> String {
    match item.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => crate::screen::plain(text),
        Some(other) => crate::screen::plain(&other.to_string()),
    }
}

/// A piece of a path. Names and ids need no escaping; anything else is refused before it is sent.
fn segment(text: &str) -> Result<&str, Failure> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if plain && !text.is_empty() {
        Ok(text)
    } else {
        Err(Failure::refused(format!("`{text}` is not an id")))
    }
}

/// A query string of the members that are given.
fn query(members: &[(&str, Option<String>)]) -> String {
    let given = members.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    let text: Vec<String> = given.map(|(key, value)| format!("{key}={}", escape(value))).collect();
    if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
}

fn escape(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
