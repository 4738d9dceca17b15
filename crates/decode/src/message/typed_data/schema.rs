//! The types of a message: what its fields are called, in which order, and what they may hold.

use std::{collections::BTreeMap, fmt, fmt::Write};

use countersign_core::json::Json;

use super::{
    domain::DOMAIN_TYPE,
    fault::{Fault, Inside},
};

/// The most types that may be declared.
const TYPES_MAX: usize = 64;
/// The most fields that all types may have together.
const FIELDS_MAX: usize = 512;
/// The most fields that one type may have: a value of it is read by looking each of them up.
const STRUCT_FIELDS_MAX: usize = 64;
/// The longest name of a type or a field.
const NAME_BYTES_MAX: usize = 64;
/// How deep structs may lie in each other.
const STRUCT_DEPTH_MAX: usize = 16;
/// How many brackets a type may have: `uint256[][3]` has 2.
const BRACKETS_MAX: usize = 4;
/// The longest array of a fixed length.
const LENGTH_MAX: usize = 4096;

/// The types that the root reaches. Every name is defined, and none refers to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    primary: String,
    structs: BTreeMap<String, Vec<Field>>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    Bool,
    Text,
    Bytes,
    FixedBytes(usize),
    Uint(usize),
    Int(usize),
    Struct(String),
    List(Box<Kind>),
    Array(Box<Kind>, usize),
}

impl Schema {
    /// The types, and the fields that `EIP712Domain` lists.
    pub(super) fn parse(json: &Json, primary: &str) -> Result<(Self, Vec<Field>), Fault> {
        let declared = json.as_object().ok_or_else(|| Fault::at("types", "is not an object"))?;
        if declared.len() > TYPES_MAX {
            return Err(Fault::at("types", format!("has more than {TYPES_MAX} types")));
        }
        let mut structs = BTreeMap::new();
        for (name, fields) in declared {
            let fields = read_struct(name, fields).inside(name).inside("types")?;
            structs.insert(name.clone(), fields);
        }
        if structs.values().map(Vec::len).sum::<usize>() > FIELDS_MAX {
            return Err(Fault::at("types", format!("has more than {FIELDS_MAX} fields")));
        }
        let listed = structs.remove(DOMAIN_TYPE).ok_or_else(|| {
            Fault::at("types.EIP712Domain", "is missing; it lists the fields of the domain")
        })?;
        if primary == DOMAIN_TYPE {
            return Err(Fault::at("primaryType", "is the domain, which is no message"));
        }
        if !structs.contains_key(primary) {
            return Err(Fault::at("primaryType", "is not among the types"));
        }
        let mut schema = Self { primary: primary.to_owned(), structs };
        schema.measure()?;
        schema.forget_unreached();
        Ok((schema, listed))
    }

    pub(super) fn primary(&self) -> &str {
        &self.primary
    }

    /// The fields of a struct. Every name of the schema is defined, so an unknown one has none.
    pub(super) fn fields(&self, name: &str) -> &[Field] {
        self.structs.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.structs.keys().map(String::as_str)
    }

    /// `Mail(Person from,Person to)Person(string name)`: the struct, then what it refers to, sorted.
    pub(super) fn encode_type(&self, name: &str) -> String {
        let mut text = String::new();
        self.write_struct(&mut text, name);
        for referred in self.reached(name).into_iter().filter(|referred| *referred != name) {
            self.write_struct(&mut text, referred);
        }
        text
    }

    fn write_struct(&self, text: &mut String, name: &str) {
        text.push_str(name);
        text.push('(');
        for (index, field) in self.fields(name).iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // INVARIANT: writing to a string does not fail
            write!(text, "{comma}{} {}", field.kind, field.name).unwrap_or_default();
        }
        text.push(')');
    }

    /// The struct and all that it refers to, sorted by name.
    fn reached(&self, root: &str) -> std::collections::BTreeSet<&str> {
        let mut reached = std::collections::BTreeSet::new();
        let mut open: Vec<&str> =
            self.structs.get_key_value(root).map(|(name, _)| name.as_str()).into_iter().collect();
        while let Some(name) = open.pop() {
            if reached.insert(name) {
                open.extend(self.fields(name).iter().filter_map(|field| field.kind.referred()));
            }
        }
        reached
    }

    fn forget_unreached(&mut self) {
        let reached: Vec<String> =
            self.reached(&self.primary).into_iter().map(str::to_owned).collect();
        self.structs.retain(|name, _| reached.contains(name));
    }

    /// Refuses what is undefined, too deep or contains itself.
    fn measure(&self) -> Result<(), Fault> {
        let mut heights = BTreeMap::new();
        for name in self.structs.keys() {
            let height = self.height(name, &mut Vec::new(), &mut heights).inside("types")?;
            if height > STRUCT_DEPTH_MAX {
                return Err(Fault::at(name, "is nested too deeply")).inside("types");
            }
        }
        Ok(())
    }

    /// How many structs lie inside each other. `path` is what it is asked for: at most all types.
    fn height<'s>(
        &'s self,
        name: &'s str,
        path: &mut Vec<&'s str>,
        heights: &mut BTreeMap<&'s str, usize>,
    ) -> Result<usize, Fault> {
        if let Some(height) = heights.get(name) {
            return Ok(*height);
        }
        if path.contains(&name) {
            return Err(Fault::at(name, "contains itself"));
        }
        path.push(name);
        let mut below = 0;
        for field in self.fields(name) {
            let Some(referred) = field.kind.referred() else { continue };
            if !self.structs.contains_key(referred) {
                return Err(Fault::at(&field.name, "has a type that is not defined")).inside(name);
            }
            below = below.max(self.height(referred, path, heights)?);
        }
        path.pop();
        let height = below.saturating_add(1);
        heights.insert(name, height);
        Ok(height)
    }

    pub(super) fn to_json(&self) -> impl Iterator<Item = (String, Json)> {
        self.structs.iter().map(|(name, fields)| (name.clone(), list(fields)))
    }
}

/// Fields as `types` lists them.
pub(super) fn list(fields: &[Field]) -> Json {
    let text = |name: &str, value: String| (name.to_owned(), Json::Text(value));
    let field = |field: &Field| {
        Json::Object(vec![text("name", field.name.clone()), text("type", field.kind.to_string())])
    };
    Json::List(fields.iter().map(field).collect())
}

fn read_struct(name: &str, json: &Json) -> Result<Vec<Field>, Fault> {
    if !is_struct_name(name) {
        return Err(Fault::at("", "is not a name that a struct can have"));
    }
    let items = json.as_list().ok_or_else(|| Fault::at("", "is not an array of fields"))?;
    let mut fields: Vec<Field> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let field = read_field(item).inside(&format!("[{index}]"))?;
        if fields.iter().any(|other| other.name == field.name) {
            return Err(Fault::at(&field.name, "is a field twice"));
        }
        if fields.len() == STRUCT_FIELDS_MAX {
            return Err(Fault::at("", format!("has more than {STRUCT_FIELDS_MAX} fields")));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn read_field(json: &Json) -> Result<Field, Fault> {
    let members = json.as_object().ok_or_else(|| Fault::at("", "is not an object"))?;
    if let Some((name, _)) = members.iter().find(|(name, _)| name != "name" && name != "type") {
        return Err(Fault::at(name, "is neither `name` nor `type`"));
    }
    let text = |name: &str| {
        json.get(name).and_then(Json::as_text).ok_or_else(|| Fault::at(name, "is not a string"))
    };
    let (name, kind) = (text("name")?, text("type")?);
    if !is_identifier(name) {
        return Err(Fault::at("name", "is not a plain name"));
    }
    let kind = Kind::parse(kind, BRACKETS_MAX).map_err(|reason| Fault::at("type", reason))?;
    Ok(Field { name: name.to_owned(), kind })
}

impl Kind {
    /// `brackets` is how many are left.
    fn parse(text: &str, brackets: usize) -> Result<Self, &'static str> {
        let Some(open) = text.strip_suffix(']') else { return Self::single(text) };
        let (item, length) = open.rsplit_once('[').ok_or("is not a type")?;
        let left = brackets.checked_sub(1).ok_or("has too many dimensions")?;
        let item = Box::new(Self::parse(item, left)?);
        if length.is_empty() {
            return Ok(Self::List(item));
        }
        let length = count(length).filter(|n| (1..=LENGTH_MAX).contains(n));
        Ok(Self::Array(item, length.ok_or("has a length that is not from 1 to 4096")?))
    }

    fn single(text: &str) -> Result<Self, &'static str> {
        match text {
            "address" => Ok(Self::Address),
            "bool" => Ok(Self::Bool),
            "string" => Ok(Self::Text),
            "bytes" => Ok(Self::Bytes),
            "uint" | "int" => Err("is an alias; write uint256 or int256"),
            _ => match stem_and_width(text) {
                Some((stem, width)) => sized(stem, width).ok_or("is not a width that a type has"),
                None if is_struct_name(text) => Ok(Self::Struct(text.to_owned())),
                None => Err("is not a type"),
            },
        }
    }

    /// The struct that it is, or is an array of.
    fn referred(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::List(item) | Self::Array(item, _) => item.referred(),
            Self::Address
            | Self::Bool
            | Self::Text
            | Self::Bytes
            | Self::FixedBytes(_)
            | Self::Uint(_)
            | Self::Int(_) => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("address"),
            Self::Bool => f.write_str("bool"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::FixedBytes(len) => write!(f, "bytes{len}"),
            Self::Uint(bits) => write!(f, "uint{bits}"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::Struct(name) => f.write_str(name),
            Self::List(item) => write!(f, "{item}[]"),
            Self::Array(item, len) => write!(f, "{item}[{len}]"),
        }
    }
}

/// A word that ends in digits and could be a type of the language: `uint` and `8`.
fn stem_and_width(text: &str) -> Option<(&'static str, &str)> {
    ["uint", "int", "bytes"].into_iter().find_map(|stem| {
        text.strip_prefix(stem)
            .filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
            .map(|width| (stem, width))
    })
}

/// `uint8` to `uint256`, `int8` to `int256`, `bytes1` to `bytes32`.
fn sized(stem: &str, width: &str) -> Option<Kind> {
    let width = count(width)?;
    let bits = (8..=256).contains(&width) && width.is_multiple_of(8);
    match stem {
        "uint" if bits => Some(Kind::Uint(width)),
        "int" if bits => Some(Kind::Int(width)),
        "bytes" if (1..=32).contains(&width) => Some(Kind::FixedBytes(width)),
        _ => None,
    }
}

/// A number without leading zeros.
fn count(digits: &str) -> Option<usize> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

fn is_identifier(name: &str) -> bool {
    let start = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
    name.len() <= NAME_BYTES_MAX
        && name.as_bytes().first().is_some_and(start)
        && name.bytes().all(plain)
}

/// An identifier, or several behind each other with colons between (`Exchange:Withdraw`), that no reader
/// could take for a type of the language.
fn is_struct_name(name: &str) -> bool {
    let words =
        ["address", "bool", "string", "bytes", "uint", "int", "function", "fixed", "ufixed"];
    name.len() <= NAME_BYTES_MAX
        && name.split(':').all(is_identifier)
        && !words.contains(&name)
        && stem_and_width(name).is_none()
}
