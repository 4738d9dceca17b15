//! A receiver of webhooks that keeps what it was told, and answers as a test wants.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use rustls::ServerConfig;
use serde_json::Value;
use sha2::Sha256;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// The text of the secret file.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Instead of a status: no answer at all.
pub const SILENCE: u16 = 0;

/// One delivery.
#[derive(Debug, Clone)]
pub struct Told {
    /// `webhook-id`
    pub id: String,
    /// Its headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub text: String,
}

impl Told {
    /// The body as JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).expect("a body of JSON")
    }

    /// The `type` of the body.
    #[must_use]
    pub fn kind(&self) -> String {
        self.body().get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A fact of the body.
    #[must_use]
    pub fn fact(&self, name: &str) -> String {
        let body = self.body();
        let fact = body.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
        fact.unwrap_or_default().to_owned()
    }

    /// Whether it is signed with [`SECRET`], as Standard Webhooks say.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("a secret");
        let header = |name: &str| self.headers.get(name).cloned().unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        let content = format!("{}.{}.{}", self.id, header("webhook-timestamp"), self.text);
        mac.update(content.as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        header("webhook-signature") == expected
    }
}

/// A server that webhooks are posted to.
#[derive(Debug, Clone)]
pub struct Receiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    /// Listens, and answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (status, told) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let receiver = Self { address, status, told };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = serving.clone();
                tokio::spawn(async move { receiver.serve(stream).await });
            }
        });
        receiver
    }

    /// As [`Receiver::start`], under TLS with this certificate.
    pub async fn start_tls(tls: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (status, told) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let receiver = Self { address, status, told };
        let (serving, acceptor) = (receiver.clone(), TlsAcceptor::from(tls));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (receiver, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move {
                    // whoever does not believe the certificate says nothing
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    receiver.serve(stream).await;
                });
            }
        });
        receiver
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What it answers from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Everything that it was told, in order; deliveries that it did not take, too.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The deliveries of that type.
    #[must_use]
    pub fn of(&self, kind: &str) -> Vec<Told> {
        self.told().into_iter().filter(|told| told.kind() == kind).collect()
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let mut stream = BufReader::new(stream);
        let Some(told) = read(&mut stream).await else { return };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        match self.status.load(Ordering::SeqCst) {
            SILENCE => std::future::pending().await,
            status => {
                let answer = format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
            }
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Told> {
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let id = headers.get("webhook-id").cloned().unwrap_or_default();
    Some(Told { id, headers, text: String::from_utf8(body).ok()? })
}
