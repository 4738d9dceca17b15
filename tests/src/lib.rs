//! What crosses crates: the harness that starts the real binary against a real anvil and a real Redis,
//! and talks to it as agents and operators do.
//!
//! It depends on no crate of the house: whatever it knows about Countersign it knows from the published
//! contract, so that these tests would pass or fail alike against another implementation.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "a harness fails the test that uses it, and a failed test panics"
)]

pub mod anvil;
pub mod binary;
pub mod books;
pub mod config;
pub mod elsewhere;
pub mod gateway;
pub mod http;
pub mod load;
pub mod money;
pub mod operator;
pub mod owner;
pub mod place;
pub mod proxy;
pub mod receiver;
pub mod redis;
pub mod rpc;
pub mod stores;
pub mod switch;
pub mod tap;
pub mod tls;
pub mod wait;
pub mod world;

pub use config::{Setup, StoreKind};
pub use gateway::Gateway;
pub use operator::Operator;
pub use rpc::{Agent, RpcError};
pub use world::World;
