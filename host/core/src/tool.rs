//! Tools an agent may be given, by Claude Code's names, and what each is there for. Policy and the journal name a tool; whatever follows from
//! the name is asked here.

/// A tool by its name, as an executor is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    /// It writes files itself.
    pub writes: bool,
    /// It starts programs, which write what the sandbox lets them: the sandbox lets them start what they made.
    pub executes: bool,
}

/// What is known of a name.
struct Known {
    name: &'static str,
    writes: bool,
    executes: bool,
    /// It makes files that were not there: of use also where only `/out`, which begins empty, can be written.
    makes: bool,
}

const KNOWN: [Known; 6] = [
    Known { name: "Read", writes: false, executes: false, makes: false },
    Known { name: "Glob", writes: false, executes: false, makes: false },
    Known { name: "Grep", writes: false, executes: false, makes: false },
    Known { name: "Write", writes: true, executes: false, makes: true },
    Known { name: "Edit", writes: true, executes: false, makes: false },
    Known { name: "Bash", writes: false, executes: true, makes: true },
];

impl Tool {
    /// The names of all tools there are.
    pub fn names() -> [&'static str; 6] {
        KNOWN.map(|known| known.name)
    }

    /// The tool of this name. One that is not known, as a journal of another version may hold, gets the least: it counts as one that writes,
    /// whose paths an executor has to narrow, and the sandbox starts nothing for its sake.
    pub fn named(name: &str) -> Tool {
        let (writes, executes) = known(name).map_or((true, false), |known| (known.writes, known.executes));
        Tool { name: name.to_owned(), writes, executes }
    }

    /// True where a tool of this name is known to write files itself.
    pub fn is_writer(name: &str) -> bool {
        known(name).is_some_and(|known| known.writes)
    }

    /// True for a tool that has nothing to do where the workspace cannot be written: it writes, and only what is there already.
    pub fn is_idle_read_only(name: &str) -> bool {
        known(name).is_some_and(|known| known.writes && !known.makes)
    }
}

fn known(name: &str) -> Option<Known> {
    KNOWN.into_iter().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_tool_may() {
        for (name, writes, executes, idle) in [
            ("Read", false, false, false),
            ("Write", true, false, false),
            ("Edit", true, false, true),
            ("Bash", false, true, false),
        ] {
            assert_eq!(Tool::named(name), Tool { name: name.into(), writes, executes });
            assert_eq!((Tool::is_writer(name), Tool::is_idle_read_only(name)), (writes, idle), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_gets_the_least() {
        for name in ["NotebookEdit", "bash", "Bash ", ""] {
            assert_eq!(Tool::named(name), Tool { name: name.into(), writes: true, executes: false });
            assert!(!Tool::is_writer(name) && !Tool::is_idle_read_only(name), "what it does is not known");
        }
    }
}
