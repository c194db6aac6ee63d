//! The first owner of a bot: whoever sends the code that stands on the host's terminal, in a private chat, once.
//!
//! Nobody on Telegram is known before, and anybody may write to a bot; the terminal is what only the operator sees. A code outlives the host
//! until it is used or void; whoever used it and asks again, having heard no answer, is answered as before.

use crate::{people, policies::Folder};
use anyhow::{Context, Result};
use borg_core::{
    id::Digest,
    people::{PersonId, Role},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Wrong codes before the code is void: with 40 bits nobody guesses it in so many.
const TRIES: u32 = 20;
/// Letters and digits that are not taken for one another.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 8;

/// What the code is kept in, in the data directory, until it is used or void.
const FILE: &str = "pairing";
/// Largest such file, in bytes.
const FILE_LIMIT: u64 = 4 << 10;

/// What came of what somebody sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was no code, or nobody is waited for.
    NoCode,
    Wrong,
    /// This person is an owner now.
    Paired,
    /// The right code, but used before: whoever is an owner may have sent it for the second time.
    Used,
}

/// Waits for the owner.
pub struct Pairing {
    policies: PathBuf,
    file: PathBuf,
    /// Whoever reads this host's terminal.
    here: PersonId,
    code: Mutex<Option<Code>>,
}

/// The code, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Code {
    /// In clear, for it is to be printed again; only this user may read the file, and the bot's token lies beside it.
    Open { code: String, tries: u32 },
    /// SHA-256 of one that is good for nothing any more.
    Used { digest: Digest },
}

impl Pairing {
    /// `policies` is the folder of policy files, `data` the data directory; the code is shown at the terminal of `here`. A kept code that
    /// somebody else could have written or read is none: they would know it before it stands on any terminal.
    pub fn new(policies: PathBuf, data: &Path, here: PersonId) -> Self {
        let file = data.join(FILE);
        let code = match own(&file) {
            Ok(kept) => serde_json::from_slice(&kept)
                .inspect_err(
                    |error| tracing::warn!(%error, "the kept pairing code cannot be read; there will be another"),
                )
                .ok(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "the kept pairing code does not count; there will be another");
                }
                None
            }
        };
        Pairing { policies, file, here, code: Mutex::new(code) }
    }

    /// The code, for the operator's eyes: the one that was open before, or another.
    pub fn begin(&self) -> Result<String> {
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Code::Open { code, .. }) = &*kept {
            return Ok(code.clone());
        }
        let mut bytes = [0; LENGTH];
        let read = fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
        read.context("asking the kernel for random bytes")?;
        let code: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
        self.keep(&mut kept, Some(Code::Open { code: code.clone(), tries: 0 }));
        Ok(code)
    }

    /// There is an owner: no code makes another, also where the host was killed before it could note so.
    pub fn close(&self) {
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Code::Open { code, .. }) = &*kept {
            let used = Code::Used { digest: Digest::of_bytes(code.as_bytes()) };
            self.keep(&mut kept, Some(used));
        }
    }

    /// Looks at `/start CODE` or `/pair CODE` of a private chat.
    pub fn hear(&self, person: &str, text: &str) -> Result<Heard> {
        let mut words = text.split_whitespace();
        let command = words.next().unwrap_or_default();
        let (Some(told), None) = (words.next(), words.next()) else { return Ok(Heard::NoCode) };
        if !matches!(command.split('@').next(), Some("/start" | "/pair")) {
            return Ok(Heard::NoCode);
        }
        let told = Digest::of_bytes(told.to_ascii_uppercase().as_bytes());
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            None => Ok(Heard::NoCode),
            Some(Code::Used { digest }) => Ok(if *digest == told { Heard::Used } else { Heard::NoCode }),
            Some(Code::Open { code, .. }) if Digest::of_bytes(code.as_bytes()) == told => {
                let person = PersonId(person.to_owned());
                people::add(&self.policies, &person, Role::Owner)?;
                self.join(&person);
                self.keep(&mut kept, Some(Code::Used { digest: told }));
                Ok(Heard::Paired)
            }
            Some(Code::Open { tries, .. }) if tries + 1 >= TRIES => {
                tracing::warn!(
                    "too many wrong pairing codes: this one is void; the next start of the host makes another"
                );
                self.keep(&mut kept, None);
                Ok(Heard::Wrong)
            }
            Some(Code::Open { code, tries }) => {
                let code = Code::Open { code: code.clone(), tries: tries + 1 };
                self.keep(&mut kept, Some(code));
                Ok(Heard::Wrong)
            }
        }
    }

    /// The code stood on the terminal of whoever runs this host: that is who sent it, so both are one human. Where policy does not know
    /// them at the console, there is nobody to join.
    fn join(&self, person: &PersonId) {
        let here = self.here.clone();
        let joined = Folder::read(&self.policies).and_then(|(_, policy)| match policy.role(&here) {
            Some(_) => people::join(&self.policies, &here, person),
            None => Ok(()),
        });
        if let Err(error) = joined {
            tracing::warn!(
                error = format!("{error:#}"),
                "{person} is an owner, but not noted as the same human as {here}; `borg-host doctor` has the line to add"
            );
        }
    }

    /// Notes what has become of the code; where that cannot be kept, it holds until the host ends.
    fn keep(&self, kept: &mut Option<Code>, now: Option<Code>) {
        let written = match &now {
            None => fs::remove_file(&self.file),
            Some(code) => self.write(code),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the state of pairing cannot be kept; the next start of the host prints another code");
        }
        *kept = now;
    }

    /// Readable by this user only, as every temporary file is.
    fn write(&self, code: &Code) -> io::Result<()> {
        let mut fresh = tempfile::NamedTempFile::new_in(self.file.parent().unwrap_or(Path::new(".")))?;
        fresh.write_all(&serde_json::to_vec(code)?)?;
        fresh.as_file().sync_all()?;
        fresh.persist(&self.file)?;
        Ok(())
    }
}

/// The file that keeps a code, where it is this user's own and nobody else may read or write it: as it is written here.
fn own(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = fs::File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
    if !found.is_file() || !is_own {
        return Err(io::Error::other("it is no file of this user's alone"));
    }
    let mut kept = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut kept)?;
    Ok(kept)
}

/// Forgets a code that is kept in a data directory, whoever put it there; the next start of the host makes another.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> PersonId {
        PersonId("console:1000".into())
    }

    const PEOPLE: &str = "# who may do what\n[people]\nowner = [\"console:1000\"] # us\nmember = []\n";

    #[test]
    fn the_code_makes_one_owner_once() {
        let dir = tempfile::tempdir().unwrap();
        let people = dir.path().join("people.toml");
        fs::write(&people, PEOPLE).unwrap();
        fs::write(dir.path().join("host.toml"), "[verdict]\n").unwrap();
        let pairing = Pairing::new(dir.path().to_owned(), dir.path(), here());
        assert_eq!(pairing.hear("telegram:1", "/start ABCDEFGH").unwrap(), Heard::NoCode, "nobody is waited for");
        let code = pairing.begin().unwrap();
        assert_eq!(code.len(), LENGTH);
        for text in ["/start", "hello", &code, &format!("/pair {code} x"), &format!("/task {code}")] {
            assert_eq!(pairing.hear("telegram:1", text).unwrap(), Heard::NoCode, "{text}");
        }
        assert_eq!(pairing.hear("telegram:1", "/pair AAAAAAA1").unwrap(), Heard::Wrong);
        let told = format!("/start@shop_bot {}", code.to_lowercase());
        assert_eq!(pairing.hear("telegram:7", &told).unwrap(), Heard::Paired);
        for _ in 0..2 {
            assert_eq!(pairing.hear("telegram:8", &told).unwrap(), Heard::Used, "it works once");
        }
        assert_eq!(pairing.hear("telegram:8", "/pair AAAAAAA1").unwrap(), Heard::NoCode);
        let text = fs::read_to_string(&people).unwrap();
        let owners = PEOPLE.replace("[\"console:1000\"]", "[\"console:1000\", \"telegram:7\"]");
        assert_eq!(text, format!("{owners}same = [[\"console:1000\", \"telegram:7\"]]\n"));
    }

    #[test]
    fn who_pairs_is_the_human_at_the_terminal_and_only_they() {
        for (people, want) in [
            // Known by another role, or joined with somebody already.
            ("[people]\nadmin = [\"console:1000\"]\n", Some("same = [[\"console:1000\", \"telegram:7\"]]")),
            (
                "[people]\nowner = [\"console:1000\", \"web:1\"]\nsame = [[\"web:1\", \"console:1000\"]]\n",
                Some("same = [[\"web:1\", \"console:1000\", \"telegram:7\"]]"),
            ),
            // A service's terminal is nobody's.
            ("[people]\nowner = [\"console:1001\"]\n", None),
            ("[people]\n", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("people.toml");
            fs::write(&file, people).unwrap();
            let pairing = Pairing::new(dir.path().to_owned(), dir.path(), here());
            let code = pairing.begin().unwrap();
            assert_eq!(pairing.hear("telegram:7", &format!("/start {code}")).unwrap(), Heard::Paired);
            let text = fs::read_to_string(&file).unwrap();
            match want {
                Some(line) => assert!(text.contains(line), "{text}"),
                None => assert!(text.contains("telegram:7") && !text.contains("same"), "{text}"),
            }
        }
    }

    #[test]
    fn a_code_that_is_guessed_at_is_void() {
        let dir = tempfile::tempdir().unwrap();
        let pairing = Pairing::new(dir.path().to_owned(), dir.path(), here());
        let code = pairing.begin().unwrap();
        for _ in 0..TRIES {
            assert_eq!(pairing.hear("telegram:1", "/pair WRONG").unwrap(), Heard::Wrong);
        }
        assert_eq!(pairing.hear("telegram:1", &format!("/pair {code}")).unwrap(), Heard::NoCode);
    }

    #[test]
    fn a_code_that_others_could_have_put_there_is_none() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (policies, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = data.path().join(FILE);
        let start = || Pairing::new(policies.path().to_owned(), data.path(), here());
        let planted = serde_json::to_vec(&Code::Open { code: "KNKNKNKN".into(), tries: 0 }).unwrap();
        let told = "/start KNKNKNKN";
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
            fs::write(&file, &planted).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_ne!(start().begin().unwrap(), "KNKNKNKN", "{mode:o}");
            assert_eq!(start().hear("telegram:66", told).unwrap(), Heard::Wrong, "{mode:o}");
            fs::remove_file(&file).unwrap();
        }
        let elsewhere = data.path().join("elsewhere");
        fs::write(&elsewhere, &planted).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, &file).unwrap();
        assert_ne!(start().begin().unwrap(), "KNKNKNKN", "a link");
        if rustix::process::geteuid().is_root() {
            fs::rename(&elsewhere, &file).unwrap();
            std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
            assert_ne!(start().begin().unwrap(), "KNKNKNKN", "another user's");
        }
        // What a folder brings with it that is taken over is forgotten, whatever its mode.
        fs::write(&file, &planted).unwrap();
        forget(data.path()).unwrap();
        forget(data.path()).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_code_outlives_the_host_until_it_is_used() {
        use std::os::unix::fs::PermissionsExt;
        let (policies, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = || Pairing::new(policies.path().to_owned(), data.path(), here());
        let code = start().begin().unwrap();
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for _ in 1..TRIES {
            assert_eq!(start().hear("telegram:1", "/pair WRONG").unwrap(), Heard::Wrong);
        }
        assert_eq!(start().begin().unwrap(), code);
        let told = format!("/start {code}");
        // Killed when the owner was written down and nothing noted: the next start finds an owner.
        let kept = fs::read(data.path().join(FILE)).unwrap();
        assert_eq!(start().hear("telegram:7", &told).unwrap(), Heard::Paired);
        fs::write(data.path().join(FILE), kept).unwrap();
        start().close();
        assert_eq!(start().hear("telegram:7", &told).unwrap(), Heard::Used);
        let text = fs::read_to_string(data.path().join(FILE)).unwrap();
        assert!(!text.contains(&code), "{text}");
        // Who paired is no owner any more: another code, and wrong ones count anew.
        let other = start().begin().unwrap();
        assert_ne!(other, code);
        assert_eq!(start().hear("telegram:7", &told).unwrap(), Heard::Wrong);
    }
}
