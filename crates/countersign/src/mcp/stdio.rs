//! MCP over standard input and output: one message a line, several at work at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::{Mutex as AsyncMutex, Semaphore},
    task::{AbortHandle, JoinSet},
};

use super::{
    door::AgentDoor,
    protocol::{answer, cancelled, id_of, too_long, unreadable},
};
use crate::failure::Failure;

/// The longest line.
const LINE_MAX: usize = 1 << 20;
/// The most calls at work at a time; further lines are read when one is done.
const CALLS_MAX: usize = 16;

/// The calls that are worked on, by id: a client may take one back.
#[derive(Debug, Default, Clone)]
struct AtWork(Arc<Mutex<HashMap<String, AbortHandle>>>);

impl AtWork {
    fn all(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Talks until the input ends; what is being worked on then is answered first.
pub(crate) async fn talk<R, W>(door: AgentDoor, input: R, output: W) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (door, output) = (Arc::new(door), Arc::new(AsyncMutex::new(output)));
    let (places, at_work) = (Arc::new(Semaphore::new(CALLS_MAX)), AtWork::default());
    let mut input = BufReader::new(input);
    let mut calls = JoinSet::new();
    loop {
        let Some(line) = line(&mut input).await.map_err(broken)? else { break };
        while calls.try_join_next().is_some() {}
        let Line::Said(line) = line else {
            write(&output, &too_long()).await.map_err(broken)?;
            continue;
        };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            write(&output, &unreadable()).await.map_err(broken)?;
            continue;
        };
        if let Some(id) = cancelled(&message) {
            if let Some(call) = at_work.all().remove(&id) {
                call.abort();
            }
            continue;
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let id = id_of(&message);
        let (door, output, known, own) =
            (Arc::clone(&door), Arc::clone(&output), at_work.clone(), id.clone());
        let work = async move {
            let answer = answer(&door, message).await;
            // what was taken back meanwhile is not answered
            let stands = own.is_none_or(|id| known.all().remove(&id).is_some());
            if let Some(answer) = answer.filter(|_| stands) {
                // nobody reads any more: the input ends, too
                write(&output, &answer).await.ok();
            }
            drop(place);
        };
        let mut all = at_work.all();
        let call = calls.spawn(work);
        if let Some(id) = id {
            all.insert(id, call);
        }
    }
    while calls.join_next().await.is_some() {}
    Ok(())
}

/// A line that was read to its end.
enum Line {
    /// What it says.
    Said(String),
    /// It is longer than any may be, and nothing of it is kept.
    TooLong,
}

/// The next line that says something; `None` at the end.
async fn line<R: AsyncRead + Unpin>(input: &mut BufReader<R>) -> std::io::Result<Option<Line>> {
    loop {
        let (mut bytes, mut too_long) = (Vec::new(), false);
        loop {
            let part = input.fill_buf().await?;
            let end = part.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(part.len());
            too_long |= bytes.len().saturating_add(taken) > LINE_MAX;
            if too_long {
                bytes = Vec::new();
            } else {
                bytes.extend(part.iter().take(taken));
            }
            let (ended, over) = (end.is_some(), part.is_empty());
            let used = if ended { taken.saturating_add(1) } else { taken };
            input.consume(used);
            if ended {
                break;
            }
            if over {
                return Ok(None);
            }
        }
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if !text.is_empty() {
            return Ok(Some(Line::Said(text)));
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    output: &AsyncMutex<W>,
    message: &Value,
) -> std::io::Result<()> {
    let mut output = output.lock().await;
    output.write_all(format!("{message}\n").as_bytes()).await?;
    output.flush().await
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn broken(error: std::io::Error) -> Failure {
    Failure::failed(format!("the client is gone: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_and_the_next_is_answered() {
        let door = AgentDoor::new("http://127.0.0.1:9", None, None).unwrap();
        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let input = format!("{}\n\n{ping}\n{}", "x".repeat(3 * LINE_MAX), "x".repeat(LINE_MAX + 1));
        let (output, mut answers) = tokio::io::duplex(1 << 16);
        talk(door, input.as_bytes(), output).await.unwrap();
        let mut said = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut answers, &mut said).await.unwrap();
        let said: Vec<Value> =
            said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let codes: Vec<_> = said.iter().map(|answer| answer["error"]["code"].clone()).collect();
        assert_eq!(codes, [json!(-32600), Value::Null], "{said:?}");
        assert_eq!(said[1]["id"], 7);
    }
}
