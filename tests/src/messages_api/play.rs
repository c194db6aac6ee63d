//! Which turn of which run of which persona answers a request: the stand-in's memory. No I/O.
//!
//! The turn is the number of assistant messages in the request, so a request sent twice gets the same answer; the run is told by the
//! conversation's opening (session and first user message), so a persona started again goes on with its next run.

use super::{
    error::ApiError,
    record::{Seen, text_of, tool_results},
    script::{Expect, FaultKind, Persona, Script, Turn, Usage},
    stream::{Block, Message},
    validate::Door,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub(super) struct Play {
    script: Script,
    seen: Vec<Seen>,
    problems: Vec<String>,
    /// Openings of each persona's conversations, in the order they began.
    openings: BTreeMap<String, Vec<String>>,
    /// Message requests per persona.
    counts: BTreeMap<String, u64>,
    all: u64,
    /// Calls handed out, with what must come back.
    calls: BTreeMap<String, (String, Option<Expect>)>,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Count(Value),
    Message { message: Message, streamed: bool, fault: Option<FaultKind> },
}

impl Play {
    pub fn new(script: Script) -> Self {
        Self {
            script,
            seen: Vec::new(),
            problems: Vec::new(),
            openings: BTreeMap::new(),
            counts: BTreeMap::new(),
            all: 0,
            calls: BTreeMap::new(),
        }
    }

    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    pub fn get(&self, n: u64) -> &Seen {
        &self.seen[index(n)]
    }

    pub fn note(&mut self, n: u64, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen[index(n)]);
    }

    /// Remembers a request as it arrives and gives its number.
    pub fn arrive(&mut self, method: &str, path: &str, headers: Vec<(String, String)>, raw: String) -> u64 {
        let n = self.seen.len() as u64 + 1;
        let body: Value = serde_json::from_str(&raw).unwrap_or_default();
        self.seen.push(Seen {
            n,
            method: method.into(),
            path: path.into(),
            headers,
            persona: self.persona_of(&body).map(|persona| persona.name.clone()),
            tool_results: tool_results(&body),
            body,
            raw,
            played: None,
            status: 0,
            billed: None,
        });
        n
    }

    /// Decides the answer to a request that was found valid.
    pub fn answer(&mut self, n: u64, door: Door) -> Result<Answer, ApiError> {
        let seen = self.get(n).clone();
        let model = seen.body["model"].as_str().unwrap_or_default().to_owned();
        if !model.starts_with("claude-") {
            return Err(ApiError::new(404, format!("model: {model}")));
        }
        check_signatures(&seen.body)?;
        if door == Door::CountTokens {
            return Ok(Answer::Count(json!({ "input_tokens": tokens(seen.raw.len()) })));
        }
        self.check_results(&seen);
        let fault = self.fault(seen.persona.as_deref());
        if let Some(FaultKind::Status { status, retry_after_s }) = fault {
            return Err(ApiError { status, message: format!("{status} as the script wants it"), retry_after_s });
        }
        let turn = self.turn(n, &seen);
        let message = self.message(n, model, seen.raw.len(), turn);
        Ok(Answer::Message { message, streamed: seen.body["stream"] == true, fault })
    }

    fn persona_of(&self, body: &Value) -> Option<&Persona> {
        let text = opening_text(body);
        self.script.personas.iter().find(|persona| persona.is_meant_by(&text))
    }

    fn fault(&mut self, persona: Option<&str>) -> Option<FaultKind> {
        self.all += 1;
        let of_persona = self.counts.entry(persona.unwrap_or_default().to_owned()).or_default();
        *of_persona += 1;
        let (of_persona, all) = (*of_persona, self.all);
        self.script.faults.iter().find(|fault| fault.hits(persona, of_persona, all)).map(|fault| fault.kind.clone())
    }

    /// Chooses the turn to play; what the script does not foresee ends the conversation and is a problem.
    fn turn(&mut self, n: u64, seen: &Seen) -> Turn {
        let Some(persona) = self.persona_of(&seen.body).cloned() else {
            self.problem(format!("request {n} fits no persona of the script"));
            return Turn::say("I have nothing to do.");
        };
        let run = self.run(&persona, &seen.body);
        let messages = seen.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let turn = messages.iter().filter(|message| message["role"] == "assistant").count();
        self.note(n, |seen| seen.played = Some((run, turn)));
        let turns = persona.runs.get(run).map(|run| run.turns.as_slice()).unwrap_or_default();
        if let Some(turn) = turns.get(turn) {
            return turn.clone();
        }
        self.problem(format!(
            "request {n}: {} wants turn {} of run {}, which has {}",
            persona.name,
            turn + 1,
            run + 1,
            turns.len()
        ));
        Turn::say("That was all.")
    }

    fn run(&mut self, persona: &Persona, body: &Value) -> usize {
        let opening = format!("{} {}", body["metadata"]["user_id"], text_of(&body["messages"][0]["content"]));
        let known = self.openings.entry(persona.name.clone()).or_default();
        let at = known.iter().position(|other| *other == opening).unwrap_or_else(|| {
            known.push(opening);
            known.len() - 1
        });
        at.min(persona.runs.len().saturating_sub(1))
    }

    fn message(&mut self, n: u64, model: String, asked_bytes: usize, turn: Turn) -> Message {
        let mut blocks = Vec::new();
        blocks.extend(turn.think.map(|text| Block::Thinking { signature: signature(&text), text }));
        blocks.extend(turn.say.map(Block::Text));
        let stop =
            turn.stop.unwrap_or_else(|| if turn.calls.is_empty() { "end_turn".into() } else { "tool_use".into() });
        for (i, call) in turn.calls.into_iter().enumerate() {
            let id = format!("toolu_01{n:018}{i:04}");
            self.calls.insert(id.clone(), (call.tool.clone(), call.expect));
            blocks.push(Block::ToolUse { id, tool: call.tool, input: call.input });
        }
        let usage = turn.usage.unwrap_or_else(|| Usage {
            input: tokens(asked_bytes),
            output: blocks.iter().map(|block| tokens(block.bytes())).sum(),
            ..Usage::default()
        });
        Message { id: format!("msg_01{n:022}"), model, blocks, stop, usage }
    }

    fn check_results(&mut self, seen: &Seen) {
        for result in &seen.tool_results {
            let problem = match self.calls.get(&result.id) {
                None => Some("answers a call that was never made".to_owned()),
                Some((_, None)) => None,
                Some((_, Some(expect))) => expect.difference(result.is_error, &result.text),
            };
            if let Some(problem) = problem {
                let who = seen.persona.as_deref().unwrap_or("nobody");
                self.problem(format!("{who}: result of {} {}: {problem}", result.tool, result.input));
            }
        }
    }

    fn problem(&mut self, problem: String) {
        // A request sent again brings the same results again.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n - 1).expect("as many requests as fit into memory")
}

/// The estimate the API itself suggests for English: four bytes per token.
fn tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

/// System prompt and first user message: where a persona shows.
fn opening_text(body: &Value) -> String {
    format!("{}\n{}", text_of(&body["system"]), text_of(&body["messages"][0]["content"]))
}

fn signature(thinking: &str) -> String {
    let digest = Sha256::digest(format!("stand-in {thinking}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Thinking must come back as it went out, as the real API demands.
fn check_signatures(body: &Value) -> Result<(), ApiError> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (n, message) in messages.iter().enumerate() {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (b, block) in blocks.iter().enumerate().filter(|(_, block)| block["type"] == "thinking") {
            if block["signature"] != signature(block["thinking"].as_str().unwrap_or_default()) {
                return Err(ApiError::invalid(format!(
                    "messages.{n}.content.{b}: Invalid `signature` in `thinking` block"
                )));
            }
        }
    }
    Ok(())
}
