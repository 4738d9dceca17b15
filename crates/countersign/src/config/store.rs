//! `store:`

use std::path::{Path, PathBuf};

use countersign_store::redis::{
    ClientCertificate, RedisAddress, RedisTls, SentinelLogin, Topology,
};
use secrecy::SecretString;

use super::{
    model::{SecretUrl, StoreChoice},
    problem::{Place, Report},
    read::{file, path, url},
    reader::Section,
    yaml::{Node, Value},
};
use crate::wiring::password;

/// A Redis, and the files that it takes to log in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisEntry {
    pub(crate) place: Place,
    pub(crate) urls: Vec<SecretUrl>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) topology: RedisTopology,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client: Option<ClientFiles>,
    pub(crate) acknowledge_replicas: u32,
}

/// What the URLs lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedisTopology {
    /// The server.
    One,
    /// Sentinels.
    Sentinel(SentinelEntry),
    /// Nodes of a cluster.
    Cluster,
}

/// Whom to ask sentinels for, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentinelEntry {
    pub(crate) master: String,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

/// What a server may ask of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl RedisEntry {
    /// For people: where it is.
    pub(crate) fn shown(&self) -> String {
        let urls: Vec<String> = self.urls.iter().map(ToString::to_string).collect();
        urls.join(", ")
    }

    /// With what its files hold.
    pub(crate) fn address(&self) -> Result<RedisAddress, String> {
        let secret = |file: &Option<PathBuf>| file.as_deref().map(password).transpose();
        let topology = match &self.topology {
            RedisTopology::One => Topology::One,
            RedisTopology::Cluster => Topology::Cluster,
            RedisTopology::Sentinel(SentinelEntry { master, user, password_file }) => {
                let password = secret(password_file)?;
                let login = password.map(|password| SentinelLogin { user: user.clone(), password });
                Topology::Sentinel { master: master.clone(), login }
            }
        };
        let client = self.client.as_ref().map(|files| {
            let (certificate, key) = (text_of(&files.certificate)?, text_of(&files.key)?);
            Ok::<_, String>(ClientCertificate { certificate, key: SecretString::from(key) })
        });
        let ca = self.ca.as_deref().map(text_of).transpose()?;
        let url = |url: &SecretUrl| SecretString::from(url.expose().to_owned());
        Ok(RedisAddress {
            urls: self.urls.iter().map(url).collect(),
            password: secret(&self.password_file)?,
            topology,
            tls: RedisTls { ca, client: client.transpose()? },
        })
    }

    /// The files that nobody else should read.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Path> {
        let sentinel = match &self.topology {
            RedisTopology::Sentinel(sentinel) => sentinel.password_file.as_deref(),
            RedisTopology::One | RedisTopology::Cluster => None,
        };
        let key = self.client.as_ref().map(|files| files.key.as_path());
        self.password_file.as_deref().into_iter().chain(sentinel).chain(key)
    }
}

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The section.
pub(crate) fn store(report: &Report, node: &Node, folder: &Path) -> Option<StoreChoice> {
    report.section(node, "`store`", |s| {
        let (embedded, redis) = (s.optional("embedded"), s.optional("redis"));
        let choice = match (embedded, redis) {
            (Some(embedded), None) => path(report, embedded, folder).map(StoreChoice::Embedded),
            (None, Some(urls)) => redis_entry(report, s, urls, folder).map(StoreChoice::Redis),
            (Some(_), Some(_)) | (None, None) => {
                let message = "`store` needs exactly one of `embedded: FOLDER` and `redis: URL`";
                report.refuse(s.place(), message);
                None
            }
        };
        if redis.is_none() {
            only_with_redis(report, s);
        }
        choice
    })?
}

/// What has no meaning for a file.
fn only_with_redis(report: &Report, s: &mut Section<'_>) {
    let keys = [
        "acknowledge_replicas",
        "sentinel",
        "cluster",
        "password_file",
        "ca",
        "certificate",
        "key",
    ];
    for key in keys {
        if let Some(node) = s.optional(key) {
            report.refuse(node.place, format!("`{key}` is of use with `redis: URL` only"));
        }
    }
}

fn redis_entry(
    report: &Report,
    s: &mut Section<'_>,
    urls: &Node,
    folder: &Path,
) -> Option<RedisEntry> {
    let an_existing = |r: &Report, n: &Node| file(r, n, folder).map(Some);
    let acknowledge_replicas = s.or("acknowledge_replicas", 0, Report::number);
    let topology = topology(report, s, folder);
    let password_file = s.or("password_file", None, an_existing);
    let ca = s.or("ca", None, an_existing);
    let certificate = s.or("certificate", None, an_existing);
    let key = s.or("key", None, an_existing);
    let read = match &urls.value {
        Value::List(_) => report.list(urls, |n| redis_url(report, n)),
        Value::Text(_) | Value::Null | Value::Map(_) => {
            redis_url(report, urls).map(|url| vec![url])
        }
    };
    let client = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            report.refuse(s.place(), "`certificate` and `key` go together");
            return None;
        }
    };
    let entry = RedisEntry {
        place: urls.place,
        urls: read?,
        password_file: password_file?,
        topology: topology?,
        ca: ca?,
        client,
        acknowledge_replicas: acknowledge_replicas?,
    };
    leads_somewhere(report, urls, entry)
}

/// Tells at once what else would be found out when connecting.
fn leads_somewhere(report: &Report, urls: &Node, entry: RedisEntry) -> Option<RedisEntry> {
    // a URL that could not be read has been told
    if matches!(&urls.value, Value::List(items) if items.len() != entry.urls.len()) {
        return None;
    }
    let checked = entry.address().and_then(|address| {
        let checked = address.check();
        checked.map_err(|error| error.to_string())
    });
    checked.map(|()| entry).map_err(|message| report.refuse(urls.place, message)).ok()
}

fn redis_url(report: &Report, node: &Node) -> Option<SecretUrl> {
    url(report, node, &["redis", "rediss"])
}

fn topology(report: &Report, s: &mut Section<'_>, folder: &Path) -> Option<RedisTopology> {
    let is_cluster = s.or("cluster", false, |r, n| r.word(n, &[("true", true), ("false", false)]));
    let place = s.place();
    let sentinel = s.or("sentinel", None, |r, n| sentinel(r, n, folder).map(Some));
    match (is_cluster?, sentinel?) {
        (false, None) => Some(RedisTopology::One),
        (true, None) => Some(RedisTopology::Cluster),
        (false, Some(entry)) => Some(RedisTopology::Sentinel(entry)),
        (true, Some(_)) => {
            report.refuse(place, "`sentinel` and `cluster` exclude each other");
            None
        }
    }
}

/// The master's name, or a mapping where the sentinels have a login of their own.
fn sentinel(report: &Report, node: &Node, folder: &Path) -> Option<SentinelEntry> {
    let Value::Map(_) = &node.value else {
        let master = report.read_as(node, master_name)?;
        return Some(SentinelEntry { master, user: None, password_file: None });
    };
    report.section(node, "`sentinel`", |s| {
        let master = s.required("master").and_then(|n| report.read_as(n, master_name));
        let user = s.or("user", None, |r, n| r.text(n).map(Some));
        let password_file = s.required("password_file").and_then(|n| file(report, n, folder));
        Some(SentinelEntry { master: master?, user: user?, password_file: Some(password_file?) })
    })?
}

fn master_name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a master's name: use letters, digits and .-_ as sentinels do"))
}
