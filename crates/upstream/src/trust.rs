//! Whom a client of ours believes: what browsers do, or the authorities that an operator names and no other.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Authorities that an operator names. At least one.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<RootCertStore>);

/// Why a text names no authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// No certificate is in it.
    #[error("there is no certificate in it: expected PEM, `-----BEGIN CERTIFICATE-----`")]
    Empty,
    /// What is in it cannot be read.
    #[error("it cannot be read as PEM: {0}")]
    Pem(String),
    /// A certificate is none.
    #[error("a certificate in it cannot be used: {0}")]
    Certificate(String),
}

impl Authorities {
    /// Reads certificates in PEM; what else is in the text, a key for one, is left alone.
    pub fn parse(pem: &[u8]) -> Result<Self, AuthorityError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| AuthorityError::Pem(e.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|e| AuthorityError::Certificate(e.to_string()))?;
        }
        if roots.is_empty() { Err(AuthorityError::Empty) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// A client that believes these authorities only; without, those that browsers believe.
pub fn trusting(
    authorities: Option<&Authorities>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(match authorities {
        Some(Authorities(roots)) => builder.with_root_certificates(Arc::clone(roots)),
        None => builder.with_webpki_roots(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_names_nobody() {
        let block = |text: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (pem, empty) in [("", true), ("text", true), (key, true)] {
            let found = Authorities::parse(pem.as_bytes()).unwrap_err();
            assert_eq!(found == AuthorityError::Empty, empty, "{pem}: {found}");
        }
        let found = Authorities::parse(block("AAAA").as_bytes()).unwrap_err();
        assert!(matches!(found, AuthorityError::Certificate(_)), "{found}");
        for pem in [block("*"), "-----BEGIN CERTIFICATE-----\n".into()] {
            let found = Authorities::parse(pem.as_bytes()).unwrap_err();
            assert!(matches!(found, AuthorityError::Pem(_)), "{pem}: {found}");
        }
        assert!(trusting(None).is_ok());
    }
}
