//! Policy as shipped, and everything that can be wrong with one.

use super::*;
use crate::people::{PersonId, Role};
use std::{fs, path::Path};

fn shipped() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut files = Vec::new();
    for dir in [root.clone(), root.join("pipelines")] {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                files.push(SourceFile { name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn with(name: &str, edit: impl Fn(&str) -> String) -> Vec<SourceFile> {
    let mut files = shipped();
    let file = files.iter_mut().find(|file| file.name == name).unwrap();
    let text = edit(&file.text);
    assert_ne!(text, file.text, "the edit changes nothing");
    file.text = text;
    files
}

fn errors(files: &[SourceFile]) -> Vec<String> {
    parse(files).unwrap_err().iter().map(Diagnostic::to_string).collect()
}

#[test]
fn what_we_ship_is_good() {
    let policy = parse(&shipped()).unwrap();
    assert_eq!(policy.pipelines.keys().collect::<Vec<_>>(), ["ask", "feature", "quick"]);
    let sizes = ["quick", "default", "deep"].map(|name| policy.budgets[name]);
    let size = |turns, tokens, dollars: f64, minutes: u64| Budget {
        turns,
        tokens,
        cost: MicroUsd((dollars * 1e6) as u64),
        wall_ms: minutes * 60_000,
    };
    let wanted = [size(20, 500_000, 0.75, 10), size(60, 2_000_000, 4.0, 30), size(150, 6_000_000, 15.0, 90)];
    assert_eq!(sizes, wanted);
    // `ask` has the small one, and a section without keys the middle one.
    assert_eq!(policy.personas["answerer"].budget.as_deref(), Some("quick"));
    let silent = parse(&with("host.toml", |text| format!("{text}\n[budget.silent]\n"))).unwrap();
    assert_eq!(silent.budgets["silent"], policy.budgets["default"]);
    assert_eq!((policy.host.daily, policy.people_daily), (None, None), "no cap unless set");
    let opus = policy.egress["anthropic"].model().unwrap().prices["claude-opus-4-8"];
    assert_eq!(opus.price.output, 25_000_000);
    assert!(policy.personas["worker"].protect.contains(&"stage:qa".to_owned()));
}

#[test]
fn a_run_that_only_answers_has_a_memory_of_its_own() {
    let both = |write: &str| {
        let policy = parse(&with("executors.toml", |text| {
            text.replace("memory = \"1GiB\"\n", "").replace("chat-memory = \"512MiB\"", write)
        }));
        let executor = policy.unwrap().executors.remove("scripted").unwrap();
        [false, true].map(|read_only| executor.limits_of(read_only).memory_bytes >> 20)
    };
    assert_eq!(both(""), [1024, 512]);
    assert_eq!(both("memory = \"2GiB\""), [2048, 512]);
    assert_eq!(both("memory = \"256MiB\""), [256, 256], "an answer takes no more than work on the code");
    assert_eq!(both("chat-memory = \"2GiB\""), [1024, 2048], "unless policy says so");
}

#[test]
fn directories_of_the_machine_are_for_the_local_sandbox() {
    let paths = |sandbox: &str, paths: &str| {
        with("host.toml", |text| {
            let text = text.replace("sandbox = \"docker\"", &format!("sandbox = \"{sandbox}\""));
            text.replace("[checks]", &format!("[checks]\nhost-paths = [{paths}]"))
        })
    };
    let policy = parse(&paths("local", "\"/opt/go\", \"/home/me/.rustup/toolchains/stable\"")).unwrap();
    assert_eq!(policy.checks.host_paths, ["/opt/go", "/home/me/.rustup/toolchains/stable"]);
    let told = errors(&paths("docker", "\"/opt/go\""));
    assert!(told[0].contains("is for `sandbox = \"local\"` only") && told[0].contains("`image`"), "{told:?}");
    for wrong in ["go", "/", "/opt/../etc", "//opt", "/opt/"] {
        let told = errors(&paths("local", &format!("{wrong:?}")));
        assert!(told[0].contains("is no directory of this machine"), "{wrong}: {told:?}");
    }
}

#[test]
fn all_errors_are_told_at_once_with_place_and_remedy() {
    let mut files = with("personas.toml", |text| text.replace("[persona.qa]\ntools", "[persona.qa]\ntoolz"));
    files.push(SourceFile {
        name: "more.toml".into(),
        text: "[persona.extra]\nexecutor = \"claude-cod\"\nwrite = [\"../x\"]\n[budget.b]\ncost = \"a lot\"\n[persnoa.x]\n".into(),
    });
    let told = errors(&files).join("\n");
    for part in [
        "personas.toml:11:1: [persona.qa]: unknown key `toolz` (did you mean `tools`?)",
        "more.toml:2:12: there is no [executor.claude-cod] (did you mean `claude-code`?)",
        "more.toml:3:10: [persona.extra]: `../x` leaves the repository",
        "more.toml:5:8: [budget.b]: `cost` must be an amount such as \"$0.20\"",
        "unknown section [persnoa] (did you mean `persona`?)",
    ] {
        assert!(told.contains(part), "{part}\nin\n{told}");
    }
}

#[test]
fn sense_is_checked_too() {
    for (name, from, to, message) in [
        ("host.toml", "block = 80", "block = 8", "`block` is below `review`"),
        ("host.toml", "sandbox = \"docker\"", "sandbox = \"none\"", "must be one of docker, local"),
        ("host.toml", "block = 80", "block = 80\nown = \"sometimes\"", "must be one of deny, allow"),
        ("host.toml", "parallel = 2", "parallel = 0", "from 1 to 1000"),
        ("host.toml", "parallel = 2", "parallel = \"two\"", "whole number"),
        ("executors.toml", "models = [\"claude-*\"]", "models = []", "an empty list allows none"),
        ("executors.toml", "stored:claude", "clipboard", "no place for a secret"),
        (
            "executors.toml",
            "wall = \"1h\"",
            "bundle = \"2.1.197\"",
            "must be `sha256:` and 64 hex digits (`borg-host agent install claude-code`",
        ),
        ("executors.toml", "\"$5.00\"\noutput", "\"5\"\noutput", "dollars per million tokens"),
        ("people.toml", "owner = []", "owner = [\"bob\"]", "does not say where the person is known"),
        ("people.toml", "owner = []", "same = [\"console:1\"]", "must be a list of lists"),
        (
            "people.toml",
            "owner = []",
            "owner = [\"console:1\"]\nsame = [[\"console:1\", \"a2\"]]",
            "`a2` does not say where the person is known",
        ),
        ("people.toml", "owner = []", "owner = [\"a:1\"]\nsame = [[\"a:1\"], [\"a:1\"]]", "stands twice"),
        ("people.toml", "owner = []", "strangers = \"shout\"", "must be one of silence, hold"),
        ("people.toml", "owner = []", "owner = [\"console:1\"]\nadmin = [\"console:1\"]", "two roles"),
        (
            "personas.toml",
            "[\"Read\", \"Glob\", \"Grep\", \"Write\", \"Edit\", \"Bash\"]",
            "[\"Shell\"]",
            "there is no tool `Shell`",
        ),
        ("personas.toml", "write = [\"**\"]", "write = [\"a[\"]", "is no pattern"),
        (
            "personas.toml",
            "[\"stage:qa\"]",
            "[\"stage:qb\"]",
            "no pipeline has a stage `qb`, so this would protect nothing",
        ),
        (
            "personas.toml",
            "write = [\"**\"]",
            "write = [\"stage:qa\"]",
            "`stage:qa` is no pattern (stages are for `protect`",
        ),
        ("pipelines/quick.toml", "rules = [\"*\"]", "rules = []", "`rules` names none: nothing would judge the change"),
        ("pipelines/quick.toml", "rules = [\"*\"]", "via = \"none\"", "a branch that nothing judges"),
        ("pipelines/quick.toml", "via = \"branch\"", "via = \"train\"", "not built yet"),
        ("pipelines/ask.toml", "via = \"reply\"", "via = \"branch\"", "is read-only"),
        ("pipelines/feature.toml", "persona = \"qa\"", "persona = \"qb\"", "there is no [persona.qb]"),
        ("pipelines/feature.toml", "\"spec.md\"", "\"../spec.md\"", "no name for an artefact"),
        ("pipelines/feature.toml", "name = \"qa\"", "name = \"spec\"", "is there twice"),
    ] {
        let told = errors(&with(name, |text| text.replacen(from, to, 1))).join("\n");
        assert!(told.contains(message), "{from} → {to}: {told}");
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn a_bundle_is_pinned_by_its_digest_and_by_nothing_unless_said() {
    let digest = Digest::of_bytes(b"programs");
    assert_eq!(parse(&shipped()).unwrap().executors["claude-code"].bundle, None);
    let pinned = with("executors.toml", |text| {
        text.replacen("[executor.claude-code]\n", &format!("[executor.claude-code]\nbundle = \"sha256:{digest}\"\n"), 1)
    });
    let policy = parse(&pinned).unwrap();
    assert_eq!(policy.executors["claude-code"].bundle, Some(digest));
    assert_eq!(policy.executors["scripted"].bundle, None, "it is of that executor alone");
}

#[test]
fn a_folder_stands_for_all_below_it() {
    let files = with("personas.toml", |text| {
        let example = "[[example]]\nallow = 'persona \"worker\" writes \"src/a/b.rs\"'\n[[example]]\ndeny = 'persona \"worker\" writes \"src/gen/b.rs\"'\n";
        text.replace("write = [\"**\"]\nprotect = [", "write = [\"src/\"]\nprotect = [\"src/gen/\", ") + example
    });
    let policy = parse(&files).unwrap();
    assert_eq!(policy.personas["worker"].write, ["src/**"]);
    assert_eq!(policy.personas["worker"].protect, ["src/gen/**", "stage:qa"]);
}

#[test]
fn examples_hold_policy_to_its_word() {
    let files = with("personas.toml", |text| text.replacen("write = []", "write = [\"**\"]", 1));
    assert!(
        errors(&files)[0].contains("policy allows what an example denies: persona \"manager\" writes \"src/lib.rs\"")
    );
    let files = with("personas.toml", |text| {
        text.replace("deny = 'persona \"manager\" uses \"Bash\"'", "deny = 'manager may not'")
    });
    assert!(errors(&files)[0].contains("is no example"));
}

#[test]
fn broken_toml_and_double_sections_name_the_place() {
    let mut files = shipped();
    files.push(SourceFile { name: "z.toml".into(), text: "[persona.worker]\nexecutor = \"scripted\"\n".into() });
    assert!(
        errors(&files).iter().any(|error| error.contains("z.toml:1") && error.contains("already in personas.toml"))
    );
    files.push(SourceFile { name: "zz.toml".into(), text: "[host\n".into() });
    assert!(errors(&files).iter().any(|error| error.starts_with("zz.toml:1:")));
}

#[test]
fn the_digest_covers_names_and_contents() {
    let one = parse(&shipped()).unwrap().digest;
    assert_eq!(one, parse(&shipped()).unwrap().digest);
    assert_ne!(one, parse(&with("host.toml", |text| text.replace("parallel = 2", "parallel = 3"))).unwrap().digest);
}

#[test]
fn identities_of_one_human_are_one() {
    let people =
        "owner = [\"console:1\", \"telegram:1\"]\nmember = [\"telegram:2\"]\nsame = [[\"console:1\", \"telegram:1\"]]";
    let policy = parse(&with("people.toml", |text| text.replace("owner = []", people))).unwrap();
    for (identity, human) in [("console:1", "console:1"), ("telegram:1", "console:1"), ("telegram:2", "telegram:2")] {
        assert_eq!(policy.human(&PersonId(identity.into())).0, human);
    }
}

#[test]
fn who_loses_the_role_may_still_stand_in_same_and_gains_nothing_by_it() {
    let of = |owners: &str| {
        let people = format!("owner = [{owners}]\nsame = [[\"telegram:1\", \"console:1\"]]");
        parse(&with("people.toml", |text| text.replace("owner = []", &people))).unwrap()
    };
    let (console, phone) = (PersonId("console:1".into()), PersonId("telegram:1".into()));
    let policy = of("\"console:1\", \"telegram:1\"");
    assert_eq!(policy.role(&phone), Some(Role::Owner));
    // The phone is lost.
    let policy = of("\"console:1\"");
    assert_eq!((policy.role(&phone), policy.role(&console)), (None, Some(Role::Owner)));
    assert_eq!(policy.human(&phone), policy.human(&console), "what the phone asked for, they do not approve");
}

#[test]
fn a_day_may_be_capped_for_all_and_for_each() {
    let capped = |host: &str, people: &str| {
        let mut files = with("host.toml", |text| text.replace("[host]\n", &format!("[host]\n{host}\n")));
        let file = files.iter_mut().find(|file| file.name == "people.toml").unwrap();
        file.text = format!("{}\n{people}\n", file.text);
        files
    };
    let policy = parse(&capped("daily = \"$50\"", "daily = \"$20.50\"")).unwrap();
    assert_eq!((policy.host.daily, policy.people_daily), (Some(MicroUsd(50_000_000)), Some(MicroUsd(20_500_000))));
    for wrong in ["\"$0.00\"", "\"50\"", "50", "\"a lot\""] {
        let told = errors(&capped(&format!("daily = {wrong}"), &format!("daily = {wrong}")));
        assert_eq!(told.len(), 2, "{wrong}: {told:?}");
        assert!(told[0].contains("[host]: `daily`") && told[1].contains("[people]: `daily`"), "{wrong}: {told:?}");
    }
    let nothing = errors(&capped("daily = \"$0\"", ""));
    assert!(nothing[0].contains("borg-host pause"), "{nothing:?}");
}

#[test]
fn a_subscription_is_notional_unless_policy_counts_it() {
    use crate::policy::Subscription;
    let of = |line: &str| {
        with("executors.toml", |text| text.replace("[egress.anthropic]\n", &format!("[egress.anthropic]\n{line}\n")))
    };
    assert_eq!(parse(&shipped()).unwrap().egress["anthropic"].model().unwrap().subscription, Subscription::Notional);
    for (line, want) in
        [("subscription = \"count\"", Subscription::Count), ("subscription = \"notional\"", Subscription::Notional)]
    {
        assert_eq!(parse(&of(line)).unwrap().egress["anthropic"].model().unwrap().subscription, want);
    }
    let told = errors(&of("subscription = \"counts\""));
    assert!(told[0].contains("must be one of notional, count (did you mean `count`?)"), "{told:?}");
}

#[test]
fn a_way_out_leads_to_models_and_says_what_does_not_exist_yet() {
    let of = |line: &str| {
        with("executors.toml", |text| text.replace("[egress.anthropic]\n", &format!("[egress.anthropic]\n{line}\n")))
    };
    let usual = parse(&shipped()).unwrap().egress;
    assert!(matches!(usual["anthropic"], crate::policy::EgressPolicy::Model(_)));
    assert_eq!(parse(&of("kind = \"model\"")).unwrap().egress, usual, "the default");
    for (line, told) in [
        ("kind = \"tunnel\"", "[egress.anthropic]: `kind = \"tunnel\"` does not exist yet"),
        ("kind = \"git\"\nhosts = [\"example.org\"]", "[egress.anthropic]: `kind = \"git\"` does not exist yet"),
        ("kind = \"models\"", "[egress.anthropic]: `kind` must be model"),
        ("kind = 7", "[egress.anthropic]: `kind` must be model"),
    ] {
        let found = errors(&of(line));
        assert_eq!(found.len(), 1, "one fault, told once: {found:?}");
        assert!(found[0].contains("executors.toml:") && found[0].contains(told), "{line}: {found:?}");
        assert!(found[0].contains("`kind = \"model\"`"), "and what to do: {found:?}");
    }
}

/// Input and output of the shipped row a model is paid by, in dollars per million tokens, and whether that is a family's.
fn shipped_price(policy: &crate::policy::Policy, model: &str, input: u64) -> (f64, f64, bool) {
    let (name, tariff) = crate::tariff::row_of(&policy.egress["anthropic"].model().unwrap().prices, model).unwrap();
    let price = tariff.at(input);
    // What is written to the cache and read from it follows from that.
    assert_eq!((price.cache_write * 4, price.cache_read * 10), (price.input * 5, price.input), "{name}");
    (price.input as f64 / 1e6, price.output as f64 / 1e6, crate::tariff::is_family(name))
}

#[test]
fn models_we_ship_for_have_rows_of_their_own_and_others_their_familys_dearest() {
    let policy = parse(&shipped()).unwrap();
    for (models, input, output) in [
        (
            &["claude-opus-4-5", "claude-opus-4-5-20251101", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8"][..],
            5.0,
            25.0,
        ),
        (
            &[
                "claude-opus-4",
                "claude-opus-4-0",
                "claude-opus-4-20250514",
                "claude-opus-4-1",
                "claude-opus-4-1-20250805",
            ],
            15.0,
            75.0,
        ),
        (
            &["claude-sonnet-4-0", "claude-sonnet-4-20250514", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"],
            3.0,
            15.0,
        ),
        (&["claude-sonnet-4-6", "claude-sonnet-5"], 3.0, 15.0),
        (&["claude-haiku-4-5", "claude-haiku-4-5-20251001"], 1.0, 5.0),
        (&["claude-3-5-haiku-20241022"], 0.8, 4.0),
        (&["claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"], 3.0, 15.0),
        (&["claude-fable-5", "claude-mythos-5"], 10.0, 50.0),
    ] {
        for model in models {
            assert_eq!(shipped_price(&policy, model, 200_000), (input, output, false), "{model}");
        }
    }
    for (model, input, output) in
        [("claude-opus-9", 15.0, 75.0), ("claude-sonnet-9", 3.0, 15.0), ("claude-haiku-9", 1.0, 5.0)]
    {
        assert_eq!(shipped_price(&policy, model, 200_000), (input, output, true), "{model}");
    }
    // Above 200,000 tokens of input.
    for (model, input, output) in
        [("claude-sonnet-4-5", 6.0, 22.5), ("claude-sonnet-9", 6.0, 22.5), ("claude-opus-4-8", 5.0, 25.0)]
    {
        let (in_price, out_price, _) = shipped_price(&policy, model, 200_001);
        assert_eq!((in_price, out_price), (input, output), "{model}");
    }
    // No row of a family is below one of its members.
    let rows = &policy.egress["anthropic"].model().unwrap().prices;
    for (family, tariff) in rows.iter().filter(|(name, _)| crate::tariff::is_family(name)) {
        for (name, own) in rows.iter().filter(|(name, _)| crate::tariff::fits(family, name)) {
            for input in [1, 1_000_000] {
                let (all, one) = (tariff.at(input), own.at(input));
                assert!(all.input >= one.input && all.output >= one.output, "{family} {name}");
            }
            assert!(tariff.window >= own.window, "{family} {name}");
        }
    }
}

#[test]
fn prices_of_a_long_context_are_read_and_their_errors_name_the_place() {
    let sonnet = "[egress.anthropic.price.\"claude-sonnet-5\"]\n";
    let with_row = |row: &str| {
        with("executors.toml", |text| {
            let (before, after) = text.split_once(sonnet).unwrap();
            let (_, after) = after.split_once("\n\n").unwrap();
            format!("{before}{sonnet}{row}\n\n{after}")
        })
    };
    // As older files have it.
    let plain = "input = \"$3.00\"\noutput = \"$15.00\"\ncache-read = \"$0.30\"\ncache-write = \"$3.75\"\n";
    let tariff = parse(&with_row(plain)).unwrap().egress["anthropic"].model().unwrap().prices["claude-sonnet-5"];
    assert_eq!((tariff.long, tariff.window), (None, 1_000_000));
    let long = |above: &str, input: &str| {
        let rest = "output = \"$22.50\"\ncache-read = \"$0.60\"\ncache-write = \"$7.50\"\n";
        format!("{plain}context = 200000\n[egress.anthropic.price.\"claude-sonnet-5\".long]\n{above}{input}{rest}")
    };
    let tariff = parse(&with_row(&long("above = 300000\n", "input = \"$6.00\"\n"))).unwrap().egress["anthropic"]
        .model()
        .unwrap()
        .prices["claude-sonnet-5"];
    let read = tariff.long.unwrap();
    assert_eq!(
        (read.above, read.price.input, read.price.output, tariff.window),
        (300_000, 6_000_000, 22_500_000, 200_000)
    );
    let place = "[egress.anthropic.price.\"claude-sonnet-5\".long]";
    for (row, says) in [
        (long("above = \"many\"\n", "input = \"$6.00\"\n"), "`above` must be a whole number"),
        (long("", ""), "`input` is missing"),
        (long("", "input = \"6\"\n"), "`input` must be dollars per million tokens"),
        (long("", "input = \"$2.00\"\n"), "`input` is below that of a shorter context"),
        (long("", "input = \"$0.00\"\n"), "`input` is below that of a shorter context"),
        (long("from = 1\n", "input = \"$6.00\"\n"), "unknown key `from`"),
    ] {
        let errors = errors(&with_row(&row));
        assert!(errors.iter().any(|error| error.contains(place) && error.contains(says)), "{says}: {errors:?}");
    }
}

#[test]
fn models_in_use_that_have_no_row_of_their_own_are_named_with_the_line_to_add() {
    let policy = parse(&with("personas.toml", |text| {
        text.replacen("[persona.qa]", "[persona.qa]\nmodel = \"claude-opus-9\"", 1)
    }))
    .unwrap();
    let mut models = crate::policy::models::named(&policy);
    assert!(models.contains("claude-opus-9"));
    models.extend(["claude-opus-4-8", "claude-huge-1", "gpt-1"].map(String::from));
    let found = crate::policy::models::unlisted(&policy, &models);
    let told: Vec<_> =
        found.iter().map(|one| (one.model.as_str(), one.family.as_ref().map(|(name, _)| name.as_str()))).collect();
    assert_eq!(told, [("claude-huge-1", None), ("claude-opus-9", Some("claude-opus-*"))]);
    let line = found[1].lines();
    assert!(
        line.starts_with("[egress.anthropic.price.\"claude-opus-9\"]\ninput = \"$15.00\"\noutput = \"$75.00\"\n"),
        "{line}"
    );
    assert!(found[0].lines().starts_with("[egress.anthropic.price.\"claude-huge-1\"]\ninput = \"$…\""));
    // It is a row as policy reads it, and the family's to the letter: a long context costs what it does there.
    models.insert("claude-sonnet-9".into());
    let found = crate::policy::models::unlisted(&policy, &models);
    let lines: String = found[1..].iter().map(|one| format!("{}\n", one.lines())).collect();
    let policy = parse(&with("executors.toml", |text| format!("{text}\n{lines}"))).unwrap();
    assert_eq!(crate::policy::models::unlisted(&policy, &models).len(), 1);
    let rows = &policy.egress["anthropic"].model().unwrap().prices;
    assert_eq!(rows["claude-sonnet-9"], rows["claude-sonnet-*"]);
    assert!(rows["claude-sonnet-9"].long.is_some());
}

#[test]
fn a_family_that_is_cheaper_than_one_of_its_models_is_named() {
    let rows = |policy: &Policy| crate::tariff::too_cheap(&policy.egress["anthropic"].model().unwrap().prices).count();
    assert_eq!(rows(&parse(&shipped()).unwrap()), 0);
    let family = "[egress.anthropic.price.\"claude-opus-*\"]\ninput = \"$";
    let cheap =
        parse(&with("executors.toml", |text| text.replace(&format!("{family}15.00"), &format!("{family}5.00"))));
    assert_eq!(rows(&cheap.unwrap()), 1);
}
