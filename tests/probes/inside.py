"""Tries what an agent must not be able to do, and prints what came of it as JSON: "no: why", "YES: what", or a plain fact."""

import ctypes
import errno
import fcntl
import glob
import json
import os
import signal
import socket
import struct
import sys
import urllib.error
import urllib.request

HOST = sys.argv[1]  # a folder of the host that no container has
LIBC = ctypes.CDLL(None, use_errno=True)
FOUND = {}


def trying(name):
    """Runs an attempt at once; whatever it returns is a success of the attacker, unless it is None."""

    def run(attempt):
        try:
            got = attempt()
            FOUND[name] = "no: nothing there" if got is None else f"YES: {got}"
        except (OSError, urllib.error.URLError) as error:
            FOUND[name] = f"no: {error}"

    return run


def syscall(number, *args):
    result = LIBC.syscall(number, *args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, errno.errorcode.get(code, code))
    return result


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as s:
        s.settimeout(3)
        s.connect(address)
        return f"connected to {address}"


# The network.
FOUND["interfaces"] = ",".join(sorted(name for _, name in socket.if_nameindex()))
FOUND["interfaces in /sys"] = ",".join(sorted(os.listdir("/sys/class/net")))
FOUND["routes"] = open("/proc/net/route").read().count("\n")
trying("DNS")(lambda: socket.getaddrinfo("example.org", 443))
trying("TCP to a public address")(lambda: connect(socket.AF_INET, ("1.1.1.1", 443)))
trying("TCP to the engine's bridge")(lambda: connect(socket.AF_INET, ("172.17.0.1", 22)))
trying("TCP to metadata")(lambda: connect(socket.AF_INET, ("169.254.169.254", 80)))
trying("TCP6")(lambda: connect(socket.AF_INET6, ("2606:4700:4700::1111", 443)))
trying("UDP to a name server")(lambda: connect(socket.AF_INET, ("8.8.8.8", 53), socket.SOCK_DGRAM))
trying("raw socket")(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
trying("packet socket")(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300))
trying("AF_VSOCK")(lambda: socket.socket(40, socket.SOCK_STREAM))
trying("AF_ALG")(lambda: socket.socket(38, socket.SOCK_SEQPACKET))
trying("netlink audit")(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9))

# Sockets of the host and of its engine, wherever they might be.
trying("AF_UNIX socket")(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
for path in ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", HOST + "/data/control.sock"]:
    trying(path)(lambda: path if os.path.exists(path) else None)


@trying("any other socket file")
def sockets():
    found = []
    for top in ["/run", "/var", "/tmp", "/workspace", "/in", "/out", "/opt", "/home", "/root"]:
        for folder, _, files in os.walk(top):
            paths = [os.path.join(folder, name) for name in files]
            found += [path for path in paths if os.path.exists(path) and (os.stat(path).st_mode & 0o170000) == 0o140000]
    found = [path for path in found if not path.startswith("/run/borg/")]
    return found or None


# The kernel.
trying("io_uring")(lambda: syscall(425, 8, ctypes.create_string_buffer(120)))
trying("bpf")(lambda: syscall(321, 0, ctypes.create_string_buffer(64), 64))
trying("userfaultfd")(lambda: syscall(323, 0))
trying("keyctl")(lambda: syscall(250, 0, -3, 1))
trying("perf_event_open")(lambda: syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0))
trying("unshare of users")(lambda: syscall(272, 0x10000000))
trying("mount")(lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, 0))
trying("open_by_handle_at")(lambda: syscall(304, 0, ctypes.create_string_buffer(64), 0))
trying("chroot")(lambda: os.chroot("/tmp"))
trying("a terminal's input")(lambda: fcntl.ioctl(0, 0x5412, b"x"))
trying("setuid 0")(lambda: os.setuid(0) or "root")
trying("a device")(lambda: os.mknod("/tmp/null", 0o20666, os.makedev(1, 3)) or "made")

status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"]:
    FOUND[name] = status[name].strip()
FOUND["uid"] = os.getuid()
FOUND["pid 1"] = open("/proc/1/cmdline", "rb").read().split(b"\0")[0].decode() if os.access("/proc/1/cmdline", os.R_OK) else ""

# Init, and with it everything that is not the agent's own.
trying("trace init")(lambda: syscall(101, 16, 1, 0, 0))
trying("seize init")(lambda: syscall(101, 0x4206, 1, 0, 0))
trying("read init's memory by call")(lambda: syscall(310, 1, struct.pack("QQ", 0, 0), 1, struct.pack("QQ", 0, 0), 1, 0))
for name in ["environ", "mem", "maps", "root/etc/passwd", "cwd/x", "fd/0", "exe", "stack", "auxv"]:
    trying(f"/proc/1/{name}")(lambda: open(f"/proc/1/{name}", "rb").read(1))
trying("write to init's memory")(lambda: open("/proc/1/mem", "r+b").write(b"x"))
trying("stop init")(lambda: os.kill(1, signal.SIGSTOP) or "sent")
trying("a debugger's handle of init")(lambda: syscall(438, syscall(434, 1, 0), 0, 0))

# Files.
for path in [
    "/", "/etc", "/usr/bin", "/usr/local/bin", "/lib", "/var", "/var/tmp", "/opt", "/opt/borg-init", "/in", "/run", "/run/borg", "/dev", "/dev/mqueue",
    "/sys", "/proc", "/proc/sys/kernel", "/sys/fs/cgroup", "/srv", "/mnt", "/root",
]:
    trying(f"write below {path}")(lambda: open(os.path.join(path, "x"), "w") and "written")
trying("write to a system file")(lambda: open("/etc/passwd", "a") and "opened")
trying("write core_pattern")(lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/tmp/x"))
trying("write sysrq")(lambda: open("/proc/sysrq-trigger", "w").write("b"))
trying("remount")(lambda: syscall(165, b"none", b"/", b"", 32, 0))
trying("a folder of the host")(lambda: os.listdir(HOST))
trying("the kernel's memory")(lambda: open("/proc/kcore", "rb").read(1))
trying("the kernel's log")(lambda: open("/dev/kmsg", "rb").read(1))
FOUND["devices"] = ",".join(sorted(os.listdir("/dev")))

# What the gateway serves through the loopback bridge, and to whom.
BASE = os.environ.get("PROBE_GATEWAY", "")


def ask(path, method="POST", headers=None, body=b"{}"):
    request = urllib.request.Request(BASE + path, data=body if method == "POST" else None, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return f"{answer.status} {answer.read(200)!r}"
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.read(600).decode()}") from error


def raw(text):
    host, port = BASE.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(text.encode())
        answer = s.recv(500).decode(errors="replace")
    first = answer.split("\r\n")[0]
    if " 2" in first:
        return answer
    raise OSError(answer)


if BASE:
    key = {"x-api-key": "sk-ant-borg-placeholder", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    hello = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    FOUND["the model"] = ask("/v1/messages", headers=key, body=json.dumps(hello).encode())
    own = {**key, "x-api-key": "sk-ant-my-own"}
    trying("gateway with a key of one's own")(lambda: ask("/v1/messages", headers=own, body=json.dumps(hello).encode()))
    for path in ["/", "/v1/messages/batches", "/v1/files", "/v1/models", "/v1/complete", "//v1/messages", "/v1/messages/../files",
                 "/v1/%6dessages", "/v1/messages/", "/v1/organizations/me", "/healthz", "/metrics"]:
        trying(f"gateway {path}")(lambda: ask(path, headers=key))
    trying("gateway GET /v1/messages")(lambda: ask("/v1/messages", "GET", key))
    trying("gateway DELETE /v1/messages")(lambda: ask("/v1/messages", "DELETE", key))
    trying("gateway absolute form")(lambda: raw("GET http://example.org/ HTTP/1.1\r\nhost: example.org\r\n\r\n"))
    trying("gateway CONNECT")(lambda: raw("CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n"))
    image = {"type": "image", "source": {"type": "url", "url": "http://example.org/x.png"}}
    url_source = {**hello, "messages": [{"role": "user", "content": [image]}]}
    trying("gateway URL source")(lambda: ask("/v1/messages", headers=key, body=json.dumps(url_source).encode()))
    for path in glob.glob("/run/borg/*"):
        trying(f"direct {path}")(lambda: connect(socket.AF_UNIX, path))


# Secrets.
FOUND["environment"] = "\n".join(f"{name}={value}" for name, value in os.environ.items())
environs = []
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        environs.append(open(path, "rb").read().decode(errors="replace"))
    except OSError:
        pass
FOUND["all environments"] = "\n".join(environs)

json.dump(FOUND, sys.stdout, indent=1)
