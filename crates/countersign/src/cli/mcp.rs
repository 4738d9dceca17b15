//! The command that a model's client starts.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// Answer a model's questions about its own agent, over the Model Context Protocol.
///
/// Tools: budget, simulate, explain, operation, wait. They only look: nothing is signed, sent or changed. It speaks
/// over standard input and output, or with --http over Streamable HTTP at /mcp.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  COUNTERSIGN_TOKEN=.. countersign mcp --rpc http://127.0.0.1:8555\n  countersign mcp --rpc http://127.0.0.1:8555/base --token-file bot.token --http 127.0.0.1:8557\n\nIn a client's configuration:\n  {\"mcpServers\": {\"countersign\": {\"command\": \"countersign\", \"args\": [\"mcp\"],\n    \"env\": {\"COUNTERSIGN_RPC\": \"http://127.0.0.1:8555\", \"COUNTERSIGN_TOKEN\": \"..\"}}}}"
)]
pub(crate) struct McpArgs {
    /// The agents' door, with the chain's path where the gateway has several.
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_RPC",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8555"
    )]
    pub(crate) rpc: String,
    /// The agent's token. Better in the environment than on the command line, where others can read it.
    #[arg(long, value_name = "TOKEN", env = "COUNTERSIGN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A file with the agent's token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
    /// The authority that signed the door's certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_RPC_CA")]
    pub(crate) rpc_ca: Option<PathBuf>,
    /// Serve over HTTP at this address. Beyond this machine every client brings its own agent's token.
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// A page's origin that may ask over HTTP, besides those of this machine.
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    pub(crate) allow_origin: Vec<String>,
    /// A `Host` that is answered over HTTP, besides addresses and localhost.
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(crate) allow_host: Vec<String>,
}
