//! What plugins, personas and runs are given.

use crate::{
    agents::{Agents, Bundle, Refusal},
    workspace::{self, Workspace},
};
use borg_core::{effect::InFile, id::Digest, persona::Handoff};
use borg_plugins::{Executor, Kind, Plugins};
use serde_json::Value;

/// Longest artefact that is given to a persona, in bytes.
const HANDOFF_BYTES: usize = 1 << 20;

/// Texts of artefacts, for personas; longer ones are cut.
pub(super) async fn handoffs(workspace: &Workspace, files: &[InFile]) -> Result<Vec<Handoff>, workspace::Error> {
    let mut handoffs = Vec::new();
    for file in files {
        let bytes = workspace.read_artefact(file.digest).await?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let complete = text.len() <= HANDOFF_BYTES;
        text.truncate(text.floor_char_boundary(HANDOFF_BYTES));
        handoffs.push(Handoff { name: file.name.clone(), text, complete });
    }
    Ok(handoffs)
}

/// Settings of a plugin as policy gives them, held against its manifest's schema; the error says what is wrong with them.
pub(super) fn settings(plugins: &Plugins, kind: Kind, name: &str, given: &Value) -> Result<Value, String> {
    let manifest = plugins.manifest(kind, name).ok_or_else(|| {
        format!("there is no {} of this name; put its folder with plugin.toml into the plugin folder", kind.as_str())
    })?;
    manifest.validate_settings(given).map_err(|errors| errors.join("; "))
}

/// The bundle that an executor runs with, as policy pins it; none where it needs none.
pub(super) async fn bundle(
    agents: &Agents,
    plugins: &Plugins,
    executor: &Executor,
    pin: Option<Digest>,
) -> Result<Option<Bundle>, Refusal> {
    if executor.info().bundle.is_empty() {
        return Ok(None);
    }
    let name = &executor.info().name;
    // Of a component that was kept for a task under way nobody knows what it brought; its folder does, as it is now.
    let brought = plugins.brought(name);
    let whose = brought.as_ref().map_or(name, |brought| &brought.executor);
    agents.permitted(whose, pin, brought.as_ref()).await.map(Some)
}
