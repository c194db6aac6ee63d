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
        match UnixStream::connect(socket) {
            Ok(gateway) => return Ok(Some(gateway)),
            Err(why)
                if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock) => {
            }
            Err(why) => return Err(why),
        }
        if Instant::now() >= deadline || hangs_up_within(client, RETRY)? {
            return Ok(None);
        }
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
