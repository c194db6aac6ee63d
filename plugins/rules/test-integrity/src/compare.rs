//! One test before and after: what it demands less now. Which tests belong together is `pair.rs`.

use crate::found::{Id, Why};
use crate::inventory::{Assertion, Guard, Inventory, MarkKind, Strength, Test};
use borg_sdk::rule::Finding;
use std::collections::BTreeSet;

/// What the change did to code that is no test, for telling a moved expectation from a bent one.
#[derive(Default)]
pub struct Sources {
    pub removed: String,
    pub added: String,
    pub changed: bool,
}

/// Both versions of one test, with their places.
pub struct Pair<'a> {
    pub base: &'a Test,
    pub head: &'a Test,
    pub base_path: &'a str,
    pub head_path: &'a str,
    pub base_file: &'a Inventory<'a>,
    pub head_file: &'a Inventory<'a>,
    /// A function that tests call, rather than a test.
    pub helper: bool,
    /// Assertions of tests that are new at the head: one that went there is not lost.
    pub elsewhere: &'a BTreeSet<&'a str>,
}

impl Pair<'_> {
    fn finding(&self, why: Why, base_line: u32, head_line: u32, message: String) -> Finding {
        let what = if self.helper { "test helper" } else { "test" };
        let message = format!("{what} `{}` {message}", self.base.id);
        why.finding(message).at_base(self.base_path, base_line, base_line.max(self.base.start)).at_head(
            self.head_path,
            head_line,
            head_line,
        )
    }
}

/// All findings for one pair.
pub fn compare(pair: &Pair<'_>, sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    if pair.base.is_off() {
        // What was off before guards nothing.
        return findings;
    }
    marks(pair, &mut findings);
    exits(pair, &mut findings);
    let same_body = pair.base_file.body(pair.base).eq(pair.head_file.body(pair.head));
    let off = findings.iter().any(|finding| finding.id == Id::DisabledTest.as_str());
    if !same_body && !off {
        assertions(pair, sources, &mut findings);
    }
    if !off {
        rows(pair, &mut findings);
    }
    findings
}

fn marks(pair: &Pair<'_>, findings: &mut Vec<Finding>) {
    for mark in &pair.head.marks {
        let before = pair.base.marks.iter().any(|old| old.kind == mark.kind && old.guard <= mark.guard);
        if before {
            continue;
        }
        let line = mark.line;
        let (why, message) = match (mark.kind, mark.guard) {
            (MarkKind::Only, _) | (_, Guard::Platform) => continue,
            (MarkKind::Skip, Guard::None) => (
                Why::Skipped,
                format!(
                    "existed at the base and is now switched off by `{}`: remove the mark and make it pass",
                    mark.text
                ),
            ),
            (MarkKind::ExpectFailure, Guard::None) => (
                Why::ExpectedToFail,
                format!(
                    "existed at the base and is now expected to fail (`{}`): remove the mark and make it pass",
                    mark.text
                ),
            ),
            (MarkKind::Skip | MarkKind::ExpectFailure, Guard::Other) => (
                Why::RunsUnderCondition,
                format!(
                    "existed at the base and now runs only under a condition (`{}`): say why, or remove it",
                    mark.text
                ),
            ),
        };
        findings.push(pair.finding(why, pair.base.start, line, message));
        return;
    }
}

fn exits(pair: &Pair<'_>, findings: &mut Vec<Finding>) {
    for exit in &pair.head.exits {
        let before = pair.base.exits.iter().filter(|old| old.text == exit.text && old.guard <= exit.guard).count();
        let now = pair
            .head
            .exits
            .iter()
            .filter(|new| new.text == exit.text && new.guard == exit.guard && new.line <= exit.line)
            .count();
        if before >= now {
            continue;
        }
        let (why, message) = match exit.guard {
            Guard::Platform => continue,
            Guard::None => (
                if exit.skip { Why::SkipsItself } else { Why::LeavesEarly },
                format!("now leaves by `{}` before it has checked everything: remove that line", exit.text),
            ),
            Guard::Other if exit.skip => (
                Why::SkipsItselfUnderCondition,
                format!("now leaves by `{}` under a condition: say why, or remove it", exit.text),
            ),
            Guard::Other => (
                Why::LeavesEarlyUnderCondition,
                format!("now leaves early (`{}`) under a condition: check that it still judges something", exit.text),
            ),
        };
        findings.push(pair.finding(why, pair.base.start, exit.line, message));
        return;
    }
}

fn assertions(pair: &Pair<'_>, sources: &Sources, findings: &mut Vec<Finding>) {
    let base: Vec<&Assertion> = pair.base.live().collect();
    if base.is_empty() {
        return;
    }
    let dropped = |assertion: &&Assertion| assertion.swallowed;
    if let Some(lost) =
        pair.head.assertions.iter().find(dropped).filter(|_| !pair.base.assertions.iter().any(|old| old.swallowed))
    {
        let message = "now drops the failure of its assertion: let it reach the runner".to_owned();
        findings.push(pair.finding(Why::FailureDropped, pair.base.start, lost.line, message));
        return;
    }
    let always = |test: &Test| test.assertions.iter().filter(|assertion| assertion.always).count();
    if always(pair.head) > always(pair.base)
        && let Some(empty) = pair.head.assertions.iter().rev().find(|assertion| assertion.always)
    {
        let kept = base.iter().all(|old| pair.head.live().any(|new| new.key == old.key));
        if !kept {
            let message = format!(
                "now asserts something that always holds (`{}`): assert what the code does",
                shorten(&empty.key)
            );
            findings.push(pair.finding(Why::AlwaysHolds, pair.base.start, empty.line, message));
            return;
        }
    }
    let mut head: Vec<&Assertion> = pair.head.live().filter(|assertion| is_real(pair, assertion)).collect();
    if head.is_empty() {
        let dead = pair.head.assertions.iter().any(|assertion| assertion.dead);
        if dead && findings.iter().any(|finding| finding.id == Id::EarlyExit.as_str()) {
            return;
        }
        let message = if dead {
            "still has its assertions, but none of them is reached"
        } else {
            "asserted something at the base and asserts nothing now"
        };
        findings.push(pair.finding(
            Why::Emptied,
            base[0].line,
            pair.head.start,
            format!("{message}: put the assertions back"),
        ));
        return;
    }
    let mut left: Vec<&Assertion> = Vec::new();
    for old in base {
        match head.iter().position(|new| new.key == old.key) {
            Some(at) => {
                head.swap_remove(at);
            }
            None if pair.elsewhere.contains(old.key.as_str()) => {}
            None => left.push(old),
        }
    }
    // The nearest first: same form, then most shared subject.
    let mut lost: Vec<&Assertion> = Vec::new();
    for old in left {
        let same_shape = head.iter().position(|new| new.shape == old.shape);
        let best = same_shape.or_else(|| {
            let score = |new: &Assertion| overlap(old, new);
            let (at, score) =
                head.iter().enumerate().map(|(at, new)| (at, score(new))).max_by(|a, b| a.1.total_cmp(&b.1))?;
            (score >= 0.5).then_some(at)
        });
        match best {
            Some(at) => {
                let new = head.swap_remove(at);
                changed(pair, sources, old, new, findings);
            }
            None => lost.push(old),
        }
    }
    removed(pair, &lost, &head, findings);
}

/// False for a call of a helper of this file that asserts nothing.
fn is_real(pair: &Pair<'_>, assertion: &Assertion) -> bool {
    let Some(name) = &assertion.custom else { return true };
    match pair.head_file.helpers.iter().find(|helper| helper.name == *name) {
        Some(helper) => helper.live().next().is_some() || helper.body.1 <= helper.body.0,
        None => true,
    }
}

fn overlap(old: &Assertion, new: &Assertion) -> f64 {
    let verb = |assertion: &Assertion| assertion.key.split(' ').next().unwrap_or_default().to_owned();
    if matches!(verb(old).as_str(), "assertRaises" | "assertRaisesRegex" | "raises") && verb(old) == verb(new) {
        return 0.6;
    }
    let shared = old.subject.intersection(&new.subject).count() as f64;
    let fewer = old.subject.len().min(new.subject.len()) as f64;
    if fewer == 0.0 { 0.0 } else { shared / fewer }
}

fn changed(pair: &Pair<'_>, sources: &Sources, old: &Assertion, new: &Assertion, findings: &mut Vec<Finding>) {
    let mut report = |why: Why, message: String| findings.push(pair.finding(why, old.line, new.line, message));
    let widened = match (old.tolerance, new.tolerance) {
        (Some(before), Some(after)) => after > before * 1.000_001,
        (None, Some(after)) => {
            new.strength >= old.strength
                && old.strength == Strength::Equal
                && after > 0.0
                && new.shape != old.shape
                && has_own_tolerance(new)
        }
        (Some(_), None) | (None, None) => false,
    };
    if widened {
        report(if old.tolerance.is_some() { Why::ToleranceWidened } else { Why::ToleranceAdded }, wider(old, new));
        return;
    }
    if new.strength < old.strength {
        // Asserting a part after the whole was moved into another assertion is a rewrite; the count of assertions tells.
        let stronger = pair.head.live().filter(|assertion| assertion.strength >= old.strength).count()
            >= pair.base.live().filter(|assertion| assertion.strength >= old.strength).count();
        let why = if stronger { Why::WeakenedAmongStronger } else { Why::Weakened };
        let message = format!(
            "demands less than before (`{}` became `{}`): restore the stronger assertion",
            shorten(&old.key),
            shorten(&new.key)
        );
        report(why, message);
        return;
    }
    if new.shape != old.shape {
        if old.negative != new.negative && old.subject == new.subject {
            report(Why::Flipped, flipped(old, new));
        }
        return;
    }
    let polarity = old.negative != new.negative;
    let literals: Vec<(&String, &String)> =
        old.literals.iter().zip(&new.literals).filter(|(old, new)| old != new).collect();
    if literals.len() == 1 && !polarity {
        // A limit or a width, and nothing else, moved.
        match limit_moved(old, new) {
            Some(true) => return report(Why::LimitMoved, wider(old, new)),
            Some(false) => return,
            None => {}
        }
    }
    let boolean = literals.iter().any(|(old, new)| {
        matches!(
            (old.as_str(), new.as_str()),
            ("true" | "True", "false" | "False") | ("false" | "False", "true" | "True")
        )
    });
    if polarity || boolean {
        report(Why::Flipped, flipped(old, new));
    } else if !literals.is_empty() && old.literals.len() == new.literals.len() {
        let inner = |text: &str| text.trim_matches(['"', '\'', '`']).to_owned();
        let moved = |(old, new): &(&String, &String)| {
            let (old, new) = (inner(old), inner(new));
            sources.removed.contains(&old) && sources.added.contains(&new) && !(new.is_empty() || old.is_empty())
        };
        // The inputs of a call changing along with the result is a different case, not a bent one.
        let result_only = literals.len() == 1
            || old.literals.last() != new.literals.last() && literals.len() * 2 <= old.literals.len();
        if literals.iter().all(moved) {
            report(Why::MovedWithTheCode, flipped(old, new));
        } else if result_only {
            report(
                if sources.changed { Why::ResultChangedWithCode } else { Why::ResultChangedAlone },
                flipped(old, new),
            );
        }
    }
}

fn has_own_tolerance(assertion: &Assertion) -> bool {
    ["approx", "isclose", "CloseTo", "AlmostEqual", "allclose", "abs", "Abs", "InDelta", "epsilon"]
        .iter()
        .any(|word| assertion.key.contains(word))
}

fn flipped(old: &Assertion, new: &Assertion) -> String {
    format!(
        "expects something else now (`{}` became `{}`): confirm that the task asks for the new result",
        shorten(&old.key),
        shorten(&new.key)
    )
}

fn wider(old: &Assertion, new: &Assertion) -> String {
    format!(
        "lets pass more than before (`{}` became `{}`): keep the limit, or say why",
        shorten(&old.key),
        shorten(&new.key)
    )
}

/// Whether a moved limit lets more pass; none when the assertion has no limit.
fn limit_moved(old: &Assertion, new: &Assertion) -> Option<bool> {
    if let (Some(before), Some(after)) = (old.tolerance, new.tolerance)
        && before != after
    {
        return Some(after > before);
    }
    let sign = [" <= ", " >= ", " < ", " > "].into_iter().find(|sign| old.key.contains(sign))?;
    let number =
        |assertion: &Assertion| assertion.literals.last().and_then(|text| text.replace('_', "").parse::<f64>().ok());
    let (before, after) = (number(old)?, number(new)?);
    (before != after).then_some(if sign.starts_with(" <") { after > before } else { after < before })
}

fn removed(pair: &Pair<'_>, lost: &[&Assertion], added: &[&Assertion], findings: &mut Vec<Finding>) {
    let Some(first) = lost.first() else { return };
    let weight = |list: &[&Assertion]| -> u32 { list.iter().map(|assertion| assertion.strength as u32 + 1).sum() };
    let moved_to_helper = added.iter().any(|assertion| assertion.custom.is_some());
    if moved_to_helper || weight(added) >= weight(lost) {
        return;
    }
    // One assertion over a whole value may take the place of several over its parts.
    if added.iter().any(|assertion| {
        assertion.strength == Strength::Equal
            && assertion.literals.len() + 1 >= lost.iter().map(|old| old.literals.len()).sum::<usize>()
    }) {
        return;
    }
    // A test that calls nothing of what it called is another test by now.
    let calls = |file: &Inventory<'_>, test: &Test| -> BTreeSet<String> {
        let words: Vec<&str> = file.body(test).collect();
        words.windows(2).filter(|pair| pair[1] == "(" && pair[0].len() > 1).map(|pair| pair[0].to_owned()).collect()
    };
    let (before, after) = (calls(pair.base_file, pair.base), calls(pair.head_file, pair.head));
    let gone = before
        .intersection(&after)
        .all(|name| name.starts_with("assert") || matches!(name.as_str(), "unwrap" | "expect" | "len" | "new"));
    let why = if gone { Why::AssertionLostWithItsCall } else { Why::AssertionLost };
    let count = if lost.len() == 1 { "an assertion".to_owned() } else { format!("{} assertions", lost.len()) };
    let message = format!("lost {count} (`{}`): put it back, or say why it no longer applies", shorten(&first.key));
    findings.push(pair.finding(why, first.line, pair.head.start, message));
}

fn rows(pair: &Pair<'_>, findings: &mut Vec<Finding>) {
    let lost: Vec<&String> = pair.base.rows.iter().filter(|row| !pair.head.rows.contains(row)).collect();
    let added = pair.head.rows.iter().filter(|row| !pair.base.rows.contains(row)).count();
    // With no rows at all left it is another kind of test, whose assertions were compared.
    if lost.len() > added && !pair.head.rows.is_empty() {
        let message = format!(
            "has {} of its {} cases less (such as `{}`): put them back",
            lost.len() - added,
            pair.base.rows.len(),
            shorten(lost[0])
        );
        findings.push(pair.finding(Why::CasesLost, pair.base.start, pair.head.start, message));
    }
}

/// At most 60 characters, for messages.
pub fn shorten(key: &str) -> String {
    let key = key.trim();
    let mut short: String = key.chars().take(60).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if key.chars().count() > 60 {
        short.push('…');
    }
    short.replace('`', "'")
}
