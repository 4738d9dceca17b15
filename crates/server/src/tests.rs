//! The doors over real sockets, in front of an engine whose ports are testkit's fakes.

mod agents;
mod conformance;
mod console;
mod document;
mod explain;
mod generated;
mod house;
mod judged;
mod operators;
mod socket;
mod tls;
mod versions;
