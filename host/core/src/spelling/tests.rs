//! Spellings, forbidden patterns, and what must hold for every name.

use super::*;
use proptest::prelude::*;

/// Paths that are forbidden somewhere: those built in, and such as policies and stages pin.
const GUARDED: [&str; 12] = [
    ".github/workflows/ci.yml",
    ".github/CODEOWNERS",
    ".circleci/config.yml",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    ".gitattributes",
    ".gitmodules",
    "tests/test_total.py",
    "src/pricing/Größe.rs",
    "docs/a b.md",
    "tests/[id].spec.ts",
    "Löwe/tür.py",
];

/// A name Windows would make for a long one, with this number.
fn short_of(name: &str, number: u8) -> Option<String> {
    let long = name.trim_start_matches('.');
    let (base, ending) = long.rsplit_once('.').unwrap_or((long, ""));
    let plain = |text: &str, most: usize| -> String {
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '.'));
        kept.map(|c| if matches!(c, '[' | ']') { '_' } else { c }).take(most).collect::<String>().to_uppercase()
    };
    let (base, ending) = (plain(base, 6), plain(ending, 3));
    name.is_ascii()
        .then(|| if ending.is_empty() { format!("{base}~{number}") } else { format!("{base}~{number}.{ending}") })
}

/// Another spelling of one name, chosen by `how`.
fn respelt(name: &str, how: u8, at: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    let at = at % chars.len();
    match how % 9 {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => chars.iter().enumerate().map(|(n, c)| if n % 2 == at % 2 { c.to_ascii_uppercase() } else { *c }).collect(),
        3 => format!("{name}."),
        4 => format!("{name} . "),
        5 => format!("{name}::$DATA"),
        6 => {
            let mut chars = chars.clone();
            chars.insert(at, '\u{200c}');
            chars.into_iter().collect()
        }
        7 => decomposed(name).into_owned(),
        _ => short_of(name, u8::try_from(at).unwrap_or(0) % 9 + 1).unwrap_or_else(|| name.to_lowercase()),
    }
}

fn spelling_of(path: &str) -> impl Strategy<Value = String> {
    let names: Vec<String> = path.split('/').map(str::to_owned).collect();
    prop::collection::vec((any::<u8>(), 0usize..40), names.len()).prop_map(move |how| {
        let spelt: Vec<String> = names.iter().zip(how).map(|(name, (how, at))| respelt(name, how, at)).collect();
        spelt.join("/")
    })
}

fn guarded() -> impl Strategy<Value = (&'static str, String)> {
    prop::sample::select(GUARDED.to_vec()).prop_flat_map(|path| spelling_of(path).prop_map(move |spelt| (path, spelt)))
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn names_that_are_one_somewhere_are_one() {
    for (one, other) in [
        (".github", ".GitHub"),
        (".github", ".github."),
        (".github", ".github . "),
        (".github", "GITHUB~1"),
        (".github", "github~4"),
        (".github", "GI7EBA~1"),
        (".github", ".git\u{200c}hub"),
        (".github", ".github::$INDEX_ALLOCATION"),
        (".gitlab-ci.yml", "GITLAB~1.YML"),
        ("Jenkinsfile", "JENKIN~1"),
        ("Jenkinsfile", "JENKI~12"),
        ("über.py", "u\u{308}BER.py"),
        ("straße", "STRASSE"),
    ] {
        assert!(is_same_name(one, other), "{one} {other}");
        assert!(is_same_name(other, one), "{other} {one}");
    }
    for (one, other) in [
        (".github", "github"),
        (".github", ".github2"),
        (".github", ".gitlab"),
        (".github", "GITLAB~1"),
        (".github", "GITHUB~1.YML"),
        (".github", "github~"),
        (".gitlab-ci.yml", "GITLAB~1"),
        ("a~1", "a~2"),
        ("...", "."),
        ("a b", "ab"),
        ("uber.py", "über.py"),
    ] {
        assert!(!is_same_name(one, other), "{one} {other}");
    }
    assert!(is_same_path(".github/workflows/ci.yml", "GITHUB~1\\Workflows\\CI.yml."));
    assert!(!is_same_path(".github/workflows", ".github/workflows/ci.yml"));
}

#[test]
fn a_name_that_is_no_short_one_is_not_folded_to_find_out() {
    let pad = |with: &str| format!("GITHUB~1{}", with.repeat(10_000));
    for short in [pad("."), pad(" "), pad(":x"), pad("\u{200c}"), format!("\u{200c}{}", pad(".\u{200d} "))] {
        assert!(may_be_short_for(&short, ".github") && is_short_for(&short, ".github"), "{:?}", &short[..12]);
    }
    for long in [pad("x"), pad("~1"), pad("\u{301}"), pad(". x"), format!("{}~1", "g".repeat(20))] {
        assert!(!may_be_short_for(&long, ".github"), "{:?}", &long[..12]);
    }
}

#[test]
fn what_is_forbidden_is_so_in_every_spelling_and_in_place_of_its_folder() {
    let patterns =
        strings(&[".github/**", "**/CODEOWNERS", "docs/", ".config/nextest.toml", "*_test.go", "a[0-9].txt"]);
    let forbidden = Forbidden::patterns(&patterns).unwrap();
    for path in [
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        ".github./x",
        "GITHUB~1/x",
        "GI12AF~1/x",
        ".github",
        ".GITHUB",
        "GITHUB~1",
        ".github\\workflows\\ci.yml",
        "a/codeowners",
        "CODEOW~1",
        "docs",
        "Docs/a",
        "docs/a",
        ".config",
        ".Config/NEXTEST.toml",
        "X_Test.GO",
        "a1.txt",
        "A1.TXT ",
    ] {
        assert!(forbidden.matches(path.as_bytes()), "{path}");
    }
    for path in
        ["github/x", ".github2/x", "src/.github/x", "docs2/a", "a/CODEOWNERS/x", "dir/x_test.go", "ab.txt", "a/docs"]
    {
        assert!(!forbidden.matches(path.as_bytes()), "{path}");
    }
    assert!(!forbidden.matches(b"caf\xe9.py"));
    assert!(!Forbidden::patterns(&[]).unwrap().matches(b"a~1/b"));
    assert_eq!(Forbidden::patterns(&strings(&["ok", "a["])).unwrap_err().0, "a[");
}

#[test]
fn a_flood_of_short_names_is_forbidden_not_tried() {
    let names: Vec<String> = (0..40).map(|n| format!("longname{n}/x")).collect();
    let forbidden = Forbidden::patterns(&names).unwrap();
    assert!(forbidden.matches("LONGNA~1/".repeat(20).as_bytes()));
}

proptest! {
    #[test]
    fn comparing_is_reflexive_and_symmetric(one in "[.a-zA-Zé~1 :]{0,12}(/[.a-zÄ~2]{1,9})?", other in "[.a-zA-Zé~1 :]{0,12}(/[.a-zÄ~2]{1,9})?") {
        prop_assert!(is_same_path(&one, &one));
        prop_assert_eq!(is_same_path(&one, &other), is_same_path(&other, &one));
    }

    #[test]
    fn folding_twice_is_folding_once(name in "\\PC{0,12}") {
        let once = fold(&name);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn every_spelling_of_a_guarded_path_is_caught((path, spelt) in guarded()) {
        prop_assert!(is_same_path(path, &spelt), "{} {}", path, spelt);
        prop_assert!(Forbidden::paths([path]).matches(spelt.as_bytes()), "{} {}", path, spelt);
        let all = Forbidden::paths(GUARDED);
        prop_assert!(all.matches(spelt.as_bytes()), "{}", spelt);
    }

    #[test]
    fn a_folder_forbidden_is_forbidden_with_all_below((path, spelt) in guarded(), below in "[a-z]{1,8}") {
        let folder = path.split('/').next().unwrap();
        let forbidden = Forbidden::patterns(&[format!("{folder}/**")]).unwrap();
        let top = spelt.split('/').next().unwrap();
        prop_assert!(forbidden.matches(top.as_bytes()), "{}", top);
        let inner = format!("{top}/{below}");
        prop_assert!(forbidden.matches(inner.as_bytes()));
    }

    #[test]
    fn no_path_and_no_pattern_panics(pattern in "[a*?/\\[\\]{},!\\\\é~1.-]{0,16}", path in prop::collection::vec(any::<u8>(), 0..24)) {
        if let Ok(forbidden) = Forbidden::patterns(&[pattern]) {
            forbidden.matches(&path);
        }
        Forbidden::paths([String::from_utf8_lossy(&path).as_ref()]).matches(&path);
    }
}
