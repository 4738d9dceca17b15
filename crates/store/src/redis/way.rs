//! How the server that holds an app's ledger is found, each time that a connection is made.
//!
//! All keys of an app lie in one slot, so one server is all that a gateway needs, in a cluster too. Which one it is,
//! sentinels or cluster nodes say; what they say is believed only of a server that says of itself that it is a
//! master. Nothing is ever asked of a replica: what it shows of money may be old.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, Value, aio::MultiplexedConnection,
};
use secrecy::ExposeSecret;

use super::{
    address::{SentinelLogin, moved_to},
    fault::words,
    told::Told,
};

/// A server, with all that is needed to log in there.
pub(super) type Server = ConnectionInfo;

/// The least time that one sentinel or node is given before the next is asked.
const SHARE_MIN: Duration = Duration::from_millis(250);

/// How the server is found.
pub(super) enum Way {
    /// There is one.
    One(Server),
    /// Sentinels know it.
    Sentinel { sentinels: Turns, master: String, login: Option<SentinelLogin> },
    /// Any node of the cluster knows it. Those that were named last are asked where no seed answers.
    Cluster { seeds: Turns, known: Mutex<Vec<Server>> },
}

/// Servers that are asked one after the other, the one that answered last first.
pub(super) struct Turns {
    servers: Vec<Server>,
    first: AtomicUsize,
}

impl Turns {
    const fn new(servers: Vec<Server>) -> Self {
        Self { servers, first: AtomicUsize::new(0) }
    }

    fn in_turn(&self) -> Vec<Server> {
        let mut servers = self.servers.clone();
        let first = self.first.load(Ordering::Acquire).checked_rem(servers.len());
        servers.rotate_left(first.unwrap_or_default());
        servers
    }

    fn skip(&self, count: usize) {
        // it wraps around where it overflows, and any place to begin will do
        self.first.fetch_add(count, Ordering::AcqRel);
    }
}

/// A server that was reached and says that it is a master.
pub(super) struct Found {
    pub(super) connection: MultiplexedConnection,
    /// Set once the connection has ended.
    pub(super) ended: Arc<AtomicBool>,
    pub(super) told: Told,
}

impl Way {
    pub(super) fn sentinel(
        sentinels: Vec<Server>,
        master: String,
        login: Option<SentinelLogin>,
    ) -> Self {
        Self::Sentinel { sentinels: Turns::new(sentinels), master, login }
    }

    pub(super) fn cluster(seeds: Vec<Server>) -> Self {
        Self::Cluster { seeds: Turns::new(seeds), known: Mutex::default() }
    }

    /// Connects to the server that holds this slot now. `within` is the caller's deadline: no single sentinel or node
    /// may use it up.
    pub(super) async fn find(&self, slot: u16, within: Duration) -> Result<Found, String> {
        let (turns, others) = match self {
            Self::One(server) => return alone(server).await,
            Self::Sentinel { sentinels, .. } => (sentinels, Vec::new()),
            Self::Cluster { seeds, known } => (seeds, locked(known).clone()),
        };
        let guides = [turns.in_turn(), others].concat();
        let parts = u32::try_from(guides.len()).unwrap_or(u32::MAX).saturating_add(1);
        let share = within.checked_div(parts).unwrap_or_default().max(SHARE_MIN);
        let mut reasons = Vec::new();
        for (place, guide) in guides.into_iter().enumerate() {
            match tokio::time::timeout(share, self.through(&guide, slot)).await {
                Ok(Ok(found)) => {
                    turns.skip(place);
                    return Ok(found);
                }
                Ok(Err(why)) => reasons.push(format!("{}: {why}", guide.addr())),
                Err(_) => reasons.push(format!("{}: no answer in time", guide.addr())),
            }
        }
        Err(self.in_vain(slot, &reasons.join("; ")))
    }

    fn in_vain(&self, slot: u16, reasons: &str) -> String {
        match self {
            Self::One(_) => reasons.to_owned(),
            Self::Sentinel { master, .. } => {
                format!("no sentinel leads to the master `{master}`: {reasons}")
            }
            Self::Cluster { .. } => format!("no node leads to slot {slot}: {reasons}"),
        }
    }

    /// Connects to the master that this sentinel or node names.
    async fn through(&self, guide: &Server, slot: u16) -> Result<Found, String> {
        match self {
            Self::One(server) => alone(server).await,
            Self::Sentinel { master, login, .. } => {
                primary(&named_by(guide, master, login.as_ref()).await?).await
            }
            Self::Cluster { known, .. } => {
                let nodes = owner_first(guide, slot).await?;
                let owner = nodes.first().ok_or_else(|| format!("slot {slot} has no owner"))?;
                let found = primary(owner).await?;
                *locked(known) = nodes;
                Ok(found)
            }
        }
    }

    /// What was found was wrong after all: somebody else is asked first the next time.
    pub(super) fn doubt(&self) {
        match self {
            Self::One(_) => {}
            Self::Sentinel { sentinels: turns, .. } | Self::Cluster { seeds: turns, .. } => {
                turns.skip(1);
            }
        }
    }
}

fn locked(known: &Mutex<Vec<Server>>) -> std::sync::MutexGuard<'_, Vec<Server>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one server, which must not be a part of something larger.
async fn alone(server: &Server) -> Result<Found, String> {
    let found = primary(server).await?;
    if found.told.is_cluster() {
        return Err(format!("{} belongs to a cluster: set `cluster: true`", server.addr()));
    }
    Ok(found)
}

/// Connects, and refuses whatever is not a master.
async fn primary(server: &Server) -> Result<Found, String> {
    let at = |why: &str| format!("{}: {why}", server.addr());
    let (mut connection, ended) = dial(server).await.map_err(|error| at(&words(&error)))?;
    let place = server.addr().to_string();
    let told = Told::ask(&mut connection, &place).await.map_err(|why| at(&why))?;
    match told.role() {
        Some("master") => Ok(Found { connection, ended, told }),
        Some("slave") => Err(at("this server is a replica")),
        Some("sentinel") => Err(at("this is a sentinel: set `sentinel: NAME OF THE MASTER`")),
        Some(_) | None => Err(at("the server does not tell its role: permit INFO or ROLE")),
    }
}

/// A connection that tells of its end.
async fn dial(server: &Server) -> RedisResult<(MultiplexedConnection, Arc<AtomicBool>)> {
    let ended = Arc::new(AtomicBool::new(false));
    let notice = Arc::clone(&ended);
    let sender = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
        if push.kind == PushKind::Disconnection {
            notice.store(true, Ordering::Release);
        }
        Ok(())
    };
    Ok((connected(server, patient().set_push_sender(sender)).await?, ended))
}

/// Our own deadline holds for all of it.
fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

async fn connected(
    server: &Server,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    Client::open(server.clone())?.get_multiplexed_async_connection_with_config(&config).await
}

/// Asks a sentinel who the master is.
async fn named_by(
    sentinel: &Server,
    master: &str,
    login: Option<&SentinelLogin>,
) -> Result<Server, String> {
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let answer = match login {
        Some(login) => ask_once(&with_login(sentinel, Some(login)), &ask).await,
        None => match ask_once(&with_login(sentinel, None), &ask).await {
            // sentinels often know no password although the servers do
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed => {
                ask_once(&without_login(sentinel), &ask).await
            }
            answer => answer,
        },
    };
    let place = answer.map_err(|error| words(&error))?;
    let place = Option::<(String, u16)>::from_redis_value(place);
    let place = place.map_err(|_| "what it answers names no place".to_owned())?;
    let (host, port) = place.ok_or_else(|| format!("it knows no master `{master}`"))?;
    Ok(elsewhere(sentinel, Some(&host), port))
}

/// The same login at another place.
fn elsewhere(server: &Server, host: Option<&str>, port: u16) -> Server {
    server.clone().set_addr(moved_to(server.addr(), host, port))
}

/// As a sentinel is asked: it has no databases.
fn with_login(sentinel: &Server, login: Option<&SentinelLogin>) -> Server {
    let mut settings = match login {
        None => sentinel.redis_settings().clone(),
        Some(SentinelLogin { user, password }) => {
            let settings = redis::RedisConnectionInfo::default();
            let settings = settings.set_password(password.expose_secret());
            match user {
                Some(user) => settings.set_username(user),
                None => settings,
            }
        }
    };
    settings = settings.set_db(0).set_protocol(ProtocolVersion::RESP2);
    sentinel.clone().set_redis_settings(settings)
}

fn without_login(sentinel: &Server) -> Server {
    sentinel.clone().set_redis_settings(redis::RedisConnectionInfo::default())
}

/// Asks a node of a cluster for the masters and replicas of a slot, the master first, and after them for the other
/// nodes.
async fn owner_first(node: &Server, slot: u16) -> Result<Vec<Server>, String> {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("SLOTS");
    let answer = ask_once(node, &ask).await.map_err(|error| words(&error))?;
    let ranges = ranges(answer).ok_or("what it answers is no list of slots")?;
    let (owners, rest): (Vec<Range>, Vec<Range>) =
        ranges.into_iter().partition(|range| (range.first..=range.last).contains(&slot));
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let places = owners.into_iter().chain(rest).flat_map(|range| range.nodes);
    let mut nodes: Vec<Server> = Vec::new();
    for (host, port) in places {
        // a node that does not know its own host names none: it is where it was asked
        let server = elsewhere(node, host.as_deref(), port);
        if !nodes.iter().any(|known| known.addr() == server.addr()) {
            nodes.push(server);
        }
    }
    Ok(nodes)
}

/// Slots and who serves them: the master first, then its replicas.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    nodes: Vec<(Option<String>, u16)>,
}

fn ranges(answer: Value) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    ranges.into_iter().map(range).collect()
}

fn range(value: Value) -> Option<Range> {
    let Value::Array(parts) = value else { return None };
    let mut parts = parts.into_iter();
    let mut bound = || u16::from_redis_value(parts.next()?).ok();
    let (first, last) = (bound()?, bound()?);
    Some(Range { first, last, nodes: parts.map(place).collect::<Option<_>>()? })
}

fn place(node: Value) -> Option<(Option<String>, u16)> {
    let Value::Array(parts) = node else { return None };
    let mut parts = parts.into_iter();
    let host = Option::<String>::from_redis_value(parts.next()?).ok()?;
    let port = u16::from_redis_value(parts.next()?).ok()?;
    Some((host.filter(|host| !host.is_empty() && host != "?"), port))
}

/// One question over a connection of its own.
async fn ask_once(server: &Server, command: &Cmd) -> Result<Value, RedisError> {
    let mut connection = connected(server, patient()).await?;
    connection.send_packed_command(command).await?.extract_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Vec<Range>> {
        ranges(redis::parse_redis_value(text.as_bytes()).unwrap())
    }

    #[test]
    fn slots_are_read_with_hosts_that_nodes_do_not_know() {
        let node = |host: &str, port: u16| (Some(host.to_owned()).filter(|h| !h.is_empty()), port);
        let text = "*2\r\n\
            *4\r\n:0\r\n:5460\r\n*3\r\n$7\r\n1.2.3.4\r\n:7001\r\n$2\r\nid\r\n*2\r\n$1\r\n?\r\n:7002\r\n\
            *3\r\n:5461\r\n:16383\r\n*4\r\n$-1\r\n:7003\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n";
        let expected = [
            Range { first: 0, last: 5460, nodes: vec![node("1.2.3.4", 7001), node("", 7002)] },
            Range { first: 5461, last: 16383, nodes: vec![node("", 7003)] },
        ];
        assert_eq!(parsed(text).unwrap(), expected);
        for text in
            ["+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*1\r\n:1\r\n", "*1\r\n*3\r\n:1\r\n:2\r\n$1\r\nx\r\n"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn whoever_answered_last_is_asked_first() {
        let server = |host: &str| {
            use redis::IntoConnectionInfo as _;
            format!("redis://{host}").into_connection_info().unwrap()
        };
        let turns = Turns::new(["a", "b", "c"].map(server).to_vec());
        let order = || turns.in_turn().iter().map(|s| s.addr().to_string()).collect::<String>();
        assert_eq!(order(), "a:6379b:6379c:6379");
        turns.skip(2);
        assert_eq!(order(), "c:6379a:6379b:6379");
        turns.skip(1);
        assert_eq!(order(), "a:6379b:6379c:6379");
        turns.skip(usize::MAX);
        assert_eq!(turns.in_turn().len(), 3);
    }
}
