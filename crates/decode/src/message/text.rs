//! Texts that people can read (EIP-191, `personal_sign` and `eth_sign`).

mod emoji;
mod login;

use alloy_primitives::{Address, B256, keccak256};
use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect},
    identity::ChainId,
};

use self::login::Login;
use super::signed;

/// The longest text that is signed.
pub const TEXT_BYTES_MAX: usize = 4096;

/// As many as a digest has. The wallets of smart accounts take `personal_sign` over one as consent, and whoever
/// chooses what is hashed can grind until the digest looks like a text.
const DIGEST_BYTES: usize = 32;

/// How many of 32 bytes may be something else than a small letter or a space. What then passes are fewer than
/// 2^174 of 2^256 values: one digest of 2^82, which nobody grinds. All printable characters would be one of
/// 2^46: an afternoon's work.
const RARE_BYTES_MAX: usize = 4;

/// What is signed: `keccak256(0x19 ‖ "Ethereum Signed Message:\n" ‖ length ‖ bytes)`. No other prefix can
/// be reached.
#[must_use]
pub fn text_digest(bytes: &[u8]) -> B256 {
    let prefix = format!("\u{19}Ethereum Signed Message:\n{}", bytes.len());
    keccak256([prefix.as_bytes(), bytes].concat())
}

/// What a signature over a text is: one action. It moves nothing by itself.
///
/// `Text` is what people can read and machines cannot mistake; a login (EIP-4361) is one only for this wallet
/// and this chain, and comes with its fields. Everything else is `Opaque`. Whether a login has expired and
/// whether its domain may be logged in to is not asked here.
#[must_use]
pub fn text_actions(bytes: &[u8], wallet: Address, chain: ChainId) -> Vec<Action> {
    let effect = readable(bytes)
        .and_then(|text| {
            let siwe = login(text, wallet, chain)?;
            Ok(Effect::Text { text: text.to_owned(), siwe })
        })
        .unwrap_or_else(|reason| Effect::Opaque { reason: reason.to_owned() });
    vec![signed(effect)]
}

fn readable(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.is_empty() {
        return Err("an empty text");
    }
    if bytes.len() > TEXT_BYTES_MAX {
        return Err("a text of more than 4096 bytes");
    }
    if bytes.len() == DIGEST_BYTES && !is_plain(bytes) {
        return Err("32 bytes, as many as a digest has, that are no plain words");
    }
    if bytes.first() == Some(&0x19) {
        return Err("bytes that begin as signed structures do (0x19)");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "bytes that are no text")?;
    if let Some(reason) = emoji::without(text).find_map(unseen) {
        return Err(reason);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() >= 2 * DIGEST_BYTES && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("hex digits and nothing else, which nobody can read");
    }
    Ok(text)
}

/// Whether nothing but a text can be meant by as many bytes as a digest has.
fn is_plain(bytes: &[u8]) -> bool {
    let rare = bytes.iter().filter(|b| !b.is_ascii_lowercase() && **b != b' ');
    rare.count() <= RARE_BYTES_MAX && bytes.iter().all(|b| matches!(b, b' '..=b'~'))
}

/// Why a character makes people read something else than machines do.
const fn unseen(c: char) -> Option<&'static str> {
    match c {
        '\t' | '\n' => None,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Some("a text with control characters"),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            Some("a text with characters that change the direction of reading")
        }
        // invisible: soft hyphen, joiners, fillers, marks, selectors of variants, tags
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{2065}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => Some("a text with characters that cannot be seen"),
        // private use, and what is no character
        '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fffe}'
        | '\u{ffff}'
        | '\u{f0000}'..='\u{10ffff}' => Some("a text with characters that mean nothing"),
        _ => None,
    }
}

/// What all logins say, in letters alone.
const LOGIN_WORDS: &str = "wantsyoutosigninwithyour";

/// The fields of a login. What says that it is one, anywhere and in any spelling, has to be one to the last byte:
/// a server may search where we read.
fn login(text: &str, wallet: Address, chain: ChainId) -> Result<Option<AbiValue>, &'static str> {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    if !letters.contains(LOGIN_WORDS) {
        return Ok(None);
    }
    let login = Login::parse(text)?;
    if login.address != wallet {
        return Err("a login (EIP-4361) of another account than the wallet");
    }
    if login.chain != chain {
        return Err("a login (EIP-4361) on another chain");
    }
    Ok(Some(login.to_value()))
}

#[cfg(test)]
mod tests;
