//! Which test at the head is which test of the base: by id, by name in another file, by likeness of their bodies.

use crate::inventory::{Inventory, Test};
use std::collections::{BTreeMap, HashMap};

/// One version of one file.
pub struct Version<'a> {
    pub path: &'a str,
    pub inventory: Inventory<'a>,
    /// Its path is one where runners look for tests, or its language keeps tests anywhere.
    pub class_is_test: bool,
}

/// Index of a file and of a test in it.
pub type At = (usize, usize);

/// Pairs found, and what is left of each side.
#[derive(Default)]
pub struct Pairing {
    pub pairs: Vec<(At, At)>,
    pub gone: Vec<At>,
    pub new: Vec<At>,
}

/// `base` and `head` hold the two versions of file `i` at index `i`.
pub fn pair(base: &[Option<Version<'_>>], head: &[Option<Version<'_>>]) -> Pairing {
    let all = |side: &[Option<Version<'_>>]| -> Vec<At> {
        let tests = |(file, version): (usize, &Option<Version<'_>>)| -> Vec<At> {
            version
                .iter()
                .flat_map(|version| (0..version.inventory.tests.len()).map(move |test| (file, test)))
                .collect()
        };
        side.iter().enumerate().flat_map(tests).collect()
    };
    let mut gone = all(base);
    let mut new = all(head);
    let mut pairs = Vec::new();
    let in_base = |at: At| test(base, at);
    let in_head = |at: At| test(head, at);

    // The same place and name; then the same name in the same file; then in another.
    join(
        &mut gone,
        &mut new,
        &mut pairs,
        |at| format!("{} {}", at.0, in_base(at).id),
        |at| format!("{} {}", at.0, in_head(at).id),
    );
    join(
        &mut gone,
        &mut new,
        &mut pairs,
        |at| format!("{} {}", at.0, in_base(at).name),
        |at| format!("{} {}", at.0, in_head(at).name),
    );
    if !gone.is_empty() && !new.is_empty() {
        let bags_gone: Vec<Bag> = gone.iter().map(|at| bag(base, *at)).collect();
        let bags_new: Vec<Bag> = new.iter().map(|at| bag(head, *at)).collect();
        let mut scored: Vec<(u32, usize, usize)> = Vec::new();
        let bounded = gone.len().saturating_mul(new.len()) <= 250_000;
        for (i, old) in gone.iter().enumerate() {
            for (j, fresh) in new.iter().enumerate() {
                let same_name = in_base(*old).name == in_head(*fresh).name;
                if !same_name && !bounded {
                    continue;
                }
                let alike = likeness(&bags_gone[i], &bags_new[j]);
                let needed = if same_name {
                    300
                } else if old.0 == fresh.0 {
                    620
                } else {
                    760
                };
                if alike >= needed {
                    scored.push((alike + if same_name { 1_000 } else { 0 }, i, j));
                }
            }
        }
        scored.sort_by(|a, b| b.cmp(a));
        let (mut used_gone, mut used_new) = (vec![false; gone.len()], vec![false; new.len()]);
        for (_, i, j) in scored {
            if !used_gone[i] && !used_new[j] {
                used_gone[i] = true;
                used_new[j] = true;
                pairs.push((gone[i], new[j]));
            }
        }
        let keep = |list: Vec<At>, used: &[bool]| -> Vec<At> {
            list.into_iter().zip(used).filter(|(_, used)| !**used).map(|(at, _)| at).collect()
        };
        gone = keep(gone, &used_gone);
        new = keep(new, &used_new);
    }
    Pairing { pairs, gone, new }
}

pub fn test<'v>(side: &'v [Option<Version<'_>>], at: At) -> &'v Test {
    let version = side[at.0].as_ref().expect("an index of a test comes from a version that exists");
    &version.inventory.tests[at.1]
}

fn join(
    gone: &mut Vec<At>,
    new: &mut Vec<At>,
    pairs: &mut Vec<(At, At)>,
    old_key: impl Fn(At) -> String,
    new_key: impl Fn(At) -> String,
) {
    let mut by_key: BTreeMap<String, Vec<At>> = BTreeMap::new();
    for at in new.iter().rev() {
        by_key.entry(new_key(*at)).or_default().push(*at);
    }
    let mut taken = Vec::new();
    gone.retain(|old| match by_key.get_mut(&old_key(*old)).and_then(Vec::pop) {
        Some(fresh) => {
            pairs.push((*old, fresh));
            taken.push(fresh);
            false
        }
        None => true,
    });
    taken.sort_unstable();
    new.retain(|at| taken.binary_search(at).is_err());
}

/// Tokens of a body with how often each occurs.
pub struct Bag<'a> {
    counts: HashMap<&'a str, u32>,
    total: u32,
}

pub fn bag_of<'a>(words: impl Iterator<Item = &'a str>) -> Bag<'a> {
    let mut bag = Bag { counts: HashMap::new(), total: 0 };
    for word in words.filter(|word| !matches!(*word, "(" | ")" | "," | ";" | "{" | "}" | "." | ":" | "[" | "]")) {
        *bag.counts.entry(word).or_insert(0) += 1;
        bag.total += 1;
    }
    bag
}

fn bag<'v>(side: &'v [Option<Version<'_>>], at: At) -> Bag<'v> {
    let version = side[at.0].as_ref().expect("an index of a test comes from a version that exists");
    bag_of(version.inventory.body(&version.inventory.tests[at.1]))
}

/// Sørensen–Dice coefficient of two bags, in thousandths.
pub fn likeness(one: &Bag<'_>, two: &Bag<'_>) -> u32 {
    let total = one.total + two.total;
    if total == 0 || one.total.min(two.total) * 4 < one.total.max(two.total) {
        return 0;
    }
    let shared: u32 =
        one.counts.iter().map(|(word, count)| (*count).min(two.counts.get(word).copied().unwrap_or(0))).sum();
    2_000 * shared / total
}
