//! An installation in a temporary folder, and the real program run on it with an environment of its own.

use borg_tests::process::{self, Output};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Longest a command may take; what it does here takes a second at most.
const LIMIT: Duration = Duration::from_secs(120);

/// What a command did.
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    /// Fails unless the command ended with this code and all words stand in what it said.
    #[track_caller]
    pub fn expect(self, code: i32, words: &[&str]) -> Self {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{all}");
        for word in words {
            assert!(all.contains(word), "`{word}` is not in:\n{all}");
        }
        self
    }
}

/// Runs a command to its end, which must come.
pub fn told(command: Command, stdin: &str) -> Told {
    let Output { code, stdout: out, stderr: err } = process::run(command, stdin, LIMIT).expect("the program ends");
    Told { code, out, err }
}

/// A folder to run the program in, and a list of installations of its own.
pub struct Place {
    dir: TempDir,
    state: TempDir,
}

impl Place {
    /// An empty one.
    pub fn empty() -> Self {
        let folder = |prefix| tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder");
        Place { dir: folder("borg-cli-"), state: folder("borg-state-") }
    }

    /// One where `init` was run, with a repository `acme/shop`.
    pub fn ready() -> Self {
        let place = Place::empty();
        let shop = place.repository("shop");
        let init = ["init", "--yes", "--repository", &shop, "--name", "acme/shop", "--check", "make test"];
        place.run(&init).expect(0, &["added    repository acme/shop"]);
        place
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the user's installations are registered: `XDG_STATE_HOME`.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("the file is there")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies below the place")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub fn run(&self, args: &[&str]) -> Told {
        self.run_with(args, "", &[])
    }

    /// Runs the program with something on its standard input and in its environment.
    pub fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Told {
        told(self.command(args, env), stdin)
    }

    /// The program, with pipes for all it says and hears, and nothing of this process's environment.
    #[expect(clippy::disallowed_methods, reason = "the one place where these tests start programs")]
    pub fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let plugins = self.path().join("no-plugins");
        let mut command = Command::new(env!("CARGO_BIN_EXE_borg-host"));
        command.args(args).current_dir(self.path()).env_clear();
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("XDG_STATE_HOME", self.state())
            .env("BORG_PLUGINS", plugins)
            .env("DOCKER_HOST", "unix:///nonexistent");
        command.envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A Git repository with one commit.
    pub fn repository(&self, name: &str) -> String {
        let shop = self.empty_repository(name);
        fs::write(shop.join("Makefile"), "test:\n\ttrue\n").expect("a Makefile");
        self.commit(name);
        shop.display().to_string()
    }

    /// Commits all there is in a repository of this place.
    #[expect(clippy::disallowed_methods, reason = "tests commit with the machine's Git")]
    pub fn commit(&self, name: &str) {
        for args in [&["add", "--all"][..], &["commit", "--quiet", "--message", "Change"]] {
            let mut git = Command::new("/usr/bin/git");
            git.args(["-c", "user.name=Test", "-c", "user.email=test@example.org"]).args(args);
            git.current_dir(self.path().join(name)).env_clear().env("HOME", self.path());
            let done = git.output().expect("git starts");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }

    /// A Git repository without a commit.
    pub fn empty_repository(&self, name: &str) -> PathBuf {
        let folder = self.path().canonicalize().expect("it is there").join(name);
        for part in ["objects", "refs/heads"] {
            fs::create_dir_all(folder.join(".git").join(part)).expect("a folder");
        }
        fs::write(folder.join(".git/HEAD"), "ref: refs/heads/main\n").expect("a HEAD");
        folder
    }
}
