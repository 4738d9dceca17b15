use countersign_core::{identity::PolicyId, intent::Intent};
use countersign_policy::decision::Hold;

fn forge(intent: Intent, policy: PolicyId) -> Hold {
    Hold {
        intent,
        charges: Vec::new(),
        policy,
        gates: Vec::new(),
        asks: Vec::new(),
        code: String::new(),
        reason: String::new(),
        triggers: Vec::new(),
    }
}

fn main() {}
