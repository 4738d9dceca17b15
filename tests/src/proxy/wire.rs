//! One connection and its other half.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    ANSWER_WITHIN, Chance, End, Fault, Line, Orders, Shared, answer, answer::Garble, mark::Tail,
};

/// How much of a slow answer comes at a time.
const DROP: usize = 16;

pub(super) struct Wire {
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    orders: watch::Receiver<Orders>,
    healed: u64,
    tail: Tail,
    chance: Chance,
    // what is on its way back, and when it arrives
    late: VecDeque<(Instant, Vec<u8>)>,
    late_until: Instant,
    // a fault of this connection alone
    up_shut: bool,
    down_shut: bool,
}

/// What moves next.
enum Event {
    Asked(Vec<u8>),
    Answered(Vec<u8>),
    Arrives,
    Orders,
}

/// Whether the connection goes on; the error is its end.
type Carried = io::Result<()>;

impl Wire {
    pub(super) fn new(client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> Self {
        let orders = shared.orders.subscribe();
        let healed = orders.borrow().healed;
        let port = client.peer_addr().map_or(0, |peer| u64::from(peer.port()));
        let chance = match orders.borrow().line {
            Line::Slow { seed, .. } => Chance::of(seed),
            Line::Open | Line::Dark | Line::Deaf | Line::Refused | Line::Drip(_) => {
                Chance::of(port)
            }
        };
        for stream in [&client, &server] {
            // an answer in two pieces is two pieces
            let _closed_already = stream.set_nodelay(true);
        }
        Self {
            client,
            server,
            shared,
            orders,
            healed,
            tail: Tail::default(),
            chance,
            late: VecDeque::new(),
            late_until: Instant::now(),
            up_shut: false,
            down_shut: false,
        }
    }

    /// To its end.
    pub(super) async fn carry(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Carried {
        match self.next().await? {
            Event::Asked(bytes) => {
                let fault = self.shared.judge(&self.tail.piece(&bytes));
                match fault {
                    None | Some(Fault::Passes) => self.server.write_all(&bytes).await,
                    Some(fault) => self.strike(fault, &bytes).await,
                }
            }
            Event::Answered(bytes) => self.bring_back(bytes).await,
            Event::Arrives => match self.late.pop_front() {
                Some((_, bytes)) => self.client.write_all(&bytes).await,
                None => Ok(()),
            },
            Event::Orders => self.obey(),
        }
    }

    async fn next(&mut self) -> io::Result<Event> {
        let line = self.orders.borrow().line;
        let up = !self.up_shut && line != Line::Dark;
        let down = !self.down_shut && ![Line::Dark, Line::Deaf].contains(&line);
        let due = self.late.front().map(|(due, _)| *due).filter(|_| down);
        let (mut asked, mut answered) = (Vec::with_capacity(65_536), Vec::with_capacity(65_536));
        tokio::select! {
            changed = self.orders.changed() => {
                changed.map_err(|_| broken())?;
                Ok(Event::Orders)
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Ok(Event::Arrives),
            read = self.client.read_buf(&mut asked), if up => some(read?, Event::Asked(asked)),
            read = self.server.read_buf(&mut answered), if down => some(read?, Event::Answered(answered)),
        }
    }

    /// A line that heals ends what was held back on it: nobody gets an old answer late.
    fn obey(&mut self) -> Carried {
        let Orders { line, healed } = *self.orders.borrow_and_update();
        let stricken = self.up_shut || self.down_shut || !self.late.is_empty();
        if line == Line::Refused || (healed != self.healed && stricken) {
            return Err(self.reset());
        }
        self.healed = healed;
        if let Line::Slow { seed, .. } = line {
            self.chance = Chance::of(seed);
        }
        Ok(())
    }

    async fn bring_back(&mut self, bytes: Vec<u8>) -> Carried {
        let line = self.orders.borrow().line;
        match line {
            Line::Slow { most, .. } => {
                let late = Duration::from_millis(self.chance.below(most.saturating_add(1)));
                self.postpone(late, bytes);
                Ok(())
            }
            Line::Drip(pause) => self.drip(&bytes, pause).await,
            Line::Open | Line::Dark | Line::Deaf | Line::Refused
                if self.late.is_empty() && self.is_prompt() =>
            {
                self.client.write_all(&bytes).await
            }
            Line::Open | Line::Dark | Line::Deaf | Line::Refused => {
                self.postpone(Duration::ZERO, bytes);
                Ok(())
            }
        }
    }

    fn is_prompt(&self) -> bool {
        self.late_until <= Instant::now()
    }

    /// In order: nothing overtakes what is late.
    fn postpone(&mut self, late: Duration, bytes: Vec<u8>) {
        let now = Instant::now();
        let due = now.checked_add(late).unwrap_or(now).max(self.late_until);
        self.late_until = due;
        self.late.push_back((due, bytes));
    }

    async fn drip(&mut self, bytes: &[u8], pause: u64) -> Carried {
        for drop in bytes.chunks(DROP) {
            self.client.write_all(drop).await?;
            sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    async fn strike(&mut self, fault: Fault, asked: &[u8]) -> Carried {
        match fault {
            Fault::Passes => self.server.write_all(asked).await,
            Fault::NeverArrives(end) => {
                self.up_shut = end == End::Silence;
                self.end(end)
            }
            Fault::NoAnswer(end) => {
                self.answer_to(asked).await?;
                self.end(end)
            }
            Fault::HalfAnswer(end) => {
                let answer = self.answer_to(asked).await?;
                let half = answer.get(..answer.len().div_ceil(2)).unwrap_or_default();
                self.client.write_all(half).await?;
                self.end(end)
            }
            Fault::Late(late) => {
                self.postpone(Duration::from_millis(late), Vec::new());
                self.server.write_all(asked).await
            }
            Fault::Dripped(pause) => {
                let answer = self.answer_to(asked).await?;
                self.drip(&answer, pause).await
            }
            Fault::Answered(garble) => {
                self.server.write_all(asked).await?;
                let real = timeout(ANSWER_WITHIN, answer::read(&mut self.server)).await??;
                self.say(garble, &real).await
            }
            Fault::Instead(garble) => self.say(garble, &answer::nothing(asked)).await,
            Fault::Held => {
                self.down_shut = true;
                self.server.write_all(asked).await
            }
        }
    }

    /// Passes a message on. The next piece that comes back is proof that the server has it.
    async fn answer_to(&mut self, asked: &[u8]) -> io::Result<Vec<u8>> {
        self.server.write_all(asked).await?;
        let mut answer = Vec::with_capacity(65_536);
        let read = timeout(ANSWER_WITHIN, self.server.read_buf(&mut answer)).await??;
        if read == 0 { Err(broken()) } else { Ok(answer) }
    }

    async fn say(&mut self, garble: Garble, real: &serde_json::Value) -> Carried {
        self.client.write_all(&garble.response(real)).await?;
        // as the answer says: the server's half may hold the rest of another one
        self.end(End::Close)
    }

    fn end(&mut self, end: End) -> Carried {
        match end {
            End::Close => Err(broken()),
            End::Reset => Err(self.reset()),
            End::Silence => {
                self.down_shut = true;
                Ok(())
            }
        }
    }

    fn reset(&self) -> io::Error {
        let _closed_already = self.client.set_zero_linger();
        broken()
    }
}

fn some(read: usize, event: Event) -> io::Result<Event> {
    if read == 0 { Err(broken()) } else { Ok(event) }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
