//! JavaScript and TypeScript by pattern: calls of `test`, `it` and `describe`, with `expect` and `assert` inside.

use crate::inventory::{
    Assertion, Exit, Guard, Inventory, Mark, MarkKind, Parts, Strength, Test, all_literal, assertion, asserts_by_name,
    find, guard, is_constant, or_true, same_sides,
};
use crate::lex::{Kind, Tokens};

pub fn fill(inventory: &mut Inventory<'_>) {
    let tokens = &inventory.tokens;
    let mut tests = Vec::new();
    let mut helpers = Vec::new();
    let mut scopes: Vec<(String, usize, Vec<Mark>)> = Vec::new();
    let mut at = 0;
    while at < tokens.list.len() {
        while scopes.last().is_some_and(|scope| scope.1 <= at) {
            scopes.pop();
        }
        if let Some(call) = call(tokens, at) {
            let mut marks = call.marks;
            let title = tokens.text(call.open + 1).trim_matches(['\'', '"', '`']).to_owned();
            let close = tokens.close(call.open);
            if call.suite {
                scopes.push((title, close, marks));
                at = call.open + 1;
                continue;
            }
            let args = tokens.split(call.open + 1, close);
            for arg in args.iter().skip(1).filter(|arg| tokens.is(arg.0, "{")) {
                marks.extend(options(tokens, *arg));
            }
            if args.len() == 1 {
                marks.push(Mark {
                    kind: MarkKind::Skip,
                    guard: Guard::None,
                    text: "a test without a body".into(),
                    line: tokens.line(at),
                });
            }
            marks.extend(scopes.iter().flat_map(|scope| scope.2.iter().cloned()));
            let scope = scopes.iter().map(|scope| format!("{} > ", scope.0)).collect::<String>();
            let open = args.iter().skip(1).find_map(|arg| function_body(tokens, arg.0, arg.1));
            let body_range = open.map_or((close, close), |open| {
                if tokens.is(open, "{") { (open + 1, tokens.close(open)) } else { (open, close) }
            });
            let mut test = Test {
                id: format!("{scope}{title}"),
                name: title,
                start: tokens.line(at),
                end: tokens.line(close),
                body: body_range,
                marks,
                exits: Vec::new(),
                assertions: Vec::new(),
                rows: call.rows,
            };
            body(tokens, &mut test);
            tests.push(test);
            at = close + 1;
            continue;
        }
        if tokens.is(at, "function")
            && tokens.get(at + 1).is_some_and(|token| token.kind == Kind::Word)
            && let Some(open) = find(tokens, at + 2, tokens.list.len(), &["{"])
        {
            helpers.push(helper(tokens, tokens.text(at + 1), at, open));
        }
        if matches!(tokens.text(at), "const" | "let" | "var" | "class") {
            let name = tokens.text(at + 1).to_owned();
            let arrow = tokens
                .is(at + 2, "=")
                .then(|| function_body(tokens, at + 3, at + 40))
                .flatten()
                .filter(|open| tokens.is(*open, "{"));
            match arrow {
                Some(open) => helpers.push(helper(tokens, &name, at, open)),
                None => {
                    inventory.items.insert(name);
                }
            }
        }
        at += 1;
    }
    inventory.tests = tests;
    inventory.helpers = helpers;
}

fn helper(tokens: &Tokens<'_>, name: &str, at: usize, open: usize) -> Test {
    let close = tokens.close(open);
    let mut test = Test {
        name: name.to_owned(),
        id: name.to_owned(),
        start: tokens.line(at),
        end: tokens.line(close),
        body: (open + 1, close),
        marks: Vec::new(),
        exits: Vec::new(),
        assertions: Vec::new(),
        rows: Vec::new(),
    };
    body(tokens, &mut test);
    test
}

struct Call {
    suite: bool,
    marks: Vec<Mark>,
    open: usize,
    rows: Vec<String>,
}

/// A call such as `test.skip('title', …)`, with its first argument a title.
fn call(tokens: &Tokens<'_>, at: usize) -> Option<Call> {
    if tokens.get(at)?.kind != Kind::Word || at > 0 && matches!(tokens.text(at - 1), "." | "?." | "function") {
        return None;
    }
    let name = tokens.text(at);
    let line = tokens.line(at);
    let mut marks = Vec::new();
    let mut mark = |kind, guard, text: &str| marks.push(Mark { kind, guard, text: text.to_owned(), line });
    let suite = match name {
        "test" | "it" | "specify" => false,
        "describe" | "suite" | "context" => true,
        "xit" | "xtest" | "xspecify" => {
            mark(MarkKind::Skip, Guard::None, name);
            false
        }
        "xdescribe" | "xcontext" => {
            mark(MarkKind::Skip, Guard::None, name);
            true
        }
        "fit" => {
            mark(MarkKind::Only, Guard::None, name);
            false
        }
        "fdescribe" => {
            mark(MarkKind::Only, Guard::None, name);
            true
        }
        _ => return None,
    };
    let mut next = at + 1;
    let mut rows = Vec::new();
    while tokens.is(next, ".") {
        let word = tokens.text(next + 1);
        let full = format!("{name}.{word}");
        match word {
            "skip" | "todo" => mark(MarkKind::Skip, Guard::None, &full),
            "fails" | "failing" => mark(MarkKind::ExpectFailure, Guard::None, &full),
            "only" => mark(MarkKind::Only, Guard::None, &full),
            _ => {}
        }
        next += 2;
        match word {
            "each" if tokens.is(next, "(") => {
                let close = tokens.close(next);
                if tokens.is(next + 1, "[") {
                    let text =
                        |row: (usize, usize)| (row.0..row.1).map(|at| tokens.text(at)).collect::<Vec<_>>().join(" ");
                    rows = tokens
                        .split(next + 2, tokens.close(next + 1))
                        .into_iter()
                        .filter(|row| row.0 < row.1)
                        .map(text)
                        .collect();
                    if rows.is_empty() {
                        mark(MarkKind::Skip, Guard::None, "each([])");
                    }
                }
                next = close + 1;
            }
            "each" => next += usize::from(tokens.get(next).is_some_and(|token| token.kind == Kind::Text)),
            "skipIf" | "runIf" if tokens.is(next, "(") => {
                let close = tokens.close(next);
                let constant = is_constant(tokens, next + 1, close);
                if constant != Some(word == "runIf") {
                    mark(MarkKind::Skip, guard(tokens, next + 1, close), &full);
                }
                next = close + 1;
            }
            _ => {}
        }
    }
    let title = tokens.get(next + 1).is_some_and(|token| token.kind == Kind::Text);
    (tokens.is(next, "(") && title).then_some(Call { suite, marks, open: next, rows })
}

/// Marks of `{ skip: true, todo: 'later' }`.
fn options(tokens: &Tokens<'_>, arg: (usize, usize)) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (from, to) in tokens.split(arg.0 + 1, tokens.close(arg.0)) {
        let kind = match tokens.text(from) {
            "skip" | "todo" => MarkKind::Skip,
            "only" => MarkKind::Only,
            _ => continue,
        };
        if !tokens.is(from + 1, ":") || is_constant(tokens, from + 2, to) == Some(false) {
            continue;
        }
        marks.push(Mark {
            kind,
            guard: guard(tokens, from + 2, to),
            text: format!("{{ {}: {} }}", tokens.text(from), tokens.text(from + 2)),
            line: tokens.line(from),
        });
    }
    marks
}

/// The `{` (or the first token of the expression) of a function among an argument's tokens.
fn function_body(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<usize> {
    let mut at = from;
    if tokens.is(at, "async") {
        at += 1;
    }
    if tokens.is(at, "function") {
        return find(tokens, at + 1, to.max(at + 30), &["{"]);
    }
    let arrow = if tokens.is(at, "(") { tokens.close(at) + 1 } else { at + 1 };
    // A return type may stand between.
    let arrow = (arrow..arrow + 6).find(|at| tokens.is(*at, "=>"))?;
    (arrow < to).then_some(arrow + 1)
}

fn body(tokens: &Tokens<'_>, test: &mut Test) {
    let (from, to) = (test.body.0, test.body.1.min(tokens.list.len()));
    let mut at = from;
    let mut depth = 0usize;
    let mut dead: Vec<(usize, usize)> = Vec::new();
    let mut swallowed: Vec<(usize, usize)> = Vec::new();
    while at < to {
        let line = tokens.line(at);
        match tokens.text(at) {
            "{" if tokens.list[at].kind == Kind::Sign => depth += 1,
            "}" if tokens.list[at].kind == Kind::Sign => depth = depth.saturating_sub(1),
            "return"
                if depth == 0 && matches!(tokens.text(at + 1), ";" | "}") && at + 2 < to
                    || tokens.is(at, "return") && depth == 0 && tokens.line(at + 1) > line && at + 1 < to =>
            {
                test.exits.push(Exit { guard: Guard::None, skip: false, text: "return".into(), line });
                dead.push((at + 1, to));
            }
            "if" if tokens.is(at + 1, "(") => {
                let close = tokens.close(at + 1);
                let block = if tokens.is(close + 1, "{") { close + 2 } else { close + 1 };
                if is_constant(tokens, at + 2, close) == Some(false) {
                    dead.push((
                        close + 1,
                        if tokens.is(close + 1, "{") {
                            tokens.close(close + 1)
                        } else {
                            find(tokens, block, to, &[";"]).unwrap_or(to)
                        },
                    ));
                } else if tokens.is(block, "return") && depth == 0 && matches!(tokens.text(block + 1), ";" | "}") {
                    test.exits.push(Exit {
                        guard: guard(tokens, at + 2, close),
                        skip: false,
                        text: "return".into(),
                        line: tokens.line(block),
                    });
                } else if tokens.is(block + 1, ".") && tokens.is(block + 2, "skip") {
                    test.exits.push(Exit {
                        guard: guard(tokens, at + 2, close),
                        skip: true,
                        text: "skip()".into(),
                        line: tokens.line(block),
                    });
                    at = block + 2;
                }
            }
            "skip" | "todo"
                if at >= 2
                    && tokens.is(at - 1, ".")
                    && matches!(tokens.text(at - 2), "t" | "this" | "ctx" | "context")
                    && tokens.is(at + 1, "(")
                    && depth == 0 =>
            {
                test.exits.push(Exit {
                    guard: Guard::None,
                    skip: true,
                    text: format!("{}.{}()", tokens.text(at - 2), tokens.text(at)),
                    line,
                });
            }
            "pending" if tokens.is(at + 1, "(") && depth == 0 => {
                test.exits.push(Exit { guard: Guard::None, skip: true, text: "pending()".into(), line })
            }
            "exit" if at >= 2 && tokens.is(at - 2, "process") && depth == 0 => {
                test.exits.push(Exit { guard: Guard::None, skip: false, text: "process.exit()".into(), line });
                dead.push((at, to));
            }
            "try" if tokens.is(at + 1, "{") => {
                let close = tokens.close(at + 1);
                if tokens.is(close + 1, "catch") {
                    let open = if tokens.is(close + 2, "(") { tokens.close(close + 2) + 1 } else { close + 2 };
                    let end = tokens.close(open);
                    let speaks = (open..end).any(|at| {
                        matches!(tokens.text(at), "throw" | "expect" | "assert" | "fail" | "done" | "reject" | "t")
                    });
                    if !speaks {
                        swallowed.push((at + 1, close));
                    }
                }
            }
            "catch" if at > 0 && tokens.is(at - 1, ".") && tokens.is(at + 1, "(") => {
                let close = tokens.close(at + 1);
                let empty = tokens.is(close - 1, "}") && tokens.is(close - 2, "{");
                if empty {
                    let start =
                        (from..at).rev().find(|before| tokens.is(*before, ";")).map_or(from, |before| before + 1);
                    swallowed.push((start, at));
                }
            }
            _ => {}
        }
        if let Some((found, end)) = one(tokens, at, to) {
            test.assertions.push(found);
            // Bodies of callbacks inside are looked at too, except that of `expect(() => …)`.
            at = end;
        }
        at += 1;
    }
    for ((from, to), is_dead) in
        dead.into_iter().map(|range| (range, true)).chain(swallowed.into_iter().map(|range| (range, false)))
    {
        let (from, to) = (tokens.line(from), tokens.line(to.saturating_sub(1)));
        for assertion in test.assertions.iter_mut().filter(|assertion| (from..=to).contains(&assertion.line)) {
            if is_dead { assertion.dead = true } else { assertion.swallowed = true }
        }
    }
}

/// The assertion that starts at a token, and its last token.
fn one(tokens: &Tokens<'_>, at: usize, to: usize) -> Option<(Assertion, usize)> {
    let name = tokens.text(at);
    if tokens.get(at)?.kind != Kind::Word || at > 0 && matches!(tokens.text(at - 1), "function" | "?.") {
        return None;
    }
    if name == "expect" && tokens.is(at + 1, "(") {
        return expect(tokens, at, to);
    }
    if matches!(name, "assert" | "t")
        && (tokens.is(at + 1, "(") && name == "assert" || tokens.is(at + 1, ".") && tokens.is(at + 3, "("))
    {
        let dotted = tokens.is(at + 1, ".");
        let method = if dotted { tokens.text(at + 2) } else { "ok" };
        let open = if dotted { at + 3 } else { at + 1 };
        let close = tokens.close(open);
        let args = tokens.split(open + 1, close);
        let (strength, negative, count) = assert_method(method)?;
        let always = match (method, args.as_slice()) {
            ("ok" | "isTrue", [one, ..]) => {
                is_constant(tokens, one.0, one.1) == Some(true) || or_true(tokens, one.0, one.1)
            }
            (_, [left, right, ..]) if strength == Strength::Equal => {
                same_sides(tokens, *left, *right)
                    || all_literal(tokens, left.0, left.1) && all_literal(tokens, right.0, right.1)
            }
            _ => false,
        };
        let strength = match (method, args.first()) {
            ("ok", Some(one)) => boolean(tokens, one.0, one.1),
            _ => strength,
        };
        let end = args.get(count.saturating_sub(1)).map_or(close, |arg| arg.1);
        return Some((assertion(tokens, at, end, Parts { strength, negative, always, custom: None }), close));
    }
    if asserts_by_name(name) && tokens.is(at + 1, "(") && name != "check" && name != "should" {
        let close = tokens.close(at + 1);
        return Some((
            assertion(
                tokens,
                at,
                close,
                Parts { strength: Strength::Equal, negative: false, always: false, custom: Some(name.to_owned()) },
            ),
            close,
        ));
    }
    None
}

/// Strength of a condition handed to `assert(…)`.
fn boolean(tokens: &Tokens<'_>, from: usize, to: usize) -> Strength {
    if find(tokens, from, to, &["||"]).is_some() {
        Strength::Truth
    } else if find(tokens, from, to, &["==", "==="]).is_some() {
        Strength::Equal
    } else if find(tokens, from, to, &["!=", "!==", "<", ">", "<=", ">=", "includes", "startsWith", "endsWith", "test"])
        .is_some()
    {
        Strength::Contain
    } else {
        Strength::Truth
    }
}

fn assert_method(method: &str) -> Option<(Strength, bool, usize)> {
    use Strength::{Contain, Equal, NoThrow, NonNull, Truth};
    Some(match method {
        "equal"
        | "strictEqual"
        | "deepEqual"
        | "deepStrictEqual"
        | "is"
        | "same"
        | "partialDeepStrictEqual"
        | "rejects"
        | "throws"
        | "snapshot" => (Equal, false, 2),
        "notEqual" | "notStrictEqual" | "notDeepEqual" | "notDeepStrictEqual" | "not" => (Contain, true, 2),
        "match" | "regex" | "include" | "includes" | "lengthOf" | "closeTo" | "isAbove" | "isBelow" => {
            (Contain, false, 2)
        }
        "doesNotMatch" => (Contain, true, 2),
        "ok" | "isTrue" | "true" | "truthy" => (Truth, false, 1),
        "isFalse" | "false" | "notOk" | "falsy" => (Truth, true, 1),
        "exists" | "isDefined" | "isNotNull" => (NonNull, false, 1),
        "doesNotThrow" | "doesNotReject" | "ifError" | "pass" | "notThrows" => (NoThrow, false, 1),
        _ => return None,
    })
}

fn expect(tokens: &Tokens<'_>, at: usize, to: usize) -> Option<(Assertion, usize)> {
    let close = tokens.close(at + 1);
    let mut next = close + 1;
    let mut negative = false;
    let mut promise = false;
    let mut matcher = "";
    let mut end = close;
    let mut args = Vec::new();
    while tokens.is(next, ".") && next < to {
        let word = tokens.text(next + 1);
        match word {
            "not" => negative = true,
            "resolves" | "rejects" => promise = true,
            "to" | "be" | "been" | "have" | "is" | "that" | "deep" | "a" | "an" | "and" | "with" => {}
            other => matcher = other,
        }
        end = next + 1;
        next += 2;
        if tokens.is(next, "(") {
            args = tokens.split(next + 1, tokens.close(next));
            end = tokens.close(next);
            next = end + 1;
        }
    }
    use Strength::{Contain, Equal, NoThrow, NonNull, Truth};
    let constant = args.first().and_then(|arg| is_constant(tokens, arg.0, arg.1));
    let (strength, unary) = match matcher {
        "toBe"
        | "toEqual"
        | "toStrictEqual"
        | "equal"
        | "equals"
        | "eq"
        | "eql"
        | "toMatchObject"
        | "toHaveLength"
        | "toHaveBeenCalledWith"
        | "toHaveBeenLastCalledWith"
        | "toHaveBeenCalledTimes"
        | "toMatchSnapshot"
        | "toMatchInlineSnapshot"
        | "toHaveBeenNthCalledWith"
        | "toHaveTextContent"
        | "toHaveReturnedWith"
        | "toBeCloseTo" => (if negative { Contain } else { Equal }, false),
        "toBeTruthy" | "toBeFalsy" | "ok" | "true" | "false" | "toHaveBeenCalled" | "called" => (Truth, true),
        "toBeDefined" | "exist" | "toBeInTheDocument" => (NonNull, true),
        "toBeNull" | "toBeUndefined" | "null" | "undefined" => (if negative { NonNull } else { Contain }, true),
        "toThrow" | "toThrowError" | "throw" => match (negative, args.is_empty()) {
            (true, _) => (NoThrow, false),
            (false, true) => (Contain, false),
            (false, false) => (Equal, false),
        },
        "" => (NoThrow, false),
        _ => (Contain, false),
    };
    let operand = (at + 2, close);
    let always = match matcher {
        "toBeTruthy" | "true" | "ok" => {
            is_constant(tokens, operand.0, operand.1) == Some(!negative)
                || !negative && or_true(tokens, operand.0, operand.1)
        }
        "toBeDefined" | "exist" => all_literal(tokens, operand.0, operand.1) && !negative,
        "toBe" | "toEqual" | "toStrictEqual" | "equal" | "eql" | "eq" => {
            let arg = args.first().copied();
            !negative
                && arg.is_some_and(|arg| {
                    same_sides(tokens, operand, arg)
                        || all_literal(tokens, operand.0, operand.1) && all_literal(tokens, arg.0, arg.1)
                })
                || !negative && constant == Some(true) && or_true(tokens, operand.0, operand.1)
        }
        // `expect(x)` without a matcher checks nothing.
        "" => true,
        _ => false,
    };
    // A promise nobody waits for fails after the test has passed.
    let before = at.checked_sub(1).map_or("", |before| tokens.text(before));
    let waited = matches!(before, "await" | "return" | "=>" | "," | "[" | "(");
    let mut found = assertion(
        tokens,
        at,
        end + usize::from(!unary || end > close),
        Parts { strength, negative, always, custom: None },
    );
    found.swallowed = promise && !waited;
    Some((found, end))
}
