//! Builds every part for its target and lays them out: plugins as `target/plugins/<kind>s/<name>/`, `libexec/borg-init` beside `borg-host`.
//!
//! `borg-host` is compiled with the digest of the `borg-init` it will mount, so the two belong together. Examples are plugins that nobody
//! gets unasked: they go to `target/plugins-examples/`.

use crate::sh;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

const WASM: &str = "wasm32-wasip2";

/// What was built, for those who go on to use it.
pub struct Built {
    pub host: PathBuf,
    pub plugins: PathBuf,
    pub examples: PathBuf,
}

/// A plugin's crate, as its `plugin.toml` and `Cargo.toml` tell it.
struct Plugin {
    folder: PathBuf,
    package: String,
    name: String,
    kind: String,
    example: bool,
}

pub fn all() -> Result<Built> {
    targets(&[WASM, &musl()])?;
    let plugins = sh::target().join("plugins");
    let examples = sh::target().join("plugins-examples");
    guests(&plugins, &examples)?;
    let debug = sh::target().join("debug");
    lay_init(&init()?, &debug)?;
    sh::run(sh::cargo().args(["build", "--package", "borg-host"]))?;
    Ok(Built { host: debug.join("borg-host"), plugins, examples })
}

/// Puts an init where a host of this folder, which is yet to be built, will look for it.
pub fn lay_init(init: &Path, folder: &Path) -> Result<()> {
    // A folder of its own: cargo puts a `borg-init` for this machine beside the host whenever the workspace is built.
    let place = init_of(&folder.join("borg-host"));
    let libexec = place.parent().context("init lies in a folder")?;
    fs::create_dir_all(libexec)?;
    replace(init, &place)?;
    // Read by the host's build script; written only when it changes, or the host would be compiled each time.
    let digest = hex(&Sha256::digest(fs::read(init)?));
    let file = libexec.join("borg-init.sha256");
    if fs::read_to_string(&file).ok().as_deref() != Some(&digest) {
        fs::write(&file, &digest)?;
    }
    Ok(())
}

/// Where a host looks for its init.
pub fn init_of(host: &Path) -> PathBuf {
    host.with_file_name("libexec").join("borg-init")
}

/// The targets that something is built for: the machine itself, plugins, `borg-init`.
pub fn platforms() -> [String; 3] {
    [format!("{}-unknown-linux-gnu", std::env::consts::ARCH), WASM.to_owned(), musl()]
}

fn musl() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Adds the targets that rustup does not have yet.
fn targets(wanted: &[&str]) -> Result<()> {
    let sysroot = sh::output(sh::command("rustc").args(["--print", "sysroot"]))?;
    let installed = Path::new(sysroot.trim()).join("lib/rustlib");
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|target| !installed.join(target).join("lib").is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        sh::succeeds(sh::command("rustup").arg("--version")),
        "the Rust targets {} are missing, and there is no rustup to add them: install them with the Rust you use",
        missing.join(", ")
    );
    sh::run(sh::command("rustup").args(["target", "add"]).args(missing))
}

fn guests(plugins: &Path, examples: &Path) -> Result<()> {
    let found = discover(&sh::root().join("plugins"))?;
    if found.is_empty() {
        bail!("no plugin.toml below plugins/: is this a complete checkout?");
    }
    let mut build = sh::cargo();
    build.args(["build", "--target", WASM, "--profile", "guest"]);
    build.args(found.iter().flat_map(|plugin| ["--package", &plugin.package]));
    sh::run(&mut build)?;
    // Laid out afresh, so that a plugin that was renamed or removed does not linger.
    for folder in [plugins, examples] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    for plugin in &found {
        let to = if plugin.example { examples } else { plugins };
        install(plugin, to)?;
    }
    Ok(())
}

fn install(plugin: &Plugin, to: &Path) -> Result<()> {
    let wasm = sh::target().join(WASM).join("guest").join(format!("{}.wasm", plugin.package.replace('-', "_")));
    let folder = to.join(format!("{}s", plugin.kind)).join(&plugin.name);
    fs::create_dir_all(&folder)?;
    for file in ["plugin.toml", "bundle.toml"].map(|name| plugin.folder.join(name)).iter().filter(|file| file.exists())
    {
        copy(file, &folder.join(file.file_name().context("a file has a name")?))?;
    }
    copy(&wasm, &folder.join(format!("{}.wasm", plugin.name)))
}

/// Finds `<group>/<plugin>/plugin.toml` below `plugins`, ordered by folder.
fn discover(plugins: &Path) -> Result<Vec<Plugin>> {
    let mut found = Vec::new();
    for group in folders(plugins)? {
        let example = group.ends_with("examples");
        for folder in folders(&group)?.into_iter().filter(|folder| folder.join("plugin.toml").is_file()) {
            let manifest = table(&folder.join("plugin.toml"))?;
            let package = table(&folder.join("Cargo.toml"))?;
            let package = package.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
            let text = |key: &str| {
                let value = manifest.get(key).and_then(toml::Value::as_str).map(str::to_owned);
                value.with_context(|| format!("{}/plugin.toml has no `{key}`", folder.display()))
            };
            found.push(Plugin {
                package: package
                    .with_context(|| format!("{}/Cargo.toml has no package name", folder.display()))?
                    .to_owned(),
                name: text("name")?,
                kind: text("kind")?,
                example,
                folder,
            });
        }
    }
    Ok(found)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| format!("reading {}", of.display()))?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

fn table(path: &Path) -> Result<toml::Table> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse().with_context(|| format!("in {}", path.display()))
}

/// Builds `borg-init`, static, so that it runs in any image.
fn init() -> Result<PathBuf> {
    let target = musl();
    sh::run(sh::cargo().args(["build", "--package", "borg-init", "--release", "--target", &target]))?;
    Ok(sh::target().join(target).join("release/borg-init"))
}

/// Puts a new file in place of one that may be running or mounted just now: its inode is left alone.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension("new");
    copy(from, &fresh)?;
    fs::rename(&fresh, to).with_context(|| format!("replacing {}", to.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_found_by_their_manifests_and_examples_kept_apart() {
        let root = tempfile::TempDir::new().unwrap();
        let plugin = |path: &str, manifest: Option<&str>| {
            let folder = root.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("Cargo.toml"), "[package]\nname = \"borg-x\"").unwrap();
            manifest.inspect(|text| fs::write(folder.join("plugin.toml"), text).unwrap());
        };
        plugin("rules/scope", Some("name = \"scope\"\nkind = \"rule\""));
        plugin("rules/unfinished", None);
        plugin("examples/own", Some("name = \"own\"\nkind = \"persona\""));
        let found = discover(root.path()).unwrap();
        let told: Vec<_> =
            found.iter().map(|p| (p.name.as_str(), p.kind.as_str(), p.package.as_str(), p.example)).collect();
        assert_eq!(told, [("own", "persona", "borg-x", true), ("scope", "rule", "borg-x", false)]);

        plugin("rules/scope", Some("kind = \"rule\""));
        let Err(error) = discover(root.path()) else { panic!("a plugin without a name was taken") };
        assert!(error.to_string().ends_with("scope/plugin.toml has no `name`"), "{error}");
    }
}
