//! Wallets that code acts for (EIP-7702). No method here signs an authorisation: where a chain shows one of a key that
//! is here, somebody else has used the key, and what leaves the account is not bounded by any limit any more.

use alloy_primitives::{Address, Bytes};
use countersign_core::trace::Severity;
use futures_util::future::join_all;

use crate::{
    engine::{Engine, Told},
    port::{
        chain::{ReadAnswer, ReadCall},
        journal::{IncidentQuery, JournalError},
    },
    setup::{ChainSetup, WalletSetup},
};

/// The code of the incident.
const DELEGATED: &str = "wallet_delegated";

/// What an account's code begins with where other code acts as it.
const DESIGNATOR: [u8; 3] = [0xef, 0x01, 0x00];

/// How many of the newest incidents are searched for one that has been raised before.
const INCIDENTS_MAX: u32 = 1000;

impl Engine {
    /// Asks each chain for the code of each wallet whose key is here.
    pub(crate) async fn look_for_delegations(&self) {
        let setup = self.setup();
        let held = setup.wallets.values().filter(|wallet| !wallet.signer.is_external());
        let looks = held.flat_map(|wallet| {
            setup.chains.values().map(move |chain| self.look_for_delegation(chain, wallet))
        });
        join_all(looks).await;
    }

    /// What cannot be read, frozen or told now is at the next look.
    async fn look_for_delegation(&self, chain: &ChainSetup, wallet: &WalletSetup) {
        let Some(delegate) = delegate_of(chain, wallet.address).await else { return };
        let told = Told::Delegated(chain.id, wallet.address, delegate);
        if self.has_told(&told) {
            return;
        }
        let title = format!(
            "the code at {delegate} acts as the wallet {} on chain {}: limits do not hold it",
            wallet.id, chain.id
        );
        let was_raised = self.was_raised(&title).await;
        if was_raised == Ok(true) {
            // whoever has lifted that freeze knows why
            self.tells(told);
            return;
        }
        let why = format!("the code at {delegate} acts as it on chain {}", chain.id);
        if let Err(error) = self.distrust(&wallet.id, &why).await {
            tracing::error!(wallet = %wallet.id, %error, "a delegated wallet could not be frozen");
            return;
        }
        // frozen whatever the journal says; whether people know of it is asked at the next look
        if let Err(error) = was_raised {
            tracing::error!(wallet = %wallet.id, %error, "whether a delegation is known cannot be read");
            return;
        }
        self.tells(told);
        let text = "Its key signed an authorisation (EIP-7702) that was not made here. The wallet is frozen. Where this is meant, lift the freeze: for this delegate it is not set again.";
        let cause = format!("{}@{} {delegate}", wallet.id, chain.id);
        let of = (DELEGATED, cause.as_str());
        self.report(Severity::Critical, of, (&title, text.into()), None).await;
    }

    /// Whether another process has told people of it, and frozen the wallet, before.
    async fn was_raised(&self, title: &str) -> Result<bool, JournalError> {
        let query = IncidentQuery { limit: INCIDENTS_MAX, ..IncidentQuery::default() };
        let page = self.ports().journal.incidents(&query).await?;
        Ok(page.items.iter().any(|known| known.code == DELEGATED && known.title == title))
    }
}

/// The code that acts as an account; `None` where there is none, or no node answers.
async fn delegate_of(chain: &ChainSetup, account: Address) -> Option<Address> {
    let call = ReadCall { method: "eth_getCode", params: format!(r#"["{account:#x}","latest"]"#) };
    match chain.port.read(call).await.ok()? {
        ReadAnswer::Result(text) => designated(&serde_json::from_slice::<Bytes>(&text).ok()?),
        ReadAnswer::Error { .. } => None,
    }
}

fn designated(code: &[u8]) -> Option<Address> {
    let address: [u8; 20] = code.strip_prefix(&DESIGNATOR)?.try_into().ok()?;
    Some(Address::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_designator_names_a_delegate() {
        let delegate = Address::repeat_byte(7);
        let whole = [&DESIGNATOR[..], delegate.as_slice()].concat();
        assert_eq!(designated(&whole), Some(delegate));
        for other in
            [&whole[..22], &[&whole[..], &[0]].concat(), &[], &[0xef, 0x01, 0x01], &whole[1..]]
        {
            assert_eq!(designated(other), None, "{other:?}");
        }
    }
}
