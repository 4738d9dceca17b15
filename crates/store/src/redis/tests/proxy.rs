//! What lies between a gateway and Redis, and fails.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What becomes of a connection, once a command that holds the proxy's word went over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Neither its answer nor any later one comes back.
    Swallow,
    /// It ends right behind its answer.
    End,
}

/// Passes everything on to Redis and back, but for this fault. Answers its URL.
pub(super) async fn proxy(upstream: SocketAddr, fault: Fault, word: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(upstream).await.unwrap();
            tokio::spawn(pass(client, server, fault, word));
        }
    });
    url
}

async fn pass(mut client: TcpStream, mut server: TcpStream, fault: Fault, word: &'static str) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut fails = false;
    loop {
        tokio::select! {
            Ok(length @ 1..) = client.read(&mut asked) => {
                fails |= asked[..length].windows(word.len()).any(|w| w == word.as_bytes());
                server.write_all(&asked[..length]).await.unwrap();
            }
            Ok(length @ 1..) = server.read(&mut answered) => {
                if fails && fault == Fault::Swallow {
                    continue;
                }
                client.write_all(&answered[..length]).await.unwrap();
                if fails {
                    return;
                }
            }
            else => return,
        }
    }
}
