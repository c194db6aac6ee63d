//! Doers that answer as they are told: every way in which each kind of effect can come back.

use crate::{
    budget::{MicroUsd, Spent, Usage},
    check::{
        Fault, Report, Runner,
        harness::{Cause, Overlaid},
    },
    collect::{Artefact, Collected, CommitId, LeftBehind, LeftReason},
    denial::DenialNote,
    effect::{BriefOrder, Order},
    event::{Answer, Body, Meanwhile, StartFailure},
    evidence::CheckRun,
    executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    facts::{Finding, Severity},
    grant::{self, Ceiling},
    id::{Digest, RunKey, RunKind},
    kept::Kept,
    persona::Acceptance,
    policy::{Expect, PersonaPolicy, StageWork, Via},
    run::Attestation,
    task::Task,
    verdict::RuleFailure,
};
use std::collections::BTreeSet;

const OLD: &str = "tests/test_old.py::test_old";
const NEW: &str = "tests/test_new.py::test_new";

/// How a doer comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Prepared, briefed, stopped, delivered, forgotten, told.
    Done,
    /// Prepared, but there is no test command.
    NoCommand,
    /// Prepare, brief, collect, deliver or tell failed, each in its own words.
    Failed,
    PluginFailed,
    Ended(EndCause, OutcomeStatus),
    NotStarted {
        transient: bool,
    },
    Collected(Work),
    Said(Acceptance),
    /// The agent left a question.
    Asked,
    Tested(Tests),
    /// With the base's harness, and with the change's own.
    TestedWithBoth(Tests, Tests),
    Judged(Opinion),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    Changed,
    Nothing,
    LeftBehind,
    Incomplete,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tests {
    Green,
    Red,
    BuildRed,
    /// The runner is not there.
    Missing,
    TimedOut,
    SandboxFailed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opinion {
    Clean,
    Doubtful,
    Bad,
    RuleFailed,
}

/// Every answer to an order; the first is the one that leads on.
pub fn answers(order: &Order, task: &Task) -> Vec<Choice> {
    use Choice::*;
    match order {
        Order::Prepare(_) => vec![Done, NoCommand, Failed],
        Order::Brief(_) => vec![Done, Failed, PluginFailed],
        Order::Run(_) => {
            let mut all = vec![Ended(EndCause::Exited, OutcomeStatus::Completed)];
            let causes = [
                EndCause::Exited,
                EndCause::KilledBySignal,
                EndCause::TimedOut,
                EndCause::Silent,
                EndCause::OutOfMemory,
                EndCause::OutputCap,
                EndCause::DiskCap,
                EndCause::Capped,
                EndCause::Cancelled,
                EndCause::Lost,
            ];
            all.extend(causes.map(|cause| Ended(cause, OutcomeStatus::Failed)));
            let statuses =
                [OutcomeStatus::Transient, OutcomeStatus::Auth, OutcomeStatus::RateLimited, OutcomeStatus::Capped];
            all.extend(statuses.map(|status| Ended(EndCause::Exited, status)));
            all.extend([NotStarted { transient: true }, NotStarted { transient: false }, PluginFailed]);
            all
        }
        Order::Collect(_) => {
            let mut all = vec![Collected(Work::Changed), Collected(Work::Nothing), Collected(Work::LeftBehind)];
            all.extend([Collected(Work::Incomplete), Failed]);
            all
        }
        Order::Accept(_) => vec![
            Said(Acceptance::Accept),
            Said(Acceptance::Retry("mend it".into())),
            Said(Acceptance::Fail("hopeless".into())),
            Asked,
            PluginFailed,
        ],
        Order::Check(order) => {
            let mut all: Vec<Choice> =
                [Tests::Green, Tests::Red, Tests::BuildRed, Tests::Missing, Tests::TimedOut, Tests::SandboxFailed]
                    .map(Tested)
                    .to_vec();
            let red = matches!(order.run.kind, RunKind::Check | RunKind::Recheck)
                && expectation(task) == Some(Expect::TestsFail);
            all.swap(0, usize::from(red));
            if matches!(order.run.kind, RunKind::Check | RunKind::Recheck) && order.baseline.is_some() {
                let both = [Tests::Green, Tests::Red, Tests::TimedOut];
                all.extend(both.iter().flat_map(|base| both.map(|own| TestedWithBoth(*base, own))));
            }
            all
        }
        Order::Judge(_) => [Opinion::Clean, Opinion::Doubtful, Opinion::Bad, Opinion::RuleFailed].map(Judged).to_vec(),
        Order::Deliver(_) => vec![Done, Failed],
        Order::Tell(_) => vec![Done, Failed],
        Order::Stop(_) | Order::Forget(_) => vec![Done],
    }
}

fn expectation(task: &Task) -> Option<Expect> {
    let stage = task.phase.position()?.stage as usize;
    match &task.spec.pipeline.stages.get(stage)?.work {
        StageWork::Persona { check, .. } => *check,
        StageWork::Judge { .. } | StageWork::Deliver { .. } => None,
    }
}

/// What a doer tells on its way to the answer.
pub fn followers(order: &Order, answer: &Choice) -> Vec<Body> {
    let Order::Run(order) = order else { return Vec::new() };
    let run = order.run;
    if matches!(answer, Choice::NotStarted { .. }) {
        return Vec::new();
    }
    let attestation = Attestation {
        sandbox: "docker".into(),
        image_id: None,
        policy: order.policy,
        landlock_abi: 7,
        seccomp: true,
        missing: Vec::new(),
    };
    let usage = Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() };
    let spent = Spent { turns: 1, usage, cost: MicroUsd(200), ..Spent::default() };
    let denial = DenialNote { what: "tool Bash".into(), rule: "not granted".into(), remedy: String::new() };
    vec![
        Body::Meanwhile(Meanwhile::RunStarted {
            run,
            executor: order.executor.clone(),
            executor_digest: None,
            attestation,
        }),
        Body::Meanwhile(Meanwhile::Progressed {
            run,
            line: 3,
            state: "AA==".into(),
            events: Kept::new("[]"),
            turns: 1,
        }),
        Body::Meanwhile(Meanwhile::Denied { run, denial, path: None }),
        Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None }),
    ]
}

/// The event that settles an order.
pub fn body(order: &Order, answer: &Choice) -> Body {
    match (order, answer) {
        (Order::Prepare(_), Choice::Failed) => {
            Body::Answer(Answer::PrepareFailed { reason: "no image".into(), remedy: "build it".into() })
        }
        (Order::Prepare(order), answer) => Body::Answer(Answer::Prepared {
            branch: "main".into(),
            commit: CommitId("b".repeat(40)),
            check: (order.needs_check && *answer != Choice::NoCommand).then(|| "pytest".into()),
            warnings: Vec::new(),
        }),
        (_, Choice::PluginFailed) => {
            Body::Answer(Answer::PluginFailed { plugin: "p".into(), reason: "trapped".into() })
        }
        (Order::Brief(_), Choice::Failed) => Body::Answer(Answer::BriefRefused { reason: "no title".into() }),
        (Order::Brief(order), _) => {
            let BriefOrder { persona, records, work, .. } = &**order;
            let all = ["Read", "Write", "Edit", "Bash"].map(str::to_owned);
            let ceiling = Ceiling { tools: all.to_vec(), write: vec!["**".into()] };
            let policy = PersonaPolicy {
                tools: vec!["Read".into(), "Write".into()],
                write: vec!["**".into()],
                protect: vec!["stage:qa".into()],
                may_touch_ci: false,
                executor: "scripted".into(),
                budget: None,
                model: None,
                settings: serde_json::Value::Null,
            };
            let wishes = ["**".to_owned()];
            let grant = grant::grant(persona, &all[..2], &wishes, &ceiling, &policy, records, work.task.read_only);
            Body::Answer(Answer::Briefed { assignment: Kept::new("{}"), grant })
        }
        (Order::Run(order), answer) => run_ended(order.run, answer),
        (Order::Stop(order), _) => Body::Answer(Answer::Stopped { run: order.run, cause: order.cause }),
        (Order::Collect(order), Choice::Failed) => {
            Body::Answer(Answer::CollectFailed { run: order.run, reason: "the disk is full".into() })
        }
        (Order::Collect(order), answer) => Body::Answer(Answer::Collected {
            run: order.run,
            collected: collected(order.run, &order.parent, &order.produces, answer),
        }),
        (Order::Accept(_), Choice::Asked) => Body::Answer(Answer::Asked { question: Kept::new("which currency?") }),
        (Order::Accept(_), Choice::Said(acceptance)) => {
            Body::Answer(Answer::Accepted { acceptance: acceptance.clone() })
        }
        (Order::Accept(_), _) => Body::Answer(Answer::Accepted { acceptance: Acceptance::Accept }),
        (Order::Check(order), answer) => {
            let run = match answer {
                // Before anybody wrote a test only the old one is there.
                Choice::Tested(Tests::Green) if order.baseline.is_none() => baseline_run(),
                Choice::Tested(tests) => check_run(*tests),
                Choice::TestedWithBoth(base, own) => CheckRun {
                    overlaid: vec![Overlaid { path: "conftest.py".into(), cause: Cause::TakenOut }],
                    own: Some(Box::new(CheckRun { output: Kept::new("its own output\n"), ..check_run(*own) })),
                    ..check_run(*base)
                },
                _ => check_run(Tests::Green),
            };
            Body::Answer(Answer::Checked { run: order.run, check: Box::new(run) })
        }
        (Order::Judge(order), answer) => judged(&order.incomplete, answer),
        (Order::Deliver(_), Choice::Failed) => {
            Body::Answer(Answer::DeliverFailed { reason: "no such place".into(), remedy: "make it".into() })
        }
        (Order::Deliver(order), _) if order.via == Via::Branch => Body::Answer(Answer::Delivered {
            branch: order.branch.clone(),
            commit: order.commit.clone(),
            pushed_to: Some("/srv/shop".into()),
            answer: None,
        }),
        (Order::Deliver(order), _) => Body::Answer(Answer::Delivered {
            branch: String::new(),
            commit: order.commit.clone(),
            pushed_to: None,
            answer: order.answer.as_ref().map(|file| Kept::new(format!("text of {}", file.name))),
        }),
        (Order::Forget(order), _) => Body::Answer(Answer::Forgotten { run: order.run }),
        (Order::Tell(_), Choice::Failed) => Body::Answer(Answer::TellFailed { reason: "nobody there".into() }),
        (Order::Tell(order), _) => Body::Answer(Answer::Told { notice: order.notice.clone() }),
    }
}

fn run_ended(run: RunKey, answer: &Choice) -> Body {
    let (cause, status, start_error) = match answer {
        Choice::Ended(cause, status) => (*cause, *status, None),
        Choice::NotStarted { transient } => {
            let failure = StartFailure { reason: "no engine".into(), remedy: "start it".into(), transient: *transient };
            (EndCause::Lost, OutcomeStatus::Failed, Some(failure))
        }
        _ => (EndCause::Exited, OutcomeStatus::Completed, None),
    };
    let outcome = Outcome {
        status,
        message: "as I said".into(),
        session: None,
        usage: Usage::default(),
        claimed_cost_micros: None,
        turns: None,
        retry_after_ms: (status == OutcomeStatus::RateLimited).then_some(5_000),
    };
    Body::Answer(Answer::RunEnded {
        run,
        end: RunEnd { cause, exit_code: (cause == EndCause::Exited).then_some(0), stderr_tail: String::new() },
        outcome,
        wall_ms: if start_error.is_some() { 0 } else { 30_000 },
        start_error,
    })
}

fn collected(run: RunKey, parent: &CommitId, produces: &[String], answer: &Choice) -> Collected {
    let (file, changed) = match answer {
        Choice::Collected(Work::Changed | Work::Incomplete) => ("shop.py", true),
        _ => ("", false),
    };
    let commit = CommitId(Digest::of_bytes(run.to_string().as_bytes()).to_string()[..40].to_owned());
    let left = LeftBehind { path: "spec/".into(), reason: LeftReason::NotGranted, count: 2 };
    Collected {
        commit: if changed { commit } else { parent.clone() },
        changed: if changed { vec![file.to_owned()] } else { Vec::new() },
        left_behind: if *answer == Choice::Collected(Work::LeftBehind) { vec![left] } else { Vec::new() },
        incomplete: if *answer == Choice::Collected(Work::Incomplete) { vec!["too much".into()] } else { Vec::new() },
        artefacts: produces
            .iter()
            .map(|name| Artefact { name: name.clone(), digest: Digest::of_bytes(name.as_bytes()), bytes: 9 })
            .collect(),
    }
}

/// A run of pytest with one old test and a new one.
fn check_run(tests: Tests) -> CheckRun {
    let (code, cause) = match tests {
        Tests::Green => (Some(0), EndCause::Exited),
        Tests::Red => (Some(1), EndCause::Exited),
        Tests::BuildRed => (Some(2), EndCause::Exited),
        Tests::Missing => (Some(127), EndCause::Exited),
        Tests::TimedOut => (None, EndCause::TimedOut),
        Tests::SandboxFailed => (None, EndCause::Lost),
    };
    let ids = |list: &[&str]| -> Vec<String> { list.iter().map(|id| (*id).to_owned()).collect() };
    let mut report = Report { runner: Some(Runner::Pytest), lists_passed: true, complete: true, ..Report::default() };
    match tests {
        Tests::Green => report.passed = ids(&[NEW, OLD]),
        Tests::Red => (report.passed, report.failed) = (ids(&[OLD]), ids(&[NEW])),
        Tests::BuildRed => {
            report.faults =
                vec![Fault { path: "tests/test_new.py".into(), message: "ImportError".into(), syntax: false }];
        }
        Tests::Missing | Tests::TimedOut | Tests::SandboxFailed => {}
    }
    CheckRun {
        end: RunEnd { cause, exit_code: code, stderr_tail: String::new() },
        report,
        output: Kept::new("some output\n"),
        test_files: ids(&["tests/test_new.py"]),
        names: ids(&["test_new"]),
        removed: BTreeSet::new(),
        image_id: None,
        wall_ms: 1_000,
        sandbox_error: (tests == Tests::SandboxFailed).then(|| "the engine is busy".into()),
        overlaid: Vec::new(),
        own: None,
    }
}

fn baseline_run() -> CheckRun {
    let mut run = check_run(Tests::Green);
    run.report.passed = vec![OLD.to_owned()];
    run.test_files.clear();
    run.names.clear();
    run
}

fn judged(incomplete: &[String], answer: &Choice) -> Body {
    let finding = |severity| Finding {
        rule: "scope".into(),
        id: "left-behind".into(),
        severity,
        confidence: 100,
        base: None,
        head: None,
        message: "something was left behind".into(),
    };
    let (findings, failures) = match answer {
        Choice::Judged(Opinion::Doubtful) => (vec![finding(Severity::Minor)], Vec::new()),
        Choice::Judged(Opinion::Bad) => (vec![finding(Severity::Critical)], Vec::new()),
        Choice::Judged(Opinion::RuleFailed) => {
            (Vec::new(), vec![RuleFailure { rule: "scope".into(), why: "ran out of time".into() }])
        }
        _ => (Vec::new(), Vec::new()),
    };
    Body::Answer(Answer::Judged { findings, failures, incomplete: incomplete.to_vec() })
}
