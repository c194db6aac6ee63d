//! A persona that attacks its host in every way it can: each attack fails that one call, in its time, by its name.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use borg_core::persona::{Acceptance, Report};
use borg_plugins::{CallError, Cause, Persona, Plugins};
use serde_json::json;
use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{Home, work};

/// What the machine may add to a bound when it is busy with other things.
const SLACK: Duration = Duration::from_secs(3);

fn hostile(plugins: &Plugins) -> Persona {
    plugins.persona("hostile", None).unwrap()
}

async fn attack(persona: &Persona, mode: &str) -> Result<String, CallError> {
    let assignment = persona.brief(&json!({ "mode": mode }), &work()).await?;
    Ok(assignment.expect("the guest does not refuse").prompt)
}

#[tokio::test]
async fn each_attack_fails_its_own_call_and_the_next_works() {
    let mut home = Home::hostile();
    home.limits.persona = Duration::from_millis(1_500);
    let persona = hostile(&home.open_whole().await);
    let limit = home.limits.memory as u64;
    type Check = fn(&Cause) -> bool;
    let attacks: [(&str, Check); 11] = [
        ("loop", |cause| matches!(cause, Cause::TimedOut(_))),
        ("sleep", |cause| matches!(cause, Cause::TimedOut(_))),
        ("alloc", |cause| matches!(cause, Cause::Memory { .. })),
        ("big", |cause| matches!(cause, Cause::Memory { .. })),
        ("aliased", |cause| matches!(cause, Cause::OutputTooLarge { limit: 33_554_432 })),
        ("recurse", |cause| matches!(cause, Cause::Trap(_))),
        ("deepen", |cause| *cause == Cause::Stack),
        ("panic", |cause| matches!(cause, Cause::Trap(_))),
        ("chatty-panic", |cause| matches!(cause, Cause::Trap(_))),
        ("exit", |cause| matches!(cause, Cause::Exited(_))),
        ("loop", |cause| matches!(cause, Cause::TimedOut(_))),
    ];
    for (mode, is_right) in attacks {
        let started = Instant::now();
        let error = attack(&persona, mode).await.unwrap_err();
        assert!(is_right(&error.cause), "{mode}: {error:?}");
        assert!(started.elapsed() < home.limits.persona + SLACK, "{mode} took {:?}", started.elapsed());
        let message = error.to_string();
        assert!(message.starts_with("persona plugin `hostile` failed in `brief`: "), "{message}");
        if let Cause::Memory { asked, limit: told } = error.cause {
            assert!(told == limit && asked > limit, "{message}");
        }
        assert_eq!(attack(&persona, "").await.unwrap(), "behaves", "after {mode}");
    }
}

#[tokio::test]
async fn last_words_of_a_panic_are_told() {
    let home = Home::hostile();
    let persona = hostile(&home.open_whole().await);
    let error = attack(&persona, "panic").await.unwrap_err();
    assert!(error.stderr.contains("a guest panics on purpose"), "{error:?}");
    assert!(error.to_string().contains("its last words: "), "{error}");
    let error = attack(&persona, "chatty-panic").await.unwrap_err();
    assert!(error.stderr.contains("after much talk"), "the end is kept, not the beginning: {error:?}");
    assert!(error.stderr.len() <= 4 << 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_calls_go_on_beside_attacks() {
    let mut home = Home::hostile();
    home.limits.persona = Duration::from_secs(2);
    let persona = hostile(&home.open_whole().await);
    let attacks: Vec<_> = ["loop", "loop", "loop", "sleep", "alloc", "recurse", "aliased", "panic"]
        .map(|mode| {
            let persona = persona.clone();
            tokio::spawn(async move { attack(&persona, mode).await })
        })
        .into();
    for _ in 0..100 {
        assert_eq!(attack(&persona, "").await.unwrap(), "behaves");
    }
    for attack in attacks {
        attack.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_looping_guest_leaves_room_on_a_single_thread() {
    let mut home = Home::hostile();
    home.limits.persona = Duration::from_secs(2);
    let persona = hostile(&home.open_whole().await);
    let looping = attack(&persona, "loop");
    let behaving = async {
        let mut calls = 0;
        while calls < 20 {
            assert_eq!(attack(&persona, "").await.unwrap(), "behaves");
            calls += 1;
        }
        Instant::now()
    };
    let ended = async { (looping.await, Instant::now()) };
    let (behaved_at, (looped, ended_at)) = tokio::join!(behaving, ended);
    assert!(matches!(looped.unwrap_err().cause, Cause::TimedOut(_)));
    assert!(behaved_at < ended_at, "twenty calls waited for the one that loops");
}

#[tokio::test]
async fn waiting_for_a_place_is_not_the_callers_time_and_a_dropped_call_frees_its_place() {
    let mut home = Home::hostile();
    home.limits.persona = Duration::from_millis(300);
    home.limits.concurrent = 1;
    let persona = hostile(&home.open_whole().await);
    let (one, two, three, fourth) = tokio::join!(
        attack(&persona, "sleep"),
        attack(&persona, "loop"),
        attack(&persona, "sleep"),
        attack(&persona, "")
    );
    for error in [one, two, three] {
        assert!(matches!(error.unwrap_err().cause, Cause::TimedOut(_)));
    }
    assert_eq!(fourth.unwrap(), "behaves");
    for mode in ["sleep", "loop"] {
        assert!(tokio::time::timeout(Duration::from_millis(50), attack(&persona, mode)).await.is_err());
        assert_eq!(attack(&persona, "").await.unwrap(), "behaves");
    }
}

#[tokio::test]
async fn nothing_of_the_host_is_there() {
    let home = Home::hostile();
    let persona = hostile(&home.open_whole().await);
    for (mode, seen) in [
        ("env", "[] []"),
        ("stdin", "Ok(0) \"\""),
        ("stdout", "printed"),
        ("time", "Ok(0ns)"),
        ("remember", "1"),
        ("remember", "1"),
    ] {
        assert_eq!(attack(&persona, mode).await.unwrap(), seen, "{mode}");
    }
    let order = attack(&persona, "hash").await.unwrap();
    assert_eq!(attack(&persona, "hash").await.unwrap(), order, "the same input gives the same order");
}

#[tokio::test]
async fn values_arrive_and_return_as_they_were() {
    let home = Home::hostile();
    let persona = hostile(&home.open_whole().await);
    let settings = json!({"mode": "echo", "ü": [1, "\u{1f600}"]});
    let assignment = persona.brief(&settings, &work()).await.unwrap().unwrap();
    assert_eq!(assignment.prompt, settings.to_string());
    assert_eq!((assignment.system_prompt.as_str(), assignment.tools), ("impl", vec!["Bash".to_owned()]));
    let seen = attack(&persona, "task").await.unwrap();
    for part in ["id: 12", "Add a parser", "that parses", "acme/shop", "main", "read-only: false"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    let refused = persona.brief(&json!({"mode": "refuse"}), &work()).await.unwrap();
    assert_eq!(refused, Err("does not want to".to_owned()));
    for (message, wanted) in [
        ("good", Acceptance::Accept),
        ("retry", Acceptance::Retry("impl".into())),
        ("fail", Acceptance::Fail("a,b".into())),
    ] {
        let report = Report {
            message: message.into(),
            artefacts: vec![],
            changed: vec!["a".into(), "b".into()],
            left_behind: vec![],
        };
        assert_eq!(persona.accept(&json!({}), &work(), &report).await.unwrap(), wanted);
    }
    assert_eq!(persona.describe().await.unwrap(), *persona.info());
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that calls in these modes leave in the host's log.
async fn logged(home: &Home, modes: &[&str]) -> Vec<String> {
    let persona = hostile(&home.open_whole().await);
    let written = Written::default();
    let theirs = written.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || theirs.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for mode in modes {
        assert_eq!(attack(&persona, mode).await.unwrap(), "logged");
    }
    drop(guard);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().filter(|line| line.contains(" plugin: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn log_lines_are_named_neutral_and_limited() {
    let home = Home::hostile();
    let lines = logged(&home, &["log"]).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("plugin=\"hostile\""), "{lines:?}");
    assert!(lines[0].contains("looks \\u{1b}[31mred"), "{lines:?}");

    let lines = logged(&home, &["log-flood"]).await;
    assert_eq!(lines.len(), 1_001);
    assert!(lines.iter().all(|line| line.len() < 4_300));
    assert!(lines[1_000].contains("dropped=4000"), "{}", lines[1_000]);
}

#[tokio::test]
async fn ungranted_log_lines_go_nowhere() {
    let mut home = Home::hostile();
    home.permits.policy.log = false;
    assert!(logged(&home, &["log", "log-flood"]).await.is_empty());
}
