//! The approval that an Ethereum key signs: EIP-712 typed data with a domain of our own.

use alloy_primitives::{B256, U256, keccak256};
use serde_json::{Value, json};

use crate::{
    identity::{AppId, ApprovalDigest, OperationId},
    time::Timestamp,
};

/// The domain's name. There is no chain in the domain: an approval is for no contract.
pub const DOMAIN_NAME: &str = "Countersign";
/// The domain's version; another one is another form of what is signed.
pub const DOMAIN_VERSION: &str = "1";

const DOMAIN: &str = "EIP712Domain(string name,string version)";
const APPROVAL: &str =
    "Approval(string app,string operation,bytes32 digest,string decision,uint256 expires)";

/// What somebody decided. There is one word that can be signed: a no needs no key.
const DECISION: &str = "approve";

/// One approval, as it is signed. It names the tenant, the operation, the digest that was seen and its end, so that it
/// is worth nothing for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypedApproval<'a> {
    /// The tenant.
    pub app: &'a AppId,
    /// Which operation.
    pub operation: OperationId,
    /// What was seen.
    pub digest: ApprovalDigest,
    /// When the question lapses; signed in whole seconds since 1970, rounded down.
    pub expires_at: Timestamp,
}

impl TypedApproval<'_> {
    /// What the key signs: `keccak256(0x1901 ‖ domain ‖ struct)`.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        let domain =
            [keccak256(DOMAIN), keccak256(DOMAIN_NAME), keccak256(DOMAIN_VERSION)].concat();
        let approval = [
            keccak256(APPROVAL),
            keccak256(self.app.as_str()),
            keccak256(self.operation.to_string()),
            self.digest.0,
            keccak256(DECISION),
            B256::from(U256::from(self.expires_seconds())),
        ]
        .concat();
        keccak256([&[0x19, 0x01][..], &keccak256(domain).0[..], &keccak256(approval).0].concat())
    }

    /// The same for `eth_signTypedData_v4`.
    #[must_use]
    pub fn document(&self) -> Value {
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        json!({
            "types": {
                "EIP712Domain": [field("name", "string"), field("version", "string")],
                "Approval": [
                    field("app", "string"),
                    field("operation", "string"),
                    field("digest", "bytes32"),
                    field("decision", "string"),
                    field("expires", "uint256"),
                ],
            },
            "primaryType": "Approval",
            "domain": { "name": DOMAIN_NAME, "version": DOMAIN_VERSION },
            "message": {
                "app": self.app,
                "operation": self.operation,
                "digest": self.digest,
                "decision": DECISION,
                "expires": self.expires_seconds().to_string(),
            },
        })
    }

    /// Whether what is signed has ended: it is a part of a second shorter than the question.
    #[must_use]
    pub const fn has_expired(&self, at: Timestamp) -> bool {
        at.millis() / 1000 >= self.expires_seconds()
    }

    const fn expires_seconds(&self) -> u64 {
        self.expires_at.millis() / 1000
    }
}
