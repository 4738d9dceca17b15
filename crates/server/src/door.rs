//! Where a door is, before anybody stands in it.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use countersign_core::time::Millis;
use tokio::net::TcpListener;

use crate::{host::Hosts, tls};

/// One listener, as the configuration describes it.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, where it is wanted.
    pub tls: Option<TlsFiles>,
    /// Names that this door answers to, besides `localhost` and IP literals. A request to another name is
    /// refused, so that no page can rebind its own name to this door.
    pub hosts: Vec<String>,
    /// How long requests that have begun may go on after the stop.
    pub drain: Millis,
}

/// PEM files of a listener. They are read once, when it is bound.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who must have issued a client's certificate. Where it is set, nobody comes in without one.
    pub client_ca: Option<PathBuf>,
}

/// A door that listens and is not served yet: connections wait.
pub struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) drain: Millis,
    hosts: Hosts,
    address: SocketAddr,
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A file of the TLS configuration cannot be used.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it; nothing of its content.
        reason: String,
    },
    /// Certificate and key do not fit each other.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Door {
    /// Reads the TLS files, and tells whether [`bind`](Self::bind) could use them.
    ///
    /// # Errors
    /// What is wrong with a file, or that certificate and key do not fit each other.
    pub fn check_tls(&self) -> Result<(), DoorError> {
        self.tls.as_ref().map_or(Ok(()), |files| tls::load(files).map(drop))
    }

    /// Reads the TLS files and listens.
    pub async fn bind(&self) -> Result<Bound, DoorError> {
        let refused = |error| DoorError::Address { address: self.address, error };
        let tls = self.tls.as_ref().map(tls::load).transpose()?;
        let listener = TcpListener::bind(self.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Bound { listener, tls, drain: self.drain, hosts: Hosts::new(&self.hosts), address })
    }
}

impl Bound {
    /// Where it listens, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bound({}, tls: {})", self.address, self.tls.is_some())
    }
}
