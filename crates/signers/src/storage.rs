//! Web3 Secret Storage, version 3: a private key under a password. Pure but for the random bytes of
//! a new file.

use std::fmt;

use aes::cipher::{KeyIvInit, StreamCipher};
use alloy_primitives::keccak256;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::narrow;

type Cipher = ctr::Ctr128BE<aes::Aes128>;
/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";
/// 128 × n × r bytes are filled while a file is unlocked.
const SCRYPT_MEMORY_MAX: u64 = 1 << 30;
const SCRYPT_P_MAX: u32 = 64;
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// What `cast wallet new` writes, in n × r × p; less than that is weak.
const SCRYPT_WORK_MIN: u64 = 8192 * 8;
const PBKDF2_ROUNDS_MIN: u32 = 100_000;

/// How much work it is to try one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// scrypt with n = 2^18: 256 MiB and about a second; what geth writes.
    Standard,
    /// scrypt with n = 2^12: a few milliseconds. For tests and `dev` keys only; opening such a file
    /// gives a [`Weakness`].
    Light,
}

impl Cost {
    const fn n(self) -> u32 {
        match self {
            Self::Standard => 1 << 18,
            Self::Light => 1 << 12,
        }
    }
}

/// A key file whose password can be guessed cheaply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weakness(());

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its password can be guessed cheaply: import the key again at standard cost")
    }
}

/// The file, as it is stored. Members that we do not know are other programs' notes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    #[serde(with = "hex")]
    ciphertext: Vec<u8>,
    #[serde(flatten)]
    kdf: Kdf,
    #[serde(with = "hex")]
    mac: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    #[serde(with = "hex")]
    iv: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt {
        dklen: u32,
        n: u32,
        p: u32,
        r: u32,
        #[serde(with = "hex")]
        salt: Vec<u8>,
    },
    Pbkdf2 {
        c: u32,
        dklen: u32,
        prf: String,
        #[serde(with = "hex")]
        salt: Vec<u8>,
    },
}

impl Stored {
    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, StorageError> {
        let stored: Self = serde_json::from_str(text)
            .map_err(|error| StorageError::Malformed(error.to_string()))?;
        if stored.version != 3 {
            return Err(StorageError::Unsupported(format!("version {}", stored.version)));
        }
        Ok(stored)
    }

    /// Encrypts a key under a password.
    pub(crate) fn seal(
        secret: &Secret,
        address: String,
        password: &[u8],
        cost: Cost,
    ) -> Result<Self, StorageError> {
        let (salt, iv, id) = (random::<32>()?, random::<16>()?, random::<16>()?);
        let kdf = Kdf::Scrypt { dklen: 32, n: cost.n(), p: 1, r: 8, salt: salt.to_vec() };
        let derived = kdf.derive(password)?;
        let mut ciphertext = secret.to_vec();
        apply_cipher(&derived, &iv, &mut ciphertext)?;
        let crypto = Crypto {
            cipher: CIPHER.into(),
            cipherparams: CipherParams { iv: iv.to_vec() },
            mac: mac(&derived, &ciphertext),
            ciphertext,
            kdf,
        };
        Ok(Self { address: Some(address), crypto, id: Some(uuid(id)), version: 3 })
    }

    /// Decrypts the key.
    pub(crate) fn unseal(&self, password: &[u8]) -> Result<Secret, StorageError> {
        let Crypto { cipher, cipherparams, ciphertext, kdf, mac: stored_mac } = &self.crypto;
        if cipher != CIPHER {
            return Err(StorageError::Unsupported(format!("cipher `{cipher}`")));
        }
        let mut secret: Secret =
            Zeroizing::new(ciphertext.as_slice().try_into().map_err(|_| malformed("ciphertext"))?);
        let derived = kdf.derive(password)?;
        if mac(&derived, ciphertext) != *stored_mac {
            return Err(StorageError::Password);
        }
        apply_cipher(&derived, &cipherparams.iv, secret.as_mut_slice())?;
        Ok(secret)
    }

    /// What the file says whose key it holds; anybody may have written that.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Whether opening it takes no time worth counting.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_cheap(&self) -> bool {
        match &self.crypto.kdf {
            Kdf::Scrypt { n, p, r, .. } => product([*n, *r, *p]) <= 1024,
            Kdf::Pbkdf2 { c, .. } => *c <= 100,
        }
    }

    /// Whether trying passwords is cheap.
    pub(crate) fn weakness(&self) -> Option<Weakness> {
        let is_weak = match &self.crypto.kdf {
            Kdf::Scrypt { n, p, r, .. } => product([*n, *r, *p]) < SCRYPT_WORK_MIN,
            Kdf::Pbkdf2 { c, .. } => *c < PBKDF2_ROUNDS_MIN,
        };
        is_weak.then_some(Weakness(()))
    }
}

impl Kdf {
    fn derive(&self, password: &[u8]) -> Result<Secret, StorageError> {
        let mut derived = Zeroizing::new([0_u8; 32]);
        match self {
            Self::Scrypt { dklen, n, p, r, salt } => {
                length(*dklen)?;
                scrypt_key(password, salt, [*n, *r, *p], &mut derived)?;
            }
            Self::Pbkdf2 { c, dklen, prf, salt } => {
                length(*dklen)?;
                if prf != PRF {
                    return Err(StorageError::Unsupported(format!("prf `{prf}`")));
                }
                if !(1..=PBKDF2_ROUNDS_MAX).contains(c) {
                    return Err(malformed("kdfparams.c"));
                }
                let derived = derived.as_mut_slice();
                pbkdf2::pbkdf2::<hmac::Hmac<Sha256>>(password, salt, *c, derived);
            }
        }
        Ok(derived)
    }
}

/// Bounded: a file must not be able to fill the memory of who opens it.
fn scrypt_key(
    password: &[u8],
    salt: &[u8],
    [n, r, p]: [u32; 3],
    derived: &mut Secret,
) -> Result<(), StorageError> {
    let fits = product([128, n, r]) <= SCRYPT_MEMORY_MAX && (1..=SCRYPT_P_MAX).contains(&p);
    if !fits || r == 0 || n < 2 || !n.is_power_of_two() {
        return Err(StorageError::Unsupported(format!("scrypt with n {n}, r {r}, p {p}")));
    }
    let (log_n, derived) = (n.trailing_zeros(), derived.as_mut_slice());
    if r == 1 {
        let lanes = usize::try_from(p).map_err(|_| malformed("kdfparams.p"))?;
        narrow::derive(password, salt, log_n, lanes, derived);
        return Ok(());
    }
    let log_n = u8::try_from(log_n).map_err(|_| malformed("kdfparams.n"))?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| malformed("kdfparams"))?;
    scrypt::scrypt(password, salt, &params, derived).map_err(|_| malformed("kdfparams"))
}

fn product(factors: [u32; 3]) -> u64 {
    factors.into_iter().map(u64::from).fold(1, u64::saturating_mul)
}

fn length(dklen: u32) -> Result<(), StorageError> {
    if dklen == 32 { Ok(()) } else { Err(StorageError::Unsupported(format!("dklen {dklen}"))) }
}

fn apply_cipher(derived: &Secret, iv: &[u8], bytes: &mut [u8]) -> Result<(), StorageError> {
    let (key, _) = derived.split_at(16);
    let mut cipher = Cipher::new_from_slices(key, iv).map_err(|_| malformed("cipherparams.iv"))?;
    cipher.try_apply_keystream(bytes).map_err(|_| malformed("ciphertext"))
}

fn mac(derived: &Secret, ciphertext: &[u8]) -> Vec<u8> {
    let (_, key) = derived.split_at(16);
    let input = Zeroizing::new([key, ciphertext].concat());
    keccak256(input.as_slice()).to_vec()
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StorageError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::Random(error.to_string()))?;
    Ok(bytes)
}

/// A random UUID (version 4) of 16 random bytes.
fn uuid(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let marked = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{marked:032x}");
    let mut groups = Vec::new();
    let mut rest = digits.as_str();
    for width in [8, 4, 4, 4, 12] {
        let (group, after) = rest.split_at(width);
        groups.push(group);
        rest = after;
    }
    groups.join("-")
}

fn malformed(what: &str) -> StorageError {
    StorageError::Malformed(format!("`{what}` does not have its form"))
}

/// Why a key cannot be taken out of its file, or put into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Not Web3 Secret Storage.
    #[error("it is not a web3 keystore: {0}")]
    Malformed(String),
    /// Web3 Secret Storage of a kind that is not read here.
    #[error(
        "{0} is not supported: expected version 3, aes-128-ctr, and scrypt or pbkdf2 within bounds"
    )]
    Unsupported(String),
    /// Not its password.
    #[error("the password is wrong")]
    Password,
    /// The operating system gave no random bytes.
    #[error("there are no random bytes: {0}")]
    Random(String),
}

#[cfg(test)]
mod tests;
