//! Several gateways on one store and one node, with a line that can break before each of them, and clients that
//! do what clients do: send, repeat what was not answered, wait for people.

mod client;
mod fleet;
mod tally;
mod work;

pub use self::{
    client::{Broken, Client, Heard},
    fleet::{Fleet, Plan, Post},
    tally::{End, Tally, Wish},
    work::Work,
};
