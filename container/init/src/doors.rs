//! Shows from inside which doors are shut: for tests, and for whoever wants to see what a sandbox holds.

use crate::{
    error::{Error, in_words},
    helper,
};
use borg_confine::{confine_self, doors};
use borg_init::EXIT_REFUSED;
use std::path::Path;

/// Prints one JSON line per door; 0 when all are shut, else 1.
pub fn run(profile: Option<&Path>) -> i32 {
    match try_them(profile) {
        Ok(all_shut) => i32::from(!all_shut),
        Err(why) => {
            eprintln!("borg-init: {}", in_words(&why));
            EXIT_REFUSED
        }
    }
}

fn try_them(profile: Option<&Path>) -> Result<bool, Error> {
    if let Some(profile) = profile {
        confine_self(&helper::read(profile)?)?;
    }
    let tried = doors::try_all()?;
    for door in &tried {
        println!("{}", serde_json::to_string(door).expect("answers have string keys only"));
    }
    Ok(tried.iter().all(|door| door.shut))
}
