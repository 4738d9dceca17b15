//! A slow, obvious judge beside `decide`, written from the pages of the language alone: ten thousand random policies and
//! requests must come out the same, and take the same out of every window. It shares no code with the real one: it has
//! its own facts, its own values and its own truth.

mod draw;
mod language;
mod text;
mod world;

use std::{
    cmp::Ordering::{self, Equal, Greater, Less},
    collections::{BTreeMap, BTreeSet},
};

use countersign_core::{
    charge::{Charge, Reading, Window},
    time::{Millis, Period},
};
use countersign_policy::{
    DiffClass, Format, Policies, Policy as Real, charges, counter_verdicts, decide,
    decision::Outcome, diff, schema,
};

use self::{
    draw::Draw,
    language::{Ask, DAY, FIELDS, Field, KINDS, Matcher, Member, Shape, Value, order, timestamp},
    text::{Cond, Entry, Limit, Per, Policy, Spend, Then, is_money, lists},
    world::{Act, Price, Simulation, TOKENS, World},
};

/// From the least free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Deny,
    Park,
    Allow,
}

/// What `all` makes of several is the first of these; `not` turns the order around, but for what is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    /// Nobody can know.
    Unknown,
    /// A source owes the fact.
    Owed,
    Yes,
}

impl Truth {
    const fn of(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }

    const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Owed => Self::Owed,
        }
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().min().unwrap_or(Self::Yes)
    }

    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::all(parts.into_iter().map(Self::not)).not()
    }
}

/// Why nobody says: what outweighs comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Owed,
    Unknown,
}

impl From<Why> for Truth {
    fn from(why: Why) -> Self {
        match why {
            Why::Owed => Self::Owed,
            Why::Unknown => Self::Unknown,
        }
    }
}

/// USD in thousandths, or nobody says.
type Usd = Result<u64, Why>;

fn plus(a: Usd, b: Usd) -> Usd {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(a + b),
        (Ok(_), Err(why)) | (Err(why), Ok(_)) => Err(why),
        (Err(a), Err(b)) => Err(a.max(b)),
    }
}

fn larger(a: Usd, b: Usd) -> Usd {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(a.max(b)),
        (a, b) => plus(a, b),
    }
}

fn sum(parts: impl IntoIterator<Item = Usd>) -> Usd {
    parts.into_iter().fold(Ok(0), plus)
}

/// An action under judgement: its number, what it is worth, and whether it is looked at as the agent calls it.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    act: usize,
    usd: Usd,
    declared: bool,
    /// The rule's functions, which say what its arguments are.
    functions: &'a [usize],
}

/// Why a request is stopped: for want of a price that a source owes, or for good.
#[derive(Debug, Default)]
struct Grounds {
    denied: bool,
    asks: Vec<Truth>,
}

/// POLICY §5: what an action is worth.
impl World {
    fn money(&self, token: &str, amount: u64) -> Usd {
        match (token, amount) {
            (_, 0) => Ok(0),
            ("native", amount) => match self.native {
                Price::Known => Ok(amount),
                Price::Never => Err(Why::Unknown),
                Price::Owed => Err(Why::Owed),
            },
            ("dollar", amount) => Ok(amount),
            _ => Err(Why::Unknown),
        }
    }

    fn fee(&self) -> Usd {
        self.money("native", self.fee)
    }

    /// Under the allow rules of these indices.
    fn worth(&self, index: usize, rules: &[usize]) -> Usd {
        let act = &self.acts[index];
        let rules: Vec<&Entry> = rules.iter().map(|rule| &self.grant.rules[*rule]).collect();
        let value = self.money("native", act.value);
        let moved = || plus(value, self.money(act.token, act.amount));
        match act.kind {
            _ if act.unreadable => Err(Why::Unknown),
            "transfer" if act.token == "native" => value,
            "approve" if rules.iter().any(|rule| rule.spend == Spend::OnUse) => value,
            "approve" if act.unlimited => Err(Why::Unknown),
            "transfer" | "approve" => moved(),
            "revoke" | "deploy" | "text" => value,
            "call" | "typed_data" => plus(value, self.besides(index, &rules)),
            _ => Err(Why::Unknown),
        }
    }

    /// What a call or a message moves besides its value: as a rule says, as its contract's layout says, as a node sees it;
    /// where several say, the larger counts.
    fn besides(&self, index: usize, rules: &[&Entry]) -> Usd {
        let act = &self.acts[index];
        let by_rules = rules.iter().filter_map(|rule| match rule.spend {
            Spend::Unsaid | Spend::OnUse => None,
            Spend::Nothing => Some(Ok(0)),
            Spend::Moves { token, amount } => Some(self.moves(act, rule, token, amount)),
        });
        let is_call = act.kind == "call";
        let by_layout = act.takes.filter(|_| is_call).map(Ok);
        let by_node = Some(()).filter(|()| is_call).and_then(|()| self.seen_to_leave(index));
        let all: Vec<Usd> = by_rules.chain(by_layout).chain(by_node).collect();
        all.into_iter().reduce(larger).unwrap_or(Err(Why::Unknown))
    }

    fn moves(&self, act: &Act, rule: &Entry, token: Option<&str>, amount: &str) -> Usd {
        let part = |word: &str| match word.split_once('.').unwrap() {
            ("args", path) => argument(act, &rule.about.functions, path),
            (_, path) => Value::Tuple(act.document.message.clone()).at(path),
        };
        let Some(Value::Number(units)) = part(amount) else { return Err(Why::Unknown) };
        let units = u64::try_from(units).unwrap();
        let token = match token.map(part) {
            None | Some(Some(Value::Account("dollar"))) => "dollar",
            Some(_) => "other",
        };
        // a dollar has a million units
        assert_eq!(units % 1000, 0);
        self.money(token, units / 1000)
    }

    /// What an action says that it takes of a token from the wallet.
    fn takes(act: &Act, token: &str) -> u64 {
        let value = if token == "native" { act.value } else { 0 };
        match act.kind {
            "transfer" if act.token == "native" => value,
            "transfer" if act.token == token && act.from == "self" => act.amount + value,
            "call" if token == "dollar" && !act.unreadable => act.takes.unwrap_or(0) + value,
            _ => value,
        }
    }

    /// What is seen to leave the wallet beyond what the value and the other actions account for.
    fn seen_to_leave(&self, index: usize) -> Option<Usd> {
        let Simulation::Done { less, .. } = &self.simulation else { return None };
        let others = |token| {
            let others = self.acts.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, act)| Self::takes(act, token)).sum::<u64>()
        };
        let beyond = TOKENS.iter().zip(less).map(|(token, less)| {
            let value = if *token == "native" { self.acts[index].value } else { 0 };
            self.money(token, less.saturating_sub(value + others(token)))
        });
        Some(sum(beyond))
    }
}

/// The value of an argument of one of these functions.
fn argument(act: &Act, functions: &[usize], path: &str) -> Option<Value> {
    let (read, args) = act.read.as_ref()?;
    functions.contains(read).then(|| args.at(path))?
}

/// The facts that a rule may name.
impl World {
    fn fact(&self, field: Field, at: At<'_>) -> Result<Value, Why> {
        let act = &self.acts[at.act];
        let number = |n: u64| Ok(Value::Number(u128::from(n)));
        let known = |value: Option<Value>| value.ok_or(Why::Unknown);
        let text = |text: Option<&'static str>| text.map(Value::Text).ok_or(Why::Unknown);
        let account = |who: Option<&'static str>| Ok(who.map_or(Value::Nothing, Value::Account));
        match field.word.split_once('.') {
            Some(("args", path)) => return known(argument(act, at.functions, path)),
            Some(("context", name)) => return known(self.said[usize::from(name == "s")].clone()),
            Some(("oracle", name)) => return known(self.told(act, name)),
            Some(("sim", what)) => return self.simulated(what),
            Some(("siwe", path)) => return Self::login(act, path),
            Some(("domain" | "message", _)) => return self.signed(act, field.word),
            _ => {}
        }
        match field.word {
            "session" => text(self.session),
            "role" => text(self.role),
            "kind" => text(Some(act.kind)),
            "token" => Ok(Value::Token(act.token, false)),
            "amount" if act.unlimited => Ok(Value::Number(u128::MAX)),
            "amount" => Ok(Value::Number(act.units())),
            "units" => known(units(act).map(Value::Decimal)),
            "currency" => text(match act.token {
                "native" => Some("ETH"),
                "dollar" => Some("USDC"),
                _ => None,
            }),
            "usd" => at.usd.map(|usd| Value::Number(usd.into())),
            "from" => account(Some(act.from)),
            "to" | "spender" => account(Some(act.who)),
            "target" if act.everywhere => Err(Why::Unknown),
            "target" => account(act.target()),
            "selector" if act.selector.is_empty() => Ok(Value::Nothing),
            "selector" => Ok(Value::Bytes(act.selector.clone())),
            "fn" => {
                Ok(act.read.as_ref().map_or(Value::Nothing, |(read, _)| Value::Function(*read)))
            }
            "value_wei" => number(act.value_wei()),
            "fee_usd" => self.fee().map(|usd| Value::Number(usd.into())),
            "nonce" => known(self.nonce.map(|nonce| Value::Number(nonce.into()))),
            "action" => text(Some(self.declared.filter(|_| at.declared).unwrap_or(act.label))),
            "unlimited" => Ok(Value::Bool(act.unlimited)),
            "deadline" => Ok(Value::Number(act.deadline.map_or(u128::MAX, u128::from))),
            "via" => text(Some(act.via)),
            "depth" => number(act.depth),
            "recipient.seen" if self.seen_known => {
                Ok(Value::Bool(act.counterparty() == Some("friend")))
            }
            "recipient.seen" => Err(Why::Unknown),
            "balance_share" => known(self.share(act).map(|bps| Value::Number(bps.into()))),
            "privileged" => Ok(Value::Bool(act.privileged)),
            "text" if act.unreadable => Err(Why::Unknown),
            "text" => text(Some(act.words)),
            "primary_type" => self.signed(act, field.word),
            _ => self.of_request(field.word),
        }
    }

    /// What is the same for every action.
    fn of_request(&self, word: &str) -> Result<Value, Why> {
        let number = |n: u64| Ok(Value::Number(u128::from(n)));
        match word {
            "chain" => number(self.chain),
            "agent" => Ok(Value::Text("bot")),
            "wallet" => Ok(Value::Text("ops-1")),
            "gas" => number(self.gas),
            "now" => number(self.now),
            "risk" => number(self.risk()),
            other => panic!("the oracle knows no field `{other}`"),
        }
    }

    /// What a login does not say is known not to be there.
    fn login(act: &Act, path: &str) -> Result<Value, Why> {
        if act.unreadable {
            return Err(Why::Unknown);
        }
        let said = act.login.clone().and_then(|login| Value::Tuple(login).at(path));
        Ok(said.unwrap_or(Value::Nothing))
    }

    /// A field of typed data. A transaction has none; of typed data that is known for what it does, lists and structs are
    /// not compared.
    fn signed(&self, act: &Act, word: &str) -> Result<Value, Why> {
        let (document, known_for) = match (act.kind, act.via, &self.document) {
            ("typed_data", ..) => (&act.document, false),
            (_, "call", _) => return Ok(Value::Nothing),
            (_, _, None) => return Err(Why::Unknown),
            (_, _, Some(document)) => (document, true),
        };
        match word.split_once('.') {
            None => Ok(Value::Text(document.primary)),
            Some(("domain", path)) => {
                Ok(Value::Tuple(document.domain.clone()).at(path).unwrap_or(Value::Nothing))
            }
            Some((_, path)) => match Value::Tuple(document.message.clone()).at(path) {
                Some(Value::List(_) | Value::Tuple(_)) if known_for => Err(Why::Unknown),
                Some(value) => Ok(value),
                None => Err(Why::Unknown),
            },
        }
    }

    /// What an oracle says of whom it is asked about.
    fn told(&self, act: &Act, name: &str) -> Option<Value> {
        let (oracle, field) = name.split_once('.').unwrap_or((name, ""));
        let whom = |asks: &str| match asks {
            "counterparty" => act.counterparty(),
            "to" => Some(act.who).filter(|_| act.kind == "transfer"),
            "spender" => Some(act.who).filter(|_| matches!(act.kind, "approve" | "revoke")),
            _ => act.target(),
        };
        let about =
            |word: &&world::Word| word.oracle == oracle && whom(word.asks) == Some(word.about);
        self.oracles.iter().find(about)?.says.as_ref()?.get(field).cloned()
    }

    /// What a transaction would do as a whole.
    fn simulated(&self, what: &str) -> Result<Value, Why> {
        let usd = |usd: Usd| usd.map(|usd| Value::Number(usd.into()));
        let (less, more, approvals) = match (&self.simulation, what) {
            (Simulation::Reverted, "reverted") => return Ok(Value::Bool(true)),
            (Simulation::Done { .. }, "reverted") => return Ok(Value::Bool(false)),
            (Simulation::Done { less, more, approvals }, _) => (less, more, *approvals),
            (Simulation::Absent | Simulation::Failed | Simulation::Reverted, _) => {
                return Err(Why::Unknown);
            }
        };
        let worth = |of: &[u64; 3]| sum(TOKENS.iter().zip(of).map(|(t, n)| self.money(t, *n)));
        match what {
            "approvals" => Ok(Value::Number(approvals.into())),
            "out.usd" => usd(worth(less)),
            "in.usd" => usd(worth(more)),
            "loss.usd" => usd(match (worth(less), worth(more)) {
                (Ok(less), Ok(more)) => Ok(less.saturating_sub(more)),
                (less, more) => plus(less, more),
            }),
            _ => usd(sum(TOKENS.iter().zip(less).map(|(token, less)| {
                let told: u64 = self.acts.iter().map(|act| Self::takes(act, token)).sum();
                self.money(token, less.saturating_sub(told))
            }))),
        }
    }

    /// Hundredths of a percent of the wallet's own currency, rounded up.
    fn share(&self, act: &Act) -> Option<u64> {
        let part = match (act.kind, act.token) {
            ("transfer", "native") => act.amount,
            ("transfer", _) => return None,
            _ => act.value,
        };
        match (part, self.balance?) {
            (0, _) => Some(0),
            (_, 0) => None,
            (part, balance) => Some((part * 10_000).div_ceil(balance)),
        }
    }

    /// The points of the worst action: what it does, and what is odd about it.
    fn risk(&self) -> u64 {
        let of = |index: usize| {
            let act = &self.acts[index];
            let does = match act.kind {
                "transfer" if act.from != "self" => 60,
                "transfer" if matches!(act.who, "zero" | "dollar") => 60,
                "approve" if act.unlimited => 50,
                "delegate" => 90,
                _ if act.unreadable => 40,
                "call" if act.privileged => 60,
                "typed_data" => 30,
                "call" if act.read.is_none() => 20,
                _ => 0,
            };
            let met = matches!(act.kind, "revoke" | "deploy" | "text")
                || self.seen_known && act.who == "friend";
            let share = match self.share(act) {
                Some(9000..) => 30,
                Some(5000..) => 15,
                _ => 0,
            };
            let unpriced = if self.worth(index, &[]).is_err() { 20 } else { 0 };
            (does + if met { 0 } else { 15 } + share + unpriced).min(100)
        };
        (0..self.acts.len()).map(of).max().unwrap_or(0)
    }
}

/// The amount in whole tokens, in millionths: dollars, or ether at 1000 USD.
fn units(act: &Act) -> Option<i128> {
    match act.token {
        "native" | "dollar" if act.unlimited => Some(i128::MAX),
        "native" => Some(i128::from(act.amount)),
        "dollar" => Some(i128::from(act.amount) * 1000),
        _ => None,
    }
}

/// What a condition comes to.
impl World {
    fn holds(&self, cond: &Cond, at: At<'_>) -> Truth {
        match cond {
            Cond::All(parts) => Truth::all(parts.iter().map(|part| self.holds(part, at))),
            Cond::Any(parts) => Truth::any(parts.iter().map(|part| self.holds(part, at))),
            Cond::Not(inner) => self.holds(inner, at).not(),
            Cond::Hours(hours) => Truth::of(hours.holds(self.now)),
            Cond::Field(field, matcher) => {
                let truth = match self.fact(*field, at) {
                    Err(why) => why.into(),
                    Ok(value) => {
                        let selector = &self.acts[at.act].selector;
                        self.fits(matcher, (&value, selector), field.shape)
                    }
                };
                self.heard.borrow_mut().insert((field.word, truth));
                truth
            }
        }
    }

    fn fits(&self, matcher: &Matcher, value: (&Value, &str), shape: Shape) -> Truth {
        let each = matcher.0.iter().map(|ask| {
            let truth = self.answer(ask, value, shape);
            if !matches!(ask, Ask::Part(..)) {
                self.heard.borrow_mut().insert((ask.word(), truth));
            }
            truth
        });
        Truth::all(each.collect::<Vec<_>>())
    }

    fn answer(&self, ask: &Ask, value: (&Value, &str), shape: Shape) -> Truth {
        let compare = |bound: &Value, wanted: &[Ordering]| match order(value.0, bound) {
            Some(found) => Truth::of(wanted.contains(&found)),
            // a bound for something that has no order
            None => Truth::Unknown,
        };
        match ask {
            Ask::In(members, _) => self.among(members, value, shape),
            Ask::NotIn(members, _) => self.among(members, value, shape).not(),
            Ask::Below(bound) => compare(bound, &[Less]),
            Ask::AtMost(bound) => compare(bound, &[Less, Equal]),
            Ask::Above(bound) => compare(bound, &[Greater]),
            Ask::AtLeast(bound) => compare(bound, &[Greater, Equal]),
            Ask::Between(low, high) => {
                Truth::all([compare(low, &[Greater, Equal]), compare(high, &[Less, Equal])])
            }
            Ask::Matches(pattern) => match value.0 {
                Value::Text(text) => Truth::of(pattern.fits(text)),
                _ => Truth::Unknown,
            },
            Ask::Any(inner) => self.each(inner, value, shape, Truth::any),
            Ask::None(inner) => self.each(inner, value, shape, |items| Truth::any(items).not()),
            // of an empty list it is false
            Ask::Every(inner) => self.each(inner, value, shape, |items| {
                if items.is_empty() { Truth::No } else { Truth::all(items) }
            }),
            Ask::Count(inner) => match value.0 {
                Value::List(items) => {
                    let length = Value::Number(u128::try_from(items.len()).unwrap());
                    self.fits(inner, (&length, ""), Shape::Number)
                }
                _ => Truth::Unknown,
            },
            Ask::Part(name, inner) => match (value.0.at(name), shape) {
                (Some(part), Shape::Tuple(parts)) => {
                    let (_, shape) = parts.iter().find(|(known, _)| known == name).unwrap();
                    self.fits(inner, (&part, ""), *shape)
                }
                _ => Truth::Unknown,
            },
        }
    }

    fn each(
        &self,
        inner: &Matcher,
        value: (&Value, &str),
        shape: Shape,
        all: impl Fn(Vec<Truth>) -> Truth,
    ) -> Truth {
        let Value::List(items) = value.0 else { return Truth::Unknown };
        let item = match shape {
            Shape::List(item) => *item,
            other => other,
        };
        all(items.iter().map(|value| self.fits(inner, (value, ""), item)).collect())
    }

    /// A member whose time is over: nobody knows whether it still belongs.
    fn among(&self, members: &[Member], value: (&Value, &str), shape: Shape) -> Truth {
        Truth::any(members.iter().map(|member| {
            let same = equal(value, &member.value, shape);
            let over = member.until.is_some_and(|until| until <= self.now);
            if over && same != Truth::No { Truth::Unknown } else { same }
        }))
    }

    fn entry_holds(&self, entry: &Entry, at: At<'_>) -> Truth {
        if entry.kinds().contains(&self.acts[at.act].kind) {
            self.holds(&entry.cond, At { functions: &entry.about.functions, ..at })
        } else {
            Truth::No
        }
    }

    /// What the agent calls its action may make a rule or limit match, never unmatch.
    fn speaks(&self, entry: &Entry, act: usize, usd: Usd) -> Truth {
        let functions = &[];
        Truth::any(
            [false, true]
                .map(|declared| self.entry_holds(entry, At { act, usd, declared, functions })),
        )
    }
}

/// Whether a value is the one that a policy writes, beside the selector of the call that it is of.
fn equal((value, selector): (&Value, &str), written: &Value, shape: Shape) -> Truth {
    match (shape, value, written) {
        // a number, a truth value and a text have nothing to do with each other
        (Shape::Said, Value::Decimal(_), Value::Decimal(_))
        | (Shape::Said, Value::Text(_), Value::Text(_))
        | (Shape::Said, Value::Bool(_), Value::Bool(_))
        // `self` is an address, and no letters
        | (Shape::Written, _, Value::Account("self")) => Truth::of(value == written),
        (Shape::Said, ..) => Truth::Unknown,
        (Shape::Written, ..) => {
            Truth::of(value.letters().is_some_and(|it| Some(it) == written.letters()))
        }
        // calldata of that function that cannot be read as it
        (Shape::Function, _, Value::Function(asked)) => {
            if value == written {
                Truth::Yes
            } else if *selector == language::function(*asked).selector().to_string() {
                Truth::Unknown
            } else {
                Truth::No
            }
        }
        _ => Truth::of(value.is(written)),
    }
}

/// POLICY §1.2: deny beats approve beats allow; nothing allows = deny; every action needs an allow.
impl World {
    /// The allow rules that match an action.
    fn allowing(&self, act: usize) -> Vec<usize> {
        if self.expired || !self.covered {
            return Vec::new();
        }
        let matches = |rule: &usize| {
            let (entry, it) = (&self.grant.rules[*rule], &self.acts[act]);
            let at = At { act, usd: self.worth(act, &[*rule]), declared: false, functions: &[] };
            entry.then == Then::Allow
                && (!it.unlisted || entry.cond.names(&names_function))
                && (!it.leads_elsewhere() || entry.cond.names(&names_uri))
                && self.entry_holds(entry, at) == Truth::Yes
        };
        (0..self.grant.rules.len()).filter(matches).collect()
    }

    /// What each action is worth under the rules that allow it.
    fn worths(&self) -> Vec<Usd> {
        (0..self.acts.len()).map(|act| self.worth(act, &self.allowing(act))).collect()
    }

    fn expected(&self) -> Verdict {
        let usd = self.worths();
        let mut grounds = self.standing();
        for policy in [&self.grant, &self.guard] {
            for (index, rule) in policy.rules.iter().enumerate() {
                let found = (0..self.acts.len()).map(|act| self.speaks(rule, act, usd[act]));
                let found = Truth::any(found.collect::<Vec<_>>());
                if rule.then != Then::Allow && found != Truth::No {
                    self.stop(&mut grounds, (policy, index, rule.then), found);
                }
            }
            for (index, limit) in policy.limits.iter().enumerate() {
                let amounts = self.amounts(limit, &usd);
                for amount in amounts.values().filter(|a| a.total.is_none_or(|t| t > limit.max)) {
                    let found = if amount.owed { Truth::Owed } else { Truth::Yes };
                    self.stop(&mut grounds, (policy, index, limit.over), found);
                }
            }
        }
        match grounds {
            Grounds { denied: true, .. } => Verdict::Deny,
            // what only a price would decide that a source owes is asked again, not waited for
            Grounds { asks, .. } if !asks.is_empty() && asks.iter().all(|a| *a == Truth::Owed) => {
                Verdict::Deny
            }
            Grounds { asks, .. } => {
                self.overrun(if asks.is_empty() { Verdict::Allow } else { Verdict::Park }, &usd)
            }
        }
    }

    /// What no rule can change, what nothing allows, and what people are asked whatever the rules say.
    fn standing(&self) -> Grounds {
        let acts = 0..self.acts.len();
        let harmless = |act: &Act| act.kind == "revoke" && act.value == 0;
        let never = |act: &Act| act.unreadable || act.everywhere;
        let allows: Vec<Vec<usize>> = acts.clone().map(|act| self.allowing(act)).collect();
        let named =
            |rule: &usize| self.grant.rules[*rule].cond.names(&|field, _| field.word == "from");
        let unnamed = |act: usize| self.acts[act].foreign && !allows[act].iter().any(named);
        let mut grounds = Grounds {
            denied: self.expired
                || !self.covered
                || allows.iter().any(Vec::is_empty)
                || self.acts.iter().any(never)
                || self.frozen && !self.acts.iter().all(harmless),
            asks: Vec::new(),
        };
        let open = self.open.contains(&"owner");
        if acts.clone().any(unnamed) && !open {
            grounds.asks.push(Truth::Yes);
        }
        grounds
    }

    fn stop(
        &self,
        grounds: &mut Grounds,
        (policy, index, then): (&Policy, usize, Then),
        found: Truth,
    ) {
        match then {
            Then::Allow => {}
            Then::Deny => grounds.denied = true,
            Then::Approve(gate) if policy.is_open(self, gate, index) => {}
            Then::Approve(_) => grounds.asks.push(found),
        }
    }

    /// What the store finds: a window that is used up already.
    fn overrun(&self, before: Verdict, usd: &[Usd]) -> Verdict {
        let mut verdict = before;
        for policy in [&self.grant, &self.guard] {
            for (index, limit) in policy.limits.iter().enumerate() {
                let over = |amount: &Amount| amount.charged(limit) + limit.used > limit.max;
                let charged = self.amounts(limit, usd);
                let charged = charged.values().filter(|amount| amount.charged(limit) > 0);
                if limit.per == Per::Transaction || !charged.clone().any(over) {
                    continue;
                }
                let stopped = match limit.over {
                    Then::Approve(gate) if policy.is_open(self, gate, index) => Verdict::Allow,
                    Then::Approve(_) => Verdict::Park,
                    _ => Verdict::Deny,
                };
                verdict = verdict.min(stopped);
            }
        }
        verdict
    }
}

/// Whose limit, its window, value and fee in its unit, its maximum.
type Taken = (String, String, Window, u64, u64, u64);

/// What a limit counts of one group of actions.
#[derive(Debug)]
struct Amount {
    /// `None` is too much.
    total: Option<u64>,
    fee: u64,
    owed: bool,
}

impl Amount {
    /// What is not known is charged as the whole limit.
    fn charged(&self, limit: &Limit) -> u64 {
        self.total.unwrap_or(limit.max)
    }
}

impl World {
    /// What each counter of a limit would count. An action counts unless it is certain that the limit does not speak of
    /// it; a window counts the fee too.
    fn amounts(&self, limit: &Limit, usd: &[Usd]) -> BTreeMap<Vec<String>, Amount> {
        let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for (act, usd) in usd.iter().enumerate() {
            if self.speaks(&limit.entry, act, *usd) != Truth::No {
                let key = limit.by.iter().map(|by| self.splits(by, act)).collect();
                groups.entry(key).or_default().push(act);
            }
        }
        let window = limit.per != Per::Transaction;
        let count = |group: &Vec<usize>| {
            let moved = sum(group.iter().map(|act| usd[*act]));
            let (value, fee) = match limit.measure {
                "tx" => (Ok(1), Ok(0)),
                "action" => (Ok(u64::try_from(group.len()).unwrap()), Ok(0)),
                "fee_usd" => (Ok(0), self.fee()),
                _ if window => (moved, self.fee()),
                _ => (moved, Ok(0)),
            };
            let owed = value.and(fee) == Err(Why::Owed);
            Amount { total: plus(value, fee).ok(), fee: fee.unwrap_or(0), owed }
        };
        groups.iter().map(|(key, group)| (key.clone(), count(group))).collect()
    }

    /// What an action has of what splits a limit; what has none is together.
    fn splits(&self, by: &str, act: usize) -> String {
        let act = &self.acts[act];
        let address = |who: Option<&str>| {
            who.map_or_else(|| "-".to_owned(), |who| language::address(who).to_string())
        };
        match by {
            "to" => address(act.counterparty()),
            "target" => address(act.target()),
            "token" if !act.names_an_asset() => "-".to_owned(),
            "token" => act.token.to_owned(),
            "selector" => act.selector.clone(),
            "action" => act.label.to_owned(),
            "kind" => act.kind.to_owned(),
            // one request has one of these
            _ => String::new(),
        }
    }

    /// Every charge.
    fn charged(&self) -> Vec<Taken> {
        let usd = self.worths();
        let mut found = Vec::new();
        for policy in [&self.grant, &self.guard] {
            for (index, limit) in policy.limits.iter().enumerate() {
                let Some(window) = window(limit.per, self.now) else { continue };
                let unit = if is_money(limit.measure) { 1000 } else { 1 };
                for amount in self.amounts(limit, &usd).values() {
                    let all = amount.charged(limit);
                    let fee = if amount.total.is_some() { amount.fee } else { 0 };
                    if all > 0 {
                        let (value, fee, max) = ((all - fee) * unit, fee * unit, limit.max * unit);
                        let (policy, id) = (policy.kind.to_owned(), format!("l{index}"));
                        found.push((policy, id, window, value, fee, max));
                    }
                }
            }
        }
        found.sort();
        found
    }
}

/// The window of a limit; `None` where it looks at one request alone. All instants are in January 2026.
fn window(per: Per, now: u64) -> Option<Window> {
    const HOUR: u64 = language::HOUR;
    let period = |start: u64, days: u64, ahead: u64| {
        let start = start - ahead * HOUR;
        let (start, end) = (timestamp(start), timestamp(start + days * DAY));
        Window::Calendar(Period { start, end })
    };
    Some(match per {
        Per::Transaction => return None,
        Per::Rolling(_, length) => Window::Rolling(Millis(length)),
        Per::Grant => Window::Grant,
        Per::Day(ahead) => period((now + ahead * HOUR) / DAY * DAY, 1, ahead),
        Per::Month(ahead) => {
            let january = language::MONDAY - 4 * DAY;
            match (now + ahead * HOUR - january) / DAY {
                0..31 => period(january, 31, ahead),
                _ => period(january + 31 * DAY, 28, ahead),
            }
        }
    })
}

impl Policy {
    /// Whether people have opened a gate to the rule or limit of this number; nobody has opened those of the guard.
    fn is_open(&self, world: &World, gate: &str, index: usize) -> bool {
        self.kind == "grant" && world.open.contains(&gate) && world.answered[index % 2]
    }
}

/// What the registered layout of a contract does not have is allowed by name only.
fn names_function(field: Field, matcher: &Matcher) -> bool {
    field.is_argument() || matches!(field.word, "fn" | "selector") && lists(matcher)
}

/// And so is a login to elsewhere.
fn names_uri(field: Field, matcher: &Matcher) -> bool {
    matches!(field.word, "siwe.uri" | "siwe.uri_host") && lists(matcher)
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Allow(_) => Verdict::Allow,
        Outcome::Park(_) => Verdict::Park,
        Outcome::Deny(_) => Verdict::Deny,
    }
}

/// What policies say to the request of a world, with nothing used up.
fn judged(world: &World, policies: &Policies) -> Verdict {
    verdict(&decide(&world.intent(), &world.facts(policies), policies).outcome)
}

/// The same with what is used up of each window.
fn decided(world: &World, policies: &Policies) -> Verdict {
    let used = |charge: &Charge| {
        let policy = if charge.source.policy == "grant" { &world.grant } else { &world.guard };
        let index: usize = charge.source.limit.trim_start_matches('l').parse().unwrap();
        let limit = &policy.limits[index];
        let unit = if is_money(limit.measure) { 1000 } else { 1 };
        Reading { settled: limit.used * unit, ..Reading::default() }
    };
    let overruns = |charges: &[Charge]| {
        let readings: Vec<Reading> = charges.iter().map(used).collect();
        counter_verdicts(charges, &readings).1
    };
    let outcome = decide(&world.intent(), &world.facts(policies), policies).outcome;
    let outcome = match outcome {
        Outcome::Allow(permit) => match overruns(permit.charges()) {
            over if over.is_empty() => Outcome::Allow(permit),
            over => permit.overrun(&over),
        },
        Outcome::Park(hold) => match overruns(hold.charges()) {
            over if over.is_empty() => Outcome::Park(hold),
            over => hold.overrun(&over),
        },
        denied @ Outcome::Deny(_) => denied,
    };
    verdict(&outcome)
}

fn told(charge: &Charge) -> Taken {
    let Charge { source, window, value, fee, limit, .. } = charge.clone();
    (source.policy, source.limit, window, value, fee, limit)
}

#[test]
fn the_slow_judge_agrees_in_ten_thousand_worlds() {
    let (mut wrong, mut seen, mut heard) = (Vec::new(), [0; 3], BTreeSet::new());
    for seed in 0..10_000 {
        let world = World::draw(&mut Draw::new(seed));
        let policies = world.policies();
        let (expected, got) = (world.expected(), decided(&world, &policies));
        seen[usize::from(got > Verdict::Deny) + usize::from(got > Verdict::Park)] += 1;
        let mut taken: Vec<_> =
            charges(&world.intent(), &world.facts(&policies), &policies).iter().map(told).collect();
        taken.sort();
        if (expected != got || world.charged() != taken) && wrong.len() < 3 {
            let should = world.charged();
            wrong.push(format!(
                "seed {seed}: {got:?}, not {expected:?}\n{taken:?}, not\n{should:?}\n{}\n{world:#?}",
                world.source()
            ));
        }
        heard.extend(world.heard.take());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // each outcome is common enough to mean something
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
    every_word_was_decisive(&heard);
}

/// Every field and operator has held and not held, and what can be unknown has been.
fn every_word_was_decisive(heard: &BTreeSet<(&'static str, Truth)>) {
    let operators = ["eq", "ne", "in", "not_in", "lt", "lte", "gt", "gte", "between", "matches"];
    let words = FIELDS.iter().map(|field| field.word).chain(operators);
    for word in words.chain(["any", "every", "none", "count"]) {
        for truth in [Truth::Yes, Truth::No] {
            assert!(heard.contains(&(word, truth)), "`{word}` was never {truth:?}");
        }
    }
    for word in ["usd", "fee_usd", "sim.out.usd", "sim.in.usd", "sim.loss.usd", "sim.excess.usd"] {
        assert!(heard.contains(&(word, Truth::Owed)), "`{word}` was never owed by a source");
    }
    let unknown = [
        "session",
        "role",
        "units",
        "currency",
        "usd",
        "target",
        "fn",
        "fee_usd",
        "nonce",
        "recipient.seen",
        "balance_share",
        "text",
        "primary_type",
        "sim.reverted",
        "args.n",
        "context.n",
        "context.s",
        "domain.name",
        "message.amount",
        "message.hops",
        "siwe.domain",
        "oracle.risk.score",
        "oracle.trust",
    ];
    for word in unknown.into_iter().chain(["in", "not_in", "lt", "between", "matches", "every"]) {
        assert!(heard.contains(&(word, Truth::Unknown)), "`{word}` was never unknown");
    }
}

/// The words of a JSON object's keys.
fn keys(value: &serde_json::Value, pointer: &str) -> BTreeSet<String> {
    let found = value.pointer(pointer).and_then(serde_json::Value::as_object);
    found.unwrap_or_else(|| panic!("no object at {pointer}")).keys().cloned().collect()
}

/// The words of an `enum`.
fn words(value: &serde_json::Value, pointer: &str) -> BTreeSet<String> {
    let found = value.pointer(pointer).and_then(serde_json::Value::as_array);
    let found = found.unwrap_or_else(|| panic!("no list at {pointer}"));
    found.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Every key and value of conditions and limits, as the canonical form of a policy has them.
fn collect(value: &serde_json::Value, found: &mut BTreeMap<String, u64>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, inner) in object {
                *found.entry(key.clone()).or_default() += 1;
                if let Some(word) = inner.as_str() {
                    *found.entry(format!("{key} {word}")).or_default() += 1;
                }
                for word in
                    inner.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str)
                {
                    *found.entry(format!("{key} {word}")).or_default() += 1;
                }
                collect(inner, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[test]
fn no_word_of_the_language_is_left_out() {
    let mut found = BTreeMap::new();
    for seed in 0..2_000 {
        let World { grant, guard, .. } = World::draw(&mut Draw::new(seed));
        for policy in [grant.write(""), guard.write("")] {
            let policy = Real::parse(&policy, "p.yaml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
            let canonical: serde_json::Value =
                serde_json::from_str(&policy.canonical_json()).unwrap();
            for part in ["rules", "limits"].map(|part| canonical.get(part)).into_iter().flatten() {
                collect(part, &mut found);
            }
        }
    }
    let language = schema(Format::Core);
    let condition = "/$defs/condition";
    let mut wanted = keys(&language, &format!("{condition}/properties"));
    wanted.extend(keys(&language, "/$defs/matcher/anyOf/2/properties"));
    wanted.extend(keys(&language, &format!("{condition}/properties/hours/properties")));
    let limit = "/properties/limits/items/properties";
    wanted.extend(["sum", "count", "per", "by", "max", "over"].map(str::to_owned));
    let of = |key: &str, words: BTreeSet<String>| {
        words.into_iter().map(|word| format!("{key} {word}")).collect::<BTreeSet<_>>()
    };
    wanted.extend(of("sum", words(&language, &format!("{limit}/sum/enum"))));
    wanted.extend(of("count", words(&language, &format!("{limit}/count/enum"))));
    wanted.extend(of("per", words(&language, &format!("{limit}/per/anyOf/0/enum"))));
    wanted.extend(["per 1h", "per 24h", "per 7d", "per 30d"].map(str::to_owned));
    wanted.extend(of("by", words(&language, &format!("{limit}/by/anyOf/0/enum"))));
    let spend = "/properties/rules/items/properties/spend";
    wanted.extend(of("spend", words(&language, &format!("{spend}/anyOf/0/enum"))));
    wanted.extend(keys(&language, &format!("{spend}/anyOf/1/properties")));
    wanted.extend(KINDS.map(|kind| format!("kind {kind}")));
    let families = keys(&language, &format!("{condition}/patternProperties"));
    let families: Vec<&str> = families.iter().flat_map(|f| f.split(['^', '(', '|', ')'])).collect();
    let families: Vec<&str> = families
        .into_iter()
        .filter(|f| f.chars().all(char::is_alphabetic) && !f.is_empty())
        .collect();
    assert_eq!(families.len(), 6, "{families:?}");
    let count = |word: &String| found.get(word).copied().unwrap_or(0);
    let missing: Vec<&String> = wanted.iter().filter(|word| count(word) < 10).collect();
    assert!(missing.is_empty(), "never or seldom drawn: {missing:?}");
    for family in families {
        let members = found.iter().filter(|(word, _)| word.starts_with(&format!("{family}.")));
        assert!(members.map(|(_, count)| count).sum::<u64>() > 10, "no field of `{family}`");
    }
}

/// A world where no source owes anything: a refusal for want of a price is no verdict but a request to come again, and who
/// asks people besides makes it wait for them.
fn settled(seed: u64) -> World {
    let world = World::draw(&mut Draw::new(seed));
    let native = if world.native == Price::Owed { Price::Never } else { world.native };
    World { native, ..world }
}

#[test]
fn a_guard_never_frees_anything_and_the_order_of_rules_is_nothing() {
    // a rule that is turned has another name, and what people said to it was said to that name
    let drawn = |seed| World { answered: [true; 2], ..settled(seed) };
    for seed in 0..2_000 {
        let world = drawn(seed);
        let both = world.policies();
        let alone = Policies { grant: both.grant.clone(), guards: Vec::new() };
        let (with, without) = (judged(&world, &both), judged(&world, &alone));
        assert!(with <= without, "seed {seed}: {with:?} with the guard, {without:?} without");
        let mut turned = drawn(seed);
        turned.grant.rules.reverse();
        turned.guard.rules.reverse();
        assert_eq!(judged(&world, &turned.policies()), with, "seed {seed}");
    }
}

#[test]
fn what_diff_calls_a_tightening_frees_nothing() {
    let (mut tightenings, mut same, mut bites) = (0, 0, 0);
    for seed in 0..4_000 {
        let (old, mut new) = (settled(seed), settled(seed));
        new.grant.change(&mut Draw::new(seed + 1_000_000));
        let (before, after) = (old.policies(), new.policies());
        let found = diff(&before.grant, &after.grant);
        match found.class {
            DiffClass::Loosening => continue,
            DiffClass::Tightening => tightenings += 1,
            DiffClass::Same => same += 1,
        }
        let (was, is) = (judged(&old, &before), judged(&old, &after));
        bites += usize::from(is < was);
        assert!(
            is <= was,
            "seed {seed}: {was:?} -> {is:?}\n{found:#?}\n{}\n{}",
            old.source(),
            new.source()
        );
        assert!(
            found.class == DiffClass::Tightening || is == was,
            "seed {seed}: the same, and not the same"
        );
    }
    assert!(tightenings > 500 && same > 20 && bites > 20, "{tightenings} {same} {bites}");
}
