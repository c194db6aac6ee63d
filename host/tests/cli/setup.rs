//! Setting up an installation by the command line: `init`, `repo`, `secret`, `config`, `doctor`, and what `--help` teaches.

use super::place::Place;
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// A made-up key; it must never be seen again.
const KEY: &str = "sk-ant-api03-made-up-and-never-shown";

#[test]
fn help_teaches() {
    let place = Place::empty();
    let main = place.run(&["--help"]).expect(0, &["First steps", "borg-host init", "Exit codes", "borg-host demo"]).out;
    for command in [
        "init", "run", "task", "ask", "pause", "resume", "repo", "secret", "image", "agent", "config", "doctor", "demo",
    ] {
        assert!(main.contains(&format!("\n  {command} ")), "{command} is not in:\n{main}");
        let own = place.run(&[command, "--help"]).expect(0, &["Usage: borg-host"]).out;
        assert!(own.lines().next().is_some_and(|line| line.len() > 10), "{command} says nothing of itself");
    }
    for args in [
        ["task", "add"],
        ["repo", "add"],
        ["secret", "set"],
        ["image", "build"],
        ["agent", "install"],
        ["task", "diff"],
    ] {
        place.run(&[args[0], args[1], "--help"]).expect(0, &["Example"]);
    }
    assert!(!main.contains("compile-plugin"), "{main}");
}

#[test]
fn init_writes_what_is_missing_and_keeps_what_is_there() {
    let place = Place::empty();
    place
        .run(&["init", "--yes", "--owner", "console:4711"])
        .expect(0, &["wrote", "borg.toml", "added    owner console:4711", "doctor"]);
    assert!(place.read("policies/people.toml").contains("owner = [\"console:4711\"]"));
    assert!(place.read(".env.example").contains("CLAUDE_CODE_OAUTH_TOKEN"));
    place.write("borg.toml", "# mine\n");
    let again =
        place.run(&["init", "--yes", "--owner", "console:4712"]).expect(0, &["kept", "added    owner console:4712"]);
    assert!(!again.out.contains("wrote"), "{}", again.out);
    assert_eq!(place.read("borg.toml"), "# mine\n");
    let people = place.read("policies/people.toml");
    assert!(people.contains("owner = [\"console:4711\", \"console:4712\"]"), "{people}");
    assert!(people.starts_with("# Who may do what"), "{people}");
    let third = place.run(&["init", "--yes", "--owner", "console:4712"]).expect(0, &["kept     console:4712"]);
    assert!(!third.out.contains("added"), "{}", third.out);
    place.run(&["init", "--yes", "--force"]).expect(0, &["replaced"]);
    assert_ne!(place.read("borg.toml"), "# mine\n");
    place.run(&["init", "--yes", "--owner", "me"]).expect(2, &["no person", "console:1000"]);
}

#[test]
fn init_sets_sandbox_and_secret_and_keeps_the_comments_beside_them() {
    let place = Place::empty();
    place.run(&["init", "--yes", "--sandbox", "local", "--secret", "env:MY_KEY"]).expect(0, &["set "]);
    let host = place.read("policies/host.toml");
    assert!(host.contains("sandbox = \"local\"            # \"local\" has no engine"), "{host}");
    assert!(
        place.read("policies/executors.toml").contains("from = \"env:MY_KEY\"        # `borg-host secret set claude`")
    );
    place
        .run(&["init", "--yes", "--secret", "nowhere"])
        .expect(2, &["no place a credential comes from", "claude-credentials"]);
    assert!(place.read("policies/executors.toml").contains("env:MY_KEY"));
}

#[test]
fn repositories_come_and_go_and_comments_stay() {
    let place = Place::ready();
    let garden = place.repository("garden");
    let before = place.read("policies/repos.toml");
    place.run(&["repo", "add", "acme/garden", &garden, "--base", "main"]).expect(0, &["added acme/garden"]);
    let edited = place.read("policies/repos.toml");
    assert!(edited.starts_with(&before), "{edited}");
    assert!(edited.ends_with(&format!("[repo.\"acme/garden\"]\nurl = \"{garden}\"\nbase = \"main\"\n")), "{edited}");
    place.run(&["repo", "list"]).expect(0, &["acme/garden", "acme/shop", "make test"]);
    let listed: serde_json::Value = serde_json::from_str(&place.run(&["repo", "list", "--json"]).out).unwrap();
    assert_eq!(listed[0]["name"], "acme/garden");
    place.run(&["repo", "add", "acme/garden", &garden]).expect(1, &["already", "repo remove"]);
    place.run(&["repo", "remove", "acme/garden"]).expect(0, &["removed"]);
    assert_eq!(place.read("policies/repos.toml"), before);
    place
        .run(&["repo", "remove", "acme/shp"])
        .expect(1, &["no repository is called `acme/shp`", "did you mean `acme/shop`?"]);
}

#[test]
fn a_repository_that_will_not_do_is_refused_with_what_to_do() {
    let place = Place::ready();
    let before = place.read("policies/repos.toml");
    let empty = place.empty_repository("empty").display().to_string();
    let folder = place.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for (name, url, code, words) in [
        ("acme/empty", empty.as_str(), 1, ["is empty", "first commit"]),
        ("acme/none", "/nonexistent/shop", 1, ["there is no repository at", "check the path"]),
        ("acme/folder", folder.to_str().unwrap(), 1, ["is not a git repository", "git init"]),
        ("acme/far", "https://git.example/acme/far.git", 1, ["remote", "clone it"]),
        ("acme/far", "git@git.example:acme/far.git", 1, ["remote", "clone it"]),
        ("shop", "/nonexistent", 2, ["no name for a repository", "acme/shop"]),
        ("acme/a b", "/nonexistent", 2, ["no name for a repository", "letters"]),
    ] {
        place.run(&["repo", "add", name, url]).expect(code, &words);
    }
    assert_eq!(place.read("policies/repos.toml"), before);
}

#[test]
fn check_looks_at_each_repository() {
    let place = Place::ready();
    // Only Docker's images are looked for, and there is no engine here.
    place.run(&["init", "--yes", "--sandbox", "local"]).expect(0, &[]);
    place.run(&["repo", "check"]).expect(0, &["good", "acme/shop", "from main", "make test"]);
    fs::remove_file(place.path().join("shop/.git/refs/heads/main")).unwrap();
    place.run(&["repo", "check", "acme/shop"]).expect(1, &["fault", "has no commit", "make a first commit"]);
    fs::remove_dir_all(place.path().join("shop")).unwrap();
    place.run(&["repo", "check"]).expect(1, &["fault", "there is no repository at"]);
    let report: serde_json::Value =
        serde_json::from_str(&place.run(&["repo", "check", "--json"]).expect(1, &[]).out).unwrap();
    assert_eq!(report[0]["faults"].as_array().unwrap().len(), 1);
    place.run(&["repo", "check", "acme/sop"]).expect(1, &["did you mean"]);
}

#[test]
fn check_says_what_git_would_refuse_at_the_fetch() {
    let place = Place::ready();
    place.run(&["init", "--yes", "--sandbox", "local"]).expect(0, &[]);
    let file = place.path().join("shop/.gitmodules");
    let module = "[submodule \"s\"]\n\tpath = s\n\turl = /s\n";
    place.write("shop/.gitmodules", module);
    place.commit("shop");
    place.run(&["repo", "check"]).expect(0, &["good", "acme/shop"]);
    let pwned = place.path().join("pwned");
    for (line, complaint) in [
        (format!("update = !touch {}", pwned.display()), "disallowed submodule update setting"),
        ("url = -upload-pack=x".to_owned(), "disallowed submodule url"),
    ] {
        place.write("shop/.gitmodules", &format!("{module}\t{line}\n"));
        place.commit("shop");
        place.run(&["repo", "check"]).expect(1, &["fault", ".gitmodules", complaint, "of the history too"]);
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("elsewhere", &file).unwrap();
    place.commit("shop");
    place.run(&["repo", "check"]).expect(1, &["fault", ".gitmodules is a symbolic link"]);
    assert!(!pwned.exists());
}

#[test]
fn a_secret_is_kept_for_one_user_and_never_shown() {
    let place = Place::ready();
    let mut said = Vec::new();
    said.push(place.run_with(&["secret", "set", "claude"], &format!("{KEY}\n"), &[]).expect(0, &["stored claude"]));
    let stored = place.path().join("data/secrets/claude");
    assert_eq!(fs::read_to_string(&stored).unwrap(), KEY);
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.path().join("data")).unwrap().permissions().mode() & 0o777, 0o700);
    said.push(place.run(&["secret", "list"]).expect(0, &["claude", "stored:claude: there"]));
    said.push(place.run(&["secret", "list", "--json"]).expect(0, &["\"present\": true"]));
    // As an argument, in each form somebody may try.
    for args in [
        &["secret", "set", "claude", KEY][..],
        &["secret", "set", "claude", "--", KEY],
        &["secret", "set", "claude", "--value", KEY],
    ] {
        said.push(place.run(args).expect(2, &["never an argument"]));
    }
    said.push(place.run_with(&["secret", "set", "claude"], "\n", &[]).expect(2, &["is empty"]));
    said.push(place.run_with(&["secret", "set", "../claude"], KEY, &[]).expect(2, &["letters, digits"]));
    said.push(place.run(&["doctor"]).expect(1, &["credentials"]));
    for told in said {
        assert!(!told.out.contains(KEY) && !told.err.contains(KEY), "{}{}", told.out, told.err);
    }
    assert_eq!(fs::read_to_string(&stored).unwrap(), KEY);
}

#[test]
fn config_shows_values_and_their_sources_and_masks_secrets() {
    let place = Place::ready();
    place.write("borg.toml", "task-timeout = 60000\nclaude-model = \"from-file\"\n");
    place.write(".env", &format!("CLAUDE_CODE_OAUTH_TOKEN={KEY}\nCLAUDE_MODEL=from-dotenv\n"));
    let told = place.run_with(&["config"], "", &[("CLAUDE_MODEL", "from-env"), ("HUB_URL", "x")]);
    let told = told.expect(
        0,
        &[
            "from-env  (the environment",
            "60000  (borg.toml",
            "(.env",
            "••••••",
            "HUB_URL (from the environment) does nothing yet",
            "api.anthropic.com",
        ],
    );
    assert!(!told.out.contains(KEY) && !told.err.contains(KEY));
    let json = place.run(&["config", "--json", "--data", "elsewhere"]).expect(0, &[]).out;
    assert!(!json.contains(KEY));
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let data = shown.as_array().unwrap().iter().find(|row| row["name"] == "DATA_DIR").unwrap();
    assert_eq!(data["source"], "--data");
    assert!(data["value"].as_str().unwrap().ends_with("/elsewhere"));
    assert!(data["value"].as_str().unwrap().starts_with('/'));
}

#[test]
fn each_fault_the_doctor_finds_ends_in_a_remedy() {
    let place = Place::empty();
    for prepared in [false, true] {
        if prepared {
            place.run(&["init", "--yes"]).expect(0, &[]);
        }
        let told = place.run(&["doctor", "--json"]).expect(1, &[]);
        let findings: Vec<serde_json::Value> = serde_json::from_str(&told.out).unwrap();
        let faults: Vec<_> = findings.iter().filter(|finding| finding["state"] == "fault").collect();
        assert!(!faults.is_empty());
        for fault in findings.iter().filter(|finding| finding["state"] != "good") {
            assert!(!fault["remedy"].as_str().unwrap().is_empty(), "{fault}");
        }
        let has = |what: &str| faults.iter().any(|fault| fault["what"] == what);
        assert!(has(if prepared { "repositories" } else { "installation" }), "{faults:?}");
        // It only looks.
        assert!(!place.path().join("data").exists());
    }
}

#[test]
fn the_doctor_proposes_to_join_two_owners_that_may_be_one_human() {
    let place = Place::empty();
    place.run(&["init", "--yes", "--owner", "console:4711"]).expect(0, &[]);
    let people = place.path().join("policies/people.toml");
    let line = "same = [[\"console:4711\", \"telegram:7\"]]";
    let proposes = || place.run(&["doctor", "--json"]).out.contains(&line.replace('"', "\\\""));
    assert!(!proposes(), "there is one owner");
    let text = place.read("policies/people.toml").replace("\"console:4711\"]", "\"console:4711\", \"telegram:7\"]");
    fs::write(&people, &text).unwrap();
    assert!(proposes(), "{text}");
    fs::write(&people, format!("{}\n{line}\n", text.trim_end())).unwrap();
    assert!(!proposes(), "it is there now");
    // That phone is lost: its role is gone, the line may stay.
    let without = text.replace("\"console:4711\", \"telegram:7\"]", "\"console:4711\"]");
    fs::write(&people, format!("{}\n{line}\n", without.trim_end())).unwrap();
    let told = place.run(&["doctor", "--json"]).out;
    assert!(told.contains("without a role, in `same` only: telegram:7"), "{told}");
}

#[test]
fn the_doctor_names_what_an_installation_of_before_lacks_with_the_lines() {
    let place = Place::empty();
    place.run(&["init", "--yes"]).expect(0, &[]);
    let policies = || {
        let told = place.run(&["doctor", "--json"]).expect(1, &[]);
        let findings: Vec<serde_json::Value> = serde_json::from_str(&told.out).unwrap();
        let warned = findings.into_iter().filter(|one| one["what"] == "policy" && one["state"] == "warning");
        warned
            .map(|one| format!("{}\n→ {}", one["detail"].as_str().unwrap(), one["remedy"].as_str().unwrap()))
            .collect()
    };
    let fresh: Vec<String> = policies();
    assert!(fresh.is_empty(), "{fresh:?}");
    // As it was shipped once: smaller budgets, a rule fewer, one price for a family.
    let host = place.read("policies/host.toml");
    let old = host
        .replace("\"$0.75\"", "\"$0.05\"")
        .replace("tokens = 2000000\ncost = \"$4.00\"", "tokens = 500000\ncost = \"$0.20\"");
    let old = old.replace("[rule.scope]\n", "");
    fs::write(place.path().join("policies/host.toml"), old).unwrap();
    let executors = place.read("policies/executors.toml");
    let row = executors.find("[egress.anthropic.price.\"claude-haiku-*\"]").unwrap();
    let end = row + executors[row..].find("\n\n").unwrap();
    let without = format!("{}{}", &executors[..row], &executors[end..]);
    fs::write(place.path().join("policies/executors.toml"), without).unwrap();
    let told: Vec<String> = policies();
    let told = told.join("\n");
    for words in [
        "[rule.scope]\n→ add these lines to policies/host.toml",
        "[egress.anthropic.price.\"claude-haiku-*\"]\ninput = ",
        "→ add these lines to policies/executors.toml",
        "[budget.quick], [budget.default]\n[budget.quick]\nturns = 20",
        "cost = \"$0.75\"",
        "cost = \"$4.00\"",
    ] {
        assert!(told.contains(words), "{words}\nin\n{told}");
    }
    assert!(!told.contains("[budget.deep]"), "that one is as it is shipped: {told}");
    // It only tells.
    assert!(place.read("policies/host.toml").contains("$0.05"));
}

#[test]
fn the_doctor_names_models_whose_price_is_a_familys() {
    let place = Place::empty();
    place.run(&["init", "--yes"]).expect(0, &[]);
    let path = place.path().join("policies/personas.toml");
    let text = fs::read_to_string(&path).unwrap();
    let named = text.replacen("[persona.qa]", "[persona.qa]\nmodel = \"claude-opus-9\"", 1);
    assert_ne!(named, text);
    fs::write(&path, named).unwrap();
    let family = "claude-opus-9 has no row of its own: it is paid by that of its family, claude-opus-*";
    let row = "[egress.anthropic.price.\"claude-opus-9\"]";
    let told = place.run(&["doctor"]).expect(1, &[family, row, "input = \"$15.00\""]);
    assert!(!told.out.contains("claude-opus-4-8 has no row"), "{}", told.out);
}

#[test]
fn a_process_that_holds_secrets_shows_none_of_its_environment() {
    let place = Place::ready();
    // It waits for the value, so that there is time to look.
    let mut child = place.command(&["secret", "set", "claude"], &[("SOME_TOKEN", KEY)]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let environment = loop {
        // Not readable at all by another user than root, once it is hidden.
        let seen = fs::read(format!("/proc/{}/environ", child.id())).unwrap_or_default();
        if String::from_utf8_lossy(&seen).contains("BORG_ENVIRONMENT_FD=")
            || (seen.is_empty() && !rustix::process::geteuid().is_root())
        {
            break seen;
        }
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "it was never started again");
        std::thread::yield_now();
    };
    assert!(!String::from_utf8_lossy(&environment).contains(KEY));
    child.stdin.take().unwrap().write_all(b"other").unwrap();
    assert!(child.wait().unwrap().success());
    // What was hidden still counts.
    place.run(&["init", "--yes", "--secret", "env:SOME_TOKEN"]).expect(0, &[]);
    place.run_with(&["secret", "list"], "", &[("SOME_TOKEN", KEY)]).expect(0, &["env:SOME_TOKEN: there"]);
    place.run_with(&["secret", "list"], "", &[("BORG_ENVIRONMENT_FD", "9")]).expect(1, &["unset it"]);
}
