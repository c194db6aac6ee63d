//! Builds the guests of `tests/guests/` once, lays plugin folders and opens them.

#![allow(dead_code, reason = "each test file uses its part")]

use borg_core::{
    id::TaskId,
    persona::{TaskBrief, Work},
    policy::PluginPolicy,
};
use borg_plugins::{Compiler, Kind, Limits, LoadError, Options, Permits, Plugins, compile};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tempfile::TempDir;

const GUESTS: [&str; 7] = ["hostile", "liar", "burglar", "teller", "misfit", "impostor", "outsider"];

/// The frontends that are shipped.
pub const FRONTENDS: [&str; 2] = ["console", "telegram"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The component of a guest, built if it is missing or older than its sources.
pub fn guest(name: &str) -> PathBuf {
    component(name, &GUESTS, &[root().join("tests/guests").join(name)])
}

/// The folder of a shipped frontend's sources, and its component.
pub fn frontend(name: &str) -> (PathBuf, PathBuf) {
    let folder = root().join("plugins/chats").join(name);
    let component = component(name, &FRONTENDS, &[folder.clone(), root().join("plugins/sdk")]);
    (folder, component)
}

fn component(name: &str, packages: &[&str], sources: &[PathBuf]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the temporary folder is below target");
    let built = target.join("wasm32-wasip2/guest").join(format!("{name}.wasm"));
    let newest = sources.iter().chain([&root().join("wit")]).filter_map(|dir| newest(dir)).max();
    if fs::metadata(&built).and_then(|found| found.modified()).ok() < newest {
        build(&root(), target, packages);
    }
    built
}

fn newest(path: &Path) -> Option<SystemTime> {
    let inside = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path())).max();
    let own = fs::metadata(path).ok().filter(|found| found.is_file()).and_then(|found| found.modified().ok());
    inside.max(own)
}

#[expect(clippy::disallowed_methods, reason = "a test builds what it needs")]
fn build(root: &Path, target: &Path, packages: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).env_clear();
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        cargo.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    cargo.args(["build", "--quiet", "--target", "wasm32-wasip2", "--profile", "guest", "--target-dir"]).arg(target);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    let done = cargo.output().expect("cargo starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // Cargo leaves a file alone that would come out the same; its age must say that it was looked at.
    for package in packages {
        let built =
            fs::File::options().write(true).open(target.join("wasm32-wasip2/guest").join(format!("{package}.wasm")));
        built.and_then(|file| file.set_modified(SystemTime::now())).expect("the component was built");
    }
}

/// The text of a `bundle.toml`.
pub fn bundle(name: &str, version: &str) -> String {
    let integrity = format!("sha512-{}==", "A".repeat(86));
    format!(
        "name = \"{name}\"\nversion = \"{version}\"\n[[package]]\narch = \"x86_64\"\nnpm = \"some-agent\"\nintegrity = \"{integrity}\"\n\
         [[program]]\nfrom = \"agent\"\nto = \"bin/agent\"\n"
    )
}

/// A folder with plugin folders, a cache, and a count of compilations.
pub struct Home {
    pub dir: TempDir,
    pub limits: Limits,
    pub permits: Permits,
    /// The first is that of what is shipped.
    pub folders: Vec<&'static str>,
    pub compiled: Arc<AtomicUsize>,
}

impl Home {
    pub fn new() -> Home {
        Home {
            dir: tempfile::tempdir().expect("a temporary folder"),
            limits: Limits::default(),
            permits: Permits { policy: PluginPolicy { log: true, ..PluginPolicy::default() }, ..Permits::default() },
            folders: vec!["plugins"],
            compiled: Arc::default(),
        }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Lays a plugin with a plain manifest and `more` at its end.
    pub fn lay(&self, folder: &str, name: &str, kind: Kind, guest_name: &str, more: &str) -> PathBuf {
        let place = self.path(folder).join(name);
        fs::create_dir_all(&place).expect("a folder");
        let manifest = format!(
            "name = \"{name}\"\nkind = \"{kind}\"\nworld = \"0.2.0\"\nversion = \"1.0.0\"\nsummary = \"a guest\"\n{more}\n"
        );
        fs::write(place.join("plugin.toml"), manifest).expect("a manifest");
        fs::copy(guest(guest_name), place.join(format!("{name}.wasm"))).expect("a component");
        place
    }

    /// A home with the shipped frontends, as they are shipped.
    pub fn frontends() -> Home {
        let home = Home::new();
        for name in FRONTENDS {
            let place = home.path("plugins").join(name);
            fs::create_dir_all(&place).expect("a folder");
            let (folder, component) = frontend(name);
            fs::copy(folder.join("plugin.toml"), place.join("plugin.toml")).expect("a manifest");
            fs::copy(component, place.join(format!("{name}.wasm"))).expect("a component");
        }
        home
    }

    /// A home with nothing but the hostile persona.
    pub fn hostile() -> Home {
        let home = Home::new();
        home.lay("plugins", "hostile", Kind::Persona, "hostile", "[asks]\nlog = true");
        home
    }

    pub fn compilations(&self) -> usize {
        self.compiled.load(Ordering::SeqCst)
    }

    pub fn options(&self) -> Options {
        let compiled = Arc::clone(&self.compiled);
        let mut folders = self.folders.iter().map(|folder| self.path(folder));
        Options {
            shipped: folders.next().into_iter().collect(),
            folders: folders.collect(),
            cache: self.path("cache"),
            compiler: Compiler::Child(Arc::new(move |wasm, out| {
                compiled.fetch_add(1, Ordering::SeqCst);
                let (wasm, out) = (wasm.to_owned(), out.to_owned());
                Box::pin(async move {
                    let done = tokio::task::spawn_blocking(move || compile(&wasm, &out)).await;
                    done.expect("compiling does not panic").map_err(|error| error.to_string())
                })
            })),
            limits: self.limits.clone(),
            now_ms: || 1_700_000_000_123,
        }
    }

    pub async fn open(&self) -> (Plugins, Vec<LoadError>) {
        Plugins::load(self.options(), &self.permits).await.expect("the engine starts")
    }

    /// Opens a home in which nothing may be broken.
    pub async fn open_whole(&self) -> Plugins {
        let (plugins, errors) = self.open().await;
        assert!(errors.is_empty(), "{errors:#?}");
        plugins
    }
}

pub fn task() -> TaskBrief {
    TaskBrief {
        id: TaskId(12),
        title: "Add a parser".into(),
        description: "that parses".into(),
        repository: "acme/shop".into(),
        base_branch: "main".into(),
        read_only: false,
    }
}

pub fn work() -> Work {
    Work {
        task: task(),
        stage: "impl".into(),
        attempt: 2,
        handoffs: vec![],
        failure: Some("red".into()),
        check: Some("tests-pass".into()),
        produces: vec!["spec.md".into()],
    }
}
