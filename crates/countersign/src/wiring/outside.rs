//! Oracles, the judge and webhooks, from what the configuration says of them.

use std::sync::Arc;

use countersign_upstream::{
    HttpJudge, HttpOracles, JudgeOptions, OracleOptions, Webhook, WebhookOptions, key_of,
};
use secrecy::ExposeSecret as _;

use super::{headers::headers, password};
use crate::{
    clock,
    config::{Config, JudgeEntry, NotifyEntry, OracleEntry, Place},
    files::authorities,
};

/// Whom policies and mandates need. Nothing is remembered over a reload: answers are short-lived.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    pub(super) oracles: Option<Arc<HttpOracles>>,
    pub(super) judge: Option<Arc<HttpJudge>>,
    pub(super) webhooks: Vec<Arc<Webhook>>,
}

impl Outside {
    /// Connects to nothing yet.
    pub(super) fn open(config: &Config) -> Result<Self, (Place, String)> {
        let at = |place: Place| move |message: String| (place, message);
        let judge = config.judge.as_ref().map(|entry| judge(entry).map_err(at(entry.place)));
        let webhooks = config.notify.iter().map(|entry| webhook(entry).map_err(at(entry.place)));
        let webhooks = webhooks.collect::<Result<_, _>>()?;
        let judge = judge.transpose()?;
        let Some(first) = config.oracles.first() else {
            return Ok(Self { oracles: None, judge, webhooks });
        };
        let options = config.oracles.iter().map(|entry| oracle(entry).map_err(at(entry.place)));
        let opened = HttpOracles::new(options.collect::<Result<_, _>>()?);
        let opened = opened.map_err(|error| (first.place, error.to_string()))?;
        Ok(Self { oracles: Some(Arc::new(opened)), judge, webhooks })
    }
}

fn webhook(entry: &NotifyEntry) -> Result<Arc<Webhook>, String> {
    let key = entry.secret.as_ref().map(|file| {
        let text = password(&file.value)?;
        key_of(text.expose_secret()).map_err(|error| format!("{}: {error}", file.value.display()))
    });
    let authorities = entry.ca.as_deref().map(authorities).transpose();
    let options = WebhookOptions {
        url: entry.url.expose().to_owned(),
        key: key.transpose()?,
        kinds: entry.kinds.clone(),
        format: entry.format,
        reach: entry.reach,
        authorities: authorities.map_err(|failure| failure.to_string())?,
        wall: clock::now,
    };
    Webhook::new(options).map(Arc::new).map_err(|error| error.to_string())
}

fn oracle(entry: &OracleEntry) -> Result<OracleOptions, String> {
    Ok(OracleOptions {
        name: entry.name.clone(),
        url: entry.url.value.expose().to_owned(),
        headers: headers(entry.secrets.bearer.as_ref(), entry.secrets.headers.as_ref())?,
        asks: entry.asks,
        fields: entry.fields.clone(),
        max_age: entry.max_age,
        deadline: entry.deadline,
    })
}

fn judge(entry: &JudgeEntry) -> Result<Arc<HttpJudge>, String> {
    let options = JudgeOptions {
        url: entry.url.value.expose().to_owned(),
        headers: headers(entry.secrets.bearer.as_ref(), entry.secrets.headers.as_ref())?,
        model: entry.model.clone(),
        deadline: entry.deadline,
    };
    HttpJudge::new(options).map(Arc::new).map_err(|error| error.to_string())
}
