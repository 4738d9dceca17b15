//! The nodes of one chain: which is asked first, who is asked next, and who is not asked at all.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_core::identity::ChainId;
use countersign_engine::port::{
    Telemetry,
    chain::ChainError,
    telemetry::{Measured, Stopwatch},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::{
    endpoint::Endpoint,
    flight::Flights,
    options::{NodeOptions, UpstreamError, UrlProblem, duration},
    transport::{Fault, Transport},
    wire::{Answer, Number, Question},
    words,
};

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
    telemetry: Arc<dyn Telemetry>,
}

impl Nodes {
    /// Takes all URLs apart; nothing is connected yet.
    pub(crate) fn new(options: NodeOptions) -> Result<Self, UpstreamError> {
        let NodeOptions { id: chain, urls, answer_bytes_max, chain_id_ttl, telemetry, .. } =
            options;
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
            chain_ids: Flights::new(duration(chain_id_ttl)),
            request_ids: AtomicU64::new(1),
            attempt: duration(options.attempt),
            deadline: duration(options.deadline),
            telemetry,
        })
    }

    /// Asks one node after the other until one gives an answer that `read` understands. Only for
    /// what may be asked twice.
    pub(crate) async fn ask<T>(
        &self,
        question: &Question,
        read: impl Fn(Answer) -> Result<T, Fault>,
    ) -> Result<T, ChainError> {
        let mut round = self.round();
        while let Some(visit) = round.next().await {
            match visit.ask(question, &read).await {
                Ok(value) => {
                    visit.went_well();
                    return Ok(value);
                }
                Err(fault) => round.blame(&visit, fault),
            }
        }
        Err(round.failed())
    }

    /// Sends signed bytes to the first node that can be reached and takes any at all. `Err` means
    /// that a node may have them, or that none can be reached: they may be sent again, to any node.
    pub(crate) async fn send(&self, question: &Question) -> Result<Answer, ChainError> {
        // the wallet's lane waits meanwhile, and what has no answer is sent again anyway
        let mut round = Round { longest: self.attempt, ..self.round() };
        while let Some(visit) = round.next().await {
            let fault = match visit.ask_once(question).await {
                Ok(Answer::Error(error)) if words::is_closed(&error) => Fault::Closed(error),
                Ok(answer) => {
                    visit.went_well();
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            let may_have_arrived = !matches!(fault, Fault::Unsent(_) | Fault::Closed(_));
            round.blame(&visit, fault);
            if may_have_arrived {
                break;
            }
        }
        Err(round.failed())
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
        question: &Question,
        read: impl Fn(Answer) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.ask_once(node, question, self.patience()).await.and_then(read)
    }

    /// Every node once, one after the other, within one deadline.
    pub(crate) fn round(&self) -> Round<'_> {
        let order = self.in_order().into_iter();
        let (patience, longest) = (self.patience(), self.deadline);
        Round { nodes: self, order, patience, longest, faults: Vec::new() }
    }

    /// Refuses a node that serves another chain.
    async fn verified(&self, index: usize, node: &Node, patience: Patience) -> Result<(), Fault> {
        self.chain_ids
            .share(index, async {
                let question = Question::new("eth_chainId", &[(); 0])?;
                let asked = match self.ask_once(node, &question, patience).await {
                    Err(Fault::Lost(_)) => self.ask_once(node, &question, patience).await,
                    asked => asked,
                };
                let Number(found) = asked?.typed()?;
                let expected = self.chain.0;
                if found == expected { Ok(()) } else { Err(Fault::WrongChain { found, expected }) }
            })
            .await
    }

    async fn ask_once(
        &self,
        node: &Node,
        question: &Question,
        patience: Patience,
    ) -> Result<Answer, Fault> {
        let span = tracing::debug_span!(
            "upstream",
            otel.name = question.method,
            otel.kind = "client",
            rpc.system.name = "jsonrpc",
            rpc.method = question.method,
            server.address = node.shown(),
            countersign.chain = self.chain.0,
            "error.type" = tracing::field::Empty,
        );
        self.exchange(node, question, patience).instrument(span).await
    }

    async fn exchange(
        &self,
        node: &Node,
        question: &Question,
        patience: Patience,
    ) -> Result<Answer, Fault> {
        let watch = Stopwatch::start(&*self.telemetry);
        let id = self.request_ids.fetch_add(1, Ordering::Relaxed);
        let body = question.body(id)?;
        let (trail, within) = (self.telemetry.passed_on(), patience.left());
        let reply = self.transport.post(&node.endpoint, body, trail.as_ref(), within).await;
        watch.stop(Measured::Upstream(question.method));
        let answer = reply.and_then(|reply| Answer::read(&reply, id, &node.endpoint));
        if let Err(fault) = &answer {
            Span::current().record("error.type", fault.kind());
        }
        answer
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

/// One go at the nodes: who is left to be asked, in how much time, and who failed.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    nodes: &'a Nodes,
    order: std::vec::IntoIter<(usize, &'a Node)>,
    patience: Patience,
    // how long the last node may take: nobody else could do better in the time that is left
    longest: Duration,
    faults: Vec<(usize, Fault)>,
}

impl<'a> Round<'a> {
    /// The next node, if it serves our chain; those that do not are passed over.
    pub(crate) async fn next(&mut self) -> Option<Visit<'a>> {
        loop {
            let (index, node) = self.order.next()?;
            if self.order.len() == 0 {
                self.patience.attempt = self.longest;
            }
            match self.nodes.verified(index, node, self.patience).await {
                Ok(()) => {
                    let (nodes, patience) = (self.nodes, self.patience);
                    return Some(Visit { nodes, index, node, patience });
                }
                Err(fault) => self.nodes.blame(index, fault, &mut self.faults),
            }
        }
    }

    /// The next node that has not failed just now.
    pub(crate) async fn next_fit(&mut self) -> Option<Visit<'a>> {
        let (_, node) = self.order.as_slice().first()?;
        if node.rests_until().is_some_and(|until| until > Instant::now()) {
            return None;
        }
        self.next().await
    }

    /// Notes that a node did not answer as it should.
    pub(crate) fn blame(&mut self, visit: &Visit<'_>, fault: Fault) {
        self.nodes.blame(visit.index, fault, &mut self.faults);
    }

    /// Why nobody answered.
    pub(crate) fn failed(self) -> ChainError {
        self.nodes.unavailable(&self.faults)
    }
}

/// Questions to one node, which has shown that it serves our chain.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    nodes: &'a Nodes,
    index: usize,
    node: &'a Node,
    patience: Patience,
}

impl Visit<'_> {
    /// Asks once; and once more if a connection broke, because the node may have closed a pooled one
    /// just before it was used. Behind a new connection may stand another node, so it is verified
    /// anew.
    pub(crate) async fn ask<T>(
        &self,
        question: &Question,
        read: impl Fn(Answer) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let asked = match self.ask_once(question).await {
            Err(Fault::Lost(_)) => {
                self.nodes.chain_ids.forget(&self.index);
                self.nodes.verified(self.index, self.node, self.patience).await?;
                self.ask_once(question).await
            }
            asked => asked,
        };
        asked.and_then(read)
    }

    /// Asks for something of a type.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &(impl Serialize + Sync),
    ) -> Result<T, Fault> {
        let question = Question::new(method, params)?;
        self.ask(&question, Answer::typed).await
    }

    /// The node's place in the configuration.
    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    /// The node answered as it should.
    pub(crate) fn went_well(&self) {
        self.node.recovered();
    }

    /// For how long the node has shown this number as its head.
    pub(crate) fn shows_since(&self, head: u64) -> Duration {
        self.node.shows_since(head)
    }

    async fn ask_once(&self, question: &Question) -> Result<Answer, Fault> {
        self.nodes.ask_once(self.node, question, self.patience).await
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
    /// Its newest block's number, and since when it shows that one.
    head: Mutex<Option<(u64, Instant)>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Health {
    rest: Option<Duration>,
    until: Option<Instant>,
}

impl Node {
    const fn new(endpoint: Endpoint) -> Self {
        let health = Mutex::new(Health { rest: None, until: None });
        Self { endpoint, health, head: Mutex::new(None) }
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

    fn shows_since(&self, number: u64) -> Duration {
        let now = Instant::now();
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let since = head.filter(|(shown, _)| *shown == number).map_or(now, |(_, since)| since);
        *head = Some((number, since));
        now.saturating_duration_since(since)
    }
}
