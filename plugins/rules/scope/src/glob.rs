//! Globs as write grants use them: `*` and `?` within a component, `**` over components, `[a-z]`, `{a,b}`.

use crate::spelling;

/// True when the pattern matches the whole path.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut steps = 0;
    alternatives(pattern, 0).iter().any(|pattern| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        components(&pattern, &path, &mut steps)
    })
}

/// True when any of the patterns matches.
pub fn any(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, path))
}

/// True when a protection names the path in any spelling that some file system takes for it, or a folder in whose place the path stands.
/// Grants are never read like this.
pub fn forbids(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = path.split(['/', '\\']).collect();
    let mut steps = 0;
    let literal: Vec<&str> = pattern.split('/').collect();
    path.len() == literal.len() && literal.iter().zip(&path).all(|(one, other)| spelling::is_same(one, other))
        || alternatives(pattern, 0).iter().any(|pattern| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            forgiving(&pattern, &path, true, &mut steps)
        })
}

fn forgiving(pattern: &[&str], path: &[&str], plain: bool, steps: &mut u32) -> bool {
    *steps += 1;
    if *steps > MOST_STEPS {
        // What cannot be read to its end protects.
        return true;
    }
    match (pattern, path) {
        ([], []) | (["**"], _) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| forgiving(rest, &path[skip..], false, steps)),
        ([first, rest @ ..], [name, tail @ ..]) => {
            let is_plain = !first.contains(['*', '?', '[', '\\']);
            let fits = match is_plain {
                true => spelling::is_same(first, name),
                false => component(first.to_lowercase().as_bytes(), spelling::fold(name).as_bytes(), steps),
            };
            fits && forgiving(rest, tail, plain && is_plain, steps)
        }
        // A file or link where a folder above is meant.
        ([_, ..], []) => plain,
        ([], [_, ..]) => false,
    }
}

/// Steps after which a pattern counts as not matching: a grant nobody can read grants nothing.
const MOST_STEPS: u32 = 100_000;

fn components(pattern: &[&str], path: &[&str], steps: &mut u32) -> bool {
    *steps += 1;
    if *steps > MOST_STEPS {
        return false;
    }
    match (pattern, path) {
        ([], []) => true,
        (["**"], _) => !path.is_empty(),
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| components(rest, &path[skip..], steps)),
        ([first, rest @ ..], [name, tail @ ..]) => {
            component(first.as_bytes(), name.as_bytes(), steps) && components(rest, tail, steps)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

fn component(pattern: &[u8], name: &[u8], steps: &mut u32) -> bool {
    *steps += 1;
    if *steps > MOST_STEPS {
        return false;
    }
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| component(rest, &name[skip..], steps)),
        ([b'?', rest @ ..], [_, tail @ ..]) => component(rest, tail, steps),
        ([b'[', ..], [byte, tail @ ..]) => match class(pattern, *byte) {
            Some((true, rest)) => component(rest, tail, steps),
            Some((false, _)) | None => false,
        },
        ([b'\\', escaped, rest @ ..], [byte, tail @ ..]) => escaped == byte && component(rest, tail, steps),
        ([first, rest @ ..], [byte, tail @ ..]) => first == byte && component(rest, tail, steps),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// Whether a byte is in the class a pattern starts with, and the pattern after it.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let end = pattern.iter().skip(2).position(|byte| *byte == b']')? + 2;
    let (inner, rest) = (&pattern[1..end], &pattern[end + 1..]);
    let (negated, inner) = match inner {
        [b'!' | b'^', inner @ ..] => (true, inner),
        _ => (false, inner),
    };
    let mut found = false;
    let mut at = 0;
    while at < inner.len() {
        if at + 2 < inner.len() && inner[at + 1] == b'-' {
            found |= (inner[at]..=inner[at + 2]).contains(&byte);
            at += 3;
        } else {
            found |= inner[at] == byte;
            at += 1;
        }
    }
    Some((found != negated, rest))
}

/// Spells out the first `{a,b}` of a pattern, and those in what comes of it.
fn alternatives(pattern: &str, depth: u32) -> Vec<String> {
    let whole = || vec![pattern.to_owned()];
    let (Some(open), true) = (pattern.find('{'), depth < 6) else { return whole() };
    let Some(close) = pattern[open..].find('}').map(|at| open + at) else { return whole() };
    pattern[open + 1..close]
        .split(',')
        .flat_map(|one| alternatives(&format!("{}{one}{}", &pattern[..open], &pattern[close + 1..]), depth + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_stay_within_components() {
        for (pattern, path, expected) in [
            ("**", "a/b", true),
            ("src/**", "src/a/b.rs", true),
            ("src/**", "src", false),
            ("src/**", "src-evil/a", false),
            ("*.py", "a/b.py", false),
            ("**/*.py", "b.py", true),
            ("**/test_*.py", "a/test_b.py", true),
            ("**/tests/**", "tests/a.py", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("**/*.{js,ts}", "a/b.ts", true),
            ("**/*.{js,ts}", "a/b.rs", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        for (pattern, path, expected) in [
            (".github/**", ".GitHub/workflows/ci.yml", true),
            (".github/**", "GITHUB~1/x", true),
            (".github/**", ".github", true),
            (".github/**", "github/x", false),
            ("tests/[id].py", "tests/[ID].py", true),
            ("tests/test_a.py", "Tests/Test_A.py.", true),
            ("tests/test_a.py", "tests", true),
            ("tests/test_a.py", "tests/test_b.py", false),
            ("**/*_test.go", "a/X_Test.GO", true),
            ("**/CODEOWNERS", "a", false),
        ] {
            assert_eq!(forbids(pattern, path), expected, "{pattern} {path}");
        }
        assert!(!matches(&"*a".repeat(40), &"a".repeat(200).replace("aaaa", "b")));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[a*?/\\[\\]{},!\\\\é-]{0,24}", path in "[ab/é]{0,24}") {
            matches(&pattern, &path);
        }

        /// A protection holds in every spelling; a grant in its own only.
        #[test]
        fn protections_forgive_and_grants_do_not(path in "[a-z]{2,8}(/[a-z]{2,8}){0,2}", at in 0usize..24, how in 0u8..4) {
            let at = at % path.len();
            let letter = &path[at..=at];
            prop_assume!(letter != "/");
            let spelt = match how {
                0 => path.clone(),
                1 => format!("{}{}{}", &path[..at], letter.to_uppercase(), &path[at + 1..]),
                2 => format!("{}\u{200d}{}", &path[..at], &path[at..]),
                _ => format!("{path}. "),
            };
            prop_assert!(forbids(&path, &spelt) && forbids(&spelt, &path), "{}", spelt);
            let below = format!("{path}/**");
            prop_assert!(forbids(&below, &spelt));
            prop_assert_eq!(matches(&path, &spelt), path == spelt);
        }

        #[test]
        fn a_plain_path_matches_itself(path in "[a-z./_]{1,24}") {
            prop_assert!(matches(&path, &path));
        }
    }
}
