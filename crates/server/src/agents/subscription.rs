//! What a connection wants to be told. Subscriptions belong to their connection and end with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256};
use countersign_core::{
    draft::{FieldError, address},
    json::Json,
};
use countersign_engine::submission::{Handover, Receipt};
use serde_json::Value;

use crate::answer::{Fault, METHOD, PARAMS};

use super::{
    AgentsDoor, Outcome, Visit,
    feed::{Event, Log, News},
    route::Act,
};

/// The most subscriptions of one connection.
const SUBSCRIPTIONS_MAX: usize = 32;
/// The most contracts of one filter, and the most values of one of its topics.
const ALTERNATIVES_MAX: usize = 256;
/// The most topics of a log.
const TOPICS_MAX: usize = 4;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interest {
    /// `newHeads`
    Heads,
    /// `logs`
    Logs(LogFilter),
}

/// Which logs. Nothing means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogFilter {
    addresses: BTreeSet<Address>,
    topics: Vec<BTreeSet<B256>>,
}

/// The subscriptions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<String, Subscription>,
    /// News of before the connection listened.
    news: Option<News>,
}

#[derive(Debug)]
struct Subscription {
    interest: Interest,
    /// Whether the client has its id: it could not make anything of what comes before.
    is_known: bool,
}

impl AgentsDoor {
    pub(super) async fn subscription(&self, visit: &Visit, act: Act, params: &[Json]) -> Outcome {
        let Some(own) = &visit.subscriptions else {
            let sentence = "subscriptions need a WebSocket connection";
            return Err(Fault::new(METHOD, sentence)).into();
        };
        match act {
            Act::Begin => match self.subscribe(visit, own, params).await {
                Ok(id) => own.answer(id),
                Err(fault) => Err(fault).into(),
            },
            Act::End => unsubscribe(own, params).map_err(Fault::from).into(),
        }
    }

    async fn subscribe(
        &self,
        visit: &Visit,
        own: &Subscriptions,
        params: &[Json],
    ) -> Result<String, Fault> {
        let interest = Interest::parse(params)?;
        own.state().room()?;
        let logs = matches!(interest, Interest::Logs(_));
        let news = self.feeds.join(&self.engine, visit.chain()?, logs).await?;
        let id = format!("0x{}", hex::encode(self.engine.ports().clock.random()));
        own.add(id.clone(), interest, news)?;
        Ok(id)
    }
}

fn unsubscribe(own: &Subscriptions, params: &[Json]) -> Result<String, FieldError> {
    let wrong = |reason: &str| FieldError::new("subscription", reason);
    let [id] = params else { return Err(wrong("must be the only parameter")) };
    let id = id.as_text().ok_or_else(|| wrong("must be a string"))?;
    let known = own.state().open.remove(id).is_some();
    if known { Ok("true".into()) } else { Err(wrong("there is no such subscription here")) }
}

impl Subscriptions {
    /// The id, and that it is known once it was handed over.
    fn answer(self: &Arc<Self>, id: String) -> Outcome {
        let (result, own) = (Value::from(id.as_str()).to_string(), Arc::clone(self));
        let receipt = Receipt::new(move |handover| {
            if let Some(subscription) = own.state().open.get_mut(&id) {
                subscription.is_known = handover == Handover::Given;
            }
        });
        Outcome { result: Ok(result), receipt: Some(receipt) }
    }

    fn add(&self, id: String, interest: Interest, news: News) -> Result<(), Fault> {
        let mut state = self.state();
        state.room()?;
        state.open.insert(id, Subscription { interest, is_known: false });
        state.news.get_or_insert(news);
        Ok(())
    }

    /// Where the connection hears news from now on: nowhere, where nothing is subscribed. What it hears already goes on.
    pub(crate) fn news(&self, heard: Option<News>) -> Option<News> {
        let mut state = self.state();
        let fresh = state.news.take();
        heard.or(fresh).filter(|_| !state.open.is_empty())
    }

    /// The messages that an event makes, one for each subscription that it concerns.
    pub(crate) fn told(&self, event: &Event<'_>) -> Vec<String> {
        let state = self.state();
        let known = state.open.iter().filter(|(_, subscription)| subscription.is_known);
        let texts = known.filter_map(|(id, subscription)| {
            let result = subscription.interest.told(event)?;
            Some(format!(
                r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{id}","result":{result}}}}}"#
            ))
        });
        texts.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&self) -> Result<(), Fault> {
        if self.open.len() < SUBSCRIPTIONS_MAX {
            return Ok(());
        }
        let sentence =
            format!("a connection has at most {SUBSCRIPTIONS_MAX} subscriptions; end one");
        Err(Fault::new(PARAMS, &sentence))
    }
}

impl Interest {
    /// Reads the parameters of `eth_subscribe`.
    fn parse(params: &[Json]) -> Result<Self, FieldError> {
        let wrong = |reason: &str| Err(FieldError::new("params", reason));
        let (kind, rest) = match params {
            [Json::Text(kind), rest @ ..] => (kind.as_str(), rest),
            _ => return wrong("must name what to subscribe to: newHeads or logs"),
        };
        match (kind, rest) {
            ("newHeads", [] | [Json::Null]) => Ok(Self::Heads),
            ("logs", [] | [Json::Null]) => Ok(Self::Logs(LogFilter::default())),
            ("logs", [filter]) => LogFilter::parse(filter).map(Self::Logs),
            ("newHeads" | "logs", _) => wrong("has more entries than this subscription takes"),
            ("newPendingTransactions", _) => wrong(
                "`newPendingTransactions` names other people's transactions and is not offered",
            ),
            _ => wrong("newHeads and logs can be subscribed to, nothing else"),
        }
    }

    fn told<'e>(&self, event: &'e Event<'_>) -> Option<std::borrow::Cow<'e, str>> {
        match (self, event) {
            (Self::Heads, Event::Head(header)) => Some((*header).into()),
            (Self::Logs(filter), Event::Log(log)) if filter.fits(log) => {
                Some(log.text(false).into())
            }
            (Self::Logs(filter), Event::Removed(log)) if filter.fits(log) => {
                Some(log.text(true).into())
            }
            (Self::Heads, Event::Log(_) | Event::Removed(_))
            | (Self::Logs(_), Event::Head(_) | Event::Log(_) | Event::Removed(_)) => None,
        }
    }
}

impl LogFilter {
    fn parse(json: &Json) -> Result<Self, FieldError> {
        let Json::Object(members) = json else {
            return Err(FieldError::new(
                "params",
                format!("a filter is an object, not {}", json.kind()),
            ));
        };
        let mut filter = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "address" => filter.addresses = addresses(value)?,
                "topics" => filter.topics = topics(value)?,
                // a subscription begins now: what was before is asked for by `eth_getLogs`
                "fromBlock" | "toBlock" => is_now(name, value)?,
                _ => return Err(FieldError::new(name, "is not a member of this filter")),
            }
        }
        Ok(filter)
    }

    fn fits(&self, log: &Log) -> bool {
        let mut positions = self.topics.iter().enumerate();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics.len()
            && positions.all(|(place, wanted)| {
                wanted.is_empty() || log.topics.get(place).is_some_and(|it| wanted.contains(it))
            })
    }
}

fn is_now(name: &str, value: &Json) -> Result<(), FieldError> {
    match value {
        Json::Null => Ok(()),
        Json::Text(tag) if tag == "latest" => Ok(()),
        Json::Text(_) | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => Err(
            FieldError::new(name, "a subscription begins now; ask eth_getLogs for what was before"),
        ),
    }
}

fn addresses(value: &Json) -> Result<BTreeSet<Address>, FieldError> {
    alternatives("address", value, address)
}

fn topics(value: &Json) -> Result<Vec<BTreeSet<B256>>, FieldError> {
    let list = match value {
        Json::Null => return Ok(Vec::new()),
        Json::List(list) if list.len() <= TOPICS_MAX => list,
        Json::List(_) | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => {
            return Err(FieldError::new("topics", format!("is a list of at most {TOPICS_MAX}")));
        }
    };
    list.iter().map(|topic| alternatives("topics", topic, word)).collect()
}

fn word(text: &str) -> Result<B256, String> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64);
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| "is not 32 bytes".to_owned())
}

/// One value, or several of which one has to fit; nothing where all fit.
fn alternatives<T: Ord>(
    field: &str,
    value: &Json,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<BTreeSet<T>, FieldError> {
    let one = |item: &Json| {
        let text = item.as_text().ok_or_else(|| FieldError::new(field, "must be a string"))?;
        read(text).map_err(|reason| FieldError::new(field, reason))
    };
    match value {
        Json::Null => Ok(BTreeSet::new()),
        Json::List(items) if items.len() > ALTERNATIVES_MAX => {
            Err(FieldError::new(field, format!("has more than {ALTERNATIVES_MAX} entries")))
        }
        Json::List(items) => items.iter().map(one).collect(),
        Json::Text(_) | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
            Ok(BTreeSet::from([one(value)?]))
        }
    }
}

#[cfg(test)]
mod tests;
