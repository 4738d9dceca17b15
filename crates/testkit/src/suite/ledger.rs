//! The money protocol, as tests: what every ledger answers to what.
//!
//! What the port leaves open is fixed here, so that all stores agree:
//! - operations of the same millisecond are ordered by their id;
//! - `commit` looks at: already bound, state, seal, freeze, nonce, in-flight, in this order;
//! - a conflict releases its charges, and like every terminal state it does not hold its lane open;
//! - `frees_at` is `None` where the asked amount fits now; in `Over` it is asked for the charge together
//!   with the earlier ones of the reservation on the same counter;
//! - a record's `delivery` is shown as it was stored: a dead gateway's `Waiting` counts as `Owed` in
//!   `find`, `reserve`, `deny` and `deliver` only;
//! - a repeated call writes nothing; each of the others adds one entry or more to the log;
//! - the cursor of a list is the id of the page's last operation;
//! - `sent` stores `accepted`, or the node's words, as the attempt's outcome.

#![expect(missing_docs, reason = "the tests' names are sentences")]

pub mod asking;
pub mod reserving;

/// Runs the whole suite against one store. Takes an async function that makes a fresh bench; the crate
/// that calls this needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! ledger_suite {
    ($make:path) => {
        $crate::ledger_suite!(@ $make, reserving:
            a_reservation_is_charged_and_recorded
            the_same_operation_reserved_again_is_the_same_and_charges_once
            the_last_unit_of_a_limit_fits_and_the_next_does_not
            all_charges_fit_or_none_is_made
            charges_on_one_counter_add_up_within_a_reservation
            a_sum_above_2_to_the_53_never_fits
            an_overrun_that_asks_people_is_refused_unless_waived_or_parked
            a_calendar_window_must_contain_now
            a_denied_operation_is_recorded_and_charges_nothing
            two_hundred_at_once_and_exactly_seven_fit
        );
        $crate::ledger_suite!(@ $make, asking:
            a_key_finds_its_operation_for_ever
            a_key_with_another_payload_is_a_conflict
            without_a_key_the_owed_result_is_found_until_collected
            an_owed_result_is_kept_for_24_hours_after_it_is_finished
            a_recent_answer_repeats_within_the_window_only
            entries_of_one_batch_are_never_each_others_duplicates
            a_keyed_operation_is_never_found_without_its_key
            what_waits_at_a_dead_gateway_is_owed
        );
    };
    (@ $make:path, $module:ident: $($test:ident)+) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let mut bench = $make().await;
                    $crate::suite::ledger::$module::$test(&mut bench).await;
                }
            )+
        }
    };
}
