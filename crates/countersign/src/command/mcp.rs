//! `countersign mcp`

use secrecy::SecretString;

use super::until_asked;
use crate::{
    cli::McpArgs,
    failure::Failure,
    files::authorities,
    mcp::{AgentDoor, HttpDoor, listen, talk},
    screen::complain,
    wiring::password,
};

/// Answers a model until its client goes, or until asked to end.
pub(crate) async fn run(args: McpArgs) -> Result<(), Failure> {
    let McpArgs { rpc, token, token_file, rpc_ca, http, allow_origin, allow_host } = args;
    let token = match (token, token_file) {
        (Some(token), _) => Some(SecretString::from(token)),
        (None, Some(file)) => Some(password(&file).map_err(Failure::refused)?),
        (None, None) => None,
    };
    let authorities = rpc_ca.as_deref().map(authorities).transpose()?;
    let agent = AgentDoor::new(&rpc, token, authorities.as_ref());
    let agent = agent.map_err(|why| Failure::refused(format!("--rpc is {why}")))?;
    match http {
        None => talk(agent, tokio::io::stdin(), tokio::io::stdout()).await,
        Some(address) => {
            let door = HttpDoor { address, agent, origins: allow_origin, hosts: allow_host };
            let told = |at| complain(format!("MCP is served at http://{at}/mcp"));
            listen(door, until_asked(), told).await
        }
    }
}
