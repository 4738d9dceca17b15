//! Unlocking keystores, several at once.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use countersign_core::identity::WalletId;
use countersign_engine::port::Signer as _;
use countersign_signers::KeystoreSigner;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::at;
use crate::config::{Config, KeystoreEntry, Problem, WalletEntry, is_development};

/// Unlocking one may take a gigabyte: so many at once.
const AT_ONCE: usize = 4;

/// What makes two unlocked keys the same: the bytes of both files.
pub(super) type Recipe = [u8; 32];

pub(super) type Keys = BTreeMap<WalletId, (Recipe, Arc<KeystoreSigner>)>;

/// Unlocks the key of every wallet that has one here; those that are known already are used again.
pub(super) fn unlock(
    config: &Config,
    known: &Keys,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Keys {
    let mut keys = Keys::new();
    let held: Vec<Held<'_>> =
        config.wallets.iter().filter_map(|wallet| Some((wallet, wallet.keystore()?))).collect();
    for ((wallet, _), opened) in held.iter().zip(open_all(&held, known)) {
        let (recipe, key) = match opened {
            Ok(opened) => opened,
            Err(message) => {
                problems.push(at(config, wallet.place, message));
                continue;
            }
        };
        if key.address() != wallet.address {
            let (id, held, said) = (&wallet.id, key.address(), wallet.address);
            let message = format!("the keystore of `{id}` holds the key of {held}, not of {said}");
            problems.push(at(config, wallet.place, message));
        }
        if let Some(weakness) = key.weakness() {
            let weak =
                at(config, wallet.place, format!("the keystore of `{}`: {weakness}", wallet.id));
            let development = config.chains.iter().all(|chain| is_development(chain.id));
            if development { warnings.push(weak) } else { problems.push(weak) }
        }
        keys.insert(wallet.id.clone(), (recipe, key));
    }
    keys
}

/// A wallet whose key is here, with its files.
type Held<'a> = (&'a WalletEntry, &'a KeystoreEntry);

type Opened = Result<(Recipe, Arc<KeystoreSigner>), String>;

/// In the order of the wallets.
fn open_all(wallets: &[Held<'_>], known: &Keys) -> Vec<Opened> {
    let next = AtomicUsize::new(0);
    let opened: Mutex<BTreeMap<usize, Opened>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(wallets.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((wallet, entry)) = wallets.get(index) else { break };
                    let key = open(&wallet.id, entry, known);
                    opened.lock().unwrap_or_else(PoisonError::into_inner).insert(index, key);
                }
            });
        }
    });
    opened.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn open(wallet: &WalletId, entry: &KeystoreEntry, known: &Keys) -> Opened {
    let recipe = recipe(entry)?;
    if let Some((_, key)) = known.get(wallet).filter(|(of, _)| *of == recipe) {
        return Ok((recipe, Arc::clone(key)));
    }
    let password = password(&entry.password_file)?;
    let key =
        KeystoreSigner::open(&entry.keystore, &password).map_err(|error| error.to_string())?;
    Ok((recipe, Arc::new(key)))
}

fn recipe(entry: &KeystoreEntry) -> Result<Recipe, String> {
    let mut hasher = Sha256::new();
    for file in [&entry.keystore, &entry.password_file] {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        hasher.update(Sha256::digest(zeroize::Zeroizing::new(bytes).as_slice()));
    }
    Ok(hasher.finalize().into())
}

/// The first line of a file, without its end.
pub(crate) fn password(file: &Path) -> Result<SecretString, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let text = zeroize::Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("{}: the first line is empty: it is the password", file.display()));
    }
    Ok(line.to_owned().into())
}
