//! A client of the operators' door, for the commands that talk to a running gateway.

use std::{fmt, path::Path, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use countersign_upstream::trusting;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{cli::AdminArgs, failure::Failure, files::authorities};

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How large one answer may be.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection to the operators' door. Debug shows no token.
pub(crate) struct AdminClient {
    base: String,
    token: SecretString,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminClient({})", self.base)
    }
}

impl AdminClient {
    /// From the command line and the environment.
    pub(crate) fn new(args: &AdminArgs) -> Result<Self, Failure> {
        let base = args.admin.trim_end_matches('/').to_owned();
        let uri: Uri = base
            .parse()
            .map_err(|_| Failure::refused("--admin is not a URL: expected http://HOST:PORT"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(Failure::refused("--admin is not a URL: expected http://HOST:PORT"));
        }
        let token = token(args)?;
        let connector = trust(args)?.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { base, token, client })
    }

    /// Gets a resource.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, None).await
    }

    /// Posts to a resource.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Gets what is too long to be held: the answer as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Result<Incoming, Failure> {
        let request = self.request(Method::GET, path, None)?;
        let answer = tokio::time::timeout(DEADLINE, self.client.request(request)).await;
        let silent = |_| Failure::failed(format!("{} did not answer in 30 s", self.base));
        let response = answer.map_err(silent)?.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        match understand(status, &bytes) {
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::failed(status.to_string())),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let request = self.request(method, path, body)?;
        let exchange = async {
            let response =
                self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes =
                body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
            Ok::<_, anyhow::Error>((status, bytes))
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        let (status, bytes) = answer
            .map_err(|_| Failure::failed(format!("{} did not answer in 30 s", self.base)))??;
        understand(status, &bytes)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose_secret()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .context("the request cannot be built: is there a stray character in the URL or token?")
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> anyhow::Error {
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        anyhow::anyhow!(
            "no gateway answers at {}: {cause}; is it running? set COUNTERSIGN_ADMIN",
            self.base
        )
    }
}

/// What an answer says; a problem's own words where there is one.
fn understand(status: http::StatusCode, bytes: &Bytes) -> Result<Value, Failure> {
    let body: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(crate::screen::plain);
    let code = text("code").map_or_else(String::new, |code| format!(" [{code}]"));
    let said = text("detail").or_else(|| text("title")).unwrap_or_else(|| status.to_string());
    let hint = match status.as_u16() {
        401 => "; set COUNTERSIGN_TOKEN to an operator's token",
        _ => "",
    };
    Err(Failure::failed(format!("{}{code}: {said}{hint}", status.as_u16())))
}

fn token(args: &AdminArgs) -> Result<SecretString, Failure> {
    if let Some(file) = &args.token_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
        return Ok(text.trim().to_owned().into());
    }
    let token = args.token.clone().filter(|token| !token.is_empty());
    token.map(SecretString::from).ok_or_else(|| {
        Failure::refused("no operator token: set COUNTERSIGN_TOKEN, or use --token-file FILE")
    })
}

/// Trusts one authority, or those that every browser trusts; shows a certificate where there is one.
fn trust(args: &AdminArgs) -> Result<HttpsConnectorBuilder<WantsSchemes>, Failure> {
    let authorities = args.admin_ca.as_deref().map(authorities).transpose()?;
    let builder = trusting(authorities.as_ref())
        .map_err(|error| Failure::failed(format!("TLS cannot be set up: {error}")))?;
    let config = match (&args.admin_cert, &args.admin_key) {
        (Some(certificate), Some(key)) => {
            let secret =
                PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
            let mine = builder.with_client_auth_cert(certificates(certificate)?, secret);
            mine.map_err(|error| unusable(certificate, &error))?
        }
        (Some(_), None) | (None, Some(_) | None) => builder.with_no_client_auth(),
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, &error))?;
    read.collect::<Result<_, _>>().map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::refused(format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_its_own_words_with_its_code() {
        let status = |code| http::StatusCode::from_u16(code).unwrap();
        for (code, body, expected) in [
            (
                409,
                r#"{"code":"digest_mismatch","detail":"another digest"}"#,
                "409 [digest_mismatch]: another digest",
            ),
            (410, r#"{"title":"Gone"}"#, "410: Gone"),
            (502, "<html>", "502: 502 Bad Gateway"),
            (401, "{}", "401: 401 Unauthorized; set COUNTERSIGN_TOKEN to an operator's token"),
        ] {
            let failure =
                understand(status(code), &Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(failure.to_string(), expected);
        }
        let answer = understand(status(200), &Bytes::from_static(b"{\"id\":1}")).unwrap();
        assert_eq!(answer, serde_json::json!({ "id": 1 }));
    }
}
