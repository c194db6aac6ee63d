//! A stand-in for Telegram's Bot API: the server a bot talks to, the people who talk to the bot, and what they see of it.
//!
//! Plain HTTP on loopback, a port chosen by the kernel, its own runtime, so that synchronous tests may use it; everything ends when the value
//! is dropped. Nothing here decides what a bot should say. Sources: the Bot API's documentation and the published source of its server.
//!
//! | place | holds |
//! |---|---|
//! | `server.rs`, `watched.rs` | connections, tokens, paths, answers on the wire with their faults |
//! | `params.rs`, `multipart.rs` | what came with a call |
//! | `methods/` | what each method does and refuses |
//! | `text/`, `keyboard.rs` | what may be sent |
//! | `limits.rs`, `clock.rs` | how often, and by which clock |
//! | `updates.rs`, `poll.rs` | the queue of updates and who may wait for it |
//! | `faults.rs` | failures by order |
//! | `state.rs`, `chats.rs`, `posts.rs`, `presses.rs`, `files.rs` | what the server knows |
//! | `script/` | what people do |
//! | `transcript.rs`, `record.rs` | what people see, and every call |

mod chats;
mod clock;
mod faults;
mod files;
mod ids;
mod keyboard;
mod limits;
mod methods;
mod multipart;
mod params;
mod poll;
mod posts;
mod presses;
mod record;
mod refusal;
mod script;
mod server;
mod state;
mod text;
mod transcript;
mod updates;
mod watched;

pub use chats::{Action, Standing};
pub use faults::{Fault, Rule};
pub use ids::{CHANNEL_BOT, ChatId, GROUP_ANONYMOUS_BOT, MessageId, TELEGRAM, TopicId, UserId};
pub use keyboard::Button;
pub use limits::Limits;
pub use posts::Edit;
pub use presses::Toast;
pub use record::{Answer, Call};
pub use script::{Say, Speaker};
pub use transcript::{Document, Shown};

use anyhow::Context;
use serde_json::Value;
use state::State;
use std::{
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Which messages of a group reach the bot when it is not an administrator there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// All that people write.
    Off,
    /// Commands to it, replies to it, service messages: what is documented.
    On,
    /// Messages that name it as well, as is often seen but not documented.
    OnWithMentions,
}

/// How to start a stand-in.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// The only token taken at first; its number is the bot's.
    pub token: String,
    pub username: String,
    pub name: String,
    pub privacy: Privacy,
    /// Whether posts that come too fast are refused.
    pub limits: Option<Limits>,
    /// How much faster than time its clock runs.
    pub speed: f64,
    /// How long after a press the bot may answer it, on the stand-in's clock.
    pub press_life: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: "5000000001:AAStandInStandInStandInStandInStandIn".into(),
            username: "borg_bot".into(),
            name: "borg".into(),
            privacy: Privacy::On,
            limits: None,
            speed: 1.0,
            press_life: Duration::from_secs(60),
        }
    }
}

/// A running stand-in.
pub struct BotApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts changes; polls wait on it.
    changes: watch::Sender<u64>,
    /// Tests wait on it.
    changed: Condvar,
    /// Counts orders to cut every connection.
    cut: watch::Sender<u64>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the lock")
    }

    /// Changes what is known and wakes whoever waits for it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        self.changed.notify_all();
        done
    }
}

impl BotApi {
    /// Starts with the defaults.
    pub fn start() -> anyhow::Result<Self> {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind(options.listen).context("binding the stand-in")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(&options)),
            changes: watch::Sender::new(0),
            changed: Condvar::new(),
            cut: watch::Sender::new(0),
        });
        // Entered only to register the socket: the caller may be inside a runtime of its own.
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(server::serve(listener, shared.clone()));
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// What clients take as the URL of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn token(&self) -> String {
        self.shared.state().token.clone()
    }

    /// The bot's own number.
    pub fn me(&self) -> UserId {
        self.shared.state().me
    }

    /// From here on calls that match fail.
    pub fn fail(&self, rule: Rule, fault: Fault) {
        self.shared.change(|state| {
            let now = state.clock.elapsed();
            state.faults.order(rule, fault, now);
        });
    }

    /// No further failures; answers that are held back stay so.
    pub fn heal(&self) {
        self.shared.change(|state| state.faults.lift());
    }

    /// Cuts every connection, as when a network goes away.
    pub fn cut_connections(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// The token is no longer taken; a waiting poll ends.
    pub fn revoke_token(&self) {
        self.shared.change(|state| state.revoked = true);
    }

    /// A token is taken (again); of a new one only the part behind the number may differ.
    pub fn issue_token(&self, token: &str) {
        self.shared.change(|state| {
            state.token = token.to_owned();
            state.revoked = false;
        });
    }

    /// Switches the limits on posts; what was counted is forgotten.
    pub fn set_limits(&self, limits: Option<Limits>) {
        self.shared.change(|state| state.meter.set(limits));
    }

    pub fn set_privacy(&self, privacy: Privacy) {
        self.shared.change(|state| state.privacy = privacy);
    }

    /// Sets the stand-in's clock forward.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|state| state.clock.advance(by));
    }

    /// Adds a field no library knows to every object sent.
    pub fn add_unknown_fields(&self, add: bool) {
        self.shared.change(|state| state.unknown_fields = add);
    }

    /// Gives an update once more with the next answer, though it was confirmed.
    pub fn repeat_update(&self, id: i64) {
        let known = self.shared.change(|state| state.updates.repeat(id));
        assert!(known, "no update {id} was made");
    }

    /// The next answers that hold several updates hold them in reverse.
    pub fn reverse_updates(&self, answers: u32) {
        self.shared.change(|state| state.updates.reverse_next(answers));
    }

    /// Queues an update of any kind, known or not; `fields` is an object without the number.
    pub fn raw_update(&self, fields: Value) -> i64 {
        let Value::Object(fields) = fields else { panic!("an update is an object") };
        self.shared.change(|state| {
            let now = state.clock.unix();
            state.updates.push_raw(fields, updates::DAY_S, now)
        })
    }

    /// Every update made so far, in order.
    pub fn updates(&self) -> Vec<Value> {
        self.shared.state().updates.made().to_vec()
    }

    /// How many updates are not confirmed.
    pub fn pending_updates(&self) -> usize {
        let state = self.shared.state();
        state.updates.pending(state.clock.unix())
    }

    /// The list of commands set for a scope such as `default` or `chat 7`, and a language.
    pub fn commands(&self, scope: &str, language: &str) -> Option<Value> {
        self.shared.state().commands.get(&(scope.into(), language.into())).cloned()
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().calls.all().to_vec()
    }

    /// Calls of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.shared.state().calls.all().iter().filter(|call| call.is(method)).cloned().collect()
    }

    /// What a real server would have put up with in silence though it is a mistake, and what is not played here.
    pub fn problems(&self) -> Vec<String> {
        self.shared.state().problems.clone()
    }

    /// Waits until the calls so far satisfy `enough`.
    ///
    /// # Errors
    /// After `limit`, with one line per call.
    pub fn wait_calls(&self, limit: Duration, enough: impl Fn(&[Call]) -> bool) -> anyhow::Result<()> {
        let done = self.wait(limit, |state| enough(state.calls.all()).then_some(()));
        done.with_context(|| {
            let line =
                |call: Call| format!("{} {} {} → {} {:?}", call.n, call.method, call.params, call.status, call.answer);
            self.calls().into_iter().map(line).collect::<Vec<_>>().join("\n")
        })
    }

    /// Waits until the bot has confirmed every update.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_confirmed(&self, limit: Duration) -> anyhow::Result<()> {
        self.wait(limit, |state| state.updates.is_empty(state.clock.unix()).then_some(()))
    }

    fn wait<T>(&self, limit: Duration, look: impl Fn(&State) -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.state();
        loop {
            if let Some(found) = look(&state) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            anyhow::ensure!(!left.is_zero(), "not within {limit:?}");
            state = self.shared.changed.wait_timeout(state, left).expect("nobody panics while holding the lock").0;
        }
    }
}

impl Drop for BotApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
