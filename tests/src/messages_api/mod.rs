//! A stand-in for Anthropic's Messages API that plays scripts: authenticates, validates, streams, fails on order and remembers what it saw.
//!
//! It speaks for nothing but itself: which persona says what is a [`Script`], what a test makes of the requests is the test's. Plain HTTP on
//! loopback, a port chosen by the kernel, its own runtime, so that synchronous tests may use it; everything ends when the value is dropped.
//!
//! | file | holds |
//! |---|---|
//! | `script.rs` | what is played, as data |
//! | `validate.rs` | what the real API would refuse |
//! | `play.rs` | request in, answer out: which turn of which run |
//! | `stream.rs` | a message as JSON or as server-sent events |
//! | `deliver.rs` | the answer on the wire, with its faults |
//! | `record.rs` | what was seen |

mod deliver;
mod error;
mod play;
mod record;
mod script;
mod stream;
mod validate;

pub use record::{Seen, ToolResult};
pub use script::{Call, Expect, Fault, FaultKind, Persona, Run, Script, Turn, Usage};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use error::ApiError;
use play::Play;
use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The real API refuses larger bodies.
const BODY_LIMIT: usize = 32 << 20;

/// How to start a stand-in.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// The key that is accepted, as `x-api-key` or as a bearer token.
    pub key: String,
    pub script: Script,
    /// Cuts streams into pieces of seven bytes, so that no reader gets away with one event per read.
    pub torn: bool,
}

impl Options {
    pub fn new(key: &str, script: Script) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), key: key.into(), script, torn: false }
    }
}

/// A running stand-in.
pub struct MessagesApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    key: String,
    torn: bool,
    play: Mutex<Play>,
    changed: Condvar,
    /// Whether answers that were held go out.
    held: watch::Sender<bool>,
}

impl Shared {
    fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().expect("no handler panics while it holds the lock")
    }

    async fn is_let_go(&self) {
        // The sender is ours: it does not go before this does.
        let _ = self.held.subscribe().wait_for(|let_go| *let_go).await;
    }

    /// Changes the record of request `n` and wakes who waits for it.
    fn note(&self, n: u64, change: impl FnOnce(&mut Seen)) {
        self.play().note(n, change);
        self.changed.notify_all();
    }
}

impl MessagesApi {
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind(options.listen).context("binding the stand-in")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            key: options.key,
            torn: options.torn,
            play: Mutex::new(Play::new(options.script)),
            changed: Condvar::new(),
            held: watch::Sender::new(false),
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        // Entered only to register the socket: the caller may be inside a runtime of its own.
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// What clients take as their base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.play().seen().to_vec()
    }

    /// Requests for messages, leaving out those that only look whether somebody is there.
    pub fn asked(&self) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.method == "POST" && seen.path.split('?').next() == Some("/v1/messages"))
            .collect()
    }

    /// Requests played for one persona.
    pub fn seen_of(&self, persona: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.persona.as_deref() == Some(persona)).collect()
    }

    /// What went other than the script says: unexpected tool results, turns beyond the last, requests of nobody in the script.
    pub fn problems(&self) -> Vec<String> {
        self.shared.play().problems().to_vec()
    }

    /// Tokens of all answers that were sent to their end.
    pub fn billed(&self) -> Usage {
        let mut sum = Usage::default();
        self.seen().iter().filter_map(|seen| seen.billed).for_each(|usage| sum += usage);
        sum
    }

    /// Lets every answer go that is held, and those that would be from now on.
    pub fn let_go(&self) {
        self.shared.held.send_replace(true);
    }

    /// Waits until what was seen satisfies `enough`.
    ///
    /// # Errors
    /// After `limit`, with one line per request seen.
    pub fn wait_until(&self, limit: Duration, enough: impl Fn(&[Seen]) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        let mut play = self.shared.play();
        while !enough(play.seen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines: Vec<String> =
                    play.seen().iter().map(|s| format!("{} {} {:?} → {}", s.n, s.path, s.persona, s.status)).collect();
                anyhow::bail!("not within {limit:?}; seen:\n{}", lines.join("\n"));
            }
            play = self.shared.changed.wait_timeout(play, left).expect("no handler panics while it holds the lock").0;
        }
        Ok(())
    }
}

impl Drop for MessagesApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(Body::new(body), BODY_LIMIT).await;
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let raw = read.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let n = shared.play().arrive(parts.method.as_str(), path, headers.collect(), raw);
    shared.changed.notify_all();
    let request_id = format!("req_01{n:022}");
    let answer = match read {
        Ok(_) => decide(&shared, n),
        Err(_) => Err(ApiError::new(413, "Request exceeds the maximum allowed number of bytes.")),
    };
    match answer {
        Ok(answer) => deliver::answer(shared, n, answer, &request_id).await,
        Err(error) => {
            shared.note(n, |seen| seen.status = error.status);
            error.into_response(&request_id)
        }
    }
}

fn decide(shared: &Shared, n: u64) -> Result<play::Answer, ApiError> {
    let mut play = shared.play();
    let seen = play.get(n).clone();
    let door = match (seen.method.as_str(), seen.path.split('?').next()) {
        ("POST", Some("/v1/messages")) => validate::Door::Messages,
        ("POST", Some("/v1/messages/count_tokens")) => validate::Door::CountTokens,
        _ => return Err(ApiError::new(404, "Not Found")),
    };
    authenticate(&seen, &shared.key)?;
    if seen.header("anthropic-version").is_none() {
        return Err(ApiError::invalid("anthropic-version: header is required"));
    }
    if seen.body.is_null() {
        return Err(ApiError::invalid("The request body is not valid JSON"));
    }
    let betas: Vec<String> = betas(&seen).map(str::to_owned).collect();
    validate::check(&seen.body, door, &betas)?;
    play.answer(n, door)
}

fn betas(seen: &Seen) -> impl Iterator<Item = &str> {
    let lists = seen.headers.iter().filter(|(name, _)| name == "anthropic-beta");
    lists.flat_map(|(_, list)| list.split(',')).map(str::trim)
}

/// `x-api-key` or a bearer token must be the key; tokens of a subscription (`sk-ant-oat…`) are taken only with their beta, as in reality.
fn authenticate(seen: &Seen, key: &str) -> Result<(), ApiError> {
    if let Some(given) = seen.header("x-api-key") {
        return if given == key { Ok(()) } else { Err(ApiError::new(401, "invalid x-api-key")) };
    }
    let Some(bearer) = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return Err(ApiError::new(401, "x-api-key header is required"));
    };
    if bearer != key {
        return Err(ApiError::new(401, "Invalid bearer token"));
    }
    if bearer.starts_with("sk-ant-oat") && !betas(seen).any(|beta| beta.starts_with("oauth-")) {
        return Err(ApiError::new(401, "OAuth authentication is currently not supported."));
    }
    Ok(())
}
