//! Every call that came in, and what became of it: whether it was done, and whether the answer arrived.

use serde_json::Value;
use std::time::Duration;

/// How a call ended, as far as can be known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Still being worked on.
    Open,
    /// Handed to the connection. Nothing shows yet that the other side read it, and if it dies now nothing will.
    Sent,
    /// The other side asked something else on the same connection afterwards.
    Read,
    /// The other side cannot have got it: the connection ended before, by order or with the answer unread.
    Lost,
}

#[derive(Clone, Debug)]
pub struct Call {
    /// 1-based, over all calls.
    pub n: u64,
    /// Which connection it came on.
    pub connection: u64,
    /// As the caller spelled it.
    pub method: String,
    /// Files are shown by name and size.
    pub params: Value,
    /// Since the start of the stand-in.
    pub at: Duration,
    /// 0 while there is none.
    pub status: u16,
    /// The description of a refusal.
    pub refused: Option<String>,
    /// True when what was asked for was done, whatever was answered.
    pub accepted: bool,
    pub answer: Answer,
}

impl Call {
    /// True when it is a call of this method, in any spelling of its letters.
    pub fn is(&self, method: &str) -> bool {
        self.method.eq_ignore_ascii_case(method)
    }

    /// A parameter as text; empty when it is missing.
    pub fn param(&self, name: &str) -> String {
        match &self.params[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
}

impl Calls {
    pub fn arrive(&mut self, connection: u64, method: &str, params: Value, at: Duration) -> u64 {
        let n = self.all.len() as u64 + 1;
        // Rarely far back: a connection carries one call at a time.
        let earlier = self.all.iter_mut().rev().take(1_000);
        for call in earlier.filter(|call| call.connection == connection && call.answer == Answer::Sent) {
            call.answer = Answer::Read;
        }
        self.all.push(Call {
            n,
            connection,
            method: method.to_owned(),
            params,
            at,
            status: 0,
            refused: None,
            accepted: false,
            answer: Answer::Open,
        });
        n
    }

    pub fn get(&self, n: u64) -> &Call {
        &self.all[n as usize - 1]
    }

    pub fn get_mut(&mut self, n: u64) -> &mut Call {
        &mut self.all[n as usize - 1]
    }

    pub fn all(&self) -> &[Call] {
        &self.all
    }

    /// A connection broke: what was last sent on it did not arrive.
    pub fn broken(&mut self, connection: u64) {
        if let Some(call) = self.all.iter_mut().rev().find(|call| call.connection == connection)
            && call.answer != Answer::Read
        {
            call.answer = Answer::Lost;
        }
    }
}
