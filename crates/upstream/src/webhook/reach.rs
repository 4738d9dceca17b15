//! Which addresses a receiver may have, and the looking at them.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

/// Which addresses a receiver may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet.
    Public,
    /// Also those of private networks. Never this machine, and never a link's own (metadata services listen there).
    Private,
    /// This machine only, for development.
    Loopback,
}

/// Where a cloud answers its machines over IPv6, among private addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether a receiver may be connected to there.
pub(super) fn admits(reach: Reach, address: IpAddr) -> bool {
    let address = address.to_canonical();
    match reach {
        Reach::Public => is_public(address),
        Reach::Private => is_public(address) || is_private(address),
        Reach::Loopback => address.is_loopback(),
    }
}

/// The address that a URL names by itself. One of these is connected to without being resolved.
pub(super) fn names_an_address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // this network, private use, loopback, multicast, reserved
        (0 | 10 | 127 | 224..=255, _, _)
        // shared address space, link local, private use
        | (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
        // protocol assignments, documentation, 6to4 relays, benchmarks
        | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

/// Global unicast, without the parts of it that stand for other addresses or for none.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_unicast = (0x2000..=0x3fff).contains(&a);
    // protocol assignments (Teredo, benchmarks, ORCHID), 6to4 (which stands for an IPv4 address), documentation
    let special = matches!((a, b), (0x2001, 0..=0x01ff | 0x0db8) | (0x2002 | 0x3fff, _));
    is_unicast && !special
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private() || (a == 100 && (64..=127).contains(&b))
        }
        IpAddr::V6(address) => {
            let [first, ..] = address.segments();
            first & 0xfe00 == 0xfc00 && address != METADATA_V6
        }
    }
}

/// Resolves a name and keeps the addresses that are admitted: what is connected to is what was looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckedResolver {
    reach: Reach,
}

impl CheckedResolver {
    pub(super) const fn new(reach: Reach) -> Self {
        Self { reach }
    }
}

impl Service<Name> for CheckedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            checked(reach, found)
        })
    }
}

/// One address that is not admitted spoils the name: whoever points it there means no good, or nobody knows better.
pub(super) fn checked(
    reach: Reach,
    found: impl Iterator<Item = SocketAddr>,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() || found.iter().any(|address| !admits(reach, address.ip())) {
        return Err(io::Error::other("the name leads to an address that a receiver may not have"));
    }
    Ok(found.into_iter())
}
