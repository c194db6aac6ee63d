//! A stand-in for the provider that answers byte by byte as told and keeps what it got, a ledger and a key store that can
//! fail, and a client that sends raw bytes.

use borg_core::budget::{Budget, MicroUsd, Price, Spent};
use borg_gateway::{
    Access, BoxFuture, Config, Credential, Door, Egress, Elder, Endpoint, Gateway, Held, Ledger, LedgerError, Limits,
    News, Row, Secret, SecretError, Secrets,
    provider::{self, Provider, ProviderName},
};
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::{Notify, broadcast, watch},
};
use tokio_rustls::TlsAcceptor;

pub const PLACEHOLDER: &str = "sk-ant-borg-placeholder";
pub const KEY: &str = "sk-real-very-secret-key";
pub const STREAM: &[u8] = include_bytes!("../recorded/stream.sse");
pub const PRICE: Price = Price { input: 5_000_000, output: 25_000_000, cache_read: 500_000, cache_write: 6_250_000 };

/// What the stand-in does with one request, in order; then it closes the connection.
#[derive(Clone)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// Waits until the test says go.
    Pause(Arc<Notify>),
    /// Says nothing more and keeps the connection open until the other side closes it.
    Hang,
}

/// A request as the stand-in got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub line: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "{name} comes twice");
        first
    }
}

/// What the stand-in does with a request that it got.
type Play = dyn Fn(&Got) -> Vec<Piece> + Send + Sync;

/// The stand-in. Without a reply queued it does as it was told, or plays [`STREAM`].
#[derive(Clone)]
pub struct Upstream {
    pub base: http::Uri,
    play: Arc<Mutex<Option<Arc<Play>>>>,
    replies: Arc<Mutex<VecDeque<Vec<Piece>>>>,
    got: Arc<watch::Sender<Vec<Got>>>,
}

impl Upstream {
    async fn start() -> Upstream {
        Upstream::behind(None).await
    }

    /// The stand-in with or without TLS.
    pub async fn behind(tls: Option<TlsAcceptor>) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        let upstream = Upstream { base, play: Arc::default(), replies: Arc::default(), got: Arc::default() };
        let own = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, tls) = (own.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => own.serve(stream).await,
                        Some(tls) => own.serve(tls.accept(stream).await.ok()?).await,
                    }
                });
            }
        });
        upstream
    }

    pub fn reply(&self, pieces: impl Into<Vec<Piece>>) {
        self.replies.lock().unwrap().push_back(pieces.into());
    }

    /// Does this with requests for which no reply is queued.
    pub fn play(&self, play: impl Fn(&Got) -> Vec<Piece> + Send + Sync + 'static) {
        *self.play.lock().unwrap() = Some(Arc::new(play));
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.borrow().clone()
    }

    /// Waits until this many requests arrived.
    pub async fn arrived(&self, count: usize) {
        self.got.subscribe().wait_for(|got| got.len() >= count).await.unwrap();
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut text = Vec::new();
        let head_end = loop {
            if let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut text).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(text[..head_end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse::<usize>().ok()?;
        while text.len() < head_end + 4 + length {
            if stream.read_buf(&mut text).await.ok()? == 0 {
                return None;
            }
        }
        let body = String::from_utf8(text[head_end + 4..].to_vec()).unwrap();
        let got = Got { line, headers, body };
        let (queued, play) = (self.replies.lock().unwrap().pop_front(), self.play.lock().unwrap().clone());
        let reply = queued.unwrap_or_else(|| play.map_or_else(|| sse(STREAM), |play| play(&got)));
        self.got.send_modify(|all| all.push(got));
        for piece in reply {
            match piece {
                Piece::Bytes(bytes) => stream.write_all(&bytes).await.ok()?,
                Piece::Pause(go) => go.notified().await,
                Piece::Hang => {
                    let _ = stream.read_u8().await;
                }
            }
        }
        stream.shutdown().await.ok()
    }
}

/// Head of a stream of this length, and the bytes.
pub fn sse(bytes: &[u8]) -> Vec<Piece> {
    cut_sse(bytes, bytes.len())
}

/// A stream of which only a part comes.
pub fn cut_sse(bytes: &[u8], end: usize) -> Vec<Piece> {
    let mut all = sse_head(bytes.len());
    all.extend(&bytes[..end]);
    vec![Piece::Bytes(all)]
}

pub fn sse_head(length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nset-cookie: a=b\r\nserver: x\r\n\
         request-id: req_1\r\nanthropic-ratelimit-requests-remaining: 7\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// A plain answer; `headers` are whole lines.
pub fn json(status: u16, headers: &str, body: &str) -> Vec<Piece> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    vec![Piece::Bytes(text.into_bytes())]
}

#[derive(Default)]
pub struct Keys {
    /// Values given in turn; the last one stays.
    values: Mutex<VecDeque<Option<Credential>>>,
    pub rejected: Mutex<Vec<String>>,
}

impl Keys {
    pub fn set(&self, values: impl IntoIterator<Item = Option<Credential>>) {
        *self.values.lock().unwrap() = values.into_iter().collect();
    }
}

impl Secrets for Keys {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Credential, SecretError>> {
        let mut values = self.values.lock().unwrap();
        let value = if values.len() > 1 { values.pop_front() } else { values.front().cloned() };
        let answer = value.flatten().ok_or_else(|| SecretError::Unknown(name.to_owned()));
        Box::pin(async { answer })
    }

    fn rejected<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        self.rejected.lock().unwrap().push(name.to_owned());
        Box::pin(async {})
    }
}

/// Keeps rows; fails from the moment it is told to.
#[derive(Default)]
pub struct Book {
    rows: watch::Sender<Vec<Row>>,
    holds: watch::Sender<Vec<Held>>,
    pub broken: std::sync::atomic::AtomicBool,
}

impl Book {
    pub fn rows(&self) -> Vec<Row> {
        self.rows.borrow().clone()
    }

    /// What is held and not settled yet.
    pub fn open(&self) -> Vec<Elder> {
        let rows = self.rows();
        let holds = self.holds.borrow();
        let is_open = |held: &&Held| !rows.iter().any(|row| row.run == held.run && row.held == Some(held.request));
        let elder = |held: &Held| Elder { run: held.run, request: held.request, most: held.most };
        holds.iter().filter(is_open).map(elder).collect()
    }

    /// All that was ever held.
    pub fn holds(&self) -> Vec<Held> {
        self.holds.borrow().clone()
    }

    /// Waits until so much was held.
    pub async fn held(&self, count: usize) -> Vec<Held> {
        self.holds.subscribe().wait_for(|holds| holds.len() >= count).await.unwrap().clone()
    }

    /// Waits for this many rows.
    pub async fn written(&self, count: usize) -> Vec<Row> {
        self.rows.subscribe().wait_for(|rows| rows.len() >= count).await.unwrap().clone()
    }
}

impl Ledger for Book {
    fn record(&self, row: Row) -> BoxFuture<'_, Result<(), LedgerError>> {
        let broken = self.broken.load(std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            if broken {
                return Err(LedgerError("disk full".into()));
            }
            self.rows.send_modify(|rows| rows.push(row));
            Ok(())
        })
    }

    fn hold(&self, held: Held) -> BoxFuture<'_, Result<(), LedgerError>> {
        let broken = self.broken.load(std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            if broken {
                return Err(LedgerError("disk full".into()));
            }
            self.holds.send_modify(|holds| holds.push(held));
            Ok(())
        })
    }
}

/// A gateway with one open door that has admitted this very process.
pub struct World {
    pub upstream: Upstream,
    pub keys: Arc<Keys>,
    pub book: Arc<Book>,
    pub gateway: Gateway,
    pub door: Door,
    pub news: broadcast::Receiver<News>,
    pub socket: PathBuf,
    _dir: tempfile::TempDir,
}

/// Generous where a test does not say otherwise.
pub const PLENTY: Budget =
    Budget { turns: 1_000_000, tokens: u64::MAX / 4, cost: MicroUsd(u64::MAX / 4), wall_ms: 3_600_000 };

impl World {
    pub async fn new() -> World {
        World::with(|_| {}, |_| {}).await
    }

    pub async fn with(limit: impl FnOnce(&mut Limits), allow: impl FnOnce(&mut Access)) -> World {
        let world = World::unadmitted(limit, allow).await;
        world.door.admit(own_pid());
        world
    }

    pub async fn unadmitted(limit: impl FnOnce(&mut Limits), allow: impl FnOnce(&mut Access)) -> World {
        World::at(Upstream::start().await, None, limit, allow).await
    }

    /// A gateway in front of this stand-in that trusts these authorities, or the system's.
    pub async fn at(
        upstream: Upstream,
        ca_file: Option<PathBuf>,
        limit: impl FnOnce(&mut Limits),
        allow: impl FnOnce(&mut Access),
    ) -> World {
        let endpoints = vec![Endpoint { ca_file, ..at(&upstream.base) }];
        World::made(upstream, endpoints, limit, allow).await
    }

    /// A gateway that reaches other providers too; nobody is admitted yet.
    pub async fn beside(upstream: Upstream, others: Vec<Endpoint>, allow: impl FnOnce(&mut Access)) -> World {
        let endpoints = [vec![at(&upstream.base)], others].concat();
        World::made(upstream, endpoints, |limits| limits.admit_time = Duration::from_millis(500), allow).await
    }

    async fn made(
        upstream: Upstream,
        endpoints: Vec<Endpoint>,
        limit: impl FnOnce(&mut Limits),
        allow: impl FnOnce(&mut Access),
    ) -> World {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gw.sock");
        let keys = Arc::new(Keys::default());
        keys.set([Some(Credential::Plain(Secret::new(KEY.into())))]);
        let book = Arc::new(Book::default());
        let mut limits = Limits { drain_time: Duration::from_secs(10), ..Limits::default() };
        limit(&mut limits);
        let config = Config { endpoints, limits };
        let gateway = Gateway::new(config, keys.clone(), book.clone()).unwrap();
        let mut access = access(&socket);
        allow(&mut access);
        let door = gateway.open(access).await.unwrap();
        let news = door.subscribe();
        World { upstream, keys, book, gateway, door, news, socket, _dir: dir }
    }

    pub async fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        send(&self.socket, bytes.as_ref()).await
    }

    /// Sends an ordinary request with this body.
    pub async fn post(&self, body: &str) -> Answer {
        self.send(post("/v1/messages", "", body)).await
    }
}

pub fn anthropic() -> &'static dyn Provider {
    provider::named(ProviderName::Anthropic)
}

/// The provider at this address, with the system's authorities.
pub fn at(base: &http::Uri) -> Endpoint {
    Endpoint { base: base.clone(), ..Endpoint::usual(anthropic()) }
}

pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

pub fn access(socket: &Path) -> Access {
    Access {
        run: "t7-s1-a2-agent".parse().unwrap(),
        socket: socket.to_owned(),
        egress: vec![Egress {
            name: "anthropic".into(),
            provider: anthropic(),
            models: vec!["claude-*".into(), "unpriced".into()],
            secret: "claude".into(),
            counts_subscription: false,
            prices: BTreeMap::from([("claude-*".into(), PRICE.into())]),
            max_tokens: 64_000,
            features: Vec::new(),
        }],
        allowance: PLENTY,
        spent_before: Spent::default(),
        elders: Vec::new(),
    }
}

pub const BODY: &str =
    r#"{"model":"claude-opus-4-8","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A request with the usual headers and `headers`, which are whole lines.
pub fn post(target: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-api-key: {PLACEHOLDER}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What the client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head as it came, in lower case.
    pub head: String,
    pub body: String,
    /// The connection ended before the body did.
    pub cut: bool,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    pub fn rule(&self) -> String {
        self.json()["borg"]["rule"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends raw bytes on a connection of its own and reads until it is closed.
pub async fn send(socket: &Path, bytes: &[u8]) -> Answer {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let bytes = bytes.to_vec();
    // The other side may answer and close before it has read everything.
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut text = Vec::new();
    let _ = read.read_to_end(&mut text).await;
    writing.abort();
    parse(&text)
}

/// Reads a whole response.
pub fn parse(text: &[u8]) -> Answer {
    let Some(at) = text.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer { status: 0, head: String::new(), body: String::new(), cut: true };
    };
    let head = String::from_utf8(text[..at].to_vec()).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &text[at + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return Answer { status, head, body: String::from_utf8(rest.to_vec()).unwrap(), cut: false };
    }
    let (mut body, mut rest, mut cut) = (Vec::new(), rest, true);
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = rest.get(end + 2..end + 2 + length) else { break };
        if length == 0 {
            cut = false;
            break;
        }
        body.extend(chunk);
        rest = &rest[(end + 4 + length).min(rest.len())..];
    }
    Answer { status, head, body: String::from_utf8_lossy(&body).into_owned(), cut }
}
