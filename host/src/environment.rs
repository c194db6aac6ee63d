//! The environment this process was started with: read once, kept in memory that is wiped, and out of sight of other processes.
//!
//! What a process is started with stays readable in `/proc/PID/environ` for its whole life, secrets included. So a process that is going
//! to run the engine starts itself again ([`hide`]) with a handful of harmless variables; all of them reach it in a sealed memory file.

use nix::unistd::execve;
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create},
    process::{DumpableBehavior, set_dumpable_behavior},
};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    ffi::CString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
};
use zeroize::Zeroizing;

/// Variables by name. Those that are not UTF-8 are left out: nothing of ours is called so.
pub type Environment = BTreeMap<String, Zeroizing<String>>;

/// Names the descriptor of the memory file to the process that was started again.
const HANDED_OVER: &str = "BORG_ENVIRONMENT_FD";
/// What libraries of ours look up by themselves, and what is no secret.
const HARMLESS: [&str; 14] = [
    "HOME",
    "PATH",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// Seals of the memory file: nobody can change it, ourselves included.
const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Reads the environment, handed over or our own. Only the first call of a process finds what was handed over.
///
/// # Errors
/// When the descriptor that is named is not a memory file of ours.
pub fn read() -> io::Result<Environment> {
    let own: Environment = own().collect();
    let Some(fd) = own.get(HANDED_OVER) else { return Ok(own) };
    let fd = fd.parse::<RawFd>().ok().filter(|fd| *fd > 2).ok_or_else(foreign)?;
    // SAFETY: borrowed for this one question, which a closed descriptor answers with an error.
    let seals = fcntl_get_seals(unsafe { BorrowedFd::borrow_raw(fd) });
    if seals != Ok(SEALS) {
        return Err(foreign());
    }
    // SAFETY: it was left open for us by `restart`, and nobody else knows its number.
    decode(unsafe { File::from_raw_fd(fd) })
}

fn foreign() -> io::Error {
    io::Error::other(format!("{HANDED_OVER} is set, but names no environment of ours: unset it"))
}

/// Takes this process out of reach of debuggers, core dumps and `/proc`, and, unless that has happened already, starts the program again
/// with the harmless variables only. Must be called before any thread is started.
///
/// # Errors
/// When the kernel refuses; the caller must not go on then.
pub fn hide() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if own().any(|(name, _)| name == HANDED_OVER) {
        return Ok(());
    }
    match restart()? {}
}

fn restart() -> io::Result<Infallible> {
    let (harmless, others): (Vec<_>, Vec<_>) = own().partition(|(name, _)| HARMLESS.contains(&name.as_str()));
    let file = encode(harmless.iter().chain(&others))?;
    let mut environment = vec![format!("{HANDED_OVER}={}", file.as_raw_fd())];
    environment.extend(harmless.iter().map(|(name, value)| format!("{name}={}", value.as_str())));
    let environment = environment.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
    let arguments = std::env::args_os().map(|argument| CString::new(argument.into_vec()));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let program = CString::new(std::env::current_exe()?.as_os_str().as_bytes())?;
    // The file is inherited: it was made without close-on-exec.
    Ok(execve(&program, &arguments, &environment)?)
}

fn encode<'a>(variables: impl Iterator<Item = &'a (String, Zeroizing<String>)>) -> io::Result<OwnedFd> {
    let fd = memfd_create("environment", MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    for (name, value) in variables {
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            file.write_all(part)?;
        }
    }
    file.rewind()?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

fn decode(mut file: File) -> io::Result<Environment> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or_default()));
    file.read_to_end(&mut bytes)?;
    let pair = |entry: &[u8]| {
        let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
        Some((name.to_owned(), Zeroizing::new(value.to_owned())))
    };
    Ok(bytes.split(|byte| *byte == 0).filter_map(pair).collect())
}

/// What the kernel started us with.
fn own() -> impl Iterator<Item = (String, Zeroizing<String>)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, Zeroizing::new(value.into_string().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives_and_cannot_be_changed() {
        let all = [("A", "1"), ("EMPTY", ""), ("EQUALS", "a=b\nc")]
            .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        let fd = encode(all.iter()).unwrap();
        assert_eq!(fcntl_get_seals(&fd).unwrap(), SEALS);
        let mut file = File::from(fd);
        file.write_all(b"X").unwrap_err();
        file.set_len(0).unwrap_err();
        assert_eq!(decode(file).unwrap(), Environment::from_iter(all));
    }
}
