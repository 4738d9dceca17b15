//! Inputs that must not get through: each row of `tests/vectors` goes through the real door of the real
//! binary, must be answered as it says, and must leave nothing behind: no call that could act reaches the
//! node, the wallet's nonce does not move, and no signature comes into being, but for what the row expects.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed test panics")]

mod expectation;
mod request;
mod runner;
mod vector;

macro_rules! vectors {
    ($($name:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            runner::run(include_str!(concat!("../../vectors/", stringify!($name), ".json"))).await;
        })+

        /// Every file of the folder is run.
        #[test]
        fn no_vector_is_forgotten() {
            let run = [$(concat!(stringify!($name), ".json")),+];
            let folder = countersign_tests::place::checkout().join("tests/vectors");
            for entry in folder.read_dir().expect("the folder of vectors") {
                let name = entry.expect("an entry").file_name();
                let name = name.to_str().expect("a plain name");
                assert!(!name.ends_with(".json") || run.contains(&name), "nobody runs {name}");
            }
        }
    };
}

vectors! { json, transport, methods, transactions, calldata, approvals, tenancy, reservations }
