//! Why files of some names run.

/// How much a file says about what will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Nobody calls it: a person must read it.
    ByItself,
    /// As part of a build or a session that somebody starts.
    WhenStarted,
}

/// Why files of some names run.
#[derive(Debug)]
pub struct Cause {
    pub runs: Runs,
    /// Who runs it and when, to follow "runs by itself:".
    pub words: &'static str,
    /// Lower case. A leading `/` binds to the root, any other pattern matches at every depth; `*` stands for any part of a name, `/**` at
    /// the end for all below. A file or a link in the place of a folder that is named counts as what may lie in it.
    pub(super) files: &'static [&'static str],
}
