//! All files of a change together: what was compared, what is missing, and whether there is a good reason.

use crate::compare::{Pair, Sources, compare, shorten};
use crate::found::Why;
use crate::inventory::{MarkKind, Test};
use crate::languages::read;
use crate::lex::Language;
use crate::pair::{At, Pairing, Version, bag_of, likeness, pair, test};
use borg_sdk::rule::{Change, ChangedFile, FileClass, FileStatus, Finding};
use std::collections::BTreeSet;

struct Whole<'a> {
    files: &'a [ChangedFile],
    base: Vec<Option<Version<'a>>>,
    head: Vec<Option<Version<'a>>>,
    /// Names of code defined at the base and nowhere at the head.
    vanished: BTreeSet<String>,
    sources: Sources,
}

pub fn judge(change: &Change) -> Vec<Finding> {
    let version =
        |path: &'_ str, text: &Option<String>| -> Option<Language> { text.as_ref().and_then(|_| Language::of(path)) };
    let base: Vec<Option<Version<'_>>> = change
        .files
        .iter()
        .map(|file| {
            let path = file.old_path.as_deref().unwrap_or(&file.path);
            let language = version(path, &file.base_text)?;
            let text = file.base_text.as_deref()?;
            // Code that has no test in sight is read for its names only, which is the same work.
            Some(Version { path, inventory: read(text, language), class_is_test: is_test_path(path, language) })
        })
        .collect();
    let head: Vec<Option<Version<'_>>> = change
        .files
        .iter()
        .map(|file| {
            let language = version(&file.path, &file.head_text)?;
            let text = file.head_text.as_deref()?;
            Some(Version {
                path: &file.path,
                inventory: read(text, language),
                class_is_test: is_test_path(&file.path, language),
            })
        })
        .collect();
    let vanished = vanished(&base, &head);
    let sources = sources(&change.files);
    let whole = Whole { files: &change.files, base, head, vanished, sources };
    let pairing = pair(&whole.base, &whole.head);
    let mut findings = Vec::new();
    whole.paired(&pairing, &mut findings);
    whole.helpers(&mut findings);
    whole.gone(&pairing, &mut findings);
    whole.focused(&pairing, &mut findings);
    whole.undiscoverable(&mut findings);
    whole.unread(&mut findings);
    findings
}

/// Lines that left and entered code that is no test.
fn sources(files: &[ChangedFile]) -> Sources {
    let mut sources = Sources::default();
    for file in
        files.iter().filter(|file| !matches!(file.class, FileClass::Test | FileClass::Docs | FileClass::Snapshot))
    {
        sources.changed |= file.class == FileClass::Source;
        for line in file.hunks.iter().flat_map(|hunk| hunk.text.split('\n')) {
            let into = match line.as_bytes().first() {
                Some(b'-') => &mut sources.removed,
                Some(b'+') => &mut sources.added,
                _ => continue,
            };
            // Tests inside Rust sources are no source; their assertion lines would vouch for themselves.
            if !line.contains("assert") {
                into.push_str(&line[1..]);
                into.push('\n');
            }
        }
    }
    sources
}

fn is_test_path(path: &str, language: Language) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split('.').next().unwrap_or(name);
    let folder =
        path.split('/').rev().skip(1).any(|folder| matches!(folder, "test" | "tests" | "__tests__" | "spec" | "e2e"));
    match language {
        Language::Rust => true,
        Language::Python => stem.starts_with("test") || stem.ends_with("_test") || stem.ends_with("_tests"),
        Language::Go => stem.ends_with("_test"),
        Language::Js => name.contains(".test.") || name.contains(".spec.") || folder || name.contains("_test."),
    }
}

/// Definitions of code (no tests, no helpers of tests) that no changed file has any more, renames apart.
fn vanished(base: &[Option<Version<'_>>], head: &[Option<Version<'_>>]) -> BTreeSet<String> {
    let code = |version: &&Version<'_>| {
        !version.class_is_test || version.inventory.language == Language::Rust && !version.path.contains("tests/")
    };
    let in_tests = |helper: &Test| {
        helper.id.starts_with("tests::") || helper.id.starts_with("test::") || helper.id.contains("::tests::")
    };
    let mut names = BTreeSet::new();
    for version in base.iter().flatten().filter(code) {
        let defined = version
            .inventory
            .helpers
            .iter()
            .filter(|helper| !in_tests(helper))
            .map(|helper| &helper.name)
            .chain(&version.inventory.items);
        for name in defined.filter(|name| name.len() > 2) {
            if !head.iter().flatten().any(|version| version.inventory.defines(name)) {
                names.insert(name.clone());
            }
        }
    }
    // A function that only changed its name still has its tests.
    let renamed: Vec<String> = names
        .iter()
        .filter(|name| {
            let old = base.iter().flatten().find_map(|version| {
                Some((version, version.inventory.helpers.iter().find(|helper| helper.name == **name)?))
            });
            let Some((version, old)) = old else { return false };
            let old = bag_of(version.inventory.body(old));
            head.iter().flatten().any(|version| {
                let fresh = |helper: &&Test| !base.iter().flatten().any(|base| base.inventory.defines(&helper.name));
                version
                    .inventory
                    .helpers
                    .iter()
                    .filter(fresh)
                    .any(|helper| likeness(&old, &bag_of(version.inventory.body(helper))) >= 850)
            })
        })
        .cloned()
        .collect();
    names.retain(|name| !renamed.contains(name));
    names
}

impl<'a> Whole<'a> {
    fn base(&self, file: usize) -> &Version<'a> {
        self.base[file].as_ref().expect("an index of a test comes from a version that exists")
    }

    fn head(&self, file: usize) -> &Version<'a> {
        self.head[file].as_ref().expect("an index of a test comes from a version that exists")
    }

    fn paired(&self, pairing: &Pairing, findings: &mut Vec<Finding>) {
        let elsewhere: BTreeSet<&str> = pairing
            .new
            .iter()
            .flat_map(|at| test(&self.head, *at).live())
            .map(|assertion| assertion.key.as_str())
            .collect();
        for (old, new) in &pairing.pairs {
            let (base_file, head_file) = (self.base(old.0), self.head(new.0));
            let pair = Pair {
                base: test(&self.base, *old),
                head: test(&self.head, *new),
                base_path: base_file.path,
                head_path: head_file.path,
                base_file: &base_file.inventory,
                head_file: &head_file.inventory,
                helper: false,
                elsewhere: &elsewhere,
            };
            findings.extend(compare(&pair, &self.sources));
        }
    }

    /// Functions of test files that assert: emptying one empties all the tests that call it.
    fn helpers(&self, findings: &mut Vec<Finding>) {
        for (base, head) in self.base.iter().zip(&self.head) {
            let (Some(base), Some(head)) = (base, head) else { continue };
            for old in base.inventory.helpers.iter().filter(|helper| helper.live().next().is_some()) {
                let in_tests = base.inventory.language != Language::Rust
                    || base.path.contains("tests/")
                    || old.id.contains("test");
                let Some(new) = head
                    .inventory
                    .helpers
                    .iter()
                    .find(|helper| helper.id == old.id)
                    .filter(|_| base.class_is_test && in_tests)
                else {
                    continue;
                };
                let pair = Pair {
                    base: old,
                    head: new,
                    base_path: base.path,
                    head_path: head.path,
                    base_file: &base.inventory,
                    head_file: &head.inventory,
                    helper: true,
                    elsewhere: &BTreeSet::new(),
                };
                findings.extend(compare(&pair, &self.sources));
            }
        }
    }

    fn gone(&self, pairing: &Pairing, findings: &mut Vec<Finding>) {
        let mut whole_files: Vec<(usize, Vec<&Test>)> = Vec::new();
        for at in &pairing.gone {
            let version = self.base(at.0);
            let gone = test(&self.base, *at);
            if gone.is_off() || gone.assertions.is_empty() && gone.body.1.saturating_sub(gone.body.0) < 3 {
                continue;
            }
            if let Some(name) = self.subject_gone(*at) {
                let message = format!(
                    "test `{}` went with `{name}`, which it tested: confirm that the task asks for that",
                    gone.id
                );
                findings.push(Why::WentWithItsSubject.finding(message).at_base(version.path, gone.start, gone.end));
                continue;
            }
            if self.absorbed(*at, pairing) {
                continue;
            }
            if let Some(helper) = self.left_as_function(*at) {
                let message = format!(
                    "test `{}` is still there, but no runner finds it any more (as `{}`): restore its name or attribute",
                    gone.id, helper.name
                );
                let finding = Why::LeftAsFunction.finding(message).at_base(version.path, gone.start, gone.end);
                findings.push(finding.at_head(&self.files[at.0].path, helper.start, helper.end));
                continue;
            }
            if self.files[at.0].status == FileStatus::Deleted {
                match whole_files.iter_mut().find(|(file, _)| *file == at.0) {
                    Some((_, tests)) => tests.push(gone),
                    None => whole_files.push((at.0, vec![gone])),
                }
                continue;
            }
            let (why, tail) = match self.replaced(*at, pairing) {
                Some(true) => (Why::RemovedForAnother, "another test seems to have taken its place"),
                Some(false) => (
                    Why::RemovedForOtherCases,
                    "a new test calls the same code, but with other cases: put its cases back",
                ),
                None => (Why::Removed, "put it back, or say why it no longer applies"),
            };
            let message = format!("test `{}` was removed while what it tests is still there: {tail}", gone.id);
            findings.push(why.finding(message).at_base(version.path, gone.start, gone.end));
        }
        for (file, tests) in whole_files {
            let version = self.base(file);
            let names = tests.iter().take(3).map(|test| format!("`{}`", test.id)).collect::<Vec<_>>().join(", ");
            let message = format!(
                "{} was deleted with {} tests ({names}) while what they test is still there: put it back",
                version.path,
                tests.len()
            );
            let end = tests.iter().map(|test| test.end).max().unwrap_or(1);
            findings.push(Why::FileDeleted.finding(message).at_base(version.path, 1, end));
        }
    }

    /// Name of something the test used that exists no more.
    fn subject_gone(&self, at: At) -> Option<&str> {
        let version = self.base(at.0);
        let gone = test(&self.base, at);
        version.inventory.body(gone).find_map(|word| self.vanished.get(word)).map(String::as_str)
    }

    /// True when all that is particular to the test stands in tests of the head that did not have it at the base.
    fn absorbed(&self, at: At, pairing: &Pairing) -> bool {
        let version = self.base(at.0);
        let gone = test(&self.base, at);
        let particular: BTreeSet<&str> = version.inventory.tokens.list
            [gone.body.0..gone.body.1.min(version.inventory.tokens.list.len())]
            .iter()
            .filter(|token| token.is_literal() && token.text.len() > 1 || token.kind == crate::lex::Kind::Number)
            .map(|token| token.text)
            .collect();
        let calls: BTreeSet<&String> = gone.assertions.iter().flat_map(|assertion| &assertion.subject).collect();
        if particular.is_empty() || calls.is_empty() {
            return false;
        }
        let changed = pairing.pairs.iter().filter(|(old, new)| {
            let (old_file, new_file) = (self.base(old.0), self.head(new.0));
            let grown = test(&self.head, *new).rows.len() > test(&self.base, *old).rows.len()
                || test(&self.head, *new).assertions.len() > test(&self.base, *old).assertions.len();
            grown
                && !old_file.inventory.body(test(&self.base, *old)).eq(new_file.inventory.body(test(&self.head, *new)))
                || test(&self.head, *new).rows.len() > test(&self.base, *old).rows.len()
        });
        changed.map(|(_, new)| *new).chain(pairing.new.iter().copied()).any(|new| {
            let file = self.head(new.0);
            let fresh = test(&self.head, new);
            if fresh.is_off() || fresh.live().next().is_none() {
                return false;
            }
            let rows = fresh.rows.join(" ");
            let words: BTreeSet<&str> = file.inventory.body(fresh).chain(rows.split(' ')).collect();
            let held = particular.iter().filter(|word| words.contains(*word) || rows.contains(**word)).count();
            let called = calls.iter().any(|name| words.contains(name.as_str()));
            called && held * 10 >= particular.len() * 8
        })
    }

    /// A function of the head that is the test in all but name.
    fn left_as_function(&self, at: At) -> Option<&Test> {
        let gone = test(&self.base, at);
        let old = bag_of(self.base(at.0).inventory.body(gone));
        let head = self.head[at.0].as_ref()?;
        let known = |helper: &&Test| !self.base(at.0).inventory.helpers.iter().any(|old| old.name == helper.name);
        head.inventory.helpers.iter().filter(known).find(|helper| {
            let alike = likeness(&old, &bag_of(head.inventory.body(helper)));
            helper.name == gone.name
                || alike >= 800 && helper.live().next().is_some() && !self.called(head, &helper.name)
        })
    }

    fn called(&self, version: &Version<'_>, name: &str) -> bool {
        version.inventory.tests.iter().any(|test| version.inventory.body(test).any(|word| word == name))
    }

    /// Whether a new test of the same file judges the same code: `Some(true)` when it is as strong and alike.
    fn replaced(&self, at: At, pairing: &Pairing) -> Option<bool> {
        let gone = test(&self.base, at);
        let version = self.base(at.0);
        let old = bag_of(version.inventory.body(gone));
        let subject: BTreeSet<&String> = gone.assertions.iter().flat_map(|assertion| &assertion.subject).collect();
        let strength = |test: &Test| -> u32 { test.live().map(|assertion| assertion.strength as u32 + 1).sum() };
        let mut found = None;
        for new in &pairing.new {
            let fresh = test(&self.head, *new);
            let file = self.head(new.0);
            let shared = file.inventory.body(fresh).any(|word| subject.iter().any(|name| *name == word));
            if !shared || fresh.live().next().is_none() || fresh.is_off() {
                continue;
            }
            let alike = likeness(&old, &bag_of(file.inventory.body(fresh)));
            let good = strength(fresh) >= strength(gone) && (alike >= 450 || names_alike(&gone.name, &fresh.name));
            found = Some(found.unwrap_or(false) || good);
        }
        found
    }

    /// A test that now runs alone silences the others of its file.
    fn focused(&self, pairing: &Pairing, findings: &mut Vec<Finding>) {
        for (file, head) in self.head.iter().enumerate() {
            let Some(head) = head else { continue };
            let only = |test: &Test| test.marks.iter().any(|mark| mark.kind == MarkKind::Only);
            let before = self.base[file].as_ref().is_some_and(|base| base.inventory.tests.iter().any(only));
            let Some(focus) = head.inventory.tests.iter().find(|test| only(test)).filter(|_| !before) else { continue };
            let silenced =
                pairing.pairs.iter().filter(|(_, new)| new.0 == file && !only(test(&self.head, *new))).count();
            if silenced > 0 {
                let message = format!(
                    "`{}` now runs alone and silences {silenced} other tests of {}: remove `only`",
                    focus.id, head.path
                );
                findings.push(Why::Focused.finding(message).at_head(head.path, focus.start, focus.start));
            }
        }
    }

    /// Files and modules of tests that runners no longer reach.
    fn undiscoverable(&self, findings: &mut Vec<Finding>) {
        for (index, file) in self.files.iter().enumerate() {
            let old_path = file.old_path.as_deref().unwrap_or(&file.path);
            let Some(base) = &self.base[index] else { continue };
            if file.old_path.is_some() && !base.inventory.tests.is_empty() && base.class_is_test {
                let reached = match Language::of(&file.path) {
                    Some(Language::Rust) => {
                        !is_cargo_test(old_path)
                            || is_cargo_test(&file.path)
                            || file.path.contains("src/")
                            || self.declares(module_name(&file.path))
                    }
                    Some(language) => is_test_path(&file.path, language),
                    None => false,
                };
                if !reached {
                    let message = format!(
                        "{old_path} became {}, where no runner looks for tests: give it a name that is found",
                        file.path
                    );
                    findings.push(
                        Why::FileWhereNobodyLooks.finding(message).at_base(old_path, 1, 1).at_head(&file.path, 1, 1),
                    );
                }
            }
            let Some(head) = &self.head[index] else { continue };
            for (name, line) in &base.inventory.modules {
                let declared = head.inventory.modules.iter().any(|(other, _)| other == name)
                    || head.inventory.tests.iter().any(|test| test.id.starts_with(&format!("{name}::")));
                let moved = self.files.iter().any(|other| {
                    let path = other.old_path.as_deref().unwrap_or(&other.path);
                    matches!(other.status, FileStatus::Deleted | FileStatus::Renamed) && module_name(path) == name
                });
                if !declared && !moved && !self.declares(name) {
                    let message = format!(
                        "module `{name}` of {} is no longer compiled, so its tests no longer run: declare it again",
                        head.path
                    );
                    findings.push(Why::ModuleNotCompiled.finding(message).at_base(base.path, *line, *line));
                }
            }
        }
    }

    fn declares(&self, name: &str) -> bool {
        self.head.iter().flatten().any(|version| version.inventory.modules.iter().any(|(other, _)| other == name))
    }

    /// Test files whose text is not there: their hunks alone say little, so a person looks.
    fn unread(&self, findings: &mut Vec<Finding>) {
        for (index, file) in self.files.iter().enumerate() {
            if file.class != FileClass::Test || file.status == FileStatus::Added {
                continue;
            }
            let base_known = self.base[index].is_some() || file.base_text.is_some();
            let head_known = file.status == FileStatus::Deleted || file.head_text.is_some();
            let known_language = Language::of(file.old_path.as_deref().unwrap_or(&file.path)).is_some();
            if known_language
                && !(base_known && head_known)
                && !(file.hunks.is_empty() && file.status == FileStatus::Renamed)
            {
                let message = format!(
                    "the text of test file {} could not be read whole: look at it by hand",
                    shorten(&file.path)
                );
                findings.push(Why::NotRead.finding(message).at_head(&file.path, 1, 1));
            }
        }
    }
}

fn module_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "mod.rs" => path.rsplit('/').nth(1).unwrap_or(name),
        _ => name.split('.').next().unwrap_or(name),
    }
}

/// True for `tests/x.rs` and `tests/x/main.rs` of a crate.
fn is_cargo_test(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplit('/').collect();
    matches!(parts.as_slice(), [_, "tests", ..] | ["main.rs", _, "tests", ..])
}

/// True when half the words of two names are the same.
fn names_alike(one: &str, two: &str) -> bool {
    let words = |name: &str| -> BTreeSet<String> {
        name.split(|char: char| !char.is_alphanumeric())
            .filter(|word| word.len() > 2 && *word != "test")
            .map(str::to_lowercase)
            .collect()
    };
    let (one, two) = (words(one), words(two));
    let shared = one.intersection(&two).count();
    shared * 2 >= one.len().max(two.len()) && shared > 0 && one.len().max(two.len()) - shared <= 1
}
