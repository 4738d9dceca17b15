//! The command line: what may be typed, and what `--help` says about it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

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
            Command::Dev(_) => "warn,countersign=info,countersign_engine=info,countersign_server=warn",
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
    Unfreeze(FreezeArgs),
    /// Look at the books' own state.
    #[command(subcommand)]
    Ledger(LedgerCommand),
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

/// `policy ..`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Read policies and say everything that is wrong with them; their own tests are run too.
    #[command(after_help = "Example:\n  countersign policy check policies/*.yaml")]
    Check {
        /// Policy files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run the tests inside policies, one line each.
    #[command(after_help = "Example:\n  countersign policy test policies/treasury-bot.yaml")]
    Test {
        /// Policy files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    Explain(ExplainArgs),
}

/// Show what a policy says to one call: decoded actions, every verdict, the outcome.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy explain bot.yaml --to 0x1111111111111111111111111111111111111111 --value 0.2\n  countersign policy explain bot.yaml --tx '{\"to\":\"0x…\",\"data\":\"0xa9059cbb…\"}' --config countersign.yaml"
)]
pub(crate) struct ExplainArgs {
    /// The policy.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The whole transaction as JSON, in the shape of `eth_sendTransaction`.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["to", "value", "calldata"])]
    pub(crate) tx: Option<String>,
    /// The recipient or contract; none is a deployment.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) to: Option<String>,
    /// In whole units of the chain's currency, as in 0.2.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) value: Option<String>,
    /// Calldata as 0x hex.
    #[arg(long, value_name = "HEX")]
    pub(crate) calldata: Option<String>,
    /// Take the chain, its tokens, its contracts and the prices from this configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The chain, where the configuration has several; 31337 without a configuration.
    #[arg(long, value_name = "ID")]
    pub(crate) chain: Option<u64>,
    /// USD for one whole unit of the chain's currency, without a configuration.
    #[arg(long, value_name = "USD", default_value = "1000")]
    pub(crate) price: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `key ..`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a fresh key and print its address.
    #[command(
        after_help = "Example:\n  countersign key new --password-file ops-1.password --out ops-1.json"
    )]
    New {
        /// The password: the file's first line.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// The keystore to write. Never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put an existing private key into a keystore and print its address.
    #[command(
        after_help = "Example:\n  countersign key import --private-key-file key.hex --password-file ops-1.password --out ops-1.json"
    )]
    Import {
        /// The private key: 64 hex digits, with or without 0x.
        #[arg(long, value_name = "FILE")]
        private_key_file: PathBuf,
        /// The password: the file's first line.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// The keystore to write. Never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List the keystores of folders, or of a configuration.
    #[command(
        after_help = "Examples:\n  countersign key list keys/\n  countersign key list --output json keys/"
    )]
    List {
        /// Keystore files, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// `token ..`
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    New(TokenNewArgs),
}

/// Make a token. It is printed once and kept nowhere; its hash goes into the configuration.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("holder").required(true).args(["agent", "operator"]), after_help = "Examples:\n  countersign token new --agent treasury-bot\n  countersign token new --operator alice")]
pub(crate) struct TokenNewArgs {
    /// For this agent.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// For this operator.
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Where the operators' door is, and who knocks.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminArgs {
    /// The operators' door.
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERSIGN_ADMIN",
        default_value = "http://127.0.0.1:8556"
    )]
    pub(crate) admin: String,
    /// The operator's token. Better in the environment than on the command line, where others can read it.
    #[arg(long, value_name = "TOKEN", env = "COUNTERSIGN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A file with the operator's token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
    /// The authority that signed the door's certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ADMIN_CA")]
    pub(crate) admin_ca: Option<PathBuf>,
}

/// `operation ..`
#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// List operations, newest first.
    #[command(
        after_help = "Examples:\n  countersign operation list --status PENDING_APPROVAL\n  countersign operation list --output json"
    )]
    List {
        /// Only in this state: `PENDING_APPROVAL`, `EXECUTED`, `DENIED` ..
        #[arg(long)]
        status: Option<String>,
        /// Only of this agent.
        #[arg(long)]
        agent: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one operation whole.
    Show {
        /// op_..
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Approve an operation that waits. Shows it first; on a terminal it asks.
    #[command(
        after_help = "Example:\n  countersign operation approve op_… --note \"invoice 4711\""
    )]
    Approve {
        /// op_..
        id: String,
        /// What you looked at: another one is refused. Default: what stands there now.
        #[arg(long)]
        digest: Option<String>,
        /// A word for the record.
        #[arg(long)]
        note: Option<String>,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Reject an operation that waits. The agent is told the reason.
    #[command(
        after_help = "Example:\n  countersign operation reject op_… --reason \"wrong recipient\""
    )]
    Reject {
        /// op_..
        id: String,
        /// One sentence for the agent.
        #[arg(long, default_value = "rejected by an operator")]
        reason: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// `trace ..`
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// List traces, newest first.
    #[command(
        after_help = "Example:\n  countersign trace list --status blocked --agent treasury-bot"
    )]
    List {
        /// Only these: `executed`, `blocked`, `pending_approval`, `allowed`, `failed`.
        #[arg(long)]
        status: Option<String>,
        /// Only of this agent.
        #[arg(long)]
        agent: Option<String>,
        /// Only of this session.
        #[arg(long)]
        session: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        app: AppArgs,
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show one trace whole.
    Show {
        /// 0x..
        hash: String,
        #[command(flatten)]
        app: AppArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
pub(crate) struct AppArgs {
    /// The tenant.
    #[arg(long, env = "COUNTERSIGN_APP", default_value = "default")]
    pub(crate) app: String,
}

/// Stop or resume signing, for everything or for one agent, wallet or chain.
///
/// A freeze holds from the moment when the command returns. What only takes authority away (revoke) still passes,
/// but for `--all`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").args(["agent", "wallet", "chain", "all"]), after_help = "Examples:\n  countersign freeze\n  countersign freeze --agent treasury-bot\n  countersign unfreeze --agent treasury-bot")]
pub(crate) struct FreezeArgs {
    /// Only this agent.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only this wallet.
    #[arg(long, value_name = "NAME")]
    pub(crate) wallet: Option<String>,
    /// Only this chain.
    #[arg(long, value_name = "ID")]
    pub(crate) chain: Option<u64>,
    /// Everything, revocations too.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `ledger ..`
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Which ledger, how durable, sealed or not, which freezes.
    Status {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
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
            "key new",
            "key import",
            "key list",
            "token new",
            "operation list",
            "operation show",
            "operation approve",
            "operation reject",
            "trace list",
            "trace show",
            "freeze",
            "unfreeze",
            "ledger status",
            "completions",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example_where_it_takes_arguments() {
        let mut cli = Cli::command();
        cli.build();
        let plain = ["operation show", "trace show", "ledger status"];
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
