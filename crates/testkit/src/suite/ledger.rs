//! The money protocol, as tests: what every ledger answers to what.
//!
//! What the port leaves open is fixed here, so that all stores agree:
//! - operations of the same millisecond are ordered by their id;
//! - a conflict releases its charges, and like every terminal state it does not hold its lane open;
//! - a repeated rejection is known by its code and reason; whether it is void was said by the first;
//! - a void operation's record still shows its key, and `deliver` moves its delivery like any other's;
//! - `open` for no states finds nothing;
//! - `frees_at` is `None` where the asked amount fits now; in `Over` it is asked for the charge together
//!   with the earlier ones of the reservation on the same counter;
//! - a record's `delivery` is shown as it was stored: a dead gateway's `Waiting` counts as `Owed` in
//!   `find`, `reserve`, `deny` and `deliver` only;
//! - a repeated call writes nothing, but a redemption that its own gateway repeats, which charges the
//!   same again in place of what was there; each of the others adds one entry or more to the log;
//! - the cursor of a list is the id of the page's last operation;
//! - `sent` stores `accepted`, or the node's words, as the attempt's outcome.

#![expect(missing_docs, reason = "the tests' names are sentences")]

pub mod adopting;
pub mod asking;
pub mod bumping;
pub mod cancelling;
pub mod committing;
pub mod keeping;
pub mod messaging;
pub mod people;
pub mod questions;
pub mod racing;
pub mod random;
pub mod redeeming;
pub mod reserving;
pub mod sending;
pub mod settling;
pub mod speaking;
pub mod splitting;
pub mod telling;
pub mod windowing;

/// Runs the whole suite against one store. Takes an async function that makes a fresh bench; the crate
/// that calls this needs tokio with `macros` and `rt-multi-thread`. Behind `shared`, the bench is a
/// [`SharedBench`](crate::suite::SharedBench): the tests of a module are one test, and random steps are left out.
#[macro_export]
macro_rules! ledger_suite {
    (shared $make:path) => {
        $crate::ledger_suite!(@all shared $make);
    };
    ($make:path) => {
        $crate::ledger_suite!(@all each $make);

        #[test]
        fn every_answer_is_the_models() {
            $crate::suite::ledger::random::every_answer_is_the_models($make);
        }
    };
    (@all $mode:ident $make:path) => {
        $crate::ledger_suite!(@ $mode $make, reserving:
            a_reservation_is_charged_and_recorded
            the_same_operation_reserved_again_is_the_same_and_charges_once
            the_last_unit_of_a_limit_fits_and_the_next_does_not
            all_charges_fit_or_none_is_made
            charges_on_one_counter_add_up_within_a_reservation
            a_sum_above_2_to_the_53_never_fits
            an_overrun_that_asks_people_is_refused_unless_waived_or_parked
            no_more_of_an_agents_operations_wait_than_may
            two_gateways_park_at_once_and_no_more_wait_than_may
            a_calendar_window_must_contain_now
            a_denied_operation_is_recorded_and_charges_nothing
            two_hundred_at_once_and_exactly_seven_fit
        );
        $crate::ledger_suite!(@ $mode $make, adopting:
            a_young_limit_counts_what_is_reserved_committed_and_settled
            what_was_adopted_goes_the_way_of_its_operation
            what_was_settled_long_ago_leaves_with_its_own_bucket
            the_same_adoption_again_adds_nothing
            a_young_limit_counts_every_charge_of_a_bundle
            what_has_moved_or_holds_nothing_is_not_charged
            what_has_another_fee_by_now_is_not_charged
            the_limits_that_count_everything_are_those_noted_last
        );
        $crate::ledger_suite!(@ $mode $make, asking:
            a_key_finds_its_operation_for_ever
            a_key_with_another_payload_is_a_conflict
            without_a_key_the_owed_result_is_found_until_collected
            what_is_answered_at_once_is_owed_from_its_beginning
            an_owed_result_is_kept_for_24_hours_after_it_is_finished
            a_recent_answer_repeats_within_the_window_only
            a_finished_answer_that_still_waits_is_recent_or_nothing
            a_void_operation_frees_its_key_for_another
            a_void_operation_is_never_repeated
            entries_of_one_batch_are_never_each_others_duplicates
            a_keyed_operation_is_never_found_without_its_key
            what_waits_at_a_dead_gateway_is_owed
            a_survey_says_what_each_question_says
        );
        $crate::ledger_suite!(@ $mode $make, people:
            a_vote_that_completes_moves_a_parked_operation_to_approved
            a_passkey_counts_on_or_its_vote_is_refused
            a_vote_is_refused_for_what_it_does_not_name
            a_repeated_vote_is_the_same_vote
            twenty_vote_at_once_and_one_is_first
            a_rejection_releases_from_any_state_before_commit
            a_rejection_never_touches_what_is_committed_or_not_meant
            what_is_over_expires_oldest_first_and_once
            what_is_allowed_never_expires
            two_sweepers_release_each_operation_once
            commit_and_reject_at_once_and_one_wins
            a_note_is_kept
        );
        $crate::ledger_suite!(@ $mode $make, redeeming:
            redemption_replaces_the_charges
            redemption_that_does_not_fit_leaves_everything
            redemption_may_ask_people_again
            redemption_moves_a_calendar_charge_to_today
            only_what_is_approved_or_forsaken_is_redeemed
            a_gateway_redeems_what_it_took_in_itself
            nothing_is_redeemed_when_its_time_has_come
        );
        $crate::ledger_suite!(@ $mode $make, splitting:
            a_split_shares_the_charges_out_and_moves_no_counter
            the_same_split_again_is_the_same_whatever_happened
            only_what_is_allowed_and_judged_last_is_split
            what_does_not_share_all_the_charges_out_is_no_split
            a_judgement_of_the_whole_does_not_take_the_place_of_its_parts
            what_stands_for_all_its_calls_is_not_split_although_they_are_there
            a_part_is_found_by_no_request_and_survives
        );
        $crate::ledger_suite!(@ $mode $make, committing:
            a_commit_binds_nonce_and_payload_and_moves_the_money
            a_second_commit_returns_the_same_nonce_whatever_happened
            nonces_follow_each_other_and_the_floor_counts_on_an_empty_lane_only
            on_a_shared_lane_the_floor_counts_while_something_is_in_flight
            lanes_of_other_wallets_and_chains_are_their_own
            a_fixed_nonce_is_bound_in_its_turn
            only_so_many_are_in_flight
            only_what_is_allowed_is_committed
            no_commit_from_the_deadline_on
            a_deadline_is_looked_at_after_the_state_and_before_the_seal
            no_commit_under_a_freeze_that_covers_it
            no_commit_under_the_seal
            counterparties_are_remembered_from_commit_on
            sixty_four_commit_at_once_without_a_gap
            a_commit_of_an_older_judgement_binds_nothing
        );
        $crate::ledger_suite!(@ $mode $make, speaking:
            each_word_leads_where_it_may_and_is_kept
            no_commit_under_a_pact_that_people_ended
            no_message_is_bound_under_a_pact_that_people_ended
            what_was_said_outlives_a_crash
            an_end_against_sixty_four_commits
            of_words_at_once_one_is_first
        );
        $crate::ledger_suite!(@ $mode $make, keeping:
            a_fixed_nonce_is_kept_for_a_minute_while_people_are_asked
            a_kept_nonce_is_for_the_one_that_keeps_it
            a_kept_nonce_is_freed_by_rejection_and_expiry
            a_nonce_is_kept_in_its_own_lane_and_across_a_crash
        );
        $crate::ledger_suite!(@ $mode $make, bumping:
            a_bump_binds_a_further_attempt_and_charges_the_difference
            the_same_bump_again_is_the_same
            a_bump_that_does_not_fit_leaves_everything
            charges_on_one_counter_add_up_within_a_bump
            only_a_counter_that_it_raises_can_refuse_a_bump
            nothing_but_the_fee_may_differ
            no_bump_before_the_newest_attempt_is_signed
            nothing_is_bumped_that_is_not_on_its_way
            no_bump_under_a_freeze_or_the_seal
            each_attempt_has_bytes_of_its_own
            the_receipt_of_any_attempt_counts
            sixty_four_bumps_at_once_and_one_is_bound
            a_bump_takes_no_nonce
        );
        $crate::ledger_suite!(@ $mode $make, cancelling:
            a_cancel_moves_to_cancelling_and_is_charged_without_a_check
            a_cancel_is_bound_from_prepared_on
            a_cancel_may_be_bumped_by_another_and_no_payload_comes_after_it
            nothing_but_a_transfer_of_nothing_to_itself_is_a_cancel
            only_the_freeze_of_all_stops_a_cancel
            no_cancel_under_the_seal
            what_the_node_says_to_a_cancel_is_kept_and_moves_nothing
            a_final_cancel_settles_its_fee_and_releases_the_rest
            a_payload_that_was_faster_than_its_cancel_is_executed
            a_reorg_takes_a_cancel_back
            a_cancel_holds_its_lane_until_it_is_final
            a_conflict_releases_what_is_cancelled
        );
        $crate::ledger_suite!(@ $mode $make, sending:
            signed_bytes_are_stored_once_and_finish_the_question
            bytes_are_stored_with_what_the_node_said_in_one_step
            never_other_bytes_and_never_another_payload
            what_the_node_says_moves_between_broadcast_and_unknown
            nothing_is_sent_that_is_not_signed
            a_late_word_of_the_node_changes_nothing
            a_receipt_comes_and_goes
            a_receipt_of_bytes_that_are_not_ours_is_refused
        );
        $crate::ledger_suite!(@ $mode $make, settling:
            settlement_keeps_what_the_chain_kept
            a_reverted_transaction_is_settled_as_reverted
            only_what_is_signed_is_settled
            a_bucket_counts_until_its_end_has_left_the_window
            frees_at_is_never_where_reserved_and_committed_stand_in_the_way
            a_calendar_window_frees_at_its_end_and_a_grant_never
            what_settles_after_midnight_counts_where_it_was_charged
            a_reorg_takes_a_settlement_back
            a_reorg_after_the_window_takes_nothing_back_twice
            a_foreign_transaction_at_the_nonce_releases_as_a_conflict
            nothing_else_is_released_by_a_proof
            when_all_is_settled_nothing_is_held
            what_was_settled_in_a_block_is_found_until_a_reorg
            what_was_settled_long_ago_is_forgotten
            no_more_is_settled_than_a_counter_holds
        );
        $crate::ledger_suite!(@ $mode $make, messaging:
            a_message_takes_no_nonce_and_no_place_in_a_lane
            a_message_is_signed_once_and_answers_its_agent
            a_spent_message_is_settled_in_full_and_a_void_one_released
            what_the_chain_says_of_transactions_is_never_said_of_a_message
            a_signed_message_is_no_open_work
        );
        $crate::ledger_suite!(@ $mode $make, telling:
            the_log_says_what_people_want_to_know
            the_log_is_read_in_parts
            one_gateway_at_a_time_tells_a_receiver
            a_turn_outlives_a_crash
            another_version_of_a_policy_is_noted_once
            a_passkey_counts_on_whatever_it_signs
            of_two_that_say_the_same_count_one_is_believed
            too_many_denials_freeze_an_agent
            denials_count_for_as_long_as_is_said
            what_was_counted_before_an_operators_freeze_is_forgotten
            a_freeze_keeps_the_words_of_who_said_why_last
            strikes_outlive_a_crash
            a_hundred_denials_at_once_trip_once
        );
        $crate::ledger_suite!(@ $mode $make, windowing:
            a_window_shows_what_the_model_shows
            a_window_that_has_passed_is_empty
        );
        $crate::ledger_suite!(@ $mode $make, racing:
            sixty_four_tasks_at_two_gateways_keep_every_limit_and_exact_sums
        );
        $crate::ledger_suite!(@ $mode $make, questions:
            a_census_counts_each_state_and_knows_the_oldest
            a_list_is_newest_first_in_pages
            a_list_is_of_states_and_of_an_agent
            open_work_is_what_stands_still
            open_work_is_of_the_states_asked_for
            status_leaves_out_what_the_operation_itself_reserved
            time_never_steps_back
            everything_outlives_a_crash
            after_a_crash_what_waited_is_owed_and_what_was_allowed_is_redeemed
            each_change_and_nothing_else_is_in_the_log
        );
    };
    (@ shared $make:path, $module:ident: $($test:ident)+) => {
        mod $module {
            use super::*;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn one_after_the_other() {
                use $crate::suite::SharedBench as _;
                let mut bench = $make().await;
                $(
                    bench.fresh().await;
                    $crate::suite::ledger::$module::$test(&mut bench).await;
                )+
            }
        }
    };
    (@ each $make:path, $module:ident: $($test:ident)+) => {
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
