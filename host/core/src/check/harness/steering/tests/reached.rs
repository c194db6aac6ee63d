//! What the test command reaches in recipes of the base, and what it does not.

use super::*;

const TOX: &str = "[tox]\nenvlist = py, lint\n[testenv]\nchangedir = .\nallowlist_externals =\n  tools/allowed.py\n  make\ncommands_pre = sh tools/prepare.sh\ncommands =\n  py: -{envpython} {toxinidir}/tools/check.py {posargs:tests}\n  pytest --cov=shop\n[testenv:lint]\ncommands = flake8 shop/app.py\n[testenv:serve]\ncommands = python shop/app.py\n";
const TOX_TOML: &str = "[tool.tox]\nenv_list = [\"a\"]\n[tool.tox.env_run_base]\ncommands = [[\"python\", \"{tox_root}/tools/check.py\"]]\n[tool.tox.env.serve]\ncommands = [[\"python\", \"shop/app.py\"]]\n";
const NOX: &str = "import nox\n\n\ndef prepare(session):\n    session.run('sh', 'tools/prepare.sh', external=True)\n\n\n@nox.session(python=['3.12'])\ndef tests(session):\n    prepare(session)\n    session.run(\n        'python',\n        'tools/check.py',\n        env={'X': 'shop/other.py'},\n    )\n    session.run('coverage', 'run', '--source', 'shop', '-m', 'pytest')\n\n\n@nox.session(name='serve')\ndef serve_(session):\n    session.run('python', 'shop/app.py')\n";
const TASKS: &str = "version: '3'\n\nvars:\n  CHECK: tools/check.py\n\nincludes:\n  web: ./web\n\ntasks:\n  default:\n    cmds:\n      - task: test\n  test:\n    desc: python shop/app.py\n    deps: [prepare]\n    sources:\n      - shop/app.py\n    cmds:\n      - python3 {{.CHECK}} --all\n      - cmd: sh tools/last.sh\n      - |\n        python3 tools/block.py\n      - task: web:test\n  prepare: sh tools/prepare.sh\n  serve:\n    cmds:\n      - python3 shop/app.py\n";
const WEB: &str = "version: '3'\ntasks:\n  test:\n    dir: web\n    cmds:\n      - node run.js\n";
const MISE: &str = "[tasks.test]\ndepends = [\"prepare\"]\nrun = [\"python3 tools/check.py\", \"mise run more\"]\n[tasks]\nprepare = \"sh tools/prepare.sh\"\nserve = \"python3 shop/app.py\"\nmore.file = \"tools/more.sh\"\n";
const POE: &str = "[tool.poe.tasks]\ntest = { cmd = \"pytest -p tools.plugin\", deps = [\"prepare\"] }\nprepare.shell = \"sh tools/prepare.sh\"\nall = [\"prepare\", { script = \"tools.check:main\" }]\nserve = \"python shop/app.py\"\n";
const HATCH: &str = "[tool.hatch.envs.test.scripts]\nrun = \"python tools/check.py {args}\"\ncov = [\"run\", \"coverage report\"]\nserve = \"python shop/app.py\"\n";
const PDM: &str = "[tool.pdm.scripts]\ntest = {composite = [\"prepare\", \"pytest\"]}\nprepare = {cmd = [\"sh\", \"tools/prepare.sh\"]}\nrun.call = \"tools.check:main\"\nserve = \"python shop/app.py\"\n";
const VARIABLES: &str = "PY ?= python3\nRUN = scripts/run.sh\nCHECK := $(PY) tools/check.py\nDIR = sub\n\ntest:\n\t@$(RUN) $(ARGS)\n\t${CHECK} --all\n\t$(MAKE) -C $(DIR) unit\n\tcd other && $(PY) run.py\n\t$(PY) top.py\n\ttest -n \"$$X\" || sh scripts/$$X.sh\n";
const SUB: &str = "include rules/more.mk\nunit:\n\tpython3 unit.py\nserve:\n\tpython3 app.py\n";
const SCRIPT: &str = "#!/bin/sh\nset -e\nDIR=\"$(cd \"$(dirname \"$0\")\" && pwd)\"\n. \"$DIR/lib.sh\"\nTOOL=tools/script.py\npython3 $TOOL\ncd \"$(dirname \"$0\")/..\"\nnode hooks/last.js\n";

#[test]
fn what_the_test_command_reaches_in_recipes_of_the_base_is_told() {
    let make: &[(&str, &str)] = &[
        ("Makefile", VARIABLES),
        ("sub/Makefile", SUB),
        ("sub/rules/more.mk", "unit: prepare\nprepare:\n\tsh prepare.sh\n"),
        ("scripts/run.sh", SCRIPT),
    ];
    #[rustfmt::skip]
    let rows: &[Loaded<'_>] = &[
        // Make: variables, other folders, what is included.
        ("make test", make, "scripts/run.sh", true),
        ("make test", make, "tools/check.py", true),
        ("make test", make, "sub/unit.py", true),
        ("make test", make, "unit.py", false),
        ("make test", make, "sub/app.py", false),
        ("make test", make, "sub/prepare.sh", true),
        ("make test", make, "other/run.py", true),
        ("make test", make, "run.py", false),
        ("make test", make, "top.py", true),
        ("make test", make, "other/top.py", false),
        ("make test", make, "scripts/lib.sh", true),
        ("make test", make, "tools/script.py", true),
        ("make test", make, "hooks/last.js", true),
        ("make -C sub unit", make, "sub/unit.py", true),
        ("make -Csub", make, "sub/unit.py", true),
        ("make --directory=sub unit", make, "sub/unit.py", true),
        ("cd sub && make unit", make, "sub/unit.py", true),
        ("(cd sub; true) && make unit", make, "sub/unit.py", false),
        ("make -f ci/own.make", &[("ci/own.make", "test:\n\tsh a.sh\n")], "a.sh", true),
        ("make -f ci/own.make", &[("ci/own.make", "test:\n\tsh a.sh\n")], "ci/own.make", true),
        ("make test", &[("Makefile", "include ci/rules.make\ntest: more\n"), ("ci/rules.make", "more:\n\tsh a.sh\n")], "a.sh", true),
        ("make test", &[("Makefile", "test:\nifdef CI\n\tsh a.sh\nelse\n\tsh b.sh\nendif\n\tsh c.sh\n")], "c.sh", true),
        ("make test", &[("Makefile", "test: RUN = tools/own.py\ntest:\n\tpython3 $(RUN)\n")], "tools/own.py", true),
        ("make test", &[("Makefile", "define run\nsh a.sh\nsh b.sh\nendef\ntest:\n\t$(run)\n")], "b.sh", true),
        ("make", &[("Makefile", "PY := python3\n.PHONY: test\ntest:\n\t$(PY) tools/a.py\n")], "tools/a.py", true),
        ("just test", &[("justfile", "run := 'tools/a.py'\ntest filter='': prepare\n    python3 {{run}} {{filter}}\nprepare:\n    X=1 sh b.sh\n")], "tools/a.py", true),
        ("just test", &[("justfile", "test filter='': prepare\n    pytest\nprepare:\n    X=1 sh b.sh\n")], "b.sh", true),
        ("make test", &[("Makefile", "test: test-unit\ntest-%: %\n\tsh scripts/$*.sh\n")], "scripts/unit.sh", true),
        ("make test-unit", &[("Makefile", "test-%:\n\tsh scripts/$@.sh\n")], "scripts/test-unit.sh", true),
        ("make test", &[("Makefile", "lint:\n\ttrue\n.DEFAULT:\n\tcd src && $(MAKE) $@\n"), ("src/Makefile", "all:\n\ttrue\ntest:\n\t./runtest\n")], "src/runtest", true),
        ("make test", &[("Makefile", "test: a-b\na-%: a-a-%\n\tsh $*\n")], "b", true),
        ("bash -c 'make test'", &[("Makefile", "test:\n\tsh a.sh\n")], "a.sh", true),
        ("npm --prefix web test", &[("web/package.json", r#"{"scripts": {"test": "node run.js"}}"#)], "web/run.js", true),
        ("npm --prefix web test", &[("web/package.json", r#"{"scripts": {"test": "node run.js"}}"#)], "run.js", false),
        ("cd web && npm test", &[("web/package.json", r#"{"scripts": {"test": "node run.js"}}"#)], "web/run.js", true),
        ("yarn node tools/a.js", &[], "tools/a.js", true),
        ("cd sub && ./run", &[("sub/run", "python3 a.py\n")], "sub/run", true),
        ("cd sub && ./run", &[("sub/run", "python3 a.py\n")], "sub/a.py", true),
        ("sh run", &[("run", "python3 a.py\n")], "a.py", true),
        ("make test", &[("Makefile", "test:\n\t$(PYTHON) run_tests.py\n")], "run_tests.py", true),
        ("make test", &[("Makefile", "test:\n\tsh scripts/run_unit_tests.sh\n"), ("scripts/run_unit_tests.sh", "python3 tools/test_all.py\n")], "tools/test_all.py", true),
        // What else has recipes.
        ("tox", &[("tox.ini", TOX)], "tools/prepare.sh", true),
        ("tox -e py312", &[("tox.ini", TOX)], "tools/check.py", true),
        ("python -m tox", &[("setup.cfg", TOX)], "tools/allowed.py", true),
        ("tox", &[("tox.ini", TOX)], "shop/app.py", false),
        ("tox -e serve", &[("tox.ini", TOX)], "shop/app.py", true),
        ("uv run tox run", &[("pyproject.toml", TOX_TOML)], "tools/check.py", true),
        ("tox", &[("pyproject.toml", TOX_TOML)], "shop/app.py", false),
        ("nox -s tests-3.12", &[("noxfile.py", NOX)], "tools/check.py", true),
        ("nox --session=tests", &[("noxfile.py", NOX)], "tools/prepare.sh", true),
        ("nox -s tests", &[("noxfile.py", NOX)], "shop/app.py", false),
        ("nox -s tests", &[("noxfile.py", NOX)], "shop/other.py", false),
        ("nox", &[("noxfile.py", NOX)], "shop/app.py", true),
        ("task test", &[("Taskfile.yml", TASKS)], "tools/check.py", true),
        ("task", &[("Taskfile.yml", TASKS)], "tools/last.sh", true),
        ("task test", &[("Taskfile.yml", TASKS)], "tools/block.py", true),
        ("task test", &[("Taskfile.yml", TASKS)], "tools/prepare.sh", true),
        ("task test", &[("Taskfile.yml", TASKS), ("web/Taskfile.yml", WEB)], "web/run.js", true),
        ("task test", &[("Taskfile.yml", TASKS)], "shop/app.py", false),
        ("mise run test", &[("mise.toml", MISE)], "tools/check.py", true),
        ("mise run test", &[(".mise.toml", MISE)], "tools/prepare.sh", true),
        ("mise run test", &[("mise.toml", MISE)], "tools/more.sh", true),
        ("mise run test", &[("mise.toml", MISE)], "mise-tasks/test", true),
        ("mise run test", &[("mise.toml", MISE)], "shop/app.py", false),
        ("poe test", &[("pyproject.toml", POE)], "tools/plugin.py", true),
        ("uv run poe test", &[("pyproject.toml", POE)], "tools/prepare.sh", true),
        ("poetry run poe all", &[("pyproject.toml", POE)], "tools/check.py", true),
        ("poe test", &[("pyproject.toml", POE)], "shop/app.py", false),
        ("hatch run test:cov", &[("pyproject.toml", HATCH)], "tools/check.py", true),
        ("hatch run cov", &[("pyproject.toml", HATCH)], "shop/app.py", false),
        ("hatch run cov", &[("pyproject.toml", HATCH)], "hatch.toml", true),
        ("pdm run test", &[("pyproject.toml", PDM)], "tools/prepare.sh", true),
        ("pdm run run", &[("pyproject.toml", PDM)], "tools/check.py", true),
        ("pdm test", &[("pyproject.toml", PDM)], "shop/app.py", false),
        // What the command does not call says nothing.
        ("pytest", &[("tox.ini", TOX), ("noxfile.py", NOX), ("Taskfile.yml", TASKS), ("mise.toml", MISE)], "tools/check.py", false),
        ("poe test", &[("pyproject.toml", HATCH)], "tools/check.py", false),
        // What a linter, a formatter or a measure is told to look at does not run.
        ("make test", &[("Makefile", "SRC = shop/app.py\ntest: lint\n\tpytest --cov shop\nlint:\n\tflake8 $(SRC)\n\tblack --check $(SRC)\n")], "shop/app.py", false),
        ("make test", &[("Makefile", "test:\n\tuv run mypy shop/app.py\n\tcoverage run --source=shop -m pytest\n\tcoverage report --include shop/app.py\n")], "shop/app.py", false),
        ("npm test", &[("package.json", r#"{"scripts": {"test": "npm run lint && npx tsc src/index.ts && mocha", "lint": "eslint src/index.ts"}}"#)], "src/index.ts", false),
        ("sh a.sh", &[("a.sh", "awk '$1 == \"go\" {print $2}' go.mod\ngrep -E 'a|b' shop.py\nP=\"(a|b)\"\ngrep $P shop.py\necho \"it's; a\" shop.py\n# don't; x shop.py\n")], "go.mod", false),
        ("sh a.sh", &[("a.sh", "awk '$1 == \"go\" {print $2}' go.mod\ngrep -E 'a|b' shop.py\nP=\"(a|b)\"\ngrep $P shop.py\necho \"it's; a\" shop.py\n# don't; x shop.py\n")], "shop.py", false),
        ("sh a.sh", &[("a.sh", "echo \"don't; x\" && sh b.sh 'y; z'\n")], "b.sh", true),
        ("sh -c 'cd sub && sh b.sh; true'", &[], "sub/b.sh", true),
        ("bash -euc \"cd sub; sh b.sh\" && sh c.sh", &[], "sub/b.sh", true),
        ("bash -euc \"cd sub; sh b.sh\" && sh c.sh", &[], "c.sh", true),
        ("concurrently 'sh a.sh; x' \"sh b.sh && y\"", &[], "b.sh", true),
        ("echo \"$(sh b.sh; true)\"", &[], "b.sh", true),
        ("sh a.sh", &[("a.sh", "echo x\nRUN='sh b.sh; sh c.sh'\neval \"$RUN\"\nif cd sub; then sh d.sh; fi\n")], "c.sh", true),
        ("sh a.sh", &[("a.sh", "echo x\nRUN='sh b.sh; sh c.sh'\neval \"$RUN\"\nif cd sub; then sh d.sh; fi\n")], "sub/d.sh", true),
        ("coverage run tools/a.py", &[], "tools/a.py", true),
        ("python -m coverage run tools/a.py", &[], "tools/a.py", true),
    ];
    for (command, texts, path, is_told) in rows.iter().copied() {
        let got = found(command, texts, &[], &[file(path, Some("a\n"), "b\n")]);
        let is_found = got.iter().any(|(id, risk)| id == "runs-with-the-tests" && *risk >= REVIEW);
        assert_eq!(is_found, is_told, "{command} {path}: {got:?}");
    }
}

#[test]
fn a_folder_on_the_path_of_python_is_searched() {
    #[rustfmt::skip]
    let rows: &[Loaded<'_>] = &[
        ("pytest", &[("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = [\".\", \"code/mods\"]\n")], "code/mods/json.py", true),
        ("pytest", &[("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = \"code/mods\"\n")], "code/mods/json/__init__.py", true),
        ("pytest", &[("pytest.toml", "[pytest]\npythonpath = [\"code/mods\"]\n")], "code/mods/json.py", true),
        ("pytest", &[("pytest.ini", "[pytest]\npythonpath = code code/mods\n")], "code/mods/json.py", true),
        ("pytest", &[("setup.cfg", "[tool:pytest]\npythonpath =\n    code\n    code/mods/\n")], "code/mods/json.py", true),
        ("pytest", &[("tox.ini", "[pytest]\npythonpath = ./code/mods\n")], "code/mods/json.py", true),
        ("pytest", &[("sub/pytest.ini", "[pytest]\npythonpath = code\n")], "sub/code/json.py", true),
        ("env PYTHONPATH=code:code/mods pytest", &[], "code/mods/json.py", true),
        ("cd sub && PYTHONPATH=.:code/mods pytest", &[], "sub/code/mods/json.py", true),
        ("cd sub && PYTHONPATH=code/mods pytest", &[], "code/other/json.py", false),
        ("make test", &[("Makefile", "export PYTHONPATH := $(CURDIR)/code/mods:$(PYTHONPATH)\ntest:\n\tpytest\n")], "code/mods/json.py", true),
        ("make test", &[("Makefile", "LIB = code/mods\nexport PYTHONPATH = $(LIB)\ntest:\n\tpytest\n")], "code/mods/json.py", true),
        ("make test", &[("Makefile", "LIB = code/mods\ntest:\n\tPYTHONPATH=$(LIB) pytest\n")], "code/mods/json.py", true),
        ("sh run.sh", &[("run.sh", "export PYTHONPATH=\"$(pwd)/code/mods:$PYTHONPATH\"\nexec pytest\n")], "code/mods/json.py", true),
        ("tox", &[("tox.ini", "[testenv]\nsetenv =\n  PYTHONPATH = {toxinidir}/code/mods\ncommands = pytest\n")], "code/mods/json.py", true),
        ("task test", &[("Taskfile.yml", "env:\n  PYTHONPATH: code/mods\ntasks:\n  test: pytest\n")], "code/mods/json.py", true),
        // Code that no path names keeps its names.
        ("pytest", &[("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = [\"code\"]\n")], "code/mods/json.py", false),
        ("pytest", &[("pyproject.toml", "[tool.mypy]\nmypy_path = \"code/mods\"\n")], "code/mods/json.py", false),
        ("pytest", &[("Makefile", "export PYTHONPATH := code/mods\n")], "code/mods/json.py", false),
        ("pytest", &[("pytest.ini", "[pytest]\npythonpath = code/mods\n")], "code/mods/shop.py", false),
    ];
    for (command, texts, path, is_told) in rows.iter().copied() {
        let got = found(command, texts, &[], &[file(path, None, "x = 1\n")]);
        let is_found = got.iter().any(|(id, risk)| id == "shadows-an-import" && *risk >= REVIEW);
        assert_eq!(is_found, is_told, "{command} {path} {texts:?}: {got:?}");
    }
    let ini = [("pytest.ini", "[pytest]\npythonpath = code/mods\n")];
    assert!(found("pytest", &ini, &[], &[file("code/mods/unittest.py", None, "x = 1\n")])[0].1 >= BLOCK);
}
