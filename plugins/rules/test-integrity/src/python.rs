//! Python: unittest and pytest. Blocks are told by indentation, statements by logical lines.

mod assertion;
mod line;

use crate::inventory::{Exit, Guard, Inventory, Mark, MarkKind, Test, find, guard, is_constant};
use crate::lex::{Kind, Tokens};
use assertion::{is_broad, statement};
use line::{Line, lines};

struct Scope {
    indent: u32,
    name: String,
    marks: Vec<Mark>,
    /// Its methods are collected.
    collected: bool,
}

pub fn fill(inventory: &mut Inventory<'_>) {
    let tokens = &inventory.tokens;
    let lines = lines(tokens);
    let mut tests: Vec<Test> = Vec::new();
    let mut helpers = Vec::new();
    let mut items = std::collections::BTreeSet::new();
    let mut scopes: Vec<Scope> = Vec::new();
    let mut decorators: Vec<Line> = Vec::new();
    let mut module_marks: Vec<Mark> = Vec::new();
    let mut class_marks: Vec<(String, Mark)> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        while scopes.last().is_some_and(|scope| scope.indent >= line.indent) {
            scopes.pop();
        }
        let first = if tokens.is(line.from, "async") { line.from + 1 } else { line.from };
        match tokens.text(first) {
            "@" => {
                decorators.push(line);
                at += 1;
                continue;
            }
            "class" => {
                let name = tokens.text(first + 1).to_owned();
                items.insert(name.clone());
                let bases = tokens.is(first + 2, "(") && !tokens.is(first + 3, ")");
                let collected = name.starts_with("Test") || bases;
                let marks = decorators.iter().filter_map(|line| decorator(tokens, *line)).collect();
                scopes.push(Scope { indent: line.indent, name, marks, collected });
            }
            "def" => {
                let name = tokens.text(first + 1).to_owned();
                let end = (at + 1..lines.len()).find(|next| lines[*next].indent <= line.indent).unwrap_or(lines.len());
                let scope = scopes.iter().map(|scope| format!("{}.", scope.name)).collect::<String>();
                let mut marks: Vec<Mark> = decorators.iter().filter_map(|line| decorator(tokens, *line)).collect();
                marks.extend(scopes.iter().flat_map(|scope| scope.marks.iter().cloned()));
                let colon = find(tokens, line.from, line.to, &[":"]).unwrap_or(line.to);
                let body_end = lines.get(end.wrapping_sub(1)).map_or(line.to, |last| last.to);
                let start = decorators.first().map_or(tokens.line(line.from), |first| tokens.line(first.from));
                let mut test = Test {
                    id: format!("{scope}{name}"),
                    start,
                    end: tokens.line(body_end.saturating_sub(1)),
                    body: (colon + 1, body_end),
                    marks,
                    exits: Vec::new(),
                    assertions: Vec::new(),
                    rows: decorators.iter().flat_map(|line| rows(tokens, *line)).collect(),
                    name,
                };
                let inline = Line { from: colon + 1, to: line.to, indent: line.indent + 1 };
                let inner: Vec<Line> = (colon + 1 < line.to)
                    .then_some(inline)
                    .into_iter()
                    .chain(lines[at + 1..end].iter().copied())
                    .collect();
                body(tokens, &inner, &mut test);
                let fixture = decorators.iter().any(|line| (line.from..line.to).any(|at| tokens.is(at, "fixture")));
                let is_test = test.name.starts_with("test") && !fixture && scopes.iter().all(|scope| scope.collected);
                if matches!(test.name.as_str(), "setUp" | "setUpClass" | "setup_method" | "setup_class" | "asyncSetUp")
                {
                    for exit in test.exits.iter().filter(|exit| exit.skip) {
                        let mark = Mark {
                            kind: MarkKind::Skip,
                            guard: exit.guard,
                            text: format!("{} in {}", exit.text, test.name),
                            line: exit.line,
                        };
                        class_marks.push((scope.clone(), mark));
                    }
                }
                if is_test {
                    // A later definition of the same name replaces the earlier one.
                    tests.retain(|other| other.id != test.id);
                    tests.push(test);
                    decorators.clear();
                    at = end;
                    continue;
                }
                // Functions inside a helper are met by the walk.
                helpers.push(test);
            }
            "pytestmark" if tokens.is(first + 1, "=") => {
                let mark = decorator(tokens, Line { from: first + 1, ..line });
                match scopes.last_mut() {
                    Some(scope) => scope.marks.extend(mark),
                    None => module_marks.extend(mark),
                }
            }
            "__test__" if tokens.is(first + 1, "=") && tokens.is(first + 2, "False") => {
                let mark = Mark {
                    kind: MarkKind::Skip,
                    guard: Guard::None,
                    text: "__test__ = False".into(),
                    line: tokens.line(first),
                };
                match scopes.last_mut() {
                    Some(scope) => scope.marks.push(mark),
                    None => module_marks.push(mark),
                }
            }
            "del" if line.indent == 0 => tests.retain(|test| {
                test.name != tokens.text(first + 1) && !test.id.starts_with(&format!("{}.", tokens.text(first + 1)))
            }),
            name if line.indent == 0 && tokens.is(first + 1, "=") => {
                // `test_x = None` takes the test away.
                if tokens.get(first + 2).is_some_and(|token| token.is_literal()) {
                    tests.retain(|test| test.id.split('.').next() != Some(name));
                }
                items.insert(name.to_owned());
            }
            _ => {
                let condition = (line.indent > 0).then(|| enclosing_if(tokens, &lines, at)).flatten();
                if scopes.is_empty()
                    && (line.indent == 0 || condition.is_some())
                    && let Some(mut exit) = exit(tokens, line).filter(|exit| exit.text != "return")
                {
                    exit.guard = condition.map_or(Guard::None, |(from, to)| guard(tokens, from, to));
                    module_marks.push(Mark {
                        kind: MarkKind::Skip,
                        guard: exit.guard,
                        text: format!("{} for the whole module", exit.text),
                        line: exit.line,
                    });
                }
            }
        }
        decorators.clear();
        at += 1;
    }
    for test in &mut tests {
        test.marks.extend(module_marks.iter().cloned());
        test.marks.extend(
            class_marks
                .iter()
                .filter(|(scope, _)| !scope.is_empty() && test.id.starts_with(scope.as_str()))
                .map(|(_, mark)| mark.clone()),
        );
    }
    inventory.tests = tests;
    inventory.helpers = helpers;
    inventory.items = items;
}

/// Condition of the `if` directly around a line at module level.
fn enclosing_if(tokens: &Tokens<'_>, lines: &[Line], at: usize) -> Option<(usize, usize)> {
    let above = lines[..at].iter().rev().find(|above| above.indent < lines[at].indent)?;
    (above.indent == 0 && tokens.is(above.from, "if")).then_some((above.from + 1, above.to.saturating_sub(1)))
}

/// The mark a decorator (or `pytestmark = …`) sets.
fn decorator(tokens: &Tokens<'_>, line: Line) -> Option<Mark> {
    let text = || (line.from..line.to.min(line.from + 12)).map(|at| tokens.text(at)).collect::<String>();
    for at in line.from..line.to {
        if tokens.list[at].kind != Kind::Word || tokens.is(at + 1, "=") {
            continue;
        }
        let make = |kind, guard| Some(Mark { kind, guard, text: text(), line: tokens.line(line.from) });
        let args = || if tokens.is(at + 1, "(") { tokens.split(at + 2, tokens.close(at + 1)) } else { Vec::new() };
        let condition = || args().first().copied();
        let keyword = |name: &str| {
            args()
                .into_iter()
                .find(|arg| tokens.is(arg.0, name) && tokens.is(arg.0 + 1, "="))
                .map(|arg| (arg.0 + 2, arg.1))
        };
        match tokens.text(at) {
            "skip" | "SkipTest" => return make(MarkKind::Skip, Guard::None),
            "expectedFailure" => return make(MarkKind::ExpectFailure, Guard::None),
            "skipif" | "skipIf" => {
                let (from, to) = keyword("condition").or_else(condition)?;
                if is_constant(tokens, from, to) == Some(false) {
                    return None;
                }
                return make(MarkKind::Skip, guard(tokens, from, to));
            }
            "skipUnless" => {
                let (from, to) = condition()?;
                if is_constant(tokens, from, to) == Some(true) {
                    return None;
                }
                return make(MarkKind::Skip, guard(tokens, from, to));
            }
            "xfail" => {
                let conditional =
                    condition().filter(|(from, _)| !tokens.is(from + 1, "=")).or_else(|| keyword("condition"));
                let guard = conditional.map_or(Guard::None, |(from, to)| guard(tokens, from, to));
                return make(MarkKind::ExpectFailure, guard);
            }
            "parametrize" => {
                let values = args().get(1).copied()?;
                if tokens.is(values.0, "[") && tokens.is(values.0 + 1, "]")
                    || tokens.is(values.0, "(") && tokens.is(values.0 + 1, ")")
                {
                    return make(MarkKind::Skip, Guard::None);
                }
                return None;
            }
            _ => {}
        }
    }
    None
}

/// Rows of `@pytest.mark.parametrize(names, [row, row])` and `@parameterized.expand([row])`.
fn rows(tokens: &Tokens<'_>, line: Line) -> Vec<String> {
    let Some(at) = (line.from..line.to).find(|at| matches!(tokens.text(*at), "parametrize" | "expand")) else {
        return Vec::new();
    };
    let args = if tokens.is(at + 1, "(") { tokens.split(at + 2, tokens.close(at + 1)) } else { return Vec::new() };
    let index = usize::from(tokens.is(at, "parametrize"));
    let Some(list) = args.get(index).filter(|list| matches!(tokens.text(list.0), "[" | "(")) else { return Vec::new() };
    let text = |row: (usize, usize)| (row.0..row.1).map(|at| tokens.text(at)).collect::<Vec<_>>().join(" ");
    tokens.split(list.0 + 1, tokens.close(list.0)).into_iter().filter(|row| row.0 < row.1).map(text).collect()
}

/// A statement that leaves the test.
fn exit(tokens: &Tokens<'_>, line: Line) -> Option<Exit> {
    let make =
        |skip, text: &str| Some(Exit { guard: Guard::None, skip, text: text.to_owned(), line: tokens.line(line.from) });
    let from = line.from;
    let call = |name: &str| (from..line.to.min(from + 5)).find(|at| tokens.is(*at, name) && tokens.is(at + 1, "("));
    match tokens.text(from) {
        "return" => return make(false, "return"),
        "raise" if (from..line.to).any(|at| matches!(tokens.text(at), "SkipTest" | "Skipped")) => {
            return make(true, "raise SkipTest");
        }
        "raise" => return None,
        "assert" | "with" | "if" | "for" | "def" | "class" | "import" | "from" => return None,
        _ => {}
    }
    if call("skip").is_some_and(|at| at == from || tokens.is(at - 1, ".") && tokens.is(from, "pytest")) {
        return make(true, "pytest.skip");
    }
    if call("skipTest").is_some() {
        return make(true, "skipTest");
    }
    if call("xfail").is_some() && tokens.is(from, "pytest") {
        return make(true, "pytest.xfail");
    }
    let leaves = tokens.is(from, "sys") && call("exit").is_some()
        || tokens.is(from, "os") && call("_exit").is_some()
        || matches!(tokens.text(from), "exit" | "quit") && tokens.is(from + 1, "(");
    if leaves { make(false, "exit") } else { None }
}

struct Block {
    indent: u32,
    /// Nothing in it runs.
    dead: bool,
    guard: Option<Guard>,
    /// Its failures are dropped.
    swallows: bool,
}

fn body(tokens: &Tokens<'_>, lines: &[Line], test: &mut Test) {
    let Some(base) = lines.first().map(|line| line.indent) else { return };
    let mut blocks: Vec<Block> = Vec::new();
    let mut ended = false;
    for (at, line) in lines.iter().enumerate() {
        while blocks.last().is_some_and(|block| block.indent >= line.indent) {
            blocks.pop();
        }
        let first = line.from;
        let dead = ended || blocks.iter().any(|block| block.dead);
        let swallowed = blocks.iter().any(|block| block.swallows);
        let mut found = statement(tokens, *line);
        for assertion in &mut found {
            assertion.dead = dead;
            assertion.swallowed = swallowed;
        }
        test.assertions.append(&mut found);
        if let Some(mut exit) = exit(tokens, *line) {
            let guards: Vec<Guard> = blocks.iter().filter_map(|block| block.guard).collect();
            let is_last = lines.get(at + 1).is_none();
            let plain_end = exit.text == "return" && (is_last || line.indent > base && guards.is_empty());
            if line.indent == base && !plain_end {
                ended = true;
            }
            if let Some(guard) = guards.first() {
                exit.guard = *guard;
            }
            let nested = !blocks.is_empty() && guards.is_empty();
            if !dead && !plain_end && !nested {
                test.exits.push(exit);
            }
        }
        let colon = tokens.is(line.to.saturating_sub(1), ":");
        let block = |dead, guard, swallows| Block { indent: line.indent, dead, guard, swallows };
        match tokens.text(first) {
            "if" | "while" => {
                let end = find(tokens, first, line.to, &[":"]).unwrap_or(line.to);
                let constant = is_constant(tokens, first + 1, end);
                blocks.push(block(
                    constant == Some(false),
                    (constant != Some(true)).then(|| guard(tokens, first + 1, end)),
                    false,
                ));
            }
            "elif" | "else" if colon => blocks.push(block(false, Some(Guard::Other), false)),
            "for" => {
                let empty = (first..line.to).any(|at| {
                    tokens.is(at, "in")
                        && matches!(tokens.text(at + 1), "[" | "(")
                        && matches!(tokens.text(at + 2), "]" | ")")
                });
                blocks.push(block(empty, None, false));
            }
            "try" => blocks.push(block(false, None, swallowing_handler(tokens, &lines[at + 1..], line.indent))),
            "with" => {
                let suppress = (first..line.to).find(|at| tokens.is(*at, "suppress"));
                let swallows = suppress.is_some_and(|at| (at..line.to).any(|at| is_broad(tokens.text(at))));
                blocks.push(block(false, None, swallows));
            }
            // What a nested function asserts counts only where it is called; the name tells.
            "def" | "async" => blocks.push(block(false, None, false)),
            _ => {}
        }
    }
}

/// True when the handlers of the `try` above `lines` catch failed assertions and go on.
fn swallowing_handler(tokens: &Tokens<'_>, lines: &[Line], indent: u32) -> bool {
    let mut swallows = false;
    for (at, line) in lines.iter().enumerate() {
        if line.indent < indent {
            break;
        }
        if line.indent > indent {
            continue;
        }
        match tokens.text(line.from) {
            "except" => {
                let bare = tokens.is(line.from + 1, ":");
                let broad = bare || (line.from + 1..line.to).any(|at| is_broad(tokens.text(at)));
                let inline = find(tokens, line.from, line.to, &[":"]).map_or(line.to, |colon| colon + 1);
                let handler = lines[at + 1..].iter().take_while(|inner| inner.indent > indent);
                let speaks = |from: usize, to: usize| {
                    (from..to).any(|at| {
                        matches!(tokens.text(at), "raise" | "assert" | "fail" | "exit" | "_exit" | "append")
                            || tokens.text(at).starts_with("assert")
                    })
                };
                let speaks = speaks(inline, line.to) || handler.into_iter().any(|inner| speaks(inner.from, inner.to));
                swallows |= broad && !speaks;
            }
            // An `else: self.fail()` makes the try an expectation.
            "else" | "finally" => {}
            _ => break,
        }
    }
    swallows
}
