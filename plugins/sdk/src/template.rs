//! The smallest template language that prompts need: `{{name}}`.

/// Replaces each `{{name}}` by its value, once: what a value contains is never looked at again, so text of strangers cannot name
/// a placeholder. A line that holds nothing but one placeholder vanishes when the value is empty, and so does a blank line after
/// it that would be the second in a row. Unknown names stay as they are, where a test sees them.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut vanished = false;
    for line in template.split_inclusive('\n') {
        let would_double = line.trim().is_empty() && (out.is_empty() || out.ends_with("\n\n"));
        if vanished && would_double {
            continue;
        }
        vanished = false;
        if only_placeholder(line).and_then(|name| value(values, name)).is_some_and(str::is_empty) {
            vanished = true;
            continue;
        }
        fill_line(line, values, &mut out);
    }
    out
}

fn fill_line(line: &str, values: &[(&str, &str)], out: &mut String) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let found = after.split_once("}}").and_then(|(name, tail)| Some((value(values, name)?, tail)));
        match found {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
}

fn only_placeholder(line: &str) -> Option<&str> {
    line.trim().strip_prefix("{{")?.strip_suffix("}}")
}

fn value<'a>(values: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    values.iter().find(|(known, _)| *known == name.trim()).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_once() {
        let values = [("a", "{{b}}"), ("b", "B")];
        assert_eq!(fill("{{a}} {{ b }} {{c}} {{", &values), "{{b}} B {{c}} {{");
    }

    #[test]
    fn a_line_with_an_empty_value_vanishes() {
        assert_eq!(fill("x\n{{a}}\ny {{a}}\n", &[("a", "")]), "x\ny \n");
    }

    #[test]
    fn blank_lines_around_what_vanished_become_one() {
        assert_eq!(fill("x\n\n{{a}}\n\n{{a}}\n\ny\n\n\nz", &[("a", "")]), "x\n\ny\n\n\nz");
        assert_eq!(fill("{{a}}\n\ny", &[("a", "")]), "y");
    }
}
