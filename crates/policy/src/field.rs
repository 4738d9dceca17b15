//! The fields that a rule may name, the kinds that have them, and their types.

use alloy_json_abi::Param;
use countersign_core::abi::AbiFunction;

/// A dotted path into arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) String);

/// A set of kinds of effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(0xff);
    const TRANSFER: Self = Self(1);
    const APPROVE: Self = Self(2);
    const REVOKE: Self = Self(4);
    const CALL: Self = Self(8);
    const DEPLOY: Self = Self(16);
    const TYPED_DATA: Self = Self(64);
    const TEXT: Self = Self(128);
    const WORDS: [(&'static str, Self); 8] = [
        ("transfer", Self::TRANSFER),
        ("approve", Self::APPROVE),
        ("revoke", Self::REVOKE),
        ("call", Self::CALL),
        ("deploy", Self::DEPLOY),
        ("delegate", Self(32)),
        ("typed_data", Self::TYPED_DATA),
        ("text", Self::TEXT),
    ];
    /// What calls a contract or an account.
    const CALLS: Self = Self(1 | 2 | 4 | 8);
    /// What a transaction does.
    pub(crate) const TRANSACTIONS: Self = Self(1 | 2 | 4 | 8 | 16);

    /// The set of one kind, by the word that policies use.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, kinds)| *kinds)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The words, for people: `transfer, approve`.
    pub(crate) fn words(self) -> String {
        let named = Self::WORDS.iter().filter(|(_, kind)| self.meets(*kind));
        named.map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    }
}

/// A fact that a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Chain,
    Agent,
    Wallet,
    Session,
    Role,
    Kind,
    Token,
    Amount,
    /// The amount in whole units of its token.
    Units,
    /// What the token is called, without its chain.
    Currency,
    Usd,
    From,
    To,
    Spender,
    Target,
    Selector,
    Function,
    /// An argument of one of these functions (canonical signatures).
    Argument {
        signatures: Vec<String>,
        path: Path,
    },
    ValueWei,
    Gas,
    FeeUsd,
    Nonce,
    Action,
    Unlimited,
    Deadline,
    Via,
    Depth,
    RecipientSeen,
    BalanceShare,
    Now,
    Risk,
    /// Hands over control of a contract.
    Privileged,
    /// A text to sign.
    TextSigned,
    /// The root of typed data.
    PrimaryType,
    /// A field of typed data's domain.
    Domain(Path),
    /// A field of typed data.
    Message(Path),
    /// A field of a login (EIP-4361).
    Siwe(Path),
    /// What the agent says in fields of its own: `context.*`.
    Context(String),
    /// What a simulation says of the whole transaction.
    Sim(Sim),
    /// What an oracle says of the address that it is asked about: `oracle.NAME.FIELD`, or `oracle.NAME` where it says one
    /// thing only.
    Oracle {
        name: String,
        field: String,
    },
}

/// What a simulation says of the whole transaction; all but [`Sim::Reverted`] are unknown where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sim {
    /// It would fail.
    Reverted,
    /// USD of what the wallet would have less of, without the fee.
    Out,
    /// USD of what it would have more of.
    In,
    /// By how much the first is more than the second: what slippage costs.
    Loss,
    /// USD of what it would lose beyond what the decoded actions say.
    Excess,
    /// How many would get authority over its assets.
    Approvals,
}

pub(crate) const WORDS: [(&str, Field); 39] = [
    ("chain", Field::Chain),
    ("agent", Field::Agent),
    ("wallet", Field::Wallet),
    ("session", Field::Session),
    ("role", Field::Role),
    ("kind", Field::Kind),
    ("token", Field::Token),
    ("amount", Field::Amount),
    ("units", Field::Units),
    ("currency", Field::Currency),
    ("usd", Field::Usd),
    ("from", Field::From),
    ("to", Field::To),
    ("spender", Field::Spender),
    ("target", Field::Target),
    ("selector", Field::Selector),
    ("fn", Field::Function),
    ("value_wei", Field::ValueWei),
    ("gas", Field::Gas),
    ("fee_usd", Field::FeeUsd),
    ("nonce", Field::Nonce),
    ("action", Field::Action),
    ("unlimited", Field::Unlimited),
    ("deadline", Field::Deadline),
    ("via", Field::Via),
    ("depth", Field::Depth),
    ("recipient.seen", Field::RecipientSeen),
    ("balance_share", Field::BalanceShare),
    ("now", Field::Now),
    ("risk", Field::Risk),
    ("privileged", Field::Privileged),
    ("text", Field::TextSigned),
    ("primary_type", Field::PrimaryType),
    ("sim.reverted", Field::Sim(Sim::Reverted)),
    ("sim.out.usd", Field::Sim(Sim::Out)),
    ("sim.in.usd", Field::Sim(Sim::In)),
    ("sim.loss.usd", Field::Sim(Sim::Loss)),
    ("sim.excess.usd", Field::Sim(Sim::Excess)),
    ("sim.approvals", Field::Sim(Sim::Approvals)),
];

/// The prefixes of fields that go on in a path.
pub(crate) const FAMILIES: [&str; 6] =
    ["args.", "context.", "domain.", "message.", "siwe.", "oracle."];

impl Field {
    /// The field of a word; arguments come with the functions that the rule names.
    pub(crate) fn parse(word: &str, functions: &[AbiFunction]) -> Option<Self> {
        if let Some(path) = word.strip_prefix("args.") {
            let signatures = functions.iter().map(|f| f.signature().to_owned()).collect();
            return Some(Self::Argument { signatures, path: Path(path.to_owned()) });
        }
        if let Some(path) = word.strip_prefix("context.").filter(|path| !path.is_empty()) {
            return Some(Self::Context(path.to_owned()));
        }
        if let Some(oracle) = word.strip_prefix("oracle.").filter(|name| !name.is_empty()) {
            let (name, field) = oracle.split_once('.').unwrap_or((oracle, ""));
            return Some(Self::Oracle { name: name.to_owned(), field: field.to_owned() });
        }
        let path = |family: &str| {
            let path = word.strip_prefix(family).filter(|path| !path.is_empty());
            path.map(|path| Path(path.to_owned()))
        };
        let signed = path("domain.").map(Self::Domain);
        let signed = signed.or_else(|| path("message.").map(Self::Message));
        if let Some(field) = signed.or_else(|| path("siwe.").map(Self::Siwe)) {
            return Some(field);
        }
        WORDS.iter().find(|(known, _)| *known == word).map(|(_, field)| field.clone())
    }

    /// The known words nearest to an unknown one, for people.
    pub(crate) fn suggestion(word: &str) -> String {
        let near = WORDS.iter().map(|(known, _)| *known).chain(FAMILIES).find(|known| {
            let starts = |n: usize| word.chars().take(n).eq(known.chars().take(n));
            starts(3) || known.contains(word) || word.contains(known)
        });
        near.map_or_else(
            || "fields are chain, agent, wallet, session, kind, token, amount, usd, to, spender, target, selector, fn, args.*, value_wei, gas, fee_usd, hours, now and others".to_owned(),
            |known| format!("did you mean `{known}`?"),
        )
    }

    /// The word that policies use.
    pub(crate) fn word(&self) -> String {
        let (family, rest) = if let Self::Argument { path, .. } = self {
            ("args.", path.0.as_str())
        } else if let Self::Domain(path) = self {
            ("domain.", path.0.as_str())
        } else if let Self::Message(path) = self {
            ("message.", path.0.as_str())
        } else if let Self::Siwe(path) = self {
            ("siwe.", path.0.as_str())
        } else if let Self::Context(path) = self {
            ("context.", path.as_str())
        } else if let Self::Oracle { name, field } = self {
            let point = if field.is_empty() { "" } else { "." };
            return format!("`oracle.{name}{point}{field}`");
        } else {
            ("", WORDS.iter().find(|(_, known)| known == self).map_or("", |(word, _)| word))
        };
        format!("`{family}{rest}`")
    }

    /// The kinds that have this field.
    pub(crate) const fn kinds(&self) -> Kinds {
        match self {
            Self::Amount | Self::Units => Kinds(1 | 2),
            Self::Token | Self::Currency => Kinds(1 | 2 | 4),
            Self::From | Self::To => Kinds::TRANSFER,
            Self::Spender => Kinds(2 | 4),
            Self::Unlimited | Self::Deadline => Kinds::APPROVE,
            Self::Target => Kinds(1 | 2 | 4 | 8 | 32),
            Self::Selector | Self::Function | Self::Argument { .. } => Kinds::CALLS,
            Self::ValueWei | Self::Gas | Self::FeeUsd | Self::Nonce => Kinds::TRANSACTIONS,
            Self::RecipientSeen => Kinds(1 | 2 | 8),
            Self::BalanceShare => Kinds(1 | 8 | 16),
            Self::Privileged => Kinds::CALL,
            // whatever a transaction may hold
            Self::Sim(_) => Kinds(1 | 2 | 4 | 8 | 16 | 32),
            Self::TextSigned | Self::Siwe(_) => Kinds::TEXT,
            Self::PrimaryType | Self::Domain(_) | Self::Message(_) => Kinds::TYPED_DATA,
            Self::Chain
            | Self::Agent
            | Self::Wallet
            | Self::Session
            | Self::Role
            | Self::Kind
            | Self::Usd
            | Self::Action
            | Self::Via
            | Self::Depth
            | Self::Now
            | Self::Risk
            | Self::Context(_)
            | Self::Oracle { .. } => Kinds::ALL,
        }
    }

    /// The kinds for which it may be asked where a rule names them: typed data that says what it moves is a transfer,
    /// an approval .. by its kind, and keeps its fields.
    pub(crate) const fn kinds_named(&self) -> Kinds {
        if matches!(self, Self::PrimaryType | Self::Domain(_) | Self::Message(_)) {
            return Kinds(1 | 2 | 4 | 8 | 32 | 64);
        }
        self.kinds()
    }

    /// The type of its values; `None` for an argument, whose type the function says.
    pub(crate) const fn shape(&self) -> Option<Shape> {
        Some(match self {
            Self::Argument { .. } => return None,
            Self::Usd | Self::FeeUsd | Self::Sim(Sim::Out | Sim::In | Sim::Loss | Sim::Excess) => {
                Shape::Usd
            }
            Self::Units => Shape::Decimal,
            Self::BalanceShare => Shape::Percent,
            Self::Now => Shape::Instant,
            Self::Chain
            | Self::Amount
            | Self::ValueWei
            | Self::Gas
            | Self::Nonce
            | Self::Deadline
            | Self::Depth
            | Self::Risk
            | Self::Sim(Sim::Approvals) => Shape::Number,
            Self::From | Self::To | Self::Spender | Self::Target => Shape::Address,
            Self::Token => Shape::Token,
            Self::Kind => Shape::Kind,
            Self::Selector => Shape::Selector,
            Self::Function => Shape::Function,
            Self::Unlimited | Self::RecipientSeen | Self::Privileged | Self::Sim(Sim::Reverted) => {
                Shape::Bool
            }
            Self::Agent | Self::Wallet | Self::Session | Self::Role | Self::Action | Self::Via => {
                Shape::Text
            }
            Self::Context(_) | Self::Oracle { .. } => Shape::Declared,
            Self::TextSigned | Self::PrimaryType | Self::Currency => Shape::Text,
            Self::Domain(_) | Self::Message(_) | Self::Siwe(_) => Shape::Unread,
        })
    }
}

/// The type of a field's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Number,
    Int,
    /// Exact, with any number of decimals.
    Decimal,
    Usd,
    /// Hundredths of a percent, written `50%`.
    Percent,
    Instant,
    Address,
    Token,
    Kind,
    Selector,
    Function,
    Bool,
    Text,
    Bytes,
    List(Box<Shape>),
    Tuple(Vec<(String, Shape)>),
    /// What an agent says of itself: a decimal number, a truth value or a text, as it is written.
    Declared,
    /// Only the value itself says: a field of typed data, whose types come with the request.
    Unread,
}

impl Shape {
    /// What people call it.
    pub(crate) const fn words(&self) -> &'static str {
        match self {
            Self::Number => "a whole number (decimal, or hex in quotes)",
            Self::Int => "a whole number with an optional sign",
            Self::Decimal => "a number (decimals in quotes, as in \"0.5\")",
            Self::Usd => "an amount of USD (decimals in quotes, as in \"0.05\")",
            Self::Percent => "a percentage, as in 50%",
            Self::Instant => "an instant, as in 2027-01-31T00:00:00Z",
            Self::Address => "an address in quotes, or self",
            Self::Token => "a token as token@chain, as in usdc@8453, or native",
            Self::Kind => {
                "a kind: transfer, approve, revoke, call, deploy, delegate, typed_data or text"
            }
            Self::Selector => "a selector in quotes, as in \"0x095ea7b3\"",
            Self::Function => {
                "a function with names, as in \"transfer(address to,uint256 amount)\""
            }
            Self::Bool => "true or false",
            Self::Declared => "a number (decimals in quotes), true, false or a text",
            Self::Text | Self::Unread => "a text",
            Self::Bytes => "bytes in quotes, as in \"0x00\"",
            Self::List(_) => "a list matcher: any, every, none or count",
            Self::Tuple(_) => "a matcher for each member",
        }
    }

    /// The type at a path of a function's parameters; `None` if there is no such path.
    pub(crate) fn of_argument(function: &AbiFunction, path: &Path) -> Option<Self> {
        members(function.inputs()).at(&path.0)
    }

    /// The shape of a member, by its path.
    pub(crate) fn at(&self, path: &str) -> Option<Self> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
        let inner = match self {
            Self::Tuple(members) => members.iter().find(|(name, _)| name == head).map(|(_, s)| s),
            Self::List(item) => head.parse::<usize>().ok().map(|_| item.as_ref()),
            Self::Number
            | Self::Int
            | Self::Decimal
            | Self::Usd
            | Self::Percent
            | Self::Instant
            | Self::Address
            | Self::Token
            | Self::Kind
            | Self::Selector
            | Self::Function
            | Self::Bool
            | Self::Text
            | Self::Bytes
            | Self::Declared
            | Self::Unread => None,
        }?;
        rest.map_or_else(|| Some(inner.clone()), |rest| inner.at(rest))
    }
}

/// The shape of all arguments together.
pub(crate) fn members(params: &[Param]) -> Shape {
    let member = |(index, param): (usize, &Param)| {
        let name = if param.name.is_empty() { index.to_string() } else { param.name.clone() };
        (name, shape_of(&param.ty, &param.components))
    };
    Shape::Tuple(params.iter().enumerate().map(member).collect())
}

fn shape_of(ty: &str, components: &[Param]) -> Shape {
    if let Some((item, _)) = ty.strip_suffix(']').and_then(|ty| ty.rsplit_once('[')) {
        return Shape::List(Box::new(shape_of(item, components)));
    }
    match ty {
        "tuple" => members(components),
        "address" => Shape::Address,
        "bool" => Shape::Bool,
        "string" => Shape::Text,
        _ if ty.starts_with("uint") => Shape::Number,
        _ if ty.starts_with("int") => Shape::Int,
        _ if ty.starts_with("bytes") => Shape::Bytes,
        _ => Shape::Unread,
    }
}
