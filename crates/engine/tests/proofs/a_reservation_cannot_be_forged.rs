use countersign_core::operation::OperationRecord;
use countersign_engine::stage::{Reservation, Reserved};
use countersign_policy::decision::Permit;

fn forge(permit: Permit, record: Box<OperationRecord>) -> Reservation<Reserved> {
    Reservation::<Reserved>::new(permit, record)
}

fn main() {}
