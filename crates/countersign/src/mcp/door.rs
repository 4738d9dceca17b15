//! A client of the agents' door: JSON-RPC with the agent's token.

use std::{fmt, time::Duration};

use bytes::Bytes;
use countersign_upstream::{Authorities, trusting};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How large one answer may be.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A way to ask the gateway as one agent. Debug shows no token.
#[derive(Clone)]
pub(crate) struct AgentDoor {
    base: String,
    token: Option<SecretString>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for AgentDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentDoor(..)")
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NoResult {
    /// The gateway's own error.
    Refused { code: i64, message: String, data: Value },
    /// No answer of a gateway.
    Unreachable(String),
}

impl AgentDoor {
    /// Connects to nothing yet. The URL may hold the token, as the gateway prints it: `http://agent:TOKEN@host/`.
    pub(crate) fn new(
        url: &str,
        token: Option<SecretString>,
        authorities: Option<&Authorities>,
    ) -> Result<Self, String> {
        let wrong = || "not a URL: expected http://HOST:PORT".to_owned();
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let scheme =
            uri.scheme_str().filter(|s| matches!(*s, "http" | "https")).ok_or_else(wrong)?;
        let authority_part = uri.authority().ok_or_else(wrong)?.as_str();
        let (user, host) = match authority_part.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority_part),
        };
        let inside = user.and_then(|user| user.split_once(':')).map(|(_, token)| token.to_owned());
        let token = token.or(inside.map(SecretString::from));
        let base = format!("{scheme}://{host}{}", uri.path().trim_end_matches('/'));
        Ok(Self { base, token, client: client(authorities)? })
    }

    /// The same door for whoever presents another token.
    pub(super) fn with_token(&self, token: SecretString) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether the gateway knows nobody with this token. Whoever cannot be asked has not said so.
    pub(super) async fn is_refused(&self) -> bool {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "health_status", "params": []});
        let Some(request) = self.request(None, &body) else { return true };
        let asked = tokio::time::timeout(DEADLINE, self.client.request(request)).await;
        asked.is_ok_and(|asked| {
            asked.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
        })
    }

    /// One question.
    pub(super) async fn ask(
        &self,
        chain: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<Value, NoResult> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .request(chain, &body)
            .ok_or_else(|| lost("the token or the URL has a stray character"))?;
        let exchange = async {
            let response =
                self.client.request(request).await.map_err(|error| lost(&cause(&error)))?;
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|_| lost("the answer broke off"))
        };
        let bytes = tokio::time::timeout(DEADLINE, exchange).await;
        understood(&bytes.unwrap_or_else(|_| Err(lost("no answer in 30 s")))?)
    }

    fn request(&self, chain: Option<&str>, body: &Value) -> Option<Request<Full<Bytes>>> {
        let place = chain
            .map_or_else(|| format!("{}/", self.base), |chain| format!("{}/{chain}", self.base));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(place)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .ok()?;
        if let Some(token) = &self.token {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Some(request)
    }
}

fn client(
    authorities: Option<&Authorities>,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String> {
    let tls = trusting(authorities).map_err(|error| error.to_string())?.with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
    let connector = builder.https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn understood(bytes: &Bytes) -> Result<Value, NoResult> {
    let mut answer: Value =
        serde_json::from_slice(bytes).map_err(|_| lost("the answer is not JSON-RPC"))?;
    if let Some(error) = answer.get("error") {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        return Err(NoResult::Refused {
            code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: text("message").to_owned(),
            data: error.get("data").cloned().unwrap_or_default(),
        });
    }
    answer.get_mut("result").map(Value::take).ok_or_else(|| lost("the answer is not JSON-RPC"))
}

fn lost(why: &str) -> NoResult {
    NoResult::Unreachable(format!("the gateway could not be asked: {why}"))
}

fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_the_url_and_never_shown() {
        let door = AgentDoor::new("http://agent:s3cret@127.0.0.1:8555/31337/", None, None).unwrap();
        assert_eq!(door.base, "http://127.0.0.1:8555/31337");
        assert_eq!(door.token.as_ref().map(secrecy::ExposeSecret::expose_secret), Some("s3cret"));
        let request = door.request(Some("anvil"), &json!({})).unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:8555/31337/anvil");
        assert!(!format!("{door:?} {request:?}").contains("s3cret"));
        assert!(AgentDoor::new("ftp://h", None, None).is_err());
        assert!(AgentDoor::new("h", None, None).is_err());
    }
}
