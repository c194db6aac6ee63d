//! What loads, what does not, and what is told about it; the cache; pins; replaced files.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use borg_core::{id::Digest, policy::PluginGrant};
use borg_plugins::{Cause, Compiler, Kind, LoadError, Plugins, Problem};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use support::{Home, bundle, guest, work};

/// The one error, and what it says.
fn only(errors: Vec<LoadError>) -> (Problem, String) {
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let text = errors[0].to_string();
    (errors.into_iter().next().unwrap().problem, text)
}

fn digest_of(path: &Path) -> Digest {
    Digest::of_bytes(&fs::read(path).unwrap())
}

/// Appends an empty custom section, which changes the digest and nothing else.
fn touch(wasm: &Path) {
    let mut bytes = fs::read(wasm).unwrap();
    bytes.extend([0, 2, 1, b'x']);
    fs::write(wasm, bytes).unwrap();
}

async fn behaves(plugins: &Plugins, name: &str) {
    let persona = plugins.persona(name, None).unwrap();
    assert_eq!(persona.brief(&json!({}), &work()).await.unwrap().unwrap().prompt, "behaves");
}

#[tokio::test]
async fn a_summary_tells_what_a_plugin_is_and_could_ask_for() {
    let home = Home::hostile();
    let plugins = home.open_whole().await;
    let list = plugins.list();
    assert_eq!(list.len(), 1);
    let summary = &list[0];
    assert_eq!((summary.kind, summary.name.as_str(), summary.summary.as_str()), (Kind::Persona, "hostile", "a guest"));
    assert_eq!(summary.version.to_string(), "1.0.0");
    assert_eq!(summary.digest, digest_of(&guest("hostile")));
    assert_eq!(summary.path, home.path("plugins/hostile/plugin.toml"));
    assert!(summary.log && !summary.clock && summary.overrides.is_none());
    assert!(summary.imports.contains(&"borg:plugin/log@0.2.0".to_owned()), "{:?}", summary.imports);
    assert!(!summary.imports.iter().any(|name| name.contains("filesystem") || name.contains("sockets")));
    assert!(plugins.manifest(Kind::Persona, "hostile").is_some_and(|manifest| manifest.asks.log));
    assert!(plugins.manifest(Kind::Rule, "hostile").is_none());
}

#[tokio::test]
async fn files_and_sockets_are_refused_by_name() {
    let home = Home::hostile();
    home.lay("plugins", "burglar", Kind::Persona, "burglar", "");
    let (plugins, errors) = home.open().await;
    let (problem, text) = only(errors);
    let Problem::Imports { imports, .. } = problem else { panic!("{text}") };
    for wanted in ["wasi:filesystem/types", "wasi:filesystem/preopens", "wasi:sockets/tcp", "wasi:sockets/network"] {
        assert!(imports.iter().any(|name| name.starts_with(wanted)), "{wanted} in {imports:?}");
    }
    assert!(!imports.iter().any(|name| name.starts_with("wasi:io")), "{imports:?}");
    assert!(text.contains("plugins/burglar/plugin.toml: ") && text.contains("without `std::fs`"), "{text}");
    behaves(&plugins, "hostile").await;
}

#[tokio::test]
async fn what_is_imported_must_be_for_the_kind_asked_for_and_granted() {
    let mut home = Home::new();
    let place = home.lay("plugins", "teller", Kind::Chat, "teller", "");
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::Unasked { ask: "clock", .. }), "{text}");

    home.lay("plugins", "teller", Kind::Chat, "teller", "[asks]\nclock = true");
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::NotGranted { grant: "clock", .. }), "{text}");
    assert!(text.contains("add `clock = true` to `[plugin.teller]`"), "{text}");

    home.permits.policy.grants.insert("teller".into(), PluginGrant { log: None, clock: Some(true) });
    home.open_whole().await;

    home.permits.policy.clock = true;
    home.permits.policy.grants.insert("teller".into(), PluginGrant { log: None, clock: Some(false) });
    assert!(matches!(only(home.open().await.1).0, Problem::NotGranted { .. }), "its own grant wins over the default");

    fs::remove_dir_all(place).unwrap();
    home.lay("plugins", "hostile", Kind::Persona, "hostile", "");
    assert!(matches!(only(home.open().await.1).0, Problem::Unasked { ask: "log", .. }));
}

#[tokio::test]
async fn a_component_of_another_world_is_refused_by_its_interface() {
    let home = Home::new();
    home.lay("plugins", "hostile", Kind::Rule, "hostile", "");
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::WrongWorld { kind: Kind::Rule, .. }), "{text}");
    assert!(text.contains("`borg:plugin/rule@0.2.0`") && text.contains("exports borg:plugin/persona@0.2.0"), "{text}");
}

#[tokio::test]
async fn a_component_that_only_looks_right_is_refused_when_it_is_loaded() {
    let home = Home::new();
    home.lay("plugins", "misfit", Kind::Persona, "misfit", "");
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::Mismatch { .. }), "{text}");
    assert!(text.contains("does not fit `borg:plugin` version 0.2.0: "), "{text}");
}

#[tokio::test]
async fn a_plugin_that_cannot_describe_itself_is_not_loaded() {
    let mut home = Home::hostile();
    home.limits.memory = 64 << 10;
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::Probe(_)), "{text}");
    assert!(text.contains("persona plugin `hostile` failed in `describe`: it asked for "), "{text}");
    assert!(text.contains("over the limit of 65536"), "{text}");
}

#[tokio::test]
async fn what_describe_says_must_be_what_the_manifest_says() {
    let home = Home::new();
    home.lay("plugins", "friendly", Kind::Persona, "hostile", "[asks]\nlog = true");
    let liar = home.lay("plugins", "liar", Kind::Executor, "liar", "[asks]\nbundle = \"claude-code\"");
    fs::write(liar.join("bundle.toml"), bundle("claude-code", "1.0.0")).unwrap();
    let (_, errors) = home.open().await;
    let texts: Vec<_> = errors.iter().map(LoadError::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("the manifest says `friendly`, but `describe` says `hostile`"), "{texts:?}");
    assert!(
        texts[1].contains("the manifest says `claude-code`, but `describe` says ``: make the bundles equal"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn broken_folders_hinder_no_other() {
    let mut home = Home::hostile();
    home.folders.push("later");
    let broken = |name: &str, more: &str| home.lay("plugins", name, Kind::Persona, "hostile", more);
    let cut = broken("cut", "[asks]\nlog = true").join("cut.wasm");
    fs::write(&cut, &fs::read(&cut).unwrap()[..60_000]).unwrap();
    fs::write(broken("text", "").join("text.wasm"), "(component)").unwrap();
    fs::write(broken("core", "").join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::remove_file(broken("gone", "").join("gone.wasm")).unwrap();
    broken("odd", "nmae = \"x\"");
    fs::write(broken("binary", "").join("plugin.toml"), [0xff; 8]).unwrap();
    fs::write(broken("huge", "").join("plugin.toml"), "#".repeat(70 << 10)).unwrap();
    fs::File::create(broken("vast", "").join("vast.wasm")).unwrap().set_len((64 << 20) + 1).unwrap();
    let loops = broken("loops", "").join("loops.wasm");
    fs::remove_file(&loops).unwrap();
    symlink("/dev/zero", &loops).unwrap();
    fs::create_dir_all(home.path("plugins/empty")).unwrap();

    let (plugins, errors) = home.open().await;
    let texts: Vec<_> = errors.iter().map(LoadError::to_string).collect();
    for (place, words) in [
        ("cut/plugin.toml", "is not a WebAssembly component"),
        ("text/plugin.toml", "is not a WebAssembly component"),
        ("core/plugin.toml", "is a core module, not a component: build it with `--target wasm32-wasip2`"),
        ("gone/plugin.toml", "the manifest names `gone.wasm`, which is not there"),
        ("odd/plugin.toml:6", "unknown field `nmae`"),
        ("binary/plugin.toml", "is not UTF-8"),
        ("huge/plugin.toml", "71680 bytes long, over the limit of 65536"),
        ("vast/vast.wasm", "67108865 bytes long, over the limit of 67108864"),
        ("loops/loops.wasm", "not a regular file"),
    ] {
        let told = texts.iter().filter(|text| text.contains(place)).collect::<Vec<_>>();
        assert!(told.len() == 1 && told[0].contains(words), "{place}: {texts:#?}");
    }
    assert_eq!(texts.len(), 9, "{texts:#?}");
    behaves(&plugins, "hostile").await;

    // A folder that is not there yet is none that is broken.
    assert_eq!(plugins.loaded(), plugins.fingerprint().await);
    let later = home.lay("later", "hostile", Kind::Persona, "hostile", "[asks]\nlog = true\n# later");
    pin(&mut home, "hostile", &later);
    assert_ne!(plugins.loaded(), plugins.fingerprint().await);
    plugins.reload(&home.permits).await;
    assert_eq!(plugins.loaded(), plugins.fingerprint().await);
    assert!(plugins.list()[0].path.starts_with(home.path("later")), "{:?}", plugins.list());
}

/// The digest of what lies in a plugin's folder, pinned from now on.
fn pin(home: &mut Home, name: &str, folder: &Path) -> Digest {
    let digest = digest_of(&folder.join(format!("{name}.wasm")));
    home.permits.policy.pins.insert(name.to_owned(), digest);
    digest
}

#[tokio::test]
async fn what_stands_in_for_another_is_refused_without_a_pin_whatever_its_kind() {
    for (kind, guest) in
        [(Kind::Persona, "hostile"), (Kind::Rule, "liar"), (Kind::Executor, "liar"), (Kind::Chat, "teller")]
    {
        let more = match kind {
            Kind::Chat => "[asks]\nclock = true",
            Kind::Persona => "[asks]\nlog = true",
            Kind::Rule | Kind::Executor => "",
        };
        let mut home = Home::new();
        home.permits.policy.clock = true;
        home.folders.push("mine");
        home.lay("plugins", guest, kind, guest, more);
        let plugins = home.open_whole().await;
        let shipped = plugins.list()[0].path.clone();
        // It comes while the host runs.
        let mine = home.lay("mine", guest, kind, guest, &format!("{more}\n# mine"));
        let (problem, text) = only(plugins.reload(&home.permits).await);
        assert!(matches!(problem, Problem::StandIn { .. }), "{text}");
        let digest = digest_of(&mine.join(format!("{guest}.wasm")));
        let line = format!("add `sha256 = \"{digest}\"` to `[plugin.{guest}]`");
        assert!(text.contains(&line) && text.contains("mine"), "{text}");
        assert_eq!(plugins.list()[0].path, shipped, "{kind}: what is shipped goes on");
        // The same at a start.
        let (again, errors) = home.open().await;
        assert!(matches!(only(errors).0, Problem::StandIn { .. }));
        assert_eq!(again.list()[0].path, shipped);
        // A pin is leave, for that component and no other.
        pin(&mut home, guest, &mine);
        assert!(plugins.reload(&home.permits).await.is_empty());
        assert_eq!(plugins.list()[0].path, mine.join("plugin.toml"));
        home.permits.policy.pins.insert(guest.to_owned(), Digest::of_bytes(b"another"));
        let errors = plugins.reload(&home.permits).await;
        assert!(errors.iter().all(|error| matches!(error.problem, Problem::PinMismatch { .. })), "{errors:?}");
        assert!(plugins.list().is_empty(), "{kind}: neither is the pinned one");
    }
}

#[tokio::test]
async fn a_pin_of_the_shipped_one_holds_against_a_stand_in() {
    let mut home = Home::new();
    home.permits.policy.clock = true;
    home.folders.push("mine");
    let shipped = home.lay("plugins", "teller", Kind::Chat, "teller", "[asks]\nclock = true");
    pin(&mut home, "teller", &shipped);
    let mine = home.lay("mine", "teller", Kind::Chat, "teller", "[asks]\nclock = true");
    fs::copy(support::guest("liar"), mine.join("teller.wasm")).unwrap();
    let (plugins, errors) = home.open().await;
    assert!(matches!(only(errors).0, Problem::PinMismatch { .. }));
    assert_eq!(plugins.list()[0].path, shipped.join("plugin.toml"));
}

#[tokio::test]
async fn what_has_a_shipped_name_is_refused_without_a_pin_also_while_the_shipped_one_is_away() {
    const SETTINGS: &str = "[settings.mode]\ntype = \"string\"\ndefault = \"\"\ndoc = \"How.\"\n\
        [settings.name]\ntype = \"string\"\ndefault = \"\"\ndoc = \"What.\"";
    let mut home = Home::new();
    home.folders.push("mine");
    let shipped = home.lay("plugins", "telegram", Kind::Chat, "impostor", SETTINGS);
    let running = home.open_whole().await;
    let mine = home.lay("mine", "telegram", Kind::Chat, "impostor", &format!("{SETTINGS}\n# mine"));
    // Gone, of another folder, without its component, with a manifest that says nothing.
    let away = home.path("away");
    let (manifest, component) = (shipped.join("plugin.toml"), shipped.join("telegram.wasm"));
    let hinder: [&dyn Fn(); 3] = [
        &|| fs::rename(home.path("plugins"), &away).unwrap(),
        &|| fs::rename(&component, home.path("kept.wasm")).unwrap(),
        &|| fs::write(&manifest, "name =").unwrap(),
    ];
    let text = fs::read(&manifest).unwrap();
    for (at, hinder) in hinder.into_iter().enumerate() {
        hinder();
        // While the host runs, and at a start.
        let (started, at_start) = home.open().await;
        for (plugins, errors) in [(&running, running.reload(&home.permits).await), (&started, at_start)] {
            let of_mine: Vec<_> = errors.iter().filter(|error| error.path.starts_with(&mine)).collect();
            assert!(matches!(of_mine[0].problem, Problem::ShippedName { kind: Kind::Chat, .. }), "{at}: {errors:#?}");
            let line = format!("add `sha256 = \"{}\"` to `[plugin.telegram]`", digest_of(&mine.join("telegram.wasm")));
            assert!(of_mine[0].to_string().contains(&line), "{errors:#?}");
            assert!(plugins.list().is_empty(), "{at}: {:?}", plugins.list());
        }
        match at {
            0 => fs::rename(&away, home.path("plugins")).unwrap(),
            1 => fs::rename(home.path("kept.wasm"), &component).unwrap(),
            _ => fs::write(&manifest, &text).unwrap(),
        }
        running.reload(&home.permits).await;
        assert_eq!(running.list()[0].path, manifest, "{at}");
    }
    // A pin is leave.
    fs::remove_dir_all(&shipped).unwrap();
    pin(&mut home, "telegram", &mine);
    assert_eq!(home.open_whole().await.list()[0].path, mine.join("plugin.toml"));
}

#[tokio::test]
async fn no_plugin_stands_in_for_itself() {
    let mut home = Home::hostile();
    // The same folder again, by another way, and a copy of it.
    symlink(home.path("plugins"), home.path("link")).unwrap();
    home.lay("copy", "hostile", Kind::Persona, "hostile", "[asks]\nlog = true");
    home.folders = vec!["plugins", "plugins", "link", "copy"];
    let plugins = home.open_whole().await;
    let list = plugins.list();
    assert_eq!((list.len(), list[0].path.clone()), (1, home.path("plugins/hostile/plugin.toml")));
    // What is wrong there is told once.
    fs::write(home.path("plugins/hostile/plugin.toml"), "name =").unwrap();
    fs::remove_dir_all(home.path("copy")).unwrap();
    let errors = plugins.reload(&home.permits).await;
    assert!(errors.iter().all(|error| error.path == errors[0].path), "{errors:?}");
    assert_eq!(errors.len(), home.open().await.1.len());
    home.folders.truncate(1);
    assert_eq!(errors.len(), home.open().await.1.len());
    // A copy with another component stands in.
    let home = Home { folders: vec!["plugins", "copy"], ..Home::hostile() };
    home.lay("copy", "hostile", Kind::Persona, "hostile", "[asks]\nlog = true");
    touch(&home.path("copy/hostile/hostile.wasm"));
    assert!(matches!(only(home.open().await.1).0, Problem::StandIn { .. }));
}

#[tokio::test]
async fn names_are_taken_once_and_a_later_folder_wins_where_it_is_pinned() {
    let mut home = Home::hostile();
    home.folders.push("mine");
    let mine = home.lay("mine", "hostile", Kind::Persona, "hostile", "[asks]\nlog = true\n# mine");
    pin(&mut home, "hostile", &mine);
    let plugins = home.open_whole().await;
    let summary = &plugins.list()[0];
    assert_eq!(summary.path, home.path("mine/hostile/plugin.toml"));
    assert_eq!(summary.overrides, Some(home.path("plugins/hostile/plugin.toml")));
    assert_eq!(home.compilations(), 1, "the same component is compiled once");

    let second = home.path("mine/zzz");
    fs::create_dir_all(&second).unwrap();
    for file in ["plugin.toml", "hostile.wasm"] {
        fs::copy(home.path("mine/hostile").join(file), second.join(file)).unwrap();
    }
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::NameTaken { .. }), "{text}");
    assert!(text.contains("mine/zzz/plugin.toml: the name `hostile` is taken by"), "{text}");
    fs::remove_dir_all(second).unwrap();

    home.lay("mine", "hostile", Kind::Rule, "liar", "");
    assert!(matches!(only(home.open().await.1).0, Problem::NameTaken { .. }), "another kind does not stand in");
}

fn code_files(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path("cache")).unwrap().flatten();
    let files = entries.flat_map(|entry| fs::read_dir(entry.path()).unwrap().flatten());
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ext| ext == "code")).collect()
}

#[tokio::test]
async fn nothing_is_compiled_twice_and_damaged_code_is_never_run() {
    let home = Home::hostile();
    home.open_whole().await;
    assert_eq!(home.compilations(), 1);
    behaves(&home.open_whole().await, "hostile").await;
    assert_eq!(home.compilations(), 1, "the second start finds the code");

    let code = code_files(&home);
    assert_eq!(code.len(), 1);
    assert_eq!(fs::metadata(&code[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = fs::read(&code[0]).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (round, damaged) in
        [flipped(whole.len() / 2), whole[..whole.len() / 2].to_vec(), vec![]].into_iter().enumerate()
    {
        fs::write(&code[0], damaged).unwrap();
        behaves(&home.open_whole().await, "hostile").await;
        assert_eq!(home.compilations(), round + 2);
    }
    let component = code[0].with_file_name("plugin.wasm");
    fs::write(&component, "damaged").unwrap();
    fs::remove_file(&code_files(&home)[0]).unwrap();
    behaves(&home.open_whole().await, "hostile").await;
}

#[tokio::test]
async fn compilers_that_fail_hang_or_lie_are_told_from_others() {
    let home = Home::hostile();
    let with = |compiler| {
        let mut options = home.options();
        options.compiler = compiler;
        options.limits.compile = Duration::from_millis(200);
        let permits = home.permits.clone();
        async move { only(Plugins::load(options, &permits).await.unwrap().1).1 }
    };
    let text = with(Compiler::Child(Arc::new(|_, _| Box::pin(async { Err("killed by signal 9".to_owned()) })))).await;
    assert!(text.contains("was not compiled: killed by signal 9"), "{text}");
    let text = with(Compiler::Child(Arc::new(|_, _| Box::pin(std::future::pending())))).await;
    assert!(text.contains("was not compiled within"), "{text}");
    let text = with(Compiler::Child(Arc::new(|_, out| {
        fs::write(out, "no machine code").unwrap();
        Box::pin(async { Ok(()) })
    })))
    .await;
    assert!(text.contains("does not load"), "{text}");
    let text = with(Compiler::Child(Arc::new(|_, out| {
        symlink("/etc/passwd", out).unwrap();
        Box::pin(async { Ok(()) })
    })))
    .await;
    assert!(text.contains("not a file"), "{text}");
    let mut options = home.options();
    options.compiler = Compiler::InProcess;
    let (plugins, errors) = Plugins::load(options, &home.permits).await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    behaves(&plugins, "hostile").await;
}

#[tokio::test]
async fn pins_hold_and_strict_wants_them() {
    let mut home = Home::hostile();
    home.permits.policy.strict = true;
    let digest = digest_of(&guest("hostile"));
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::Unpinned { found, .. } if found == digest), "{text}");
    assert!(text.contains(&format!("add `sha256 = \"{digest}\"` to `[plugin.hostile]`")), "{text}");
    assert_eq!(home.compilations(), 0, "what policy refuses is not even compiled");

    home.permits.policy.pins.insert("hostile".into(), digest);
    home.open_whole().await;

    touch(&home.path("plugins/hostile/hostile.wasm"));
    let (problem, text) = only(home.open().await.1);
    assert!(matches!(problem, Problem::PinMismatch { pinned, .. } if pinned == digest), "{text}");
}

#[tokio::test]
async fn work_under_way_keeps_its_component() {
    let mut home = Home::hostile();
    let plugins = home.open_whole().await;
    let (old, wasm) = (digest_of(&guest("hostile")), home.path("plugins/hostile/hostile.wasm"));
    let held = plugins.persona("hostile", None).unwrap();

    touch(&wasm);
    let new = digest_of(&wasm);
    home.permits.keep.insert(old);
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert_eq!(plugins.persona("hostile", None).unwrap().plugin().digest(), new);
    assert_eq!(plugins.persona("hostile", Some(old)).unwrap().plugin().digest(), old);
    assert_eq!(plugins.list().len(), 1);

    // A host that was started anew, when the folder has only the new one, or nothing at all.
    fs::remove_dir_all(home.path("plugins/hostile")).unwrap();
    let restarted = home.open_whole().await;
    let persona = restarted.persona("hostile", Some(old)).unwrap();
    assert_eq!(persona.brief(&json!({}), &work()).await.unwrap().unwrap().prompt, "behaves");
    let error = restarted.persona("hostile", None).err().unwrap();
    assert!(matches!(error.cause, Cause::Missing(Kind::Persona, _)), "{error}");
    assert_eq!(home.compilations(), 2);

    home.permits.keep.clear();
    drop(persona);
    assert!(restarted.reload(&home.permits).await.is_empty());
    assert!(matches!(restarted.persona("hostile", Some(old)).err().unwrap().cause, Cause::DigestGone(_)));
    assert!(code_files(&home).is_empty(), "what nobody needs is not kept");
    assert_eq!(held.brief(&json!({}), &work()).await.unwrap().unwrap().prompt, "behaves", "a held handle stays good");

    home.permits.keep.insert(old);
    let (problem, text) = only(restarted.reload(&home.permits).await);
    assert!(matches!(problem, Problem::Forgotten { .. }), "{text}");
}

#[tokio::test]
async fn what_somebody_just_took_stays_although_no_journal_names_it_yet() {
    let home = Home::hostile();
    let plugins = home.open_whole().await;
    let (old, wasm) = (digest_of(&guest("hostile")), home.path("plugins/hostile/hostile.wasm"));
    let held = plugins.persona("hostile", None).unwrap();
    touch(&wasm);
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert_eq!(plugins.persona("hostile", None).unwrap().plugin().digest(), digest_of(&wasm));
    assert_eq!(plugins.persona("hostile", Some(old)).unwrap().plugin().digest(), old);
    assert_eq!(code_files(&home).len(), 2, "a host that starts anew finds it too");

    drop(held);
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert!(matches!(plugins.persona("hostile", Some(old)).err().unwrap().cause, Cause::DigestGone(_)));
    assert_eq!(code_files(&home).len(), 1);
}

#[tokio::test]
async fn a_reload_takes_over_what_has_not_changed() {
    let mut home = Home::hostile();
    let plugins = home.open_whole().await;
    let before = plugins.persona("hostile", None).unwrap();
    assert!(plugins.reload(&home.permits).await.is_empty());
    let after = plugins.persona("hostile", None).unwrap();
    assert!(std::ptr::eq(before.plugin(), after.plugin()));
    home.permits.policy.log = false;
    assert!(plugins.reload(&home.permits).await.is_empty());
    assert!(!plugins.list()[0].log, "a grant that was taken away is gone");
}

#[tokio::test]
async fn a_wrong_name_is_answered_with_the_right_one() {
    let home = Home::hostile();
    let plugins = home.open_whole().await;
    let text = plugins.persona("hostil", None).err().unwrap().to_string();
    assert!(text.contains("did you mean `hostile`?"), "{text}");
    let text = plugins.rule("hostile", None).err().unwrap().to_string();
    assert!(text.contains("there is a persona of that name"), "{text}");
}
