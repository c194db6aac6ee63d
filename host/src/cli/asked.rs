//! What somebody asks for in words of the command line.

use borg_core::intent::is_repository_name;

/// Splits words as chats do: a first word such as `acme/shop` names the repository, where no flag does.
pub fn repository_and_words(flag: Option<String>, words: Vec<String>) -> (Option<String>, String) {
    match words.split_first() {
        Some((first, rest)) if flag.is_none() && !rest.is_empty() && is_repository_name(first) => {
            (Some(first.clone()), rest.join(" ").trim().to_owned())
        }
        Some(_) | None => (flag, words.join(" ").trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_may_stand_first_as_in_chats() {
        let split = |flag: Option<&str>, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            repository_and_words(flag.map(str::to_owned), words)
        };
        assert_eq!(split(None, &["acme/shop", "Add", "it"]), (Some("acme/shop".into()), "Add it".into()));
        assert_eq!(split(None, &["acme/shop Add it"]), (None, "acme/shop Add it".into()));
        assert_eq!(split(None, &["acme/shop"]), (None, "acme/shop".into()));
        assert_eq!(split(Some("a/b"), &["acme/shop", "it"]), (Some("a/b".into()), "acme/shop it".into()));
    }
}
