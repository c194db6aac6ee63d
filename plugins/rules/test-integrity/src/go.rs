//! Go by pattern: `func TestX`, conditions that end in `t.Error` or `t.Fatal`, and testify.

use crate::inventory::{
    Assertion, Exit, Guard, Inventory, Mark, MarkKind, Parts, Strength, Test, all_literal, assertion, asserts_by_name,
    find, guard, is_constant, or_true, same_sides,
};
use crate::lex::{Kind, Tokens};

pub fn fill(inventory: &mut Inventory<'_>, text: &str) {
    let file_mark = build_tag(text);
    let tokens = &inventory.tokens;
    let mut tests = Vec::new();
    let mut helpers = Vec::new();
    let mut at = 0;
    while at < tokens.list.len() {
        if matches!(tokens.text(at), "type" | "var" | "const") {
            inventory.items.insert(tokens.text(at + 1).to_owned());
        }
        if !tokens.is(at, "func") || tokens.list[at].indent != Some(0) {
            at += 1;
            continue;
        }
        let receiver = tokens.is(at + 1, "(");
        let name_at = if receiver { tokens.close(at + 1) + 1 } else { at + 1 };
        let name = tokens.text(name_at).to_owned();
        let Some(open) = find(tokens, name_at + 1, tokens.list.len(), &["{"]) else { break };
        let close = tokens.close(open);
        let mut test = Test {
            id: name.clone(),
            name,
            start: tokens.line(at),
            end: tokens.line(close),
            body: (open + 1, close),
            marks: file_mark.iter().cloned().collect(),
            exits: Vec::new(),
            assertions: Vec::new(),
            rows: rows(tokens, open + 1, close),
        };
        body(tokens, &mut test);
        let rest = ["Test", "Fuzz", "Benchmark"].iter().find_map(|prefix| test.name.strip_prefix(prefix));
        let named = rest.is_some_and(|rest| !rest.starts_with(|char: char| char.is_lowercase()));
        if named && test.name != "TestMain" && (!receiver || test.name.starts_with("Test")) {
            tests.push(test);
        } else {
            helpers.push(test);
        }
        at = close + 1;
    }
    inventory.tests = tests;
    inventory.helpers = helpers;
}

/// A build constraint before the package clause.
fn build_tag(text: &str) -> Option<Mark> {
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("package ") {
            return None;
        }
        if let Some(tag) = line.strip_prefix("//go:build ").or_else(|| line.strip_prefix("// +build ")) {
            const KNOWN: [&str; 16] = [
                "linux", "darwin", "windows", "unix", "amd64", "arm64", "386", "arm", "cgo", "race", "freebsd", "js",
                "wasm", "go1", "android", "ios",
            ];
            let honest = tag
                .split(|char: char| !char.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .all(|word| KNOWN.contains(&word) || word.chars().all(|char| char.is_ascii_digit()));
            let guard = if tag.trim() == "ignore" || tag.contains("never") || tag.contains("false") {
                Guard::None
            } else if honest {
                Guard::Platform
            } else {
                Guard::Other
            };
            return Some(Mark { kind: MarkKind::Skip, guard, text: format!("//go:build {tag}"), line: at as u32 + 1 });
        }
    }
    None
}

/// Rows of a table: the elements of the first `[]struct{…}{…}` or `map[string]struct{…}{…}`.
fn rows(tokens: &Tokens<'_>, from: usize, to: usize) -> Vec<String> {
    let Some(at) = (from..to.min(tokens.list.len()))
        .find(|at| tokens.is(*at, "struct") && tokens.is(*at + 1, "{") && tokens.is(at.wrapping_sub(1), "]"))
    else {
        return Vec::new();
    };
    let table = tokens.close(at + 1) + 1;
    if !tokens.is(table, "{") {
        return Vec::new();
    }
    let text = |row: (usize, usize)| (row.0..row.1).map(|at| tokens.text(at)).collect::<Vec<_>>().join(" ");
    tokens.split(table + 1, tokens.close(table)).into_iter().filter(|row| row.0 < row.1).map(text).collect()
}

const REPORTS: [&str; 6] = ["Error", "Errorf", "Fatal", "Fatalf", "Fail", "FailNow"];

fn body(tokens: &Tokens<'_>, test: &mut Test) {
    let (from, to) = (test.body.0, test.body.1.min(tokens.list.len()));
    let mut at = from;
    let mut depth = 0usize;
    let mut dead: Vec<(usize, usize)> = Vec::new();
    let mut recovers = false;
    // Conditions around, with the token that ends each block.
    let mut conditions: Vec<(usize, usize, usize)> = Vec::new();
    while at < to {
        conditions.retain(|condition| condition.2 > at);
        let line = tokens.line(at);
        match tokens.text(at) {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "return" if depth == 0 && at + 1 < to => {
                test.exits.push(Exit { guard: Guard::None, skip: false, text: "return".into(), line });
                dead.push((at + 1, to));
            }
            "if" => {
                let Some(open) = find(tokens, at + 1, to, &["{"]) else { break };
                let start = find(tokens, at + 1, open, &[";"]).map_or(at + 1, |semicolon| semicolon + 1);
                let close = tokens.close(open);
                if is_constant(tokens, start, open) == Some(false) {
                    dead.push((open, close));
                }
                if tokens.is(open + 1, "return") && depth == 0 {
                    test.exits.push(Exit {
                        guard: guard(tokens, start, open),
                        skip: false,
                        text: "return".into(),
                        line: tokens.line(open + 1),
                    });
                }
                conditions.push((start, open, close));
            }
            "recover" if tokens.is(at + 1, "(") => {
                let spoken =
                    (at..to.min(at + 40)).any(|at| REPORTS.contains(&tokens.text(at)) || tokens.is(at, "panic"));
                recovers |= !spoken;
            }
            "Skip" | "SkipNow" | "Skipf" if at > 0 && tokens.is(at - 1, ".") => {
                let guard = conditions.last().map_or(Guard::None, |condition| guard(tokens, condition.0, condition.1));
                if depth == 0 || !conditions.is_empty() {
                    test.exits.push(Exit { guard, skip: true, text: format!("t.{}", tokens.text(at)), line });
                }
                if depth == 0 {
                    dead.push((at + 1, to));
                }
            }
            "Exit" if at >= 2 && tokens.is(at - 2, "os") && depth == 0 => {
                test.exits.push(Exit { guard: Guard::None, skip: false, text: "os.Exit".into(), line });
                dead.push((at, to));
            }
            word if REPORTS.contains(&word)
                && at > 1
                && tokens.is(at - 1, ".")
                && matches!(tokens.text(at - 2), "t" | "b" | "tb" | "s" | "c") =>
            {
                let parts = conditions.last().map(|condition| (condition.0, condition.1));
                let (from, to) = parts.unwrap_or((at - 2, at + 1));
                let never = is_constant(tokens, from, to) == Some(false);
                let mut found = assertion(
                    tokens,
                    from,
                    to,
                    Parts { strength: strength(tokens, from, to), negative: false, always: never, custom: None },
                );
                found.line = line;
                test.assertions.push(found);
            }
            "assert" | "require" if tokens.is(at + 1, ".") && tokens.is(at + 3, "(") => {
                if let Some((found, end)) = testify(tokens, at) {
                    test.assertions.push(found);
                    at = end;
                }
            }
            name if asserts_by_name(name)
                && tokens.list[at].kind == Kind::Word
                && tokens.is(at + 1, "(")
                && !matches!(tokens.text(at.wrapping_sub(1)), "." | "func") =>
            {
                let close = tokens.close(at + 1);
                test.assertions.push(assertion(
                    tokens,
                    at,
                    close,
                    Parts { strength: Strength::Equal, negative: false, always: false, custom: Some(name.to_owned()) },
                ));
                at = close;
            }
            _ => {}
        }
        at += 1;
    }
    for range in dead {
        test.within(tokens, range).for_each(|assertion| assertion.dead = true);
    }
    if recovers {
        test.assertions.iter_mut().for_each(|assertion| assertion.swallowed = true);
    }
}

/// What `if COND { t.Error(…) }` demands: the opposite of its condition.
fn strength(tokens: &Tokens<'_>, from: usize, to: usize) -> Strength {
    let has = |wanted: &[&str]| (from..to.min(tokens.list.len())).any(|at| wanted.contains(&tokens.text(at)));
    if find(tokens, from, to, &["&&"]).is_some() {
        return Strength::Truth;
    }
    if has(&["DeepEqual", "Diff", "Equal", "Is", "As"]) {
        return Strength::Equal;
    }
    if has(&["<", ">", "<=", ">=", "Contains", "HasPrefix", "HasSuffix"]) {
        return Strength::Contain;
    }
    if find(tokens, from, to, &["!="]).is_some() {
        return if tokens.is(to.saturating_sub(1), "nil") { Strength::NonNull } else { Strength::Equal };
    }
    if find(tokens, from, to, &["=="]).is_some() {
        return if tokens.is(to.saturating_sub(1), "nil") { Strength::NonNull } else { Strength::Contain };
    }
    Strength::Truth
}

fn testify(tokens: &Tokens<'_>, at: usize) -> Option<(Assertion, usize)> {
    use Strength::{Contain, Equal, NoThrow, NonNull, Truth};
    let name = tokens.text(at + 2);
    let close = tokens.close(at + 3);
    let (strength, negative, count) = match name {
        "Equal" | "EqualValues" | "Exactly" | "ElementsMatch" | "JSONEq" | "ErrorIs" | "EqualError" | "Same"
        | "InDelta" | "InEpsilon" | "Len" => (Equal, false, 3),
        "NotEqual" => (Contain, true, 3),
        "Contains" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "Regexp" | "Subset" | "ErrorContains"
        | "ErrorAs" | "IsType" => (Contain, false, 3),
        "NotContains" => (Contain, true, 3),
        "Nil" | "Empty" | "Zero" => (Contain, true, 2),
        "True" => (Truth, false, 2),
        "False" => (Truth, true, 2),
        "Error" | "Panics" => (Truth, false, 2),
        "NotNil" | "NotEmpty" | "NotZero" => (NonNull, false, 2),
        "NoError" | "NotPanics" => (NoThrow, false, 2),
        _ => return None,
    };
    let args = tokens.split(at + 4, close);
    let always = match (name, args.as_slice()) {
        ("True", [_, one, ..]) => is_constant(tokens, one.0, one.1) == Some(true) || or_true(tokens, one.0, one.1),
        ("False", [_, one, ..]) => is_constant(tokens, one.0, one.1) == Some(false),
        ("Equal" | "EqualValues" | "Exactly" | "Same", [_, left, right, ..]) => {
            same_sides(tokens, *left, *right)
                || all_literal(tokens, left.0, left.1) && all_literal(tokens, right.0, right.1)
        }
        _ => false,
    };
    let count = if matches!(name, "InDelta" | "InEpsilon") { 4 } else { count };
    let end = args.get(count - 1).map_or(close, |arg| arg.1);
    Some((assertion(tokens, at, end, Parts { strength, negative, always, custom: None }), close))
}
