//! Commands that talk to a running gateway through the operators' door.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::OutputArgs;

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
    /// Your certificate in PEM, where the door asks for one.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ADMIN_CERT", requires_all = ["admin_key", "admin_ca"])]
    pub(crate) admin_cert: Option<PathBuf>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_ADMIN_KEY", requires = "admin_cert")]
    pub(crate) admin_key: Option<PathBuf>,
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
    ///
    /// Where the gate asks for a signature of an Ethereum key, --key-file signs with it on this machine. A passkey signs
    /// in a browser.
    #[command(
        after_help = "Examples:\n  countersign operation approve op_… --note \"invoice 4711\"\n  countersign operation approve op_… --key-file me.json --password-file me.password"
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
        key: ApproverKeyArgs,
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
    /// Raise the fee of a transaction that is on its way: the same payload and nonce, signed once more.
    ///
    /// The higher fee is judged and charged before it is signed. Without a figure it is what nodes and market ask.
    #[command(
        after_help = "Examples:\n  countersign operation bump op_…\n  countersign operation bump op_… --max-fee-gwei 80 --tip-gwei 2"
    )]
    Bump {
        /// op_..
        id: String,
        /// maxFeePerGas, in gwei.
        #[arg(long, value_name = "GWEI", requires = "tip_gwei", conflicts_with = "gas_price_gwei")]
        max_fee_gwei: Option<String>,
        /// maxPriorityFeePerGas, in gwei.
        #[arg(long, value_name = "GWEI", requires = "max_fee_gwei")]
        tip_gwei: Option<String>,
        /// The price of a transaction of an older type, in gwei.
        #[arg(long, value_name = "GWEI")]
        gas_price_gwei: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Stop a transaction that is on its way: a transfer of nothing competes for its nonce.
    ///
    /// It may be mined all the same, if its bytes are first. What waits for approval is rejected instead.
    #[command(after_help = "Example:\n  countersign operation cancel op_…")]
    Cancel {
        /// op_..
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// The key that signs an approval.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApproverKeyArgs {
    /// Your keystore, where the gate asks for a signature.
    #[arg(long, value_name = "FILE", requires = "password_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// A file with its password in the first line.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(crate) password_file: Option<PathBuf>,
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
    Export(ExportArgs),
    Verify(VerifyArgs),
    Replay(ReplayArgs),
}

/// The two forms of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvidenceForm {
    /// What `trace verify` and `trace replay` read.
    Json,
    /// A table for people; it proves nothing.
    Csv,
}

/// Write everything that the journals say, as a document that anybody can verify.
///
/// All chains are in it whole: what is not asked for is there without its words. It is written as it comes, however
/// much it is.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign trace export > evidence.json\n  countersign trace export --agent treasury-bot --from 2026-01-01T00:00:00Z --out january.json\n  countersign trace export --format csv > evidence.csv"
)]
pub(crate) struct ExportArgs {
    /// JSON to verify, or CSV to look at.
    #[arg(long, value_enum, default_value_t = EvidenceForm::Json)]
    pub(crate) format: EvidenceForm,
    /// Decisions not before this instant (RFC 3339).
    #[arg(long, value_name = "INSTANT")]
    pub(crate) from: Option<String>,
    /// Decisions before this instant (RFC 3339).
    #[arg(long, value_name = "INSTANT")]
    pub(crate) to: Option<String>,
    /// Only of this agent.
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Only of this session.
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// A new file. Default: the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// Verify evidence: every byte of a file, or the journals of the running gateway.
///
/// Any edit, deletion, reorder or truncation against an anchored head is found, and said where.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign trace verify evidence.json\n  countersign trace verify evidence.json --anchor gateway-1:4711:0x…\n  countersign trace verify            the running gateway's journals"
)]
pub(crate) struct VerifyArgs {
    /// A document of `trace export`; `-` is the standard input. Default: what the gateway exports now.
    pub(crate) file: Option<PathBuf>,
    /// A head that is known from before: GATEWAY:SEQUENCE:0xHASH. May be repeated.
    #[arg(long, value_name = "HEAD")]
    pub(crate) anchor: Vec<String>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Decide every recorded decision again, from its frozen facts and pinned policies, and compare byte for byte.
///
/// The document is verified on the way. With a policy, also what would have been decided with it in the place of that of
/// its name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign trace replay evidence.json\n  countersign trace replay evidence.json --policy new.yaml\n  countersign trace replay            the running gateway's decisions"
)]
pub(crate) struct ReplayArgs {
    /// A document of `trace export`; `-` is the standard input. Default: what the gateway exports now.
    pub(crate) file: Option<PathBuf>,
    /// What would have changed under this policy.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
pub(crate) struct AppArgs {
    /// The tenant.
    #[arg(long, env = "COUNTERSIGN_APP", default_value = "default")]
    pub(crate) app: String,
}

/// What is stopped: everything, or one agent, wallet or chain.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope").args(["agent", "wallet", "chain", "all"]))]
pub(crate) struct ScopeArgs {
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

/// Stop signing, for everything or for one agent, wallet or chain.
///
/// A freeze holds from the moment when the command returns. What only takes authority away (revoke) still passes,
/// but for `--all`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign freeze\n  countersign freeze --agent treasury-bot --reason \"pays whom nobody knows\"\n  countersign unfreeze --agent treasury-bot"
)]
pub(crate) struct FreezeArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Why: operators see it, the agent does not. One line of at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `ledger ..`
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Which ledger, how durable, sealed or not, and how it fits the chains and the journals.
    #[command(
        after_help = "Examples:\n  countersign ledger status\n  countersign ledger status --output json"
    )]
    Status {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Make a new ledger in an empty store, in the place of one that is lost. It is sealed from birth.
    #[command(
        after_help = "Example:\n  countersign ledger init      then: countersign ledger status, countersign ledger unseal"
    )]
    Init {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop every new signature. What is signed already is still sent and settled.
    #[command(after_help = "Example:\n  countersign ledger seal --reason \"restoring a backup\"")]
    Seal {
        /// Shown to whoever looks.
        #[arg(long, default_value = "by command")]
        reason: String,
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Resume signing, and take the ledger as it stands for the history from now on.
    #[command(
        after_help = "Examples:\n  countersign ledger unseal\n  countersign ledger unseal --accept-differences"
    )]
    Unseal {
        /// Although chains or journals know of what the ledger does not. It is recorded who accepted what.
        #[arg(long)]
        accept_differences: bool,
        #[command(flatten)]
        admin: AdminArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}
