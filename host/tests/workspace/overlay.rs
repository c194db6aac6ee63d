//! The tree a check runs on, made by real Git: the change with what steers its tests as the base has it, and everything else as it is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, run_key};
use borg_core::{
    check::harness::{Cause, Overlaid},
    collect::CommitId,
    effect::Accepted,
};
use borg_host::workspace::{HarnessFrom, Overlay};
use std::{fs, os::unix::fs::symlink};

const FILES: &[(&str, &str)] = &[
    ("shop.py", "old\n"),
    ("Makefile", "test:\n\tpytest\n"),
    ("tests/__init__.py", ""),
    ("tests/test_shop.py", "test\n"),
    ("tools/pytest.ini", "[pytest]\n"),
];

/// A commit on top of what the source holds, in the mirror as well.
async fn commit(room: &Room, files: &[(&str, &str)]) -> CommitId {
    room.commit(files, "change").await;
    room.base().await
}

async fn overlay(room: &Room, base: &CommitId, accepted: &[Accepted], head: &CommitId) -> Overlay {
    let from = HarnessFrom { base, accepted, command: "pytest" };
    room.workspace.with_harness_of(&room.lock().await, from, head, run_key(1)).await.unwrap()
}

fn told(overlay: &Overlay) -> Vec<(&str, &Cause)> {
    overlay.overlaid.iter().map(|Overlaid { path, cause }| (path.as_str(), cause)).collect()
}

fn keys(names: &[&str]) -> Cause {
    Cause::Keys(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn only_what_steers_the_tests_is_the_bases() {
    let room = Room::new(FILES).await;
    let base = room.base().await;
    let project = "[project]\nname = \"shop\" # ours\ndependencies = [\"x\"]\n";
    fs::remove_file(room.source.join("tools/pytest.ini")).unwrap();
    let head = commit(
        &room,
        &[
            ("shop.py", "new\n"),
            ("Makefile", "test:\n\ttrue\n"),
            ("conftest.py", "cheat\n"),
            ("tests/__init__.py", "import cheat\n"),
            ("tests/unit/__init__.py", "\n# nothing\n"),
            ("pyproject.toml", &format!("{project}[tool.pytest.ini_options]\naddopts = \"-p cheat\"\n")),
            ("unittest.py", "cheat\n"),
        ],
    )
    .await;
    let got = overlay(&room, &base, &[], &head).await;
    let wanted = [
        ("Makefile", &Cause::Replaced),
        ("conftest.py", &Cause::TakenOut),
        ("pyproject.toml", &keys(&["tool.pytest"])),
        ("tests/__init__.py", &Cause::Replaced),
        ("tools/pytest.ini", &Cause::PutBack),
    ];
    assert_eq!(told(&got), wanted);
    let text = async |path: &str| room.text(&got.commit, path).await;
    assert_eq!(text("Makefile").await.as_deref(), Some("test:\n\tpytest\n"));
    assert_eq!(text("tests/__init__.py").await.as_deref(), Some(""));
    assert_eq!(text("pyproject.toml").await.as_deref(), Some(project));
    assert_eq!(text("tools/pytest.ini").await.as_deref(), Some("[pytest]\n"));
    assert_eq!(text("conftest.py").await, None);
    // What only stands in for something stays: it is told, and not tested away.
    for (path, is) in [("shop.py", "new\n"), ("unittest.py", "cheat\n"), ("tests/unit/__init__.py", "\n# nothing\n")] {
        assert_eq!(text(path).await.as_deref(), Some(is), "{path}");
    }
    assert_eq!(overlay(&room, &base, &[], &head).await, got, "made the same way it is the same");
    let left: Vec<_> = fs::read_dir(&room.mirror.dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("overlay-")), "{left:?}");
}

#[tokio::test]
async fn what_the_build_needs_is_the_changes() {
    let room = Room::new(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n"),
        ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("a/tests/it.rs", "test\n"),
        ("package.json", "{\"scripts\": {\"test\": \"node --test\"}}\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = -q\n"),
    ])
    .await;
    let base = room.base().await;
    let head = commit(
        &room,
        &[
            ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n"),
            ("a/Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\nb = { path = \"../b\" }\n[[test]]\nname = \"new\"\npath = \"checks/new.rs\"\n"),
            ("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            ("package.json", "{\"type\": \"module\", \"scripts\": {\"test\": \"node --test\"}, \"dependencies\": {\"x\": \"1\"}}\n"),
            ("setup.cfg", "[options]\ninstall_requires = x\n\n[tool:pytest]\naddopts = -q\n"),
            ("build.rs", "fn main() {}\n"),
        ],
    )
    .await;
    assert_eq!(overlay(&room, &base, &[], &head).await, Overlay { commit: head.clone(), overlaid: Vec::new() });
    // Another harness for tests that the base has is not.
    let text = "[package]\nname = \"a\"\n[[test]]\nname = \"it\"\nharness = false\n";
    let head = commit(&room, &[("a/Cargo.toml", text)]).await;
    let got = overlay(&room, &base, &[], &head).await;
    assert_eq!(told(&got), [("a/Cargo.toml", &keys(&["test.it.harness"]))]);
    assert_eq!(room.text(&got.commit, "a/Cargo.toml").await.unwrap(), text.replace("harness = false\n", ""));
}

#[tokio::test]
async fn the_harness_of_an_accepted_stage_stays_and_nobody_else_changes_it() {
    let room = Room::new(FILES).await;
    let base = room.base().await;
    let qa = commit(
        &room,
        &[("conftest.py", "fixtures\n"), ("tests/__init__.py", "helpers\n"), ("tests/test_new.py", "new\n")],
    )
    .await;
    let paths = ["conftest.py", "tests/__init__.py", "tests/test_new.py"].map(str::to_owned).to_vec();
    let accepted = [Accepted { commit: qa.clone(), paths }];
    let own = overlay(&room, &base, &[], &qa).await;
    assert_eq!(told(&own), [("conftest.py", &Cause::TakenOut), ("tests/__init__.py", &Cause::Replaced)]);
    let honest = commit(&room, &[("shop.py", "new\n")]).await;
    assert_eq!(overlay(&room, &base, &accepted, &honest).await.commit, honest);
    let cheat = commit(&room, &[("conftest.py", "cheat\n"), ("tests/conftest.py", "cheat\n")]).await;
    let got = overlay(&room, &base, &accepted, &cheat).await;
    assert_eq!(told(&got), [("conftest.py", &Cause::Replaced), ("tests/conftest.py", &Cause::TakenOut)]);
    assert_eq!(room.text(&got.commit, "conftest.py").await.as_deref(), Some("fixtures\n"));
    assert_eq!(room.text(&got.commit, "tests/__init__.py").await.as_deref(), Some("helpers\n"));
}

#[tokio::test]
async fn the_package_of_tests_is_the_bases_where_either_side_does_something() {
    let room = Room::new(&[
        ("a/tests/__init__.py", "import warnings\nwarnings.simplefilter('error')\n"),
        ("b/tests/__init__.py", ""),
        ("c/tests/__init__.py", "# tests\n"),
        ("d/tests/__init__.py", "import strict\n"),
        ("x", "x\n"),
    ])
    .await;
    let base = room.base().await;
    fs::remove_file(room.source.join("b/tests/__init__.py")).unwrap();
    fs::remove_file(room.source.join("d/tests/__init__.py")).unwrap();
    let bare = [("a/tests/__init__.py", ""), ("c/tests/__init__.py", "'Tests.'\n"), ("e/tests/__init__.py", "")];
    let head = commit(&room, &bare).await;
    let got = overlay(&room, &base, &[], &head).await;
    assert_eq!(told(&got), [("a/tests/__init__.py", &Cause::Replaced), ("d/tests/__init__.py", &Cause::PutBack)]);
    assert!(room.text(&got.commit, "a/tests/__init__.py").await.unwrap().contains("simplefilter"));
    assert_eq!(room.text(&got.commit, "d/tests/__init__.py").await.as_deref(), Some("import strict\n"));
}

#[tokio::test]
async fn links_and_what_cannot_be_read_give_way_to_the_base() {
    let room =
        Room::new(&[(".cargo/config.toml", "[build]\n"), ("a/setup.cfg", "[tool:pytest]\n"), ("x", "x\n")]).await;
    let base = room.base().await;
    fs::remove_dir_all(room.source.join(".cargo")).unwrap();
    fs::remove_file(room.source.join("a/setup.cfg")).unwrap();
    symlink("cheat", room.source.join(".cargo")).unwrap();
    symlink("../cheat/setup.cfg", room.source.join("a/setup.cfg")).unwrap();
    symlink("cheat", room.source.join("node_modules")).unwrap();
    let broken: &[(&str, &str)] =
        &[("cheat/config.toml", "evil\n"), ("pyproject.toml", "[tool\n"), ("b/package.json", "{")];
    let head = commit(&room, broken).await;
    let got = overlay(&room, &base, &[], &head).await;
    let paths: Vec<&str> = told(&got).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [".cargo", ".cargo/config.toml", "a/setup.cfg", "b/package.json", "node_modules", "pyproject.toml"]
    );
    assert!(matches!(told(&got)[5].1, Cause::Unreadable(_)));
    assert_eq!(room.text(&got.commit, ".cargo/config.toml").await.as_deref(), Some("[build]\n"));
    assert_eq!(room.text(&got.commit, "a/setup.cfg").await.as_deref(), Some("[tool:pytest]\n"));
    assert_eq!(room.paths(&got.commit).await, [".cargo/config.toml", "a/setup.cfg", "cheat/config.toml", "x"]);
}

#[tokio::test]
async fn a_removed_manifest_leaves_what_steers_the_tests() {
    let room = Room::new(&[
        ("pyproject.toml", "[project]\nname = \"a\"\n\n[tool.pytest.ini_options]\nxfail_strict = true\n"),
        ("x", "x\n"),
    ])
    .await;
    let base = room.base().await;
    fs::remove_file(room.source.join("pyproject.toml")).unwrap();
    let head = commit(&room, &[("x", "y\n")]).await;
    let got = overlay(&room, &base, &[], &head).await;
    assert_eq!(told(&got), [("pyproject.toml", &keys(&["tool.pytest"]))]);
    assert_eq!(
        room.text(&got.commit, "pyproject.toml").await.unwrap().trim(),
        "[tool.pytest.ini_options]\nxfail_strict = true"
    );
}

#[tokio::test]
async fn texts_of_the_harness_are_those_nearest_to_the_top_and_the_rest_is_counted() {
    let names: Vec<String> = (0..1005).map(|n| format!("a/deep/{n}/conftest.py")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x\n")).collect();
    files.extend([("z/conftest.py", "near\n"), ("Cargo.toml", "[package]\n")]);
    let room = Room::new(&files).await;
    let (texts, more) = room.workspace.harness_texts(&room.mirror, &room.base().await).await.unwrap();
    assert_eq!((texts.len(), more), (1000, 6));
    assert_eq!(texts[0], ("z/conftest.py".to_owned(), "near\n".to_owned()));
}
