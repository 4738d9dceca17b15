//! Whose requests these are by their `Host` and `Origin`: a page of somebody else's must not reach a door.

use http::{HeaderMap, header, request::Parts};

use crate::listener::Ambiguous;

/// The names that a door answers to, besides IP literals and `localhost`, which nobody can rebind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts(Vec<String>);

/// Why a request does not belong here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stray {
    /// 400: a head that two readers could read differently, as smugglers send it.
    Framing,
    /// 400: no host, or two.
    NoHost,
    /// 421: a name that is not ours.
    OtherHost,
    /// 403: a page of another origin sent it.
    OtherOrigin,
}

impl Hosts {
    pub(crate) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a request may come in.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<(), Stray> {
        if parts.extensions.get::<Ambiguous>().is_some() {
            return Err(Stray::Framing);
        }
        let authority = authority(parts)?;
        if !self.is_ours(name_of(&authority)) {
            return Err(Stray::OtherHost);
        }
        match one(&parts.headers, header::ORIGIN) {
            Ok(None) => Ok(()),
            Ok(Some(origin)) if is_same(&origin, &authority) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(Stray::OtherOrigin),
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        name == "localhost"
            || name.ends_with(".localhost")
            || bare.parse::<std::net::IpAddr>().is_ok()
            || self.0.iter().any(|own| own == name)
    }
}

/// The one authority of a request: of its target, or of its `Host`; both must agree.
fn authority(parts: &Parts) -> Result<String, Stray> {
    let target = parts.uri.authority().map(|a| a.as_str().to_ascii_lowercase());
    let host = one(&parts.headers, header::HOST)?;
    match (target, host) {
        (Some(target), Some(host)) if target != host => Err(Stray::NoHost),
        (target, host) => target.or(host).ok_or(Stray::NoHost),
    }
}

fn one(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<String>, Stray> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(|v| v.to_str().map(str::to_ascii_lowercase)).transpose();
    match (first, values.next()) {
        (Ok(first), None) => Ok(first),
        (Ok(_) | Err(_), _) => Err(Stray::NoHost),
    }
}

/// The name without its port.
fn name_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => authority,
    }
}

fn is_same(origin: &str, authority: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest == Some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(headers: &[(&str, &str)]) -> Result<(), Stray> {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Hosts::new(&["Gateway.internal".into()]).admit(&parts)
    }

    #[test]
    fn a_door_answers_to_its_own_names_only() {
        for (host, expected) in [
            ("127.0.0.1:8555", Ok(())),
            ("10.0.0.7", Ok(())),
            ("[::1]:8555", Ok(())),
            ("localhost:8555", Ok(())),
            ("LOCALHOST", Ok(())),
            ("gateway.internal:443", Ok(())),
            ("evil.example", Err(Stray::OtherHost)),
            ("127.0.0.1.evil.example", Err(Stray::OtherHost)),
            ("localhost.evil.example:8555", Err(Stray::OtherHost)),
            ("evil.example:127.0.0.1", Err(Stray::OtherHost)),
            ("user@127.0.0.1", Err(Stray::OtherHost)),
            ("", Err(Stray::OtherHost)),
        ] {
            assert_eq!(admit(&[("host", host)]), expected, "{host}");
        }
        assert_eq!(admit(&[]), Err(Stray::NoHost));
        assert_eq!(admit(&[("host", "localhost"), ("host", "localhost")]), Err(Stray::NoHost));
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let host = ("host", "localhost:8555");
        for (origin, expected) in [
            ("http://localhost:8555", Ok(())),
            ("https://localhost:8555", Ok(())),
            ("http://localhost:9999", Err(Stray::OtherOrigin)),
            ("https://evil.example", Err(Stray::OtherOrigin)),
            ("null", Err(Stray::OtherOrigin)),
            ("", Err(Stray::OtherOrigin)),
        ] {
            assert_eq!(admit(&[host, ("origin", origin)]), expected, "{origin}");
        }
    }
}
