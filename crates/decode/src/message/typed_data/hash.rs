//! `encodeData` and `hashStruct` of EIP-712.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use countersign_core::abi::AbiValue;

use super::{
    schema::{Field, Kind, Schema},
    value,
};

pub(super) fn digest(separator: B256, message: B256) -> B256 {
    keccak256([&[0x19, 0x01][..], separator.as_slice(), message.as_slice()].concat())
}

/// `hashStruct` of the root.
pub(super) fn message(schema: &Schema, message: &AbiValue) -> B256 {
    let hashes = schema.names().map(|name| (name, keccak256(schema.encode_type(name)))).collect();
    Types { schema, hashes }.structure(schema.primary(), message)
}

/// `hashStruct` of a struct whose fields are no structs.
pub(super) fn flat(type_hash: B256, fields: &[Field], value: &AbiValue) -> B256 {
    let mut bytes = type_hash.to_vec();
    for (field, value) in fields.iter().zip(members(value)) {
        bytes.extend_from_slice(single(&field.kind, value).as_slice());
    }
    keccak256(bytes)
}

/// The types with their hashes: each is hashed once, however often it occurs.
struct Types<'s> {
    schema: &'s Schema,
    hashes: BTreeMap<&'s str, B256>,
}

impl Types<'_> {
    fn structure(&self, name: &str, value: &AbiValue) -> B256 {
        let mut bytes = self.hashes.get(name).map_or_else(Vec::new, |hash| hash.to_vec());
        for (field, value) in self.schema.fields(name).iter().zip(members(value)) {
            bytes.extend_from_slice(self.encode(&field.kind, value).as_slice());
        }
        keccak256(bytes)
    }

    fn encode(&self, kind: &Kind, value: &AbiValue) -> B256 {
        match (kind, value) {
            (Kind::Struct(name), value) => self.structure(name, value),
            (Kind::List(item) | Kind::Array(item, _), AbiValue::List(items)) => {
                let encoded = items.iter().flat_map(|value| self.encode(item, value));
                keccak256(encoded.collect::<Vec<u8>>())
            }
            (kind, value) => single(kind, value),
        }
    }
}

fn members(value: &AbiValue) -> impl Iterator<Item = &AbiValue> {
    let members = if let AbiValue::Tuple(members) = value { members.as_slice() } else { &[] };
    members.iter().map(|(_, value)| value)
}

fn single(kind: &Kind, value: &AbiValue) -> B256 {
    match (kind, value) {
        (Kind::FixedBytes(_), AbiValue::Bytes(bytes)) => B256::right_padding_from(bytes),
        (_, AbiValue::Bytes(bytes)) => keccak256(bytes),
        (_, AbiValue::Text(text)) => keccak256(text),
        (_, value) => value::word(value).unwrap_or_default(),
    }
}
