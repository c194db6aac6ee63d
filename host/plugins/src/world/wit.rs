//! The types of the newest contract, generated from `wit/`.

wasmtime::component::bindgen!({
    inline: "
        package borg:host;
        world all {
            import borg:plugin/log@0.2.0;
            import borg:plugin/clock@0.2.0;
            export borg:plugin/persona@0.2.0;
            export borg:plugin/rule@0.2.0;
            export borg:plugin/executor@0.2.0;
            export borg:plugin/chat@0.2.0;
        }
    ",
    path: "../../wit",
    world: "borg:host/all",
});

pub(crate) use borg::plugin::{log, types};
pub(crate) use exports::borg::plugin::{chat, executor, persona, rule};
