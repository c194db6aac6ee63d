//! Names that tests and their runners import, and that a change could put something of its own in the place of.

/// Modules of Python's standard library, of 3.8 to 3.14 (`sys.stdlib_module_names`; before 3.10 the index of modules in its documentation).
/// Not `test`, which is a folder of tests everywhere.
const PYTHON_STANDARD: &str = "\
    __future__ _abc _aix_support _android_support _apple_support _ast _asyncio _bisect _blake2 _bootsubprocess _bz2 \
     _codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize \
     _compat_pickle _compression _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _elementtree \
     _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp _interpchannels _interpqueues \
     _interpreters _io _ios_support _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode \
     _opcode_metadata _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc _pydecimal _pyio _pylong \
     _pyrepl _queue _random _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat \
     _statistics _string _strptime _struct _suggestions _symtable _sysconfig _thread _threading_local _tkinter _tokenize \
     _tracemalloc _types _typing _uuid _warnings _weakref _weakrefset _winapi _zoneinfo _zstd abc aifc annotationlib argparse \
     array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk \
     cmath cmd code codecs codeop collections colorsys compileall compression concurrent configparser contextlib contextvars copy \
     copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip \
     enum errno faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext \
     glob graphlib grp gzip hashlib heapq hmac html http imaplib imghdr imp importlib inspect io ipaddress itertools json keyword \
     lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing \
     netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes \
     pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat \
     queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal \
     site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string \
     stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap \
     threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle types typing unicodedata \
     unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile \
     zipimport zlib zoneinfo";

/// Modules that are a runner of Python, or its core.
const PYTHON_RUNNERS: [&str; 9] =
    ["unittest", "pytest", "_pytest", "pluggy", "iniconfig", "doctest", "nose2", "sitecustomize", "usercustomize"];

/// Others that runners and tests of Python import.
const PYTHON_TESTING: [&str; 23] = [
    "_distutils_hack",
    "anyio",
    "attr",
    "attrs",
    "colorama",
    "coverage",
    "exceptiongroup",
    "execnet",
    "freezegun",
    "hypothesis",
    "mock",
    "nose",
    "packaging",
    "parameterized",
    "py",
    "pygments",
    "responses",
    "sure",
    "testtools",
    "tomli",
    "twisted",
    "xdist",
    "zope",
];

/// Packages that run tests of JavaScript, or that tests assert with.
const NODE_TESTING: [&str; 38] = [
    "@jest/core",
    "@jest/globals",
    "@playwright/test",
    "@sinonjs/fake-timers",
    "@testing-library/jest-dom",
    "@testing-library/react",
    "@vitest/runner",
    "ava",
    "c8",
    "chai",
    "cypress",
    "enzyme",
    "expect",
    "expect.js",
    "fast-check",
    "jasmine",
    "jasmine-core",
    "jest",
    "jest-circus",
    "jest-cli",
    "jest-environment-jsdom",
    "karma",
    "mocha",
    "must",
    "nock",
    "nyc",
    "power-assert",
    "proxyquire",
    "qunit",
    "should",
    "sinon",
    "supertest",
    "tap",
    "tape",
    "uvu",
    "vitest",
    "zora",
    "node-tap",
];

/// Modules of Node that tests assert with or are run by.
const NODE_OWN: [&str; 8] = [
    "assert",
    "assert/strict",
    "test",
    "node:assert",
    "node:assert/strict",
    "node:test",
    "node:test/reporters",
    "node:module",
];

/// Modules (or the start of their path) that tests in Go are run by or assert with.
const GO_TESTING: [&str; 20] = [
    "github.com/stretchr/testify",
    "github.com/onsi/ginkgo",
    "github.com/onsi/gomega",
    "github.com/google/go-cmp",
    "github.com/golang/mock",
    "go.uber.org/mock",
    "go.uber.org/goleak",
    "gotest.tools",
    "gopkg.in/check.v1",
    "github.com/smartystreets",
    "github.com/franela/goblin",
    "github.com/matryer/is",
    "github.com/frankban/quicktest",
    "github.com/DATA-DOG/go-sqlmock",
    "github.com/jarcoal/httpmock",
    "github.com/go-test/deep",
    "github.com/leanovate/gopter",
    "github.com/nalgeon/be",
    "pgregory.net/rapid",
    "gotest.tools/gotestsum",
];

/// Crates of the compiler, which every test uses.
const RUST_OWN: [&str; 5] = ["std", "core", "alloc", "test", "proc_macro"];

/// Crates that tests in Rust are run by or assert with.
const RUST_TESTING: [&str; 36] = [
    "approx",
    "assert_cmd",
    "assert_fs",
    "assert_matches",
    "claims",
    "criterion",
    "datatest-stable",
    "expect-test",
    "expectorate",
    "fake",
    "goldenfile",
    "googletest",
    "httpmock",
    "insta",
    "k9",
    "libtest-mimic",
    "loom",
    "mockall",
    "mockito",
    "ntest",
    "predicates",
    "pretty_assertions",
    "proptest",
    "quickcheck",
    "rstest",
    "serial_test",
    "similar-asserts",
    "speculoos",
    "test-case",
    "test-log",
    "test-strategy",
    "tokio-test",
    "trybuild",
    "trycmd",
    "wasm-bindgen-test",
    "wiremock",
];

/// How near to the runner a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Near {
    /// It is the runner, or what every test of it uses.
    Runner,
    /// Runners and tests import it.
    Imported,
}

pub(super) fn python(name: &str) -> Option<Near> {
    if PYTHON_RUNNERS.contains(&name) {
        Some(Near::Runner)
    } else if PYTHON_TESTING.contains(&name)
        || name.starts_with("pytest_")
        || PYTHON_STANDARD.split_ascii_whitespace().any(|module| module == name)
    {
        Some(Near::Imported)
    } else {
        None
    }
}

pub(super) fn node(name: &str) -> Option<Near> {
    if NODE_OWN.contains(&name) { Some(Near::Runner) } else { NODE_TESTING.contains(&name).then_some(Near::Imported) }
}

/// The known module that an import path of Go lies in.
pub(super) fn go(path: &str) -> Option<&'static str> {
    let lies_in = |module: &&&str| {
        path.strip_prefix(**module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    };
    GO_TESTING.iter().find(lies_in).copied()
}

pub(super) fn rust(name: &str) -> Option<Near> {
    let plain = name.replace('_', "-");
    if RUST_OWN.contains(&name) || name == "proc-macro" {
        Some(Near::Runner)
    } else {
        RUST_TESTING.iter().any(|known| known.replace('_', "-") == plain).then_some(Near::Imported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_how_near_they_are() {
        for (got, wanted) in [
            (python("unittest"), Some(Near::Runner)),
            (python("json"), Some(Near::Imported)),
            (python("zoneinfo"), Some(Near::Imported)),
            (python("pytest_asyncio"), Some(Near::Imported)),
            (python("pygments"), Some(Near::Imported)),
            (python("attr"), Some(Near::Imported)),
            (python("_distutils_hack"), Some(Near::Imported)),
            (python("shop"), None),
            (python("test"), None),
            (node("chai"), Some(Near::Imported)),
            (node("node:test"), Some(Near::Runner)),
            (node("express"), None),
            (rust("std"), Some(Near::Runner)),
            (rust("pretty-assertions"), Some(Near::Imported)),
            (rust("serde"), None),
        ] {
            assert_eq!(got, wanted);
        }
        assert_eq!(go("github.com/stretchr/testify/assert"), Some("github.com/stretchr/testify"));
        assert_eq!(go("github.com/stretchr/testifying"), None);
        assert!(PYTHON_STANDARD.split_ascii_whitespace().count() > 250);
    }
}
