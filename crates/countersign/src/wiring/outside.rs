//! Oracles and the judge, from what the configuration says of them.

use std::sync::Arc;

use countersign_upstream::{HttpJudge, HttpOracles, JudgeOptions, OracleOptions};

use super::headers::headers;
use crate::config::{JudgeEntry, OracleEntry, Place};

/// Whom policies and mandates need. Nothing is remembered over a reload: answers are short-lived.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    pub(super) oracles: Option<Arc<HttpOracles>>,
    pub(super) judge: Option<Arc<HttpJudge>>,
}

impl Outside {
    /// Connects to nothing yet.
    pub(super) fn open(
        oracles: &[OracleEntry],
        judge: Option<&JudgeEntry>,
    ) -> Result<Self, (Place, String)> {
        let judge = judge.map(|entry| self::judge(entry).map_err(|m| (entry.place, m)));
        let Some(first) = oracles.first() else {
            return Ok(Self { oracles: None, judge: judge.transpose()? });
        };
        let options = oracles.iter().map(|entry| oracle(entry).map_err(|m| (entry.place, m)));
        let opened = HttpOracles::new(options.collect::<Result<_, _>>()?);
        let opened = opened.map_err(|error| (first.place, error.to_string()))?;
        Ok(Self { oracles: Some(Arc::new(opened)), judge: judge.transpose()? })
    }
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
