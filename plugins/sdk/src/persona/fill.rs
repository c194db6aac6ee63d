//! What a prompt can say about its work: the placeholders every persona has.

use super::Work;
use crate::{MARK_RULES, fill, marked, visible};

/// Facts about the container an agent finds itself in, for system prompts.
const SANDBOX: &str = include_str!("../sandbox.md");

/// Most bytes of a failure that are quoted; its end is kept, where test runners sum up.
const FAILURE_LIMIT_BYTES: usize = 24 * 1024;

impl Work {
    /// Fills a prompt in. Placeholders:
    ///
    /// | name | value |
    /// |---|---|
    /// | `request` | title and description, in a marked block |
    /// | `title` | the title, on one line |
    /// | `repository`, `base-branch`, `stage`, `task`, `attempt` | as in [`Work`] |
    /// | `handoffs` | which files are in `/in`; empty when there are none |
    /// | `produces` | a list of the files expected in `/out`; may be empty |
    /// | `failure` | why the previous attempt was not accepted, in a marked block; empty at the first attempt |
    /// | `sandbox` | facts about the container |
    /// | `data` | what marked blocks mean |
    ///
    /// A line that holds only a placeholder vanishes when the value is empty.
    pub fn fill(&self, template: &str) -> String {
        let task = &self.task;
        let one_line = |text: &str| visible(text).replace(['\n', '\t'], " ");
        let request = match task.description.trim() {
            "" => task.title.clone(),
            description => format!("{}\n\n{description}", task.title.trim()),
        };
        let handoffs = self.handoffs.iter().map(|handoff| handoff.name.as_str());
        let handed_on = match list("/in/", handoffs) {
            list if list.is_empty() => list,
            list => format!("Handed on to you:\n{list}"),
        };
        fill(
            template.trim_end(),
            &[
                ("request", &marked(&format!("the person who asked for task {}", task.id), &request)),
                ("title", &one_line(&task.title)),
                ("repository", &one_line(&task.repository)),
                ("base-branch", &one_line(&task.base_branch)),
                ("stage", &one_line(&self.stage)),
                ("task", &task.id.to_string()),
                ("attempt", &self.attempt.to_string()),
                ("handoffs", &handed_on),
                ("produces", &list("/out/", self.produces.iter().map(String::as_str))),
                ("failure", &self.failure.as_deref().map(failure).unwrap_or_default()),
                ("sandbox", SANDBOX.trim_end()),
                ("data", MARK_RULES.trim_end()),
            ],
        )
    }
}

fn list<'a>(folder: &str, names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("- `{folder}{}`", visible(name).replace('\n', " "))).collect::<Vec<_>>().join("\n")
}

fn failure(why: &str) -> String {
    let cut = why.len().saturating_sub(FAILURE_LIMIT_BYTES);
    let cut = (cut..why.len()).find(|index| why.is_char_boundary(*index)).unwrap_or(cut);
    let note = if cut > 0 { " (its end; the beginning is left out)" } else { "" };
    let block = marked("the host, about your previous attempt", &why[cut..]);
    format!("Your previous attempt was not accepted{note}. This is what the host found:\n\n{block}")
}

#[cfg(test)]
mod tests {
    use crate::persona::{Handoff, TaskBrief, Work};

    fn work() -> Work {
        let task =
            TaskBrief { id: 7, title: "Add {{data}}".into(), description: "Please\u{1b}".into(), ..Default::default() };
        let handoffs = vec![Handoff { name: "spec.md".into(), ..Default::default() }];
        Work { task, handoffs, attempt: 2, ..Default::default() }
    }

    #[test]
    fn a_request_stands_in_a_block_and_cannot_use_placeholders() {
        let text = work().fill("{{request}}\n{{handoffs}}\n{{failure}}\nEnd {{attempt}}");
        assert!(text.contains("from the person who asked for task 7>>>\nAdd {{data}}\n\nPlease^[\n<<<end "), "{text}");
        assert!(text.ends_with("- `/in/spec.md`\nEnd 2"), "{text}");
    }

    #[test]
    fn a_long_failure_keeps_its_end() {
        let work = Work { failure: Some(format!("{}THE END", "ä".repeat(100_000))), ..work() };
        let text = work.fill("{{failure}}");
        assert!(text.len() < 26_000 && text.contains("the beginning is left out") && text.contains("THE END\n<<<end"));
    }
}
