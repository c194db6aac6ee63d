//! When a specification is complete: four sections, each with something in it. Reads just enough Markdown to tell.

/// A section, the other names people give it, and what its absence costs, in words for the next attempt.
const SECTIONS: [(&str, &[&str], &str); 4] = [
    (
        "Requirements",
        &["requirement", "functional requirements"],
        "number what the change must do, one observable behaviour each",
    ),
    (
        "Files to touch",
        &["files", "files to change", "files touched", "affected files"],
        "list each file with what changes in it",
    ),
    (
        "Acceptance criteria",
        &["acceptance criterion", "acceptance"],
        "number checks that a test can make, with concrete values",
    ),
    (
        "Edge cases",
        &["edge case", "corner cases"],
        "list each with its expected outcome, or say in a sentence why there is none",
    ),
];

/// Words that fill a section without saying anything.
const HOLLOW: [&str; 8] = ["todo", "tbd", "n/a", "na", "none", "nothing", "to be done", "to be defined"];

/// What a specification lacks; empty when it is complete.
pub fn faults(spec: &str) -> Vec<String> {
    let headings = headings(spec);
    SECTIONS.iter().filter_map(|section| fault(section, &headings)).collect()
}

fn fault((name, aliases, remedy): &(&str, &[&str], &str), headings: &[Heading]) -> Option<String> {
    let is_it = |heading: &Heading| heading.name == name.to_lowercase() || aliases.contains(&heading.name.as_str());
    let places: Vec<usize> = (0..headings.len()).filter(|index| is_it(&headings[*index])).collect();
    if places.is_empty() {
        return Some(format!("the section `## {name}` is missing ({remedy})"));
    }
    // What stands under deeper headings belongs to the section too.
    let has_content = |index: &usize| {
        let deeper = headings[index + 1..].iter().take_while(|heading| heading.level > headings[*index].level);
        headings[*index].has_content || deeper.into_iter().any(|heading| heading.has_content)
    };
    if places.iter().any(has_content) { None } else { Some(format!("the section `## {name}` is empty ({remedy})")) }
}

struct Heading {
    level: usize,
    /// Lower case, without number, emphasis and colon.
    name: String,
    /// True when a line up to the next heading says something.
    has_content: bool,
}

fn headings(spec: &str) -> Vec<Heading> {
    let mut headings: Vec<Heading> = Vec::new();
    let (mut fence, mut in_comment) = (None::<String>, false);
    for line in spec.lines() {
        let line = line.trim();
        let mut says = is_content(line);
        if let Some(open) = &fence {
            if line.starts_with(open.as_str()) {
                (fence, says) = (None, false);
            }
        } else if in_comment || line.starts_with("<!--") {
            in_comment = !line.contains("-->");
            says = false;
        } else if line.starts_with("```") || line.starts_with("~~~") {
            let mark = &line[..1];
            let length = line.len() - line.trim_start_matches(mark).len();
            (fence, says) = (Some(mark.repeat(length)), false);
        } else if let Some((level, name)) = heading(line) {
            headings.push(Heading { level, name, has_content: false });
            says = false;
        }
        if let Some(heading) = headings.last_mut() {
            heading.has_content |= says;
        }
    }
    headings
}

/// `## 2. **Edge cases**:` is the heading `edge cases` of level 2.
fn heading(line: &str) -> Option<(usize, String)> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    if level == 0 || level > 6 || !text.starts_with([' ', '\t']) {
        return None;
    }
    let numbered = |c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | ' ' | '\t');
    let name = text.trim_start_matches(numbered).trim_end_matches('#').trim();
    let name = name.trim_matches(|c: char| matches!(c, '*' | '_' | ':' | ' ' | '`'));
    Some((level, name.to_lowercase()))
}

fn is_content(line: &str) -> bool {
    let bare = line.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    !bare.is_empty() && !HOLLOW.contains(&bare.as_str()) && !bare.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Farewell\n\n## Requirements\n1. `farewell(name)` returns `Goodbye, NAME!`.\n\n## Files to touch\n- `shop.py`\n\n\
                        ## Acceptance criteria\n1. `farewell(\"Ada\")` is `Goodbye, Ada!`\n\n## Edge cases\n- The empty name is refused.\n";

    #[test]
    fn a_complete_specification_has_no_faults() {
        assert_eq!(faults(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_missing_or_empty_section_is_named() {
        for (name, _, remedy) in SECTIONS {
            let missing = GOOD.replace(&format!("## {name}\n"), "## Something else\n");
            assert_eq!(faults(&missing), [format!("the section `## {name}` is missing ({remedy})")]);
            let start = GOOD.find(&format!("## {name}\n")).unwrap() + name.len() + 4;
            let end = GOOD[start..].find("\n## ").map_or(GOOD.len(), |next| start + next);
            for hollow in ["", "TODO", "- N/A.", "1.", "<!-- later, perhaps -->", "```\n```", "- ...", "None."] {
                let empty = format!("{}{hollow}\n{}", &GOOD[..start], &GOOD[end..]);
                assert_eq!(faults(&empty), [format!("the section `## {name}` is empty ({remedy})")], "{hollow}");
            }
        }
        assert_eq!(faults("").len(), 4);
    }

    #[test]
    fn other_ways_to_write_headings_are_understood() {
        let spec = "# 1. REQUIREMENTS\nx works\n### **Files to change:**\n- a.py\n## Acceptance Criteria ##\n#### AC1\ngiven, then\n# 4) Edge cases:\nempty input";
        assert_eq!(faults(spec), Vec::<String>::new());
    }

    #[test]
    fn a_heading_inside_code_or_comment_is_no_section() {
        let spec = GOOD.replace("## Edge cases\n", "```sh\n# Edge cases\necho hi\n```\n<!--\n## Edge cases\n-->\n");
        assert_eq!(faults(&spec).len(), 1, "{spec}");
    }
}
