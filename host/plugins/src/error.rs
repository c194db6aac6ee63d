//! How loading and calling a plugin fail. Messages are lower-case fragments that end in a remedy where a person has one.

use crate::manifest::Kind;
use borg_core::id::Digest;
use semver::Version;
use std::{fmt, io, path::PathBuf, time::Duration};

/// The host cannot run plugins at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start the WebAssembly engine: {0}")]
    Engine(String),
    #[error("cannot use {path} for compiled plugins", path = path.display())]
    Cache { path: PathBuf, source: io::Error },
    #[error(
        "{path} holds machine code and is open to others: make it yours alone (`chmod 700`) or remove it",
        path = path.display()
    )]
    CacheOpen { path: PathBuf },
}

/// One plugin that was not loaded; the others are.
#[derive(Debug)]
pub struct LoadError {
    /// Manifest, component or folder.
    pub path: PathBuf,
    /// Line of the manifest, counted from 1, where one is to blame.
    pub line: Option<u32>,
    pub problem: Problem,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

/// Why a plugin was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("is {bytes} bytes long, over the limit of {limit}: make it smaller")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("{0}")]
    Manifest(String),
    #[error("the manifest names `{wasm}`, which is not there: build the plugin, or correct `wasm`")]
    NoComponent { wasm: String },
    #[error(
        "asks for the bundle `{asked}`, but no bundle.toml lies beside it: put one there that says where its programs come from, or take `bundle` out of `[asks]`"
    )]
    NoBundle { asked: String },
    #[error(
        "nobody asks for it: add `bundle = \"NAME\"` to `[asks]` of the executor's plugin.toml beside it, or remove it"
    )]
    BundleUnasked,
    #[error("is of the bundle `{found}`, but the plugin.toml beside it asks for `{asked}`: make the names equal")]
    BundleName { asked: String, found: String },
    #[error("the name `{name}` is taken by {by}: rename one of the two, in its manifest and in `describe`", by = by.display())]
    NameTaken { name: String, by: PathBuf },
    #[error(
        "the component's digest is {found}, but policy pins `{name}` to {pinned}: restore the file, or after looking at the new one set `sha256 = \"{found}\"` in `[plugin.{name}]`"
    )]
    PinMismatch { name: String, pinned: Digest, found: Digest },
    #[error(
        "policy is strict and does not pin `{name}`: add `sha256 = \"{found}\"` to `[plugin.{name}]`, or set `strict = false` in `[plugin-defaults]`"
    )]
    Unpinned { name: String, found: Digest },
    #[error(
        "stands in for the {kind} `{name}` of {other}, which policy does not allow without a pin: after looking at it add `sha256 = \"{found}\"` to `[plugin.{name}]`, or remove it; until then the other one is used",
        other = other.display()
    )]
    StandIn { name: String, kind: Kind, found: Digest, other: PathBuf },
    #[error(
        "has the name of the shipped {kind} `{name}`, which cannot be read just now, and policy does not pin it: put the shipped one back (`cargo xtask build`, or install the program anew); if this one is to stand in for it, after looking at it add `sha256 = \"{found}\"` to `[plugin.{name}]`"
    )]
    ShippedName { name: String, kind: Kind, found: Digest },
    #[error("{0}")]
    Compile(#[source] CompileError),
    #[error(
        "a {kind} must export `{wanted}`, but this component exports {exports}: correct `kind`, or build it for world `{kind}-plugin`"
    )]
    WrongWorld { kind: Kind, wanted: String, exports: String },
    #[error(
        "the manifest says `world = \"{world}\"`, but the component was built for version {built} of `borg:plugin`: set `world = \"{built}\"`, or build it for {world}"
    )]
    OtherVersion { world: Version, built: Version },
    #[error(
        "the component was built for version {built} of `borg:plugin`, which this host does not speak; it speaks {spoken}: build it for one of these, or use another host"
    )]
    UnknownVersion { built: String, spoken: String },
    #[error("the component imports {}, which a {kind} does not get: {remedy}", list(.imports))]
    Imports { kind: Kind, imports: Vec<String>, remedy: String },
    #[error("the component imports `{import}` without asking: add `{ask} = true` to `[asks]` of the manifest")]
    Unasked { import: String, ask: &'static str },
    #[error("`{name}` needs `{grant}`, which policy does not grant: add `{grant} = true` to `[plugin.{name}]`")]
    NotGranted { name: String, grant: &'static str },
    #[error(
        "the component does not fit `borg:plugin` version {world}: {why}; build it against the `wit/` of that version"
    )]
    Mismatch { world: Version, why: String },
    #[error("{0}")]
    Probe(#[source] CallError),
    #[error("the manifest says `{manifest}`, but `describe` says `{described}`: make the {what} equal")]
    Described { what: &'static str, manifest: String, described: String },
    #[error(
        "a chat of transport `http` brings its own network, which this host does not offer yet: use another transport"
    )]
    HttpTransport,
    #[error(
        "digest {digest} is in use by an unfinished task, but is no longer kept: {why}; put the old component back, or cancel the task"
    )]
    Forgotten { digest: Digest, why: String },
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Compiling a component failed.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("is over the limit of {limit} bytes for components: make it smaller")]
    TooLarge { limit: u64 },
    #[error("is a core module, not a component: build it with `--target wasm32-wasip2`")]
    CoreModule,
    #[error("is not a WebAssembly component: {0}")]
    Invalid(String),
    #[error("was not compiled: {0}")]
    Child(String),
    #[error("was not compiled within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    #[error("no engine to compile with: {0}")]
    Engine(String),
}

/// One call of a plugin that failed. Nothing else did: the instance is gone, the plugin can be called again.
#[derive(Clone, Debug)]
pub struct CallError {
    pub plugin: String,
    pub kind: Kind,
    pub function: &'static str,
    pub cause: Cause,
    /// Tail of what the plugin wrote to its standard error, at most 4 KiB. Not to be trusted.
    pub stderr: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} plugin `{}` failed in `{}`: {}", self.kind, self.plugin, self.function, self.cause)?;
        match self.stderr.trim_end().lines().last() {
            Some(last) => write!(f, "; its last words: {}", last.escape_debug()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("no {0} of that name is loaded{1}")]
    Missing(Kind, String),
    #[error("its component {0} is no longer loaded")]
    DigestGone(Digest),
    #[error("it trapped ({0})")]
    Trap(String),
    #[error("it ended itself with exit code {0}")]
    Exited(i32),
    #[error("it took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("it asked for {asked} bytes of memory, over the limit of {limit}")]
    Memory { asked: u64, limit: u64 },
    #[error("it asked for {asked} table entries, over the limit of {limit}")]
    Table { asked: u64, limit: u64 },
    #[error("it recursed until its stack was full")]
    Stack,
    #[error("it handed over more than {limit} bytes in one call")]
    OutputTooLarge { limit: u64 },
    #[error("{what} is {size} long, over the limit of {limit}")]
    InputTooLarge { what: &'static str, size: u64, limit: u64 },
    #[error("its answer breaks the contract: {0}")]
    BadAnswer(String),
    #[error("the engine refused: {0}")]
    Engine(String),
}
