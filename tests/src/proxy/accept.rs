//! The proxy's port: connections in, and a refusal that keeps the port.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};

use super::{Line, Orders, Shared, wire::Wire};

/// Listens on a free port.
pub(super) async fn start(shared: Arc<Shared>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(listen(listener, address, shared));
    address
}

async fn listen(mut listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut orders = shared.orders.subscribe();
    loop {
        if orders.borrow_and_update().line == Line::Refused {
            listener = refuse(listener, address, &mut orders).await;
        }
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("the proxy's listener");
                tokio::spawn(carry(client, Arc::clone(&shared)));
            }
            changed = orders.changed() => {
                if changed.is_err() { return }
            }
        }
    }
}

/// Until the line is another: a socket that is bound and does not listen refuses, and keeps the port.
async fn refuse(
    listener: TcpListener,
    address: SocketAddr,
    orders: &mut watch::Receiver<Orders>,
) -> TcpListener {
    drop(listener);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("the port that was ours a moment ago");
    let _the_test_is_over = orders.wait_for(|orders| orders.line != Line::Refused).await.is_err();
    socket.listen(1024).expect("a bound socket listens")
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    // a server that is down looks so from the other side too
    if let Ok(server) = TcpStream::connect(shared.server).await {
        Wire::new(client, server, shared).carry().await;
    }
}
