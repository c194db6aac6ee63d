//! The first owner of a bot: whoever sends the code that stands on the host's terminal, in a private chat, once.
//!
//! Nobody on Telegram is known before, and anybody may write to a bot; the terminal is what only the operator sees.

use crate::people;
use anyhow::{Context, Result};
use borg_core::policy::{PersonId, Role};
use std::{
    fs,
    io::Read,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// Wrong codes before the code is void: with 40 bits nobody guesses it in so many.
const TRIES: u32 = 20;
/// Letters and digits that are not taken for one another.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 8;

/// What came of what somebody sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was no code, or nobody is waited for.
    NoCode,
    Wrong,
    /// This person is an owner now.
    Paired,
}

/// Waits for the owner.
pub struct Pairing {
    policies: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    code: String,
    tries: u32,
}

impl Pairing {
    /// `policies` is the folder of policy files.
    pub fn new(policies: PathBuf) -> Self {
        Pairing { policies, open: Mutex::new(None) }
    }

    /// Makes a code, for the operator's eyes.
    pub fn begin(&self) -> Result<String> {
        let mut bytes = [0; LENGTH];
        let read = fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
        read.context("asking the kernel for random bytes")?;
        let code: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Open { code: code.clone(), tries: 0 });
        Ok(code)
    }

    /// Looks at `/start CODE` or `/pair CODE` of a private chat.
    pub fn hear(&self, person: &str, text: &str) -> Result<Heard> {
        let mut words = text.split_whitespace();
        let command = words.next().unwrap_or_default();
        let (Some(code), None) = (words.next(), words.next()) else { return Ok(Heard::NoCode) };
        if !matches!(command.split('@').next(), Some("/start" | "/pair")) {
            return Ok(Heard::NoCode);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = open.as_mut() else { return Ok(Heard::NoCode) };
        if !code.eq_ignore_ascii_case(&waiting.code) {
            waiting.tries += 1;
            if waiting.tries >= TRIES {
                *open = None;
                tracing::warn!(
                    "too many wrong pairing codes: this one is void; the next start of the host makes another"
                );
            }
            return Ok(Heard::Wrong);
        }
        people::add(&self.policies, &PersonId(person.to_owned()), Role::Owner)?;
        *open = None;
        Ok(Heard::Paired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: &str = "# who may do what\n[people]\nowner = [\"console:1000\"] # us\nmember = []\n";

    #[test]
    fn the_code_makes_one_owner_once() {
        let dir = tempfile::tempdir().unwrap();
        let people = dir.path().join("people.toml");
        fs::write(&people, PEOPLE).unwrap();
        fs::write(dir.path().join("host.toml"), "[verdict]\n").unwrap();
        let pairing = Pairing::new(dir.path().to_owned());
        assert_eq!(pairing.hear("telegram:1", "/start ABCDEFGH").unwrap(), Heard::NoCode, "nobody is waited for");
        let code = pairing.begin().unwrap();
        assert_eq!(code.len(), LENGTH);
        for text in ["/start", "hello", &code, &format!("/pair {code} x"), &format!("/task {code}")] {
            assert_eq!(pairing.hear("telegram:1", text).unwrap(), Heard::NoCode, "{text}");
        }
        assert_eq!(pairing.hear("telegram:1", "/pair AAAAAAA1").unwrap(), Heard::Wrong);
        let told = format!("/start@shop_bot {}", code.to_lowercase());
        assert_eq!(pairing.hear("telegram:7", &told).unwrap(), Heard::Paired);
        assert_eq!(pairing.hear("telegram:8", &told).unwrap(), Heard::NoCode, "it works once");
        let text = fs::read_to_string(&people).unwrap();
        assert_eq!(text, PEOPLE.replace("[\"console:1000\"]", "[\"console:1000\", \"telegram:7\"]"));
    }

    #[test]
    fn a_code_that_is_guessed_at_is_void() {
        let dir = tempfile::tempdir().unwrap();
        let pairing = Pairing::new(dir.path().to_owned());
        let code = pairing.begin().unwrap();
        for _ in 0..TRIES {
            assert_eq!(pairing.hear("telegram:1", "/pair WRONG").unwrap(), Heard::Wrong);
        }
        assert_eq!(pairing.hear("telegram:1", &format!("/pair {code}")).unwrap(), Heard::NoCode);
    }
}
