//! The nodes of one chain: which is asked first, who is asked next, and who is not asked at all.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::U64;
use countersign_core::identity::ChainId;
use countersign_engine::port::chain::ChainError;
use tokio::time::Instant;

use crate::{
    endpoint::Endpoint,
    flight::Flights,
    options::{NodeOptions, UpstreamError, UrlProblem, duration},
    transport::{Fault, Transport},
    wire::{Answer, Question},
};

/// A node that served the right chain is believed for so long.
const CHAIN_ID_TTL: Duration = Duration::from_secs(30);
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(30);

/// The nodes of one chain, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Nodes {
    chain: ChainId,
    all: Vec<Node>,
    transport: Transport,
    chain_ids: Flights<usize, (), Fault>,
    request_ids: AtomicU64,
    attempt: Duration,
    deadline: Duration,
}

impl Nodes {
    /// Takes all URLs apart; nothing is connected yet.
    pub(crate) fn new(options: NodeOptions) -> Result<Self, UpstreamError> {
        let NodeOptions { id: chain, urls, answer_bytes_max, attempt, deadline, .. } = options;
        if urls.is_empty() {
            return Err(UpstreamError::NoUrls(chain));
        }
        let (mut nodes, mut problems) = (Vec::new(), Vec::new());
        for (place, url) in (1..).zip(urls) {
            match Endpoint::parse(&url) {
                Ok(endpoint) => nodes.push(Node::new(endpoint)),
                Err(fault) => problems.push(UrlProblem { place, fault }),
            }
        }
        if !problems.is_empty() {
            return Err(UpstreamError::Urls { chain, problems });
        }
        Ok(Self {
            chain,
            all: nodes,
            transport: Transport::new(answer_bytes_max)?,
            chain_ids: Flights::new(CHAIN_ID_TTL),
            request_ids: AtomicU64::new(1),
            attempt: duration(attempt),
            deadline: duration(deadline),
        })
    }

    /// Asks one node after the other until one gives an answer that `read` understands. Only for
    /// what may be asked twice.
    pub(crate) async fn ask<T>(
        &self,
        question: &Question<'_>,
        read: impl Fn(Answer) -> Result<T, Fault>,
    ) -> Result<T, ChainError> {
        let mut patience = self.patience();
        let mut faults = Vec::new();
        let order = self.in_order();
        let last = order.last().map(|(index, _)| *index);
        for (index, node) in order {
            if Some(index) == last {
                // nobody else could do better in the time that is left
                patience.attempt = self.deadline;
            }
            let asked = match self.verified(index, node, patience).await {
                Ok(()) => self.ask_twice(node, question, patience).await.and_then(&read),
                Err(fault) => Err(fault),
            };
            match asked {
                Ok(value) => {
                    node.recovered();
                    return Ok(value);
                }
                Err(fault) => self.blame(index, fault, &mut faults),
            }
        }
        Err(self.unavailable(&faults))
    }

    /// Sends something that must not be repeated once it may have left. `Err` means that a node may
    /// have it, or that none can be reached.
    pub(crate) async fn send(&self, question: &Question<'_>) -> Result<Answer, ChainError> {
        let patience = self.patience();
        let mut faults = Vec::new();
        for (index, node) in self.in_order() {
            if let Err(fault) = self.verified(index, node, patience).await {
                self.blame(index, fault, &mut faults);
                continue;
            }
            match self.ask_once(node, question, patience).await {
                Ok(answer) => {
                    node.recovered();
                    return Ok(answer);
                }
                Err(fault @ Fault::Unsent(_)) => self.blame(index, fault, &mut faults),
                Err(fault) => {
                    self.blame(index, fault, &mut faults);
                    break;
                }
            }
        }
        Err(self.unavailable(&faults))
    }

    /// Every node, for reports.
    pub(crate) fn all(&self) -> &[Node] {
        &self.all
    }

    /// Whether there is more than one node to ask.
    pub(crate) const fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Asks one node, whatever chain it serves.
    pub(crate) async fn inquire<T>(
        &self,
        node: &Node,
        question: &Question<'_>,
        read: impl Fn(Answer) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.ask_once(node, question, self.patience()).await.and_then(read)
    }

    /// Refuses a node that serves another chain.
    async fn verified(&self, index: usize, node: &Node, patience: Patience) -> Result<(), Fault> {
        self.chain_ids
            .share(index, async {
                let question = Question::new("eth_chainId", &[(); 0])?;
                let answer = self.ask_twice(node, &question, patience).await?;
                let (found, expected) = (number(answer.typed()?), self.chain.0);
                if found == expected { Ok(()) } else { Err(Fault::WrongChain { found, expected }) }
            })
            .await
    }

    /// A pooled connection may have been closed by the node just before it was used: once more.
    async fn ask_twice(
        &self,
        node: &Node,
        question: &Question<'_>,
        patience: Patience,
    ) -> Result<Answer, Fault> {
        match self.ask_once(node, question, patience).await {
            Err(Fault::Lost(_)) => self.ask_once(node, question, patience).await,
            asked => asked,
        }
    }

    async fn ask_once(
        &self,
        node: &Node,
        question: &Question<'_>,
        patience: Patience,
    ) -> Result<Answer, Fault> {
        let within = patience.left();
        let id = self.request_ids.fetch_add(1, Ordering::Relaxed);
        let body = question.body(id)?;
        let reply = self.transport.post(&node.endpoint, body, question.traceparent, within).await?;
        Answer::read(&reply, id, &node.endpoint)
    }

    fn patience(&self) -> Patience {
        let now = Instant::now();
        Patience { until: now.checked_add(self.deadline).unwrap_or(now), attempt: self.attempt }
    }

    /// Those that rest come last, and are asked all the same if nobody else answers.
    fn in_order(&self) -> Vec<(usize, &Node)> {
        let now = Instant::now();
        let mut order: Vec<_> = self.all.iter().enumerate().collect();
        order.sort_by_cached_key(|(_, node)| node.rests_until().filter(|until| *until > now));
        order
    }

    fn blame(&self, index: usize, fault: Fault, faults: &mut Vec<(usize, Fault)>) {
        if let Some(node) = self.all.get(index).filter(|_| fault.is_of_node()) {
            let chain = self.chain.0;
            tracing::warn!(chain, node = node.shown(), %fault, "a node does not answer as it should");
            node.failed();
            self.chain_ids.forget(&index);
        }
        faults.push((index, fault));
    }

    fn unavailable(&self, faults: &[(usize, Fault)]) -> ChainError {
        let told = |(index, fault): &(usize, Fault)| {
            let shown = self.all.get(*index).map_or("", Node::shown);
            format!("{shown}: {fault}")
        };
        let reason = faults.iter().map(told).collect::<Vec<_>>().join("; ");
        ChainError::Unavailable { chain: self.chain, reason }
    }
}

/// How long the next exchange may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    until: Instant,
    attempt: Duration,
}

impl Patience {
    fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).min(self.attempt)
    }
}

/// One node, and how it has been lately.
#[derive(Debug)]
pub(crate) struct Node {
    endpoint: Endpoint,
    health: Mutex<Health>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Health {
    rest: Option<Duration>,
    until: Option<Instant>,
}

impl Node {
    const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, health: Mutex::new(Health { rest: None, until: None }) }
    }

    /// `scheme://host:port`.
    pub(crate) fn shown(&self) -> &str {
        self.endpoint.shown()
    }

    fn rests_until(&self) -> Option<Instant> {
        self.health().until
    }

    fn recovered(&self) {
        *self.health() = Health::default();
    }

    /// Rests twice as long each time.
    fn failed(&self) {
        let mut health = self.health();
        let rest = health.rest.map_or(REST_MIN, |last| last.saturating_mul(2)).min(REST_MAX);
        *health = Health { rest: Some(rest), until: Instant::now().checked_add(rest) };
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A quantity that fits in 64 bits by its type.
pub(crate) fn number(quantity: U64) -> u64 {
    quantity.saturating_to()
}
