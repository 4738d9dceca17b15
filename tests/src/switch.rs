//! A line that leads to one server and then to another, as a name does that is pointed elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A running switch; it ends with the test's runtime.
#[derive(Debug)]
pub struct Switch {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
}

impl Switch {
    /// Leads to this server.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (target, _) = watch::channel(server);
        let targets = target.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, targets.subscribe()));
            }
        });
        Self { address, target }
    }

    /// As a Redis URL.
    #[must_use]
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Leads to another server from now on; whoever was connected has to connect again.
    pub fn lead_to(&self, server: SocketAddr) {
        self.target.send_replace(server);
    }
}

async fn pass(mut client: TcpStream, mut target: watch::Receiver<SocketAddr>) {
    let server = *target.borrow_and_update();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _over = copy_bidirectional(&mut client, &mut server) => {}
        _elsewhere = target.changed() => {}
    }
}
