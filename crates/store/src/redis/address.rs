//! Where a Redis is and how to log in there, as a person writes it, checked before anything is connected.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};

use super::way::{Server, Way};

/// Where a sentinel listens if its URL does not say.
const SENTINEL_PORT: u16 = 26379;

/// Where a Redis is and how to log in there.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    /// `redis://` or, with TLS, `rediss://`; may hold user, password and database. One server, or the sentinels, or
    /// some nodes of the cluster; with several, all but host and port must be the same.
    pub urls: Vec<SecretString>,
    /// In place of a password in the URLs: here it may hold any character.
    pub password: Option<SecretString>,
    /// What the URLs lead to.
    pub topology: Topology,
    /// Used with `rediss://` only.
    pub tls: RedisTls,
}

/// What the URLs lead to.
#[derive(Debug, Clone, Default)]
pub enum Topology {
    /// The server itself.
    #[default]
    One,
    /// Sentinels, which know the master of this name.
    Sentinel {
        /// What the sentinels call it.
        master: String,
        /// The sentinels' own login. Without it they are shown the servers' login, and where they know none, none.
        login: Option<SentinelLogin>,
    },
    /// Nodes of a cluster.
    Cluster,
}

/// How to log in at the sentinels, where that differs.
#[derive(Debug, Clone)]
pub struct SentinelLogin {
    /// The default user if absent.
    pub user: Option<String>,
    /// The password.
    pub password: SecretString,
}

/// PEM texts. A server is believed only if its certificate leads to a known authority and names its host.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// The authorities that are believed, in place of the public ones.
    pub ca: Option<String>,
    /// What this gateway shows of itself.
    pub client: Option<ClientCertificate>,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The chain, its own certificate first.
    pub certificate: String,
    /// The key.
    pub key: SecretString,
}

impl RedisAddress {
    /// One server, with all that is needed in its URL.
    #[must_use]
    pub fn one(url: SecretString) -> Self {
        let (topology, tls) = (Topology::default(), RedisTls::default());
        Self { urls: vec![url], password: None, topology, tls }
    }

    /// Whether this can lead anywhere. Connects to nothing.
    pub fn check(&self) -> Result<(), AddressError> {
        self.way().map(drop)
    }

    pub(super) fn way(&self) -> Result<Way, AddressError> {
        // the client takes the process's provider of cryptography, and panics where there is none
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::trace!("the process has a provider of cryptography already");
        }
        let servers: Result<Vec<Server>, AddressError> =
            self.urls.iter().map(|url| self.server(url.expose_secret())).collect();
        let servers = servers?;
        let Some(first) = servers.first() else { return Err(AddressError::NoUrl) };
        if servers.iter().any(|server| !alike(server, first)) {
            return Err(AddressError::Unlike);
        }
        match &self.topology {
            Topology::One if servers.len() > 1 => Err(AddressError::Several),
            Topology::One => Ok(Way::One(first.clone())),
            Topology::Sentinel { master, login } => {
                Ok(Way::sentinel(servers, master.clone(), login.clone()))
            }
            Topology::Cluster if first.redis_settings().db() != 0 => Err(AddressError::Database),
            Topology::Cluster => Ok(Way::cluster(servers)),
        }
    }

    fn server(&self, url: &str) -> Result<Server, AddressError> {
        // `#insecure` and the like: nothing may weaken a connection from inside its URL
        if url.contains(['#', '?'])
            || !(url.starts_with("redis://") || url.starts_with("rediss://"))
        {
            return Err(AddressError::Url);
        }
        // the client's own error may repeat the URL, and with it the password
        let info = url.into_connection_info().map_err(|_| AddressError::Url)?;
        // only RESP3 tells of a connection's end
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(password) = &self.password {
            if settings.password().is_some() {
                return Err(AddressError::TwoPasswords);
            }
            settings = settings.set_password(password.expose_secret());
        }
        if settings.username().is_some() && settings.password().is_none() {
            return Err(AddressError::NoPassword);
        }
        let address = self.encrypted(self.port_given(url, info.addr().clone()))?;
        Ok(info.set_redis_settings(settings).set_addr(address))
    }

    fn port_given(&self, url: &str, address: ConnectionAddr) -> ConnectionAddr {
        let Topology::Sentinel { .. } = self.topology else { return address };
        let place = url.rsplit('@').next().unwrap_or_default();
        let place = place.rsplit("://").next().unwrap_or_default();
        let place = place.split('/').next().unwrap_or_default();
        let named = place.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        if named { address } else { moved_to(&address, None, SENTINEL_PORT) }
    }

    fn encrypted(&self, address: ConnectionAddr) -> Result<ConnectionAddr, AddressError> {
        let RedisTls { ca, client } = &self.tls;
        if ca.is_none() && client.is_none() {
            return Ok(address);
        }
        if !matches!(address, ConnectionAddr::TcpTls { .. }) {
            return Err(AddressError::Plain);
        }
        let pem = |text: &str| text.as_bytes().to_vec();
        let root_cert = ca.as_deref().map(certificates).transpose()?.map(pem);
        let client_tls = client.as_ref().map(ClientCertificate::parsed).transpose()?;
        let made =
            redis::Client::build_with_tls(address, TlsCertificates { client_tls, root_cert });
        let made = made.map_err(|_| AddressError::Pem("the certificates of the store"))?;
        Ok(made.get_connection_info().addr().clone())
    }
}

impl ClientCertificate {
    fn parsed(&self) -> Result<redis::ClientTlsConfig, AddressError> {
        let certificate = certificates(&self.certificate)?;
        let key = self.key.expose_secret().as_bytes();
        PrivateKeyDer::from_pem_slice(key).map_err(|_| AddressError::Pem("the key"))?;
        Ok(redis::ClientTlsConfig {
            client_cert: certificate.as_bytes().to_vec(),
            client_key: key.to_vec(),
        })
    }
}

/// The text, if it holds at least one certificate and nothing that cannot be read.
fn certificates(pem: &str) -> Result<&str, AddressError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(pem),
        Ok(_) | Err(_) => Err(AddressError::Pem("a certificate")),
    }
}

fn alike(one: &ConnectionInfo, other: &ConnectionInfo) -> bool {
    let login = |info: &ConnectionInfo| {
        let settings = info.redis_settings();
        let text = |text: Option<&str>| text.map(str::to_owned);
        (text(settings.username()), text(settings.password()), settings.db())
    };
    let is_encrypted = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    login(one) == login(other) && is_encrypted(one) == is_encrypted(other)
}

/// The same kind of connection to another port, and to another host if one is given.
pub(super) fn moved_to(address: &ConnectionAddr, host: Option<&str>, port: u16) -> ConnectionAddr {
    let named = |own: &str| host.unwrap_or(own).to_owned();
    if let ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } = address {
        let (insecure, tls_params) = (*insecure, tls_params.clone());
        return ConnectionAddr::TcpTls { host: named(own), port, insecure, tls_params };
    }
    if let ConnectionAddr::Tcp(own, _) = address {
        return ConnectionAddr::Tcp(named(own), port);
    }
    // INVARIANT: `server` takes URLs of two schemes only, neither of which is a path
    address.clone()
}

/// An address that cannot lead anywhere. No message holds a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a Redis URL.
    #[error(
        "the store's url is not of the form redis://host:port or rediss://user:password@host:port/database; what a url cannot hold, in a password too, is written %XX"
    )]
    Url,
    /// No URL at all.
    #[error("the store needs at least one url")]
    NoUrl,
    /// Several URLs, and no word of what they lead to.
    #[error("several urls need `sentinel: NAME` or `cluster: true`")]
    Several,
    /// URLs of one store that ask for different things.
    #[error("the urls of one store may differ in host and port only")]
    Unlike,
    /// A database in a cluster.
    #[error("a cluster has no databases but 0")]
    Database,
    /// A password in the URL and another one beside it.
    #[error("the store has a password in its url and another one beside it")]
    TwoPasswords,
    /// A user who cannot log in.
    #[error("the store's url names a user and no password")]
    NoPassword,
    /// Certificates for a connection without TLS.
    #[error("certificates are used with rediss:// only")]
    Plain,
    /// What is no PEM.
    #[error("{0} cannot be read: expected PEM")]
    Pem(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(urls: &[&str], topology: Topology) -> RedisAddress {
        let urls = urls.iter().map(|url| SecretString::from(*url)).collect();
        RedisAddress { urls, password: None, topology, tls: RedisTls::default() }
    }

    fn sentinel() -> Topology {
        Topology::Sentinel { master: "main".into(), login: None }
    }

    #[test]
    fn what_cannot_lead_anywhere_is_refused_before_connecting() {
        let cases: [(&[&str], Topology, AddressError); 16] = [
            (&[], Topology::One, AddressError::NoUrl),
            (&[""], Topology::One, AddressError::Url),
            (&["http://h"], Topology::One, AddressError::Url),
            (&["unix:///tmp/redis"], Topology::One, AddressError::Url),
            (&["redis://h/x"], Topology::One, AddressError::Url),
            (&["redis://:pass-word@"], Topology::One, AddressError::Url),
            (&["rediss://h#insecure"], Topology::One, AddressError::Url),
            (&["redis://h?protocol=2"], Topology::One, AddressError::Url),
            (&["redis://0.0.0.0"], Topology::One, AddressError::Url),
            (&["redis://user@h"], Topology::One, AddressError::NoPassword),
            (&["redis://a", "redis://b"], Topology::One, AddressError::Several),
            (&["redis://a", "rediss://b"], Topology::Cluster, AddressError::Unlike),
            (&["redis://a/1", "redis://b"], sentinel(), AddressError::Unlike),
            (&["redis://:x@a", "redis://:y@b"], sentinel(), AddressError::Unlike),
            (&["redis://a/1"], Topology::Cluster, AddressError::Database),
            (&["redis://a:0x1"], Topology::Cluster, AddressError::Url),
        ];
        for (urls, topology, expected) in cases {
            assert_eq!(address(urls, topology).check(), Err(expected), "{urls:?}");
        }
    }

    #[test]
    fn what_a_person_writes_leads_where_it_says() {
        let cases: [(&str, Topology, &str); 7] = [
            ("redis://h", Topology::One, "h:6379"),
            ("rediss://u:p@h:7/2", Topology::One, "h:7"),
            ("redis://[::1]", Topology::Cluster, "::1:6379"),
            ("redis://h", sentinel(), "h:26379"),
            ("redis://u:p@h/1", sentinel(), "h:26379"),
            ("redis://[::1]", sentinel(), "::1:26379"),
            ("redis://[::1]:7", sentinel(), "::1:7"),
        ];
        for (url, topology, expected) in cases {
            let server = address(&[url], topology).server(url).unwrap();
            assert_eq!(server.addr().to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_password_beside_the_url_may_hold_any_character() {
        let mut beside = address(&["redis://user@h"], Topology::One);
        beside.password = Some(SecretString::from("a/b#c?d@e:f"));
        let server = beside.server("redis://user@h").unwrap();
        assert_eq!(server.redis_settings().username(), Some("user"));
        assert_eq!(server.redis_settings().password(), Some("a/b#c?d@e:f"));
        let twice = beside.server("redis://user:x@h").unwrap_err();
        assert_eq!(twice, AddressError::TwoPasswords);
        assert!(!format!("{beside:?}").contains("a/b"), "a password is shown");
    }

    #[test]
    fn certificates_are_read_before_connecting() {
        let mut with = address(&["rediss://h"], Topology::One);
        for text in
            ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
        {
            with.tls.ca = Some(text.into());
            assert_eq!(with.check(), Err(AddressError::Pem("a certificate")), "{text}");
        }
        let mut plain = address(&["redis://h"], Topology::One);
        plain.tls.ca = Some(String::new());
        assert_eq!(plain.check(), Err(AddressError::Plain));
    }
}
