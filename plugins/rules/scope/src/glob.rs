//! Globs as write grants use them: `*` and `?` within a component, `**` over components, `[a-z]`, `{a,b}`.

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
        assert!(!matches(&"*a".repeat(40), &"a".repeat(200).replace("aaaa", "b")));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[a*?/\\[\\]{},!\\\\é-]{0,24}", path in "[ab/é]{0,24}") {
            matches(&pattern, &path);
        }

        #[test]
        fn a_plain_path_matches_itself(path in "[a-z./_]{1,24}") {
            prop_assert!(matches(&path, &path));
        }
    }
}
