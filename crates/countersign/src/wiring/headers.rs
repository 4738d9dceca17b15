//! Headers from secret files.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::ExposeSecret as _;

use super::password;
use crate::config::Placed;

/// What stands in the secret files. No message repeats any of it.
pub(super) fn headers(
    bearer_file: Option<&Placed<PathBuf>>,
    headers_file: Option<&Placed<PathBuf>>,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if let Some(file) = headers_file {
        let text = std::fs::read_to_string(&file.value);
        let text = text.map_err(|error| unreadable(&file.value, &error))?;
        let text = zeroize::Zeroizing::new(text);
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (name, value) = header_in(line).ok_or_else(|| {
                format!("{}:{number}: expected a header as `Name: value`", file.value.display())
            })?;
            headers.insert(name, value);
        }
    }
    if let Some(file) = bearer_file {
        let token = password(&file.value)?;
        let value = secret(&format!("Bearer {}", token.expose_secret().trim()));
        let value = value
            .ok_or_else(|| format!("{}: the first line cannot be a token", file.value.display()))?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn header_in(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, secret(value.trim())?))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_that_is_never_shown() {
        let (name, value) = header_in("X-Api-Key:  hunter2 ").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-api-key", &b"hunter2"[..]));
        assert!(!format!("{value:?}").contains("hunter2"));
        for line in ["X-Api-Key", ": x", "X Y: z", "X: \u{7}"] {
            assert!(header_in(line).is_none(), "{line}");
        }
    }
}
