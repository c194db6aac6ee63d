//! The table: where a task is, what comes back or what a person says, where it is then, and what it owes next.

use super::{
    doers::{Choice, Opinion, Tests, Work},
    world::{World, digest_of, person, word},
};
use crate::{
    effect::Order,
    event::{self, Body, Meanwhile},
    executor::{EndCause, OutcomeStatus},
    id::TaskId,
    owner::Owner,
    people::Role,
    persona::Acceptance,
    task::{Phase, Status},
};
use Choice::{Collected, Done, Ended, Failed, Judged, NoCommand, NotStarted, PluginFailed, Said, Tested};
use Status::{Approved, Blocked, Cancelled, Completed, NeedsReview, Parked, Queued, Rejected, Running};

/// Pipeline, stage and kind of what is owed; the answer; the status then, and what is owed then.
type Row = (&'static str, &'static str, &'static str, Choice, Status, &'static [&'static str]);

/// What the latest event owed, without what is only told.
fn owed(world: &World) -> Vec<&'static str> {
    let orders = world.latest.iter().map(|effect| &effect.order);
    orders.filter(|order| !matches!(order, Order::Tell(_))).map(word).collect()
}

fn exited(status: OutcomeStatus) -> Choice {
    Ended(EndCause::Exited, status)
}

fn failed(cause: EndCause) -> Choice {
    Ended(cause, OutcomeStatus::Failed)
}

#[test]
fn every_answer_leads_where_it_should() {
    let retry = || Said(Acceptance::Retry("why".into()));
    let fail = || Said(Acceptance::Fail("why".into()));
    let accept = || Said(Acceptance::Accept);
    let transient = NotStarted { transient: true };
    let broken = NotStarted { transient: false };
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        ("feature", "spec", "prepare", Done, Running, &["check"]),
        ("feature", "spec", "prepare", NoCommand, Blocked, &[]),
        ("feature", "spec", "prepare", Failed, Blocked, &[]),
        ("ask", "answer", "prepare", Done, Running, &["brief"]),
        // The baseline.
        ("feature", "spec", "check", Tested(Tests::Green), Running, &["forget", "brief"]),
        ("feature", "spec", "check", Tested(Tests::Red), Running, &["forget", "check"]),
        ("feature", "spec", "check", Tested(Tests::Missing), Blocked, &["forget"]),
        ("feature", "spec", "check", Tested(Tests::TimedOut), Blocked, &["forget"]),
        ("feature", "spec", "check", Tested(Tests::SandboxFailed), Blocked, &["forget"]),
        ("feature", "spec", "brief", Done, Running, &["run"]),
        ("feature", "spec", "brief", Failed, Status::Failed, &[]),
        ("feature", "spec", "brief", PluginFailed, Blocked, &[]),
        ("feature", "impl", "run", exited(OutcomeStatus::Completed), Running, &["collect"]),
        ("feature", "impl", "run", exited(OutcomeStatus::Failed), Running, &["forget", "brief"]),
        ("feature", "impl", "run", exited(OutcomeStatus::Capped), Running, &["collect"]),
        ("feature", "impl", "run", exited(OutcomeStatus::Auth), Blocked, &["forget"]),
        ("feature", "impl", "run", exited(OutcomeStatus::RateLimited), Parked, &["forget"]),
        ("feature", "impl", "run", exited(OutcomeStatus::Transient), Parked, &["forget"]),
        ("feature", "impl", "run", failed(EndCause::KilledBySignal), Running, &["forget", "brief"]),
        ("feature", "impl", "run", failed(EndCause::TimedOut), Running, &["forget", "brief"]),
        ("feature", "impl", "run", failed(EndCause::Silent), Running, &["forget", "brief"]),
        ("feature", "impl", "run", Ended(EndCause::Silent, OutcomeStatus::Transient), Parked, &["forget"]),
        ("feature", "impl", "run", Ended(EndCause::TimedOut, OutcomeStatus::RateLimited), Parked, &["forget"]),
        ("feature", "impl", "run", Ended(EndCause::TimedOut, OutcomeStatus::Auth), Blocked, &["forget"]),
        ("feature", "impl", "run", failed(EndCause::OutOfMemory), Running, &["forget", "brief"]),
        ("feature", "impl", "run", failed(EndCause::OutputCap), Running, &["forget", "brief"]),
        ("feature", "impl", "run", failed(EndCause::DiskCap), Running, &["forget", "brief"]),
        ("feature", "impl", "run", failed(EndCause::Capped), Running, &["collect"]),
        ("feature", "impl", "run", failed(EndCause::Cancelled), Running, &["collect"]),
        ("feature", "impl", "run", failed(EndCause::Lost), Parked, &["forget"]),
        ("feature", "impl", "run", transient, Parked, &["forget"]),
        ("feature", "impl", "run", broken, Blocked, &["forget"]),
        ("feature", "impl", "run", PluginFailed, Blocked, &["forget"]),
        ("feature", "impl", "collect", Collected(Work::Changed), Running, &["forget", "accept"]),
        ("feature", "impl", "collect", Collected(Work::Nothing), Running, &["forget", "accept"]),
        ("feature", "impl", "collect", Failed, Blocked, &[]),
        ("feature", "spec", "accept", accept(), Running, &["brief"]),
        ("feature", "impl", "accept", accept(), Running, &["check"]),
        ("feature", "impl", "accept", retry(), Running, &["brief"]),
        ("feature", "impl", "accept", fail(), Status::Failed, &[]),
        ("feature", "impl", "accept", PluginFailed, Blocked, &[]),
        ("ask", "answer", "accept", accept(), Running, &["deliver"]),
        // The check after a stage that must be red, and after one that must be green.
        ("feature", "qa", "check", Tested(Tests::Red), Running, &["forget", "check"]),
        ("feature", "qa", "check", Tested(Tests::BuildRed), Running, &["forget", "check"]),
        ("feature", "qa", "check", Tested(Tests::Green), Running, &["forget", "brief"]),
        ("feature", "qa", "check", Tested(Tests::Missing), Blocked, &["forget"]),
        ("feature", "impl", "check", Tested(Tests::Green), Running, &["forget", "judge"]),
        ("feature", "impl", "check", Tested(Tests::Red), Running, &["forget", "check"]),
        ("feature", "impl", "check", Tested(Tests::TimedOut), Blocked, &["forget"]),
        ("feature", "impl", "check", Tested(Tests::SandboxFailed), Blocked, &["forget"]),
        ("feature", "judge", "judge", Judged(Opinion::Clean), Running, &["deliver"]),
        ("feature", "judge", "judge", Judged(Opinion::Doubtful), NeedsReview, &[]),
        ("feature", "judge", "judge", Judged(Opinion::RuleFailed), NeedsReview, &[]),
        ("feature", "judge", "judge", Judged(Opinion::Bad), Blocked, &[]),
        ("feature", "deliver", "deliver", Done, Completed, &[]),
        ("feature", "deliver", "deliver", Failed, Blocked, &[]),
        ("ask", "deliver", "deliver", Done, Completed, &[]),
        ("ask", "deliver", "deliver", Failed, Blocked, &[]),
    ];
    for (pipeline, stage, kind, answer, status, effects) in rows {
        let mut world = World::new();
        let task = world.create(pipeline, "acme/shop");
        world.reach(task, stage, kind);
        world.answer(task, &answer);
        assert_eq!((world.status(task), &owed(&world)[..]), (status, effects), "{stage}/{kind} {answer:?}");
        world.drain();
        world.hold_the_end();
    }
}

/// A component's words in what the host tells are told as its own.
#[test]
fn what_a_persona_says_of_the_end_is_told_as_its_word() {
    let mut world = World::new();
    let task = world.create("feature", "acme/shop");
    world.reach(task, "impl", "accept");
    world.answer(task, &Said(Acceptance::Fail("approved by telegram:1".into())));
    let Phase::Ended { reason, .. } = &world.task(task).phase else { panic!() };
    assert_eq!(reason, "the persona gave up: approved by telegram:1");
}

/// A task in a place, by the word for it.
fn placed(place: &str) -> (World, TaskId) {
    let mut world = World::new();
    if place == "queued" {
        let by = person(Role::Owner);
        world.happen(Owner::Host, Body::Said(event::Said::Paused { by }));
    }
    let task = world.create("quick", "acme/shop");
    let mut go = |stage: &str, kind: &str, answers: &[Choice]| {
        world.reach(task, stage, kind);
        for answer in answers {
            world.answer(task, answer);
        }
    };
    match place {
        "queued" => {}
        "preparing" => go("impl", "prepare", &[]),
        "baseline" => go("impl", "check", &[]),
        "briefing" => go("impl", "brief", &[]),
        "agent" => go("impl", "run", &[]),
        "collecting" => go("impl", "collect", &[]),
        "accepting" => go("impl", "accept", &[]),
        "checking" => go("impl", "accept", &[Said(Acceptance::Accept)]),
        "judging" => go("judge", "judge", &[]),
        "delivering" => go("deliver", "deliver", &[]),
        "parked" => go("impl", "run", &[exited(OutcomeStatus::RateLimited)]),
        "blocked" => go("impl", "run", &[exited(OutcomeStatus::Auth)]),
        "blocked by verdict" => go("judge", "judge", &[Judged(Opinion::Bad)]),
        "blocked at delivery" => go("deliver", "deliver", &[Failed]),
        "needs review" => go("judge", "judge", &[Judged(Opinion::Doubtful)]),
        "approved" => {
            go("judge", "judge", &[Judged(Opinion::Doubtful)]);
            let digest = digest_of(world.task(task));
            world.happen(
                task,
                Body::Said(event::Said::Approved { by: person(Role::Admin), digest, note: String::new() }),
            );
        }
        "ended" => go("impl", "brief", &[Failed]),
        other => panic!("{other}"),
    }
    (world, task)
}

#[test]
fn every_word_of_a_person_leads_where_it_should() {
    const STOPS: &[&str] = &["stop"];
    #[rustfmt::skip]
    let rows = [
        // place, then where cancel (and what it owes), retry, approve, reject and the deadline lead
        ("queued", Cancelled, &[][..], [Queued, Queued, Queued, Queued]),
        ("preparing", Cancelled, &[], [Running; 4]),
        ("baseline", Running, STOPS, [Running; 4]),
        ("briefing", Cancelled, &[], [Running; 4]),
        ("agent", Running, STOPS, [Running; 4]),
        ("collecting", Running, &[], [Running; 4]),
        ("accepting", Cancelled, &[], [Running; 4]),
        ("checking", Running, STOPS, [Running; 4]),
        ("judging", Cancelled, &[], [Running; 4]),
        ("delivering", Running, &[], [Running; 4]),
        ("parked", Cancelled, &[], [Running, Parked, Parked, Running]),
        ("blocked", Cancelled, &[], [Running, Blocked, Blocked, Blocked]),
        ("blocked by verdict", Cancelled, &[], [Blocked, Approved, Rejected, Blocked]),
        ("blocked at delivery", Cancelled, &[], [Approved, Blocked, Blocked, Blocked]),
        ("needs review", Cancelled, &[], [NeedsReview, Approved, Rejected, NeedsReview]),
        ("approved", Approved, &[], [Approved; 4]),
        ("ended", Status::Failed, &[], [Status::Failed; 4]),
    ];
    for (place, cancelled, owes, others) in rows {
        let (mut world, task) = placed(place);
        world.happen(task, Body::Said(event::Said::CancelRequested { by: person(Role::Member) }));
        assert_eq!((world.status(task), &owed(&world)[..]), (cancelled, owes), "{place}, cancelled");
        world.happen(task, Body::Said(event::Said::CancelRequested { by: person(Role::Member) }));
        assert_eq!(owed(&world), [""; 0], "{place}, cancelled twice");
        world.drain();
        world.hold_the_end();

        for (index, want) in others.into_iter().enumerate() {
            let (mut world, task) = placed(place);
            let digest = match &world.task(task).phase {
                Phase::NeedsReview { .. } | Phase::Blocked { .. } if world.task(task).review.is_some() => {
                    world.task(task).review.as_ref().map(|review| review.digest)
                }
                _ => None,
            };
            let digest = digest.unwrap_or(crate::id::Digest([0; 32]));
            let (by, note) = (person(Role::Owner), String::new());
            let body = match index {
                0 => Body::Said(event::Said::Unblocked { by }),
                1 => Body::Said(event::Said::Approved { by, digest, note }),
                2 => Body::Said(event::Said::Rejected { by, digest, note }),
                _ => Body::Meanwhile(Meanwhile::DeadlinePassed),
            };
            world.now += 86_400_000;
            world.happen(task, body.clone());
            assert_eq!(world.status(task), want, "{place}, {body:?}");
            world.drain();
            world.hold_the_end();
        }
    }
}
