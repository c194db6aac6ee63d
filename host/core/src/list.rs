//! Lists in a sentence.

/// The first few of many and how many more there are, or the word for none.
pub fn few(names: impl IntoIterator<Item = impl AsRef<str>>, shown: usize, none: &str) -> String {
    let mut names = names.into_iter();
    let first: Vec<_> = names.by_ref().take(shown).collect();
    let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
    match names.count() {
        0 if first.is_empty() => none.to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
