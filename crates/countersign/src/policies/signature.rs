//! Signatures beside policy files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use countersign_core::{
    identity::AgentId,
    shelf::{PolicySignature, agent_use, guard_use},
};
use countersign_policy::{Kind, Policy};

use crate::config::{self, Config, Placed, Report};

/// The signatures of a configuration's policies. Where keys are pinned there is one for each.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    /// By agent.
    pub(crate) grants: BTreeMap<AgentId, PolicySignature>,
    /// By the guard's name.
    pub(crate) guards: BTreeMap<String, PolicySignature>,
}

/// Where the signature of a policy file is: its name with `.sig` behind it.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// How a file of this configuration is used.
pub(crate) fn uses(config: &Config, file: &Path, policy: &Policy) -> Vec<String> {
    match policy.kind() {
        Kind::Guard => vec![guard_use(policy.name())],
        Kind::Grant => {
            let agents = config.agents.iter().filter(|agent| agent.policy.value == file);
            agents.map(|agent| agent_use(&agent.id)).collect()
        }
    }
}

/// The signature of a file by a pinned key, where keys are pinned; what is wrong with it is told.
pub(super) fn signature(
    report: &Report,
    config: &Config,
    (file, policy): (&Placed<PathBuf>, &Policy),
    usage: &str,
) -> Option<PolicySignature> {
    let keys = &config.policy_changes.value.keys;
    if keys.is_empty() {
        return None;
    }
    let (place, beside) = (file.place, beside(&file.value));
    let refuse = |what: &str| {
        report.refuse(
            place,
            format!(
                "`{}`: {what}; `countersign policy sign` makes `{}`",
                file.value.display(),
                beside.display()
            ),
        );
        None
    };
    let text = match config::text_of(&beside) {
        Ok(text) => text,
        Err(why) => return refuse(&format!("keys are pinned, and it is not signed ({why})")),
    };
    let signature: PolicySignature = match serde_json::from_str(&text) {
        Ok(signature) => signature,
        Err(error) => return refuse(&format!("its signature cannot be read ({error})")),
    };
    match signature.check(policy.source(), (config.app.as_str(), usage), keys) {
        Ok(()) => Some(signature),
        Err(fault) => refuse(&fault.to_string()),
    }
}
