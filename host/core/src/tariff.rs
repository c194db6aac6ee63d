//! What requests to a model cost: list prices by the model's name, and what they say of the model itself. Policy writes them, the gateway
//! settles with them.
//!
//! A row whose name is whole is that model's own. One with a `*` is a family's: it stands for names nobody looked up, so it holds the dearest
//! price there is in the family.

use crate::budget::Price;
use std::collections::BTreeMap;

/// The largest context window there is at the provider, in tokens: that of a model of which policy says nothing else.
pub const LARGEST_WINDOW: u64 = 1_000_000;

/// A row of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    pub price: Price,
    /// What a request costs that takes in more than so much; none where that changes nothing.
    pub long: Option<Long>,
    /// Most tokens the model takes in without being asked for a longer context.
    pub window: u64,
}

/// Prices of a request with a long context, its output too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// Tokens of input, with those read from the cache and written to it; it begins with one more.
    pub above: u64,
    /// Never below the price of a shorter one.
    pub price: Price,
}

impl From<Price> for Tariff {
    fn from(price: Price) -> Self {
        Tariff { price, long: None, window: LARGEST_WINDOW }
    }
}

impl Tariff {
    /// Prices of a request that takes in this many tokens, whatever their class.
    pub fn at(&self, input: u64) -> &Price {
        match &self.long {
            Some(long) if input > long.above => &long.price,
            Some(_) | None => &self.price,
        }
    }
}

/// The row a model is paid by: the one with the longest name that fits, and that name.
pub fn row_of<'a>(rows: &'a BTreeMap<String, Tariff>, model: &str) -> Option<(&'a str, &'a Tariff)> {
    let fitting = rows.iter().filter(|(pattern, _)| fits(pattern, model));
    // A whole name goes before a pattern of the same length.
    fitting
        .max_by_key(|(pattern, _)| (!is_family(pattern), pattern.len()))
        .map(|(pattern, tariff)| (pattern.as_str(), tariff))
}

/// Rows of a family that are cheaper than a row of one model in it, and that model: a name nobody looked up would pay too little.
pub fn too_cheap(rows: &BTreeMap<String, Tariff>) -> impl Iterator<Item = (&str, &str)> {
    let families = rows.iter().filter(|(name, _)| is_family(name));
    families.filter_map(move |(family, tariff)| {
        let mut own = rows.iter().filter(|(name, _)| !is_family(name) && fits(family, name));
        let dearer =
            own.find(|(_, own)| own.price.input > tariff.price.input || own.price.output > tariff.price.output);
        dearer.map(|(name, _)| (family.as_str(), name.as_str()))
    })
}

/// True for a name that stands for many.
pub fn is_family(pattern: &str) -> bool {
    pattern.contains('*')
}

/// True if `text` is `pattern`, in which each `*` stands for any run of characters.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let Some((middle, tail)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for piece in middle.split('*') {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("claude-opus-*", "claude-opus-4-8", true),
            ("claude-opus-*", "claude-opus-", true),
            ("claude-opus-*", "claude-sonnet-5", false),
            ("claude-opus-*", "xclaude-opus-4", false),
            ("claude-opus-4", "claude-opus-4-8", false),
            ("*", "", true),
            ("*-2025", "a-2025", true),
            ("*-2025", "a-2025b", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "ac", false),
            ("a*b*c", "abcd", false),
            ("a*a", "a", false),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_longest_pattern_sets_the_price_and_a_whole_name_goes_first() {
        let row = |n| Tariff::from(Price { input: n, output: n, cache_read: n, cache_write: n });
        let rows = [("claude-*", 1), ("claude-opus-*", 2), ("claude-opus-4", 3), ("claude-opus-4*", 4)];
        let rows = rows.into_iter().map(|(name, n)| (name.to_owned(), row(n))).collect();
        let price = |model| row_of(&rows, model).map(|(name, tariff)| (name, tariff.price.input));
        assert_eq!(price("claude-opus-4"), Some(("claude-opus-4", 3)));
        assert_eq!(price("claude-opus-4-8"), Some(("claude-opus-4*", 4)));
        assert_eq!(price("claude-opus-5"), Some(("claude-opus-*", 2)));
        assert_eq!(price("claude-haiku"), Some(("claude-*", 1)));
        assert_eq!(price("other"), None);
    }

    #[test]
    fn a_long_context_begins_above_its_mark() {
        let price = |n| Price { input: n, output: n, cache_read: n, cache_write: n };
        let tariff = Tariff { long: Some(Long { above: 200_000, price: price(2) }), ..Tariff::from(price(1)) };
        assert_eq!((tariff.at(200_000).input, tariff.at(200_001).input), (1, 2));
        assert_eq!(Tariff::from(price(1)).at(u64::MAX).input, 1);
    }
}
