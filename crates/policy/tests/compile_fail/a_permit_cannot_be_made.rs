use countersign_core::{identity::PolicyId, intent::Intent};
use countersign_policy::decision::Permit;

fn forge(intent: Intent, policy: PolicyId) -> Permit {
    Permit { intent, charges: Vec::new(), policy }
}

fn main() {}
