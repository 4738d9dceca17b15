//! `countersign policy`

use std::path::{Path, PathBuf};

use countersign_policy::{Diff, DiffClass, FormatError, Policy, TestOutcome, diff};
use serde_json::json;

use super::{explain, pretty, schema, sign};
use crate::{
    cli::{DiffArgs, ImportArgs, Output, PolicyCommand},
    config::Problems,
    failure::Failure,
    policies,
    screen::{Paint, complain, plain, say},
};

/// Works on policy files; nothing is sent anywhere.
pub(crate) fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Check { files } => check(&files),
        PolicyCommand::Test { files, output } => test(&files, output.output),
        PolicyCommand::Explain(args) => explain::run(&args),
        PolicyCommand::Diff(args) => compare(&args),
        PolicyCommand::Import(args) => import(&args),
        PolicyCommand::Schema(args) => schema::run(&args),
        PolicyCommand::Keygen(args) => sign::keygen(&args),
        PolicyCommand::Sign(args) => sign::run(&args),
    }
}

fn check(files: &[PathBuf]) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for file in files {
        match policies::parse(file) {
            Ok(policy) => {
                policy
                    .warnings()
                    .iter()
                    .for_each(|warning| complain(format!("warning: {warning}")));
                say(format!("{}: in order, `{}` {}", file.display(), policy.name(), policy.id()));
            }
            Err(found) => problems.extend(found.0),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems).into()) }
}

fn test(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    let mut results = Vec::new();
    for file in files {
        let policy = policies::parse_untested(file)?;
        results.push((file, policy.run_tests()));
    }
    match output {
        Output::Json => say(pretty(&as_json(&results))),
        Output::Table => results.iter().for_each(|(file, outcomes)| show(file, outcomes)),
    }
    let all = || results.iter().flat_map(|(_, outcomes)| outcomes);
    let failed = all().filter(|outcome| !outcome.passed).count();
    if failed > 0 {
        return Err(Failure::refused(format!("{failed} of {} tests failed", all().count())));
    }
    Ok(())
}

fn as_json(results: &[(&PathBuf, Vec<TestOutcome>)]) -> serde_json::Value {
    let item = |file: &Path, outcome: &TestOutcome| {
        json!({
            "file": file, "line": outcome.line, "name": outcome.name, "passed": outcome.passed,
            "expected": outcome.expected, "got": outcome.got,
        })
    };
    let items =
        results.iter().flat_map(|(file, outcomes)| outcomes.iter().map(move |o| item(file, o)));
    json!({ "items": items.collect::<Vec<_>>() })
}

fn show(file: &Path, outcomes: &[TestOutcome]) {
    let paint = Paint::stdout();
    for outcome in outcomes {
        let place = format!("{}:{}", file.display(), outcome.line);
        if outcome.passed {
            say(format!("{} {place}: {}", paint.green("ok  "), outcome.name));
        } else {
            let TestOutcome { name, expected, got, .. } = outcome;
            say(format!("{} {place}: {name}: expected {expected}, got {got}", paint.red("FAIL")));
        }
    }
    if outcomes.is_empty() {
        say(format!("{} {}: has no tests", paint.yellow("none"), file.display()));
    }
}

/// What changes, and whether it can only narrow.
fn compare(args: &DiffArgs) -> Result<(), Failure> {
    let found = diff(&policies::parse(&args.old)?, &policies::parse(&args.new)?);
    match args.output.output {
        Output::Json => say(pretty(&json!(found))),
        Output::Table => show_diff(&found),
    }
    if args.fail_on_loosening && found.class == DiffClass::Loosening {
        return Err(Failure::failed("the change is a loosening: it may allow more"));
    }
    Ok(())
}

fn show_diff(found: &Diff) {
    let paint = Paint::stdout();
    let word = |class: DiffClass| {
        let word = format!("{class:<10}");
        match class {
            DiffClass::Same => word,
            DiffClass::Tightening => paint.green(&word),
            DiffClass::Loosening => paint.yellow(&word),
        }
    };
    for change in &found.changes {
        say(format!("{} {}: {}", word(change.class), change.what, plain(&change.text)));
    }
    say(match found.class {
        DiffClass::Same if found.changes.is_empty() => "the same version".to_owned(),
        DiffClass::Same => "same: nothing that is allowed changes".to_owned(),
        DiffClass::Tightening => "tightening: nothing more is allowed".to_owned(),
        DiffClass::Loosening => {
            "loosening: it cannot be proved that nothing more is allowed".to_owned()
        }
    });
}

/// Prints a policy of another format in the core language.
fn import(args: &ImportArgs) -> Result<(), Failure> {
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(stem).unwrap_or_default();
    let format = args.from.parse();
    let format = format.map_err(|error: FormatError| Failure::refused(error.to_string()))?;
    let read = |text: &str, file: &str| countersign_policy::import(format, &name, text, file);
    say(policies::parse_as(&args.file, read)?.trim_end());
    Ok(())
}

/// Reads a policy for its verdicts; a test of its own that fails is no obstacle here.
pub(super) fn read(file: &Path) -> Result<Policy, Failure> {
    Ok(policies::parse_untested(file)?)
}
