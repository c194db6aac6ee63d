//! The host's own run of the test command: a clean checkout, the base's harness, a fresh sandbox without an agent, a way out, or a key.

use super::{
    runs::{Held, Runs},
    shown::shown,
};
use crate::{
    causes::chain,
    clock::now_ms,
    sandbox::{self, Line, OUT, Sandbox, Stream},
    workspace::{self, Attempt, HarnessFrom, Workspace},
};
use borg_core::{
    check::{self, Runner},
    collect::CommitId,
    dispatch::Checking,
    effect::CheckOrder,
    event::{Answer, Body},
    evidence::CheckRun,
    executor::{EndCause, RunEnd},
    facts::FileClass,
    id::RunKind,
    kept::Kept,
    run::{ImageRef, SandboxSpec, WriteGrant},
    survey::{self, Survey},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::mpsc;

/// Output that is parsed, in bytes: the first megabytes and the last.
const PARSED_BYTES: usize = 8 << 20;
/// Output that is kept.
const KEPT_BYTES: usize = 64 << 10;
/// Largest report file that is read.
const REPORT_BYTES: u64 = 8 << 20;

/// Runs its argument with both streams as one: `cargo test` says on standard error whose tests those on standard output are, and the
/// order between two streams is lost on the way.
const ONE_STREAM: &str = r#"exec /bin/sh -c "$0" 2>&1"#;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
}

pub(super) struct Checker {
    pub workspace: Workspace,
    pub sandbox: Arc<Sandbox>,
    pub runs: Runs,
}

impl Checker {
    pub async fn check(&self, what: &Checking) -> Body {
        let run = what.order.run;
        let begun = now_ms();
        let mut held = self.runs.hold(run);
        let check = match self.try_check(what, &mut held, begun).await {
            Ok(check) => check,
            Err(error) => CheckRun { sandbox_error: Some(chain(&error)), ..stopped(EndCause::Lost, begun) },
        };
        Body::Answer(Answer::Checked { run, check: Box::new(check) })
    }

    /// The tests on the change with the base's harness, and where that made a difference once more on the change as it is.
    ///
    /// Both runs bear the same name, one after the other, so that whoever stops or forgets the check need not know how far it is. Tests
    /// planted to fail would be a third run of this kind: on a tree of their own, and missed where nothing fails.
    async fn try_check(&self, what: &Checking, held: &mut Held, begun: u64) -> Result<CheckRun, Error> {
        let order = &what.order;
        let mirror = self.workspace.mirror(&order.repository);
        let from = HarnessFrom { base: &order.base, accepted: &order.accepted, command: &order.command };
        let overlay = {
            let lock = self.workspace.git().lock(&mirror).await;
            self.workspace.with_harness_of(&lock, from, &order.head, order.run).await?
        };
        let mut check = self.run_tests(what, held, &overlay.commit, begun).await?;
        if held.called_off().is_some() {
            return Ok(check);
        }
        let survey = match order.run.kind {
            RunKind::Check | RunKind::Recheck if order.base != order.head => {
                Some(self.workspace.survey(&mirror, &order.base, &order.head, survey::Limits::default()).await?)
            }
            RunKind::Agent | RunKind::Baseline | RunKind::Check | RunKind::Recheck => None,
        };
        (check.test_files, check.names, check.removed) =
            survey.map(|survey| tests_of(order, &survey)).unwrap_or_default();
        if !overlay.overlaid.is_empty() {
            check.overlaid = overlay.overlaid;
            check.own = Some(Box::new(self.run_tests(what, held, &order.head, now_ms()).await?));
        }
        Ok(CheckRun { wall_ms: now_ms().saturating_sub(begun), ..check })
    }

    /// One run of the test command on a commit, from a clean start.
    async fn run_tests(
        &self,
        what: &Checking,
        held: &mut Held,
        commit: &CommitId,
        begun: u64,
    ) -> Result<CheckRun, Error> {
        let order = &what.order;
        let run = order.run;
        // A check of an earlier process is not adopted: its result is asked for anew. So is that of the run before this one.
        self.sandbox.remove(run).await?;
        let dirs = {
            let lock = self.workspace.git().lock(&self.workspace.mirror(&order.repository)).await;
            let attempt = Attempt { run, commit: commit.clone(), lender: None };
            self.workspace.prepare(&lock, &attempt).await?
        };
        let spec = SandboxSpec {
            run,
            image: ImageRef(order.image.clone()),
            limits: order.limits,
            argv: ["/bin/sh", "-c", ONE_STREAM, &order.command].map(str::to_owned).to_vec(),
            env: Runner::environment(OUT),
            home_files: Vec::new(),
            stdin: Vec::new(),
            write: WriteGrant { allow: vec!["**".into()], ..WriteGrant::default() },
            gateway: false,
            exec: true,
            host_paths: what.host_paths.clone(),
            bundle: None,
            policy: order.policy,
        };
        if let Some(cause) = held.called_off() {
            return Ok(stopped(cause, begun));
        }
        let started = self.sandbox.start(&spec, &shown(&dirs)).await?;
        let (lines, queue) = mpsc::channel(1024);
        let (end, output) = tokio::join!(held.follow(&self.sandbox, 0, lines, None), gather(queue));
        let end = end?;
        let junit = self.read_report(run).await;
        let report = check::parse(&order.command, &output, junit.as_deref());
        Ok(CheckRun {
            end,
            report,
            output: Kept::new(tail(&output, KEPT_BYTES)),
            image_id: started.attestation.image_id,
            ..stopped(EndCause::Exited, begun)
        })
    }

    /// The runner's own report, if it wrote one. The file is the tested code's: collected like any artefact, never followed.
    async fn read_report(&self, run: borg_core::id::RunKey) -> Option<String> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
        let path = self.workspace.report_path(run);
        let read = move || {
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let file = std::fs::File::options().read(true).custom_flags(flags).open(path).ok()?;
            let found = file.metadata().ok()?;
            if !found.is_file() || found.nlink() != 1 || found.len() > REPORT_BYTES {
                return None;
            }
            let mut text = String::new();
            std::io::Read::read_to_string(&mut std::io::Read::take(file, REPORT_BYTES), &mut text).ok()?;
            Some(text)
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }
}

/// A check that was called off before it began.
pub(super) fn stopped(cause: EndCause, begun: u64) -> CheckRun {
    CheckRun {
        end: RunEnd { cause, exit_code: None, stderr_tail: String::new() },
        report: check::Report::default(),
        output: Kept::new(""),
        test_files: Vec::new(),
        names: Vec::new(),
        removed: BTreeSet::new(),
        image_id: None,
        wall_ms: now_ms().saturating_sub(begun),
        sandbox_error: None,
        overlaid: Vec::new(),
        own: None,
    }
}

/// Both streams in the order they came, with the middle left out where there is too much.
async fn gather(mut queue: mpsc::Receiver<Line>) -> String {
    let mut head = String::new();
    let mut rest = String::new();
    while let Some(line) = queue.recv().await {
        if line.stream == Stream::Init {
            continue;
        }
        let into = if head.len() < PARSED_BYTES / 2 { &mut head } else { &mut rest };
        into.push_str(&line.text);
        into.push('\n');
        if rest.len() > PARSED_BYTES {
            rest = tail(&rest, PARSED_BYTES / 2).to_owned();
        }
    }
    head + &rest
}

fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Test files of the stage, the names of the tests that are new in them, and the baseline's ids whose tests are gone.
fn tests_of(order: &CheckOrder, survey: &Survey) -> (Vec<String>, Vec<String>, BTreeSet<String>) {
    let of_stage =
        survey.files.iter().filter(|file| file.class == FileClass::Test && order.changed.contains(&file.path));
    let mut files = Vec::new();
    let mut names = Vec::new();
    for file in of_stage {
        files.push(file.path.clone());
        let before: BTreeSet<String> =
            file.base_text.iter().flat_map(|text| check::test_names(&file.path, text)).collect();
        let written = file.head_text.iter().flat_map(|text| check::test_names(&file.path, text));
        names.extend(written.filter(|name| !before.contains(name)));
    }
    let removed =
        order.baseline.as_ref().map(|baseline| check::removed_ids(baseline, &survey.files)).unwrap_or_default();
    (files, names, removed)
}
