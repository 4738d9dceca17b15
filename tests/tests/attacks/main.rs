//! Inputs that must not get through: each row of `tests/vectors` goes through the real door of the real
//! binary, must be answered as it says, and must leave nothing behind: no call that could act reaches the
//! node, the wallets' nonces do not move, and no signature comes into being, but for what the row expects.
//!
//! `COUNTERSIGN_ROW=RE-8` runs the rows whose id and title begin so.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and how long rows take is printed"
)]

mod books;
mod expectation;
mod request;
mod runner;
mod scene;
mod table;
mod vector;
mod words;

macro_rules! vectors {
    ($($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            runner::run(include_str!(concat!("../../vectors/", stringify!($name), ".json"))).await;
        })+

        /// Every file of the folder is run.
        #[test]
        fn no_vector_is_forgotten() {
            table::every_file_is_run(&[$(concat!(stringify!($name), ".json")),+]);
        }
    };
}

vectors! {
    json, transport, methods, transactions, bundles, calldata, prices, scenarios, approvals, tenancy, money, nonces,
    signatures, watch, evidence
}

/// The lists of attacks on money and on judgement are complete: each has a row, or a test that proves it.
#[test]
fn each_listed_attack_has_a_row() {
    table::each_id_has_a_row();
}

/// A row that points elsewhere points at something.
#[test]
fn each_proof_is_where_its_row_says() {
    table::each_proof_is_there();
}
