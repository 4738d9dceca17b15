//! Keys: Web3 keystores today.
//!
//! A key leaves its file only to become a [`KeystoreSigner`], and a signer signs what the engine
//! authorised; an operator's own key signs approvals. There is no function here that signs a digest and none that gives a key back.

mod approver;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keystore;
mod narrow;
mod storage;

pub use self::{
    approver::ApproverKey,
    file::is_readable_by_others,
    keystore::{KeystoreError, KeystoreSigner, create, import, read_address},
    storage::{Cost, StorageError, Weakness},
};
