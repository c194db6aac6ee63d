//! What executors bring for their agents: read with their manifests, told where it is not in order.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use borg_core::id::Digest;
use borg_plugins::{Brought, Kind, LoadError, Problem};
use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{Home, bundle};

/// Lays an executor with a bundle of its own.
fn lay_outsider(home: &Home, folder: &str, version: &str) -> PathBuf {
    let place = home.lay(folder, "outsider", Kind::Executor, "outsider", "[asks]\nbundle = \"outsiders-own\"");
    fs::write(place.join("bundle.toml"), bundle("outsiders-own", version)).unwrap();
    place
}

/// Executor, version, and whether it came with the program.
fn told(brought: &[Brought]) -> Vec<(&str, &str, bool)> {
    brought.iter().map(|one| (one.executor.as_str(), one.recipe.version.as_str(), one.is_shipped)).collect()
}

#[tokio::test]
async fn an_executor_brings_its_bundle_and_a_new_one_while_the_host_runs() {
    let home = Home::hostile();
    let place = lay_outsider(&home, "plugins", "1.0.0");
    let plugins = home.open_whole().await;
    let version = || {
        let brought = plugins.executor("outsider", None).unwrap().plugin().brought().unwrap();
        (brought.recipe.version, brought.is_shipped)
    };
    assert_eq!(version(), ("1.0.0".to_owned(), true));
    let (seen, compiled) = (plugins.fingerprint().await, home.compilations());
    fs::write(place.join("bundle.toml"), bundle("outsiders-own", "1.0.10")).unwrap();
    assert_ne!(plugins.fingerprint().await, seen);
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert_eq!(version(), ("1.0.10".to_owned(), true));
    assert_eq!(home.compilations(), compiled, "its component is the same");
}

#[tokio::test]
async fn a_bundle_that_is_not_in_order_is_told_with_its_place() {
    let home = Home::new();
    let place = lay_outsider(&home, "plugins", "1.0.0");
    let file = place.join("bundle.toml");
    let good = fs::read_to_string(&file).unwrap();
    for (text, words) in [
        (
            Some(good.replace("arch = \"x86_64\"", "arch = \"x86\"").replace("bin/", "/")),
            &["bundle.toml:4: [[package]]: `arch`", "bundle.toml:9: [[program]]: `/agent`"][..],
        ),
        (
            Some(good.replace("outsiders-own", "another")),
            &["bundle.toml: is of the bundle `another`, but the plugin.toml beside it asks for `outsiders-own`"],
        ),
        (Some("#".repeat(70 << 10)), &["bundle.toml: is 71680 bytes long, over the limit of 65536"]),
        (None, &["plugin.toml: asks for the bundle `outsiders-own`, but no bundle.toml lies beside it"]),
    ] {
        match &text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let (plugins, errors) = home.open().await;
        let texts: Vec<_> = errors.iter().map(LoadError::to_string).collect();
        assert_eq!(texts.len(), words.len(), "{texts:?}");
        assert!(texts.iter().zip(words).all(|(text, words)| text.contains(words)), "{texts:?}");
        assert!(plugins.executor("outsider", None).is_err());
    }
    fs::remove_dir_all(place).unwrap();
    let liar = home.lay("plugins", "liar", Kind::Executor, "liar", "");
    fs::write(liar.join("bundle.toml"), good).unwrap();
    let (_, errors) = home.open().await;
    assert!(matches!(errors.as_slice(), [LoadError { problem: Problem::BundleUnasked, .. }]), "{errors:?}");
}

#[tokio::test]
async fn an_executor_of_0_1_0_may_ask_for_a_bundle_and_bring_none() {
    let mut home = Home::new();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat/0.1.0/executor");
    home.folders = vec![old.to_str().unwrap().to_owned().leak(), "plugins"];
    let plugins = home.open_whole().await;
    assert_eq!(plugins.brought("claude-code"), None, "nobody brings it");
    assert_eq!(plugins.brought("liar"), None, "it asks for none");
    let outsider = lay_outsider(&home, "plugins", "1.0.0");
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert_eq!(plugins.brought("outsider").unwrap().executor, "outsider");
    assert_eq!(plugins.brought("claude-code"), None, "that is another's");
    // Of today's contract nobody may.
    fs::remove_file(outsider.join("bundle.toml")).unwrap();
    let errors = plugins.reload(&home.permits).await;
    assert!(matches!(errors.as_slice(), [LoadError { problem: Problem::NoBundle { .. }, .. }]), "{errors:?}");
}

#[tokio::test]
async fn what_is_brought_is_known_without_compiling_and_of_those_only_that_would_be_loaded() {
    let mut home = Home::new();
    home.folders.push("later");
    lay_outsider(&home, "plugins", "1.0.0");
    home.lay("plugins", "liar", Kind::Executor, "liar", "");
    let brought = |home: &Home| {
        let [shipped, own] = ["plugins", "later"].map(|folder| [home.path(folder)]);
        borg_plugins::brought(&shipped, &own, &home.permits.policy)
    };
    let (found, errors) = brought(&home);
    assert_eq!((told(&found), errors.len()), (vec![("outsider", "1.0.0", true)], 0));
    // One that stands in for it is asked for nothing, unless policy pins it.
    let later = lay_outsider(&home, "later", "2.0.0");
    let component = later.join("outsider.wasm");
    // An empty custom section, which changes the digest and nothing else.
    fs::write(&component, [fs::read(&component).unwrap(), vec![0, 2, 1, b'x']].concat()).unwrap();
    let (found, errors) = brought(&home);
    assert_eq!(told(&found), [("outsider", "1.0.0", true)]);
    assert!(matches!(errors.as_slice(), [LoadError { problem: Problem::StandIn { .. }, .. }]), "{errors:?}");
    let digest = Digest::of_bytes(&fs::read(&component).unwrap());
    home.permits.policy.pins.insert("outsider".to_owned(), digest);
    let (found, errors) = brought(&home);
    assert_eq!((told(&found), errors.len()), (vec![("outsider", "2.0.0", false)], 0));
    assert_eq!(home.compilations(), 0);
}
