//! What an agent says about its request in fields of its own: `{"refund_amount": 750, "order": {"id": "A-7"}}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    decimal::Decimal,
    draft::{FieldError, harmless},
    json::Json,
};

/// The most values.
const VALUES_MAX: usize = 64;
/// How deep objects may lie inside each other.
const DEPTH_MAX: u8 = 8;
/// The longest dotted name, in bytes.
const NAME_MAX: usize = 256;
/// The longest text, in bytes.
const TEXT_MAX: usize = 1024;

/// Values by their dotted names. None of them is believed: they are what the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<String, ContextValue>);

/// One value. A text that is a plain decimal number is a number: exact clients write large amounts as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextValue {
    /// A number, exact.
    Number(Decimal),
    /// Any other text.
    Text(String),
    /// `true` or `false`
    Bool(bool),
}

impl ContextValue {
    /// A text, or the number that it writes.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }
}

impl Context {
    /// Reads an object of numbers, texts, truth values and objects of these; `null` is as good as absent.
    pub fn parse(json: &Json) -> Result<Self, FieldError> {
        let Some(members) = json.as_object() else {
            return Err(FieldError::new("context", format!("is {}, not an object", json.kind())));
        };
        let mut context = Self::default();
        context.read(members, "", DEPTH_MAX)?;
        Ok(context)
    }

    fn read(
        &mut self,
        members: &[(String, Json)],
        path: &str,
        depth: u8,
    ) -> Result<(), FieldError> {
        for (name, json) in members {
            let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let wrong = |reason: &str| {
                Err(FieldError::new("context", format!("`{}` {reason}", harmless(&name))))
            };
            match json {
                Json::Null => {}
                Json::Object(inner) => match depth.checked_sub(1) {
                    Some(depth) => self.read(inner, &name, depth)?,
                    None => return wrong("lies too deep"),
                },
                Json::List(_) => {
                    return wrong("is an array: only numbers, texts and truth values are read");
                }
                Json::Bool(value) => self.say(&name, ContextValue::Bool(*value))?,
                Json::Number(text) => match text.parse() {
                    Ok(number) => self.say(&name, ContextValue::Number(number))?,
                    Err(_) => return wrong("is not a plain decimal number"),
                },
                Json::Text(text) => self.say(&name, ContextValue::of_text(text))?,
            }
        }
        Ok(())
    }

    /// Adds a value under its dotted name.
    pub fn say(&mut self, name: &str, value: ContextValue) -> Result<(), FieldError> {
        let wrong = |reason: String| Err(FieldError::new("context", reason));
        if name.is_empty() || name.len() > NAME_MAX {
            return wrong(format!("a name is empty or longer than {NAME_MAX} bytes"));
        }
        if matches!(&value, ContextValue::Text(text) if text.len() > TEXT_MAX) {
            return wrong(format!("`{}` is longer than {TEXT_MAX} bytes", harmless(name)));
        }
        if self.0.len() >= VALUES_MAX {
            return wrong(format!("has more than {VALUES_MAX} values"));
        }
        // `{"a.b": 1, "a": {"b": 2}}` would be two answers to one question
        match self.0.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => wrong(format!("says `{}` twice", harmless(name))),
        }
    }

    /// The value of a dotted name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ContextValue> {
        self.0.get(name)
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    fn read(text: &str) -> Result<Context, FieldError> {
        Context::parse(&Json::parse(text.as_bytes(), Limits::REQUEST).unwrap())
    }

    #[test]
    fn values_have_dotted_names_and_keep_every_digit() {
        let context = read(
            r#"{"amount": 9007199254740993, "as_text": "9007199254740993", "order": {"id": "A-7", "rush": true}, "none": null}"#,
        )
        .unwrap();
        let number = ContextValue::Number("9007199254740993".parse().unwrap());
        assert_eq!(context.get("amount"), Some(&number));
        assert_eq!(context.get("as_text"), Some(&number));
        assert_eq!(context.get("order.id"), Some(&ContextValue::Text("A-7".into())));
        assert_eq!(context.get("order.rush"), Some(&ContextValue::Bool(true)));
        assert_eq!(context.get("none"), None);
        assert!(read("{}").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_in_one_way_is_refused() {
        let many: Vec<String> = (0..65).map(|i| format!("\"k{i}\": 1")).collect();
        let deep = format!("{}1{}", "{\"a\":".repeat(10), "}".repeat(10));
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1025));
        for text in [
            "[]",
            "1",
            r#"{"a": 1e3}"#,
            r#"{"a": [1]}"#,
            r#"{"a.b": 1, "a": {"b": 2}}"#,
            r#"{"": 1}"#,
            &format!("{{{}}}", many.join(",")),
            &deep,
            &long,
        ] {
            assert_eq!(read(text).unwrap_err().field, "context", "{text}");
        }
    }

    #[test]
    fn a_name_that_a_terminal_would_act_on_is_not_repeated() {
        for text in [
            r#"{"a\nb\u001b[2J": [1]}"#,
            r#"{"a\nb": 1e3}"#,
            r#"{"\u0007.b": 1, "\u0007": {"b": 2}}"#,
        ] {
            let reason = read(text).unwrap_err().reason;
            assert!(reason.contains("(unprintable name)"), "{reason}");
        }
    }
}
