use countersign_core::transaction::UnsignedTransaction;
use countersign_engine::stage::Authorized;

fn forge(payload: UnsignedTransaction, operation: countersign_core::identity::OperationId) -> Authorized<UnsignedTransaction> {
    Authorized { operation, attempt: 0, payload }
}

fn main() {}
