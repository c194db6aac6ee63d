//! What a `bundle.toml` may say, and what is told where it says something else.

use super::*;

const NPM: &str = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
const PLAIN: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

fn text() -> String {
    format!(
        r#"name = "some-agent"
version = "1.2.3"

[[package]]
arch = "x86_64"
libc = "glibc"
npm = "@some/agent-linux-x64"
root = "package"
integrity = "{NPM}"

[[package]]
arch = "x86_64"
url = "https://example.org/v1.2.3/agent-x86_64.tar.gz"
integrity = "{PLAIN}"

[[program]]
from = "agent"
to = "bin/agent"
"#
    )
}

fn parsed(text: &str) -> Result<Recipe, Vec<Diagnostic>> {
    Recipe::parse(&SourceFile { name: FILE.into(), text: text.into() })
}

/// The faults of the text with one thing in place of another.
fn faults(from: &str, to: &str) -> Vec<String> {
    let before = text();
    let after = before.replacen(from, to, 1);
    assert_ne!(before, after, "{from:?} does not stand there");
    parsed(&after).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_one_is_read_as_it_stands() {
    let recipe = parsed(&text()).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("some-agent", "1.2.3"));
    assert_eq!(recipe.programs, [Program { from: "agent".into(), to: "bin/agent".into() }]);
    let [npm, url] = recipe.packages.as_slice() else { panic!("{recipe:?}") };
    assert_eq!((npm.arch, npm.libc, npm.root.as_str()), (Arch::X86_64, Some(Libc::Glibc), "package"));
    assert_eq!(npm.origin, Origin::Npm("@some/agent-linux-x64".into()));
    assert_eq!((npm.integrity.algorithm(), npm.integrity.as_str()), (Algorithm::Sha512, NPM));
    assert_eq!((url.libc, url.root.as_str()), (None, ""));
    assert_eq!(url.integrity.algorithm(), Algorithm::Sha256);
}

#[test]
fn the_package_made_for_a_machine_comes_before_one_that_runs_on_either() {
    let recipe = parsed(&text()).unwrap();
    let of = |arch, libc| recipe.package(arch, libc).map(|package| package.libc);
    assert_eq!(of(Arch::X86_64, Libc::Glibc), Some(Some(Libc::Glibc)));
    assert_eq!(of(Arch::X86_64, Libc::Musl), Some(None));
    assert_eq!(of(Arch::Aarch64, Libc::Glibc), None);
    let only_musl =
        parsed(&text().replace("\"glibc\"", "\"musl\"").replace("arch = \"x86_64\"\nurl", "arch = \"aarch64\"\nurl"));
    assert_eq!(only_musl.unwrap().package(Arch::X86_64, Libc::Glibc), None, "it would not start there");
}

#[test]
fn each_fault_is_told_with_its_place_and_what_would_be_right() {
    for (from, to, place, words) in [
        ("name = \"some-agent\"", "nmae = \"some-agent\"", "1:1", "unknown key `nmae` (did you mean `name`?)"),
        ("name = \"some-agent\"", "# none", "1:1", "`name` is missing (add `name = \"some-agent\"`)"),
        ("\"some-agent\"", "\"../agent\"", "1:8", "`../agent` is no name"),
        ("\"1.2.3\"", "\"../../x\"", "2:11", "is no version"),
        ("\"1.2.3\"", "\"^1\"", "2:11", "is no version"),
        ("\"1.2.3\"", "1", "2:11", "`version` must be a string"),
        ("\"x86_64\"", "\"x86\"", "5:8", "[[package]]: `arch` must be one of x86_64, aarch64"),
        ("arch = \"x86_64\"\n", "", "4:1", "[[package]]: `arch` is missing"),
        ("\"glibc\"", "\"glbc\"", "6:8", "`libc` must be one of glibc, musl (did you mean `glibc`?)"),
        ("\"@some/agent-linux-x64\"", "\"--registry\"", "7:7", "is no name of an npm package"),
        ("\"@some/agent-linux-x64\"", "\"file:../agent\"", "7:7", "is no name of an npm package"),
        ("\"@some/agent-linux-x64\"", "\"some/agent\"", "7:7", "is no name of an npm package"),
        ("npm = ", "url = \"https://example.org/a.tgz\"\nnpm = ", "4:1", "needs either `npm` or `url`"),
        ("npm = \"@some/agent-linux-x64\"\n", "", "4:1", "needs either `npm` or `url`"),
        ("root = \"package\"", "root = \"/package\"", "8:8", "is no folder in the archive"),
        ("sha512-", "sha1-", "9:13", "is no integrity"),
        ("Uyknw==", "Uyknw=", "9:13", "is no integrity"),
        (NPM, PLAIN, "9:13", "npm states sha512"),
        ("integrity = ", "integrty = ", "9:1", "unknown key `integrty` (did you mean `integrity`?)"),
        ("https://", "http://", "13:7", "is no address of a `.tar.gz` (write https://HOST/PATH.tar.gz"),
        ("x86_64.tar.gz", "'; rm -rf ~; '.tar.gz", "13:7", "is no address of a `.tar.gz`"),
        ("v1.2.3/agent-x86_64.tar.gz", "v1.2.3/.tar.gz", "13:7", "is no address of a `.tar.gz`"),
        (".tar.gz", ".tar.xz", "13:7", "archives of the form `.tar.xz` are not unpacked"),
        (".tar.gz", ".zip", "13:7", "archives of the form `.zip` are not unpacked"),
        ("url = ", "libc = \"glibc\"\nurl = ", "11:1", "there are two for x86_64 with glibc (keep one of them)"),
        ("from = \"agent\"", "from = \"../agent\"", "17:8", "is no path of a file"),
        ("\"bin/agent\"", "\"/bin/agent\"", "18:6", "is no path of a file"),
        ("\"bin/agent\"", "\"agent\"", "18:6", "programs lie in a folder of the bundle"),
        ("to = \"bin/agent\"", "", "16:1", "`to` is missing"),
        ("\"bin/agent\"", "\"bin/agent\"\nmode = 7", "19:1", "[[program]]: unknown key `mode`"),
        ("[[program]]", "[lock]\nfile = 1\n[[program]]", "16:1", "`lock` does not exist yet: a package brings all"),
        ("[[program]]", "[[part]]\nname = 1\n[[program]]", "16:1", "`part` does not exist yet: nothing is shared"),
        ("[[program]]", "[program]", "16:1", "`program` must be a list of tables (write [[program]])"),
        ("\"1.2.3\"", "\"1.2.3", "2:", "this is not TOML"),
    ] {
        let found = faults(from, to);
        let told =
            found.iter().any(|fault| fault.starts_with(&format!("bundle.toml:{place}")) && fault.contains(words));
        assert!(told, "{to:?} should fail at {place} with {words:?}: {found:#?}");
    }
}

#[test]
fn two_programs_do_not_stand_in_each_others_place() {
    for (to, ok) in [("bin/agent", false), ("bin/agent/x", false), ("bin/agents", true), ("bin", false)] {
        let more = format!("{}\n[[program]]\nfrom = \"other\"\nto = \"{to}\"\n", text());
        assert_eq!(parsed(&more).is_ok(), ok, "{to}");
    }
    let twice = format!("{}\n[[program]]\nfrom = \"agent\"\nto = \"bin/other\"\n", text());
    let told = parsed(&twice).unwrap_err();
    assert!(told.len() == 1 && told[0].message.contains("`agent` is taken out twice"), "{told:?}");
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_lines() {
    let broken = text().replace("\"1.2.3\"", "\"\"").replace("glibc", "uclibc").replace("bin/agent", "bin/../agent");
    let told = parsed(&broken).unwrap_err();
    assert_eq!(told.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 6, 18], "{told:?}");
    let nothing: Vec<String> = parsed("").unwrap_err().iter().map(|fault| fault.message.clone()).collect();
    assert_eq!(nothing.len(), 4, "{nothing:?}");
}

#[test]
fn a_pin_is_read_as_it_is_spelled() {
    let digest = Digest::of_bytes(b"programs");
    assert_eq!(read_pin(&spell_pin(&digest)), Some(digest));
    for wrong in [digest.to_string(), format!("sha512:{digest}"), "sha256:".into(), format!("sha256:{digest}0")] {
        assert_eq!(read_pin(&wrong), None, "{wrong}");
    }
}
