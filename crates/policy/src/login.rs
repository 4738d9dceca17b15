//! Logins (EIP-4361): whether what is logged in to belongs to who asks.

use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect},
};

/// Whether it is a login whose URI lies on another host than that of its domain, and not below it: what is logged
/// in to is not what asks. One whose URI names no host is none.
pub(crate) fn lies_elsewhere(action: &Action) -> bool {
    let Effect::Text { siwe: Some(siwe), .. } = &action.effect else { return false };
    let text = |field: &str| match siwe.at(field) {
        Some(AbiValue::Text(text)) => Some(text.as_str()),
        Some(_) | None => None,
    };
    let (Some(domain), Some(host)) = (text("domain"), text("uri_host")) else { return false };
    let asks = without_port(domain);
    let below = host.strip_suffix(asks).is_some_and(|rest| rest.ends_with('.'));
    host != asks && !below
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        Some(_) | None => authority,
    }
}
