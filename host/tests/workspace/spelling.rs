//! Names that are spelt otherwise, stand where a folder should, collide, or hide what is in them: from an agent's work tree to the survey.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, left, write};
use borg_core::{
    collect::LeftReason,
    facts::{ChangedFile, FileClass},
    run::WriteGrant,
    survey::{self, Runs, Survey},
};
use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

const FILES: &[(&str, &str)] = &[
    (".github/workflows/ci.yml", "on: push\n"),
    ("src/a.py", "a = 1\n"),
    ("tests/test_a.py", "assert a\n"),
    ("link-target/workflows/evil.yml", "on: push\n"),
];

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|item| (*item).to_owned()).collect()
}

/// What policy gives a worker: everything but CI, with one test pinned.
fn guarded() -> WriteGrant {
    WriteGrant {
        deny: strings(&[".github/**", ".circleci/**", "docs/internal/"]),
        pinned: strings(&["tests/test_a.py"]),
        ..all()
    }
}

#[tokio::test]
async fn what_is_protected_is_so_in_every_spelling() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let spelt = [
        (".GitHub/workflows/evil.yml", LeftReason::Protected),
        (".github./workflows/evil.yml", LeftReason::Protected),
        (".github /workflows/evil.yml", LeftReason::Protected),
        (".git\u{200c}hub/workflows/evil.yml", LeftReason::Protected),
        (".github:x/evil.yml", LeftReason::Protected),
        ("GITHUB~1/workflows/evil.yml", LeftReason::Protected),
        ("CIRCLE~1/config.yml", LeftReason::Protected),
        ("Docs/INTERNAL/plan.md", LeftReason::Protected),
        (".github\\workflows\\evil.yml", LeftReason::Protected),
        ("Tests/Test_A.py", LeftReason::Pinned),
        ("tests/test_a.py.", LeftReason::Pinned),
        ("tests/TEST_A~1.PY", LeftReason::Pinned),
    ];
    for (path, _) in &spelt {
        write(&dir.workspace.join(path), "on: push\n");
    }
    // What only looks alike is taken.
    for path in ["github/a.yml", ".github2/a.yml", "docs/internals.md", "tests/test_ab.py"] {
        write(&dir.workspace.join(path), "x\n");
    }
    let collected = room.collect(1, &base, guarded()).await;
    assert_eq!(collected.changed, [".github2/a.yml", "docs/internals.md", "github/a.yml", "tests/test_ab.py"]);
    let left = left(&collected);
    for (path, reason) in &spelt {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let found = left.iter().any(|(row, why)| why == reason && (row == path || row.trim_end_matches('/') == folder));
        assert!(found, "{path} {reason:?}: {left:?}");
    }
}

#[tokio::test]
async fn a_protected_folder_is_not_replaced_by_a_link_or_a_file() {
    for place in [".github", ".GITHUB", "GITHUB~1", ".circleci", ".CircleCI", "docs"] {
        for is_link in [true, false] {
            let room = Room::new(&FILES[1..]).await;
            let (base, dir) = room.attempt(1).await;
            let at = dir.workspace.join(place);
            if is_link {
                symlink("link-target", &at).unwrap()
            } else {
                write(&at, "../link-target")
            }
            let collected = room.collect(1, &base, guarded()).await;
            assert_eq!(left(&collected), [(place, LeftReason::Protected)], "{place} {is_link}");
            assert_eq!(collected.commit, base);
        }
    }
    // Where the folder is there: what is below stays, and the link does not come.
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    fs::remove_dir_all(dir.workspace.join(".github")).unwrap();
    symlink("link-target", dir.workspace.join(".github")).unwrap();
    let collected = room.collect(1, &base, guarded()).await;
    assert_eq!(room.paths(&collected.commit).await, room.paths(&base).await);
    assert!(collected.left_behind.iter().all(|row| row.reason == LeftReason::Protected), "{:?}", collected.left_behind);
}

#[tokio::test]
async fn a_grant_is_read_by_the_letter() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    for path in ["src/b.py", "Src/c.py", "src./d.py", "SRC~1/e.py", "src"] {
        if path != "src" {
            write(&dir.workspace.join(path), "x\n");
        }
    }
    let grant = WriteGrant { allow: strings(&["src/**"]), ..WriteGrant::default() };
    let collected = room.collect(1, &base, grant).await;
    assert_eq!(collected.changed, ["src/b.py"]);
    assert!(
        collected.left_behind.iter().all(|row| row.reason == LeftReason::NotGranted),
        "{:?}",
        collected.left_behind
    );
    assert_eq!(collected.left_behind.len(), 3);
}

/// The survey of what an agent did under a grant of everything.
async fn survey_after(files: &[(&str, &str)], act: impl FnOnce(&Path)) -> (Room, Arc<Survey>, String) {
    let room = Room::new(files).await;
    let (base, dir) = room.attempt(1).await;
    act(&dir.workspace);
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.left_behind, []);
    let survey =
        room.workspace.survey(&room.mirror, &base, &collected.commit, survey::Limits::default()).await.unwrap();
    let (patch, whole) = room.workspace.patch(&room.mirror, &base, &collected.commit, 1 << 20).await.unwrap();
    assert!(whole);
    (room, survey, patch)
}

fn of<'a>(survey: &'a Survey, path: &str) -> &'a ChangedFile {
    survey.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path}"))
}

/// What a reader of the file does not see, in words.
fn hidden<'a>(survey: &'a Survey, path: &str) -> Option<&'a str> {
    of(survey, path).marks.hidden.as_ref().map(|hidden| hidden.words.as_str())
}

#[tokio::test]
async fn names_that_the_change_makes_collide_are_told() {
    let (_room, survey, _) = survey_after(FILES, |top| {
        write(&top.join("SRC/b.py"), "x\n");
        write(&top.join("src/A.py"), "x\n");
        write(&top.join("src/c.py"), "x\n");
        write(&top.join("new/Tür.md"), "x\n");
        write(&top.join("new/tu\u{308}r.md"), "x\n");
    })
    .await;
    assert_eq!(survey.incomplete, [""; 0]);
    assert_eq!(of(&survey, "SRC/b.py").collides.as_deref(), Some("src"));
    assert_eq!(of(&survey, "src/A.py").collides.as_deref(), Some("src/a.py"));
    assert_eq!(of(&survey, "src/c.py").collides, None);
    assert!(of(&survey, "new/Tür.md").collides.is_some());
}

#[tokio::test]
async fn a_link_in_the_place_of_a_folder_of_ci_is_ci() {
    let (_room, survey, _) = survey_after(&FILES[1..], |top| {
        symlink("link-target", top.join(".github")).unwrap();
        symlink("link-target", top.join(".vscode")).unwrap();
        write(&top.join("GITLAB~1.YML"), "x\n");
    })
    .await;
    let class = |path: &str| survey.files.iter().find(|file| file.path == path).map(|file| file.class);
    assert_eq!(class(".github"), Some(FileClass::Ci));
    assert_eq!(class("GITLAB~1.YML"), Some(FileClass::Ci));
    assert_eq!(of(&survey, "GITLAB~1.YML").marks.same_as.as_deref(), Some(".gitlab-ci.yml"));
    assert!(of(&survey, ".vscode").marks.runs.as_ref().is_some_and(|(runs, _)| *runs == Runs::ByItself));
}

#[tokio::test]
async fn source_with_a_nul_is_shown_and_told_whatever_the_repository_says_of_it() {
    let files = [FILES[1], (".gitattributes", "*.py -diff\n*.js binary\n")];
    let (_room, survey, patch) = survey_after(&files, |top| {
        write(&top.join("src/a.py"), "a = 1\nimport os  # \0\nos.system('x')\n");
        write(&top.join("src/Evil.JS"), "\0evil();\n");
        write(&top.join("Makefile"), "all:\n\t\0x\n");
        write(&top.join("src/turned.py"), "if a != 'user\u{202e} \u{2066}# admin\u{2069}':\n    pass\n");
        write(&top.join("src/honest.py"), "# Grüße 👩\u{200d}💻\n");
        fs::write(top.join("logo.png"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    })
    .await;
    for path in ["src/a.py", "src/Evil.JS", "Makefile"] {
        let file = survey.files.iter().find(|file| file.path == path).unwrap();
        assert!(!file.binary && !file.hunks.is_empty(), "{path}");
        assert!(hidden(&survey, path).is_some_and(|words| words.contains("NUL")), "{path}");
    }
    let turned = of(&survey, "src/turned.py").marks.hidden.as_ref().unwrap();
    assert!(turned.line == 1 && turned.words.starts_with("marks that turn"), "{turned:?}");
    assert_eq!(hidden(&survey, "src/honest.py"), None);
    assert_eq!(hidden(&survey, "logo.png"), None);
    assert_eq!(survey.incomplete, [""; 0]);
    // What people are shown: the text, and at their sink each such character written out.
    assert!(patch.contains("+os.system('x')") && patch.contains("+\0evil();"), "{patch:?}");
    assert!(patch.contains("Binary files /dev/null and b/logo.png differ"), "{patch:?}");
    let shown = borg_host::neutral::text(&patch);
    assert!(shown.contains("+^@evil();") && shown.contains("user<U+202E> <U+2066># admin<U+2069>"), "{shown}");
}
