//! What an agent of the whole host finds inside its container, and what it can reach from there: nothing but its own work and the model.
//!
//! `probes/inside.py` tries it all in one run of the scripted agent, with a shell and with the way out that policy grants Claude Code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    crash::{self, Sandbox},
    messages_api::{MessagesApi, Options, Script},
    require,
    trial::{CHECK, IMAGE, KEY, LIMIT, PLACEHOLDER, REPOSITORY, shop},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Where the bridge to the gateway listens inside.
const GATEWAY: &str = "http://127.0.0.1:8787";

fn script(host: &Path) -> String {
    format!(
        r#"
[[step]]
persona = "worker"

[[step.do]]
run = "PROBE_GATEWAY={GATEWAY} python3 probe.py {} > found.json"
must = true

[[step.do]]
run = "touch /out/ready; until [ -e /out/go ]; do sleep 0.05; done; rm /out/ready /out/go"
must = true
"#,
        host.display()
    )
}

#[test]
fn an_agent_reaches_nothing_but_its_work_and_the_model() {
    if !require::image(IMAGE) {
        return;
    }
    let Some(setup) = crash::setup(Sandbox::Docker) else { return };
    let api = MessagesApi::start(Options::new(KEY, Script::new())).unwrap();
    let setup = setup.model_api(&api, KEY).unwrap().policy("[executor.scripted]\negress = [\"anthropic\"]").unwrap();
    let repo = shop().file("probe.py", include_str!("../../probes/inside.py")).unwrap();
    let repo = repo.file(".borg/script.toml", &script(setup.dir())).unwrap().commit("Probe").unwrap();
    let host = crash::start(setup.repository(REPOSITORY, &repo, Some(CHECK)).unwrap()).unwrap();
    let task = host.task(REPOSITORY, "quick", "Look around", "").unwrap();

    let ready = host.file_of_run("out/ready", LIMIT).unwrap();
    strangers_are_not_served(&host.file_of_run("run/gateway.sock", LIMIT).unwrap());
    std::fs::write(ready.with_file_name("go"), "").unwrap();
    let status = host.settled(task, LIMIT).unwrap();
    let log = host.cli(&["task", "log", &task.to_string()]).unwrap().stdout;
    assert_eq!(status, "completed", "{log}");

    let branches = repo.branches().unwrap();
    let found: BTreeMap<String, Value> = serde_json::from_str(&repo.show(&branches[0], "found.json").unwrap()).unwrap();
    let text = |name: &str| found[name].as_str().unwrap_or_else(|| panic!("{name}: {}", found[name]));

    let reached: Vec<_> =
        found.iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.starts_with("YES"))).collect();
    assert!(reached.is_empty(), "reached: {reached:#?}");
    let refused = found.values().filter(|value| value.as_str().is_some_and(|text| text.starts_with("no: "))).count();
    assert!(refused > 80, "only {refused} things were tried");

    assert_eq!((text("interfaces"), text("interfaces in /sys")), ("lo", "lo"));
    assert_eq!(found["routes"], 1, "a heading and no route");
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(text(name), "0000000000000000", "{name}");
    }
    assert_eq!((text("NoNewPrivs"), text("Seccomp")), ("1", "2"));
    assert_ne!(found["uid"], 0);
    let devices = [
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero", "console",
    ];
    let stranger = text("devices").split(',').find(|name| !devices.contains(name));
    assert_eq!(stranger, None);

    // Refused for the reason we mean, not because the probe is broken.
    for (name, why) in [
        ("AF_VSOCK", "not"),
        ("io_uring", "EPERM"),
        ("trace init", "EPERM"),
        ("read init's memory by call", "EPERM"),
        ("/proc/1/environ", "Permission denied"),
        ("/proc/1/mem", "Permission denied"),
        ("stop init", "not permitted"),
        ("write below /", "Read-only file system"),
        ("gateway /v1/files", "403"),
        ("gateway /v1/messages/batches", "403"),
        ("gateway GET /v1/messages", "403"),
        ("gateway URL source", "/messages/0/content/0/source"),
        ("gateway with a key of one's own", "credential"),
        ("gateway CONNECT", "403"),
    ] {
        assert!(text(name).contains(why), "{name}: {}", text(name));
    }
    for name in ["environment", "all environments"] {
        assert!(!text(name).contains(KEY) && !text(name).to_lowercase().contains("secret"), "{name}: {}", text(name));
    }
    assert!(!text("environment").contains(PLACEHOLDER), "a scripted agent asks for no key, so it gets none");
    // The one thing that is served, with the host's key in place of the placeholder.
    assert!(text("the model").starts_with("200"), "{}", text("the model"));
    let seen = api.seen();
    assert_eq!(seen.iter().map(|seen| seen.header("x-api-key")).collect::<Vec<_>>(), [Some(KEY)], "{seen:?}");
    assert!(!seen[0].mentions(PLACEHOLDER));
}

/// The socket serves init and nobody else, whoever may open it.
fn strangers_are_not_served(socket: &Path) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may hang up before it has read this.
    drop(stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"));
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 403"), "{answer}");
}
