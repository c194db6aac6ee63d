//! What every journal must keep, and every keeper of mail: one suite, put under each kind there is. It asks through the traits alone.
//!
//! A kind is what implements [`Kind`] and stands in the last lines of this file; a promise is a function that is generic over it, and its line
//! in `promises!`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod asked;
mod events;
mod killed;
mod kind;
mod ledger;
mod mail;
mod posts;
mod sqlite;
mod state;

use kind::Kind;

/// Puts all promises under a kind of journal, as tests in a module of that name.
macro_rules! promises {
    ($name:ident: $kind:ty => $($room:ident::$promise:ident,)*) => {
        mod $name {
            use super::Kind as _;

            #[test]
            fn is_what_its_writer_asks_for() {
                assert_eq!(<$kind>::NAME, stringify!($name));
            }

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    crate::$room::$promise::<$kind>().await;
                }
            )*
        }
    };
}

/// The promises.
macro_rules! conforms {
    ($name:ident: $kind:ty) => {
        promises! { $name: $kind =>
            events::what_is_committed_is_read_back_whole_and_in_order,
            events::numbers_grow_by_one_whoever_commits_and_whatever_fails,
            events::a_batch_is_all_or_nothing,
            events::a_text_that_does_not_fit_its_digest_takes_its_batch_along,
            events::what_is_merely_called_text_stays_in_the_event,
            events::what_was_asked_is_done_though_nobody_waits,
            events::a_reader_beside_the_writer_sees_whole_batches_only,
            events::a_policy_is_in_force_since_it_took_the_place_of_another,
            events::the_last_start_counts,
            state::an_effect_is_owed_until_an_event_settles_it,
            state::what_lives_is_there_for_the_next_process,
            state::what_the_day_cost_is_known_to_the_next_process,
            state::tasks_are_found_by_number_by_age_and_by_where_they_stand,
            state::a_reply_stays_what_it_was_first,
            state::policies_are_kept_under_their_digest,
            ledger::requests_are_kept_by_owner_and_in_order,
            ledger::it_is_read_from_its_end_and_page_by_page,
            ledger::what_was_told_last_of_a_subscription_counts,
            mail::an_update_is_taken_in_once_and_answered_once,
            mail::what_waits_is_read_in_bites,
            mail::a_chat_that_moves_takes_everything_along,
            mail::a_chat_that_puts_us_out_is_owed_nothing,
            mail::what_became_of_chats_comes_with_what_they_brought,
            posts::a_post_goes_out_once,
            posts::edits_collapse_in_the_place_of_the_first,
            posts::what_was_replaced_while_it_was_sent_becomes_an_edit,
            posts::every_chat_has_its_next_post_and_edits_come_after,
            posts::what_is_said_about_a_topic_is_known_and_where,
            posts::what_was_offered_under_a_post_is_offered_there_and_nowhere_else,
            posts::a_group_takes_its_offers_along,
            asked::what_is_asked_back_is_open_for_ten_minutes,
            asked::a_stranger_is_held_once_a_day_until_somebody_decides,
            asked::the_last_note_counts,
            killed::a_writer_writes_what_it_says,
            killed::nothing_that_was_acknowledged_is_lost_and_nothing_is_half,
        }
    };
}

conforms!(sqlite_store: crate::sqlite::Sqlite);
