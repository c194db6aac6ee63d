//! What every Git process of the host is told: our configuration file, the environment, and the confinement profile.

use super::call::{Call, Settings};
use borg_confine::{ParentDeath, Profile, Rlimits};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// E-mail of borg as author of pushes and committer of changes; the domain can never exist (RFC 2606).
pub const EMAIL: &str = "borg@borg.invalid";

/// Settings for repositories of ours; nothing in them is anybody's taste. (git-config(1))
const SETTINGS: [(&str, &str); 32] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.ignoreCase", "false"),
    ("core.precomposeUnicode", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.autocrlf", "false"),
    ("core.fsync", "committed"),
    // A cancelled call may still be clearing up when the next one begins; milliseconds.
    ("core.filesRefLockTimeout", "6000"),
    ("core.packedRefsTimeout", "6000"),
    ("gc.auto", "0"),
    ("gc.autoDetach", "false"),
    ("maintenance.auto", "false"),
    ("init.defaultBranch", "none"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("fetch.fsckObjects", "true"),
    // Flaws of old history that harm nobody; a stricter check would refuse well-known repositories.
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.writeCommitGraph", "false"),
    ("protocol.allow", "never"),
    ("safe.directory", "*"),
    ("advice.detachedHead", "false"),
    ("transfer.advertiseSID", "false"),
    ("credential.helper", ""),
    ("pack.threads", "1"),
    // Packs only: loose objects would pass unseen by the check of a quarantine, and one alone (a commit of a known tree) is below any other limit.
    ("fastimport.unpackLimit", "0"),
];

/// What a hostile repository's own configuration must not decide; given at command scope, which outranks it.
///
/// A file alone would not do: a repository's `config` outranks the user's. Each line is a way by which `upload-pack` or
/// `receive-pack` would start a program, write outside the object store, or talk to somebody else.
const FOREIGN: [(&str, &str); 16] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.alternateRefsCommand", "true"),
    ("core.sshCommand", "false"),
    ("core.gitProxy", "false"),
    ("core.askPass", "false"),
    // A push that died with an earlier host may still be clearing up; milliseconds.
    ("core.filesRefLockTimeout", "6000"),
    ("core.packedRefsTimeout", "6000"),
    ("gpg.program", "false"),
    ("receive.denyCurrentBranch", "refuse"),
    ("receive.denyNonFastForwards", "true"),
    ("receive.autogc", "false"),
    ("receive.updateServerInfo", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.directory", "*"),
];

/// Text of our global configuration file.
pub(super) fn file() -> String {
    let mut text = String::from("# Written by borg-host at every start; edits are lost.\n");
    for (name, value) in SETTINGS {
        // `section.sub.name` has a subsection only for `fetch.fsck.*`, which Git reads as section `fetch`, subsection `fsck`.
        let (section, key) = name.rsplit_once('.').expect("every name has a section");
        match section.split_once('.') {
            Some((section, sub)) => text.push_str(&format!("[{section} \"{sub}\"]\n")),
            None => text.push_str(&format!("[{section}]\n")),
        }
        text.push_str(&format!("\t{key} = \"{value}\"\n"));
    }
    text
}

/// The whole environment of a Git process on a repository of ours.
pub(super) fn environment(home: &Path, config: &Path) -> Vec<(String, OsString)> {
    let mut env = common(home);
    env.push(("GIT_CONFIG_GLOBAL".into(), config.into()));
    env
}

/// The whole environment of a Git process that serves a repository of somebody else, as its owner.
///
/// No file of ours is named, since another user could not read it.
pub(super) fn foreign_environment(home: &Path) -> Vec<(String, OsString)> {
    let mut env = common(home);
    env.push(("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()));
    env.push(("GIT_CONFIG_COUNT".into(), FOREIGN.len().to_string().into()));
    for (index, (name, value)) in FOREIGN.into_iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{index}"), name.into()));
        env.push((format!("GIT_CONFIG_VALUE_{index}"), value.into()));
    }
    // A partial clone would fetch what it lacks from wherever its configuration says, by any program it names.
    env.push(("GIT_ALLOW_PROTOCOL".into(), "none".into()));
    env
}

fn common(home: &Path) -> Vec<(String, OsString)> {
    let fixed = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "false"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_AUTHOR_NAME", "borg"),
        ("GIT_AUTHOR_EMAIL", EMAIL),
        ("GIT_COMMITTER_NAME", "borg"),
        ("GIT_COMMITTER_EMAIL", EMAIL),
    ];
    let mut env: Vec<_> = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    env.push(("HOME".into(), home.into()));
    env.push(("GIT_CEILING_DIRECTORIES".into(), home.parent().unwrap_or(home).into()));
    env
}

/// What the kernel lets a call do: run Git's installation, touch the named repositories, no network.
pub(super) fn profile(settings: &Settings, call: &Call) -> Profile {
    let mut read_exec = ["/usr", "/bin", "/lib", "/lib64"].map(PathBuf::from).to_vec();
    // `PREFIX/bin/git` finds its parts below `PREFIX/libexec`.
    read_exec.extend(
        settings.program.parent().and_then(Path::parent).filter(|dir| dir.parent().is_some()).map(Path::to_owned),
    );
    let mut read = ["/etc/ld.so.cache", "/dev/zero", "/dev/urandom"].map(PathBuf::from).to_vec();
    read.extend(call.reads.iter().cloned());
    let mut write = vec![PathBuf::from("/dev/null")];
    write.extend(call.writes.iter().cloned());
    Profile {
        read_exec,
        read,
        write,
        limits: Rlimits { data_bytes: Some(settings.max_memory_bytes), ..Rlimits::default() },
        parent_death: if call.outlives { ParentDeath::Outlive } else { ParentDeath::Terminate },
        ..Profile::default()
    }
}
