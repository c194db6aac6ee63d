//! The file system of the local sandbox: a new root with the host's programs read-only and what the job names, and nothing else of the host.
//!
//! Made by the first process of new mount and process namespaces that holds CAP_SYS_ADMIN over them. The old root is moved aside with
//! `pivot_root(2)` first, so that sources are found below [`HOST`] wherever they lie, and is detached in the end.

use crate::error::Error;
use borg_init::{HOME, IN, Local, Mount, OUT, WORKSPACE};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{Gid, Uid, chdir, pivot_root},
};
use std::{
    ffi::CString,
    fs,
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
};

/// Where the old root is while the new one is made.
const HOST: &str = "/.host";
/// A directory every host has; the new root is mounted over it for a moment.
const FOOTHOLD: &str = "/tmp";

/// Programs and libraries. Links among them are made again as links.
const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];

/// The part of `/etc` that programs need and that is nobody's secret. Users, hosts and name services are written anew.
const ETC: [&str; 18] = [
    "alternatives",
    "ca-certificates",
    "debian_version",
    "java-17-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "python3",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];

const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Places inside that no mount of a job may cover or lie in: they are made here.
const OURS: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys"];

/// A job's mounts with their sources resolved on the host.
pub struct Layout {
    mounts: Vec<Mount>,
    exec: bool,
    user: Uid,
    group: Gid,
}

impl Layout {
    /// Checks what the job asks for while the host's names still mean what they say.
    pub fn check(local: &Local, exec: bool, user: Uid, group: Gid) -> Result<Self, Error> {
        let mut mounts = Vec::new();
        for mount in &local.mounts {
            let Mount { host, inside, writable } = mount;
            let plain = inside.is_absolute()
                && inside.components().skip(1).all(|part| matches!(part, Component::Normal(_)))
                && inside.components().count() > 1;
            if !plain || OURS.iter().any(|ours| inside.starts_with(ours)) {
                return Err(Error::Job(format!("nothing can be mounted at `{}`", inside.display())));
            }
            let host = host.canonicalize().map_err(|source| Error::Read { path: host.clone(), source })?;
            mounts.push(Mount { host, inside: inside.clone(), writable: *writable });
        }
        if !mounts.iter().any(|mount| mount.inside == Path::new(WORKSPACE)) {
            return Err(Error::Job(format!("no mount for `{WORKSPACE}`")));
        }
        Ok(Self { mounts, exec, user, group })
    }

    /// The agent's user.
    pub fn user(&self) -> Uid {
        self.user
    }

    /// The agent's group.
    pub fn group(&self) -> Gid {
        self.group
    }

    /// Makes the new root and enters it; `missing` gets what could not be had.
    pub fn enter(&self, missing: &mut Vec<String>) -> Result<(), Error> {
        // Some distributions give user namespaces to everybody but no capability in them: this is the first call to notice.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).map_err(
            |source| borg_confine::Error::Namespace { what: "mount namespace that can be changed".into(), source },
        )?;
        attach(
            Some("tmpfs"),
            FOOTHOLD,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some("mode=755,size=4m"),
        )?;
        let aside = format!("{FOOTHOLD}{HOST}");
        make_directory(&aside)?;
        pivot_root(FOOTHOLD, aside.as_str()).map_err(Error::sys("make a new root"))?;
        chdir("/").map_err(Error::sys("enter the new root"))?;

        self.system()?;
        self.devices()?;
        self.processes(missing)?;
        for place in ["/tmp", HOME] {
            make_directory(place)?;
            if !self.mounts.iter().any(|mount| mount.inside == Path::new(place)) {
                self.memory(place, if place == HOME { "700" } else { "1777" })?;
            }
        }
        for place in [WORKSPACE, IN, OUT] {
            make_directory(place)?;
        }
        for mount in &self.mounts {
            self.show(mount)?;
        }

        umount2(HOST, MntFlags::MNT_DETACH).map_err(Error::sys("let go of the old root"))?;
        fs::remove_dir(HOST).map_err(Error::io("let go of the old root"))?;
        set_flags("/", libc::MOUNT_ATTR_RDONLY, Below::No)
    }

    fn system(&self) -> Result<(), Error> {
        for place in SYSTEM {
            let source = on_host(Path::new(place));
            let Ok(found) = fs::symlink_metadata(&source) else { continue };
            if found.is_symlink() {
                let target = fs::read_link(&source).map_err(Error::io(format!("read the link `{place}`")))?;
                symlink(target, place).map_err(Error::io(format!("make the link `{place}`")))?;
            } else {
                make_directory(place)?;
                bind(&source, Path::new(place), libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV)?;
            }
        }
        make_directory("/etc")?;
        for name in ETC {
            // Links lead somewhere on the host; what they lead to is shown in their place.
            let place = Path::new("/etc").join(name);
            let Some(source) = resolve_on_host(&place) else { continue };
            mount_point(&source, &place)?;
            bind(&source, &place, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC)?;
        }
        let (user, group) = (self.user, self.group);
        for (name, text) in [
            (
                "passwd",
                format!(
                    "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\nagent:x:{user}:{group}:agent:{HOME}:/bin/sh\n"
                ),
            ),
            ("group", format!("root:x:0:\nnogroup:x:65534:\nagent:x:{group}:\n")),
            ("hosts", "127.0.0.1 localhost\n".to_owned()),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        ] {
            fs::write(Path::new("/etc").join(name), text).map_err(Error::io(format!("write `/etc/{name}`")))?;
        }
        Ok(())
    }

    fn devices(&self) -> Result<(), Error> {
        make_directory("/dev")?;
        for name in NODES {
            let place = Path::new("/dev").join(name);
            fs::write(&place, "").map_err(Error::io(format!("make `{}`", place.display())))?;
            bind(&on_host(&place), &place, libc::MOUNT_ATTR_NOEXEC)?;
        }
        for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
            symlink(Path::new("/proc/self").join(target), Path::new("/dev").join(name))
                .map_err(Error::io(format!("make `/dev/{name}`")))?;
        }
        make_directory("/dev/shm")?;
        self.memory("/dev/shm", "1777")
    }

    /// A view of this process namespace only. Inside another container the kernel may refuse it, since that one's view is covered in part.
    fn processes(&self, missing: &mut Vec<String>) -> Result<(), Error> {
        make_directory("/proc")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        match mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>) {
            Ok(()) => Ok(()),
            Err(Errno::EPERM) => {
                missing.push("no /proc: the kernel refuses one inside this container".into());
                Ok(())
            }
            Err(why) => Err(Error::sys("mount /proc")(why)),
        }
    }

    /// A small memory file system that belongs to the agent.
    fn memory(&self, place: &str, mode: &str) -> Result<(), Error> {
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        if !self.exec {
            flags |= MsFlags::MS_NOEXEC;
        }
        // An empty file takes no size but the kernel's own memory.
        let options = format!("mode={mode},size=64m,nr_inodes=16k,uid={},gid={}", self.user, self.group);
        attach(Some("tmpfs"), place, Some("tmpfs"), flags, Some(&options))
    }

    fn show(&self, mount: &Mount) -> Result<(), Error> {
        let source = on_host(&mount.host);
        mount_point(&source, &mount.inside)?;
        let real =
            mount.inside.canonicalize().map_err(Error::io(format!("find `{}` inside", mount.inside.display())))?;
        if real != mount.inside {
            return Err(Error::Job(format!("`{}` is behind a link and cannot be mounted", mount.inside.display())));
        }
        let mut flags = libc::MOUNT_ATTR_NODEV;
        if !mount.writable {
            flags |= libc::MOUNT_ATTR_RDONLY;
        } else if !self.exec {
            flags |= libc::MOUNT_ATTR_NOEXEC;
        }
        bind(&source, &mount.inside, flags)
    }
}

fn on_host(path: &Path) -> PathBuf {
    Path::new(HOST).join(path.strip_prefix("/").unwrap_or(path))
}

/// What `path` leads to on the host, following links as the host would, with the host's root for `/`. None when it leads nowhere.
fn resolve_on_host(path: &Path) -> Option<PathBuf> {
    const LINKS: usize = 40;
    let mut rest: Vec<PathBuf> = vec![path.into()];
    let (mut found, mut links) = (PathBuf::from(HOST), 0);
    while let Some(next) = rest.pop() {
        let parts: Vec<_> = next.components().collect();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Component::RootDir => found = HOST.into(),
                Component::ParentDir if found != Path::new(HOST) => drop(found.pop()),
                Component::Normal(name) => {
                    let step = found.join(name);
                    if fs::symlink_metadata(&step).ok()?.is_symlink() {
                        links += 1;
                        if links > LINKS {
                            return None;
                        }
                        rest.push(parts[at + 1..].iter().collect());
                        rest.push(fs::read_link(&step).ok()?);
                        break;
                    }
                    found = step;
                }
                Component::ParentDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }
    found.exists().then_some(found)
}

/// Makes something to mount `source` on, unless it is there.
fn mount_point(source: &Path, place: &Path) -> Result<(), Error> {
    if fs::symlink_metadata(place).is_ok() {
        return Ok(());
    }
    if source.is_dir() {
        return make_directory(place);
    }
    if let Some(parent) = place.parent() {
        make_directory(parent)?;
    }
    fs::write(place, "").map_err(Error::io(format!("make `{}` to mount on", place.display())))
}

fn make_directory(place: impl AsRef<Path>) -> Result<(), Error> {
    fs::create_dir_all(&place).map_err(Error::io(format!("make the directory `{}`", place.as_ref().display())))
}

/// Shows `source` at `place`, with everything mounted below it, never setuid, with `flags` (`MOUNT_ATTR_…`) on all of it.
fn bind(source: &Path, place: &Path, flags: u64) -> Result<(), Error> {
    mount(Some(source), place, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(Error::sys(format!("show `{}`", place.display())))?;
    set_flags(place, flags | libc::MOUNT_ATTR_NOSUID, Below::Yes)
}

fn attach(
    source: Option<&str>,
    place: &str,
    kind: Option<&str>,
    flags: MsFlags,
    options: Option<&str>,
) -> Result<(), Error> {
    mount(source, place, kind, flags, options).map_err(Error::sys(format!("mount `{place}`")))
}

/// Whether mounts below are meant as well.
enum Below {
    Yes,
    No,
}

/// Adds mount flags by `mount_setattr(2)` (Linux 5.12, older than Landlock): the only way that reaches mounts below in one step.
fn set_flags(place: impl AsRef<Path>, flags: u64, below: Below) -> Result<(), Error> {
    let place = place.as_ref();
    let path =
        CString::new(place.as_os_str().as_encoded_bytes()).map_err(|_| Error::Job("NUL byte in a path".into()))?;
    let change = libc::mount_attr { attr_set: flags, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let reach = match below {
        Below::Yes => libc::AT_RECURSIVE,
        Below::No => 0,
    };
    // SAFETY: the path and the structure live across the call, and the size given is the structure's.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            reach,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(done).map(drop).map_err(Error::sys(format!("set the flags of `{}`", place.display())))
}
