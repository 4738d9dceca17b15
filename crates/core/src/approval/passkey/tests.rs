use alloy_primitives::hex;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};

use super::*;

/// A credential that signs, as an authenticator does.
enum Authenticator {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Authenticator {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Es256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    fn eddsa() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::EdDsa(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    fn key(&self) -> PasskeyKey {
        match self {
            Self::Es256(pair) => PasskeyKey::Es256(pair.public_key().as_ref().try_into().unwrap()),
            Self::EdDsa(pair) => PasskeyKey::EdDsa(pair.public_key().as_ref().try_into().unwrap()),
        }
    }

    fn signs(&self, client_data: String, authenticator_data: Vec<u8>) -> Assertion {
        let client_data = client_data.into_bytes();
        let message = [&authenticator_data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = match self {
            Self::Es256(pair) => {
                pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec()
            }
            Self::EdDsa(pair) => pair.sign(&message).as_ref().to_vec(),
        };
        Assertion { client_data, authenticator_data, signature }
    }
}

const ASKED: &[u8] = &[7; 32];

fn party() -> RelyingParty {
    let origins = vec!["https://ops.example.com".into(), "https://ops.example.com:8556".into()];
    RelyingParty { id: "ops.example.com".into(), origins }
}

fn client_data() -> String {
    format!(
        r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://ops.example.com","crossOrigin":false}}"#,
        challenge(ASKED)
    )
}

fn authenticator_data(id: &str, flags: u8, count: u32, more: &[u8]) -> Vec<u8> {
    [&Sha256::digest(id)[..], &[flags], &count.to_be_bytes(), more].concat()
}

fn here(flags: u8, count: u32) -> Vec<u8> {
    authenticator_data("ops.example.com", flags, count, &[])
}

const GOOD: u8 = USER_PRESENT | USER_VERIFIED;

#[test]
fn what_its_authenticator_signed_here_and_now_is_believed() {
    for authenticator in [Authenticator::es256(), Authenticator::eddsa()] {
        let key = authenticator.key();
        for data in [
            here(GOOD, 0),
            here(GOOD | BACKUP_ELIGIBLE | BACKED_UP, 9),
            authenticator_data("ops.example.com", GOOD | EXTENDED, 1, &[0xa0]),
        ] {
            let said = authenticator.signs(client_data(), data);
            assert_eq!(said.verify(ASKED, &party(), &key), Ok(()));
            let kept: Assertion =
                serde_json::from_str(&serde_json::to_string(&said).unwrap()).unwrap();
            assert_eq!((kept, PasskeyKey::parse(&key.spki())), (said, Some(key)));
        }
    }
}

#[test]
fn what_was_signed_elsewhere_or_for_something_else_is_not() {
    let authenticator = Authenticator::es256();
    let with = |from: &str, to: &str| {
        assert!(client_data().contains(from));
        (client_data().replace(from, to), here(GOOD, 1))
    };
    let flags = |flags| (client_data(), here(flags, 1));
    let bare = |data: Vec<u8>| (client_data(), data);
    let table = [
        (with("webauthn.get", "webauthn.create"), "clientDataJSON"),
        (with("webauthn.get", "payment.get"), "clientDataJSON"),
        (with(&challenge(ASKED), &challenge(&[0; 32])), "clientDataJSON"),
        (with(&challenge(ASKED), &format!("{}=", challenge(ASKED))), "clientDataJSON"),
        (with("https://ops.example.com", "https://ops.example.com.evil"), "clientDataJSON"),
        (with("https://ops.example.com", "http://ops.example.com"), "clientDataJSON"),
        (with("false", "true"), "clientDataJSON"),
        (with("false", r#"false,"topOrigin":"https://evil.example""#), "clientDataJSON"),
        (with("false", r#"false,"origin":"https://evil.example""#), "clientDataJSON"),
        (with("{", "["), "clientDataJSON"),
        (
            with("false", &format!(r#"false,"more":"{}""#, "x".repeat(CLIENT_DATA_MAX))),
            "clientDataJSON",
        ),
        (flags(USER_VERIFIED), "authenticatorData"),
        (flags(USER_PRESENT), "authenticatorData"),
        (flags(GOOD | BACKED_UP), "authenticatorData"),
        (flags(GOOD | ATTESTED), "authenticatorData"),
        (flags(GOOD | EXTENDED), "authenticatorData"),
        (bare(authenticator_data("example.com", GOOD, 1, &[])), "authenticatorData"),
        (bare(authenticator_data("ops.example.com", GOOD, 1, &[0])), "authenticatorData"),
        (bare(here(GOOD, 1)[..36].to_vec()), "authenticatorData"),
        (bare(Vec::new()), "authenticatorData"),
        (
            bare(authenticator_data(
                "ops.example.com",
                GOOD | EXTENDED,
                1,
                &[0; AUTHENTICATOR_DATA_MAX],
            )),
            "authenticatorData",
        ),
    ];
    for ((client_data, data), part) in table {
        let said = authenticator.signs(client_data, data);
        let refused = said.verify(ASKED, &party(), &authenticator.key()).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}: {said:?}");
    }
}

#[test]
fn a_signature_of_another_key_or_over_other_bytes_is_worth_nothing() {
    for authenticator in [Authenticator::es256(), Authenticator::eddsa()] {
        let said = authenticator.signs(client_data(), here(GOOD, 1));
        let verify = |said: &Assertion, key| said.verify(ASKED, &party(), &key);
        for other in [Authenticator::es256(), Authenticator::eddsa()] {
            assert_eq!(verify(&said, other.key()), Err(SignatureFault::Broken));
        }
        let counted = Assertion { authenticator_data: here(GOOD, 2), ..said.clone() };
        assert_eq!(verify(&counted, authenticator.key()), Err(SignatureFault::Broken));
        for at in 0..said.signature.len() {
            let mut flipped = said.clone();
            flipped.signature[at] ^= 1;
            assert_eq!(verify(&flipped, authenticator.key()), Err(SignatureFault::Broken), "{at}");
        }
        for signature in [vec![], vec![0; 64], vec![0; SIGNATURE_MAX + 1]] {
            let said = Assertion { signature, ..said.clone() };
            assert_eq!(verify(&said, authenticator.key()), Err(SignatureFault::Broken));
        }
    }
}

/// Of the specification (W3C WebAuthn 3, §16.1.2 and §16.1.3): `none.ES256` and `packed-self.ES256`. Their
/// authenticators had not verified the user, so that only their signatures are good.
#[test]
fn the_specifications_own_vectors_are_signed_and_refused_for_their_flags() {
    let party =
        RelyingParty { id: "example.org".into(), origins: vec!["https://example.org".into()] };
    for (x, y, challenge, data, client_data, signature) in [
        (
            "afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61",
            "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
            "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
            "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
            "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
            "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
        ),
        (
            "eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5",
            "927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2",
            "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b",
            "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50900000000",
            "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a225248696843784e534e493352594d45314f7731476d3132786e726b634a5f6666707637546e2d4a71386773222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a206754623533727a36456853576f6d58477a696d433151227d",
            "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
        ),
    ] {
        let point = [vec![4], hex::decode(x).unwrap(), hex::decode(y).unwrap()].concat();
        let key = PasskeyKey::Es256(point.try_into().unwrap());
        let asked = hex::decode(challenge).unwrap();
        let said = Assertion {
            client_data: hex::decode(client_data).unwrap(),
            authenticator_data: hex::decode(data).unwrap(),
            signature: hex::decode(signature).unwrap(),
        };
        assert_eq!(said.strange_client_data(&asked, &party), None);
        assert_eq!(said.asked(), Some(asked.clone()));
        assert!(said.is_signed_by(&key));
        let refused = said.verify(&asked, &party, &key);
        assert_eq!(refused, Err(SignatureFault::Authenticator("the user was not verified")));
    }
}

#[test]
fn only_the_two_kinds_of_key_are_read_in_their_one_encoding() {
    let es256 = Authenticator::es256().key().spki();
    let eddsa = Authenticator::eddsa().key().spki();
    let compressed = [&ES256_PREFIX[..], &[2], &es256[27..]].concat();
    for spki in [
        [&es256[..], &[0]].concat(),
        es256[..90].to_vec(),
        compressed,
        [&eddsa[..], &[0]].concat(),
        eddsa[..43].to_vec(),
        es256[26..].to_vec(),
        Vec::new(),
    ] {
        assert_eq!(PasskeyKey::parse(&spki), None, "{spki:?}");
    }
}
