use super::*;

const PASSWORD: &[u8] = b"testpassword";
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

/// The two examples of the Web3 Secret Storage definition.
const PBKDF2: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;
const SCRYPT: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "83dbcc02d8ccb40e466191a123791e0e" },
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32, "n": 262144, "p": 8, "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;

#[test]
fn the_examples_of_the_definition_open() {
    for text in [PBKDF2, SCRYPT] {
        let stored = Stored::parse(text).unwrap();
        assert_eq!(hex::encode(*stored.unseal(PASSWORD).unwrap()), SECRET);
        assert_eq!(stored.weakness(), None);
    }
}

/// A cheap file to damage.
fn light() -> String {
    let secret = Zeroizing::new([7; 32]);
    let stored = Stored::seal(&secret, "ab".into(), PASSWORD, Cost::Light).unwrap();
    serde_json::to_string(&stored).unwrap()
}

#[test]
fn a_sealed_key_opens_with_its_password_only() {
    let stored = Stored::parse(&light()).unwrap();
    assert_eq!(*stored.unseal(PASSWORD).unwrap(), [7; 32]);
    for wrong in [&b""[..], b"testpasswore", b"testpassword "] {
        assert_eq!(stored.unseal(wrong).unwrap_err(), StorageError::Password);
    }
    assert!(stored.weakness().is_some());
    assert!(!light().contains(&hex::encode([7; 32])));
}

#[test]
fn two_files_of_one_key_share_nothing_random() {
    let [first, second] = [light(), light()].map(|text| Stored::parse(&text).unwrap());
    assert_ne!(first.crypto.ciphertext, second.crypto.ciphertext);
    assert_ne!(first.crypto.cipherparams.iv, second.crypto.cipherparams.iv);
    assert_ne!(first.id, second.id);
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let light = light();
    let damage = |path: &str, value: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_str(&light).unwrap();
        *json.pointer_mut(path).unwrap() = value;
        json.to_string()
    };
    let hex64 = "00".repeat(32);
    let broken = [
        String::new(),
        "{}".into(),
        "[]".into(),
        damage("/version", 1.into()),
        damage("/crypto/cipher", "aes-128-cbc".into()),
        damage("/crypto/cipherparams/iv", "00".into()),
        damage("/crypto/cipherparams/iv", "zz".into()),
        damage("/crypto/ciphertext", "00".into()),
        damage("/crypto/ciphertext", hex64.clone().into()),
        damage("/crypto/mac", hex64.into()),
        damage("/crypto/kdf", "argon2".into()),
        damage("/crypto/kdf", "pbkdf2".into()),
        damage("/crypto/kdfparams/dklen", 16.into()),
        damage("/crypto/kdfparams/n", 0.into()),
        damage("/crypto/kdfparams/n", 1.into()),
        damage("/crypto/kdfparams/n", 4095.into()),
        damage("/crypto/kdfparams/n", 2_147_483_648_u32.into()),
        damage("/crypto/kdfparams/r", 0.into()),
        damage("/crypto/kdfparams/r", u32::MAX.into()),
        damage("/crypto/kdfparams/p", 0.into()),
        damage("/crypto/kdfparams/p", u32::MAX.into()),
    ];
    for text in broken {
        let opened = Stored::parse(&text).and_then(|stored| stored.unseal(PASSWORD));
        assert!(opened.is_err(), "{text}");
    }
    for c in [0, PBKDF2_ROUNDS_MAX + 1] {
        let text = PBKDF2.replace("262144", &c.to_string());
        assert!(Stored::parse(&text).unwrap().unseal(PASSWORD).is_err(), "{c}");
    }
    let other_prf = PBKDF2.replace("hmac-sha256", "hmac-sha1");
    assert!(Stored::parse(&other_prf).unwrap().unseal(PASSWORD).is_err());
}

#[test]
fn what_is_cheap_to_guess_is_called_weak() {
    for (text, weak) in [
        (SCRYPT.replace("262144", "4096"), true),
        (SCRYPT.replace("262144", "8192"), false),
        (PBKDF2.replace("262144", "99999"), true),
        (PBKDF2.replace("262144", "100000"), false),
    ] {
        assert_eq!(Stored::parse(&text).unwrap().weakness().is_some(), weak, "{text}");
    }
}

#[test]
fn an_id_is_a_random_uuid() {
    let zero = "00000000-0000-4000-8000-000000000000";
    let ones = "ffffffff-ffff-4fff-bfff-ffffffffffff";
    assert_eq!((uuid([0; 16]).as_str(), uuid([255; 16]).as_str()), (zero, ones));
}
