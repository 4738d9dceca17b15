use std::sync::{
    Arc as Shared,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{reach::checked, *};

fn at() -> Timestamp {
    Timestamp::from_millis(1_614_265_330_999)
}

fn options(url: &str, reach: Reach) -> WebhookOptions {
    WebhookOptions {
        url: url.into(),
        key: Some(b"0123456789abcdef".to_vec()),
        kinds: Kind::ALL.to_vec(),
        format: Format::Standard,
        reach,
        authorities: None,
        wall: at,
    }
}

fn notice() -> Notice {
    Notice {
        id: "evt_1".into(),
        kind: Kind::Sealed,
        at: at(),
        title: "sealed".into(),
        facts: vec![("app", "default".into())],
        untrusted: Vec::new(),
    }
}

#[test]
fn a_signature_is_that_of_standard_webhooks() {
    // the test vector that its reference implementations share
    let key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let body = r#"{"test": 2432232314}"#;
    let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let bare = key_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    assert_eq!(bare, key, "the prefix may be missing");
}

#[test]
fn a_key_is_base64_or_long_text() {
    assert_eq!(key_of("correct horse battery").unwrap(), b"correct horse battery");
    for text in ["", "short", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", &"x".repeat(300)] {
        assert_eq!(key_of(text), Err(WebhookError::Key), "{text}");
    }
}

/// Addresses, with who may have a receiver there: public, private, loopback.
const ADDRESSES: &str = include_str!("addresses.tsv");

#[test]
fn a_receiver_has_an_address_that_is_meant() {
    let mut rows = 0;
    for line in ADDRESSES.lines().filter(|line| !line.starts_with('#')) {
        let (address, expected) = line.split_once('\t').unwrap();
        let ip: IpAddr = address.parse().unwrap();
        let admitted = |reach| admits(reach, ip);
        let found = if admitted(Reach::Public) {
            "public"
        } else if admitted(Reach::Private) {
            "private"
        } else if admitted(Reach::Loopback) {
            "loopback"
        } else {
            "never"
        };
        assert_eq!(found, expected, "{address}");
        rows += 1;
    }
    assert!(rows > 40);
}

#[test]
fn one_address_that_is_not_meant_spoils_the_name() {
    let of = |ips: &[&str]| {
        let addresses: Vec<_> =
            ips.iter().map(|ip| (ip.parse::<IpAddr>().unwrap(), 0).into()).collect();
        checked(Reach::Public, addresses.into_iter()).map(Iterator::count).ok()
    };
    assert_eq!(of(&["1.1.1.1", "2606:4700::1111"]), Some(2));
    assert_eq!(of(&["1.1.1.1", "127.0.0.1"]), None);
    assert_eq!(of(&["::ffff:169.254.169.254"]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn what_a_url_says_by_itself_is_refused_at_once() {
    let refusal = |url: &str, reach| Webhook::new(options(url, reach)).map(drop).unwrap_err();
    for url in [
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/",
        "https://10.0.0.7/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://0.0.0.0/",
    ] {
        assert_eq!(refusal(url, Reach::Public), WebhookError::Address, "{url}");
    }
    for url in ["http://example.com/", "http://127.0.0.1:1/", "http://localhost:1/"] {
        assert_eq!(refusal(url, Reach::Public), WebhookError::Clear, "{url}");
    }
    assert_eq!(refusal("http://10.0.0.7/", Reach::Private), WebhookError::Clear);
    assert_eq!(refusal("http://example.com/", Reach::Loopback), WebhookError::Clear);
    assert_eq!(refusal("https://10.0.0.7/", Reach::Loopback), WebhookError::Address);
    assert_eq!(refusal("https://u:p@example.com/", Reach::Public), WebhookError::User);
    for url in ["gopher://example.com/", "ftp://example.com/", "example.com", ""] {
        assert!(matches!(refusal(url, Reach::Public), WebhookError::Url(_)), "{url}");
    }
    assert!(Webhook::new(options("https://10.0.0.7/", Reach::Private)).is_ok());
    assert!(Webhook::new(options("http://127.0.0.1:9/", Reach::Loopback)).is_ok());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // some resolvers read these as 127.0.0.1, others as nothing: neither is connected to
    for host in ["localhost", "0x7f.1", "2130706433", "127.1", "0177.0.0.1"] {
        for reach in [Reach::Public, Reach::Private] {
            let webhook = Webhook::new(options(&format!("https://{host}:{port}/"), reach)).unwrap();
            webhook.deliver(&notice()).await.unwrap_err();
        }
    }
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
}

/// A receiver that answers every connection with these bytes, and counts them. Returns where it is.
async fn receiver_that(says: &'static [u8], goes_on: bool) -> (String, Shared<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/hook", listener.local_addr().unwrap().port());
    let asked = Shared::new(AtomicUsize::new(0));
    let count = Shared::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut head = [0_u8; 4096];
                drop(stream.read(&mut head).await);
                drop(stream.write_all(says).await);
                while goes_on && stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
                if says.is_empty() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (url, asked)
}

async fn told(says: &'static [u8], goes_on: bool) -> Result<(), Undelivered> {
    let (url, asked) = receiver_that(says, goes_on).await;
    let webhook = Webhook::new(options(&url, Reach::Loopback)).unwrap();
    let answer = webhook.deliver(&notice()).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "asked once");
    answer
}

#[tokio::test]
async fn hostile_receivers_are_left_to_themselves() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(told(ok, false).await, Ok(()));
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000\r\n";
    let begun = std::time::Duration::from_secs(4);
    let answer = tokio::time::timeout(begun, told(endless, true)).await;
    assert_eq!(answer, Ok(Ok(())), "the status is enough");
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let refused = told(redirect, false).await.unwrap_err().0;
    assert_eq!(refused, "HTTP 302: no redirect is followed");
    let broken = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(told(broken, false).await.unwrap_err().0, "HTTP 500");
    assert!(told(b"approve\r\n\r\n", false).await.is_err());
    let long_head = b"HTTP/1.1 200 OK\r\nx: ";
    assert!(told(long_head, true).await.is_err(), "a head without an end");
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() {
    let (url, _) = receiver_that(b"", false).await;
    let webhook = Webhook::new(options(&url, Reach::Loopback)).unwrap();
    tokio::time::pause();
    assert_eq!(webhook.deliver(&notice()).await.unwrap_err().0, "no answer within 5 s");
}

#[tokio::test]
async fn a_receiver_that_nobody_vouches_for_is_not_told() {
    let (url, _) = receiver_that(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
    let webhook = Webhook::new(options(&url.replace("http:", "https:"), Reach::Loopback)).unwrap();
    assert!(webhook.deliver(&notice()).await.is_err(), "it does not speak TLS");
}

#[test]
fn nothing_of_a_receiver_shows_its_path() {
    let webhook =
        Webhook::new(options("https://hooks.example/T000/B000/XXXXSECRET", Reach::Public));
    let webhook = webhook.unwrap();
    let shown = format!("{webhook:?} {}", webhook.receiver());
    assert!(shown.contains("hooks.example") && !shown.contains("SECRET"), "{shown}");
    let other = Webhook::new(options("https://hooks.example/T000/B000/OTHER", Reach::Public));
    assert_ne!(webhook.receiver(), other.unwrap().receiver());
}
