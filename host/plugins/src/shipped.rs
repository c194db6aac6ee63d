//! What comes with the program, by name: whoever else bears one of these names stands in for it, whether or not it can be found just now.

use crate::manifest::Kind;

/// The plugins of `plugins/` in the source, without the examples. A name is of one plugin, whatever its kind.
pub const SHIPPED: [(Kind, &str); 10] = [
    (Kind::Persona, "answerer"),
    (Kind::Persona, "manager"),
    (Kind::Persona, "qa"),
    (Kind::Persona, "worker"),
    (Kind::Rule, "scope"),
    (Kind::Rule, "test-integrity"),
    (Kind::Executor, "claude-code"),
    (Kind::Executor, "scripted"),
    (Kind::Chat, "console"),
    (Kind::Chat, "telegram"),
];

/// The kind of the shipped plugin of this name.
pub(crate) fn kind_of(name: &str) -> Option<Kind> {
    SHIPPED.into_iter().find(|(_, shipped)| *shipped == name).map(|(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn the_shipped_names_are_those_of_the_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let below = |folder: &Path| -> Vec<_> {
            fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        let groups = below(&root).into_iter().filter(|group| !group.ends_with("examples"));
        let manifests = groups.flat_map(|group| below(&group)).map(|folder| folder.join("plugin.toml"));
        let found: Vec<Manifest> = manifests
            .filter(|path| path.is_file())
            .map(|path| Manifest::parse(&fs::read_to_string(path).unwrap()).unwrap())
            .collect();
        let names = |of: &[(Kind, &str)]| -> BTreeSet<String> {
            of.iter().map(|(kind, name)| format!("{kind} {name}")).collect()
        };
        let found: Vec<(Kind, &str)> = found.iter().map(|manifest| (manifest.kind, manifest.name.as_str())).collect();
        assert_eq!(names(&SHIPPED), names(&found));
        assert_eq!(names(&SHIPPED).len(), SHIPPED.len());
    }
}
