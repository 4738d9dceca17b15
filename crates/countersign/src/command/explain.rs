//! `countersign policy explain`: one request in, everything that a policy says to it out; without a request, what it
//! says at all.

mod action;
mod elsewhere;
mod outline;
mod place;
mod reading;
mod request;
mod verdict;

use std::path::Path;

use countersign_core::{
    fact::Facts,
    identity::OperatorId,
    intent::Intent,
    pact::{PactStanding, Word},
    time::Timestamp,
};
use countersign_engine::judged;
use countersign_policy::{Kind, Policies, Policy};

use self::{
    place::{Place, Spot},
    reading::Reading,
    request::Request,
    verdict::{Call, Explained, Said},
};
use super::{policy, pretty};
use crate::{
    cli::{ExplainArgs, Output},
    failure::Failure,
    policies,
    screen::say,
};

/// Shows what a policy would say now, with nothing spent yet; without a request, what it says at all.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let Some(request) = Request::of(args)? else {
        return outline::show(&args.files, args.output.output);
    };
    let [file] = args.files.as_slice() else {
        return Err(Failure::refused("a request is explained under one policy: name one file"));
    };
    let explained = explain((args, file), &request)?;
    match args.output.output {
        Output::Json => say(pretty(&explained.as_json())),
        Output::Table => explained.show(),
    }
    Ok(())
}

fn explain((args, file): (&ExplainArgs, &Path), request: &Request) -> Result<Explained, Failure> {
    let policy = policy::read(file)?;
    let loaded = args.config.as_deref().map(policies::load).transpose()?;
    let chain = request.chain();
    let spot = Spot { args, file, policy: &policy, loaded: loaded.as_ref(), chain };
    let place = Place::of(&spot, request.from())?;
    let asked = request.asked(&place)?;
    let place = place.moved(&spot, &asked.draft)?;
    let foreign = place.house.map(|house| house.foreign(&asked)).transpose()?.flatten();
    let Reading { intent, mut facts } = place.read(asked)?;
    if args.approved {
        facts.pact = Some(approved(facts.at)?);
    }
    if let Some(foreign) = foreign {
        return Ok(Explained { intent, facts, said: Said::Foreign(foreign), calls: Vec::new() });
    }
    let policies = together(policy, loaded.map_or_else(Vec::new, |loaded| loaded.guards))?;
    let calls = each(&policies, &intent, &facts);
    let said = Said::Judged(Box::new(judged(&policies, &intent, &facts)));
    Ok(Explained { intent, facts, said, calls })
}

/// What is said of each call of a bundle by itself; nothing where it has one call.
fn each(policies: &Policies, intent: &Intent, facts: &Facts) -> Vec<Call> {
    let one = |(intent, facts): (Intent, Facts)| Call {
        decision: judged(policies, &intent, &facts),
        actions: facts.actions,
    };
    intent.calls().into_iter().zip(facts.of_calls()).map(one).collect()
}

/// A grant judges beside the guards of the configuration; a guard alone, beside a grant that allows everything it is asked.
fn together(policy: Policy, guards: Vec<Policy>) -> Result<Policies, Failure> {
    Ok(match policy.kind() {
        Kind::Grant => Policies { grant: policy, guards },
        Kind::Guard => {
            let grant = Policy::parse(ALLOW_ALL, "the grant that explain puts beside a guard");
            let grant = grant.map_err(|errors| Failure::failed(errors.to_string()))?;
            Policies { grant, guards: vec![policy] }
        }
    })
}

/// A pact to which somebody says yes now.
fn approved(at: Timestamp) -> Result<PactStanding, Failure> {
    let by = OperatorId::parse("somebody").map_err(|error| Failure::failed(error.to_string()))?;
    Ok(PactStanding::Approved { approved: Word { by, at, note: None } })
}

const ALLOW_ALL: &str = "policy: explain\nkind: grant\nrules:\n  - { id: everything, when: { kind: [transfer, approve, revoke, call, deploy, delegate, typed_data, text] }, then: allow }\n  - { id: of-others, when: { kind: transfer, from: { ne: self } }, then: allow }\n";
