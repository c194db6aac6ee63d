//! Measures what the shipped rules ask about natural changes: commits of public repositories, judged as the host would judge them.
//!
//!     cargo xtask build
//!     cargo run -p borg-tests --example natural -- --commits 50 REPOSITORY.git…
//!
//! A unit is one commit that is no merge, held against its parent, newest first from `HEAD`; commits without a parent in the
//! repository are passed over. Each is surveyed with the host's own arguments and limits, handed to every rule in `BORG_PLUGINS` (else
//! `target/plugins`) with its shipped settings, and judged under the shipped thresholds. No stage wrote these commits and no test run
//! belongs to them, so findings about grants and evidence cannot arise: what is measured is what the files alone cause.
//!
//! `--list FILE` writes one line for each flagged commit, so that two states of the rules can be compared.

use anyhow::{Context, Result, bail, ensure};
use borg_core::{
    facts::{Change, Finding},
    survey::{self, Collisions, Survey},
    verdict::{RuleFailure, Thresholds, Verdict, risk, verdict},
};
use borg_plugins::{Compiler, Facts, Kind, Limits, Options, Permits, Plugins, Rule, compile};
use borg_tests::process::command;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

/// Findings by which policy asks a person about a kind of file, whatever is done to it: an honest change raises them as well, and is
/// meant to. Counted apart.
const ASKED_WHATEVER_THE_INTENT: [&str; 4] =
    ["scope/ci-touched", "scope/ownership-touched", "scope/submodule-changed", "scope/runs-by-itself"];

struct Args {
    commits: usize,
    list: Option<PathBuf>,
    repositories: Vec<PathBuf>,
}

/// What became of the commits.
#[derive(Default)]
struct Counts {
    commits: usize,
    review: usize,
    block: usize,
    /// Flagged for nothing but kinds of files that policy asks about anyway.
    asked_only: usize,
    /// Flagged for nothing but gaps in the facts.
    gaps_only: usize,
    /// By `rule/finding`: commits with it, commits that it alone would send to review or worse.
    findings: BTreeMap<String, (usize, usize)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = args()?;
    let scratch = tempfile::tempdir()?;
    let rules = rules(scratch.path()).await?;
    let git = Git { attributes: scratch.path().join("attributes") };
    fs::write(&git.attributes, survey::attributes())?;
    let mut list = args.list.as_ref().map(fs::File::create).transpose().context("the list cannot be written")?;
    let (began, mut counts) = (Instant::now(), Counts::default());
    for repository in &args.repositories {
        let name = repository.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let before = counts.commits;
        for (base, head) in commits(&git, repository, args.commits)? {
            let change = change(&git, repository, &base, &head)?;
            let incomplete = change.incomplete.clone();
            let (findings, failures) = judge(&rules, &Facts::new(change)).await;
            let (ruling, causes) = counts.add(&findings, &failures, &incomplete);
            if let (Some(list), true) = (&mut list, ruling > Verdict::Pass) {
                writeln!(list, "{name} {head} {ruling:?} {}", causes.into_iter().collect::<Vec<_>>().join(" "))?;
            }
        }
        eprintln!("{name}: {} commits, {:.0?}", counts.commits - before, began.elapsed());
    }
    ensure!(counts.commits > 0, "no commit was looked at");
    counts.print();
    Ok(())
}

fn args() -> Result<Args> {
    let mut args = Args { commits: 50, list: None, repositories: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--commits" => args.commits = words.next().context("--commits needs a number")?.parse()?,
            "--list" => args.list = Some(words.next().context("--list needs a file")?.into()),
            other if other.starts_with("--") => bail!("{other} is none of --commits N, --list FILE"),
            path => args.repositories.push(path.into()),
        }
    }
    ensure!(!args.repositories.is_empty(), "name the folders of bare repositories");
    Ok(args)
}

/// Every rule that is built, as loaded by the host.
async fn rules(scratch: &Path) -> Result<Vec<(String, Rule)>> {
    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment where plugins lie")]
    let built = std::env::var("BORG_PLUGINS")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins"), PathBuf::from);
    let options = Options {
        shipped: vec![built.join("rules")],
        folders: Vec::new(),
        cache: scratch.join("cache"),
        compiler: Compiler::Child(Arc::new(|wasm, out| {
            let (wasm, out) = (wasm.to_owned(), out.to_owned());
            Box::pin(async move { compile(&wasm, &out).map_err(|error| error.to_string()) })
        })),
        limits: Limits::default(),
        now_ms: || 0,
    };
    let (plugins, errors) = Plugins::load(options, &Permits::default()).await?;
    ensure!(errors.is_empty(), "{errors:#?}");
    let names: Vec<String> =
        plugins.list().into_iter().filter(|found| found.kind == Kind::Rule).map(|found| found.name).collect();
    ensure!(!names.is_empty(), "no rule in {}: run `cargo xtask build` first", built.display());
    names.into_iter().map(|name| Ok((name.clone(), plugins.rule(&name, None)?))).collect()
}

/// How Git is called: with the attributes the host gives it, and nobody else's.
struct Git {
    attributes: PathBuf,
}

impl Git {
    /// Output of Git on a bare repository, cut at `limit` bytes.
    fn run(&self, repository: &Path, args: &[&str], input: &str, limit: usize) -> Result<Vec<u8>> {
        let mut git = command("git");
        let attributes = format!("core.attributesFile={}", self.attributes.display());
        git.args(["-c", "safe.directory=*", "-c", &attributes, "--git-dir"]).arg(repository).args(args);
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("git starts")?;
        let (mut stdin, input) = (child.stdin.take().expect("piped above"), input.to_owned());
        let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output()?;
        feeding.join().expect("writing does not panic")?;
        ensure!(output.status.success(), "git {args:?} in {}", repository.display());
        let mut bytes = output.stdout;
        bytes.truncate(limit);
        Ok(bytes)
    }
}

/// Parent and commit, newest first.
fn commits(git: &Git, repository: &Path, most: usize) -> Result<Vec<(String, String)>> {
    let most = format!("--max-count={most}");
    let args = ["rev-list", "--no-merges", "--min-parents=1", "--parents", &most, "HEAD"];
    let text = String::from_utf8(git.run(repository, &args, "", usize::MAX)?)?;
    let pair = |line: &str| line.split_once(' ').map(|(head, base)| (base.to_owned(), head.to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}

/// The facts the host would gather.
fn change(git: &Git, repository: &Path, base: &str, head: &str) -> Result<Change> {
    let limits = survey::Limits::default();
    let diff = |args: &[&str], limit| git.run(repository, &[args, &[base, head]].concat(), "", limit);
    let raw = diff(&survey::RAW_ARGS, usize::MAX)?;
    let mut survey = survey::survey(&raw, &diff(&survey::PATCH_ARGS, limits.patch_bytes + 1)?, limits);
    texts(git, repository, &mut survey)?;
    if let Some(mut collisions) = Collisions::of(&survey.files) {
        let tree = git.run(repository, &["ls-tree", "-r", "-z", "--name-only", "--full-tree", head], "", usize::MAX)?;
        tree.split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .for_each(|path| collisions.see(&survey::show(path)));
        collisions.tell(&mut survey.files);
    }
    survey.mark();
    Ok(Change { files: survey.files, incomplete: survey.incomplete, ..Change::default() })
}

fn texts(git: &Git, repository: &Path, survey: &mut Survey) -> Result<()> {
    let wanted = survey.wanted_texts();
    let asked: String = wanted.iter().map(|text| format!("{}\n", text.blob)).collect();
    let answer = git.run(repository, &["cat-file", "--batch"], &asked, usize::MAX)?;
    let mut rest = &answer[..];
    for wanted in &wanted {
        let end = rest.iter().position(|byte| *byte == b'\n').context("cat-file says a line for each")?;
        let line = std::str::from_utf8(&rest[..end])?;
        let size: usize = line.rsplit(' ').next().context("the line ends in a size")?.parse()?;
        survey.set_text(wanted, &rest[end + 1..end + 1 + size]);
        rest = &rest[end + size + 2..];
    }
    Ok(())
}

async fn judge(rules: &[(String, Rule)], facts: &Facts) -> (Vec<Finding>, Vec<RuleFailure>) {
    let (mut findings, mut failures) = (Vec::new(), Vec::new());
    for (name, rule) in rules {
        let failed = |why| RuleFailure { rule: name.clone(), why };
        match rule.judge(&serde_json::json!({}), facts).await {
            Ok(Ok(found)) => findings.extend(found),
            Ok(Err(why)) => failures.push(failed(why)),
            Err(error) => failures.push(failed(error.to_string())),
        }
    }
    (findings, failures)
}

impl Counts {
    /// Counts one commit; its verdict and what it was flagged for.
    fn add(
        &mut self,
        findings: &[Finding],
        failures: &[RuleFailure],
        incomplete: &[String],
    ) -> (Verdict, BTreeSet<String>) {
        let thresholds = Thresholds::default();
        let ruling = verdict(findings, failures, incomplete, thresholds);
        let id = |finding: &Finding| format!("{}/{}", finding.rule, finding.id);
        let all: BTreeSet<String> = findings.iter().map(id).collect();
        let flagging: BTreeSet<String> =
            findings.iter().filter(|finding| risk(finding) >= thresholds.review).map(id).collect();
        for id in &all {
            let (with, flagged) = self.findings.entry(id.clone()).or_default();
            *with += 1;
            *flagged += usize::from(flagging.contains(id));
        }
        self.commits += 1;
        self.review += usize::from(ruling.verdict == Verdict::Review);
        self.block += usize::from(ruling.verdict == Verdict::Block);
        let is_asked = |id: &String| ASKED_WHATEVER_THE_INTENT.contains(&id.as_str());
        let whole = failures.is_empty() && incomplete.is_empty();
        self.asked_only += usize::from(whole && !flagging.is_empty() && flagging.iter().all(is_asked));
        self.gaps_only += usize::from(!whole && flagging.is_empty());
        let mut causes = flagging;
        causes.extend(failures.iter().map(|failure| format!("failed:{}", failure.rule)));
        if !incomplete.is_empty() {
            causes.insert("incomplete".into());
        }
        (ruling.verdict, causes)
    }

    fn print(&self) {
        let share = |part: usize| format!("{part} ({:.1} %)", 100.0 * part as f64 / self.commits as f64);
        let flagged = self.review + self.block;
        println!("commits                                    {}", self.commits);
        println!("flagged                                    {}", share(flagged));
        println!("  review                                   {}", share(self.review));
        println!("  block                                    {}", share(self.block));
        println!("  only for files policy always asks about  {}", share(self.asked_only));
        println!("  only for gaps in the facts               {}", share(self.gaps_only));
        println!("  for anything else                        {}", share(flagged - self.asked_only - self.gaps_only));
        println!("\n{:<40} {:>8} {:>8}", "finding", "commits", "flagged");
        for (id, (with, flagged)) in &self.findings {
            println!("{id:<40} {with:>8} {flagged:>8}");
        }
    }
}
