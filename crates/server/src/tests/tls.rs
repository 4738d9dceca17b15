use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::house::{BASIC, House, call};
use crate::{Door, DoorError, TlsFiles};
use countersign_core::time::Millis;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &Authority) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

fn files(folder: &Path, server: &Authority, clients: Option<&Authority>) -> TlsFiles {
    let (certificate, key) = issue(server);
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    TlsFiles {
        certificate: write("server.pem", certificate.pem()),
        key: write("server.key", key.serialize_pem()),
        client_ca: clients.map(|ca| write("clients.pem", ca.pem())),
    }
}

fn client(
    server: &Authority,
    own: Option<(rcgen::Certificate, KeyPair)>,
    alpn: &str,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(server.der().to_vec())).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// What comes back over TLS; empty if nobody is let in.
async fn ask(house: &House, connector: TlsConnector) -> String {
    let body = call("eth_chainId", "[]");
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: {BASIC}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let stream = TcpStream::connect(house.agents).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let Ok(mut stream) = connector.connect(name, stream).await else { return String::new() };
    let mut answer = String::new();
    let _written = stream.write_all(request.as_bytes()).await;
    let _read = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn only_clients_of_the_configured_authority_come_in() {
    let folder = TempDir::new().unwrap();
    let (server, clients, others) = (authority(), authority(), authority());
    let house = House::open_with(Some(files(folder.path(), &server, Some(&clients)))).await;
    let own = |authority| Some(issue(authority));
    assert!(ask(&house, client(&server, own(&clients), "http/1.1")).await.contains("0x7a69"));
    assert_eq!(ask(&house, client(&server, own(&others), "http/1.1")).await, "");
    assert_eq!(ask(&house, client(&server, None, "http/1.1")).await, "");
    house.close().await;
}

#[tokio::test]
async fn without_a_client_authority_the_token_is_enough_and_http_2_is_offered() {
    let folder = TempDir::new().unwrap();
    let server = authority();
    let house = House::open_with(Some(files(folder.path(), &server, None))).await;
    assert!(ask(&house, client(&server, None, "http/1.1")).await.contains("0x7a69"));
    let stream = TcpStream::connect(house.agents).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = client(&server, None, "h2").connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    house.close().await;
}

#[tokio::test]
async fn unusable_files_are_named_before_anything_listens() {
    let folder = TempDir::new().unwrap();
    let good = files(folder.path(), &authority(), None);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.pem");
    for (tls, file) in [
        (TlsFiles { certificate: missing.clone(), ..good.clone() }, &missing),
        (TlsFiles { key: empty.clone(), ..good.clone() }, &empty),
        (TlsFiles { client_ca: Some(empty.clone()), ..good.clone() }, &empty),
    ] {
        let door = Door {
            address: "127.0.0.1:0".parse().unwrap(),
            tls: Some(tls),
            hosts: Vec::new(),
            drain: Millis::ZERO,
        };
        match door.bind().await {
            Err(DoorError::File { file: named, .. }) => assert_eq!(&named, file),
            other => panic!("{other:?}"),
        }
    }
}
