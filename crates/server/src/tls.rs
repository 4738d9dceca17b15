//! TLS by rustls with ring, from PEM files.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::door::{DoorError, TlsFiles};

/// A server that speaks HTTP/2 and HTTP/1.1 and, where a CA for clients is set, knows its clients.
pub(crate) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, DoorError> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unusable(&files.key, e))?;
    let chain = certificates(&files.certificate)?;
    let tls = |error: rustls::Error| DoorError::Tls(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(tls)?;
    let builder = match &files.client_ca {
        Some(ca) => builder.with_client_cert_verifier(verifier(ca, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn verifier(
    ca: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, DoorError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|e| unusable(ca, e))?;
    }
    WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .map_err(|e| unusable(ca, e))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, DoorError> {
    let read = CertificateDer::pem_file_iter(file).map_err(|e| unusable(file, e))?;
    let chain: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| unusable(file, e))?;
    if chain.is_empty() { Err(unusable(file, "no certificate in it")) } else { Ok(chain) }
}

fn unusable(file: &Path, reason: impl std::fmt::Display) -> DoorError {
    DoorError::File { file: file.to_owned(), reason: reason.to_string() }
}
