//! The house as `crates/README.md` draws it: which crate may know which, and what the pure ones lack.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use countersign_tests::place;
use serde_json::Value;

/// Every arrow between crates of the house. A new one is a decision: change `crates/README.md` with it.
const ARROWS: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("decode", &["core"]),
    ("policy", &["core"]),
    ("engine", &["core", "decode", "policy"]),
    ("store", &["core", "engine"]),
    ("signers", &["core", "engine"]),
    ("upstream", &["core", "engine"]),
    ("server", &["core", "policy", "engine"]),
    (
        "countersign",
        &["core", "decode", "policy", "engine", "store", "signers", "upstream", "server"],
    ),
    ("testkit", &["core", "decode", "policy", "engine"]),
    ("tests", &[]),
    ("bench", &[]),
];

/// Tests of these may build by hand what the engine is made of.
const ADAPTERS: [&str; 4] = ["store", "signers", "upstream", "server"];

/// Packages from outside that only some crates may name.
const KEPT_IN: [(&str, &[&str]); 13] = [
    ("redis", &["store", "bench"]),
    ("rusqlite", &["store"]),
    ("eth-keystore", &["signers"]),
    ("hyper-rustls", &["upstream", "countersign"]),
    ("axum", &["server"]),
    ("clap", &["countersign"]),
    ("notify", &["countersign"]),
    ("anyhow", &["countersign"]),
    ("openssl", &[]),
    ("native-tls", &[]),
    ("reqwest", &[]),
    ("serde_yaml", &[]),
    ("aws-lc-sys", &[]),
];

/// What the pure crates do without, as it would be written.
const IMPURE: [&str; 11] = [
    "async ",
    ".await",
    "SystemTime",
    "Instant::now",
    "std::env",
    "rand::",
    "getrandom",
    "tracing::",
    "println!",
    "std::net",
    "std::fs",
];

const PURE: [&str; 3] = ["core", "decode", "policy"];

#[test]
fn crates_know_only_the_crates_that_the_map_draws() {
    let allowed = BTreeMap::from(ARROWS);
    for (name, package) in packages() {
        let may = allowed.get(name.as_str());
        let may = may.unwrap_or_else(|| panic!("`{name}` is not on the map"));
        for (needed, kind) in house(&package) {
            let parts = ["decode", "policy", "engine"].contains(&needed.as_str());
            let by_hand = ADAPTERS.contains(&name.as_str()) && parts;
            let for_tests = kind == "dev" && (needed == "testkit" || by_hand);
            assert!(for_tests || may.contains(&needed.as_str()), "a new arrow: {name} -> {needed}");
        }
    }
}

#[test]
fn packages_from_outside_stay_behind_their_ports() {
    let packages = packages();
    for (outside, may) in KEPT_IN {
        let users = packages.iter().filter(|(_, package)| {
            dependencies(package).any(|(needed, kind)| needed == outside && kind != "dev")
        });
        for (user, _) in users {
            assert!(may.contains(&user.as_str()), "`{user}` must not use {outside}");
        }
    }
}

#[test]
fn the_engine_takes_neither_a_runtime_nor_a_socket() {
    let engine = packages().remove("engine").expect("the engine is on the map");
    let tokio = array(&engine, "dependencies").find(|dependency| {
        text(dependency, "name") == "tokio" && dependency.get("kind").is_some_and(Value::is_null)
    });
    let features = tokio.map(|tokio| array(&tokio, "features").collect::<Vec<_>>());
    assert!(
        features.is_none_or(|features| features == ["sync"]),
        "the engine's tokio has only `sync`"
    );
}

#[test]
fn nothing_from_outside_brings_a_second_tls_or_http() {
    let lock = fs::read_to_string(place::checkout().join("Cargo.lock")).expect("a lock file");
    for banned in ["openssl", "openssl-sys", "native-tls", "reqwest", "aws-lc-sys", "serde_yaml"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"\n")), "{banned} came in");
    }
}

#[test]
fn the_pure_crates_have_no_clock_no_chance_no_environment_and_no_log() {
    for name in PURE {
        for file in sources(name) {
            let code = code_of(&file);
            let found = IMPURE.iter().find(|word| mentions(&code, word));
            assert_eq!(found, None, "{} is not pure", file.display());
        }
    }
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    let drawers = ["utils", "util", "common", "types", "helpers", "helper", "misc", "mod"];
    for (name, _) in ARROWS {
        for file in sources(name) {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            assert!(!drawers.contains(&stem), "{} is named after no idea", file.display());
        }
    }
}

#[test]
fn a_function_fits_a_screen() {
    let mut lengths = Vec::new();
    for (name, _) in ARROWS {
        for file in sources(name) {
            let functions = functions(&fs::read_to_string(&file).expect("a source file"));
            for (signature, length) in functions {
                assert!(length <= 60, "{length} lines in {}: {signature}", file.display());
                lengths.push(length);
            }
        }
    }
    lengths.sort_unstable();
    let at = |percent: usize| lengths.get(lengths.len().saturating_mul(percent) / 100);
    let (median, p95) = (at(50).copied().unwrap_or_default(), at(95).copied().unwrap_or_default());
    println!("{} functions, median {median} lines, 95th percentile {p95}", lengths.len());
    assert!(median < 8, "the median function has {median} lines");
}

#[test]
fn the_statistic_counts_what_a_reader_would_count() {
    let source = "/// fn not_this() {\nfn one() { 1 }\n\npub async fn two(\n    a: u8,\n) -> u8 {\n    // a comment\n    let b = a;\n\n    b\n}\n    fn no_body(&self);\n";
    let lengths: Vec<_> = functions(source).into_iter().map(|(_, length)| length).collect();
    assert_eq!(lengths, [1, 2]);
}

/// The workspace's packages by their short names.
fn packages() -> BTreeMap<String, Value> {
    let cargo = place::environment("CARGO").unwrap_or_else(|| PathBuf::from("cargo"));
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(place::checkout())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's metadata");
    array(&metadata, "packages").map(|package| (short(&text(&package, "name")), package)).collect()
}

fn short(name: &str) -> String {
    name.strip_prefix("countersign-").unwrap_or(name).to_owned()
}

/// The crates of the house that a package names, with the kind of the dependency.
fn house(package: &Value) -> BTreeSet<(String, String)> {
    let ours = |name: &str| name.starts_with("countersign");
    let needed = dependencies(package).filter(|(name, _)| ours(name));
    needed.map(|(name, kind)| (short(&name), kind)).collect()
}

fn dependencies(package: &Value) -> impl Iterator<Item = (String, String)> {
    array(package, "dependencies").map(|needed| (text(&needed, "name"), text(&needed, "kind")))
}

fn array(value: &Value, field: &str) -> impl Iterator<Item = Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default().into_iter()
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Every source file of a crate that is not a test.
fn sources(name: &str) -> Vec<PathBuf> {
    let root = place::checkout();
    let beside = ["tests", "bench"].contains(&name);
    let folder = if beside { root.join(name) } else { root.join("crates").join(name) };
    let mut files = Vec::new();
    gather(&folder.join("src"), &mut files);
    assert!(!files.is_empty(), "{} has no sources", folder.display());
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "tests.rs"));
    files
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => gather(&path, files),
            Some(extension) if extension == "rs" => files.push(path),
            Some(_) | None => {}
        }
    }
}

/// A file without its comments and its tests.
fn code_of(file: &Path) -> String {
    let source = fs::read_to_string(file).expect("a source file");
    let before_tests = source.split("#[cfg(test)]").next().unwrap_or_default().lines();
    let code = before_tests.filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// Whether `code` names `word`, and not only something that ends like it.
fn mentions(code: &str, word: &str) -> bool {
    let part_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(part_of_a_name)
    })
}

/// Each function's first line and the length of its body, counted as the lint `too_many_lines` counts: no
/// signature, no closing brace, no comments, no empty lines.
fn functions(source: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| opens_function(line));
    starts
        .filter_map(|(start, line)| Some(((*line).to_owned(), length(lines.get(start..)?)?)))
        .collect()
}

fn opens_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let modifier = |word: &&str| {
        ["pub", "const", "async", "unsafe", "extern"].contains(word) || word.starts_with("pub(")
    };
    words.find(|word| !modifier(word)) == Some("fn")
}

/// Lines between the brace that opens the body and the one that closes it, which rustfmt puts under the
/// function's first character; none without a body.
fn length(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    let indent: String = first.chars().take_while(|letter| *letter == ' ').collect();
    let closing = format!("{indent}}}");
    let opening = lines.iter().position(|line| line.ends_with('{') || line.ends_with('}'))?;
    let bodiless = lines.iter().position(|line| line.ends_with(';'));
    if bodiless.is_some_and(|bodiless| bodiless < opening) {
        return None;
    }
    if first.ends_with('}') {
        return Some(1);
    }
    let body = lines.iter().skip(opening.saturating_add(1)).take_while(|line| **line != closing);
    let code = body.filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
    Some(code.count())
}
