//! `listen.admin.passkeys`: what browsers bind operators' passkeys to.

use countersign_core::approval::passkey::RelyingParty;

use super::{model::Door, problem::Report, yaml::Node};

/// The most origins: each is a place from which an approval may come.
const ORIGINS_MAX: usize = 16;

/// The domain and the pages.
pub(crate) fn party(report: &Report, node: &Node) -> Option<RelyingParty> {
    report.section(node, "`passkeys`", |s| {
        let id = s.required("rp_id").and_then(|n| report.read_as(n, domain));
        let origins_node = s.required("origins")?;
        let origins = report.list(origins_node, |n| report.read_as(n, origin));
        let party = RelyingParty { id: id?, origins: origins? };
        if party.origins.is_empty() || party.origins.len() > ORIGINS_MAX {
            report.refuse(origins_node.place, format!("expected 1 to {ORIGINS_MAX} origins"));
        }
        for origin in party.origins.iter().filter(|origin| !belongs(origin, &party.id)) {
            let message =
                format!("`{origin}` is no page of `{}`: browsers would not sign there", party.id);
            report.refuse(origins_node.place, message);
        }
        Some(party)
    })?
}

/// Where nothing is said: on this machine, at the operators' door.
pub(crate) fn local(admin: &Door) -> RelyingParty {
    let scheme = if admin.tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://localhost:{}", admin.address.port());
    RelyingParty { id: "localhost".into(), origins: vec![origin] }
}

fn domain(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if text.len() <= 253 && !number && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a domain: expected one in lower case, as in ops.example.com"))
    }
}

/// `https://HOST` or `https://HOST:PORT`, as browsers write it; without TLS on this machine alone.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "`{text}` is not an origin: expected https://HOST or https://HOST:PORT, and http:// for localhost only"
        )
    };
    let (scheme, host) = host_of(text).ok_or_else(wrong)?;
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let secure = scheme == "https" || is_here(host);
    let written = text.len() == text.trim_end_matches('/').len() && !text.ends_with(usual);
    if secure && written && domain(host).is_ok() { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn host_of(origin: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let numbered = port.is_none_or(|port| {
        !port.starts_with('0') && port.parse::<u16>().is_ok_and(|number| number > 0)
    });
    (matches!(scheme, "http" | "https") && numbered).then_some((scheme, host))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Whether a page's host is the domain or lies under it.
fn belongs(origin: &str, id: &str) -> bool {
    host_of(origin).is_some_and(|(_, host)| {
        host == id || host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, good) in [
            ("https://ops.example.com", true),
            ("https://ops.example.com:8556", true),
            ("http://localhost:8556", true),
            ("http://a.localhost", true),
            ("http://ops.example.com", false),
            ("https://ops.example.com:443", false),
            ("https://ops.example.com/", false),
            ("https://OPS.example.com", false),
            ("https://127.0.0.1:8556", false),
            ("https://ops.example.com:0", false),
            ("https://ops.example.com:99999", false),
            ("https://me@ops.example.com", false),
            ("ops.example.com", false),
            ("ftp://ops.example.com", false),
        ] {
            assert_eq!(origin(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_page_belongs_to_its_domain_and_to_those_above_it() {
        for (origin, id, belonging) in [
            ("https://ops.example.com", "ops.example.com", true),
            ("https://ops.example.com:1", "example.com", true),
            ("https://evilexample.com", "example.com", false),
            ("https://example.com", "ops.example.com", false),
            ("https://example.com.evil", "example.com", false),
        ] {
            assert_eq!(belongs(origin, id), belonging, "{origin} {id}");
        }
    }
}
