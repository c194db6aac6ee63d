//! Compiling a component to machine code. Compilers can be attacked through what they compile, so the host should do it in a confined
//! child; [`compile`] is what that child calls, and what the host calls itself where there is none.

use crate::{engine, error::CompileError, limits::MAX_WASM_BYTES};
use std::{
    fs::{File, OpenOptions},
    future::Future,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    pin::Pin,
    sync::Arc,
};

/// A running compilation; its error is in words.
pub type Compilation = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Starts a child that compiles the component at the first path to the second.
pub type StartChild = dyn Fn(&Path, &Path) -> Compilation + Send + Sync;

/// Who compiles.
#[derive(Clone)]
pub enum Compiler {
    /// This process, on a thread of its own: for components that are trusted as the host is.
    InProcess,
    /// A child of the host: gets the component's path and the path to write the code to, in a folder that holds nothing else. It calls
    /// [`compile`]. Dropping the future must end the child.
    Child(Arc<StartChild>),
}

/// The first eight bytes of a component, and of a core module (component-model/design/mvp/Binary.md).
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Compiles the component in file `wasm` and writes the machine code to `out`, which must not exist yet.
///
/// The code fits hosts of the same build on the same kind of processor. At most 64 MiB are read.
pub fn compile(wasm: &Path, out: &Path) -> Result<(), CompileError> {
    let read = |source| CompileError::Read { path: wasm.to_owned(), source };
    let mut bytes = vec![];
    File::open(wasm).map_err(read)?.take(MAX_WASM_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > MAX_WASM_BYTES {
        return Err(CompileError::TooLarge { limit: MAX_WASM_BYTES });
    }
    if bytes.starts_with(CORE_MODULE) {
        return Err(CompileError::CoreModule);
    }
    // Checked here because wasmtime would take text for a component, too.
    if !bytes.starts_with(COMPONENT) {
        return Err(CompileError::Invalid("it does not begin like one".to_owned()));
    }
    let engine = engine::compiling().map_err(CompileError::Engine)?;
    let code = engine.precompile_component(&bytes).map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
    let write = |mut file: File| -> io::Result<()> {
        file.write_all(&code)?;
        file.sync_all()
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
    file.and_then(write).map_err(|source| CompileError::Write { path: out.to_owned(), source })
}

impl Compiler {
    /// Compiles here or in the child, within `limit`.
    pub(crate) async fn run(&self, wasm: &Path, out: &Path, limit: std::time::Duration) -> Result<(), CompileError> {
        match self {
            Compiler::InProcess => {
                let (wasm, out) = (wasm.to_owned(), out.to_owned());
                let done = tokio::task::spawn_blocking(move || compile(&wasm, &out)).await;
                done.unwrap_or_else(|panic| Err(CompileError::Child(format!("the compiler broke: {panic}"))))
            }
            Compiler::Child(start) => match tokio::time::timeout(limit, start(wasm, out)).await {
                Ok(done) => done.map_err(CompileError::Child),
                Err(_) => Err(CompileError::TimedOut(limit)),
            },
        }
    }
}
