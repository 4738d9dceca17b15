//! The Model Context Protocol: what an agent may ask about itself. It asks the agents' door with the agent's own token
//! and can do nothing more than that token: of what it can, only questions are here, so nothing is signed and nothing
//! moves.

mod door;
mod explain;
mod http;
mod protocol;
mod stdio;
mod tools;

pub(crate) use self::{
    door::AgentDoor,
    http::{HttpDoor, listen},
    stdio::talk,
};
