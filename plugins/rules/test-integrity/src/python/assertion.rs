//! What a Python test claims: `assert` statements and the methods of unittest and pytest, each with how much it claims.

use super::line::Line;
use crate::inventory::{
    Assertion, Parts, Strength, all_literal, assertion, asserts_by_name, find, is_constant, or_true, same_sides,
};
use crate::lex::{Kind, Tokens};

/// Assertions of one logical line.
pub(super) fn statement(tokens: &Tokens<'_>, line: Line) -> Vec<Assertion> {
    let mut from = line.from;
    // `if x: assert y` and `else: assert y` on one line.
    if matches!(tokens.text(from), "if" | "else" | "elif" | "for" | "try" | "with")
        && let Some(colon) =
            find(tokens, from, line.to, &[":"]).filter(|colon| colon + 1 < line.to && !tokens.is(line.from, "with"))
    {
        from = colon + 1;
    }
    let mut found = Vec::new();
    for (from, to) in split_statements(tokens, from, line.to) {
        found.extend(simple(tokens, from, to));
    }
    found
}

fn split_statements(tokens: &Tokens<'_>, from: usize, to: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut start = from;
    while let Some(at) = find(tokens, start, to, &[";"]) {
        parts.push((start, at));
        start = at + 1;
    }
    parts.push((start, to));
    parts
}

fn simple(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<Assertion> {
    if tokens.is(from, "assert") {
        let comma = find(tokens, from + 1, to, &[","]).unwrap_or(to);
        return Some(assertion(tokens, from, comma, condition(tokens, from + 1, comma)));
    }
    for at in from..to {
        let name = tokens.text(at);
        if tokens.list[at].kind != Kind::Word || !tokens.is(at + 1, "(") {
            continue;
        }
        let close = tokens.close(at + 1);
        let args = tokens.split(at + 2, close);
        if let Some((strength, negative, count)) = method(name) {
            let always = tautology(tokens, name, &args);
            let end = args.get(count.saturating_sub(1)).map_or(close, |arg| arg.1);
            // Keywords such as `places=` follow the operands and count.
            let keyword = args
                .iter()
                .skip(count)
                .filter(|arg| tokens.is(arg.0 + 1, "=") && !tokens.is(arg.0, "msg"))
                .map(|arg| arg.1)
                .max();
            let strength = raised(tokens, name, &args).unwrap_or(strength);
            return Some(assertion(
                tokens,
                at,
                keyword.unwrap_or(end),
                Parts { strength, negative, always, custom: None },
            ));
        }
        let definition = at > 0 && tokens.is(at - 1, "def");
        if asserts_by_name(name)
            && !definition
            && !name.starts_with("check_output")
            && !name.starts_with("check_call")
            && !name.starts_with("expect_")
        {
            return Some(assertion(
                tokens,
                at,
                close,
                Parts { strength: Strength::Equal, negative: false, always: false, custom: Some(name.to_owned()) },
            ));
        }
        if name == "fail" && (at == from || tokens.is(at - 1, ".")) {
            return None;
        }
    }
    None
}

/// Strength, polarity and number of operands of an assertion method.
fn method(name: &str) -> Option<(Strength, bool, usize)> {
    use Strength::{Contain, Equal, NonNull, Truth};
    Some(match name {
        "assertEqual"
        | "assertEquals"
        | "assertListEqual"
        | "assertDictEqual"
        | "assertTupleEqual"
        | "assertSetEqual"
        | "assertCountEqual"
        | "assertMultiLineEqual"
        | "assertSequenceEqual"
        | "assertIs"
        | "assertAlmostEqual" => (Equal, false, 2),
        "assert_equal"
        | "assert_allclose"
        | "assert_array_equal"
        | "assert_almost_equal"
        | "assert_array_almost_equal"
        | "assert_frame_equal"
        | "assert_series_equal"
        | "assert_called_once_with"
        | "assert_called_with"
        | "assert_has_calls"
        | "assert_any_call"
        | "assert_awaited_once_with" => (Equal, false, 2),
        "assertNotEqual" | "assertIsNot" | "assertNotAlmostEqual" => (Contain, true, 2),
        "assertIn" | "assertGreater" | "assertGreaterEqual" | "assertLess" | "assertLessEqual" | "assertRegex"
        | "assertIsInstance" => (Contain, false, 2),
        "assertNotIn" | "assertNotRegex" | "assertNotIsInstance" => (Contain, true, 2),
        "assert_called_once" | "assert_not_called" | "assert_awaited_once" => (Contain, false, 0),
        "assertTrue" | "assert_" | "failUnless" => (Truth, false, 1),
        "assertFalse" | "failIf" => (Truth, true, 1),
        "assert_called" | "assert_awaited" => (Truth, false, 0),
        "assertIsNone" => (Contain, true, 1),
        "assertIsNotNone" => (NonNull, false, 1),
        "assertRaises" | "assertRaisesRegex" | "assertWarns" | "assertWarnsRegex" | "assertLogs" | "raises"
        | "warns" => (Equal, false, 2),
        _ => return None,
    })
}

/// How exactly an expected exception is named.
fn raised(tokens: &Tokens<'_>, name: &str, args: &[(usize, usize)]) -> Option<Strength> {
    if !matches!(name, "assertRaises" | "assertRaisesRegex" | "raises") {
        return None;
    }
    let broad = args.first().is_some_and(|arg| {
        is_broad(tokens.text(arg.1.saturating_sub(1)))
            || tokens.is(arg.0, "(") && (arg.0..arg.1).any(|at| is_broad(tokens.text(at)))
    });
    let matched = name == "assertRaisesRegex" || args.iter().any(|arg| tokens.is(arg.0, "match"));
    Some(match (broad, matched) {
        (true, false) => Strength::NonNull,
        (true, true) | (false, false) => Strength::Contain,
        (false, true) => Strength::Equal,
    })
}

fn tautology(tokens: &Tokens<'_>, name: &str, args: &[(usize, usize)]) -> bool {
    match (name, args) {
        ("assertTrue" | "assert_" | "failUnless", [one, ..]) => {
            is_constant(tokens, one.0, one.1) == Some(true) || or_true(tokens, one.0, one.1)
        }
        ("assertFalse", [one, ..]) => is_constant(tokens, one.0, one.1) == Some(false),
        ("assertIsNotNone", [one, ..]) => all_literal(tokens, one.0, one.1) && !tokens.is(one.0, "None"),
        ("assertEqual" | "assertEquals" | "assertIs" | "assert_equal", [left, right, ..]) => {
            same_sides(tokens, *left, *right)
                || all_literal(tokens, left.0, left.1) && all_literal(tokens, right.0, right.1)
        }
        _ => false,
    }
}

/// What `assert …` demands.
fn condition(tokens: &Tokens<'_>, from: usize, to: usize) -> Parts {
    let always = is_constant(tokens, from, to) == Some(true) || or_true(tokens, from, to);
    // `assert (x, "message")` is a tuple that is never empty.
    let tuple =
        tokens.is(from, "(") && tokens.close(from) + 1 == to && find(tokens, from + 1, to - 1, &[","]).is_some();
    if always || tuple {
        return Parts { strength: Strength::Truth, negative: false, always: true, custom: None };
    }
    if tokens.is(from, "(") && tokens.close(from) + 1 == to {
        return condition(tokens, from + 1, to - 1);
    }
    let negative = tokens.is(from, "not");
    let plain = |strength| Parts { strength, negative, always: false, custom: None };
    if find(tokens, from, to, &["or", "if"]).is_some() {
        return plain(Strength::Truth);
    }
    if let Some(at) = find(tokens, from, to, &["=="]) {
        return Parts { always: same_sides(tokens, (from, at), (at + 1, to)), ..plain(Strength::Equal) };
    }
    if let Some(at) = find(tokens, from, to, &["is"]) {
        if tokens.is(at + 1, "not") {
            return plain(if tokens.is(at + 2, "None") { Strength::NonNull } else { Strength::Contain });
        }
        return plain(Strength::Equal);
    }
    if find(tokens, from, to, &["!="]).is_some() {
        return Parts { negative: true, ..plain(Strength::Contain) };
    }
    if find(tokens, from, to, &["in", "<", ">", "<=", ">="]).is_some() {
        let negative = find(tokens, from, to, &["in"]).is_some_and(|at| at > from && tokens.is(at - 1, "not"));
        return Parts { negative, ..plain(Strength::Contain) };
    }
    let call = if negative { tokens.text(from + 1) } else { tokens.text(from) };
    match call {
        "isinstance" | "all" | "any" | "re" => plain(Strength::Contain),
        "callable" | "hasattr" => plain(Strength::NonNull),
        _ => plain(Strength::Truth),
    }
}

pub(super) fn is_broad(name: &str) -> bool {
    matches!(name, "Exception" | "BaseException" | "AssertionError")
}
