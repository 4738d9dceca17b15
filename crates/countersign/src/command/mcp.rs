//! `countersign mcp`

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::SecretString;

use super::until_asked;
use crate::{
    cli::McpArgs,
    failure::Failure,
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
    let authority = rpc_ca.map(|file| {
        let read = CertificateDer::pem_file_iter(&file).and_then(Iterator::collect);
        read.map_err(|error| Failure::refused(format!("{}: {error}", file.display())))
    });
    let agent = AgentDoor::new(&rpc, token, authority.transpose()?);
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
