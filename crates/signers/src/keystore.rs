//! A wallet's key from a keystore file.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Signature, U256};
use async_trait::async_trait;

use countersign_engine::{
    port::{Signer, signer::SignerError},
    stage::Authorized,
};
use k256::ecdsa::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    file,
    storage::{Cost, Secret, StorageError, Stored, Weakness, random},
};

/// A key in this process's memory, unlocked from a Web3 keystore. Wiped when dropped, never printed,
/// never given back. It does not protect against whoever can read this process's memory.
pub struct KeystoreSigner {
    address: Address,
    key: SigningKey,
    weakness: Option<Weakness>,
}

impl KeystoreSigner {
    /// Unlocks a keystore of version 3 (scrypt or PBKDF2). If the file names an address, the key has
    /// to be its key. Takes about a second and up to 1 GiB of memory: not for an async worker.
    pub fn open(keystore: &Path, password: &SecretString) -> Result<Self, KeystoreError> {
        let stored = read(keystore)?;
        let secret = stored
            .unseal(password.expose_secret().as_bytes())
            .map_err(|cause| KeystoreError::storage(keystore, cause))?;
        let (key, address) = unlock(&secret)?;
        let named = named_address(keystore, &stored)?;
        if let Some(named) = named.filter(|named| *named != address) {
            return Err(KeystoreError::Address { path: keystore.into(), named, address });
        }
        Ok(Self { address, key, weakness: stored.weakness() })
    }

    /// Set if the file's password can be guessed cheaply. The key works all the same.
    #[must_use]
    pub const fn weakness(&self) -> Option<Weakness> {
        self.weakness
    }

    /// RFC 6979 over a digest, with a low s.
    pub(crate) fn countersign(&self, digest: B256) -> Result<Signature, SignerError> {
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(digest.as_slice()).map_err(|error| {
                SignerError::Unavailable { address: self.address, reason: error.to_string() }
            })?;
        let (r, s) = signature.split_bytes();
        let (r, s) = (U256::from_be_slice(&r), U256::from_be_slice(&s));
        Ok(Signature::new(r, s, recovery.is_y_odd()))
    }
}

#[async_trait]
impl Signer for KeystoreSigner {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign(&self, authorized: &Authorized) -> Result<Signature, SignerError> {
        self.countersign(authorized.bound().digest())
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}

impl fmt::Debug for KeystoreSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeystoreSigner({})", self.address)
    }
}

/// Makes a new key and writes it to a new keystore file with mode 0600. Never replaces a file.
pub fn create(out: &Path, password: &SecretString, cost: Cost) -> Result<Address, KeystoreError> {
    let secret =
        Zeroizing::new(random::<32>().map_err(|cause| KeystoreError::storage(out, cause))?);
    write(out, &secret, password, cost)
}

/// Writes an existing key (64 hex digits, with or without 0x) to a new keystore file with mode 0600.
/// Never replaces a file.
pub fn import(
    private_key: &SecretString,
    out: &Path,
    password: &SecretString,
    cost: Cost,
) -> Result<Address, KeystoreError> {
    let text = private_key.expose_secret().trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut secret = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| KeystoreError::PrivateKey)?;
    write(out, &secret, password, cost)
}

/// The address that a keystore file names, without its password. `None` if it names none. Nobody has
/// proved yet that the key inside is that address's key.
pub fn read_address(keystore: &Path) -> Result<Option<Address>, KeystoreError> {
    named_address(keystore, &read(keystore)?)
}

fn read(path: &Path) -> Result<Stored, KeystoreError> {
    let text = file::read(path).map_err(|cause| KeystoreError::file(path, cause))?;
    Stored::parse(&text).map_err(|cause| KeystoreError::storage(path, cause))
}

fn write(
    out: &Path,
    secret: &Secret,
    password: &SecretString,
    cost: Cost,
) -> Result<Address, KeystoreError> {
    let (_, address) = unlock(secret)?;
    let stored =
        Stored::seal(secret, hex::encode(address), password.expose_secret().as_bytes(), cost)
            .map_err(|cause| KeystoreError::storage(out, cause))?;
    let text = serde_json::to_string_pretty(&stored)
        .map_err(|error| KeystoreError::file(out, io::Error::other(error)))?;
    file::write_new(out, &text).map_err(|cause| KeystoreError::file(out, cause))?;
    Ok(address)
}

fn unlock(secret: &Secret) -> Result<(SigningKey, Address), KeystoreError> {
    let key = SigningKey::from_slice(secret.as_slice()).map_err(|_| KeystoreError::PrivateKey)?;
    let point = key.verifying_key().to_encoded_point(false);
    let (_, coordinates) = point.as_bytes().split_first().ok_or(KeystoreError::PrivateKey)?;
    Ok((key, Address::from_raw_public_key(coordinates)))
}

fn named_address(path: &Path, stored: &Stored) -> Result<Option<Address>, KeystoreError> {
    let wrong = |text: &str| StorageError::Malformed(format!("`{text}` is not an address"));
    let parse = |text: &str| text.parse().map_err(|_| KeystoreError::storage(path, wrong(text)));
    stored.address().map(parse).transpose()
}

/// Why a keystore cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file system said no.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// There is a file of that name; it was left alone.
    #[error("{}: there is a file of this name, choose another or move it away", .0.display())]
    Exists(PathBuf),
    /// The file's content cannot be used.
    #[error("{}: {cause}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: StorageError,
    },
    /// The key is not the key of the address that the file names.
    #[error("{}: it names {named}, but holds the key of {address}", path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// What it says.
        named: Address,
        /// What is true.
        address: Address,
    },
    /// Not a private key of secp256k1.
    #[error("the private key is not 64 hex digits in the range of secp256k1")]
    PrivateKey,
}

impl KeystoreError {
    fn file(path: &Path, cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::AlreadyExists {
            return Self::Exists(path.into());
        }
        Self::File { path: path.into(), cause }
    }

    fn storage(path: &Path, cause: StorageError) -> Self {
        Self::Storage { path: path.into(), cause }
    }
}

#[cfg(test)]
mod tests;
