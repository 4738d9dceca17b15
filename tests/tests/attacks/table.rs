//! The vectors as one table: that no file, no attack and no proof of it is missing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use countersign_tests::place;

use crate::vector::{File, Row};

fn folder() -> PathBuf {
    place::checkout().join("tests/vectors")
}

fn files() -> Vec<String> {
    let names = folder().read_dir().expect("the folder of vectors").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_str().expect("a plain name").to_owned()
    });
    names.filter(|name| Path::new(name).extension().is_some_and(|ext| ext == "json")).collect()
}

fn rows() -> Vec<Row> {
    let read = |name: String| {
        let text = fs::read_to_string(folder().join(&name)).expect("a file of vectors");
        let file: File = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        file.rows
    };
    files().into_iter().flat_map(read).collect()
}

pub(crate) fn every_file_is_run(run: &[&str]) {
    for name in files() {
        assert!(run.contains(&name.as_str()), "nobody runs {name}");
    }
}

pub(crate) fn each_id_has_a_row() {
    let rows = rows();
    let there: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    for name in ["money.ids", "judgement.ids", "operators.ids"] {
        let list = fs::read_to_string(folder().join(name)).expect("the list of ids");
        let missing: Vec<&str> = list.split_whitespace().filter(|id| !there.contains(id)).collect();
        assert!(missing.is_empty(), "{name}: no row for {missing:?}");
    }
}

/// `path::name`: a function of that name in the file, or a row of a table by its text.
pub(crate) fn each_proof_is_there() {
    let proofs = rows().into_iter().flat_map(|row| {
        let name = row.name();
        row.proved_by.into_iter().map(move |proof| (name.clone(), proof))
    });
    for (row, proof) in proofs {
        let (path, name) = proof.split_once("::").expect("a path and a name");
        let file = place::checkout().join(path);
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{row}: {path}: {error}"));
        let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("\"{name}\""));
        assert!(there, "{row}: no `{name}` in {path}");
    }
}
