use countersign_policy::decision::{Outcome, Permit};

fn twice(permit: Permit) -> (Outcome, Outcome) {
    (permit.overrun(&[]), permit.overrun(&[]))
}

fn main() {}
