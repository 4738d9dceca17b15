//! The process's environment, read in one place.

/// The value of a variable, if it is set to text.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one lawful caller: ${NAME} in the configuration"
    )]
    std::env::var(name).ok()
}

/// Replaces every `${NAME}`. The message names the variable, never a value.
pub(crate) fn expand(text: &str) -> Result<String, String> {
    expand_from(text, variable)
}

fn expand_from(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or("`${` without `}`: write ${NAME}")?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("`${{{name}}}` is not a variable: write ${{NAME}}"));
        }
        let value = lookup(name).ok_or_else(|| {
            format!("the environment variable `{name}` is not set: export it, or use a *_file key")
        })?;
        expanded.push_str(&value);
        expanded.push_str(rest);
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_replaced_and_an_unset_one_is_named() {
        let lookup = |name: &str| (name == "HOST").then(|| "h${X}".to_owned());
        for (text, expected) in [
            ("plain $ text", Ok("plain $ text")),
            ("http://${HOST}:1/${HOST}", Ok("http://h${X}:1/h${X}")),
            (
                "${PORT}",
                Err("the environment variable `PORT` is not set: export it, or use a *_file key"),
            ),
            ("${", Err("`${` without `}`: write ${NAME}")),
            ("${a b}", Err("`${a b}` is not a variable: write ${NAME}")),
        ] {
            let found = expand_from(text, lookup);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
