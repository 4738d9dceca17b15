//! The judgement: a verdict for every rule and limit, and one outcome.
//!
//! No order among rules: deny beats approve beats allow, nothing allows = deny, every action needs an allow. What belongs
//! to somebody else is allowed by `from` only; where a rule allows it without that, people are asked.
//! Windows are not judged here: each becomes a charge that the store checks when it reserves.

use std::borrow::Cow;

use alloy_primitives::Address;
use countersign_core::{
    action::{Action, Effect},
    approval::{Ask, Gate},
    charge::Charge,
    fact::{Fact, Facts, Freeze},
    intent::Intent,
    transaction::TransactionPlan,
};

use crate::{
    approvals::is_open,
    decision::{
        Decision, Denial, Ground, Hold, Outcome, Permit, Register, RiskPart, Says, Verdict,
        Violation,
    },
    field::Kinds,
    judge::JUDGE,
    limits,
    mode::ApprovalMode,
    model::{Model, Rule, Spend, Standing, Then},
    pact::{GRANT_PENDING, GRANT_REJECTED, GRANT_REVOKED},
    policy::{Policies, Policy},
    risk,
    scope::Kind,
    sentence,
    together::hear_together,
    truth::{Truth, Why},
    view::{Request, View},
    worth::{self, Worth},
};

/// Judges one request, at the instant of its facts. Pure, total and deterministic.
///
/// Guards whose scope does not cover the request are skipped. What it returns allows nothing that the store
/// has not also reserved.
///
/// A bundle of calls is judged call by call and as a whole. What was split from one is judged by its own part of the
/// bundle's facts.
pub fn decide(intent: &Intent, facts: &Facts, policies: &Policies) -> Decision {
    judge(intent, facts, policies, &Assumed::default())
}

/// What the windows of the limits count of a request, whatever its verdict: for limits that are younger than it.
#[must_use]
pub fn charges(intent: &Intent, facts: &Facts, policies: &Policies) -> Vec<Charge> {
    let guards = guards(intent, policies);
    let part = part(intent, facts);
    listen(intent, &part, (policies, &guards), &Assumed::default()).charges
}

/// The facts as far as they are of this intent: a call that was split from a bundle has its own share of them.
#[must_use]
pub fn part<'a>(intent: &Intent, facts: &'a Facts) -> Cow<'a, Facts> {
    let split = intent.bundle.as_ref().filter(|bundle| !bundle.is_whole());
    let index = split.and_then(|bundle| usize::try_from(bundle.index).ok());
    let own = index.and_then(|index| facts.of_calls().into_iter().nth(index));
    own.map_or(Cow::Borrowed(facts), Cow::Owned)
}

fn listen<'a>(
    intent: &'a Intent,
    facts: &'a Facts,
    (policies, guards): (&Policies, &[&Model]),
    assumed: &Assumed,
) -> Court<'a> {
    if facts.calls.is_empty() {
        hear(intent, facts, (&policies.grant, guards), assumed)
    } else {
        hear_together(intent, facts, (policies, guards))
    }
}

/// Worths that a test in a policy file states instead of deriving them from prices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assumed {
    pub(crate) usd: Vec<Option<Worth>>,
    pub(crate) fee: Option<Worth>,
}

pub(crate) fn judge(
    intent: &Intent,
    facts: &Facts,
    policies: &Policies,
    assumed: &Assumed,
) -> Decision {
    let guards = guards(intent, policies);
    let part = part(intent, facts);
    let mut court = listen(intent, &part, (policies, &guards), assumed);
    let grant = policies.grant.model();
    let gate = mandate_gate(&policies.grant);
    let opened = court.opens(&gate, JUDGE);
    let decision = Decision {
        verdicts: std::mem::take(&mut court.verdicts),
        usd: court.usd.iter().map(|usd| usd.ok()).collect(),
        fee_usd: court.request.fee.ok(),
        risk_score: court.request.risk,
        risk_parts: std::mem::take(&mut court.risk_parts),
        approval_mode: court.mode,
        policy: grant.id,
        guards: guards.iter().map(|guard| guard.id).collect(),
        outcome: court.outcome(grant),
    };
    match &facts.opinion {
        Some(opinion) => decision.heard(opinion, &gate, opened),
        None => decision,
    }
}

/// Who is asked where a judge wants people to look: the grant's own `owner`, else anybody who may approve.
fn mandate_gate(grant: &Policy) -> Gate {
    let default = Policy::default_gate(grant.name());
    grant.gates().iter().find(|gate| gate.id == default.id).cloned().unwrap_or(default)
}

fn covers(model: &Model, intent: &Intent) -> bool {
    model.scope.covers(&intent.agent, &intent.wallet, intent.chain())
}

fn guards<'a>(intent: &Intent, policies: &'a Policies) -> Vec<&'a Model> {
    policies.guards.iter().map(Policy::model).filter(|model| covers(model, intent)).collect()
}

/// What a grant calls it that somebody else's assets are moved.
pub(crate) const OTHERS: &str = "from";

/// Everything that the grant and the guards have to say.
pub(crate) fn hear<'a>(
    intent: &'a Intent,
    facts: &'a Facts,
    (policy, guards): (&Policy, &[&Model]),
    assumed: &Assumed,
) -> Court<'a> {
    let fee = assumed.fee.unwrap_or_else(|| worth::of_fee(facts));
    let risk_parts = risk::parts(intent, facts);
    let request = Request { intent, facts, fee, risk: risk::score(&risk_parts) };
    let grant = policy.model();
    let in_force = grant.kind == Kind::Grant
        && covers(grant, intent)
        && grant.standing(facts.at, facts.pact.as_ref()) == Standing::InForce;
    let allows = allowances(request, grant, in_force, assumed);
    let mut court = Court::new(request, allows.iter().map(|allowance| allowance.usd).collect());
    court.risk_parts = risk_parts;
    court.standing(grant, in_force);
    for guard in guards {
        court.policy(guard, None);
    }
    court.policy(grant, Some(&allows));
    court.of_others(policy, &allows);
    court
}

/// What the grant says about one action.
struct Allowance<'a> {
    /// The allow rules that match.
    rules: Vec<&'a Rule>,
    /// Where none does: whether one might, had a source not failed.
    might: bool,
    usd: Worth,
}

fn allowances<'a>(
    request: Request<'a>,
    grant: &'a Model,
    in_force: bool,
    assumed: &Assumed,
) -> Vec<Allowance<'a>> {
    let of = |(index, action): (usize, &'a Action)| {
        let stated = assumed.usd.get(index).copied().flatten();
        // most rules say nothing of what is spent: to them it is worth the same
        let unsaid = stated.unwrap_or_else(|| worth::of_action(action, request.facts, &[]));
        let under = |rules: &[&Rule]| {
            if rules.iter().all(|rule| rule.spend == Spend::Unsaid) {
                unsaid
            } else {
                stated.unwrap_or_else(|| worth::of_action(action, request.facts, rules))
            }
        };
        let mut rules = Vec::new();
        let mut might = false;
        let kind = Kinds::of(action.effect.kind()).unwrap_or(Kinds::NONE);
        let may = |rule: &&Rule| {
            in_force && rule.then == Then::Allow && rule.kinds.meets(kind) && rule.may_allow(action)
        };
        for rule in grant.rules.iter().filter(may) {
            let view = View { request, action, usd: under(&[rule]), declared: false };
            match rule.when.holds(&view) {
                Truth::True => rules.push(rule),
                Truth::Unknown(Why::Unavailable) => might = true,
                Truth::Unknown(Why::Unknowable) | Truth::False => {}
            }
        }
        let usd = under(&rules);
        Allowance { might: might && rules.is_empty(), rules, usd }
    };
    request.facts.actions.iter().enumerate().map(of).collect()
}

/// Whether a condition holds for an action; one of a kind that the rule does not speak of never matches.
pub(crate) fn truth(
    kinds: Kinds,
    condition: &crate::condition::Condition,
    view: &View<'_>,
) -> Truth {
    let kind = Kinds::of(view.action.effect.kind()).unwrap_or(Kinds::NONE);
    if kinds.meets(kind) { condition.holds(view) } else { Truth::False }
}

/// One ground for a denial or a question.
#[derive(Debug)]
pub(crate) struct Reason {
    pub(crate) violation: Violation,
    pub(crate) sentence: String,
    pub(crate) register: Register,
    /// It would not be there, had a source not failed.
    pub(crate) owed: bool,
}

/// One request under judgement.
pub(crate) struct Court<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) usd: Vec<Worth>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) denials: Vec<Reason>,
    pub(crate) asks: Vec<(Gate, Reason)>,
    pub(crate) charges: Vec<Charge>,
    /// How many of the charges are each call's, in order; empty for what is no bundle.
    pub(crate) shares: Vec<usize>,
    /// That of the actions, raised by what matched.
    pub(crate) mode: ApprovalMode,
    pub(crate) risk_parts: Vec<RiskPart>,
}

impl<'a> Court<'a> {
    fn new(request: Request<'a>, usd: Vec<Worth>) -> Self {
        Self {
            request,
            usd,
            verdicts: Vec::new(),
            denials: Vec::new(),
            asks: Vec::new(),
            charges: Vec::new(),
            shares: Vec::new(),
            mode: ApprovalMode::of_actions(&request.facts.actions),
            risk_parts: Vec::new(),
        }
    }

    /// Whether people have opened this gate to this rule or limit, for the request as it stands now.
    pub(crate) fn opens(&self, gate: &Gate, rule: &str) -> bool {
        let usd = self.usd.iter().copied().reduce(worth::sum).and_then(Result::ok);
        is_open((gate, rule), self.request.facts, usd)
    }

    /// What no rule can change: freezes, the grant's own standing, unreadable calldata.
    fn standing(&mut self, grant: &Model, in_force: bool) {
        let facts = self.request.facts;
        if let Some(freeze) = stopping(self.request) {
            self.refuse(grant, "freeze", "frozen", sentence::frozen(freeze));
        }
        if let Some((rule, code, why)) = ended(grant, facts) {
            self.refuse(grant, rule, code, format!("the grant `{}` {why}", grant.name));
        } else if !in_force {
            let other = format!(
                "the policy `{}` grants nothing to this agent, wallet or chain",
                grant.name
            );
            self.refuse(grant, "for", "no_rule_allows", other);
        }
        let unreadable = |action: &Action| matches!(action.effect, Effect::Undecodable { .. });
        if facts.actions.iter().any(unreadable) {
            let text = "the calldata cannot be read in one canonical way".to_owned();
            self.refuse(grant, "calldata", "undecodable_calldata", text);
        }
        if facts.actions.iter().any(|action| matches!(action.effect, Effect::Opaque { .. })) {
            let text = "the message cannot be read for what it is".to_owned();
            self.refuse(grant, "message", "undecodable_message", text);
        }
        let everywhere =
            |action: &Action| matches!(action.effect, Effect::Delegate { chain: None, .. });
        if facts.actions.iter().any(everywhere) {
            let text = "code would act as an account on every chain".to_owned();
            self.refuse(grant, "delegation", "delegation_everywhere", text);
        }
        self.facts_that_refuse(grant);
        let deploys_nothing = |plan: &TransactionPlan| plan.to.is_none() && plan.data.is_empty();
        if self.request.intent.plan().is_some_and(deploys_nothing) {
            let text = "a deployment without init code would only lose its value".to_owned();
            self.refuse(grant, "calldata", "empty_init_code", text);
        }
    }

    /// What the chain itself says against the request, or owes it.
    fn facts_that_refuse(&mut self, grant: &Model) {
        let Request { intent, facts, .. } = self.request;
        let differs = facts.tokens.iter().find_map(|token| Some((token, token.decimals_said?)));
        if let Some((token, said)) = differs.filter(|_| !only_shrinks(intent, facts)) {
            let (name, decimals) = (&token.name, token.decimals);
            let text = format!(
                "`{name}` says that it has {said} decimals, and the configuration says {decimals}"
            );
            self.refuse(grant, "tokens", "token_decimals_differ", text);
        }
        let told = facts.simulated.as_ref().and_then(Fact::known).is_some();
        if facts.simulation_required && !told {
            let text = match &facts.simulated {
                Some(Fact::Unknown(why)) => format!("a simulation is required: {why}"),
                Some(Fact::Known(_)) | None => "a simulation is required".to_owned(),
            };
            self.refuse(grant, "simulate", "simulation_failed", text);
        }
    }

    pub(crate) fn refuse(&mut self, model: &Model, rule: &str, code: &str, sentence: String) {
        self.verdicts.push(Verdict {
            policy: model.name.clone(),
            rule: rule.to_owned(),
            says: Says::Deny,
            code: code.to_owned(),
            detail: sentence.clone(),
        });
        let violation = sentence::bare(rule, code);
        self.denials.push(Reason { violation, sentence, register: Register::Halt, owed: false });
    }

    /// Every rule and limit of a policy, in file order; of the grant also what nothing allows.
    fn policy(&mut self, model: &Model, allows: Option<&[Allowance<'_>]>) {
        if !model.rules_first {
            limits::judge(self, model);
        }
        for rule in &model.rules {
            let said = match &rule.then {
                Then::Allow => allowed(rule, allows.unwrap_or_default()),
                Then::Deny | Then::Approve(_) => self.rule(rule),
            };
            if said.says != Says::Pass {
                self.mode = self.mode.max(rule.mode);
            }
            self.verdicts.push(said.verdict(model, rule));
        }
        self.unallowed(model, allows);
        if model.rules_first {
            limits::judge(self, model);
        }
    }

    /// A deny or approve rule. What the agent calls its action may make it match, never unmatch.
    fn rule(&mut self, rule: &Rule) -> Said {
        let request = self.request;
        let truths = request.facts.actions.iter().zip(&self.usd).flat_map(|(action, usd)| {
            [false, true].map(|declared| {
                truth(rule.kinds, &rule.when, &View { request, action, usd: *usd, declared })
            })
        });
        let found = Truth::any(truths);
        if !found.is_possible() {
            return Said::pass();
        }
        let sentence = sentence::matched(rule, found);
        let reason = Reason {
            violation: sentence::bare(&rule.id, &rule.code),
            sentence: sentence.clone(),
            register: sentence::register(&rule.code),
            owed: found == Truth::Unknown(Why::Unavailable),
        };
        match &rule.then {
            Then::Approve(gate) if self.opens(gate, &rule.id) => Said {
                says: Says::Approve,
                code: String::new(),
                detail: format!("gate `{}` is open", gate.id),
            },
            Then::Approve(gate) => {
                self.asks.push((gate.clone(), reason));
                Said { says: Says::Approve, code: rule.code.clone(), detail: sentence }
            }
            Then::Deny | Then::Allow => {
                self.denials.push(reason);
                Said { says: Says::Deny, code: rule.code.clone(), detail: sentence }
            }
        }
    }

    /// Every action of the request needs an allow, and there must be one.
    fn unallowed(&mut self, model: &Model, allows: Option<&[Allowance<'_>]>) {
        let Some(allows) =
            allows.filter(|_| self.denials.iter().all(|d| d.violation.rule != "for"))
        else {
            return;
        };
        let actions = &self.request.facts.actions;
        let bare: Vec<_> = actions.iter().zip(allows).filter(|(_, a)| a.rules.is_empty()).collect();
        if bare.is_empty() && !actions.is_empty() || ended(model, self.request.facts).is_some() {
            return;
        }
        let sentence = sentence::unallowed(&model.name, bare.first().map(|(action, _)| *action));
        let owed = !bare.is_empty() && bare.iter().all(|(_, allowance)| allowance.might);
        self.verdicts.push(Verdict {
            policy: model.name.clone(),
            rule: "default".to_owned(),
            says: Says::Deny,
            code: "no_rule_allows".to_owned(),
            detail: sentence.clone(),
        });
        let violation = sentence::bare("default", "no_rule_allows");
        self.denials.push(Reason { violation, sentence, register: Register::Halt, owed });
    }

    /// People are asked about assets of somebody else, where what allows to move them does not say whose they may be.
    fn of_others(&mut self, grant: &Policy, allows: &[Allowance<'_>]) {
        let Request { intent, facts, .. } = self.request;
        let unnamed = |(action, allowance): (&Action, &Allowance<'_>)| {
            let bare = !allowance.rules.is_empty()
                && !allowance.rules.iter().any(|rule| rule.when.names_others());
            of_another(action, intent).filter(|_| bare)
        };
        let Some(owner) = facts.actions.iter().zip(allows).find_map(unnamed) else { return };
        let gate = mandate_gate(grant);
        let (code, detail) = if self.opens(&gate, OTHERS) {
            (String::new(), format!("gate `{}` is open", gate.id))
        } else {
            let sentence = sentence::of_others(grant.name(), owner);
            let violation = sentence::bare(OTHERS, FOREIGN_FUNDS);
            let register = sentence::register(FOREIGN_FUNDS);
            let reason = Reason { violation, sentence: sentence.clone(), register, owed: false };
            self.asks.push((gate, reason));
            (FOREIGN_FUNDS.to_owned(), sentence)
        };
        let (policy, rule, says) = (grant.name().to_owned(), OTHERS.to_owned(), Says::Approve);
        self.verdicts.push(Verdict { policy, rule, says, code, detail });
    }

    fn outcome(self, grant: &Model) -> Outcome {
        let Self { request, denials, asks, charges, shares, .. } = self;
        let (intent, policy) = (request.intent.clone(), grant.id);
        if !denials.is_empty() {
            return Outcome::Deny(denial(denials));
        }
        if asks.is_empty() {
            return Outcome::Allow(Permit { intent, charges, shares, policy });
        }
        if asks.iter().all(|(_, reason)| reason.owed) {
            return Outcome::Deny(denial(asks.into_iter().map(|(_, reason)| reason).collect()));
        }
        let mut gates: Vec<Gate> = Vec::new();
        for (gate, _) in &asks {
            if !gates.contains(gate) {
                gates.push(gate.clone());
            }
        }
        let first = asks.first().map(|(_, reason)| reason);
        let code = first.map(|reason| reason.violation.code.clone()).unwrap_or_default();
        let reason = first.map(|reason| reason.sentence.clone()).unwrap_or_default();
        let asked = asks.iter().map(|(gate, reason)| ask(gate, &reason.violation)).collect();
        let triggers = asks.into_iter().map(|(_, reason)| reason.violation).collect();
        Outcome::Park(Hold { intent, charges, policy, gates, asks: asked, code, reason, triggers })
    }
}

const FOREIGN_FUNDS: &str = "foreign_funds";

/// Whose assets an action moves, where they belong neither to who asks nor to an account that acts.
fn of_another(action: &Action, intent: &Intent) -> Option<Address> {
    let Effect::Transfer { from, .. } = action.effect else { return None };
    (action.foreign && from != intent.address).then_some(from)
}

/// Who asks this gate.
pub(crate) fn ask(gate: &Gate, asking: &Violation) -> Ask {
    Ask { policy: gate.policy.clone(), gate: gate.id.clone(), rule: asking.rule.clone() }
}

fn denial(reasons: Vec<Reason>) -> Denial {
    let owed = reasons.iter().all(|reason| reason.owed);
    let halts = reasons.iter().any(|reason| reason.register == Register::Halt);
    let first = reasons.first();
    let code = first.map(|reason| reason.violation.code.clone()).unwrap_or_default();
    let sentence = first.map(|reason| reason.sentence.clone()).unwrap_or_default();
    Denial {
        code: if owed { "price_unavailable".to_owned() } else { code },
        reason: if owed { "a price that is needed is not available".to_owned() } else { sentence },
        register: if halts && !owed { Register::Halt } else { Register::Constructive },
        ground: if owed { Ground::Unavailable } else { Ground::Policy },
        violations: reasons.into_iter().map(|reason| reason.violation).collect(),
    }
}

/// Why a grant is not in force: the entry that says so, the code, and words.
fn ended(grant: &Model, facts: &Facts) -> Option<(&'static str, &'static str, &'static str)> {
    match grant.standing(facts.at, facts.pact.as_ref()) {
        Standing::InForce => None,
        Standing::NotBegun => Some(("starts", "no_rule_allows", "has not begun")),
        Standing::Pending => {
            Some(("starts", GRANT_PENDING, "has not begun: nobody has said yes to it yet"))
        }
        Standing::Rejected => Some(("starts", GRANT_REJECTED.0, GRANT_REJECTED.1)),
        Standing::Revoked => Some(("revoked", GRANT_REVOKED.0, GRANT_REVOKED.1)),
        Standing::Expired => Some(("expires", "grant_expired", "has expired")),
        Standing::Completed => Some(("lasts", "grant_completed", "is completed: its time is over")),
    }
}

/// The freeze that stops this request. What only shrinks authority passes all but [`Freeze::All`].
fn stopping(request: Request<'_>) -> Option<&Freeze> {
    let Request { intent, facts, .. } = request;
    let harmless = only_shrinks(intent, facts);
    facts.freezes.iter().find(|freeze| {
        let covers = freeze.covers(&intent.agent, &intent.wallet, intent.chain());
        covers && (!harmless || **freeze == Freeze::All)
    })
}

/// Whether all that the request does is to take authority away.
fn only_shrinks(intent: &Intent, facts: &Facts) -> bool {
    let shrinks = |action: &Action| {
        matches!(action.effect, Effect::Revoke { .. }) && action.value_wei.is_zero()
    };
    intent.value().is_zero() && !facts.actions.is_empty() && facts.actions.iter().all(shrinks)
}

fn allowed(rule: &Rule, allows: &[Allowance<'_>]) -> Said {
    let count = allows.iter().filter(|a| a.rules.iter().any(|r| std::ptr::eq(*r, rule))).count();
    if count == 0 {
        return Said::pass();
    }
    let detail = format!("allows {count} of {} actions", allows.len());
    Said { says: Says::Allow, code: String::new(), detail }
}

/// What one rule said, before it has a name.
pub(crate) struct Said {
    pub(crate) says: Says,
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl Said {
    pub(crate) const fn pass() -> Self {
        Self { says: Says::Pass, code: String::new(), detail: String::new() }
    }

    fn verdict(self, model: &Model, rule: &Rule) -> Verdict {
        let Self { says, code, mut detail } = self;
        if let Some(binding) = rule.binding.as_ref().filter(|_| says != Says::Pass) {
            detail = format!("{detail}, for the decision `{binding}`");
        }
        Verdict { policy: model.name.clone(), rule: rule.id.clone(), says, code, detail }
    }
}
