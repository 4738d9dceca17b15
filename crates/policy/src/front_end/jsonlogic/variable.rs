//! What `var` may name: the fields of the core language, and the names that bundles give to some of them.

use crate::field::{Field, Shape};

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
