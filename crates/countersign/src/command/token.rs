//! `countersign token`

use std::fmt;

use countersign_core::identity::{AgentId, OperatorId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    cli::{Output, TokenCommand, TokenNewArgs},
    clock::fill,
    failure::Failure,
    screen::{complain, say},
};

/// A secret of 256 bits, with a prefix that secret scanners can know.
pub(crate) struct Token(SecretString);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A token that exists already.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// The token itself.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the configuration keeps: the SHA-256 of the token's bytes, in hex.
    pub(crate) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.expose().as_bytes()))
    }
}

/// A fresh token.
pub(crate) fn fresh() -> Token {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes);
    Token(format!("cs_{}", hex::encode(bytes)).into())
}

/// Prints a token once, with its hash.
pub(crate) fn run(command: TokenCommand) -> Result<(), Failure> {
    let TokenCommand::New(TokenNewArgs { agent, operator, output }) = command;
    let (what, name) = match (agent, operator) {
        (Some(name), _) => ("agent", AgentId::parse(&name).map(|id| id.to_string())),
        (None, name) => {
            ("operator", OperatorId::parse(&name.unwrap_or_default()).map(|id| id.to_string()))
        }
    };
    let name = name.map_err(|error| Failure::refused(error.to_string()))?;
    let token = fresh();
    match output.output {
        Output::Json => {
            say(json!({ what: name, "token": token.expose(), "token_sha256": token.digest() })
                .to_string());
        }
        Output::Table => {
            say(format!("token: {}", token.expose()));
            say(format!("token_sha256: \"{}\"", token.digest()));
            complain(format!(
                "give the token to the {what} `{name}` now: it is kept nowhere; put token_sha256 into the configuration"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_unique_and_never_in_debug() {
        let (one, other) = (fresh(), fresh());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 67);
        assert_eq!(format!("{one:?}"), "Token(..)");
    }

    #[test]
    fn the_digest_is_that_of_the_tokens_bytes() {
        let token = Token::from_text("abc");
        assert_eq!(
            token.digest(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
