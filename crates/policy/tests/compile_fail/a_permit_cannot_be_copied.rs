use countersign_policy::decision::Permit;

fn copy(permit: &Permit) -> Permit {
    permit.clone()
}

fn main() {}
