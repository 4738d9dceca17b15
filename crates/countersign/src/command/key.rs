//! `countersign key`

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use countersign_signers::{Cost, KeystoreError, create, import, read_address};
use secrecy::SecretString;
use serde_json::json;

use super::show_list;
use crate::{
    cli::{KeyCommand, Output},
    failure::Failure,
    screen::{complain, say},
    wiring::password,
};

/// Makes, imports and lists keystores. No command prints a key.
pub(crate) fn run(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::New { password_file, out } => {
            let password = password(&password_file).map_err(Failure::refused)?;
            made(&out, create(&out, &password, Cost::Standard))
        }
        KeyCommand::Import { private_key_file, password_file, out } => {
            let key = std::fs::read_to_string(&private_key_file).map_err(|error| {
                Failure::refused(format!("{}: {error}", private_key_file.display()))
            })?;
            let password = password(&password_file).map_err(Failure::refused)?;
            made(&out, import(&SecretString::from(key), &out, &password, Cost::Standard))
        }
        KeyCommand::List { paths, output } => list(&paths, output.output),
    }
}

fn made(out: &Path, address: Result<Address, KeystoreError>) -> Result<(), Failure> {
    let address = address.map_err(|error| match &error {
        KeystoreError::PrivateKey | KeystoreError::Exists(_) => Failure::refused(error.to_string()),
        KeystoreError::File { .. }
        | KeystoreError::Storage { .. }
        | KeystoreError::Address { .. } => Failure::failed(error.to_string()),
    })?;
    say(address.to_string());
    complain(format!(
        "written to {}: keep it and its password safe, there is no other copy",
        out.display()
    ));
    Ok(())
}

fn list(paths: &[PathBuf], output: Output) -> Result<(), Failure> {
    let mut items = Vec::new();
    for path in paths {
        let files = files_in(path)
            .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
        for file in files {
            match read_address(&file) {
                Ok(address) => {
                    let address = address.map(|address| address.to_string());
                    items.push(json!({ "file": file, "address": address }));
                }
                Err(error) if *path == file => return Err(Failure::failed(error.to_string())),
                // a folder may hold passwords beside keystores
                Err(_) => {}
            }
        }
    }
    let columns: [super::Column; 2] = [
        ("ADDRESS", |item| super::cell(item, "address")),
        ("FILE", |item| super::cell(item, "file")),
    ];
    show_list(&json!({ "items": items, "next_cursor": null }), output, &columns);
    Ok(())
}

fn files_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(path)?.collect();
    let mut files: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    Ok(files)
}
