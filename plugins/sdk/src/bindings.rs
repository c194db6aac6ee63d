//! Generated bindings, one module per world of `wit/worlds.wit`. Nobody needs to look in here: the types are re-exported, with
//! something to build them, by the module of each world.
//!
//! All four worlds live in one crate without getting into each other's components because of `pub_export_macro`: each module then
//! carries a description of its *imports* only (unused ones are dropped), and the exports are described where the export macro
//! is expanded, which is the plugin's crate.

#![allow(clippy::all, missing_docs, unused_imports, reason = "generated")]

/// Also holds the interfaces that the other worlds share: `types` and `log`.
pub mod persona {
    wit_bindgen::generate!({
        world: "persona-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_persona",
        default_bindings_module: "borg_sdk::bindings::persona",
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        additional_type_attributes: {
            "borg:plugin/types@0.2.0/task-brief": [#[derive(Default)]],
            "borg:plugin/types@0.2.0/handoff": [#[derive(Default)]],
            "borg:plugin/persona@0.2.0/persona-info": [#[derive(Default)]],
            "borg:plugin/persona@0.2.0/work": [#[derive(Default)]],
            "borg:plugin/persona@0.2.0/assignment": [#[derive(Default)]],
            "borg:plugin/persona@0.2.0/report": [#[derive(Default)]],
        },
    });
}

pub mod rule {
    wit_bindgen::generate!({
        world: "rule-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_rule",
        default_bindings_module: "borg_sdk::bindings::rule",
        additional_derives: [PartialEq, Eq],
        with: { "borg:plugin/types@0.2.0": crate::bindings::persona::borg::plugin::types },
        additional_type_attributes: {
            "borg:plugin/rule@0.2.0/rule-info": [#[derive(Default)]],
            "borg:plugin/rule@0.2.0/hunk": [#[derive(Default)]],
            "borg:plugin/rule@0.2.0/marks": [#[derive(Default)]],
            "borg:plugin/rule@0.2.0/stage-commit": [#[derive(Default)]],
            "borg:plugin/rule@0.2.0/change": [#[derive(Default)]],
        },
    });
}

pub mod executor {
    wit_bindgen::generate!({
        world: "executor-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_executor",
        default_bindings_module: "borg_sdk::bindings::executor",
        additional_derives: [PartialEq, Eq],
        with: {
            "borg:plugin/types@0.2.0": crate::bindings::persona::borg::plugin::types,
            "borg:plugin/log@0.2.0": crate::bindings::persona::borg::plugin::log,
        },
        additional_type_attributes: {
            "borg:plugin/executor@0.2.0/tool": [#[derive(Default)]],
            "borg:plugin/executor@0.2.0/way-out": [#[derive(Default)]],
            "borg:plugin/executor@0.2.0/job": [#[derive(Default)]],
            "borg:plugin/executor@0.2.0/command": [#[derive(Default)]],
            "borg:plugin/executor@0.2.0/usage": [#[derive(Default)]],
            "borg:plugin/executor@0.2.0/read-step": [#[derive(Default)]],
        },
    });
}

pub mod chat {
    wit_bindgen::generate!({
        world: "chat-plugin",
        path: "../../wit",
        pub_export_macro: true,
        export_macro_name: "export_chat",
        default_bindings_module: "borg_sdk::bindings::chat",
        additional_derives: [PartialEq, Eq],
        with: {
            "borg:plugin/types@0.2.0": crate::bindings::persona::borg::plugin::types,
            "borg:plugin/log@0.2.0": crate::bindings::persona::borg::plugin::log,
        },
        additional_type_attributes: {
            "borg:plugin/chat@0.2.0/document": [#[derive(Default)]],
            "borg:plugin/chat@0.2.0/text-post": [#[derive(Default)]],
        },
    });
}
