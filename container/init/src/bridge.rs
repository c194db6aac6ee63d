//! 127.0.0.1 to the gateway's Unix socket. While the host is away, new connections wait for it instead of failing.

use crate::error::Error;
use borg_init::Bridge;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Connections served at once; further ones wait in the listener's queue. Two threads each, which count against the container's `pids`.
const CONNECTIONS: usize = 32;
/// Time between two attempts to reach the gateway.
const RETRY: Duration = Duration::from_millis(100);

/// Binds the port, so that connections queue from before the agent starts.
pub fn listen(bridge: &Bridge) -> Result<TcpListener, Error> {
    TcpListener::bind(("127.0.0.1", bridge.port)).map_err(Error::io(format!("listen on 127.0.0.1:{}", bridge.port)))
}

/// Serves `listener` on threads of their own, for as long as this process lives.
pub fn serve(listener: TcpListener, bridge: Bridge) -> Result<(), Error> {
    let started = thread::Builder::new().name("bridge".into()).spawn(move || {
        let places = Arc::new(Places::default());
        let bridge = Arc::new(bridge);
        loop {
            let place = Places::take(&places);
            let client = match listener.accept() {
                Ok((client, _)) => client,
                // Out of descriptors or memory: places free themselves when a connection ends, and polling the queue again is all there is to do.
                Err(_) => {
                    thread::sleep(RETRY);
                    continue;
                }
            };
            let bridge = Arc::clone(&bridge);
            // Without a thread to be had, the connection is dropped and the client sees it closed.
            let _ = thread::Builder::new().spawn(move || {
                let _place = place;
                if let Ok(Some(gateway)) = reach(&client, &bridge.socket, Duration::from_millis(bridge.hold_ms)) {
                    let _ = join(client, gateway);
                }
            });
        }
    });
    started.map(drop).map_err(Error::io("start the bridge"))
}

/// Connects to the gateway, trying again while it is away. None when `hold` passed or the client gave up.
fn reach(client: &TcpStream, socket: &Path, hold: Duration) -> io::Result<Option<UnixStream>> {
    let deadline = Instant::now() + hold;
    loop {
        match UnixStream::connect(socket).and_then(|gateway| until_asked(client, gateway)) {
            Ok(gateway) => return Ok(Some(gateway)),
            Err(why) if passes(&why) => {}
            Err(why) => return Err(why),
        }
        if Instant::now() >= deadline || hangs_up_within(client, RETRY)? {
            return Ok(None);
        }
    }
}

/// True for what is over once the host is back, or has put its socket there in full: a socket that is not there yet, that nobody listens
/// at, that is not open to us, or that went away with a connection nobody had taken; and what is short for a moment.
fn passes(why: &io::Error) -> bool {
    const PASSING: [Errno; 12] = [
        Errno::ENOENT,
        Errno::ECONNREFUSED,
        Errno::EACCES,
        Errno::EPERM,
        Errno::EAGAIN,
        Errno::ECONNRESET,
        Errno::ECONNABORTED,
        Errno::EINTR,
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOMEM,
        Errno::ENOBUFS,
    ];
    why.raw_os_error().is_some_and(|errno| PASSING.contains(&Errno::from_raw(errno)))
}

/// Waits until one side has something to say. A host that ends before it has taken the connection resets it; while nothing was passed on,
/// that loses nothing, and the connection is one to make anew.
fn until_asked(client: &TcpStream, gateway: UnixStream) -> io::Result<UnixStream> {
    let mut fds = [PollFd::new(client.as_fd(), PollFlags::POLLIN), PollFd::new(gateway.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::NONE) {
        Err(Errno::EINTR) => {}
        polled => drop(polled?),
    }
    match gateway.take_error()? {
        Some(why) => Err(why),
        None => Ok(gateway),
    }
}

fn hangs_up_within(client: &TcpStream, time: Duration) -> io::Result<bool> {
    // A client that closed only its own side counts as gone as well: no client of a model's interface does that.
    let mut fds = [PollFd::new(client.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP))];
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, time) {
        Ok(_) => Ok(fds[0].any().unwrap_or(true)),
        Err(Errno::EINTR) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Copies both ways until both sides have finished, passing on each side's end.
fn join(client: TcpStream, gateway: UnixStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (client_too, gateway_too) = (client.try_clone()?, gateway.try_clone()?);
    let back = thread::Builder::new().spawn(move || {
        pump(&gateway_too, &client_too);
        let _ = client_too.shutdown(Shutdown::Write);
        // A gateway that is gone takes no more requests.
        let _ = client_too.shutdown(Shutdown::Read);
    })?;
    pump(&client, &gateway);
    let _ = gateway.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}

/// Copies until the end or the first error; without buffering beyond what one read gives, so that streams stay live.
fn pump(mut from: impl Read, mut to: impl Write) {
    let mut chunk = [0; 16 * 1024];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                if to.write_all(&chunk[..length]).is_err() {
                    return;
                }
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// How many connections are being served.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of [`CONNECTIONS`]; free again when dropped.
struct Place(Arc<Places>);

impl Places {
    fn take(this: &Arc<Self>) -> Place {
        let taken = this.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            this.freed.wait_while(taken, |taken| *taken >= CONNECTIONS).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Place(Arc::clone(this))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::net::UnixListener};

    const LIMIT: Duration = Duration::from_secs(60);

    /// Both ends of a connection as the agent makes it.
    fn client() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let agent = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        (agent, listener.accept().expect("accepted").0)
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for errno in [Errno::ENOENT, Errno::ECONNREFUSED, Errno::EACCES, Errno::EPERM, Errno::EAGAIN, Errno::EINTR] {
            assert!(passes(&errno.into()), "{errno}");
        }
        for errno in [Errno::ENOTDIR, Errno::ELOOP, Errno::ENAMETOOLONG, Errno::EPROTOTYPE, Errno::EINVAL] {
            assert!(!passes(&errno.into()), "{errno}");
        }
        // What the standard library itself finds fault with is no matter of time.
        let (_agent, client) = client();
        reach(&client, Path::new(&"x".repeat(200)), LIMIT).expect_err("the path is too long");
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("file"), "").expect("a file");
        reach(&client, &dir.path().join("file/gateway.sock"), LIMIT).expect_err("a file has nothing below it");
    }

    /// The kernel refuses root nothing by its mode, so what stands for "not open yet" here is a socket nobody listens at.
    #[test]
    fn a_connection_that_no_host_took_is_made_anew() {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("gateway.sock");
        let killed = UnixListener::bind(&socket).expect("bound");
        let (mut agent, client) = client();
        let held = thread::spawn({
            let socket = socket.clone();
            move || reach(&client, &socket, LIMIT)
        });
        // It stands in the queue of a host that ends without having looked.
        let mut queued = [PollFd::new(killed.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut queued, PollTimeout::try_from(LIMIT).expect("short")), Ok(1));
        drop(killed);
        fs::remove_file(&socket).expect("removed");
        let next = UnixListener::bind(&socket).expect("bound again");
        let mut queued = [PollFd::new(next.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut queued, PollTimeout::try_from(LIMIT).expect("short")), Ok(1), "nobody came again");
        agent.write_all(b"?").expect("asked");
        let gateway = held.join().expect("it ends").expect("no error").expect("the client is there");
        (&gateway).write_all(b"?").expect("passed on");
        let mut question = [0];
        next.accept().expect("it waits").0.read_exact(&mut question).expect("a question");
        assert_eq!(&question, b"?");
    }
}
