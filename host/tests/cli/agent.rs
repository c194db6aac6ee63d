//! `borg-host agent`: what an executor brings is installed where it is what was promised, and policy gets its digest.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::place::Place;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use borg_core::id::Digest;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha512};
use std::{fs, path::Path};

const INSTALL: [&str; 5] = ["agent", "install", "claude-code", "--from", "agent.tgz"];

/// Lays the shipped executor of Claude Code where the place has what came with the program; its component is never looked into here.
fn lay(place: &Place, change: impl Fn(&str) -> String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/executors/claude-code");
    let text = |name: &str| fs::read_to_string(source.join(name)).unwrap();
    place.write("no-plugins/executors/claude-code/plugin.toml", &text("plugin.toml"));
    place.write("no-plugins/executors/claude-code/bundle.toml", &change(&text("bundle.toml")));
    place.write("no-plugins/executors/claude-code/claude-code.wasm", "none");
}

/// The same with the integrity of a made-up package, which lies at `agent.tgz`; gives the digest of its one program.
fn lay_made_up(place: &Place) -> Digest {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(7);
    tar.append_data(&mut header, "package/claude", &b"made up"[..]).unwrap();
    let archive = tar.into_inner().unwrap().finish().unwrap();
    fs::write(place.path().join("agent.tgz"), &archive).unwrap();
    let integrity = format!("integrity = \"sha512-{}\"", STANDARD.encode(Sha512::digest(&archive)));
    lay(place, |text| {
        let lines = text.lines().map(|line| if line.starts_with("integrity") { integrity.as_str() } else { line });
        lines.collect::<Vec<_>>().join("\n")
    });
    Digest::of_parts([&b"bin/claude"[..], &Digest::of_bytes(b"made up").0])
}

#[test]
fn an_agent_that_is_not_the_pinned_one_is_refused() {
    let place = Place::ready();
    lay(&place, str::to_owned);
    place.write("agent.tgz", "not the agent");
    let policy = place.read("policies/executors.toml");
    place.run(&INSTALL).expect(1, &["integrity", "expected"]);
    assert_eq!(place.read("policies/executors.toml"), policy);
    let told = place.run(&["agent", "install", "claude-cod"]);
    told.expect(1, &["no executor `claude-cod` brings an agent", "did you mean `claude-code`?"]);
    place.run(&["agent", "install", "scripted"]).expect(1, &["those that do: claude-code"]);
    place.run(&["agent", "list"]).expect(0, &["claude-code", "not installed", "borg-host agent install claude-code"]);
    let musl = place.run(&[&INSTALL[..], &["--libc", "musl"]].concat());
    musl.expect(1, &["is not published for", "with musl; it is for x86_64 with glibc (`--libc glibc`)"]);
}

#[test]
fn without_an_executor_that_brings_one_there_is_no_agent() {
    let place = Place::ready();
    let told = place.run(&INSTALL);
    told.expect(1, &["no executor `claude-code` brings an agent", "has a plugin.toml and a bundle.toml"]);
    lay(&place, |text| text.replace("integrity =", "integrty =").replace("\"bin/", "\"/"));
    let told = place.run(&INSTALL).expect(1, &["no executor `claude-code` brings an agent"]);
    for words in ["bundle.toml:11: ", "bundle.toml:18: ", "bundle.toml:22: ", "did you mean `integrity`?"] {
        assert!(told.err.contains(words), "`{words}` is not in:\n{}", told.err);
    }
    place.run(&["agent", "list"]).expect(0, &["not read: ", "bundle.toml:11: "]);
}

#[test]
fn policy_gets_the_digest_of_what_was_installed_and_nothing_else() {
    let place = Place::ready();
    let digest = lay_made_up(&place);
    let before = place.read("policies/executors.toml");
    let line = format!("bundle = \"sha256:{digest}\"");
    place.run(&INSTALL).expect(0, &["policies/executors.toml: [executor.claude-code]", &line]);
    let egress = "egress = [\"anthropic\"]\n";
    let after = before.replacen(egress, &format!("{egress}{line}\n"), 1);
    assert_eq!(place.read("policies/executors.toml"), after);
    place.run(&INSTALL).expect(0, &["is already installed", "policy pins it already"]);
    assert_eq!(place.read("policies/executors.toml"), after);
    place.run(&["agent", "list"]).expect(0, &["installed, ", &digest.to_string()]);

    // Another than policy says is seen by everybody who looks.
    place.write("policies/executors.toml", &after.replace(&digest.to_string(), &"0".repeat(64)));
    place.run(&["agent", "list"]).expect(0, &["does not run: policy pins the bundle", "borg-host agent install"]);
    place.run(&INSTALL).expect(0, &["instead of sha256:000"]);
    assert_eq!(place.read("policies/executors.toml"), after);
}

#[test]
fn without_policy_the_line_is_told_for_whoever_writes_it() {
    let place = Place::empty();
    let digest = lay_made_up(&place);
    let told = place.run(&[&["--data", "elsewhere"], &INSTALL[..]].concat());
    told.expect(0, &["not pinned: policy has no [executor.claude-code]", &format!("bundle = \"sha256:{digest}\"")]);
    assert!(place.path().join("elsewhere/agents/claude-code/2.1.197/bin/claude").is_file());
    assert!(!place.path().join("policies").exists());
}
