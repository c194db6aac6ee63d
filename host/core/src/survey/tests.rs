//! The survey against recorded and hostile outputs of Git.

use super::*;
use proptest::prelude::*;

const A: &str = "1111111111111111111111111111111111111111";
const Z: &str = "0000000000000000000000000000000000000000";

/// A changed file with one hunk of these lines.
pub(super) fn file(path: &str, status: FileStatus, lines: &[&str]) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        old_path: None,
        status,
        class: classify(path),
        mode: FileMode::Regular,
        binary: false,
        hunks: vec![crate::facts::Hunk { old_start: 1, new_start: 1, text: lines.join("\n") }],
        base_text: None,
        head_text: None,
        collides: None,
        marks: Marks::default(),
    }
}

fn raw(rows: &[(&str, &str, &str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (modes, status, first, second) in rows {
        let (old, new) = match status.as_bytes()[0] {
            b'A' => (Z, A),
            b'D' => (A, Z),
            _ => (A, A),
        };
        out.extend(format!(":{modes} {old} {new} {status}\0{first}\0").bytes());
        if !second.is_empty() {
            out.extend(format!("{second}\0").bytes());
        }
    }
    out
}

#[test]
fn removed_line_that_looks_like_a_header_is_content() {
    let raw = raw(&[("100644 100644", "M", "q.sql", ""), ("100644 100644", "M", "r.py", "")]);
    let patch = b"diff --git a/q.sql b/q.sql\nindex 1..2 100644\n--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,2 @@\n select\n--- a/x\n-diff --git a/y b/y\n+++ b/x\n\
diff --git a/r.py b/r.py\nindex 1..2 100644\n--- a/r.py\n+++ b/r.py\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\r\n";
    let survey = survey(&raw, patch, Limits::default());
    assert_eq!(survey.incomplete, Vec::<String>::new());
    assert_eq!(survey.files[0].hunks[0].text, " select\n--- a/x\n-diff --git a/y b/y\n+++ b/x");
    assert_eq!(survey.files[1].hunks[0].text, "-a\n\\ No newline at end of file\n+b\r");
}

#[test]
fn renames_modes_symlinks_submodules_binaries_and_quoted_paths() {
    let raw = raw(&[
        ("100644 100755", "M", "run.sh", ""),
        ("100644 100644", "R100", "a b.txt", "c d.txt"),
        ("000000 120000", "A", "link", ""),
        ("160000 160000", "M", "sub", ""),
        ("100644 100644", "M", "img.png", ""),
        ("100644 100644", "M", "t\u{e4}st\t\".py", ""),
        ("100644 120000", "T", "was-file", ""),
    ]);
    let patch = b"diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
diff --git a/a b.txt b/c d.txt\nsimilarity index 100%\nrename from a b.txt\nrename to c d.txt\n\
diff --git a/link b/link\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n\
diff --git a/sub b/sub\nindex 1..2 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-Subproject commit 1\n+Subproject commit 2\n\
diff --git a/img.png b/img.png\nindex 1..2 100644\nBinary files a/img.png and b/img.png differ\n\
diff --git \"a/t\\303\\244st\\t\\\".py\" \"b/t\\303\\244st\\t\\\".py\"\nindex 1..2 100644\n--- \"a/t\\303\\244st\\t\\\".py\"\n+++ \"b/t\\303\\244st\\t\\\".py\"\n@@ -1 +1 @@\n-a\n+b\n\
diff --git a/was-file b/was-file\ndeleted file mode 100644\nindex 1..0\n--- a/was-file\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
diff --git a/was-file b/was-file\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/was-file\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n";
    let survey = survey(&raw, patch, Limits::default());
    assert_eq!(survey.incomplete, Vec::<String>::new());
    let files = &survey.files;
    assert_eq!(files[0].mode, FileMode::Executable);
    assert_eq!((files[1].status, files[1].old_path.as_deref()), (FileStatus::Renamed, Some("a b.txt")));
    assert_eq!(files[2].mode, FileMode::Symlink);
    assert_eq!(files[3].mode, FileMode::Submodule);
    assert!(files[4].binary);
    assert_eq!(files[5].hunks.len(), 1);
    assert_eq!((files[6].status, files[6].hunks.len()), (FileStatus::TypeChanged, 2));
}

#[test]
fn limits_and_broken_input_are_told() {
    let limits = Limits { files: 1, patch_bytes: 1 << 20, line_bytes: 8, text_bytes: 4 };
    let two = raw(&[("100644 100644", "M", "a.py", ""), ("100644 100644", "M", "b.py", "")]);
    let patch = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-a\n+bbbbbbbbbbbbbbbb\n";
    let mut got = survey(&two, patch, limits);
    assert!(got.incomplete[0].contains("2 files changed"), "{:?}", got.incomplete);
    assert!(got.incomplete[1].contains("a line of 17 bytes"), "{:?}", got.incomplete);
    assert_eq!(got.files[0].hunks[0].text, "-a\n+(a line of 16 bytes)");
    let wanted = got.wanted_texts();
    got.set_text(&wanted[0], b"12345");
    got.set_text(&wanted[1], b"\xff");
    assert!(got.incomplete[2].contains("larger than 4 bytes") && got.incomplete[3].contains("not UTF-8"));

    for (raw_bytes, patch, says) in [
        (two.as_slice(), &b""[..], "says nothing about a.py"),
        (&b":100644"[..], b"", "in the middle of an entry"),
        (&b":100644 100644 x y M\0a\0"[..], b"", "unknown form"),
        (two.as_slice(), b"hello\n", "does not start with a file"),
        (two.as_slice(), b"diff --git a/a.py b/a.py\n@@ -1,9 +1 @@\n-a\n", "middle of a hunk"),
        (two.as_slice(), b"diff --git a/a.py b/a.py\n@@ -1 +1,9 @@\n-a\n-b\n+c\n", "shorter than it says"),
        (two.as_slice(), b"diff --git a/a.py b/a.py\nGarbage\n", "could not be read from"),
        (b"", b"diff --git a/a.py b/a.py\n", "1 more files"),
    ] {
        let got = survey(raw_bytes, patch, Limits::default());
        assert!(got.incomplete.iter().any(|why| why.contains(says)), "{says}: {:?}", got.incomplete);
    }
    let tight = Limits { patch_bytes: 30, ..Limits::default() };
    assert!(survey(&two, patch, tight).incomplete[0].contains("larger than 30 bytes"));
}

/// Paths and what they are for; those of CI are held against the built-in protection too.
pub(crate) const EXAMPLES: &[(&str, FileClass)] = {
    use FileClass::*;
    &[
        ("src/lib.rs", Source),
        ("tests/it.rs", Test),
        ("src/parser/tests.rs", Test),
        ("src/contest.rs", Source),
        ("pkg/test_x.py", Test),
        ("pkg/x_test.py", Test),
        ("pkg/latest.py", Source),
        ("tests/conftest.py", Test),
        ("tests/helpers.py", Test),
        ("pkg/x_test.go", Test),
        ("pkg/testing.go", Source),
        ("pkg/testdata/x.go", Fixture),
        ("src/a.test.tsx", Test),
        ("src/a.spec.mjs", Test),
        ("src/__tests__/a.js", Test),
        ("src/attest.ts", Source),
        ("src/test/java/acme/FooTest.java", Test),
        ("src/main/java/acme/Latest.java", Source),
        ("src/main/java/acme/TestBench.java", Test),
        ("tests/data.json", Fixture),
        ("a/__snapshots__/x.snap", Snapshot),
        (".github/workflows/ci.yml", Ci),
        (".github/actions/build/action.yml", Ci),
        (".github/dependabot.yml", Ci),
        (".gitlab-ci.yml", Ci),
        (".gitlab/ci/build.yml", Ci),
        (".circleci/config.yml", Ci),
        (".buildkite/pipeline.yml", Ci),
        (".travis.yml", Ci),
        ("azure-pipelines.yml", Ci),
        ("Jenkinsfile", Ci),
        ("bitbucket-pipelines.yml", Ci),
        (".drone.yml", Ci),
        (".cirrus.yml", Ci),
        ("appveyor.yml", Ci),
        (".appveyor.yml", Ci),
        ("buildspec.yml", Ci),
        ("cloudbuild.yaml", Ci),
        (".woodpecker.yml", Ci),
        (".woodpecker.yaml", Ci),
        (".woodpecker/build.yaml", Ci),
        (".forgejo/workflows/ci.yml", Ci),
        (".gitea/workflows/ci.yml", Ci),
        (".ci/build.sh", Ci),
        (".semaphore/semaphore.yml", Ci),
        (".teamcity/settings.kts", Ci),
        (".tekton/push.yaml", Ci),
        ("codemagic.yaml", Ci),
        ("ci_scripts/ci_post_clone.sh", Ci),
        // Each of these is such a file on some file system, or stands where its folder would.
        (".GitHub/workflows/ci.yml", Ci),
        (".github/Workflows/ci.yml", Ci),
        ("GITHUB~1/workflows/ci.yml", Ci),
        ("GI7EBA~1/WORKFL~1/ci.yml", Ci),
        (".github./workflows/ci.yml", Ci),
        (".github /workflows/ci.yml", Ci),
        (".git\u{200c}hub/workflows/ci.yml", Ci),
        (".github::$INDEX_ALLOCATION/workflows/ci.yml", Ci),
        (".github\\workflows\\ci.yml", Ci),
        (".github", Ci),
        (".GITHUB", Ci),
        (".github/workflows", Ci),
        (".circleci", Ci),
        ("CIRCLE~1", Ci),
        (".GITLAB-CI.YML", Ci),
        ("GITLAB~1.YML", Ci),
        ("jenkinsfile", Ci),
        ("src/.github", Other),
        ("github/workflows/ci.yml", Other),
        (".github2/workflows/ci.yml", Other),
        (".github/CODEOWNERS", Ownership),
        (".gitattributes", Ownership),
        (".GitAttributes", Ownership),
        ("GITATT~1", Ownership),
        (".gitmodules.", Ownership),
        (".github/codeowners", Ownership),
        ("Makefile", Build),
        ("crates/x/Cargo.toml", Build),
        (".cargo/config.toml", Build),
        ("package.json", Build),
        ("jest.config.ts", Build),
        ("pytest.ini", Build),
        (".eslintrc.json", Lint),
        ("clippy.toml", Lint),
        (".coveragerc", Coverage),
        ("README.md", Docs),
        ("docs/index.html", Source),
        ("docs/guide.txt", Docs),
        ("assets/logo.png", Other),
        ("", Other),
    ]
};

#[test]
fn paths_are_classified_by_convention() {
    for (path, class) in EXAMPLES {
        assert_eq!(classify(path), *class, "{path}");
    }
}

#[test]
fn text_is_shown_whatever_is_in_it() {
    let attributes = attributes();
    for pattern in [
        "*.[pP][yY] diff",
        "*.[rR][sS] diff",
        "[mM][aA][kK][eE][fF][iI][lL][eE] diff",
        "/.[gG][iI][tT][hH][uU][bB]/** diff",
    ] {
        assert!(attributes.lines().any(|line| line == pattern), "{pattern}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..200), patch in prop::collection::vec(any::<u8>(), 0..400)) {
        survey(&raw, &patch, Limits::default());
        unquote(&raw);
    }

    #[test]
    fn mangled_patches_never_panic(cut in 0usize..400, at in 0usize..400, byte in any::<u8>()) {
        let mut patch = b"diff --git \"a/\\303\" b/x\nrename from a\n--- a/x y\t\n+++ b/x y\t\n@@ -1,2 +1,2 @@ fn\n a\n-b\n+c\n\\ No newline at end of file\n@@ -9 +9 @@\n-x\n+y\n".to_vec();
        if let Some(slot) = patch.get_mut(at) {
            *slot = byte;
        }
        patch.truncate(cut);
        survey(&raw(&[("100644 100644", "M", "x y", "")]), &patch, Limits::default());
    }

    /// What a patch holds comes out again, whatever its lines look like.
    #[test]
    fn hunks_reassemble_to_the_text(lines in prop::collection::vec(("[-+ ]", "[-+@ a-z\\\\\"]{0,12}"), 1..40)) {
        let text: Vec<String> = lines.iter().map(|(prefix, line)| format!("{prefix}{line}")).collect();
        let old = lines.iter().filter(|(prefix, _)| prefix != "+").count();
        let new = lines.iter().filter(|(prefix, _)| prefix != "-").count();
        let patch = format!("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,{old} +1,{new} @@\n{}\n", text.join("\n"));
        let survey = survey(&raw(&[("100644 100644", "M", "x", "")]), patch.as_bytes(), Limits::default());
        prop_assert_eq!(&survey.incomplete, &Vec::<String>::new());
        prop_assert_eq!(&survey.files[0].hunks[0].text, &text.join("\n"));
    }

    #[test]
    fn quoting_is_undone(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut quoted = b"\"".to_vec();
        for byte in &bytes {
            quoted.extend(format!("\\{byte:03o}").bytes());
        }
        quoted.push(b'"');
        prop_assert_eq!(unquote(&quoted), Some(bytes));
    }
}
