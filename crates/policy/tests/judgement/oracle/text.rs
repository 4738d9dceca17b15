//! A random policy, and how it is written.

use std::fmt::Write;

use super::{
    draw::Draw,
    language::{Ask, DAY, FIELDS, Field, HOUR, KINDS, Matcher, SETS, Shape, Value},
};

/// What a condition is drawn for: the kinds that it must fit, and the functions that its rule names.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) kinds: Vec<&'static str>,
    /// The rule says which kinds.
    pub(super) named: bool,
    pub(super) functions: Vec<usize>,
}

impl About {
    fn draw(then: Then, draw: &mut Draw) -> Self {
        let plain = |kinds: &[&'static str]| Self {
            kinds: kinds.to_vec(),
            named: true,
            functions: Vec::new(),
        };
        match draw.below(12) {
            0..=2 => {
                let functions = draw.of(&[&[0][..], &[0], &[1], &[0, 1]]).to_vec();
                let kinds = draw.of(&[&["call"][..], &["call"], &["transfer", "call"]]);
                Self { functions, ..plain(kinds) }
            }
            3 => plain(&["typed_data"]),
            4 => plain(&["text"]),
            5 => plain(&["transfer"]),
            6 => plain(&["approve"]),
            7 => Self { named: false, ..Self::draw(then, draw) },
            _ if then == Then::Allow && draw.one_in(2) => plain(&KINDS),
            _ => {
                let mut kinds: Vec<&'static str> = draw.many(1, 3, |draw| draw.of(&KINDS));
                kinds.sort_unstable();
                kinds.dedup();
                plain(&kinds)
            }
        }
    }

    fn fits(&self, field: Field) -> bool {
        let all = self.kinds.len() == KINDS.len();
        let has = if self.named && !all { field.kinds_named() } else { field.kinds() };
        let readable = match field.word {
            "kind" => self.named && !all,
            "fn" | "args.n" => !self.functions.is_empty(),
            _ => !field.is_argument() || self.functions == [0],
        };
        readable && self.kinds.iter().all(|kind| has.contains(kind))
    }
}

#[derive(Debug)]
pub(super) enum Cond {
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Not(Box<Cond>),
    Field(Field, Matcher),
    Hours(Hours),
}

/// A timetable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours {
    /// Hours that the zone is ahead of UTC, all January long.
    pub(super) ahead: u64,
    /// From Monday, 0; the first may lie behind the last.
    pub(super) days: Option<(u64, u64)>,
    /// From one hour until just before the other, which may lie on the next day.
    pub(super) span: Option<(u64, u64)>,
    pub(super) listed: &'static [u64],
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    fn draw(draw: &mut Draw) -> Self {
        Self {
            ahead: draw.below(2),
            days: draw.of(&[None, Some((0, 4)), Some((4, 0)), Some((2, 2))]),
            span: draw.of(&[None, Some((8, 20)), Some((20, 8)), Some((0, 12))]),
            listed: draw.of(&[&[][..], &[7, 8, 20], &[12]]),
        }
    }

    fn write(self) -> String {
        let mut parts = Vec::new();
        parts.extend((self.ahead == 1).then(|| "tz: Europe/Paris".to_owned()));
        let day = |index: u64| WEEK[usize::try_from(index).unwrap()];
        parts.extend(self.days.map(|(a, b)| {
            if a == b {
                format!("days: [{}]", a + 1)
            } else {
                format!("days: {}-{}", day(a), day(b))
            }
        }));
        parts.extend(self.span.map(|(a, b)| format!("from: \"{a:02}:00\", to: \"{b:02}:00\"")));
        parts.extend((!self.listed.is_empty()).then(|| format!("hours: {:?}", self.listed)));
        format!("{{ hours: {{ {} }} }}", parts.join(", "))
    }

    /// Whether an instant lies in it. A span over midnight belongs to the day of its start.
    pub(super) fn holds(self, now: u64) -> bool {
        let local = now + self.ahead * HOUR;
        let hour = local % DAY / HOUR;
        // the epoch was a Thursday
        let today = (local / DAY + 3) % 7;
        let on = |day: u64| match self.days {
            None => true,
            Some((first, last)) if first <= last => (first..=last).contains(&day),
            Some((first, last)) => day >= first || day <= last,
        };
        let inside = match self.span {
            None => on(today),
            Some((from, to)) if from < to => on(today) && (from..to).contains(&hour),
            Some((from, to)) => (on(today) && hour >= from) || (on((today + 6) % 7) && hour < to),
        };
        inside && (self.listed.is_empty() || self.listed.contains(&hour))
    }
}

impl Cond {
    pub(super) fn draw(about: &About, depth: u8, draw: &mut Draw) -> Self {
        match draw.below(if depth == 0 { 6 } else { 10 }) {
            6 => Self::All(draw.many(1, 3, |draw| Self::draw(about, depth - 1, draw))),
            7 | 8 => Self::Any(draw.many(1, 3, |draw| Self::draw(about, depth - 1, draw))),
            9 => match Self::draw(about, depth - 1, draw) {
                // what names the kinds that it is not about would be no rule for its own
                Self::Field(field, matcher) if field.word == "kind" => Self::Field(field, matcher),
                inner => Self::Not(Box::new(inner)),
            },
            0 if draw.one_in(4) => Self::Hours(Hours::draw(draw)),
            _ => {
                let fits: Vec<Field> =
                    FIELDS.iter().copied().filter(|field| about.fits(*field)).collect();
                let field = draw.of(&fits);
                Self::Field(field, about.matcher(field, draw))
            }
        }
    }

    fn write(&self) -> String {
        let list = |parts: &[Self]| parts.iter().map(Self::write).collect::<Vec<_>>().join(", ");
        match self {
            Self::All(parts) if parts.is_empty() => "{}".to_owned(),
            Self::All(parts) => format!("{{ all: [{}] }}", list(parts)),
            Self::Any(parts) => format!("{{ any: [{}] }}", list(parts)),
            Self::Not(inner) => format!("{{ not: {} }}", inner.write()),
            Self::Hours(hours) => hours.write(),
            Self::Field(field, matcher) => {
                format!("{{ {}: {} }}", field.word, matcher.write(field.shape))
            }
        }
    }

    /// Every field in it.
    fn fields(&self) -> Vec<Field> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(inner) => inner.fields(),
            Self::Field(field, _) => vec![*field],
            Self::Hours(_) => Vec::new(),
        }
    }

    /// Whether it cannot hold without a test that names what it asks for: at its top, in `all`, in every branch of an `any`;
    /// not under `not`.
    pub(super) fn names(&self, by: &dyn Fn(Field, &Matcher) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(|part| part.names(by)),
            Self::Any(parts) => parts.iter().all(|part| part.names(by)),
            Self::Field(field, matcher) => by(*field, matcher),
            Self::Not(_) | Self::Hours(_) => false,
        }
    }
}

impl About {
    fn matcher(&self, field: Field, draw: &mut Draw) -> Matcher {
        match field.word {
            // a rule that names other functions has other arguments
            "fn" => Matcher::one_of(vec![Value::Function(draw.of(&self.functions))]),
            // a branch for none of the rule's kinds can never hold, and is no policy
            "kind" => {
                let mut kinds = vec![self.kinds[0]];
                kinds.extend(draw.many(0, 2, |draw| draw.of(&KINDS)));
                let members = kinds.into_iter().map(Value::Text).collect();
                Matcher::one_of(members)
            }
            _ => Matcher::draw(field, draw),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Then {
    Allow,
    Deny,
    Approve(&'static str),
}

impl Then {
    const STOPS: [Self; 3] = [Self::Deny, Self::Approve("desk"), Self::Approve("board")];

    fn write(self) -> String {
        match self {
            Self::Allow => "allow".to_owned(),
            Self::Deny => "deny".to_owned(),
            Self::Approve(gate) => format!("{{ approve: {gate} }}"),
        }
    }
}

/// What a rule says of what is spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Spend {
    Unsaid,
    Nothing,
    OnUse,
    /// Dollars, as many as a part says, or what lies at another part.
    Moves {
        token: Option<&'static str>,
        amount: &'static str,
    },
}

impl Spend {
    fn draw(about: &About, draw: &mut Draw) -> Self {
        let both = [None, Some("args.to")];
        match about.kinds.as_slice() {
            _ if !about.named => Self::Unsaid,
            ["call"] if about.functions == [0] && draw.one_in(2) => {
                Self::Moves { token: draw.of(&both), amount: "args.n" }
            }
            ["call"] if !about.functions.is_empty() && draw.one_in(2) => {
                Self::Moves { token: None, amount: "args.n" }
            }
            ["typed_data"] if draw.one_in(2) => {
                let token = draw.of(&[None, Some("message.to")]);
                Self::Moves { token, amount: "message.amount" }
            }
            ["call" | "typed_data"] => draw.of(&[Self::Unsaid, Self::Nothing]),
            ["approve"] => draw.of(&[Self::Unsaid, Self::OnUse]),
            _ => Self::Unsaid,
        }
    }

    fn write(self) -> String {
        match self {
            Self::Unsaid => String::new(),
            Self::Nothing => ", spend: none".to_owned(),
            Self::OnUse => ", spend: on_use".to_owned(),
            Self::Moves { token, amount } => {
                let token = token.unwrap_or("usdc@31337");
                format!(", spend: {{ token: {token}, amount: {amount} }}")
            }
        }
    }
}

/// A rule, or the condition of a limit.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) about: About,
    pub(super) cond: Cond,
    pub(super) then: Then,
    pub(super) spend: Spend,
}

impl Entry {
    fn draw(then: Then, draw: &mut Draw) -> Self {
        let about = About::draw(then, draw);
        let plain = then == Then::Allow && draw.one_in(2);
        let drawn = if plain { Cond::All(Vec::new()) } else { Cond::draw(&about, 2, draw) };
        let cond = if about.functions.is_empty() {
            drawn
        } else {
            let named = about.functions.iter().map(|index| Value::Function(*index)).collect();
            Cond::All(vec![Cond::Field(Field::of("fn"), Matcher::one_of(named)), drawn])
        };
        let spend = if then == Then::Allow { Spend::draw(&about, draw) } else { Spend::Unsaid };
        Self { about, cond, then, spend }
    }

    /// The kinds that it speaks of: those that it names, or those that have every field it names.
    pub(super) fn kinds(&self) -> Vec<&'static str> {
        if self.about.named {
            return self.about.kinds.clone();
        }
        let fields = self.cond.fields();
        let has = |kind: &&str| fields.iter().all(|field| field.kinds().contains(kind));
        KINDS.into_iter().filter(|kind| has(kind)).collect()
    }

    fn when(&self) -> String {
        let kinds = self.about.kinds.join(", ");
        match &self.cond {
            Cond::All(parts) if parts.is_empty() && self.about.named => {
                format!("{{ kind: [{kinds}] }}")
            }
            cond if self.about.named => format!("{{ kind: [{kinds}], all: [{}] }}", cond.write()),
            cond => cond.write(),
        }
    }
}

/// How long a limit remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Per {
    Transaction,
    /// As it is written, and in milliseconds.
    Rolling(&'static str, u64),
    /// Hours that its zone is ahead of UTC, all January long.
    Day(u64),
    Month(u64),
    Grant,
}

const WINDOWS: [Per; 10] = [
    Per::Rolling("90s", 90_000),
    Per::Rolling("1h", HOUR),
    Per::Rolling("24h", DAY),
    Per::Rolling("7d", 7 * DAY),
    Per::Rolling("30d", 30 * DAY),
    Per::Day(0),
    Per::Day(1),
    Per::Month(0),
    Per::Month(1),
    Per::Grant,
];

impl Per {
    fn write(self) -> String {
        let zone = |ahead| if ahead == 1 { ", tz: Europe/Paris" } else { "" };
        match self {
            Self::Transaction => "tx".to_owned(),
            Self::Rolling(text, _) => text.to_owned(),
            Self::Day(ahead) => format!("day{}", zone(ahead)),
            Self::Month(ahead) => format!("month{}", zone(ahead)),
            Self::Grant => "grant".to_owned(),
        }
    }
}

/// What may split a limit.
pub(super) const BY: [&str; 10] =
    ["to", "token", "chain", "agent", "wallet", "session", "target", "selector", "action", "kind"];

#[derive(Debug)]
pub(super) struct Limit {
    pub(super) entry: Entry,
    pub(super) measure: &'static str,
    pub(super) per: Per,
    pub(super) by: Vec<&'static str>,
    pub(super) max: u64,
    pub(super) over: Then,
    /// How much of it is used up in each of its counters, beforehand.
    pub(super) used: u64,
}

impl Limit {
    fn draw(kind: &str, draw: &mut Draw) -> Self {
        let measure = draw.of(&["usd", "usd", "usd", "fee_usd", "tx", "action"]);
        let window = draw.of(&WINDOWS);
        let per = match window {
            _ if draw.one_in(2) => Per::Transaction,
            Per::Grant if kind == "guard" => Per::Day(0),
            window => window,
        };
        let most = if is_money(measure) { 60 } else { 4 };
        let max = draw.below(most);
        let mut by = draw.many(0, 2, |draw| draw.of(&BY));
        by.dedup();
        by.retain(|_| per != Per::Transaction);
        let mut entry = Entry::draw(Then::Deny, draw);
        if draw.one_in(2) {
            let kinds = KINDS.to_vec();
            entry.about = About { kinds, named: true, functions: Vec::new() };
            entry.cond = Cond::All(Vec::new());
        }
        let used = if draw.one_in(3) { draw.below(max + 1) } else { 0 };
        Self { entry, measure, per, by, max, over: draw.of(&Then::STOPS), used }
    }

    fn write(&self, id: usize) -> String {
        let what = if is_money(self.measure) { "sum" } else { "count" };
        let max = if is_money(self.measure) {
            Value::Number(self.max.into()).write(Shape::Usd)
        } else {
            self.max.to_string()
        };
        let by = if self.by.is_empty() {
            String::new()
        } else {
            format!(", by: [{}]", self.by.join(", "))
        };
        format!(
            "  - {{ id: l{id}, when: {}, {what}: {}, per: {}{by}, max: {max}, over: {} }}",
            self.entry.when(),
            self.measure,
            self.per.write(),
            self.over.write()
        )
    }
}

pub(super) fn is_money(measure: &str) -> bool {
    matches!(measure, "usd" | "fee_usd")
}

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) kind: &'static str,
    pub(super) rules: Vec<Entry>,
    pub(super) limits: Vec<Limit>,
}

const GATES: &str = "gates: { desk: { need: [{ any: 1, of: [alice] }] }, board: { need: [{ any: 2, of: [alice, bob] }, { any: 1, of: [alice] }] } }\n";

impl Policy {
    pub(super) fn draw(kind: &'static str, draw: &mut Draw) -> Self {
        let mut rules = draw.many(0, 2, |draw| {
            let then = draw.of(&Then::STOPS);
            Entry::draw(then, draw)
        });
        if kind == "grant" {
            rules.extend(draw.many(1, 4, |draw| Entry::draw(Then::Allow, draw)));
        }
        let limits = draw.many(0, 2, |draw| Limit::draw(kind, draw));
        Self { kind, rules, limits }
    }

    pub(super) fn write(&self, head: &str) -> String {
        let mut text = format!("policy: {0}\nkind: {0}\n{head}{SETS}{GATES}rules:\n", self.kind);
        for (id, rule) in self.rules.iter().enumerate() {
            let (when, then) = (rule.when(), rule.then.write());
            let spend = rule.spend.write();
            writeln!(text, "  - {{ id: r{id}, when: {when}, then: {then}{spend} }}").unwrap();
        }
        text.push_str("limits:\n");
        for (id, limit) in self.limits.iter().enumerate() {
            writeln!(text, "{}", limit.write(id)).unwrap();
        }
        text
    }

    /// Changes one thing.
    pub(super) fn change(&mut self, draw: &mut Draw) {
        let rules = &mut self.rules;
        let index = draw.index(rules.len());
        match draw.below(9) {
            0 => {
                rules.remove(index);
            }
            1 | 2 => {
                let then = draw.of(&Then::STOPS);
                rules.push(Entry::draw(then, draw));
            }
            3 => rules.push(Entry::draw(Then::Allow, draw)),
            4 => {
                rules[index].then = draw.of(&Then::STOPS);
                rules[index].spend = Spend::Unsaid;
            }
            5 | 6 => {
                let kinds = rules[index].kinds();
                let more = Cond::draw(&About { kinds, ..rules[index].about.clone() }, 1, draw);
                let old = std::mem::replace(&mut rules[index].cond, Cond::All(Vec::new()));
                let parts = vec![old, more];
                rules[index].cond =
                    if draw.one_in(2) { Cond::All(parts) } else { Cond::Any(parts) };
            }
            7 => self.limits.push(Limit::draw(self.kind, draw)),
            _ => {
                for limit in &mut self.limits {
                    limit.max = if draw.one_in(3) { limit.max + 1 } else { limit.max / 2 };
                    if draw.one_in(2) {
                        (limit.per, limit.by) = (Per::Transaction, Vec::new());
                    }
                }
            }
        }
    }
}

/// Whether every value that passes is named.
pub(super) fn lists(matcher: &Matcher) -> bool {
    matcher.0.iter().any(|ask| matches!(ask, Ask::In(..)))
}
