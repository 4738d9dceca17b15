//! Commands that work on files, without a gateway.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::OutputArgs;

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
    Diff(DiffArgs),
    Import(ImportArgs),
    Schema(SchemaArgs),
    Keygen(KeygenArgs),
    Sign(SignArgs),
}

/// Say what changes from one version of a policy to another, and whether it can only narrow.
///
/// A change is a tightening where its shape proves it; everything else is a loosening. Exit 0 either way, unless
/// asked otherwise.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy diff bot.yaml bot-new.yaml\n  countersign policy diff --fail-on-loosening bot.yaml bot-new.yaml    exit 1 if it may allow more"
)]
pub(crate) struct DiffArgs {
    /// The version in force.
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,
    /// The version to come.
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,
    /// Exit 1 where the change may allow more.
    #[arg(long)]
    pub(crate) fail_on_loosening: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Print a policy of another format in the core language, with comments.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy import --from fields agent.json > policies/agent.yaml\n  countersign policy import --from pact pact.json\n  countersign policy import --from jsonlogic bundle.json"
)]
pub(crate) struct ImportArgs {
    /// How the file is written: fields, pact or jsonlogic.
    #[arg(long, value_name = "FORMAT", value_parser = ["fields", "pact", "jsonlogic"])]
    pub(crate) from: String,
    /// The policy's name, where the file states none. Default: the file's.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Print a JSON Schema, so that editors complete policies and the configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy schema policy > policy.schema.json\n  countersign policy schema --out schemas       all of them\n\nIn a YAML file, for editors: # yaml-language-server: $schema=schemas/policy.schema.json"
)]
pub(crate) struct SchemaArgs {
    /// policy, fields, pact, jsonlogic or configuration.
    #[arg(value_name = "NAME", value_parser = crate::command::SCHEMAS)]
    pub(crate) name: Option<String>,
    /// Write all of them into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub(crate) out: Option<PathBuf>,
}

/// Make an Ed25519 key that policies are signed with, and print its public key for the configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign policy keygen --out policy-key.pem\n\nthen, in the configuration:\n  policy_changes: { keys: [\"ed25519:…\"] }"
)]
pub(crate) struct KeygenArgs {
    /// Where the private key goes (PKCS #8, PEM), for nobody else to read. Keep it where no gateway is.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Sign a policy: writes FILE.sig beside it, which also goes with a version that is proposed over the API.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy sign --key policy-key.pem policies/bot.yaml\n  countersign policy sign --key policy-key.pem --app desk --for 'agent bot' bot.yaml    without a configuration"
)]
pub(crate) struct SignArgs {
    /// The private key: PKCS #8 in PEM, as `policy keygen` or `openssl genpkey -algorithm ed25519` makes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The configuration that uses the policy: it says which app the signature is for, and which agents.
    #[arg(long, value_name = "FILE", default_value = "countersign.yaml")]
    pub(crate) config: PathBuf,
    /// The app, without a configuration.
    #[arg(long, value_name = "ID", requires = "uses")]
    pub(crate) app: Option<String>,
    /// A use, without a configuration: `agent ID` or `guard NAME`. May be given several times.
    #[arg(long = "for", value_name = "USE", requires = "app")]
    pub(crate) uses: Vec<String>,
    /// Higher than the number that was used last. Default: the time, in seconds since 1970.
    #[arg(long, value_name = "N")]
    pub(crate) sequence: Option<u64>,
    /// The policy.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Show what a policy says to one request: decoded actions, every verdict, the outcome.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign policy explain bot.yaml\n  countersign policy explain bot.yaml --to 0x1111111111111111111111111111111111111111 --value 0.2\n  countersign policy explain bot.yaml --tx '{\"to\":\"0x…\",\"data\":\"0xa9059cbb…\"}' --config countersign.yaml\n  countersign policy explain bot.yaml --request request.json --config countersign.yaml    a call as an agent sends it\n  countersign policy explain bot.yaml --request - < bundle.json\n  countersign policy explain bot.yaml --raw 0x02f8… --config countersign.yaml"
)]
pub(crate) struct ExplainArgs {
    /// The policy; without a request, one or several.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What an agent would send, as JSON: a JSON-RPC call of any method that signs ({method, params}), or what
    /// `countersign_simulate` takes: a transaction, {message}, {typedData} or {calls}. A file, or - for the standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["raw", "tx", "to", "value", "calldata", "typed_data", "message"])]
    pub(crate) request: Option<PathBuf>,
    /// A signed transaction as 0x hex, as `eth_sendRawTransaction` takes it.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["tx", "to", "value", "calldata", "typed_data", "message"])]
    pub(crate) raw: Option<String>,
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
    /// Typed data (EIP-712) as JSON, as `eth_signTypedData_v4` takes it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tx", "to", "value", "calldata", "message"])]
    pub(crate) typed_data: Option<PathBuf>,
    /// A text to sign, or bytes as 0x hex, as `personal_sign` takes it.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["tx", "to", "value", "calldata"])]
    pub(crate) message: Option<String>,
    /// The address that signs; without it the request's `from`, or the agent's first wallet in the configuration.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) wallet: Option<String>,
    /// The agent that asks, where the configuration has several under this policy.
    #[arg(long, value_name = "ID", requires = "config")]
    pub(crate) agent: Option<String>,
    /// Take the agent, its wallets, the guards, the chain, its tokens, its contracts and the prices from this configuration.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The chain, where the configuration has several; 31337 without a configuration.
    #[arg(long, value_name = "ID")]
    pub(crate) chain: Option<u64>,
    /// As if people had just said yes to the pact: before that it allows nothing.
    #[arg(long)]
    pub(crate) approved: bool,
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
