//! Every test that the page of promises names exists: what is published cannot outlive its proof.

use std::{fs, path::Path};

use countersign_tests::place;

/// The text between pairs of backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

fn is_file(name: &str) -> bool {
    let folder = ["crates/", "tests/"].iter().any(|folder| name.starts_with(folder));
    folder && [".rs", ".json"].iter().any(|kind| name.contains(kind))
}

/// What is wrong with one reference, if anything is.
fn missing(checkout: &Path, reference: &str) -> Option<String> {
    let (file, name) = reference.split_once("::").unwrap_or((reference, ""));
    let Ok(text) = fs::read_to_string(checkout.join(file)) else {
        return Some(format!("there is no {file}"));
    };
    let named = [format!("fn {name}("), format!("fn {name}<")];
    let found = name.is_empty() || named.iter().any(|form| text.contains(form));
    (!found).then(|| format!("{file} has no test {name}"))
}

#[test]
fn every_test_that_a_promise_names_exists() {
    let checkout = place::checkout();
    let page = fs::read_to_string(checkout.join("docs/promises.md")).expect("the page");
    let references: Vec<&str> = quoted(&page).filter(|name| is_file(name)).collect();
    assert!(references.len() > 40, "the page names its proofs: {references:?}");
    let wrong: Vec<String> =
        references.into_iter().filter_map(|reference| missing(&checkout, reference)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_promise_has_a_row() {
    let page = fs::read_to_string(place::checkout().join("docs/promises.md")).expect("the page");
    for number in 1..=22 {
        assert!(page.contains(&format!("\n| P{number} |")), "P{number}");
    }
}
