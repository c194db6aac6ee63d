//! What people and agents say to each other while a task is at work: notes, questions, answers. Agents hear of it in their next attempt.

use super::Turn;
use crate::{
    decide::TEXT,
    intent::Intent,
    kept::Kept,
    people::PersonId,
    record::StageRecord,
    remedy::Advice,
    task::{BlockedOn, Doing, Note, Phase, Position, Running, Task},
};

/// Questions one stage may ask; another one is an attempt without work.
const QUESTIONS: u32 = 3;
/// What is shown of a question where there is little room, in characters.
const SHORT: usize = 200;

impl Turn<'_> {
    /// Keeps what a person said, for every attempt from now on. An answer always counts: questions are few. Of a change that waits for its
    /// decision, or was decided on, no agent hears any more, and nobody comes to have a hand in it.
    pub(super) fn noted(&mut self, by: &PersonId, question: Option<Kept>, text: &Kept) {
        if self.task.phase.is_past_work() {
            return;
        }
        if question.is_some() || self.task.notes.len() < Task::NOTES_KEPT {
            self.task.notes.push(Note { by: by.clone(), question, text: text.clone() });
        }
    }

    /// The agent left a question: its task gives up its place until somebody has answered. What else it left is not taken.
    pub(super) fn asked(&mut self, question: &Kept) {
        let Some(Running { at, doing: Doing::Accepting { record }, stopping: None }) = self.running().cloned() else {
            return;
        };
        if at.asked >= QUESTIONS {
            let why = format!("it asked again instead of doing its work, after {QUESTIONS} answers");
            self.attempt_failed(&why, Some(*record));
            return;
        }
        self.tried(&record);
        let id = self.task.id();
        let (short, cut) = match question.text.char_indices().nth(SHORT) {
            Some((end, _)) => (&question.text[..end], "…"),
            None => (question.text.as_str(), ""),
        };
        let answer = Intent::Answer { task: id, text: TEXT.into() };
        self.enter(Phase::Blocked {
            reason: format!("{} asks: {short}{cut}", record.persona),
            remedy: Advice::from(answer).words(", or a reply to the question where it was asked"),
            at: Position { asked: at.asked + 1, resume: None, ..at },
            on: BlockedOn::Question { question: question.clone() },
        });
        self.tell_question();
    }

    /// The stage begins again, with the answer.
    pub(super) fn answered(&mut self, by: &PersonId, text: &Kept) {
        let Phase::Blocked { at, on: BlockedOn::Question { question }, .. } = self.task.phase.clone() else { return };
        self.noted(by, Some(question), text);
        self.enter(Phase::Queued { at });
    }

    /// What an attempt tried against its grant is told to the rules, although its work is not taken.
    pub(super) fn tried(&mut self, record: &StageRecord) {
        if !record.left_behind.is_empty() {
            let commit = record.commit();
            self.task.tried.push(crate::facts::StageCommit { paths: Vec::new(), ..commit });
        }
    }
}
