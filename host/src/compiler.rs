//! Compiles plugins in a child that can read the component, write the code, and nothing else: compilers are attacked through what they compile.

use crate::spawn::{Confinement, Spawner, Spec};
use borg_confine::{ParentDeath, Profile};
use borg_plugins::Compiler;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The hidden command of this program that the child runs.
pub const COMMAND: &str = "compile-plugin";
/// Longest compilation; the plugin host's own limit is shorter.
const TIME: Duration = Duration::from_secs(120);

/// Somebody who waits for the program to start, and is told on standard error, once, if plugins have to be compiled for that.
#[derive(Clone, Debug)]
pub struct Waiting(Arc<AtomicBool>);

impl Waiting {
    pub fn begin() -> Self {
        Waiting(Arc::new(AtomicBool::new(true)))
    }

    /// What is compiled from now on, nobody waits for.
    pub fn over(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn tell(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            eprintln!("compiling plugins for this machine; that takes some seconds now, and none at later starts");
        }
    }
}

/// A compiler whose child is confined by `launcher`.
pub fn confined(spawner: Spawner, launcher: PathBuf, program: PathBuf, waiting: Waiting) -> Compiler {
    Compiler::Child(Arc::new(move |wasm, out| {
        waiting.tell();
        let (spawner, spec) = (spawner.clone(), spec(&launcher, &program, wasm, out));
        Box::pin(async move {
            let output = spawner.run(spec).await.map_err(|error| error.to_string())?;
            match (output.timed_out, output.status.success()) {
                (false, true) => Ok(()),
                (true, _) => Err("it took too long".into()),
                (false, false) => Err(output.stderr.trim().to_owned()),
            }
        })
    }))
}

fn spec(launcher: &Path, program: &Path, wasm: &Path, out: &Path) -> Spec {
    let folder = out.parent().map(Path::to_owned);
    let profile = Profile {
        read_exec: [program.to_owned()].into_iter().chain(["/usr", "/lib", "/lib64"].map(PathBuf::from)).collect(),
        read: ["/etc/ld.so.cache", "/proc/cpuinfo", "/sys/fs/cgroup", "/proc/self"]
            .map(PathBuf::from)
            .into_iter()
            .chain([wasm.to_owned()])
            .collect(),
        write: folder.into_iter().chain([PathBuf::from("/dev/null")]).collect(),
        parent_death: ParentDeath::Kill,
        ..Profile::default()
    };
    let confinement = Some(Confinement { launcher: launcher.to_owned(), profile });
    Spec { confinement, timeout: TIME, ..Spec::new(program).arg(COMMAND).arg(wasm).arg(out) }
}
