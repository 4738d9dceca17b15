//! Answers of a node that are not what it said.

use std::io;

use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Another answer in the place of the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garble {
    /// A status with an HTML page, as a proxy on the way would answer.
    Status(u16),
    /// An HTML page with the status 200.
    Html,
    /// Text that is no JSON.
    NotJson,
    /// No body at all.
    Empty,
    /// The node's answer to another request.
    OtherId,
    /// Another hash than that of the bytes.
    OtherHash,
    /// `null` where there was a result.
    Null,
    /// This result.
    Result(&'static str),
    /// An error of the node in these words.
    Error(i64, &'static str),
}

/// A hash that nothing has.
const NOBODYS_HASH: &str = "0x00000000000000000000000000000000000000000000000000000000deadbeef";

impl Garble {
    /// The bytes to say; `real` is what the node answered, or an empty answer to the request's id.
    pub(super) fn response(self, real: &Value) -> Vec<u8> {
        let page = "<html><body>Bad gateway</body></html>";
        let with = |name: &str, value: Value| {
            let mut answer = real.clone();
            if let Some(members) = answer.as_object_mut() {
                members.remove("error");
                members.insert(name.to_owned(), value);
            }
            answer.to_string()
        };
        match self {
            Self::Status(status) => http(status, "text/html", page),
            Self::Html => http(200, "text/html", page),
            Self::NotJson => http(200, "application/json", "upstream connect error"),
            Self::Empty => http(200, "application/json", ""),
            Self::OtherId => http(200, "application/json", &with("id", json!(987_654_321))),
            Self::OtherHash => http(200, "application/json", &with("result", json!(NOBODYS_HASH))),
            Self::Null => http(200, "application/json", &with("result", Value::Null)),
            Self::Result(result) => http(200, "application/json", &with("result", json!(result))),
            Self::Error(code, message) => {
                let error = json!({"code": code, "message": message});
                let id = real.get("id").cloned().unwrap_or_default();
                let answer = json!({"jsonrpc": "2.0", "id": id, "error": error});
                http(200, "application/json", &answer.to_string())
            }
        }
    }
}

fn http(status: u16, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An answer without a result to the request in these bytes.
pub(super) fn nothing(asked: &[u8]) -> Value {
    let (_, body) = split(asked).unwrap_or((asked, asked));
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    json!({"jsonrpc": "2.0", "id": request.get("id").cloned().unwrap_or_default()})
}

/// Reads one whole HTTP response with a length; its body.
pub(super) async fn read(server: &mut TcpStream) -> io::Result<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(body) = whole_body(&bytes) {
            return Ok(serde_json::from_slice(body).unwrap_or_default());
        }
        if server.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn whole_body(bytes: &[u8]) -> Option<&[u8]> {
    let (head, body) = split(bytes)?;
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let length: usize = length.trim().parse().ok()?;
    body.get(..length)
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end.saturating_add(4)..)?))
}
