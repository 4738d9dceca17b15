//! Who and what: agents, wallets, operators, chains, operations, and the digests that name things.

use std::{fmt, str::FromStr};

use alloy_primitives::B256;
use serde::{Deserialize, Deserializer, Serialize};

/// A name that may appear in a configuration, a route or a store key: `^[a-z0-9-]{1,63}$`.
fn parse_name(text: &str) -> Result<Box<str>, IdentityError> {
    let fits = (1..=63).contains(&text.len());
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && plain { Ok(text.into()) } else { Err(IdentityError::Name(text.into())) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads a name; refuses anything but `^[a-z0-9-]{1,63}$`.
            pub fn parse(text: &str) -> Result<Self, IdentityError> {
                parse_name(text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Who asks.
    AgentId
);
name!(
    /// An address with its signer, as the configuration names it.
    WalletId
);
name!(
    /// Who approves.
    OperatorId
);
name!(
    /// The tenant: every key of a store and every route of the API carries it.
    AppId
);

/// An EVM chain id (EIP-155).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainId(pub u64);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The life of one intent, from decision to settlement: `op_` and 128 random bits in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId([u8; 16]);

impl OperationId {
    /// An id from 16 random bytes of the caller.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op_{}", hex::encode(self.0))
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperationId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || IdentityError::Operation(text.into());
        let digits = text.strip_prefix("op_").ok_or_else(wrong)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let mut bytes = [0_u8; 16];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl Serialize for OperationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub B256);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdentityError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let wrong = || IdentityError::Digest { prefix: $prefix, text: text.into() };
                let digits = text.strip_prefix($prefix).ok_or_else(wrong)?;
                let mut bytes = [0_u8; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
                Ok(Self(B256::from(bytes)))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest!(
    /// The SHA-256 of a decision record: names one trace for ever.
    TraceHash,
    "0x"
);
digest!(
    /// The SHA-256 of a policy's canonical JSON.
    PolicyId,
    "sha256:"
);
digest!(
    /// What makes two requests "the same payload" (CONTRACT §3, Repeating).
    Fingerprint,
    "0x"
);
digest!(
    /// What an approver binds: payload, gas, fee ceiling, gates, expiry and evidence.
    ApprovalDigest,
    "0x"
);
digest!(
    /// The SHA-256 of an agent-chosen idempotency key, scoped to the agent; the key itself is never stored.
    KeyHash,
    ""
);

/// A name or digest that does not have its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not `^[a-z0-9-]{1,63}$`.
    #[error("`{0}` is not a name: use 1 to 63 of a-z, 0-9 and -")]
    Name(String),
    /// Not `op_` and 32 lower-case hex digits.
    #[error("`{0}` is not an operation id: expected op_ and 32 hex digits")]
    Operation(String),
    /// Not a 32-byte digest in hex behind its prefix.
    #[error("`{text}` is not a digest: expected {prefix} and 64 hex digits")]
    Digest {
        /// The prefix that was expected.
        prefix: &'static str,
        /// What was given.
        text: String,
    },
}
