//! Where a request is addressed to: `/`, `/{chain}`, `/k/TOKEN`, `/k/TOKEN/{chain}`.

use countersign_core::identity::ChainId;
use countersign_engine::setup::Setup;

use crate::{
    answer::{Fault, PARAMS},
    credential::{Presented, TokenDigest},
};

/// A path of the agents' door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) presented: Presented,
    /// By id or name; `None` means the only one.
    pub(crate) chain: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Reads a path; `None` for one that is not of this door.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        let token = |text: &str| Presented::Token(TokenDigest::of(text.as_bytes()));
        match parts.as_slice() {
            [""] => Some(Self { presented: Presented::Nothing, chain: None }),
            ["k", text] if !text.is_empty() => Some(Self { presented: token(text), chain: None }),
            ["k", text, chain] if !text.is_empty() && !chain.is_empty() => {
                Some(Self { presented: token(text), chain: Some(chain) })
            }
            ["k"] => None,
            [chain] => Some(Self { presented: Presented::Nothing, chain: Some(chain) }),
            _ => None,
        }
    }

    /// The chain that the path names.
    pub(crate) fn chain(&self, setup: &Setup) -> Result<ChainId, Fault> {
        chain_named(self.chain, setup)
    }
}

/// The chain of an id or a name, or the only one.
pub(crate) fn chain_named(named: Option<&str>, setup: &Setup) -> Result<ChainId, Fault> {
    let mut chains = setup.chains.values();
    match (named, chains.next(), chains.next()) {
        (None, Some(only), None) => Ok(only.id),
        (None, _, _) => Err(Fault::new(
            PARAMS,
            "`path`: several chains are served; name one, as in /1 or /mainnet",
        )),
        (Some(named), _, _) => setup
            .chains
            .values()
            .find(|chain| chain.name == named || chain.id.to_string() == named)
            .map(|chain| chain.id)
            .ok_or_else(|| Fault::new(PARAMS, "`path`: this chain is not served here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_token_a_chain_both_or_none() {
        let token = Presented::Token(TokenDigest::of(b"T"));
        let none = Presented::Nothing;
        for (path, expected) in [
            ("/", Some((none, None))),
            ("/1", Some((none, Some("1")))),
            ("/anvil/", Some((none, Some("anvil")))),
            ("/k/T", Some((token, None))),
            ("/k/T/", Some((token, None))),
            ("/k/T/anvil", Some((token, Some("anvil")))),
            ("/k", None),
            ("/k/", None),
            ("/k//", None),
            ("/k//anvil", None),
            ("/k/T/anvil/x", None),
            ("/a/b", None),
            ("", None),
            ("*", None),
        ] {
            let place = Place::parse(path).map(|p| (p.presented, p.chain));
            assert_eq!(place, expected, "{path}");
        }
    }
}
