//! A node's URL, taken apart so that its secrets cannot be printed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri, uri::Authority};
use percent_encoding::percent_decode_str;

/// Parts of a URL that are shorter than this are words (`v2`, `rpc`), not keys.
const SECRET_LEN_MIN: usize = 8;

/// Where a node listens, and what it wants to see before it answers.
pub(crate) struct Endpoint {
    uri: Uri,
    authorization: Option<HeaderValue>,
    shown: String,
    secrets: Vec<String>,
}

impl Endpoint {
    /// Takes an `http://` or `https://` URL apart. User name and password become a header.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlFault> {
        let uri: Uri = text.parse().map_err(|_| UrlFault::Malformed)?;
        let scheme = match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) => scheme.to_owned(),
            Some("ws" | "wss") => return Err(UrlFault::WebSocket),
            Some(_) | None => return Err(UrlFault::Scheme),
        };
        let authority = uri.authority().ok_or(UrlFault::Host)?.as_str().to_owned();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority.as_str()),
        };
        let secrets = secrets(text, user, &uri);
        let authorization = user.map(basic).transpose()?;
        let shown = format!("{scheme}://{host}");
        Ok(Self { uri: without_user(&uri, host)?, authorization, shown, secrets })
    }

    /// Where to send requests; without user name and password.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The `Authorization` header, if the URL had a user.
    pub(crate) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// `scheme://host:port`, the only form that may be printed.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// A node's words with every part of its URL that may be a secret taken out.
    pub(crate) fn scrub(&self, words: &str) -> String {
        self.secrets.iter().fold(words.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown)
    }
}

fn without_user(uri: &Uri, host: &str) -> Result<Uri, UrlFault> {
    let host: Authority = host.parse().map_err(|_| UrlFault::Host)?;
    if host.host().is_empty() {
        return Err(UrlFault::Host);
    }
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(host);
    Uri::from_parts(parts).map_err(|_| UrlFault::Malformed)
}

fn basic(user: &str) -> Result<HeaderValue, UrlFault> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut pair = percent_decode_str(name).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| UrlFault::Malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Longest first, so that a part does not spoil the whole.
fn secrets(text: &str, user: Option<&str>, uri: &Uri) -> Vec<String> {
    let user = user.unwrap_or("");
    let (path, query) = (uri.path(), uri.query().unwrap_or(""));
    let whole = [text, user, path, query];
    let parts = user.split(':').chain(path.split('/')).chain(query.split(['&', '=']));
    let plain = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut secrets = whole
        .into_iter()
        .chain(parts)
        .flat_map(|part| [part.to_owned(), plain(part)])
        .filter(|part| part.len() >= SECRET_LEN_MIN)
        .collect::<Vec<_>>();
    secrets.sort_by_key(|part| std::cmp::Reverse(part.len()));
    secrets.dedup();
    secrets
}

/// Why a URL cannot be used, with what to do. Never the URL itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Not a URL.
    #[error("is not a URL: write it as http://host:port or https://host/path")]
    Malformed,
    /// Not HTTP.
    #[error("has no scheme that is spoken here: start it with http:// or https://")]
    Scheme,
    /// A WebSocket.
    #[error("is a WebSocket: use the node's http:// or https:// URL")]
    WebSocket,
    /// No host.
    #[error("names no host: write it as http://host:port")]
    Host,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_becomes_a_header_and_nothing_secret_is_shown() {
        let url = "https://al%40ice:p%3Ass@node.example:8545/v2/0123456789abcdef?key=topsecretkey";
        let endpoint = Endpoint::parse(url).unwrap();
        assert_eq!(endpoint.shown(), "https://node.example:8545");
        assert_eq!(format!("{endpoint:?}"), "Endpoint(https://node.example:8545)");
        assert_eq!(endpoint.uri().authority().unwrap(), "node.example:8545");
        let expected = format!("Basic {}", STANDARD.encode("al@ice:p:ss"));
        assert_eq!(endpoint.authorization().unwrap(), &expected);
        assert!(endpoint.authorization().unwrap().is_sensitive());
        for words in [url, "bad key topsecretkey", "GET /v2/0123456789abcdef", "al%40ice:p%3Ass"] {
            let clean = endpoint.scrub(words);
            for secret in ["p%3Ass", "0123456789abcdef", "topsecretkey"] {
                assert!(!clean.contains(secret), "{clean}");
            }
        }
        assert_eq!(endpoint.scrub("nonce too low"), "nonce too low");
    }

    #[test]
    fn a_url_that_cannot_be_used_is_named_by_its_fault() {
        for (url, fault) in [
            ("", UrlFault::Malformed),
            ("http://a b", UrlFault::Malformed),
            ("localhost:8545", UrlFault::Scheme),
            ("/v2/key", UrlFault::Scheme),
            ("ftp://host", UrlFault::Scheme),
            ("wss://host/key", UrlFault::WebSocket),
            ("http://user:key@:8545", UrlFault::Host),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap_err(), fault, "{url}");
        }
        for url in ["http://127.0.0.1:8545", "https://[::1]:8545/x", "http://host"] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
    }
}
