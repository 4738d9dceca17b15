use super::*;

fn gate(in_order: bool, need: &[(u32, &[&str])]) -> Gate {
    let clause = |(any, of): &(u32, &[&str])| Quorum {
        any: *any,
        of: of.iter().map(|name| (*name).to_owned()).collect(),
    };
    Gate {
        policy: "bot".into(),
        id: "desk".into(),
        need: need.iter().map(clause).collect(),
        in_order,
        sign: Vec::new(),
        ttl: Millis(1),
        delay: Millis::ZERO,
        drift_fee_bps: None,
        drift_usd_bps: None,
    }
}

/// `operator`, `operator/person` or `operator/person/group`.
fn vote(text: &str) -> Vote {
    let mut parts = text.split('/');
    let operator = parts.next().unwrap();
    Vote {
        operator: OperatorId::parse(operator).unwrap(),
        person: parts.next().unwrap_or(operator).to_owned(),
        groups: parts.map(str::to_owned).collect(),
        note: None,
        at: Timestamp::default(),
        signature: None,
    }
}

fn votes(texts: &[&str]) -> Vec<Vote> {
    texts.iter().map(|text| vote(text)).collect()
}

/// Clauses, votes, and whether these open those.
type Opening<'a> = (&'a [(u32, &'a [&'a str])], &'a [&'a str], bool);

#[test]
fn a_gate_opens_when_every_clause_has_its_persons() {
    let two_of_three: &[(u32, &[&str])] = &[(2, &["alice", "bob", "desk"])];
    let both: &[(u32, &[&str])] = &[(2, &["alice", "bob"]), (1, &["risk"])];
    let table: [Opening<'_>; 11] = [
        (two_of_three, &["alice"], false),
        (two_of_three, &["alice", "bob"], true),
        (two_of_three, &["alice", "stranger"], false),
        (two_of_three, &["alice", "dan/dan/desk"], true),
        // one person with two accounts is one person
        (two_of_three, &["alice/anne", "bob/anne"], false),
        (two_of_three, &["alice", "alice"], false),
        // the owner of the agent never counts, by whatever account
        (two_of_three, &["alice", "bob/owner"], false),
        (two_of_three, &["alice", "bob/owner", "dan/dan/desk"], true),
        (both, &["alice", "bob"], false),
        // without an order one vote counts for every clause that names it
        (both, &["alice/alice/risk", "bob"], true),
        (both, &["rita/rita/risk", "bob", "alice"], true),
    ];
    for (need, said, open) in table {
        assert_eq!(gate(false, need).is_open(&votes(said), Some("owner")), open, "{said:?}");
    }
}

#[test]
fn in_order_each_clause_waits_and_takes_other_persons() {
    let need: &[(u32, &[&str])] = &[(2, &["desk"]), (1, &["risk"]), (1, &["*"])];
    let gate = gate(true, need);
    let table: [(&[&str], &str, Turn, bool); 8] = [
        (&[], "a/a/desk", Turn::Now, false),
        (&[], "r/r/risk", Turn::Later, false),
        (&["a/a/desk"], "r/r/risk", Turn::Later, false),
        (&["a/a/desk", "b/b/desk"], "r/r/risk", Turn::Now, false),
        // a person who counted for the desk does not count for risk, by whatever account
        (&["a/a/desk", "b/b/desk", "a2/a/risk"], "r/r/risk", Turn::Now, false),
        (&["a/a/desk", "b/b/desk", "r/r/risk"], "c/c/desk", Turn::Now, true),
        // and what came too early counts for nothing
        (&["r/r/risk", "a/a/desk", "b/b/desk"], "s/s/risk", Turn::Now, false),
        (&["a/a/desk", "b/b/desk", "r/r/risk"], "a/a/desk", Turn::Now, false),
    ];
    for (before, last, turn, open) in table {
        let before = votes(before);
        assert_eq!(gate.turn(&vote(last), &before, None), turn, "{before:?} {last}");
        let all = [before, votes(&[last])].concat();
        assert_eq!(gate.is_open(&all, None), open, "{last}");
    }
    let named = super::Gate { need: gate.need[..2].to_vec(), ..gate };
    assert_eq!(named.turn(&vote("x"), &[], None), Turn::Stranger);
}

#[test]
fn what_is_not_signed_as_the_gate_asks_does_not_count() {
    let ethereum = VoteSignature::Ethereum {
        address: alloy_primitives::Address::ZERO,
        signature: alloy_primitives::Bytes::new(),
    };
    let signed = Vote { signature: Some(ethereum), ..vote("alice") };
    let need: &[(u32, &[&str])] = &[(1, &["alice"])];
    for (sign, token, key) in [
        (vec![], true, true),
        (vec![Signing::Ethereum], false, true),
        (vec![Signing::Passkey], false, false),
        (vec![Signing::Passkey, Signing::Ethereum], false, true),
    ] {
        let gate = Gate { sign, ..gate(false, need) };
        assert_eq!(gate.is_open(&votes(&["alice"]), None), token, "{:?}", gate.sign);
        assert_eq!(gate.is_open(std::slice::from_ref(&signed), None), key, "{:?}", gate.sign);
        let turn = if token { Turn::Now } else { Turn::Unsigned };
        assert_eq!(gate.turn(&vote("alice"), &[], None), turn);
    }
}
