//! What `var` may name: the fields of the core language, and the names that bundles give to some of them.

use crate::field::{Field, Kinds, Shape};

/// Names of bundles for fields of the core language.
const NAMES: [(&str, &str); 5] = [
    ("user.role", "role"),
    ("user.id", "agent"),
    ("request.intent", "action"),
    ("request.session", "session"),
    ("request.wallet", "wallet"),
];

/// The field that a name stands for; `None` where it stands for none.
pub(super) fn field(name: &str) -> Option<String> {
    if let Some((_, field)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((*field).to_owned());
    }
    let bare = name.strip_prefix("request.").unwrap_or(name);
    if bare.starts_with("args.") {
        return Some(bare.to_owned());
    }
    // a function is what `applies_to` says, and no value
    Field::parse(bare, &[]).filter(|field| *field != Field::Function).map(|_| bare.to_owned())
}

/// Where an argument of a decision stands in the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A field of the core language.
    Field(String),
    /// An amount of money, in USD.
    Usd,
    /// An amount of money in a currency that the name does not say.
    Money,
}

/// What a name of an argument means; `None` where no fact has it. What only an agent says is never meant by a bare name:
/// it would bound itself by what it says.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    if name.starts_with("context.") {
        return None;
    }
    if let Some(field) = field(name) {
        return Some(Meaning::Field(field));
    }
    let words = words(name);
    let (last, is_usd) = (words.last()?, words.iter().any(|word| word == "usd"));
    let is_money = MONEY.contains(&last.as_str());
    (is_usd || is_money).then_some(if is_usd { Meaning::Usd } else { Meaning::Money })
}

/// Last words of names of amounts of money.
const MONEY: [&str; 10] =
    ["amount", "value", "total", "sum", "cost", "price", "spend", "payment", "notional", "refund"];

/// `refund_amount`, `refundAmount`, `Refund-Amount`: its words in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let ends = words.last().is_some_and(|word| !word.is_empty());
        if ends && (!c.is_alphanumeric() || c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// The kinds of action that have a field; `None` where all have it.
pub(super) fn kinds(field: &str) -> Option<Kinds> {
    let kinds = Field::parse(field, &[])?.kinds();
    (kinds != Kinds::ALL).then_some(kinds)
}

/// The type of a field that is no argument.
pub(super) fn shape(field: &str) -> Option<Shape> {
    Field::parse(field, &[]).and_then(|field| field.shape())
}

/// What to write instead of a name that stands for nothing.
pub(super) fn suggestion(name: &str) -> String {
    if name.starts_with("user.") {
        return "an agent has user.role, which the configuration gives it, and user.id".to_owned();
    }
    let known = NAMES.map(|(name, _)| name).join(", ");
    let near = Field::suggestion(name.strip_prefix("request.").unwrap_or(name));
    format!("{near}; known besides are request.context.* and {known}")
}
