//! Types and host interfaces that the worlds share.

wasmtime::component::bindgen!({
    inline: "
        package borg:host;
        world shared {
            import borg:plugin/types@0.1.0;
            import borg:plugin/log@0.1.0;
            import borg:plugin/clock@0.1.0;
        }
    ",
    path: "../../wit",
    world: "borg:host/shared",
});
