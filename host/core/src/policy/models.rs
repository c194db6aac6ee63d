//! Models that policy names, and those it lets out without a row of prices of their own.

use super::Policy;
use crate::{
    budget::Price,
    tariff::{LARGEST_WINDOW, Tariff, fits, is_family, row_of},
};
use std::collections::BTreeSet;

/// A model that is not paid by a row of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Name of the way out, `[egress.NAME]`.
    pub egress: String,
    pub model: String,
    /// The family's row that pays for it; none where its requests are refused.
    pub family: Option<(String, Tariff)>,
}

impl Unlisted {
    /// What to add to policy, once somebody has looked its prices up: those of the family to begin with.
    pub fn lines(&self) -> String {
        let dollars = |micros: u64| format!("\"${}.{:02}\"", micros / 1_000_000, micros % 1_000_000 / 10_000);
        let head = format!("[egress.{}.price.\"{}\"]", self.egress, self.model);
        let Some((_, Tariff { price, long, window })) = &self.family else {
            return format!("{head}\ninput = \"$…\"\noutput = \"$…\"\ncache-read = \"$…\"\ncache-write = \"$…\"");
        };
        let prices = |price: &Price, between: &str| {
            let [input, output, read, write] =
                [price.input, price.output, price.cache_read, price.cache_write].map(dollars);
            [
                format!("input = {input}"),
                format!("output = {output}"),
                format!("cache-read = {read}"),
                format!("cache-write = {write}"),
            ]
            .join(between)
        };
        let mut lines = format!("{head}\n{}", prices(price, "\n"));
        if *window != LARGEST_WINDOW {
            lines.push_str(&format!("\ncontext = {window}"));
        }
        if let Some(long) = long {
            lines.push_str(&format!("\nlong = {{ above = {}, {} }}", long.above, prices(&long.price, ", ")));
        }
        lines
    }
}

/// Those of these models that are let out somewhere and have no row of their own there; `policy` and what it lets out is [`Policy::egress`].
pub fn unlisted(policy: &Policy, models: &BTreeSet<String>) -> Vec<Unlisted> {
    let mut found = Vec::new();
    let models_of = policy.egress.iter().filter_map(|(name, entry)| Some((name, entry.model()?)));
    for (egress, entry) in models_of {
        let let_out = models.iter().filter(|model| entry.models.iter().any(|pattern| fits(pattern, model)));
        for model in let_out {
            let family = match row_of(&entry.prices, model) {
                Some((name, _)) if !is_family(name) => continue,
                Some((name, tariff)) => Some((name.to_owned(), *tariff)),
                None => None,
            };
            found.push(Unlisted { egress: egress.clone(), model: model.clone(), family });
        }
    }
    found
}

/// Models that policy itself names: of personas, and of executors.
pub fn named(policy: &Policy) -> BTreeSet<String> {
    let personas = policy.personas.values().filter_map(|persona| persona.model.clone());
    personas.chain(policy.executors.values().filter_map(|executor| executor.model.clone())).collect()
}
