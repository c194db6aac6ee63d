//! Rust: functions with a test attribute, wherever they stand, and what their macros assert.

use crate::inventory::{
    Assertion, Exit, Guard, Inventory, Mark, MarkKind, Parts, Strength, Test, all_literal, assertion, asserts_by_name,
    find, guard, is_constant, or_true, same_sides,
};
use crate::lex::{Kind, Tokens};

struct Attribute {
    from: usize,
    to: usize,
}

pub fn fill(inventory: &mut Inventory<'_>) {
    let mut walk = Walk { inventory, scopes: Vec::new(), attributes: Vec::new(), file_marks: Vec::new() };
    walk.run();
}

struct Walk<'i, 'a> {
    inventory: &'i mut Inventory<'a>,
    /// Modules around, with the token that ends each and the marks they pass on.
    scopes: Vec<(String, usize, Vec<Mark>)>,
    attributes: Vec<Attribute>,
    file_marks: Vec<Mark>,
}

impl Walk<'_, '_> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.inventory.tokens.list.len() {
            while self.scopes.last().is_some_and(|scope| scope.1 <= at) {
                self.scopes.pop();
            }
            let tokens = &self.inventory.tokens;
            match tokens.text(at) {
                "#" if tokens.is(at + 1, "[") => {
                    let to = tokens.close(at + 1);
                    self.attributes.push(Attribute { from: at + 2, to });
                    at = to;
                }
                "#" if tokens.is(at + 1, "!") && tokens.is(at + 2, "[") => {
                    let to = tokens.close(at + 2);
                    self.file_marks.extend(mark(tokens, at + 3, to));
                    at = to;
                }
                "mod" => at = self.module(at),
                "fn" => at = self.function(at),
                "struct" | "enum" | "trait" | "type" | "const" | "static" | "macro_rules" | "union" => {
                    let name = if tokens.is(at + 1, "!") { tokens.text(at + 2) } else { tokens.text(at + 1) };
                    self.inventory.items.insert(name.to_owned());
                    // `const fn` keeps its attributes.
                    if !tokens.is(at + 1, "fn") {
                        self.attributes.clear();
                    }
                }
                "pub" | "async" | "unsafe" | "extern" | "crate" | "(" | ")" | "in" | "super" => {}
                _ => {
                    if tokens.list[at].kind != Kind::Text {
                        self.attributes.clear();
                    }
                }
            }
            at += 1;
        }
    }

    fn module(&mut self, at: usize) -> usize {
        let tokens = &self.inventory.tokens;
        let name = tokens.text(at + 1).to_owned();
        let marks: Vec<Mark> =
            self.attributes.iter().filter_map(|attribute| mark(tokens, attribute.from, attribute.to)).collect();
        let is_test = self
            .attributes
            .iter()
            .any(|attribute| tokens.is(attribute.from, "cfg") && tokens.is(attribute.from + 2, "test"));
        let line = tokens.line(at);
        if tokens.is(at + 2, "{") {
            let end = tokens.close(at + 2);
            self.scopes.push((name, end, marks));
        } else if (is_test || name.contains("test")) && marks.is_empty() {
            self.inventory.modules.push((name, line));
        }
        self.attributes.clear();
        at + 2
    }

    fn function(&mut self, at: usize) -> usize {
        let tokens = &self.inventory.tokens;
        let name = tokens.text(at + 1);
        let mut open = at + 2;
        while open < tokens.list.len() && !matches!(tokens.text(open), "{" | ";") {
            if matches!(tokens.text(open), "(" | "[") {
                open = tokens.close(open);
            }
            open += 1;
        }
        if !tokens.is(open, "{") {
            self.attributes.clear();
            return at + 1;
        }
        let close = tokens.close(open);
        let is_test = self.attributes.iter().any(|attribute| is_test_attribute(tokens, attribute));
        let mut marks: Vec<Mark> =
            self.attributes.iter().filter_map(|attribute| mark(tokens, attribute.from, attribute.to)).collect();
        marks.extend(
            self.scopes.iter().flat_map(|scope| scope.2.iter().cloned()).chain(self.file_marks.iter().cloned()),
        );
        let rows = rows(tokens, &self.attributes);
        let scope = self.scopes.iter().map(|scope| format!("{}::", scope.0)).collect::<String>();
        let start = self.attributes.first().map_or(tokens.line(at), |attribute| tokens.line(attribute.from));
        let mut test = Test {
            name: name.to_owned(),
            id: format!("{scope}{name}"),
            start,
            end: tokens.line(close),
            body: (open + 1, close),
            marks,
            exits: Vec::new(),
            assertions: Vec::new(),
            rows,
        };
        body(tokens, &mut test);
        self.attributes.clear();
        if is_test {
            self.inventory.tests.push(test);
            return close;
        }
        self.inventory.helpers.push(test);
        // Modules and functions inside are met by the walk.
        open
    }
}

fn is_test_attribute(tokens: &Tokens<'_>, attribute: &Attribute) -> bool {
    let mut at = attribute.from;
    while tokens.is(at + 1, "::") {
        at += 2;
    }
    // `proptest!` and friends put a plain `#[test]` inside; `quickcheck` and `wasm_bindgen_test` are their own.
    matches!(
        tokens.text(at),
        "test"
            | "rstest"
            | "test_case"
            | "quickcheck"
            | "wasm_bindgen_test"
            | "parameterized"
            | "test_log"
            | "bench"
            | "traced_test"
    ) && at < attribute.to
}

fn mark(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<Mark> {
    let text = || (from..to.min(tokens.list.len())).map(|at| tokens.text(at)).collect::<String>();
    let make = |kind, guard| Some(Mark { kind, guard, text: format!("#[{}]", text()), line: tokens.line(from) });
    match tokens.text(from) {
        "ignore" => make(MarkKind::Skip, Guard::None),
        "should_panic" => make(MarkKind::ExpectFailure, Guard::None),
        "cfg" => match cfg(tokens, from + 2, to.saturating_sub(1)) {
            Some(guard) => make(MarkKind::Skip, guard),
            None => None,
        },
        "cfg_attr" => {
            let parts = tokens.split(from + 2, tokens.close(from + 1));
            let (condition, what) = (parts.first()?, parts.get(1)?);
            let kind = match tokens.text(what.0) {
                "ignore" => MarkKind::Skip,
                "should_panic" => MarkKind::ExpectFailure,
                _ => return None,
            };
            let always =
                tokens.is(condition.0, "all") && tokens.is(condition.0 + 2, ")") || tokens.is(condition.0, "test");
            let negated_never =
                tokens.is(condition.0, "not") && tokens.is(condition.0 + 2, "any") && tokens.is(condition.0 + 4, ")");
            let guard = if always || negated_never { Guard::None } else { guard(tokens, condition.0, condition.1) };
            make(kind, guard)
        }
        _ => None,
    }
}

/// How a `cfg` keeps a test out; none when it does not (`cfg(test)`).
fn cfg(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<Guard> {
    if tokens.is(from, "test") && to <= from + 1 {
        return None;
    }
    let never = tokens.is(from, "any") && tokens.is(from + 2, ")") || matches!(tokens.text(from), "FALSE" | "false");
    let not_test = tokens.is(from, "not")
        && (tokens.is(from + 2, "test") || tokens.is(from + 2, "all") && tokens.is(from + 4, ")"));
    if never || not_test {
        return Some(Guard::None);
    }
    if tokens.is(from, "all") {
        let mut worst = None;
        for part in tokens.split(from + 2, tokens.close(from + 1)) {
            worst = worst.into_iter().chain(cfg(tokens, part.0, part.1)).min();
        }
        return worst;
    }
    Some(guard(tokens, from, to))
}

/// `#[case(…)]` and `#[test_case(…)]`.
fn rows(tokens: &Tokens<'_>, attributes: &[Attribute]) -> Vec<String> {
    let is_row = |attribute: &&Attribute| {
        let mut at = attribute.from;
        while tokens.is(at + 1, "::") {
            at += 2;
        }
        matches!(tokens.text(at), "case" | "test_case")
    };
    let text =
        |attribute: &Attribute| (attribute.from..attribute.to).map(|at| tokens.text(at)).collect::<Vec<_>>().join(" ");
    attributes.iter().filter(is_row).map(text).collect()
}

fn body(tokens: &Tokens<'_>, test: &mut Test) {
    let (from, to) = (test.body.0, test.body.1.min(tokens.list.len()));
    let mut at = from;
    let mut depth = 0usize;
    let mut dead: Vec<(usize, usize)> = Vec::new();
    while at < to {
        match tokens.text(at) {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "return" if depth == 0 => {
                let end = find(tokens, at, to, &[";"]).unwrap_or(to);
                if end + 1 < to {
                    test.exits.push(Exit {
                        guard: Guard::None,
                        skip: false,
                        text: "return".into(),
                        line: tokens.line(at),
                    });
                    dead.push((end + 1, to));
                }
            }
            "if" | "while" => {
                let open = find_block(tokens, at + 1, to);
                let negated = tokens.is(at + 1, "!");
                let never = is_constant(tokens, at + 1, open) == Some(false)
                    || tokens.is(at + 1, "cfg")
                        && cfg(tokens, at + 4, tokens.close(at + 3)) == Some(Guard::None)
                        && !negated;
                if never {
                    dead.push((open, tokens.close(open)));
                } else if tokens.is(at, "if") && tokens.is(open + 1, "return") && depth == 0 {
                    let condition = if tokens.is(at + 1, "let") { Guard::Other } else { guard(tokens, at + 1, open) };
                    test.exits.push(Exit {
                        guard: condition,
                        skip: false,
                        text: "return".into(),
                        line: tokens.line(open + 1),
                    });
                }
            }
            "catch_unwind" => {
                let close = tokens.close(at + 1);
                let dropped =
                    matches!(tokens.text(close + 1), ";") || tokens.is(close + 1, ".") && tokens.is(close + 2, "ok");
                let bound = (from..at).rev().take(6).any(|before| tokens.is(before, "="))
                    && !(from..at).rev().take(8).any(|before| tokens.is(before, "_"));
                if dropped && !bound {
                    let from = test.assertions.len();
                    collect(tokens, at + 2, close, &mut test.assertions);
                    test.assertions[from..].iter_mut().for_each(|assertion| assertion.swallowed = true);
                    at = close;
                }
            }
            "exit" if at >= 2 && tokens.is(at - 2, "process") && depth == 0 => {
                test.exits.push(Exit {
                    guard: Guard::None,
                    skip: false,
                    text: "process::exit".into(),
                    line: tokens.line(at),
                });
                dead.push((at, to));
            }
            _ => {}
        }
        if let Some((found, end)) = one(tokens, at, to) {
            test.assertions.push(found);
            at = end;
        }
        at += 1;
    }
    for range in dead {
        test.within(tokens, range).for_each(|assertion| assertion.dead = true);
    }
}

fn collect(tokens: &Tokens<'_>, from: usize, to: usize, into: &mut Vec<Assertion>) {
    let mut at = from;
    while at < to {
        if let Some((found, end)) = one(tokens, at, to) {
            into.push(found);
            at = end;
        }
        at += 1;
    }
}

/// The `{` of the block that follows a condition.
fn find_block(tokens: &Tokens<'_>, from: usize, to: usize) -> usize {
    let mut at = from;
    while at < to && !tokens.is(at, "{") {
        if matches!(tokens.text(at), "(" | "[") {
            at = tokens.close(at);
        }
        at += 1;
    }
    at
}

/// The assertion that starts at a token, and its last token.
fn one(tokens: &Tokens<'_>, at: usize, to: usize) -> Option<(Assertion, usize)> {
    let name = tokens.text(at);
    if tokens.get(at)?.kind != Kind::Word {
        return None;
    }
    if tokens.is(at + 1, "!") && matches!(tokens.text(at + 2), "(" | "[" | "{") {
        let close = tokens.close(at + 2).min(to);
        let parts = tokens.split(at + 3, close);
        let base = name.trim_start_matches("debug_").trim_start_matches("prop_").trim_start_matches("pretty_");
        let (parts_used, found) = match base {
            "assert_eq" | "assert_ne" => {
                let (left, right) = (*parts.first()?, *parts.get(1)?);
                let always = base == "assert_eq"
                    && (same_sides(tokens, left, right)
                        || all_literal(tokens, left.0, left.1) && all_literal(tokens, right.0, right.1));
                let strength = if base == "assert_eq" { Strength::Equal } else { Strength::Contain };
                (right.1, Parts { strength, negative: base == "assert_ne", always, custom: None })
            }
            "assert" => {
                let whole = *parts.first()?;
                (whole.1, condition(tokens, whole.0, whole.1))
            }
            "panic" | "unreachable" => return None,
            "assert_matches" | "assert_ok" | "assert_err" | "assert_some" | "assert_none" => {
                (close, Parts { strength: Strength::Contain, negative: false, always: false, custom: None })
            }
            _ if base.starts_with("assert") => {
                (close, Parts { strength: Strength::Equal, negative: false, always: false, custom: None })
            }
            _ => return None,
        };
        return Some((assertion(tokens, at, parts_used, found), close));
    }
    if matches!(name, "unwrap_err" | "expect_err") && tokens.is(at + 1, "(") {
        let close = tokens.close(at + 1);
        let statement =
            (0..at).rev().find(|before| matches!(tokens.text(*before), ";" | "{" | "}")).map_or(0, |before| before + 1);
        return Some((
            assertion(
                tokens,
                statement,
                close,
                Parts { strength: Strength::NonNull, negative: true, always: false, custom: None },
            ),
            close,
        ));
    }
    if asserts_by_name(name)
        && tokens.is(at + 1, "(")
        && !tokens.is(at.wrapping_sub(1), "fn")
        && !matches!(name, "expect" | "expect_err" | "ensure")
    {
        let close = tokens.close(at + 1);
        let parts = Parts { strength: Strength::Equal, negative: false, always: false, custom: Some(name.to_owned()) };
        return Some((assertion(tokens, at, close, parts), close));
    }
    None
}

/// What `assert!(…)` demands.
fn condition(tokens: &Tokens<'_>, from: usize, to: usize) -> Parts {
    let negative = tokens.is(from, "!");
    if is_constant(tokens, from, to) == Some(true) || or_true(tokens, from, to) {
        return Parts { strength: Strength::Truth, negative: false, always: true, custom: None };
    }
    let plain = |strength| Parts { strength, negative, always: false, custom: None };
    if find(tokens, from, to, &["||"]).is_some() {
        return plain(Strength::Truth);
    }
    if let Some(at) = find(tokens, from, to, &["=="]) {
        let always = same_sides(tokens, (from, at), (at + 1, to));
        return Parts { always, ..plain(Strength::Equal) };
    }
    if find(tokens, from, to, &["!="]).is_some() {
        return Parts { negative: true, ..plain(Strength::Contain) };
    }
    if find(tokens, from, to, &["<", ">", "<=", ">="]).is_some() || tokens.is(from, "matches") {
        return plain(Strength::Contain);
    }
    let last_call = (from..to)
        .rev()
        .find(|at| tokens.is(*at, "(") && tokens.close(*at) + 1 == to)
        .map_or("", |at| tokens.text(at.saturating_sub(1)));
    match last_call {
        "contains"
        | "starts_with"
        | "ends_with"
        | "contains_key"
        | "eq"
        | "eq_ignore_ascii_case"
        | "any"
        | "all"
        | "is_empty"
        | "is_some_and"
        | "is_ok_and"
        | "is_none_or" => plain(Strength::Contain),
        "is_some" | "is_ok" => plain(Strength::NonNull),
        "is_none" | "is_err" => Parts { negative: true, ..plain(Strength::Truth) },
        _ => plain(Strength::Truth),
    }
}
