//! Reads a file in its language: the only place that knows all of them.

use crate::inventory::Inventory;
use crate::lex::Language;
use crate::{go, js, python, rust};

/// What a file of this text holds.
pub fn read(text: &str, language: Language) -> Inventory<'_> {
    let mut inventory = Inventory::new(text, language);
    match language {
        Language::Rust => rust::fill(&mut inventory),
        Language::Python => python::fill(&mut inventory),
        Language::Js => js::fill(&mut inventory),
        Language::Go => go::fill(&mut inventory, text),
    }
    inventory
}
