//! Both sides of a manifest, and what becomes of it.

/// Both sides of a manifest, and what of the rest decides what its keys mean.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    pub path: &'a str,
    /// None where there is no such file.
    pub base: Option<&'a str>,
    pub head: Option<&'a str>,
    /// The test command.
    pub command: &'a str,
    /// True for a path that the head's tree has; asked only about those of [`super::Manifest::asks`].
    pub has: &'a dyn Fn(&str) -> bool,
}

/// Text and keys of an edited manifest, none where nothing is to be edited; or why it cannot be.
pub(super) type Edit = Result<Option<(String, Vec<String>)>, String>;
