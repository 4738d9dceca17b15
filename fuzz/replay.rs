//! The inputs worth keeping, run again by the ordinary tests: each crate with fuzz targets includes this file.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use super::TARGETS;

/// What is kept of one target, smallest name first.
fn corpus(target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = fs::read_dir(root.join(target)).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_input_that_was_kept_still_holds() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "nothing is kept for {name}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(catch_unwind(|| target(&bytes)).is_ok(), "{}", file.display());
        }
    }
}

#[test]
fn nothing_at_all_is_an_input() {
    for (_, target) in TARGETS {
        target(b"");
    }
}
