//! A certificate authority for one test.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Signs for servers of this machine and for their clients.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate that is called like its issuer for its own issuer
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }
}

impl Authority {
    /// Its own certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Signs for these names.
    #[must_use]
    pub fn sign(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer);
        Identity { certificate: certificate.unwrap().pem(), key: key.serialize_pem() }
    }

    /// Writes `ca.pem`, `server.pem` and `server.key` for a server that is called `localhost`, and nothing else.
    pub(crate) fn write(&self, folder: &Path) {
        let server = self.sign(&["localhost"]);
        for (name, text) in [
            ("ca.pem", self.certificate()),
            ("server.pem", server.certificate),
            ("server.key", server.key),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }
}
