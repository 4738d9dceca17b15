//! Logins (EIP-4361, "Sign-In with Ethereum"), by their grammar and nothing besides.

use alloy_primitives::{Address, U256};
use countersign_core::{abi::AbiValue, draft, identity::ChainId, time::Timestamp};

const HEAD: &str = " wants you to sign in with your Ethereum account:";

/// A login.
#[derive(Debug)]
pub(super) struct Login<'t> {
    scheme: Option<&'t str>,
    domain: &'t str,
    pub(super) address: Address,
    statement: Option<&'t str>,
    uri: &'t str,
    pub(super) chain: ChainId,
    nonce: &'t str,
    issued: Timestamp,
    expires: Option<Timestamp>,
    starts: Option<Timestamp>,
    request: Option<&'t str>,
    resources: Vec<&'t str>,
}

/// The lines that are left.
struct Lines<'t>(std::iter::Peekable<std::str::Split<'t, char>>);

impl<'t> Lines<'t> {
    fn empty(&mut self) -> Result<(), &'static str> {
        match self.0.next() {
            Some("") => Ok(()),
            Some(_) | None => Err("a login (EIP-4361) without an empty line where one belongs"),
        }
    }

    fn optional(&mut self, label: &str) -> Option<&'t str> {
        let value = self.0.peek().and_then(|line| line.strip_prefix(label))?;
        self.0.next();
        Some(value)
    }

    fn field(&mut self, label: &str, missing: &'static str) -> Result<&'t str, &'static str> {
        self.optional(label).ok_or(missing)
    }
}

impl<'t> Login<'t> {
    /// Reads all of the text.
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        let mut lines = Lines(text.split('\n').peekable());
        let origin = lines
            .0
            .next()
            .and_then(|line| line.strip_suffix(HEAD))
            .ok_or("a login (EIP-4361) that does not begin as one")?;
        let (scheme, domain) =
            origin.split_once("://").map_or((None, origin), |(s, d)| (Some(s), d));
        let address = account(lines.0.next())?;
        let statement = statement(&mut lines)?;
        let uri = lines.field("URI: ", "a login (EIP-4361) without its URI")?;
        if lines.field("Version: ", "a login (EIP-4361) without its version")? != "1" {
            return Err("a login of another version than EIP-4361 has");
        }
        let chain = chain(lines.field("Chain ID: ", "a login (EIP-4361) without its chain")?)?;
        let nonce = lines.field("Nonce: ", "a login (EIP-4361) without its nonce")?;
        let issued = lines.field("Issued At: ", "a login (EIP-4361) without its time")?;
        let login = Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain,
            nonce,
            issued: instant(issued)?,
            expires: lines.optional("Expiration Time: ").map(instant).transpose()?,
            starts: lines.optional("Not Before: ").map(instant).transpose()?,
            request: lines.optional("Request ID: "),
            resources: resources(&mut lines)?,
        };
        if lines.0.next().is_some() {
            return Err("a login (EIP-4361) with something behind it");
        }
        login.sound()
    }

    /// Itself, if each part has its form.
    fn sound(self) -> Result<Self, &'static str> {
        let faults = [
            (!self.scheme.is_none_or(is_scheme), "a login (EIP-4361) whose scheme is none"),
            (!is_authority(self.domain), "a login (EIP-4361) whose domain is no plain host name"),
            (!is_uri(self.uri), "a login (EIP-4361) whose URI is none"),
            (!is_plainly_hosted(self.uri), "a login (EIP-4361) whose URI names no plain host"),
            (
                !is_nonce(self.nonce),
                "a login (EIP-4361) whose nonce is not 8 or more letters and digits",
            ),
            (
                self.request.is_some_and(|id| !escaped(id, |b| b":@".contains(&b) || is_inner(b))),
                "a login (EIP-4361) whose request id has characters that it cannot have",
            ),
            (
                self.expires.is_some_and(|end| end <= self.issued || self.starts >= Some(end)),
                "a login (EIP-4361) that ends before it begins",
            ),
            (
                self.resources.iter().any(|uri| !is_uri(uri)),
                "a login (EIP-4361) with a resource that is no URI",
            ),
            (
                self.resources.iter().any(|uri| grants(uri)),
                "a login that hands over capabilities (ERC-5573)",
            ),
        ];
        faults.iter().find(|(found, _)| *found).map_or(Ok(self), |(_, reason)| Err(reason))
    }

    /// Its fields by the names that policies use. Times are seconds since the epoch; what is absent is left
    /// out. The domain is in lower case, as hosts are compared.
    pub(super) fn to_value(&self) -> AbiValue {
        let text = |text: &str| AbiValue::Text(text.to_owned());
        let time = |time: u64| AbiValue::Uint(U256::from(time));
        let resources = self.resources.iter().map(|uri| text(uri)).collect();
        let fields = [
            ("scheme", self.scheme.map(text)),
            ("domain", Some(AbiValue::Text(self.domain.to_ascii_lowercase()))),
            ("address", Some(AbiValue::Address(self.address))),
            ("statement", self.statement.map(text)),
            ("uri", Some(text(self.uri))),
            ("uri_host", host_of(self.uri).map(|host| AbiValue::Text(host.to_ascii_lowercase()))),
            ("version", Some(text("1"))),
            ("chain_id", Some(time(self.chain.0))),
            ("nonce", Some(text(self.nonce))),
            ("issued_at", Some(time(self.issued.millis() / 1000))),
            ("expiration_time", self.expires.map(|end| time(end.millis() / 1000))),
            ("not_before", self.starts.map(|start| time(start.millis().div_ceil(1000)))),
            ("request_id", self.request.map(text)),
            ("resources", Some(AbiValue::List(resources))),
        ];
        let there = |(name, value): (&str, Option<AbiValue>)| Some((name.to_owned(), value?));
        AbiValue::Tuple(fields.into_iter().filter_map(there).collect())
    }
}

/// The standard wants the checksum.
fn account(line: Option<&str>) -> Result<Address, &'static str> {
    line.and_then(|line| {
        draft::address(line).ok().filter(|address| address.to_checksum(None) == line)
    })
    .ok_or("a login (EIP-4361) whose account is no address with its checksum")
}

/// Between two empty lines, or nothing and both of them.
fn statement<'t>(lines: &mut Lines<'t>) -> Result<Option<&'t str>, &'static str> {
    lines.empty()?;
    let line = lines.0.peek().copied().unwrap_or_default();
    if line.is_empty() {
        return lines.empty().map(|()| None);
    }
    if !line.bytes().all(|b| b == b' ' || is_unreserved(b) || is_reserved(b)) {
        return Err("a login (EIP-4361) whose statement has characters that it cannot have");
    }
    lines.0.next();
    lines.empty().map(|()| Some(line))
}

fn chain(digits: &str) -> Result<ChainId, &'static str> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    digits
        .parse()
        .ok()
        .filter(|_| plain && canonical)
        .map(ChainId)
        .ok_or("a login (EIP-4361) whose chain is no number")
}

fn resources<'t>(lines: &mut Lines<'t>) -> Result<Vec<&'t str>, &'static str> {
    match lines.optional("Resources:") {
        None => Ok(Vec::new()),
        Some("") => Ok(std::iter::from_fn(|| lines.optional("- ")).collect()),
        Some(_) => Err("a login (EIP-4361) with something behind `Resources:`"),
    }
}

/// RFC 3339: `2026-01-01T00:00:00Z`, with a fraction and an offset if need be.
fn instant(text: &str) -> Result<Timestamp, &'static str> {
    const WRONG: &str = "a login (EIP-4361) with a time that is none (RFC 3339)";
    let digit = |b: u8| if b.is_ascii_digit() { b'0' } else { b };
    let (shape, rest) = text.split_at_checked(19).ok_or(WRONG)?;
    let shape: Vec<u8> = shape.bytes().map(digit).collect();
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return Err(WRONG);
            }
            zone
        }
    };
    let zone: Vec<u8> = rest.bytes().map(digit).collect();
    let fits =
        shape == b"0000-00-00T00:00:00" && matches!(zone.as_slice(), b"Z" | b"+00:00" | b"-00:00");
    if !fits {
        return Err(WRONG);
    }
    text.parse().map_err(|_| WRONG)
}

fn is_nonce(nonce: &str) -> bool {
    nonce.len() >= 8 && nonce.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_scheme(scheme: &str) -> bool {
    scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// A host and perhaps a port. Not the whole of RFC 3986: nobody logs in to `name@host`, and an encoded name
/// (`xn--`) may look like another one.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let port_fits = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
    });
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_fits = match literal {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(is_label),
    };
    port_fits && host_fits
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
}

/// A scheme, a colon, and characters that a URI can have.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        is_scheme(scheme) && escaped(rest, |b| is_unreserved(b) || is_reserved(b))
    })
}

/// What stands between `//` and the path.
fn authority(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// The authority without its port.
fn host_of(uri: &str) -> Option<&str> {
    let authority = authority(uri)?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    Some(if port.ends_with(']') { authority } else { host })
}

/// What browsers open has a host, and no name before it: they would find one even where it is not written as one.
fn is_plainly_hosted(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let opens = ["http", "https", "ws", "wss", "ftp"].contains(&scheme.as_str());
    !opens || authority(uri).is_some_and(is_authority)
}

/// A resource that hands over capabilities: consent to more than a login.
fn grants(uri: &str) -> bool {
    uri.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("urn:recap:"))
}

/// Only these bytes, and `%` with two hex digits.
fn escaped(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut parts = text.split('%');
    let plain = |part: &str| part.bytes().all(&allowed);
    parts.next().is_none_or(plain)
        && parts.all(|part| {
            let digits = part.get(..2).is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            digits && plain(part)
        })
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
}

/// `sub-delims`, or unreserved.
fn is_inner(b: u8) -> bool {
    is_unreserved(b) || b"!$&'()*+,;=".contains(&b)
}

/// `gen-delims` and `sub-delims`.
fn is_reserved(b: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&b)
}
