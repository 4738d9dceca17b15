//! What operations' documents say. Each step of an operation answers its whole record, and what was judged and what is
//! charged hardly ever change: what was read once is known by its text.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use countersign_core::{
    charge::Charge, identity::OperationId, intent::Intent, operation::OperationRecord,
};
use countersign_engine::port::ledger::LedgerError;

use super::{
    record::{charge_lines, message_digest, plan_digest, read_with},
    reply::{Reply, damaged, from_json, read},
};

/// The documents, and what scripts read of them.
const NAMES: [&str; 10] = [
    "intent",
    "charges",
    "held",
    "agent",
    "wallet",
    "chain",
    "rest",
    "fixed_nonce",
    "plan_digest",
    "message",
];

/// The fields of these names, as they lie in the store.
type Texts<T> = [Option<T>; NAMES.len()];

/// How many bytes of documents are in one generation; two of them are kept. An operation is settled some blocks after it
/// was sent, and until then its documents are read again and again.
const GENERATION: usize = 4 << 20;

/// The longest documents that are kept, in bytes: agents choose how long theirs are.
const KEPT_MAX: usize = 16 << 10;

/// Documents that were read lately, by their operations.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    young: HashMap<OperationId, Document>,
    /// What the young ones weigh.
    bytes: usize,
    old: HashMap<OperationId, Document>,
}

#[derive(Debug, Clone)]
struct Document {
    texts: Texts<String>,
    intent: Intent,
    charges: Vec<Charge>,
}

impl Documents {
    /// The next part of an answer as an operation.
    pub(super) fn next(&self, reply: &mut Reply) -> Result<Box<OperationRecord>, LedgerError> {
        self.read(&reply.list()?).map(Box::new)
    }

    /// All parts of an answer as operations.
    pub(super) fn all(&self, answer: Reply) -> Result<Vec<OperationRecord>, LedgerError> {
        answer.lists().map(|fields| self.read(&fields?)).collect()
    }

    /// An operation from its hash.
    pub(super) fn read(&self, reply: &Reply) -> Result<OperationRecord, LedgerError> {
        let mut fields = reply.fields()?;
        let id = fields.parsed("id")?;
        let texts = NAMES.map(|name| fields.take(name));
        let (intent, charges) = match self.said_by(id, &texts) {
            Some(said) => said,
            None => self.learn(id, texts)?,
        };
        read_with((&mut fields, id), (intent, charges))
    }

    fn said_by(&self, id: OperationId, texts: &Texts<&str>) -> Option<(Intent, Vec<Charge>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let document = known.young.get(&id).or_else(|| known.old.get(&id))?;
        // another hand may have changed one of them
        let same = document.texts.each_ref().map(Option::as_deref) == *texts;
        same.then(|| (document.intent.clone(), document.charges.clone()))
    }

    fn learn(
        &self,
        id: OperationId,
        texts: Texts<&str>,
    ) -> Result<(Intent, Vec<Charge>), LedgerError> {
        let bytes = texts.iter().flatten().map(|text| text.len()).fold(0, usize::saturating_add);
        let document = Document::parse(texts)?;
        if bytes > KEPT_MAX {
            return Ok((document.intent, document.charges));
        }
        let said = (document.intent.clone(), document.charges.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes >= GENERATION {
            known.old = mem::take(&mut known.young);
            known.bytes = 0;
        }
        known.bytes = known.bytes.saturating_add(bytes);
        known.young.insert(id, document);
        Ok(said)
    }
}

impl Document {
    /// What scripts read of a document has to be what the document says: neither is changed without the other.
    fn parse(texts: Texts<&str>) -> Result<Self, LedgerError> {
        let [intent, charges, held, agent, wallet, chain, rest, nonce, plan, message] = texts;
        let intent = intent.ok_or_else(|| damaged("a record lacks `intent`"))?;
        let intent: Intent = from_json("intent", intent)?;
        let charges: Vec<Charge> =
            charges.map_or(Ok(Vec::new()), |text| from_json("charges", text))?;
        let number =
            |name, text: Option<&str>| text.map(|text| read::<u64>(name, text)).transpose();
        let same = agent == Some(intent.agent.as_str())
            && wallet == Some(intent.wallet.as_str())
            && number("chain", chain)? == Some(intent.chain().0)
            && number("rest", rest)? == u64::try_from(intent.rest().len()).ok()
            && number("fixed_nonce", nonce)? == intent.nonce
            && plan == intent.plan().map(plan_digest).transpose()?.as_deref()
            && message == intent.message().map(message_digest).transpose()?.as_deref()
            && held.unwrap_or_default() == charge_lines(&charges, true);
        if same {
            Ok(Self { texts: texts.map(|text| text.map(str::to_owned)), intent, charges })
        } else {
            Err(damaged("a record's documents are not those that it was made with"))
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::intent::Payload;
    use countersign_testkit::fixture::{operation_id, reserve, rolling};
    use redis::Value;
    use rmp::encode::{write_array_len, write_str};

    use super::*;
    use crate::redis::{
        link::Call,
        record::{charge_fields, new_fields},
    };

    fn answer(n: u64, amount: u64, data: usize) -> Vec<(String, String)> {
        let mut reserve = reserve(n, vec![]);
        if let Payload::Transaction(plan) = &mut reserve.operation.intent.payload {
            plan.data = vec![7; data].into();
        }
        let charges = [rolling("hour", amount, 100)];
        let call = new_fields(Call::new(), &reserve.operation).unwrap();
        let fields = charge_fields(call, &charges).unwrap().into_fields();
        let rest = [
            ("id", reserve.operation.id.to_string()),
            ("state", "ALLOWED".into()),
            ("delivery", "waiting".into()),
            ("created_at", "1".into()),
            ("updated_at", "1".into()),
        ];
        let pairs = fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        pairs.chain(rest.map(|(name, text)| (name.to_owned(), text))).collect()
    }

    fn reply(fields: &[(String, String)]) -> Reply {
        let texts: Vec<&String> = fields.iter().flat_map(|(name, text)| [name, text]).collect();
        let mut packed = Vec::new();
        write_array_len(&mut packed, texts.len().try_into().unwrap()).unwrap();
        for text in texts {
            write_str(&mut packed, text).unwrap();
        }
        Reply::parse(Value::BulkString(packed)).unwrap()
    }

    fn texts(fields: &[(String, String)]) -> Texts<&str> {
        NAMES.map(|name| Some(fields.iter().find(|(known, _)| known == name)?.1.as_str()))
    }

    #[test]
    fn what_is_known_by_its_text_is_read_again_where_any_of_it_is_another() {
        let documents = Documents::default();
        let first = answer(1, 5, 0);
        let record = documents.read(&reply(&first)).unwrap();
        assert_eq!(documents.read(&reply(&first)).unwrap(), record);
        let other = documents.read(&reply(&answer(1, 6, 0))).unwrap();
        assert_eq!((record.charges[0].value, other.charges[0].value), (5, 6));
        for name in NAMES {
            let mut bent = first.clone();
            let Some((_, text)) = bent.iter_mut().find(|(known, _)| known == name) else {
                continue;
            };
            text.push('9');
            assert!(documents.read(&reply(&bent)).is_err(), "{name} was changed by another hand");
        }
        assert_eq!(documents.read(&reply(&first)).unwrap(), record);
    }

    #[test]
    fn no_more_is_kept_than_two_generations_of_short_documents() {
        let documents = Documents::default();
        let weight = |document: &Document| document.texts.iter().flatten().map(String::len).sum();
        let one = Document::parse(texts(&answer(0, 5, 4000))).unwrap();
        let fit: u64 = GENERATION.div_ceil(weight(&one)).try_into().unwrap();
        for n in 0..3 * fit {
            documents.read(&reply(&answer(n, 5, 4000))).unwrap();
        }
        documents.read(&reply(&answer(9999, 5, KEPT_MAX))).unwrap();
        let known = documents.0.lock().unwrap();
        for generation in [&known.young, &known.old] {
            let bytes: usize = generation.values().map(weight).sum();
            assert!((GENERATION..=GENERATION + KEPT_MAX).contains(&bytes), "{bytes}");
        }
        let long = operation_id(9999);
        assert!(!known.young.contains_key(&long) && !known.old.contains_key(&long));
    }
}
