//! What the log says, whose turn it is to tell it, and what is counted of agents.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_core::{
    identity::PolicyId,
    time::{Millis, Timestamp},
};
use countersign_engine::port::{
    Chronicle,
    chronicle::{LINES_MAX, Line, Strike, Struck, Turn},
    ledger::{LedgerError, PasskeyCount},
};

use super::{
    link::{Call, Link},
    record::json,
    reply::damaged,
    scripts::Script,
};

/// The log of one app in Redis.
#[derive(Debug)]
pub(super) struct RedisChronicle {
    link: Arc<Link>,
}

impl RedisChronicle {
    pub(super) const fn new(link: Arc<Link>) -> Self {
        Self { link }
    }
}

#[async_trait]
impl Chronicle for RedisChronicle {
    async fn lines(&self, after: u64, max: u32) -> Result<Vec<Line>, LedgerError> {
        let call = Call::new().arg("after", after).arg("max", max.min(LINES_MAX));
        let answer = self.link.run(Script::Lines, call).await?;
        answer.texts().map(|text| line(&text?)).collect()
    }

    async fn turn(&self, turn: &Turn) -> Result<Option<u64>, LedgerError> {
        let Turn { receiver, gateway, lease: Millis(lease), told } = turn;
        let call = Call::new()
            .arg("receiver", receiver)
            .arg("gateway", gateway)
            .arg("lease", lease)
            .maybe("told", *told);
        let mut answer = self.link.run(Script::Turn, call).await?;
        match answer.tag()?.as_str() {
            "yours" => answer.number().map(Some),
            "held" => Ok(None),
            other => Err(unknown(other)),
        }
    }

    async fn note_policy(&self, whose: &str, version: PolicyId) -> Result<bool, LedgerError> {
        let call = Call::new().arg("whose", whose).arg("version", version);
        match self.link.run(Script::NotePolicy, call).await?.tag()?.as_str() {
            "changed" => Ok(true),
            "unchanged" => Ok(false),
            other => Err(unknown(other)),
        }
    }

    async fn note_passkey(&self, passkey: &PasskeyCount) -> Result<bool, LedgerError> {
        let PasskeyCount { credential, count } = passkey;
        let call = Call::new().arg("passkey", credential).arg("passkey_count", count);
        match self.link.run(Script::NotePasskey, call).await?.tag()?.as_str() {
            "changed" => Ok(true),
            "unchanged" => Ok(false),
            other => Err(unknown(other)),
        }
    }

    async fn strike(&self, strike: &Strike) -> Result<Struck, LedgerError> {
        let Strike { agent, trace, denials, within: Millis(within) } = strike;
        let order = strike.order();
        let call = Call::new()
            .arg("agent", agent)
            .arg("trace", trace)
            .arg("denials", denials)
            .arg("within", within)
            .arg("freeze", json(&order.freeze)?)
            .arg("order", json(&order)?);
        let mut answer = self.link.run(Script::Strike, call).await?;
        match answer.tag()?.as_str() {
            "counted" => answer.number().map(Struck::Counted),
            "tripped" => Ok(Struck::Tripped),
            "frozen" => Ok(Struck::Frozen),
            other => Err(unknown(other)),
        }
    }
}

fn unknown(tag: &str) -> LedgerError {
    damaged(&format!("a script answered `{tag}`"))
}

/// `head sequence time event subject digest`, where only the subject may have spaces.
fn line(text: &str) -> Result<Line, LedgerError> {
    let read = || -> Option<Line> {
        let mut parts = text.splitn(5, ' ');
        let (_head, sequence, at) = (parts.next()?, parts.next()?, parts.next()?);
        let (event, rest) = (parts.next()?.to_owned(), parts.next()?);
        let (subject, _digest) = rest.rsplit_once(' ')?;
        let at = Timestamp::from_millis(at.parse().ok()?);
        Some(Line { sequence: sequence.parse().ok()?, at, event, subject: subject.to_owned() })
    };
    read().ok_or_else(|| damaged("a line of the log cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_its_subject() {
        let read = line("aa 7 1700 policy guard a b=sha256:00 ff").unwrap();
        assert_eq!((read.sequence, read.at.millis()), (7, 1700));
        assert_eq!((read.event.as_str(), read.subject.as_str()), ("policy", "guard a b=sha256:00"));
        for broken in ["", "aa 7 1700 seal", "aa x 1700 seal - ff", "aa 7 -1 seal - ff"] {
            assert!(matches!(line(broken), Err(LedgerError::Damaged(_))), "{broken}");
        }
    }
}
