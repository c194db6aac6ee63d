//! Conditions, as far as tokens tell: what guards a test, what is always the same, what compares a thing with itself.

use super::Guard;
use crate::lex::Tokens;

/// Judges a condition by its words.
pub fn guard(tokens: &Tokens<'_>, from: usize, to: usize) -> Guard {
    const PLATFORM: [&str; 52] = [
        "platform",
        "sys",
        "os_name",
        "version_info",
        "python_implementation",
        "find_spec",
        "which",
        "hasattr",
        "unix",
        "windows",
        "target_os",
        "target_arch",
        "target_family",
        "target_pointer_width",
        "target_endian",
        "target_env",
        "target_feature",
        "miri",
        "GOOS",
        "GOARCH",
        "runtime",
        "Short",
        "process",
        "arch",
        "machine",
        "system",
        "importlib",
        "LookPath",
        "getuid",
        "geteuid",
        "IS_WINDOWS",
        "WINDOWS",
        "PYPY",
        "IS_PYPY",
        "MACOS",
        "IS_MACOS",
        "LINUX",
        "IS_LINUX",
        "PY3",
        "PY2",
        "has_module",
        "wasm",
        "is_aarch64_feature_detected",
        "is_x86_feature_detected",
        "Getuid",
        "Geteuid",
        "maxsize",
        "byteorder",
        "isWindows",
        "isMac",
        "isLinux",
        "isCI_platform",
    ];
    let range = from..to.min(tokens.list.len());
    if is_constant(tokens, from, to).is_some() {
        return Guard::None;
    }
    let mut named_platform = false;
    for at in range.clone() {
        let text = tokens.text(at);
        if matches!(text, "environ" | "getenv" | "Getenv" | "LookupEnv" | "env") {
            return Guard::Other;
        }
        named_platform |= PLATFORM.contains(&text)
            || text.starts_with("HAS_")
            || text.starts_with("HAVE_")
            || text.starts_with("has_") && text.len() > 4;
        named_platform |= text == "name" && at >= 2 && tokens.is(at - 2, "os");
    }
    if named_platform { Guard::Platform } else { Guard::Other }
}

/// The value of a condition made of literals only, where that can be told.
pub fn is_constant(tokens: &Tokens<'_>, from: usize, to: usize) -> Option<bool> {
    let list: Vec<&str> = (from..to.min(tokens.list.len()))
        .filter(|at| !matches!(tokens.text(*at), "(" | ")"))
        .map(|at| tokens.text(at))
        .collect();
    let value = |text: &str| match text {
        "true" | "True" | "1" | "TRUE" => Some(true),
        "false" | "False" | "0" | "None" | "null" | "nil" | "FALSE" | "\"\"" | "''" => Some(false),
        text if text.starts_with(['"', '\'']) => Some(true),
        text => text.parse::<f64>().ok().map(|number| number != 0.0),
    };
    match list.as_slice() {
        [one] => value(one),
        ["not" | "!", one] => value(one).map(|value| !value),
        [left, "==" | "===" | "is", right] if value(left).is_some() && value(right).is_some() => Some(left == right),
        [left, "!=" | "!==", right] if value(left).is_some() && value(right).is_some() => Some(left != right),
        _ => None,
    }
}

/// True when `or` with something that always holds makes the whole always hold.
pub fn or_true(tokens: &Tokens<'_>, from: usize, to: usize) -> bool {
    let mut start = from;
    let mut at = from;
    let mut parts = Vec::new();
    while at < to.min(tokens.list.len()) {
        match tokens.text(at) {
            "(" | "[" | "{" => at = tokens.close(at),
            "or" | "||" => {
                parts.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push((start, to));
    parts.len() > 1 && parts.iter().any(|(from, to)| is_constant(tokens, *from, *to) == Some(true))
        || parts.len() == 1 && tokens.is(from, "(") && tokens.close(from) + 1 == to && or_true(tokens, from + 1, to - 1)
}

/// True when both sides are the same name or the same literal; the same call twice may differ.
pub fn same_sides(tokens: &Tokens<'_>, left: (usize, usize), right: (usize, usize)) -> bool {
    let text = |range: (usize, usize)| -> Vec<&str> {
        (range.0..range.1.min(tokens.list.len())).map(|at| tokens.text(at)).collect()
    };
    let (left, right) = (text(left), text(right));
    !left.is_empty() && left == right && !left.contains(&"(") && !left.contains(&".await")
}

/// True when all tokens are literals (and signs that join them).
pub fn all_literal(tokens: &Tokens<'_>, from: usize, to: usize) -> bool {
    let range = from..to.min(tokens.list.len());
    !range.is_empty()
        && range.clone().any(|at| tokens.list[at].is_literal())
        && range.into_iter().all(|at| tokens.list[at].is_literal() || matches!(tokens.text(at), "-" | "+" | "&"))
}
