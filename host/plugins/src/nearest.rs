//! The nearest right word for a wrong one, for messages.

/// The candidate most like `word`, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &&str| strsim::jaro_winkler(word, candidate);
    candidates
        .into_iter()
        .filter(|candidate| near(candidate) > 0.75)
        .max_by(|one, other| near(one).total_cmp(&near(other)))
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|right| format!("; did you mean `{right}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        assert_eq!(nearest("modle", ["turns", "model"]), Some("model"));
        assert_eq!(nearest("zebra", ["turns", "model"]), None);
        assert_eq!(did_you_mean("Raed", ["Read"]), "; did you mean `Read`?");
    }
}
