//! `bundle.toml`, beside an executor's `plugin.toml`: the programs its agent consists of, and the packages they come in.
//!
//! ```toml
//! name = "some-agent"             # as `[asks] bundle` of plugin.toml
//! version = "1.2.3"
//!
//! [[package]]                     # one for each kind of machine
//! arch = "x86_64"                 # or aarch64
//! libc = "glibc"                  # or musl: what its programs are linked with; left out where they bring all they need
//! npm = "@some/agent-linux-x64"   # a package of the npm registry in that version; or url = "https://…/agent.tar.gz"
//! root = "package"                # folder in the archive below which `from` counts; left out for none
//! integrity = "sha512-…"          # of the archive's file, as subresource integrity; for a url sha256 will do
//!
//! [[program]]                     # what is taken out of it, and nothing else
//! from = "agent"
//! to = "bin/agent"                # below /opt/agent
//! ```
//!
//! A recipe is its author's word and permits nothing: what may run is said by `[executor.NAME] bundle` of policy, the digest of the
//! programs that were taken out. Fetching, unpacking and holding them against it is the host's.

use crate::{
    id::Digest,
    policy::{
        section::Section,
        source::{Diagnostic, SourceFile},
    },
};
use std::fmt;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Name of the file.
pub const FILE: &str = "bundle.toml";

/// Largest `bundle.toml` that is read, in bytes.
pub const MAX_BYTES: u64 = 64 << 10;

/// Most packages, and most programs, of one bundle.
const MAX_ROWS: usize = 64;

/// Tables that are to come, and what holds until then. Whoever writes one is told so.
const LATER: [(&str, &str); 2] = [
    ("lock", "a package brings all that its programs need"),
    ("part", "nothing is shared between bundles, each brings its programs whole"),
];

/// Forms of archives that people would write, and that nothing here unpacks.
const OTHER_ARCHIVES: [&str; 6] = [".zip", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar", ".7z"];

/// A checked `bundle.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    pub name: String,
    pub version: String,
    /// At least one; no two for the same machines.
    pub packages: Vec<Package>,
    /// At least one; each place is taken once.
    pub programs: Vec<Program>,
}

/// The archive for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub arch: Arch,
    /// None where its programs run with either.
    pub libc: Option<Libc>,
    pub origin: Origin,
    /// Folder in the archive below which [`Program::from`] counts; empty for the archive itself.
    pub root: String,
    pub integrity: Integrity,
}

/// Where a package is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Name on the npm registry; its version is the bundle's.
    Npm(String),
    /// `https://` address of a `.tar.gz`, of characters that mean nothing to a shell.
    Url(String),
}

/// A file to take out of a package. Both paths are relative, of plain names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Below the package's root.
    pub from: String,
    /// Below the bundle; in a folder.
    pub to: String,
}

/// A processor, as `std::env::consts::ARCH` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    const ALL: [(&str, Arch); 2] = [("x86_64", Arch::X86_64), ("aarch64", Arch::Aarch64)];

    /// The one of this name, if it is one that bundles are made for.
    pub fn named(name: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, arch)| arch)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

/// What the images of agents have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Libc {
    /// Debian's, and so that of the shipped image.
    #[default]
    Glibc,
    Musl,
}

impl Libc {
    const ALL: [(&str, Libc); 2] = [("glibc", Libc::Glibc), ("musl", Libc::Musl)];

    pub fn as_str(self) -> &'static str {
        match self {
            Libc::Glibc => "glibc",
            Libc::Musl => "musl",
        }
    }
}

/// A hash of a package's file that its publisher states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the hash in base64, and what that ends in.
    fn form(self) -> (usize, &'static str) {
        match self {
            Algorithm::Sha256 => (44, "="),
            Algorithm::Sha512 => (88, "=="),
        }
    }
}

/// Subresource integrity: `sha512-` or `sha256-`, and the hash in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integrity {
    algorithm: Algorithm,
    text: String,
}

impl Integrity {
    /// Reads one; none for anything else, also for a list of several.
    pub fn read(text: &str) -> Option<Integrity> {
        let (name, hash) = text.split_once('-')?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|known| known.as_str() == name)?;
        let (length, padding) = algorithm.form();
        let digits = hash.strip_suffix(padding)?;
        let is_base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
        (hash.len() == length && is_base64).then(|| Integrity { algorithm, text: text.to_owned() })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Recipe {
    /// Reads and checks the text of a `bundle.toml`.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the lines; of what is no TOML, the first.
    pub fn parse(file: &SourceFile) -> Result<Recipe, Vec<Diagnostic>> {
        let (table, errors) = DeTable::parse_recoverable(&file.text);
        if let Some(error) = errors.first() {
            let span = error.span().unwrap_or(0..0);
            let hint = "this is not TOML as https://toml.io describes it";
            return Err(vec![file.diagnostic(span, error.message(), hint)]);
        }
        let mut out: Vec<Diagnostic> = Vec::new();
        let recipe = whole(Section::whole(file, table.get_ref(), &mut out));
        out.sort_by_key(|diagnostic| diagnostic.span.start);
        if out.is_empty() { Ok(recipe) } else { Err(out) }
    }

    /// The package for machines of this kind and images of this libc: one that is made for it before one that runs with either.
    pub fn package(&self, arch: Arch, libc: Libc) -> Option<&Package> {
        let of = |wanted| self.packages.iter().find(move |package| (package.arch, package.libc) == (arch, wanted));
        of(Some(libc)).or_else(|| of(None))
    }
}

/// The digest of a bundle's programs as `[executor.NAME] bundle` of policy spells it: `sha256:` and 64 hex digits.
pub fn spell_pin(digest: &Digest) -> String {
    format!("sha256:{digest}")
}

/// Reads what [`spell_pin`] writes.
pub fn read_pin(text: &str) -> Option<Digest> {
    text.strip_prefix("sha256:")?.parse().ok()
}

fn whole(mut section: Section<'_>) -> Recipe {
    let name = needed(&mut section, "name", "\"some-agent\"", is_name, "a-z, 0-9 and `-`, beginning with a letter");
    let form = "letters, digits and `.`, `_`, `+`, `-`, beginning with a letter or digit";
    let version = needed(&mut section, "version", "\"1.2.3\"", is_version, form);
    let mut packages: Vec<Package> = Vec::new();
    for value in rows(&mut section, "package") {
        let Some(mut row) = Section::new(section.file, "[[package]]".into(), value, section.out) else { continue };
        if let Some(package) = package(&mut row) {
            if packages.iter().any(|other| (other.arch, other.libc) == (package.arch, package.libc)) {
                let libc = package.libc.map_or("either libc", Libc::as_str);
                row.wrong(
                    value.span(),
                    format!("there are two for {} with {libc}", package.arch.as_str()),
                    "keep one of them",
                );
            }
            packages.push(package);
        }
        row.finish();
    }
    let mut programs: Vec<Program> = Vec::new();
    for value in rows(&mut section, "program") {
        let Some(mut row) = Section::new(section.file, "[[program]]".into(), value, section.out) else { continue };
        if let Some(program) = program(&mut row) {
            if let Some(other) = programs.iter().find(|other| is_in_the_way(&other.to, &program.to)) {
                let message = format!("`{}` is where `{}` is put, or above or below it", program.to, other.to);
                row.wrong(value.span(), message, "give each program a place of its own");
            }
            if programs.iter().any(|other| other.from == program.from) {
                row.wrong(value.span(), format!("`{}` is taken out twice", program.from), "keep one of them");
            }
            programs.push(program);
        }
        row.finish();
    }
    for (key, instead) in LATER {
        if section.has(key) {
            let span = section.span_of(key);
            section.raw(key);
            section.wrong(span, format!("`{key}` does not exist yet: {instead}"), "leave it out");
        }
    }
    section.finish();
    Recipe { name, version, packages, programs }
}

/// A text that must be there and of a form; empty where it is not there.
fn needed(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
    is_right: fn(&str) -> bool,
    form: &str,
) -> String {
    let text = section.needed(key, example).unwrap_or_default();
    if !text.is_empty() && !is_right(&text) {
        let span = section.span_of(key);
        section.wrong(span, format!("`{text}` is no {key}"), format!("write at most 64 of {form}"));
    }
    text
}

/// The rows of `[[key]]`, of which there must be some.
fn rows<'a>(section: &mut Section<'a>, key: &'static str) -> Vec<&'a Spanned<DeValue<'a>>> {
    let found: Vec<_> = match section.raw(key).map(|value| (value.get_ref(), value.span())) {
        Some((DeValue::Array(rows), _)) => rows.iter().collect(),
        Some((_, span)) => {
            section.wrong(span, format!("`{key}` must be a list of tables"), format!("write [[{key}]]"));
            return Vec::new();
        }
        None => Vec::new(),
    };
    if found.is_empty() || found.len() > MAX_ROWS {
        let span = section.span_of(key);
        section.wrong(span, format!("there must be 1 to {MAX_ROWS} of [[{key}]]"), format!("add [[{key}]]"));
    }
    found
}

/// One `[[package]]`; none where it lacks what makes it one. What is wrong is told.
fn package(row: &mut Section<'_>) -> Option<Package> {
    let arch = row.needed("arch", "\"x86_64\"").map(|_| row.choice("arch", &Arch::ALL, Arch::X86_64));
    let libc = row.has("libc").then(|| row.choice("libc", &Libc::ALL, Libc::default()));
    let origin = origin(row);
    let root = row.string("root").unwrap_or_default();
    if !root.is_empty() && !is_path(&root) {
        let span = row.span_of("root");
        row.wrong(span, format!("`{root}` is no folder in the archive"), PATH);
    }
    let integrity = integrity(row, matches!(origin, Some(Origin::Npm(_))));
    Some(Package { arch: arch?, libc, origin: origin?, root, integrity: integrity? })
}

fn origin(row: &mut Section<'_>) -> Option<Origin> {
    let (npm, url) = (row.string("npm"), row.string("url"));
    match (npm, url) {
        (Some(name), None) => {
            if !is_npm(&name) {
                let span = row.span_of("npm");
                row.wrong(span, format!("`{name}` is no name of an npm package"), "as in \"@some/agent-linux-x64\"");
            }
            Some(Origin::Npm(name))
        }
        (None, Some(url)) => {
            let span = row.span_of("url");
            if let Some(form) = OTHER_ARCHIVES.iter().find(|form| url.ends_with(*form)) {
                let hint = "name one of `.tar.gz` or `.tgz`; where none is published, pack one and publish it";
                row.wrong(span, format!("archives of the form `{form}` are not unpacked"), hint);
            } else if !is_url(&url) {
                let hint = "write https://HOST/PATH.tar.gz, without a query, of letters, digits and `-._~/:@+%,=`";
                row.wrong(span, format!("`{url}` is no address of a `.tar.gz`"), hint);
            }
            Some(Origin::Url(url))
        }
        (Some(_), Some(_)) | (None, None) => {
            // An empty or otherwise wrong one was told of already.
            if row.has("npm") == row.has("url") {
                row.wrong(row.span.clone(), "needs either `npm` or `url`".into(), "name the one place it comes from");
            }
            None
        }
    }
}

fn integrity(row: &mut Section<'_>, is_npm: bool) -> Option<Integrity> {
    let text = row.needed("integrity", "\"sha512-…\"")?;
    let span = row.span_of("integrity");
    let Some(integrity) = Integrity::read(&text) else {
        let hint = "write `sha512-` or `sha256-` and the hash of the archive in base64, as `npm view NAME@VERSION dist.integrity` prints \
                    it, or `openssl dgst -sha512 -binary FILE | base64 -w0`";
        row.wrong(span, format!("`{text}` is no integrity"), hint);
        return None;
    };
    if is_npm && integrity.algorithm() != Algorithm::Sha512 {
        row.wrong(span, "npm states sha512".into(), "`npm view NAME@VERSION dist.integrity` prints it");
    }
    Some(integrity)
}

/// One `[[program]]`; none where it lacks what makes it one. What is wrong is told.
fn program(row: &mut Section<'_>) -> Option<Program> {
    let mut path = |key: &'static str, example: &str| {
        let text = row.needed(key, example)?;
        if !is_path(&text) {
            let span = row.span_of(key);
            row.wrong(span, format!("`{text}` is no path of a file"), PATH);
        }
        Some(text)
    };
    let (from, to) = (path("from", "\"agent\""), path("to", "\"bin/agent\""));
    if to.as_ref().is_some_and(|to| !to.contains('/')) {
        let span = row.span_of("to");
        row.wrong(span, "programs lie in a folder of the bundle".into(), "as in to = \"bin/agent\"");
    }
    Some(Program { from: from?, to: to? })
}

/// True where two paths cannot both be files.
fn is_in_the_way(one: &str, other: &str) -> bool {
    let is_above = |above: &str, path: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    one == other || is_above(one, other) || is_above(other, one)
}

/// What a path must be.
const PATH: &str =
    "write names with `/` between them, of letters, digits and `-._+@`, none of them `.` or `..`, 200 bytes at most";

fn is_path(text: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+@/".contains(&byte);
    text.len() <= 200 && text.bytes().all(is_plain) && text.split('/').all(is_part)
}

fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(is_plain)
}

/// A folder's name, and what npm takes for one version and no range or tag.
fn is_version(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(is_plain)
}

/// A name of the registry, which npm cannot take for an option, a folder, a file or an address.
fn is_npm(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && part.bytes().all(is_plain)
    };
    let parts = match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').map(|(scope, name)| is_part(scope) && is_part(name)),
        None => Some(is_part(text)),
    };
    text.len() <= 214 && parts == Some(true)
}

fn is_url(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@+%,=".contains(&byte);
    let Some((host, path)) = text.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.strip_suffix(".tar.gz").or_else(|| file.strip_suffix(".tgz"));
    text.len() <= 1024
        && text.bytes().all(is_plain)
        && !host.is_empty()
        && stem.is_some_and(|stem| stem.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests;
