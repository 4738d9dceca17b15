use countersign_engine::stage::{Authorized, Bound};

fn forge(bound: Bound, operation: countersign_core::identity::OperationId) -> Authorized {
    Authorized { operation, bound, given: None }
}

fn main() {}
