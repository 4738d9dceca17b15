//! Votes: how one is made, and which of those that were given count now. Who has left, changed person or key, or lost the
//! right, does not count any more; nothing that they said is forgotten.

use countersign_core::{
    approval::{
        Signing, Turn, Vote, VoteSignature,
        signature::{OfferedSignature, SignatureFault, ethereum},
        typed::TypedApproval,
    },
    identity::OperationId,
    operation::OperationRecord,
    time::Timestamp,
};

use crate::{
    engine::DeskError,
    setup::{OperatorSetup, Role, Setup},
};

/// What is signed for an operation that waits; a call that was split from a bundle was approved with it.
pub(crate) fn typed<'a>(setup: &'a Setup, record: &OperationRecord) -> Option<TypedApproval<'a>> {
    Some(TypedApproval {
        app: &setup.app,
        operation: asked_as(record),
        digest: record.digest?,
        expires_at: record.expires_at?,
    })
}

fn asked_as(record: &OperationRecord) -> OperationId {
    let bundle = record.intent.bundle.as_ref();
    bundle.map_or(record.id, |bundle| bundle.handle.operation(0))
}

/// An operator's word at an instant, signed with their key if they offer a signature.
pub(crate) fn vote(
    (setup, operator): (&Setup, &OperatorSetup),
    record: &OperationRecord,
    (note, offered): (Option<String>, Option<OfferedSignature>),
    at: Timestamp,
) -> Result<Vote, DeskError> {
    let signature = offered.map(|offered| signed((setup, operator), record, offered, at));
    Ok(Vote {
        operator: operator.id.clone(),
        person: operator.person.clone(),
        groups: operator.groups.clone(),
        note,
        at,
        signature: signature.transpose()?,
    })
}

fn signed(
    (setup, operator): (&Setup, &OperatorSetup),
    record: &OperationRecord,
    offered: OfferedSignature,
    at: Timestamp,
) -> Result<VoteSignature, DeskError> {
    let typed = typed(setup, record).ok_or_else(|| DeskError::Decided(Box::new(record.clone())))?;
    if typed.has_expired(at) {
        return Err(DeskError::Expired);
    }
    let fault = |fault: SignatureFault| DeskError::Signature(fault.to_string());
    match offered {
        OfferedSignature::Ethereum(bytes) => {
            let missing = "this operator has no `address` in the configuration";
            let address = operator.address.ok_or_else(|| DeskError::Signature(missing.into()))?;
            ethereum(&typed, address, &bytes).map_err(fault)
        }
        OfferedSignature::Passkey { credential, assertion } => {
            let known = operator.passkeys.iter().find(|passkey| passkey.id == credential);
            let missing = "this operator has no such passkey in the configuration";
            let known = known.ok_or_else(|| DeskError::Signature(missing.into()))?;
            let signature =
                VoteSignature::Passkey { credential, public_key: known.public_key, assertion };
            signature.verify(&typed, setup.passkeys.as_ref()).map_err(fault)?;
            Ok(signature)
        }
    }
}

/// The votes that count now, with the groups that their operators had then and have still.
pub(crate) fn counting(setup: &Setup, record: &OperationRecord) -> Vec<Vote> {
    record.votes.iter().filter_map(|vote| standing(setup, record, vote)).collect()
}

fn standing(setup: &Setup, record: &OperationRecord, vote: &Vote) -> Option<Vote> {
    let operator = setup.operators.get(&vote.operator)?;
    let may = operator.roles.contains(&Role::Approve) && operator.person == vote.person;
    let holds = vote.signature.as_ref().is_none_or(|signature| {
        is_key_of(operator, signature)
            && typed(setup, record)
                .is_some_and(|typed| signature.verify(&typed, setup.passkeys.as_ref()).is_ok())
    });
    if !may || !holds {
        return None;
    }
    let groups = vote.groups.iter().filter(|group| operator.groups.contains(group));
    Some(Vote { groups: groups.cloned().collect(), ..vote.clone() })
}

/// Whether the key that signed is still the operator's.
fn is_key_of(operator: &OperatorSetup, signature: &VoteSignature) -> bool {
    match signature {
        VoteSignature::Ethereum { address, signature: _ } => operator.address == Some(*address),
        VoteSignature::Passkey { credential, public_key, assertion: _ } => operator
            .passkeys
            .iter()
            .any(|known| known.id == *credential && known.public_key == *public_key),
    }
}

/// Whether this vote may be given after those that count; the reason if not.
pub(crate) fn admit(
    record: &OperationRecord,
    vote: &Vote,
    (votes, owner): (&[Vote], Option<&str>),
) -> Result<(), DeskError> {
    if owner == Some(vote.person.as_str()) {
        return Err(DeskError::Requester);
    }
    let named = |gate: &countersign_core::approval::Gate| gate.need.iter().any(|q| q.admits(vote));
    if !record.gates.iter().any(named) {
        return Err(DeskError::NotInGate);
    }
    // whoever has spoken is not asked again, so that a word which one gate cannot count yet is not taken by another
    let shut = || record.gates.iter().filter(|gate| !gate.is_open(votes, owner));
    let turned = |turn: Turn| shut().filter(move |gate| gate.turn(vote, votes, owner) == turn);
    let mut kinds: Vec<Signing> =
        turned(Turn::Unsigned).flat_map(|gate| gate.sign.iter().copied()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if !kinds.is_empty() {
        return Err(DeskError::Unsigned(kinds));
    }
    if turned(Turn::Later).next().is_some() {
        return Err(DeskError::NotInTurn);
    }
    Ok(())
}
