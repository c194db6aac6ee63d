//! Bundles of made-up agents: installed, permitted, refused.

use super::*;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use borg_core::{bundle::spell_pin, policy::source::SourceFile};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha512};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A data directory, and an archive with a program of this text.
struct Room {
    dir: TempDir,
    agents: Agents,
}

impl Room {
    fn new() -> Room {
        let dir = tempfile::tempdir().unwrap();
        let agents = Agents::new(dir.path());
        Room { dir, agents }
    }

    fn archive(&self, program: &str) -> PathBuf {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        tar.append_data(&mut header, "made/agent", program.as_bytes()).unwrap();
        let path = self.dir.path().join("agent.tar.gz");
        fs::write(&path, tar.into_inner().unwrap().finish().unwrap()).unwrap();
        path
    }

    /// Brings and installs a version whose program has this text.
    async fn install(&self, version: &str, program: &str, is_shipped: bool) -> (Brought, Bundle) {
        let archive = self.archive(program);
        let brought = brought(version, &archive, is_shipped);
        let bundle = install(&brought, Libc::Glibc, Source::File(archive), self.dir.path(), |_| ()).await.unwrap();
        (brought, bundle)
    }

    async fn permitted(&self, pin: Option<Digest>, brought: &Brought) -> Result<Bundle, Refusal> {
        self.agents.permitted("made", pin, Some(brought)).await
    }
}

fn brought(version: &str, archive: &Path, is_shipped: bool) -> Brought {
    let integrity = STANDARD.encode(Sha512::digest(fs::read(archive).unwrap()));
    let arch = std::env::consts::ARCH;
    recipe(
        &format!(
            "name = \"made-up\"\nversion = \"{version}\"\n[[program]]\nfrom = \"agent\"\nto = \"bin/agent\"\n[[package]]\narch = \"{arch}\"\n\
             url = \"https://example.org/agent.tar.gz\"\nroot = \"made\"\nintegrity = \"sha512-{integrity}\"\n"
        ),
        is_shipped,
    )
}

fn recipe(text: &str, is_shipped: bool) -> Brought {
    let recipe = Recipe::parse(&SourceFile { name: "bundle.toml".into(), text: text.into() }).unwrap();
    Brought { executor: "made".into(), recipe, is_shipped }
}

#[test]
fn every_shipped_bundle_is_in_order() {
    let executors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/executors");
    let files = fs::read_dir(executors).unwrap().map(|entry| entry.unwrap().path().join("bundle.toml"));
    let texts: Vec<String> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    assert!(!texts.is_empty());
    for text in texts {
        let recipe = recipe(&text, true).recipe;
        for arch in [Arch::X86_64, Arch::Aarch64] {
            assert!(recipe.package(arch, Libc::Glibc).is_some(), "the shipped image has glibc: {recipe:?}");
        }
    }
}

#[tokio::test]
async fn what_is_installed_lies_where_it_is_looked_for_and_once_is_enough() {
    let room = Room::new();
    let (brought, bundle) = room.install("1.0.0", "one", true).await;
    assert_eq!(bundle.dir, room.dir.path().join("agents/made/1.0.0"));
    assert_eq!(fs::read_to_string(bundle.dir.join("bin/agent")).unwrap(), "one");
    assert_eq!(bundle.digest, Digest::of_parts([&b"bin/agent"[..], &Digest::of_bytes(b"one").0]));
    let mut told = Vec::new();
    let nowhere = Source::File("/nonexistent".into());
    let again = install(&brought, Libc::Glibc, nowhere, room.dir.path(), |step| told.push(step.to_owned())).await;
    assert_eq!((again.unwrap(), told), (bundle, vec!["made 1.0.0 is already installed".to_owned()]));
}

#[tokio::test]
async fn a_stranger_s_archive_is_refused_and_leaves_nothing() {
    let room = Room::new();
    let brought = brought("1.0.0", &room.archive("one"), true);
    let answer = install(&brought, Libc::Glibc, Source::File(room.archive("two")), room.dir.path(), |_| ()).await;
    assert!(matches!(answer, Err(Error::Integrity { .. })), "{answer:?}");
    assert!(matches!(room.permitted(None, &brought).await, Err(Refusal::NotInstalled { .. })));
    assert_eq!(fs::read_dir(room.dir.path().join("agents/made")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_no_client_fetches_is_told_with_the_command_that_does() {
    let room = Room::new();
    let brought = brought("1.0.0", &room.archive("one"), true);
    let npm = Npm { spawner: crate::spawn::Spawner::start().unwrap(), path: "".into(), home: "/".into() };
    let answer = install(&brought, Libc::Glibc, Source::Npm(npm), room.dir.path(), |_| ()).await;
    let told = answer.unwrap_err().to_string();
    assert!(told.contains("`curl -fLO https://example.org/agent.tar.gz`"), "{told}");
    assert!(told.contains("`borg-host agent install made --from agent.tar.gz`"), "{told}");
}

#[tokio::test]
async fn a_package_is_for_one_libc_unless_it_brings_all_it_needs() {
    let room = Room::new();
    let any = brought("1.0.0", &room.archive("one"), true);
    assert!(package(&any, Libc::Musl).is_ok() && package(&any, Libc::Glibc).is_ok());
    let mut musl = any.clone();
    musl.recipe.packages[0].libc = Some(Libc::Musl);
    assert!(package(&musl, Libc::Musl).is_ok());
    let told = package(&musl, Libc::Glibc).unwrap_err().to_string();
    assert!(told.contains("with glibc; it is for ") && told.contains("with musl (`--libc musl`)"), "{told}");
}

#[tokio::test]
async fn policy_says_which_bundle_runs() {
    let room = Room::new();
    let (_, one) = room.install("1.0.0", "one", false).await;
    let (brought, two) = room.install("2.0.0", "two", false).await;
    // Whatever the folder brings today: tasks that began with the other go on with it.
    assert_eq!(room.permitted(Some(one.digest), &brought).await, Ok(one.clone()));
    assert_eq!(room.permitted(Some(two.digest), &brought).await, Ok(two.clone()));
    assert_eq!(room.agents.permitted("made", Some(one.digest), None).await, Ok(one.clone()));
    let pin = Digest::of_bytes(b"another");
    let refused = room.permitted(Some(pin), &brought).await.unwrap_err();
    assert_eq!(refused, Refusal::Another { executor: "made".into(), pin, found: vec![one, two.clone()] });
    let told = refused.to_string();
    assert!(told.contains(&spell_pin(&pin)) && told.contains(&spell_pin(&two.digest)), "{told}");
    assert!(refused.remedy().contains("`borg-host agent install made`"), "{}", refused.remedy());
    // Of another executor it is not, by whatever name its bundle goes.
    let other = room.agents.permitted("other", Some(two.digest), None).await;
    assert!(matches!(other, Err(Refusal::Another { ref found, .. }) if found.is_empty()), "{other:?}");
}

#[tokio::test]
async fn where_policy_says_nothing_only_what_came_with_the_program_runs() {
    let room = Room::new();
    let (mut brought, bundle) = room.install("1.0.0", "one", true).await;
    assert_eq!(room.permitted(None, &brought).await, Ok(bundle.clone()));
    brought.is_shipped = false;
    let refused = room.permitted(None, &brought).await.unwrap_err();
    assert_eq!(refused, Refusal::Unpinned { executor: "made".into(), found: vec![bundle] });
    assert!(refused.remedy().contains("writes the line into [executor.made]"), "{}", refused.remedy());
    // Another version, or one from another package, is not what the program came with.
    brought.is_shipped = true;
    for other in [self::brought("1.0.0", &room.archive("two"), true), {
        let mut later = brought.clone();
        later.recipe.version = "1.0.1".into();
        later
    }] {
        let refused = room.permitted(None, &other).await;
        assert_eq!(refused, Err(Refusal::NotInstalled { executor: "made".into() }));
    }
}

#[tokio::test]
async fn a_bundle_in_which_something_changed_does_not_run_until_it_is_installed_anew() {
    let room = Room::new();
    let (brought, bundle) = room.install("1.0.0", "one", true).await;
    assert!(room.permitted(Some(bundle.digest), &brought).await.is_ok());
    let program = bundle.dir.join("bin/agent");
    let beside = program.with_file_name("git");
    let changed = "its programs are sha256:";
    for (what, words) in
        [("program", changed), ("one more", changed), ("link", "`bin/git` is no plain file"), ("none", changed)]
    {
        match what {
            "program" => fs::write(&program, "two").unwrap(),
            "one more" => fs::write(&beside, "one").unwrap(),
            "link" => symlink("agent", &beside).unwrap(),
            _ => fs::remove_file(&program).unwrap(),
        }
        let refused = room.permitted(Some(bundle.digest), &brought).await.unwrap_err();
        assert!(matches!(refused, Refusal::Changed { .. }) && refused.to_string().contains(words), "{refused}");
        assert!(refused.remedy().contains("`borg-host agent install made`"), "{}", refused.remedy());
        room.install("1.0.0", "one", true).await;
        assert_eq!(room.permitted(Some(bundle.digest), &brought).await, Ok(bundle.clone()));
    }
}
