//! What a test file holds: tests with their marks, exits and assertions. Each language fills it in its own file.

mod condition;

pub use condition::{all_literal, guard, is_constant, or_true, same_sides};

use crate::lex::{Language, Tokens};
use std::collections::BTreeSet;

/// Under what condition a mark holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Always.
    None,
    /// On something of the project's own: an environment variable, a feature, a flag.
    Other,
    /// On some platform, interpreter version, or missing library: an honest reason.
    Platform,
}

/// What keeps a test from judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// Skipped, ignored, to do, compiled out.
    Skip,
    /// Reported as passed when it fails.
    ExpectFailure,
    /// Runs alone: all the others of its file do not.
    Only,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub kind: MarkKind,
    pub guard: Guard,
    /// As written, for the message.
    pub text: String,
    pub line: u32,
}

/// How much an assertion demands; the order of `Ord` is by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// That nothing is thrown.
    NoThrow,
    /// That something is there.
    NonNull,
    /// That something holds.
    Truth,
    /// That something is within bounds or part of something.
    Contain,
    /// That something equals an expectation.
    Equal,
}

#[derive(Clone, Debug)]
pub struct Assertion {
    pub strength: Strength,
    /// Its tokens without its message, joined by blanks.
    pub key: String,
    /// The same with each literal as `_` and polarity taken out.
    pub shape: String,
    pub literals: Vec<String>,
    /// Names that say what is asserted about.
    pub subject: BTreeSet<String>,
    /// Demands that something is *not* so.
    pub negative: bool,
    /// Width that is let pass; larger is weaker.
    pub tolerance: Option<f64>,
    /// Holds whatever the code does.
    pub always: bool,
    /// Calls a function of the project that asserts.
    pub custom: Option<String>,
    /// A failure goes nowhere: it is caught and dropped.
    pub swallowed: bool,
    /// Never reached.
    pub dead: bool,
    pub line: u32,
}

/// A way out of a test before its end.
#[derive(Clone, Debug)]
pub struct Exit {
    pub guard: Guard,
    /// It skips rather than returns.
    pub skip: bool,
    pub text: String,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub struct Test {
    pub name: String,
    /// Scope and name.
    pub id: String,
    pub start: u32,
    pub end: u32,
    /// Range of its tokens.
    pub body: (usize, usize),
    pub marks: Vec<Mark>,
    pub exits: Vec<Exit>,
    pub assertions: Vec<Assertion>,
    /// Rows of its table or parameter list, each as its tokens.
    pub rows: Vec<String>,
}

impl Test {
    /// Assertions that can fail.
    pub fn live(&self) -> impl Iterator<Item = &Assertion> {
        self.assertions.iter().filter(|assertion| !assertion.dead && !assertion.always && !assertion.swallowed)
    }

    /// Those on the lines of the tokens `from..to`.
    pub fn within(&mut self, tokens: &Tokens<'_>, (from, to): (usize, usize)) -> impl Iterator<Item = &mut Assertion> {
        let lines = tokens.line(from)..=tokens.line(to.saturating_sub(1));
        self.assertions.iter_mut().filter(move |assertion| lines.contains(&assertion.line))
    }

    /// First mark that switches it off wherever it runs.
    pub fn is_off(&self) -> bool {
        self.marks.iter().any(|mark| mark.guard == Guard::None && mark.kind != MarkKind::Only)
    }
}

/// All that is known of one version of a file.
pub struct Inventory<'a> {
    pub tokens: Tokens<'a>,
    pub language: Language,
    pub tests: Vec<Test>,
    /// Functions that are no tests, with what they assert.
    pub helpers: Vec<Test>,
    /// Names of types and other items defined.
    pub items: BTreeSet<String>,
    /// Modules of tests it declares (`mod tests;`), with their line.
    pub modules: Vec<(String, u32)>,
}

impl<'a> Inventory<'a> {
    /// One in which nothing is found yet.
    pub fn new(text: &'a str, language: Language) -> Self {
        Inventory {
            tokens: Tokens::new(text, language),
            language,
            tests: Vec::new(),
            helpers: Vec::new(),
            items: BTreeSet::new(),
            modules: Vec::new(),
        }
    }

    /// Tokens of a test's body as text.
    pub fn body(&self, test: &Test) -> impl Iterator<Item = &'a str> {
        self.tokens.list[test.body.0.min(self.tokens.list.len())..test.body.1.min(self.tokens.list.len())]
            .iter()
            .map(|token| token.text)
    }

    /// True when a function or item of that name is defined here.
    pub fn defines(&self, name: &str) -> bool {
        self.items.contains(name) || self.helpers.iter().any(|helper| helper.name == name)
    }
}

/// Words of assertions and of languages: they say nothing about the subject.
const PLAIN: [&str; 86] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "self",
    "cls",
    "expect",
    "t",
    "not",
    "and",
    "or",
    "is",
    "in",
    "if",
    "else",
    "return",
    "let",
    "mut",
    "const",
    "var",
    "await",
    "async",
    "fn",
    "def",
    "for",
    "while",
    "len",
    "str",
    "int",
    "true",
    "false",
    "True",
    "False",
    "None",
    "null",
    "nil",
    "undefined",
    "to",
    "be",
    "toBe",
    "toEqual",
    "toStrictEqual",
    "equal",
    "deepEqual",
    "strictEqual",
    "assertEqual",
    "assertTrue",
    "assertFalse",
    "assertIn",
    "unwrap",
    "is_some",
    "is_ok",
    "is_none",
    "is_err",
    "Some",
    "Ok",
    "Errorf",
    "Fatalf",
    "Error",
    "Fatal",
    "require",
    "pytest",
    "raises",
    "approx",
    "isinstance",
    "contains",
    "String",
    "Vec",
    "vec",
    "new",
    "as",
    "ref",
    "toBeTruthy",
    "toBeDefined",
    "assertIsNotNone",
    "assertIsNone",
    "ok",
    "to_owned",
    "to_string",
    "into",
    "iter",
    "collect",
    "clone",
    "get",
    "as_str",
    "as_ref",
    "first",
];

/// What an assertion is made of, before its strength is known.
pub struct Parts {
    pub strength: Strength,
    pub negative: bool,
    pub always: bool,
    pub custom: Option<String>,
}

/// Builds an assertion from the tokens `from..to`.
pub fn assertion(tokens: &Tokens<'_>, from: usize, to: usize, parts: Parts) -> Assertion {
    let mut key = String::new();
    let mut shape = String::new();
    let mut literals = Vec::new();
    let mut subject = BTreeSet::new();
    let to = to.min(tokens.list.len());
    for at in from..to {
        let token = &tokens.list[at];
        // A trailing comma is layout.
        if token.is(",") && matches!(tokens.text(at + 1), ")" | "]" | "}") {
            continue;
        }
        key.push_str(token.text);
        key.push(' ');
        if token.is_literal() {
            literals.push(token.text.to_owned());
            shape.push_str("_ ");
            continue;
        }
        match token.text {
            "not" | "!" => {}
            "!=" | "!==" => shape.push_str("== "),
            "assertFalse" | "toBeFalsy" => shape.push_str("assertTrue "),
            "assertNotEqual" | "assert_ne" | "notEqual" | "notStrictEqual" | "NotEqual" => {
                shape.push_str("assertEqual ")
            }
            "assertEqual" | "assert_eq" | "Equal" | "strictEqual" => shape.push_str("assertEqual "),
            "assertNotIn" => shape.push_str("assertIn "),
            "toBeTruthy" => shape.push_str("assertTrue "),
            "is_err" => shape.push_str("is_ok "),
            "is_none" => shape.push_str("is_some "),
            other => {
                shape.push_str(other);
                shape.push(' ');
            }
        }
        if token.kind == crate::lex::Kind::Word && !PLAIN.contains(&token.text) {
            subject.insert(token.text.to_owned());
        }
    }
    let tolerance = tolerance(tokens, from, to);
    let Parts { strength, negative, always, custom } = parts;
    Assertion {
        strength,
        key,
        shape,
        literals,
        subject,
        negative,
        tolerance,
        always,
        custom,
        swallowed: false,
        dead: false,
        line: tokens.line(from),
    }
}

/// The width an approximate comparison lets pass.
fn tolerance(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<f64> {
    let number = |at: usize| -> Option<f64> {
        let mut at = at;
        while matches!(tokens.text(at), "=" | ":" | "=>" | "(" | "-") {
            at += 1;
        }
        let text = tokens.text(at).replace('_', "");
        text.trim_end_matches("f64").trim_end_matches("f32").parse().ok()
    };
    let mut widest: Option<f64> = None;
    let mut take = |width: f64| widest = Some(widest.map_or(width, |widest| widest.max(width)));
    for at in from..to {
        match tokens.text(at) {
            "places" | "decimal" | "significant" if matches!(tokens.text(at + 1), "=" | ":") => {
                if let Some(digits) = number(at + 1) {
                    take(10f64.powf(-digits));
                }
            }
            "delta" | "rel" | "abs" | "rel_tol" | "abs_tol" | "atol" | "rtol" | "tolerance" | "epsilon"
            | "max_relative" | "msg_tol"
                if matches!(tokens.text(at + 1), "=" | ":") =>
            {
                if let Some(width) = number(at + 1) {
                    take(width);
                }
            }
            "toBeCloseTo" => {
                let args = tokens.split(at + 2, tokens.close(at + 1));
                take(args.get(1).and_then(|arg| number(arg.0)).map_or(0.01, |digits| 10f64.powf(-digits)));
            }
            "InDelta" | "InEpsilon" | "closeTo" => {
                let args = tokens.split(at + 2, tokens.close(at + 1));
                let last = if tokens.is(at, "closeTo") { args.get(1) } else { args.get(3) };
                if let Some(width) = last.and_then(|arg| number(arg.0)) {
                    take(width);
                }
            }
            // `(a - b).abs() < 1e-9`, `abs(a - b) < tol`, `math.Abs(a-b) > 1e-9`
            "<" | "<=" | ">" | ">="
                if (from..at).any(|before| matches!(tokens.text(before), "abs" | "Abs" | "fabs")) =>
            {
                if let Some(width) = number(at + 1) {
                    take(width);
                }
            }
            _ => {}
        }
    }
    widest
}

/// Position of a top-level sign or word in `from..to`.
pub fn find(tokens: &Tokens<'_>, from: usize, to: usize, wanted: &[&str]) -> Option<usize> {
    let mut at = from;
    while at < to.min(tokens.list.len()) {
        let token = &tokens.list[at];
        if token.kind != crate::lex::Kind::Text && wanted.contains(&token.text) {
            return Some(at);
        }
        if matches!(token.text, "(" | "[" | "{") && token.kind == crate::lex::Kind::Sign {
            at = tokens.close(at);
        }
        at += 1;
    }
    None
}

/// True when a function's name says that it asserts.
pub fn asserts_by_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["assert", "check", "verify", "expect", "ensure", "must_", "should"].iter().any(|prefix| lower.starts_with(prefix))
}
