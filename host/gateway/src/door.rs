//! The socket of one run: who may come in, how many at once, and when it ends.

use crate::{
    News, Rule,
    entry::Entry,
    refusal::{Refusal, Remedy},
    request,
    run::{Run, Tasks},
    say::{Body, Said},
    socket::Socket,
    wire::Wire,
};
use borg_core::budget::{Cap, Spent};
use futures_util::future::poll_fn;
use hyper::{
    Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot, watch},
    time::timeout,
};

/// How long a stranger gets to take its refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Pause after an `accept` that failed (no descriptor left, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open door of one run. Dropping it shuts it too, without waiting.
pub struct Door {
    run: Arc<Run>,
    socket: Socket,
    admitted: watch::Sender<Option<i32>>,
    closing: watch::Sender<bool>,
    /// The listener and the connections; requests are in [`Run::tasks`].
    connections: Tasks,
}

impl Door {
    /// Starts to listen on a bound socket.
    pub(crate) fn listen(run: Arc<Run>, socket: Socket, listener: UnixListener) -> Door {
        let door = Door {
            run,
            socket,
            admitted: watch::Sender::new(None),
            closing: watch::Sender::new(false),
            connections: Tasks::default(),
        };
        let hall = Hall {
            run: Arc::clone(&door.run),
            admitted: door.admitted.subscribe(),
            closing: door.closing.subscribe(),
            connections: door.connections.clone(),
            places: Arc::new(Semaphore::new(door.run.limits.connections)),
        };
        door.connections.spawn(hall.accept(listener));
        door
    }

    /// Sets the only process that is served, by its id in the host's namespace, and starts wall time. Before that every
    /// connection waits, for [`crate::Limits::admit_time`] at most. Another id replaces it for new connections.
    pub fn admit(&self, pid: i32) {
        self.run.account.begin();
        self.admitted.send_replace(Some(pid));
    }

    /// What this run has spent so far, its wall time since [`Door::admit`] included. Final after [`Door::settled`].
    pub fn spent(&self) -> Spent {
        self.run.account.spent()
    }

    /// The limit that a request of this run was refused for, if one was. None if the run used up its budget with its last
    /// request and asked for no more.
    pub fn cap(&self) -> Option<Cap> {
        self.run.account.cap()
    }

    /// News from now on. A listener that falls 64 behind loses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<News> {
        self.run.news.subscribe()
    }

    /// Stops listening, removes the socket, cuts all connections, and returns when they are dead. Nothing is forwarded
    /// after that; responses under way are read to their end elsewhere, see [`Door::settled`].
    pub async fn close(&self) {
        self.shut();
        self.connections.ended().await;
    }

    /// Returns when all requests are settled and recorded, or at least what they may cost: after [`Door::close`] within
    /// [`crate::Limits::drain_time`]. Those whose answer has not begun by then go on behind the run, and are recorded when it is known.
    pub async fn settled(&self) -> Spent {
        self.run.tasks.ended().await;
        self.spent()
    }

    fn shut(&self) {
        self.run.shut();
        if !self.closing.send_replace(true)
            && let Err(error) = self.socket.remove()
        {
            tracing::warn!(run = %self.run.key, socket = %self.socket.path().display(), %error, "socket not removed");
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

/// What the listener hands to each connection.
#[derive(Clone)]
struct Hall {
    run: Arc<Run>,
    admitted: watch::Receiver<Option<i32>>,
    closing: watch::Receiver<bool>,
    connections: Tasks,
    places: Arc<Semaphore>,
}

impl Hall {
    async fn accept(mut self, listener: UnixListener) {
        loop {
            let place = Arc::clone(&self.places).acquire_owned();
            let next = async {
                // The semaphore is never closed.
                let place = place.await.ok()?;
                Some((listener.accept().await, place))
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                _ = self.closing.wait_for(|closing| *closing) => return,
            };
            match accepted {
                Some((Ok((stream, _)), place)) => {
                    let hall = self.clone();
                    self.connections.spawn(hall.receive(stream, place));
                }
                Some((Err(error), _)) => {
                    tracing::warn!(run = %self.run.key, %error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None => return,
            }
        }
    }

    /// One connection, cut when the door closes.
    async fn receive(self, stream: UnixStream, place: OwnedSemaphorePermit) {
        let mut closing = self.closing.clone();
        tokio::select! {
            () = self.serve(stream) => {}
            _ = closing.wait_for(|closing| *closing) => {}
        }
        drop(place);
    }

    async fn serve(&self, stream: UnixStream) {
        // Taken when the peer connected; 0 is no process's id.
        let peer = stream.peer_cred().ok().and_then(|credentials| credentials.pid()).unwrap_or(0);
        match timeout(self.run.limits.admit_time, self.admitted()).await {
            Ok(Some(pid)) if peer != 0 && pid == peer => {}
            Ok(Some(_)) => {
                let refusal = self.stranger("the process at the other end is not the run's");
                return self.turn_away(stream, peer, &refusal, StatusCode::FORBIDDEN).await;
            }
            Ok(None) => return,
            Err(_) => {
                let refusal = self.stranger("no process was admitted in time");
                return self.turn_away(stream, peer, &refusal, StatusCode::FORBIDDEN).await;
            }
        }
        let limits = &self.run.limits;
        let service = service_fn(|request| Box::pin(answer(Arc::clone(&self.run), peer, request)));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes.max(8 << 10))
            .serve_connection(TokioIo::new(Wire::new(stream)), service);
        let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await else { return };
        tracing::debug!(run = %self.run.key, %error, "connection ended");
        if !error.is_parse() {
            return;
        }
        let wire = connection.into_parts().io.into_inner();
        let status = wire.kept_back.and_then(|status| StatusCode::from_u16(status).ok());
        let detail = format!(
            "the head is no HTTP/1.1, or longer than {} headers or {} bytes",
            limits.headers, limits.head_bytes
        );
        let refusal = Refusal::new(Rule::Head, detail);
        self.turn_away(wire.stream, peer, &refusal, status.unwrap_or(StatusCode::BAD_REQUEST)).await;
    }

    /// Nobody that this door is for.
    fn stranger(&self, detail: &str) -> Refusal {
        let refusal = Refusal::new(Rule::Peer, detail);
        match self.run.ways.first() {
            Some(way) => {
                let address = way.address();
                let words = format!("only the run's own init process is served; use the address in {address}");
                refusal.with(Remedy::Client(words.into()))
            }
            None => refusal,
        }
    }

    /// The admitted process, once there is one; none if the door goes away first.
    async fn admitted(&self) -> Option<i32> {
        let mut admitted = self.admitted.clone();
        let pid = admitted.wait_for(Option::is_some).await.ok()?;
        *pid
    }

    /// Records what was no request yet and says why it goes no further. The row is written even if the door closes meanwhile.
    async fn turn_away(&self, mut stream: UnixStream, peer: i32, refusal: &Refusal, status: StatusCode) {
        if self.run.is_shut() {
            return;
        }
        let (recorded, wait) = oneshot::channel();
        let (entry, rule) = (Entry::open(&self.run, peer), refusal.rule);
        self.run.tasks.spawn(async move {
            // Nobody waiting any more is no reason not to have recorded it.
            let _ = recorded.send(entry.refuse(rule, status).await);
        });
        if !matches!(wait.await, Ok(Ok(()))) {
            return;
        }
        let host = self.run.ways.first().map_or("", |way| way.host());
        let (head, body) = self.run.say(None, &Said::Refused { refusal, host }).into_parts();
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let told = timeout(REFUSAL_TIME, async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.shutdown().await
        });
        if let Ok(Err(error)) = told.await {
            tracing::debug!(run = %self.run.key, %error, "refusal not delivered");
        }
    }
}

/// Hands a request to a task of its own and waits for the head of the answer.
async fn answer(run: Arc<Run>, peer: i32, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (answer, answered) = oneshot::channel();
    // It may leave the count before it ends: see [`exchange::serve`].
    let waited_for = run.tasks.enter();
    tokio::spawn(request::serve(run, (peer, waited_for), request, answer));
    answered.await.map_err(|_| io::Error::other("the request was abandoned"))
}
