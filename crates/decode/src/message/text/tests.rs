use alloy_primitives::{U256, address};
use countersign_core::json::{Json, Limits};
use proptest::prelude::*;

use super::*;

const WALLET: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const CHAIN: ChainId = ChainId(31337);

const LOGIN: &str = "https://example.com wants you to sign in with your Ethereum account:
0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266

I accept the Terms of Service: https://example.com/tos (v2)

URI: https://example.com/login?next=%2Fhome
Version: 1
Chain ID: 31337
Nonce: 32891756
Issued At: 2026-09-30T16:25:24.123Z
Expiration Time: 2026-09-30T17:25:24Z
Not Before: 2026-09-30T16:25:24+00:00
Request ID: some-id:1
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json";

fn effect(bytes: &[u8]) -> Effect {
    let actions = text_actions(bytes, WALLET, CHAIN);
    assert_eq!(actions.len(), 1);
    actions[0].effect.clone()
}

fn siwe(text: &str) -> AbiValue {
    let effect = effect(text.as_bytes());
    let Effect::Text { siwe: Some(fields), text: shown } = effect else {
        panic!("{text}: {effect:?}")
    };
    assert_eq!(shown, text);
    fields
}

fn opaque(bytes: &[u8]) -> String {
    let effect = effect(bytes);
    let Effect::Opaque { reason } = effect else {
        panic!("{}: {effect:?}", String::from_utf8_lossy(bytes))
    };
    reason
}

#[test]
fn digests_are_those_of_viem() {
    let limits = Limits::REQUEST;
    let vectors = Json::parse(include_bytes!("../vectors/digests.json"), limits).unwrap();
    let cases = vectors.get("texts").unwrap().as_list().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let text = case.get("text").unwrap().as_text().unwrap();
        let digest = case.get("digest").unwrap().as_text().unwrap();
        assert_eq!(text_digest(text.as_bytes()).to_string(), digest, "{text}");
    }
}

#[test]
fn what_people_can_read_is_a_text() {
    let long = "words ".repeat(682);
    let texts = [
        "hello",
        "a",
        "Sign in to Example\n\tNonce: 1234",
        "Grüße, 世界! 👋 ❤️ ¿qué?",
        "a text of thirty-two characters.",
        "Sign in to the shop, please: yes",
        // a family, a technician with a skin, a flag of several parts, a key, a sign, a face that is coloured
        "👨\u{200d}👩\u{200d}👧\u{200d}👦 👩🏽\u{200d}💻 🏳\u{fe0f}\u{200d}🌈 1\u{fe0f}\u{20e3} ™\u{fe0f} ☺\u{fe0f} 🤷🏽\u{200d}♂\u{fe0f} 🇫🇷",
        "été",
        "éab",
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "nonce 0x0123456789abcdef0123456789abcdef0123",
        "example.com wants you to sign",
        &long,
    ];
    for text in texts {
        let expected = Effect::Text { text: text.to_owned(), siwe: None };
        assert_eq!(effect(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn what_nobody_can_read_is_opaque() {
    let hex64 = "ab".repeat(32);
    let prefixed = format!("0x{hex64}");
    let long = "x".repeat(4097);
    let cases: &[&[u8]] = &[
        b"",
        &[0xab; 32],
        // 32 printable characters
        b"d41d8cd98f00b204e9800998ecf8427e",
        b"Nonce: 7fQ2, Time: 12:30, Id: 42",
        b"a text of thirty-two characters\n",
        b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        long.as_bytes(),
        hex64.as_bytes(),
        prefixed.as_bytes(),
        b"\x19\x01 and two words",
        b"\x19Ethereum Signed Message:\n5hello",
        // a legacy, a 1559 and a 7702 transaction's first bytes, and an authorisation
        &[0xe8, 0x80, 0x84, 0x77, 0x35, 0x94, 0x00],
        &[0x02, 0xf8, 0x6c, 0x01],
        &[0x04, 0xf8, 0x6c, 0x01],
        &[0x05, 0xd7, 0x82, 0x7a, 0x69, 0x94],
        b"a\rb",
        b"a\0b",
        b"a\x1bb",
        b"a\x7fb",
        &[b'a', 0xff],
        "a\u{85}b".as_bytes(),
        "a\u{202e}b".as_bytes(),
        "a\u{2066}b".as_bytes(),
        "a\u{200f}b".as_bytes(),
        "a\u{200b}b".as_bytes(),
        "a\u{200d}b".as_bytes(),
        "👨\u{200d}".as_bytes(),
        "\u{200d}👩".as_bytes(),
        "👨\u{200d}\u{200d}👩".as_bytes(),
        "👨\u{200d}b".as_bytes(),
        "a\u{200d}👩".as_bytes(),
        "👨\u{fe0f}\u{fe0f}".as_bytes(),
        "👨\u{fe0f}🏽\u{200d}👩".as_bytes(),
        "👨🏽\u{fe0f}".as_bytes(),
        "👨 \u{200d}👩".as_bytes(),
        "pay\u{fe0f}pal".as_bytes(),
        "1\u{fe0f}".as_bytes(),
        "12\u{fe0f}3".as_bytes(),
        "👨\u{200b}👩".as_bytes(),
        "🏴\u{e0067}\u{e0062}\u{e007f}".as_bytes(),
        "a\u{feff}b".as_bytes(),
        "a\u{ad}b".as_bytes(),
        "a\u{2028}b".as_bytes(),
        "a\u{3164}b".as_bytes(),
        "a\u{fe01}b".as_bytes(),
        "a\u{e0041}b".as_bytes(),
        "a\u{e000}b".as_bytes(),
        "a\u{10ffff}b".as_bytes(),
    ];
    for bytes in cases {
        assert!(!opaque(bytes).is_empty());
    }
}

#[test]
fn a_login_comes_with_its_fields() {
    let fields = siwe(LOGIN);
    let text = |text: &str| AbiValue::Text(text.to_owned());
    let time = |time: u64| AbiValue::Uint(alloy_primitives::U256::from(time));
    let expected = [
        ("scheme", text("https")),
        ("domain", text("example.com")),
        ("address", AbiValue::Address(WALLET)),
        ("statement", text("I accept the Terms of Service: https://example.com/tos (v2)")),
        ("uri", text("https://example.com/login?next=%2Fhome")),
        ("uri_host", text("example.com")),
        ("version", text("1")),
        ("chain_id", time(31337)),
        ("nonce", text("32891756")),
        ("issued_at", time(1_790_785_524)),
        ("expiration_time", time(1_790_789_124)),
        ("not_before", time(1_790_785_524)),
        ("request_id", text("some-id:1")),
        ("resources.1", text("https://example.com/my-web2-claim.json")),
    ];
    for (name, value) in expected {
        assert_eq!(fields.at(name), Some(&value), "{name}");
    }
}

#[test]
fn what_a_login_may_leave_out_is_left_out() {
    let short = "Example.com:3000 wants you to sign in with your Ethereum account:
0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266


URI: did:key:z6Mk
Version: 1
Chain ID: 31337
Nonce: abcdEFGH
Issued At: 2026-09-30T16:25:24+02:00";
    let fields = siwe(short);
    assert_eq!(fields.at("domain"), Some(&AbiValue::Text("example.com:3000".into())));
    assert_eq!(fields.at("resources"), Some(&AbiValue::List(Vec::new())));
    for absent in ["scheme", "statement", "expiration_time", "not_before", "request_id"] {
        assert_eq!(fields.at(absent), None, "{absent}");
    }
    siwe(&format!("{short}\nResources:"));
    siwe(&format!("{short}\nRequest ID: "));
    siwe(&short.replace("Example.com:3000", "[::1]:3000"));
}

/// A part of the login, and what stands in its place.
const FORGED: &[(&str, &str)] = &[
    ("https://example.com wants", "https://example.com  wants"),
    ("https://example.com wants", "\nhttps://example.com wants"),
    ("https://example.com wants", " https://example.com wants"),
    ("https://example.com wants", "https://example.com@evil.com wants"),
    ("https://example.com wants", "https://ex\u{430}mple.com wants"),
    ("https://example.com wants", "https://xn--exmple-cua.com wants"),
    ("https://example.com wants", "https://example.com. wants"),
    ("https://example.com wants", "https://-example.com wants"),
    ("https://example.com wants", "https://example.com/path wants"),
    ("https://example.com wants", "https://example.com:80a wants"),
    ("https://example.com wants", "https:// wants"),
    ("https://example.com wants", "1https://example.com wants"),
    ("https://example.com wants", "wants"),
    ("Ethereum account", "ethereum account"),
    ("Ethereum account", "Solana account"),
    ("wants you to sign in", "Wants You To Sign In"),
    ("wants you to sign in", "wants you  to sign in"),
    ("0xf39F", "0xf39f"),
    ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
    ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    ("(v2)", "\"v2\""),
    ("(v2)", "(v2)\n"),
    ("(v2)", "(v2)\nmore"),
    ("(v2)", "é"),
    ("\n\nURI", "\nURI"),
    ("\n\nURI", "\n\n\nURI"),
    ("URI: https", "URI: "),
    ("URI: https", "URI:https"),
    ("URI: https", "uri: https"),
    ("URI: https://example.com/", "URI: https:example.com/"),
    ("URI: https://example.com/", "URI: https:/example.com/"),
    ("URI: https://example.com/", "URI: https:///example.com/"),
    ("URI: https://example.com/", "URI: https://example.com@evil.example/"),
    ("URI: https://example.com/", "URI: https://example.com:x/"),
    ("URI: https://example.com/", "URI: HTTPS://ex%61mple.com/"),
    ("URI: https://example.com/", "URI: https://xn--exmple-cua.com/"),
    ("%2F", "%2"),
    ("login?next", "login next"),
    ("Version: 1", "Version: 2"),
    ("Version: 1", "Version: 1 "),
    ("Version: 1\nChain ID: 31337", "Chain ID: 31337\nVersion: 1"),
    ("Chain ID: 31337", "Chain ID: 1"),
    ("Chain ID: 31337", "Chain ID: 031337"),
    ("Chain ID: 31337", "Chain ID: 0x7a69"),
    ("Chain ID: 31337", "Chain ID: +31337"),
    ("Nonce: 32891756", "Nonce: 3289175"),
    ("Nonce: 32891756", "Nonce: 3289175-"),
    ("Nonce: 32891756", "Nonce: 32891756 "),
    ("Nonce: 32891756", "Nonce: 32891756\nNonce: 32891756"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30"),
    ("2026-09-30T16:25:24.123Z", "2026-13-30T16:25:24Z"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30 16:25:24Z"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30T16:25:24"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30T16:25:24.Z"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30T16:25:24z"),
    ("2026-09-30T16:25:24.123Z", "2026-09-30T16:25:24+0000"),
    ("2026-09-30T16:25:24.123Z", "1960-09-30T16:25:24Z"),
    ("T17:25:24Z", "T16:25:24Z"),
    ("Not Before: 2026-09-30T16:25:24", "Not Before: 2026-09-30T18:25:24"),
    ("some-id:1", "some id"),
    ("some-id:1", "some/id"),
    ("Resources:", "Resources: "),
    ("Resources:", "resources:"),
    ("- ipfs", "-ipfs"),
    ("- ipfs", "* ipfs"),
    ("- ipfs://", "- no uri "),
    ("- ipfs://", "- urn:recap:"),
    ("claim.json", "claim.json\n"),
    ("claim.json", "claim.json\nanything"),
    ("claim.json", "claim.json "),
];

#[test]
fn what_nearly_is_a_login_is_opaque() {
    for (part, forged) in FORGED {
        assert!(LOGIN.contains(part), "{part}");
        let text = LOGIN.replacen(part, forged, 1);
        let reason = opaque(text.as_bytes());
        assert!(reason.contains("login"), "{part:?} → {forged:?}: {reason}");
    }
}

#[test]
fn a_logins_uri_names_its_host() {
    for (uri, host) in [
        ("https://Example.com:8443/a?b#c", Some("example.com")),
        ("https://api.example.com?x", Some("api.example.com")),
        ("http://[::1]:3000/", Some("[::1]")),
        ("app://callback/x", Some("callback")),
        ("did:key:z6Mk", None),
        ("urn:uuid:1", None),
    ] {
        let fields = siwe(&LOGIN.replace("https://example.com/login?next=%2Fhome", uri));
        let expected = host.map(|host| AbiValue::Text(host.into()));
        assert_eq!(fields.at("uri_host"), expected.as_ref(), "{uri}");
    }
}

#[test]
fn a_login_inside_another_text_is_opaque() {
    for padding in
        [" ".repeat(2000), "\n".repeat(2000), "Hello!\n\n".to_owned(), "\u{a0}".to_owned()]
    {
        assert!(opaque(format!("{padding}{LOGIN}").as_bytes()).contains("login"));
    }
    for tail in ["\n", " ", "\nBye!"] {
        assert!(opaque(format!("{LOGIN}{tail}").as_bytes()).contains("login"));
    }
    assert!(opaque(LOGIN.replace('\n', "\r\n").as_bytes()).contains("control"));
}

/// Fewer than 2^174 values of 32 bytes are plain: those with at most four characters that are no small letter and
/// no space, of all printable ones.
#[test]
fn a_digest_that_is_plain_cannot_be_ground() {
    let choose = |k: u64| (0..k).fold(U256::ONE, |c, i| c * U256::from(32 - i) / U256::from(i + 1));
    let with = |rare: u64| {
        let common = U256::from(27).pow(U256::from(32 - rare));
        choose(rare) * common * U256::from(95 - 27).pow(U256::from(rare))
    };
    let plain: U256 = (0..=4).map(with).sum();
    assert!(plain < U256::ONE << 174, "{}", plain.bit_len());
    let printable = U256::from(95).pow(U256::from(32));
    assert!(printable > U256::ONE << 210);
    let (all_plain, one_rare_more) =
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaa~~~~", b"aaaaaaaaaaaaaaaaaaaaaaaaaaa~~~~~");
    assert!(is_plain(all_plain) && !is_plain(one_rare_more));
}

proptest! {
    /// What cannot be seen is refused wherever it is not part of a picture.
    #[test]
    fn an_invisible_character_between_letters_is_opaque(at in 1_usize..4, c in prop::sample::select(vec!['\u{200d}', '\u{fe0f}', '\u{200b}', '\u{fe0e}', '\u{2060}'])) {
        let mut text = "words".to_owned();
        text.insert(at, c);
        opaque(text.as_bytes());
    }

    #[test]
    fn thirty_two_random_bytes_are_no_text(bytes in any::<[u8; 32]>()) {
        opaque(&bytes);
    }

    #[test]
    fn any_bytes_are_one_action(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        effect(&bytes);
    }

    /// Whatever character is put wherever into a login, it stays the same login for everybody or is opaque.
    #[test]
    fn a_login_that_somebody_touched_is_read_whole_or_not(at in any::<prop::sample::Index>(), c in any::<char>()) {
        let mut text = LOGIN.to_owned();
        text.insert(at.index(LOGIN.len()), c);
        if let Effect::Text { siwe, .. } = effect(text.as_bytes()) {
            // only where the words themselves are broken is it no login at all
            let broken = !text.contains("wants you to sign in with your Ethereum account:");
            prop_assert!(siwe.is_some() || broken, "{:?}", c);
        }
    }
}
