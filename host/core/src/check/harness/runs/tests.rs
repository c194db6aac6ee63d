//! What a command runs, one row each.

use super::*;
use crate::check::harness::steps::MOST;

#[test]
fn what_a_command_runs_is_found_through_recipes_and_scripts() {
    let texts: BTreeMap<String, Option<String>> = [
        ("Makefile", Some("PY = python3\n\nrun:\n\t$(PY) app.py\n\ntest: lint\n\t@$(PY) tools/check.py --all\n\t./ci/test.sh\nlint:\n\tsh tools/lint.sh\n")),
        ("ci/test.sh", Some("set -e\nexec python3 -m tools.harness tests\n")),
        ("tools/lint.sh", Some("true\n")),
        ("package.json", Some(r#"{"scripts":{"test":"node -r ./hooks/pre.js runner.mjs && npm run unit","unit":"node unit.js","start":"node app.js"}}"#)),
        ("makefile", None),
        ("GNUmakefile", None),
        ("justfile", None),
        ("Justfile", None),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
    .collect();
    #[rustfmt::skip]
    let rows: [(&str, &[&str], &[&str]); 7] = [
        ("make test", &["tools/check.py", "ci/test.sh", "tools/harness.py", "tools/lint.sh"], &["app.py"]),
        ("npm test", &["hooks/pre.js", "runner.mjs", "unit.js"], &["app.js"]),
        ("python3 tools/run.py -v", &["tools/run.py"], &[]),
        ("python3 -m pytest -q", &["pytest.py"], &["shop.py"]),
        ("python3 -m py_compile shop.py", &[], &["app.py"]),
        ("PYTHONPATH=. timeout 60 python3 tools/run.py", &["tools/run.py"], &[]),
        ("pytest -p tests.plugin", &["tests/plugin.py"], &[]),
    ];
    for (command, has, lacks) in rows {
        let got = runs(command, &texts);
        assert!(has.iter().all(|path| got.files.contains(*path)), "{command}: {got:?}");
        assert!(!lacks.iter().any(|path| got.files.contains(*path)), "{command}: {got:?}");
    }
    assert!(runs("make test", &BTreeMap::new()).unread.contains("Makefile"));
    assert_eq!(runs("make test", &texts).unread, BTreeSet::new());
}

#[test]
fn nobody_decides_how_much_is_looked_at() {
    let doubling: String = (0..60).map(|n| format!("A{n} = $(A{0})$(A{0})\n", n + 1)).collect();
    let itself = "A = $(B) x\nB = $(A) $(A)\nA := $(A)$(A)\n".repeat(20_000);
    let long = format!("A = {}\n{}", "sh a.sh; ".repeat(500), "test::\n\t$(A)$(A)$(A)\n".repeat(10_000));
    let rules: String = (0..50_000).map(|n| format!("t{n}: t{}\n\tsh s{n}.sh\n", n + 1)).collect();
    let shared =
        format!("{}:\n{}", (0..20_000).map(|n| format!("t{n} ")).collect::<String>(), "\ttrue\n".repeat(20_000));
    let nested: String = (0..20_000).map(|n| format!("\tmake -C d{n} t\n")).collect();
    let wrapped = "env ".repeat(100_000);
    let open = "$(".repeat(100_000);
    let deep = format!("cd {}; {}", "a/".repeat(50_000), "(".repeat(100_000));
    for (what, makefile, is_cut) in [
        ("variables that double", format!("{doubling}test:\n\t$(A0)\n\tsh a.sh\n"), false),
        ("variables of themselves", format!("{itself}test:\n\t$(A)\n"), true),
        ("long values often", format!("{long}\ntest:\n"), true),
        ("many rules", format!("test: t0\n{rules}"), true),
        ("many names of one rule", format!("test: t0\n{shared}"), false),
        ("many folders", format!("test:\n{nested}"), true),
        ("the same over and over", format!("test:\n{}", "\t$(MAKE) test\n".repeat(50_000)), true),
        ("a command in a command", format!("test:\n\t{wrapped}\n"), false),
        ("what is not closed", format!("test:\n\t{open}\n"), true),
        ("quotes in quotes", format!("test:\n\t{}\n", "'\"".repeat(100_000)), true),
        ("quotes that are not closed", format!("test:\n\t{}\n", "\"'a(".repeat(100_000)), true),
        (
            "many patterns",
            format!(
                "test: {}\n{}",
                (0..20_000).map(|n| format!("t{n} ")).collect::<String>(),
                "x%y%: x\n\tsh $@\n".repeat(20_000)
            ),
            false,
        ),
        ("folders in folders", format!("test:\n\t{deep}\n"), false),
    ] {
        let texts = BTreeMap::from([("Makefile".to_owned(), Some(makefile))]);
        let walk = walk("make test", &texts);
        assert_eq!(walk.steps.is_short(), is_cut, "{what}: {}", walk.steps.taken());
        // What came of it was looked at, all of it; paths that a module may lie at are eight to each that is written.
        let held: usize = walk.runs.files.iter().chain(&walk.runs.unread).map(String::len).sum();
        assert!(held <= 8 * walk.steps.taken(), "{what}: {held} of {}", walk.steps.taken());
    }
    let usual = BTreeMap::from([("Makefile".to_owned(), Some("RUN = sh a.sh\ntest:\n\t$(RUN)\n".repeat(100)))]);
    let walk = walk("make test", &usual);
    // What people write is far from that.
    assert!(walk.steps.taken() < MOST / 100 && walk.runs.files.contains("a.sh"), "{}", walk.steps.taken());
}
