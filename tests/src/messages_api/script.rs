//! What the stand-in plays: per persona a list of turns, and the faults that come between. Plain data, in Rust or in TOML.
//!
//! A persona is recognised by text in the system prompt or in the first user message. A *run* is one conversation; a persona that is started
//! again (a second attempt) plays its next run, or the last one again when there are no more.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All that is played by one stand-in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Script {
    #[serde(default, rename = "persona")]
    pub personas: Vec<Persona>,
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn persona(mut self, persona: Persona) -> Self {
        self.personas.push(persona);
        self
    }

    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Reads a script from TOML.
    pub fn from_toml(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Persona {
    pub name: String,
    /// All of these must occur in the system prompt or the first user message.
    #[serde(rename = "match")]
    pub marks: Vec<String>,
    #[serde(rename = "run")]
    pub runs: Vec<Run>,
}

impl Persona {
    /// A persona recognised by `mark`, with one run that has no turns yet.
    pub fn new(name: &str, mark: &str) -> Self {
        Self { name: name.into(), marks: vec![mark.into()], runs: vec![Run::default()] }
    }

    /// Asks for one more text to be present.
    pub fn also(mut self, mark: &str) -> Self {
        self.marks.push(mark.into());
        self
    }

    /// Adds a turn to the run being written.
    pub fn turn(mut self, turn: Turn) -> Self {
        self.runs.last_mut().expect("a persona starts with one run").turns.push(turn);
        self
    }

    /// Starts the next run: what is played when the persona is started again.
    pub fn next_run(mut self) -> Self {
        self.runs.push(Run::default());
        self
    }

    pub(super) fn is_meant_by(&self, text: &str) -> bool {
        self.marks.iter().all(|mark| text.contains(mark))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Run {
    #[serde(rename = "turn")]
    pub turns: Vec<Turn>,
}

/// One answer of the model: thinking, then text, then tool calls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Turn {
    pub think: Option<String>,
    pub say: Option<String>,
    #[serde(default, rename = "call")]
    pub calls: Vec<Call>,
    /// Overrides the stop reason, which is otherwise `tool_use` or `end_turn`.
    pub stop: Option<String>,
    /// Overrides the estimated token counts.
    pub usage: Option<Usage>,
}

impl Turn {
    pub fn say(text: &str) -> Self {
        Self { say: Some(text.into()), ..Self::default() }
    }

    pub fn think(text: &str) -> Self {
        Self { think: Some(text.into()), ..Self::default() }
    }

    pub fn call(tool: &str, input: Value) -> Self {
        Self::default().and_call(tool, input)
    }

    pub fn and_say(mut self, text: &str) -> Self {
        self.say = Some(text.into());
        self
    }

    pub fn and_call(mut self, tool: &str, input: Value) -> Self {
        self.calls.push(Call { tool: tool.into(), input, expect: None });
        self
    }

    /// States what must come back from the last call.
    pub fn expect(mut self, expect: Expect) -> Self {
        self.calls.last_mut().expect("expect follows a call").expect = Some(expect);
        self
    }

    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Call {
    pub tool: String,
    pub input: Value,
    pub expect: Option<Expect>,
}

/// What a tool result must look like; a difference becomes one of the stand-in's `problems`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// Whether the result is marked as an error.
    pub error: Option<bool>,
    /// Texts that must occur in the result.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Texts that must not occur in it.
    #[serde(default)]
    pub lacks: Vec<String>,
}

impl Expect {
    pub fn ok() -> Self {
        Self { error: Some(false), ..Self::default() }
    }

    pub fn error() -> Self {
        Self { error: Some(true), ..Self::default() }
    }

    pub fn containing(mut self, text: &str) -> Self {
        self.contains.push(text.into());
        self
    }

    pub fn lacking(mut self, text: &str) -> Self {
        self.lacks.push(text.into());
        self
    }

    /// Says how a result differs, if it does.
    pub(super) fn difference(&self, is_error: bool, text: &str) -> Option<String> {
        if let Some(error) = self.error
            && error != is_error
        {
            return Some(format!("is_error is {is_error}, wanted {error}: {text}"));
        }
        if let Some(want) = self.contains.iter().find(|want| !text.contains(*want)) {
            return Some(format!("does not contain {want:?}: {text}"));
        }
        self.lacks.iter().find(|not| text.contains(*not)).map(|not| format!("contains {not:?}: {text}"))
    }
}

/// Token counts as the API bills them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Usage {
    #[serde(default)]
    pub input: u64,
    #[serde(default)]
    pub output: u64,
    #[serde(default)]
    pub cache_read: u64,
    #[serde(default)]
    pub cache_write: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
    }
}

/// Something that goes wrong with the n-th message request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fault {
    /// 1-based; counted per persona when `persona` is given, else over all.
    pub at: u64,
    /// How many requests in a row it hits.
    #[serde(default = "once")]
    pub times: u64,
    pub persona: Option<String>,
    #[serde(flatten)]
    pub kind: FaultKind,
}

fn once() -> u64 {
    1
}

impl Fault {
    /// Hits the n-th message request of anyone.
    pub fn at(n: u64, kind: FaultKind) -> Self {
        Self { at: n, times: 1, persona: None, kind }
    }

    /// Counts and hits requests of one persona only.
    pub fn of(mut self, persona: &str) -> Self {
        self.persona = Some(persona.into());
        self
    }

    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    pub(super) fn hits(&self, persona: Option<&str>, of_persona: u64, of_all: u64) -> bool {
        let n = match &self.persona {
            None => of_all,
            Some(name) if persona == Some(name) => of_persona,
            Some(_) => return false,
        };
        n >= self.at && n - self.at < self.times
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum FaultKind {
    /// An error answer, such as 401, 400, 429, 500 or 529.
    Status { status: u16, retry_after_s: Option<u64> },
    /// The connection is cut after so many stream events.
    Drop { after_events: usize },
    /// No answer at all; the connection stays open.
    Silence,
    /// No answer before [`super::MessagesApi::let_go`]; then the whole of it.
    Held,
    /// The stream stops after so many events; the connection stays open.
    Stall { after_events: usize },
    /// An `error` event ends the stream, as the API does when it is overloaded half-way.
    StreamError { after_events: usize },
    /// A pause before each event of the stream.
    Slow { delay_ms: u64 },
    /// The event after so many others is not JSON.
    Malformed { after_events: usize },
}
