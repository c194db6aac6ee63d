//! JavaScript and TypeScript by pattern: calls of `test`, `it` and `describe`, with `expect` and `assert` inside.

mod assertion;

use crate::inventory::{Exit, Guard, Inventory, Mark, MarkKind, Test, find, guard, is_constant};
use crate::lex::{Kind, Tokens};
use assertion::one;

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
    for range in dead {
        test.within(tokens, range).for_each(|assertion| assertion.dead = true);
    }
    for range in swallowed {
        test.within(tokens, range).for_each(|assertion| assertion.swallowed = true);
    }
}
