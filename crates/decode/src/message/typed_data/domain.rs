//! The domain: who is meant to verify the signature, and on which chain.

use alloy_primitives::{Address, B256, U256, keccak256};
use countersign_core::{abi::AbiValue, identity::ChainId, json::Json};

use super::{
    fault::{Fault, Inside},
    hash,
    schema::{self, Field, Kind},
    value,
};

/// The name that is reserved for the domain's own type.
pub(super) const DOMAIN_TYPE: &str = "EIP712Domain";

/// A domain on which both readings agree: that of the fields that are there, and that of the fields that
/// `types.EIP712Domain` lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Domain {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) chain: Option<ChainId>,
    pub(crate) contract: Option<Address>,
    pub(crate) salt: Option<B256>,
}

/// The fields that a domain can have, in their order.
fn fields() -> [Field; 5] {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind };
    [
        field("name", Kind::Text),
        field("version", Kind::Text),
        field("chainId", Kind::Uint(256)),
        field("verifyingContract", Kind::Address),
        field("salt", Kind::FixedBytes(32)),
    ]
}

impl Domain {
    /// Some libraries hash the fields that are there, others those that are listed, in the listed order. Where
    /// these are not the same, nobody could say what was signed.
    pub(super) fn parse(json: &Json, listed: &[Field]) -> Result<Self, Fault> {
        let known = fields();
        let in_order: Vec<&Field> = known.iter().filter(|field| listed.contains(field)).collect();
        if !listed.iter().eq(in_order) {
            return Err(Fault::at(
                "types.EIP712Domain",
                "must list string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, or some of them in this order",
            ));
        }
        let members = json.as_object().ok_or_else(|| Fault::at("domain", "is not an object"))?;
        let mut domain = Self::default();
        for (name, json) in members {
            let field = listed
                .iter()
                .find(|field| field.name == *name)
                .ok_or_else(|| Fault::at(name, "is not listed in types.EIP712Domain"))
                .inside("domain")?;
            domain.take(field, json).inside(name).inside("domain")?;
        }
        match listed.iter().find(|field| members.iter().all(|(name, _)| *name != field.name)) {
            None => Ok(domain),
            Some(field) => {
                let reason = "is listed in types.EIP712Domain, but missing";
                Err(Fault::at(&field.name, reason)).inside("domain")
            }
        }
    }

    fn take(&mut self, field: &Field, json: &Json) -> Result<(), Fault> {
        match (field.name.as_str(), value::read_single(&field.kind, json)?) {
            ("name", AbiValue::Text(name)) => self.name = Some(name),
            ("version", AbiValue::Text(version)) => self.version = Some(version),
            ("chainId", AbiValue::Uint(id)) => {
                let id = u64::try_from(id).map_err(|_| Fault::at("", "is not a chain's id"))?;
                self.chain = Some(ChainId(id));
            }
            ("verifyingContract", AbiValue::Address(contract)) => self.contract = Some(contract),
            ("salt", AbiValue::Bytes(salt)) => self.salt = B256::try_from(&salt[..]).ok(),
            _ => return Err(Fault::at("", "is not a field of a domain")),
        }
        Ok(())
    }

    /// The fields that it has, by the standard's names.
    pub(crate) fn to_value(&self) -> AbiValue {
        let values = [
            self.name.clone().map(AbiValue::Text),
            self.version.clone().map(AbiValue::Text),
            self.chain.map(|chain| AbiValue::Uint(U256::from(chain.0))),
            self.contract.map(AbiValue::Address),
            self.salt.map(|salt| AbiValue::Bytes(salt.to_vec().into())),
        ];
        let named = fields().into_iter().zip(values);
        AbiValue::Tuple(
            named.filter_map(|(field, value)| value.map(|value| (field.name, value))).collect(),
        )
    }

    fn present(&self) -> Vec<Field> {
        let has = |field: &Field| self.to_value().at(&field.name).is_some();
        fields().into_iter().filter(has).collect()
    }

    /// Its fields as `types.EIP712Domain` lists them.
    pub(super) fn listed(&self) -> Json {
        schema::list(&self.present())
    }

    /// `hashStruct` of the domain.
    pub(super) fn separator(&self) -> B256 {
        let fields = self.present();
        let listed: Vec<String> =
            fields.iter().map(|field| format!("{} {}", field.kind, field.name)).collect();
        let type_hash = keccak256(format!("{DOMAIN_TYPE}({})", listed.join(",")));
        hash::flat(type_hash, &fields, &self.to_value())
    }
}
