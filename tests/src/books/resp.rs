//! A Redis past the gateway: what a person would ask with `redis-cli`.

use std::{future::Future, pin::Pin};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};

/// One connection.
#[derive(Debug)]
pub struct Resp(BufStream<TcpStream>);

/// What Redis answered: text, numbers, lists and nothing as JSON, or its error.
pub type Said = Result<Value, String>;

impl Resp {
    /// Connects to a Redis by its URL.
    pub async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("redis://").expect("a Redis URL");
        Self(BufStream::new(TcpStream::connect(address).await.expect("a Redis")))
    }

    /// One command. A broken connection fails the test.
    pub async fn ask(&mut self, command: &[&str]) -> Said {
        let part = |part: &&str| format!("${}\r\n{part}\r\n", part.len());
        let parts: Vec<String> = command.iter().map(part).collect();
        let bytes = format!("*{}\r\n{}", command.len(), parts.concat());
        self.0.write_all(bytes.as_bytes()).await.expect("Redis takes a command");
        self.0.flush().await.expect("Redis takes a command");
        self.answer().await
    }

    /// One command that must succeed.
    pub async fn run(&mut self, command: &[&str]) -> Value {
        self.ask(command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn answer(&mut self) -> Pin<Box<dyn Future<Output = Said> + Send + '_>> {
        Box::pin(async move {
            let line = self.line().await;
            let (kind, rest) = line.split_at_checked(1).expect("an answer");
            match kind {
                "+" => Ok(rest.into()),
                "-" => Err(rest.to_owned()),
                ":" => Ok(count(rest).into()),
                "$" => Ok(self.bulk(count(rest)).await),
                "*" => self.list(count(rest)).await,
                _ => panic!("not an answer of Redis: {line}"),
            }
        })
    }

    async fn list(&mut self, length: i64) -> Said {
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.answer().await?);
        }
        Ok(items.into())
    }

    async fn bulk(&mut self, length: i64) -> Value {
        let Ok(length) = usize::try_from(length) else { return Value::Null };
        let mut bytes = vec![0; length.saturating_add(2)];
        self.0.read_exact(&mut bytes).await.expect("a whole answer");
        bytes.truncate(length);
        String::from_utf8_lossy(&bytes).into_owned().into()
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("an answer of Redis");
        line.trim_end().to_owned()
    }
}

fn count(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}
