//! The command line: what may be typed, and what `--help` says about it.

mod desk;
mod mcp;
mod offline;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    desk::{
        AdminArgs, ApproverKeyArgs, EvidenceForm, ExportArgs, FreezeArgs, LedgerCommand,
        OperationCommand, ReplayArgs, ScopeArgs, TraceCommand, VerifyArgs,
    },
    mcp::McpArgs,
    offline::{
        DiffArgs, ExplainArgs, ImportArgs, KeyCommand, KeygenArgs, PolicyCommand, SchemaArgs,
        SignArgs, TokenCommand, TokenNewArgs,
    },
};

/// A signing gateway for autonomous agents on EVM chains.
///
/// Agents point their RPC URL at it and keep their ordinary client. Countersign holds the keys, judges every
/// call under a policy, reserves the money, asks people where the policy says so, signs and forwards.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = "Examples:\n  countersign dev                                  everything with one word, on a local anvil\n  countersign init ./gateway                       a configuration to start from\n  countersign check --config gateway/countersign.yaml\n  countersign serve --config gateway/countersign.yaml\n\nExit status: 0 ok, 1 failed, 2 bad usage, configuration or policy."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Which log lines: error, warn, info, debug, or a filter as in `info,countersign_engine=debug`.
    ///
    /// Default: info; for `dev` only decisions and what goes wrong.
    #[arg(long, global = true, env = "COUNTERSIGN_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

impl Cli {
    /// The filter that was asked for, or the usual one of the command.
    pub(crate) fn log_filter(&self) -> &str {
        let usual = match self.command {
            Command::Dev(_) => {
                "warn,countersign=info,countersign_engine=info,countersign_server=warn"
            }
            Command::Serve(_) => "info",
            Command::Init(_)
            | Command::Check(_)
            | Command::Doctor(_)
            | Command::Policy(_)
            | Command::Key(_)
            | Command::Token(_)
            | Command::Operation(_)
            | Command::Trace(_)
            | Command::Freeze(_)
            | Command::Unfreeze(_)
            | Command::Ledger(_)
            | Command::Mcp(_)
            | Command::Completions { .. } => "warn",
        };
        self.log.as_deref().unwrap_or(usual)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(DevArgs),
    Serve(ServeArgs),
    Init(InitArgs),
    Check(CheckArgs),
    Doctor(DoctorArgs),
    /// Work on policy files without a server.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make and look at keystores (Web3 Secret Storage v3).
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make tokens for agents and operators.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look at operations, and decide the ones that wait.
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Look at the records of decisions.
    #[command(subcommand)]
    Trace(TraceCommand),
    Freeze(FreezeArgs),
    /// Lift a freeze: the same scope that was frozen.
    #[command(
        long_about = "Lift a freeze: the same scope that was frozen.",
        after_help = "Examples:\n  countersign unfreeze\n  countersign unfreeze --agent treasury-bot"
    )]
    Unfreeze(ScopeArgs),
    /// Look at the books' own state, stop and resume signing.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    Mcp(McpArgs),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  countersign completions bash > /etc/bash_completion.d/countersign"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Start everything with one word: a local chain, a wallet with money, an agent, an operator, a policy.
///
/// The folder holds an ordinary configuration: `countersign serve --config DIR/countersign.yaml` runs it too.
/// Started again with the same folder, everything is as it was.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign dev\n  countersign dev --data ./play\n  countersign dev --upstream http://127.0.0.1:8545"
)]
pub(crate) struct DevArgs {
    /// Where everything is kept. Default: a folder of yours in the cache, printed at start.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A node to use instead of starting anvil.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Where agents connect.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8555")]
    pub(crate) rpc: SocketAddr,
    /// Where operators connect.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8556")]
    pub(crate) admin: SocketAddr,
}

/// Run the gateway.
///
/// Refuses to start with everything that is wrong, at once. Reloads when the configuration or a policy changes;
/// ends when asked (SIGINT, SIGTERM) after the requests in hand.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign serve --config /etc/countersign/countersign.yaml")]
pub(crate) struct ServeArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Run on a mainnet although the store may lose what it acknowledged.
    #[arg(long, value_name = "CLASS")]
    pub(crate) accept_durability: Option<DurabilityClass>,
}

/// How little the store may promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityClass {
    /// Anything weaker than a flush and an acknowledgement per commit.
    #[value(name = "D", alias = "d")]
    D,
}

/// Write a configuration to start from: commented, with a policy and a fresh key.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign init ./gateway")]
pub(crate) struct InitArgs {
    /// A folder that does not exist yet, or is empty.
    pub(crate) folder: PathBuf,
}

/// Say everything that would be refused at start, without starting.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign check --config countersign.yaml")]
pub(crate) struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Try everything that a running gateway needs: nodes, store, keys, clock, prices, policies.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign doctor --config countersign.yaml")]
pub(crate) struct DoctorArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputArgs {
    /// For people, or for programs.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns.
    Table,
    /// JSON.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Every command that can be typed, with its own name first.
    fn commands(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name()).trim().to_owned();
            if inner.has_subcommands() {
                found.extend(commands(inner, &path));
            } else {
                found.push((path, inner.clone()));
            }
        }
        found
    }

    #[test]
    fn the_commands_are_those_of_the_contract_and_no_stubs() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        let names: Vec<String> = commands(&cli, "").into_iter().map(|(name, _)| name).collect();
        let expected = [
            "dev",
            "serve",
            "init",
            "check",
            "doctor",
            "policy check",
            "policy test",
            "policy explain",
            "policy diff",
            "policy import",
            "policy schema",
            // beyond the contract: signed policies need them
            "policy keygen",
            "policy sign",
            "key new",
            "key import",
            "key list",
            "token new",
            "operation list",
            "operation show",
            "operation approve",
            "operation reject",
            "operation bump",
            "operation cancel",
            "trace list",
            "trace show",
            "trace export",
            "trace verify",
            "trace replay",
            "freeze",
            "unfreeze",
            "ledger status",
            "ledger init",
            "ledger seal",
            "ledger unseal",
            "mcp",
            "completions",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example_where_it_takes_arguments() {
        let mut cli = Cli::command();
        cli.build();
        let plain = ["operation show", "trace show"];
        for (name, mut command) in commands(&cli, "") {
            let help = command.render_long_help().to_string();
            assert!(command.get_about().is_some(), "{name} says nothing about itself");
            assert!(
                plain.contains(&name.as_str()) || help.contains("Example"),
                "{name} has no example"
            );
            let shown = help.contains("env: COUNTERSIGN_TOKEN=");
            assert!(!shown, "{name} shows the token of the environment");
        }
    }

    #[test]
    fn help_is_short_enough_to_read() {
        let help = Cli::command().render_help().to_string();
        assert!(help.lines().count() < 40, "{help}");
        assert!(help.contains("Exit status: 0 ok, 1 failed, 2 bad usage"), "{help}");
    }
}
