//! The whole bot: host, teloxide and component against the stand-in for the Bot API, as people see it.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[path = "telegram/digest.rs"]
mod digest;
#[path = "telegram/failures.rs"]
mod failures;
#[path = "telegram/groups.rs"]
mod groups;
#[path = "telegram/hostile.rs"]
mod hostile;
#[path = "telegram/operators.rs"]
mod operators;
#[path = "telegram/people.rs"]
mod people;
#[path = "telegram/presses.rs"]
mod presses;
#[path = "telegram/review.rs"]
mod review;
#[path = "telegram/room.rs"]
mod room;
#[path = "telegram/talking.rs"]
mod talking;
#[path = "telegram/tasks.rs"]
mod tasks;
