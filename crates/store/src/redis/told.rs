//! What a server says of itself at the start of a connection.

use redis::{Cmd, FromRedisValue, Value, aio::MultiplexedConnection};

use super::fault::words;

/// `INFO`, or where that is not permitted, the role alone.
pub(super) struct Told {
    place: String,
    info: String,
    role: Option<String>,
}

/// A server between its start and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its host and port.
    pub(super) place: String,
    /// Random text that it drew at its start; empty where it does not tell.
    pub(super) run_id: String,
}

impl Told {
    pub(super) async fn ask(
        connection: &mut MultiplexedConnection,
        place: &str,
    ) -> Result<Self, String> {
        let info = permitted(connection, &redis::cmd("INFO")).await?.map(String::from_redis_value);
        let info = info.and_then(Result::ok).unwrap_or_default();
        let role = match field(&info, "role") {
            Some(role) => Some(role.to_owned()),
            None => permitted(connection, &redis::cmd("ROLE")).await?.and_then(first_word),
        };
        Ok(Self { place: place.to_owned(), info, role })
    }

    /// `master`, `slave` or `sentinel`.
    pub(super) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// One line of `INFO`.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        field(&self.info, name)
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.field("redis_mode") == Some("cluster")
    }

    /// Which of the processes that ran at its place.
    pub(super) fn process(&self) -> Process {
        let run_id = self.field("run_id").unwrap_or_default().to_owned();
        Process { place: self.place.clone(), run_id }
    }
}

/// The answer; `None` where this user may not ask.
pub(super) async fn permitted(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> Result<Option<Value>, String> {
    let answer = connection.send_packed_command(command).await;
    match answer.and_then(Value::extract_error) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        // a service may have taken the command away or renamed it
        Err(error) if words(&error).starts_with("ERR unknown command") => Ok(None),
        Err(error) => Err(words(&error)),
    }
}

fn first_word(role: Value) -> Option<String> {
    let Value::Array(parts) = role else { return None };
    String::from_redis_value(parts.into_iter().next()?).ok()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}
