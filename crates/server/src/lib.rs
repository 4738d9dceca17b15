//! The doors: the agents' JSON-RPC and the operators' API. The only crate that listens on a socket, and
//! the only one where an outcome becomes a code (`answer.rs` and `operators/problem.rs`).
//!
//! ```no_run
//! # async fn example(engine: std::sync::Arc<countersign_engine::Engine>, door: countersign_server::Door)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_server::{Credentials, Gatehouse, Keyring, Metrics};
//!
//! let keyring = Keyring::new(Credentials::default());
//! let gatehouse = Gatehouse { engine, keyring, metrics: Metrics::default().into() };
//! let bound = door.bind().await?;
//! println!("agents: {}", bound.local_addr());
//! countersign_server::serve_agents(bound, gatehouse, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

mod agents;
mod answer;
mod credential;
mod door;
mod host;
mod listener;
mod metrics;
mod operators;
mod tls;

use std::{io, sync::Arc};

use countersign_engine::Engine;
use tokio::sync::watch;

#[cfg(any(test, fuzzing))]
pub use self::agents::fuzz;
pub use self::{
    agents::{AskError, Asked},
    credential::{Credentials, Keyring, TokenDigest},
    door::{Bound, Door, DoorError, TlsFiles},
    metrics::Metrics,
};

/// What both doors share.
#[derive(Debug, Clone)]
pub struct Gatehouse {
    /// The gateway without its doors.
    pub engine: Arc<Engine>,
    /// Whose tokens open which door.
    pub keyring: Arc<Keyring>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves the agents until `stop` completes, then accepts nothing more, lets every request that has begun
/// end within [`Door::drain`], and returns.
pub async fn serve_agents(
    bound: Bound,
    gatehouse: Gatehouse,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(false);
    let door = Arc::new(agents::AgentsDoor::new(gatehouse, bound.hosts(), closed));
    let stop = async move {
        stop.await;
        closing.send_replace(true);
    };
    listener::serve(bound, move |request, _peer| door.clone().answer(request), stop).await;
    Ok(())
}

/// Serves the operators until `stop` completes, then drains likewise.
pub async fn serve_operators(
    bound: Bound,
    gatehouse: Gatehouse,
    stop: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(false);
    let desk = operators::Desk::new(gatehouse, &bound, closed);
    let stop = async move {
        stop.await;
        closing.send_replace(true);
    };
    let router = operators::router(desk);
    listener::serve(
        bound,
        move |request, peer| operators::answer(router.clone(), request, peer),
        stop,
    )
    .await;
    Ok(())
}

#[cfg(test)]
mod tests;
