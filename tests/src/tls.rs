//! A certificate authority for one test.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use hyper::Request;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{self, Reply, Version};

/// An authority that signs for the gateway and for its clients.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    /// Signs a certificate for one name.
    #[must_use]
    pub fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { pem: certificate.pem(), certificate: certificate.der().clone(), key }
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server that shows a certificate of this authority for this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let identity = self.sign(name);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
        let chain = vec![identity.certificate.clone()];
        let config = builder.with_no_client_auth().with_single_cert(chain, identity.der());
        Arc::new(config.expect("a certificate and its key"))
    }

    /// Writes `ca.pem`, `server.pem` and `server.key` for a gateway on the loopback.
    pub fn write(&self, folder: &Path) {
        let server = self.sign("127.0.0.1");
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).expect("a file in a folder of ours");
        };
        write("ca.pem", &self.issuer.pem());
        write("server.pem", &server.pem);
        write("server.key", &server.key.serialize_pem());
        crate::config::keep_private(&folder.join("server.key"));
    }

    /// A client that trusts this authority, and shows `identity` where it has one.
    #[must_use]
    pub fn client(&self, identity: Option<&Identity>, version: Version) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.certificate.clone()], identity.der())
                .expect("a certificate and its key"),
        };
        config.alpn_protocols = vec![match version {
            Version::One => b"http/1.1".to_vec(),
            Version::Two => b"h2".to_vec(),
        }];
        config
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    fn der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// One exchange over TLS. An error is a refused handshake or a closed connection.
pub async fn send(
    config: ClientConfig,
    version: Version,
    to: SocketAddr,
    head: &Request<()>,
    body: Bytes,
) -> Result<Reply, String> {
    let stream = TcpStream::connect(to).await.map_err(|error| error.to_string())?;
    let name = ServerName::from(to.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    http::exchange(stream.map_err(|error| error.to_string())?, version, head, body).await
}
