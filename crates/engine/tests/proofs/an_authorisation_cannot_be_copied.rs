use countersign_core::transaction::UnsignedTransaction;
use countersign_engine::stage::Authorized;

fn copy(authorized: &Authorized<UnsignedTransaction>) -> Authorized<UnsignedTransaction> {
    authorized.clone()
}

fn main() {}
