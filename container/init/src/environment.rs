//! The agent's environment, built from nothing: what an image sets arrives only by name, what changes which code a program loads never does.

use crate::error::Error;
use borg_init::{AGENT, HOME, Job, PATH};
use std::ffi::CString;

/// Variables of an image that reach the agent. They say where its tools are and how text is encoded.
const FROM_IMAGE: [&str; 14] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "JAVA_HOME",
    "GOROOT",
    "GOPATH",
    "GOTOOLCHAIN",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "VIRTUAL_ENV",
];

/// Variables nobody may set: the dynamic loader and interpreters run code because of them, before the program has a say.
const NEVER: [&str; 12] = [
    "GLIBC_TUNABLES",
    "NODE_OPTIONS",
    "BASH_ENV",
    "ENV",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "GCONV_PATH",
];

/// Name and value pairs, later ones winning: defaults, `image`, the job's, and what init alone decides.
///
/// # Errors
/// When the job names a variable of [`NEVER`] or one that is none.
pub fn build(image: impl Iterator<Item = (String, String)>, job: &Job) -> Result<Vec<(String, String)>, Error> {
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned()), ("LANG".to_owned(), "C.UTF-8".to_owned())];
    let mut set = |name: &str, value: &str| match environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => value.clone_into(old),
        None => environment.push((name.to_owned(), value.to_owned())),
    };
    for (name, value) in image.filter(|(name, value)| FROM_IMAGE.contains(&name.as_str()) && !value.is_empty()) {
        set(&name, &value);
    }
    for (name, value) in &job.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::Job(format!("`{}` is no name of a variable", name.escape_debug())));
        }
        if name.starts_with("LD_") || NEVER.contains(&name.as_str()) {
            return Err(Error::Job(format!("the environment may not set `{name}`: it makes programs load other code")));
        }
        set(name, value);
    }
    set("HOME", HOME);
    set("TMPDIR", "/tmp");
    set("PWD", &job.cwd);
    if job.agent_first
        && let Some((_, path)) = environment.iter_mut().find(|(name, _)| name == "PATH")
    {
        path.insert_str(0, &format!("{AGENT}/bin:"));
    }
    Ok(environment)
}

/// The form `execve(2)` takes.
pub fn encode(environment: &[(String, String)]) -> Result<Vec<CString>, Error> {
    environment.iter().map(|(name, value)| text(format!("{name}={value}"))).collect()
}

/// A C string, or a refusal for text with a NUL in it.
pub fn text(text: impl Into<Vec<u8>>) -> Result<CString, Error> {
    CString::new(text)
        .map_err(|why| Error::Job(format!("NUL byte at {} of an argument or variable", why.nul_position())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(image: &[(&str, &str)], job: &[(&str, &str)]) -> Result<Vec<(String, String)>, Error> {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        build(own(image).into_iter(), &Job { env: own(job), ..Job::new(vec!["x".into()], 1) })
    }

    fn value<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = environment.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} is set twice");
        first.map(|(_, value)| value.as_str())
    }

    #[test]
    fn an_image_sets_what_is_listed_and_nothing_else() {
        let image = [
            ("PATH", "/image/bin"),
            ("TZ", "UTC"),
            ("LD_PRELOAD", "/evil.so"),
            ("NODE_OPTIONS", "-r /evil"),
            ("HOME", "/root"),
            ("FOO", "1"),
        ];
        let environment = built(&image, &[("LANG", "de_AT.UTF-8"), ("FOO", "2")]).expect("built");
        for (name, expected) in [
            ("PATH", Some("/image/bin")),
            ("TZ", Some("UTC")),
            ("LD_PRELOAD", None),
            ("NODE_OPTIONS", None),
            ("HOME", Some(HOME)),
            ("FOO", Some("2")),
            ("LANG", Some("de_AT.UTF-8")),
            ("PWD", Some("/workspace")),
        ] {
            assert_eq!(value(&environment, name), expected, "{name}");
        }
    }

    #[test]
    fn the_agents_programs_come_first_where_there_is_one() {
        let job = Job { agent_first: true, ..Job::new(vec!["x".into()], 1) };
        let image = [("PATH".to_owned(), "/image/bin".to_owned())];
        let environment = build(image.into_iter(), &job).expect("built");
        assert_eq!(value(&environment, "PATH"), Some("/opt/agent/bin:/image/bin"));
    }

    #[test]
    fn a_job_cannot_set_what_loads_code() {
        for name in ["LD_PRELOAD", "LD_AUDIT", "NODE_OPTIONS", "BASH_ENV", "", "A=B", "A\0"] {
            assert!(built(&[], &[(name, "x")]).is_err(), "{name:?}");
        }
        assert!(built(&[], &[("PATH", "/opt/agent:/usr/bin")]).is_ok());
    }
}
