use countersign_core::identity::OperationId;
use countersign_engine::{port::ledger::SignedBytes, stage::Signed};

fn claim(operation: OperationId, bytes: SignedBytes) -> Signed {
    Signed { operation, attempt: 0, bytes }
}

fn main() {}
