//! A passkey's word as browsers give it: `credential.toJSON()`.

use countersign_core::approval::passkey::{Assertion, CREDENTIAL_ID_MAX};
use serde::{Deserialize, de::IgnoredAny};

/// The longest credential id as text.
const CREDENTIAL_TEXT_MAX: usize = CREDENTIAL_ID_MAX * 4 / 3 + 4;

/// What `navigator.credentials.get()` came to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PublicKeyCredential {
    id: String,
    raw_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    response: AssertionResponse,
    #[serde(rename = "authenticatorAttachment")]
    _attachment: Option<IgnoredAny>,
    #[serde(rename = "clientExtensionResults")]
    _extensions: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

/// The same, read. Nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct SaidByPasskey {
    /// The credential's id, in base64url.
    pub(super) credential: String,
    pub(super) assertion: Assertion,
    /// Whose it is, as was said when it was made; nobody signs that.
    pub(super) user: Option<String>,
}

impl PublicKeyCredential {
    /// `None` where it does not have its form.
    pub(super) fn read(self) -> Option<SaidByPasskey> {
        let Self { id, raw_id, kind, response, .. } = self;
        let named = raw_id.is_none_or(|raw| raw == id)
            && kind.is_none_or(|kind| kind == "public-key")
            && id.len() <= CREDENTIAL_TEXT_MAX;
        let AssertionResponse { client_data, authenticator_data, signature, user_handle } =
            response;
        let assertion = Assertion::from_base64url([&client_data, &authenticator_data, &signature]);
        let assertion = assertion.filter(|_| named)?;
        Some(SaidByPasskey { credential: id, assertion, user: user_handle })
    }
}
