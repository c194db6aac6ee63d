//! The console: the terminal `borg-host run` was started in. Lines typed there are updates; posts are printed above the prompt. The line
//! right above it tells what an agent does at the moment, and is written over.

mod screen;

use super::{Conversation, Live, operators::TERMINAL};
use crate::{log, mail::Asked};
use borg_core::chat::{Marks, Notice, Update, UpdateKind};
use rustyline::{DefaultEditor, error::ReadlineError};
use screen::{Cursor, LIVE, Printer, Screen, width};
use std::{
    io::{self, BufRead, IsTerminal, Read},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Name of the one chat a terminal is.
const CHAT: &str = "terminal";

/// Longest line taken, in bytes; what is longer is refused whole, not cut.
const LINE_BYTES: u64 = 1 << 20;
/// Shortest time between two writings of the line that tells what an agent does.
const PACE: Duration = Duration::from_millis(300);
/// The same where each is a line of its own.
const PACE_OF_LINES: Duration = Duration::from_secs(10);

/// What comes from the keyboard, or a pipe.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(String),
    TooLong,
}

/// Talks with whoever types, until the end of input or Ctrl-C; gives back control then. Without a terminal it reads lines and prints
/// answers.
pub async fn converse(conversation: Conversation, uid: u32) -> io::Result<()> {
    let (typed, lines) = mpsc::channel::<Typed>(16);
    let (interrupt, interrupted) = oneshot::channel();
    let printer = open(typed, interrupt)?;
    let at_prompt = printer.writes_over();
    let pace = if at_prompt { PACE } else { PACE_OF_LINES };
    let screen = Screen::start(printer)?;
    let log = if at_prompt { log::Above::prompt(screen.logs()) } else { None };
    let ended = tokio::select! {
        // Whoever waits for an answer may have had enough of that.
        Ok(()) = interrupted => Ok(()),
        ended = listen(conversation, uid, lines, pace, &screen) => ended,
    };
    drop(log);
    ended.and(screen.finish().await)
}

/// Answers what is typed, and shows what is told meanwhile, until the end of input.
async fn listen(
    conversation: Conversation,
    uid: u32,
    mut lines: mpsc::Receiver<Typed>,
    pace: Duration,
    screen: &Screen,
) -> io::Result<()> {
    let mut notices = conversation.chats.listen(TERMINAL, width);
    let mut live = Live::new(conversation.desk.clone(), TERMINAL, pace);
    let mut ordinal = 0_u64;
    let sender = uid.to_string();
    // What was open when the host was stopped is open still.
    let mut asked = ask(&conversation, &sender, screen).await?;
    loop {
        tokio::select! {
            // What must be told comes before what passes.
            biased;
            Some(post) = notices.recv() => screen.show(&post).await?,
            line = lines.recv() => match line {
                None => return Ok(()),
                Some(Typed::Line(line)) if line.trim().is_empty() => {}
                Some(Typed::Line(line)) => {
                    if let Some(asked) = asked.take()
                        && let Some(posts) = conversation.answered_at(asked, &line, width()).await
                    {
                        for post in posts {
                            screen.show(&post).await?;
                        }
                        continue;
                    }
                    ordinal += 1;
                    let update = update(ordinal, &sender, &line);
                    for post in conversation.answer("console", &update, width()).await {
                        screen.show(&post).await?;
                    }
                    asked = ask(&conversation, &sender, screen).await?;
                }
                Some(Typed::TooLong) => screen.print(format!("a line may have {LINE_BYTES} bytes; this one was not taken")).await?,
            },
            notice = live.next() => {
                let notice = Notice { replaces: Some(LIVE.to_owned()), ..notice };
                match conversation.chats.show(&notice, width()).await {
                    Ok(posts) => for post in &posts {
                        screen.show(post).await?;
                    },
                    // The next notice of the engine tells it in the journal.
                    Err(error) => tracing::debug!(%error, "progress could not be shown"),
                }
            }
        }
    }
}

/// Asks whoever sits here what the host wants confirmed, in its own words and by no component.
async fn ask(conversation: &Conversation, sender: &str, screen: &Screen) -> io::Result<Option<Asked>> {
    let Some((asked, question)) = conversation.asks_at("console", CHAT, sender).await else { return Ok(None) };
    screen.print(question).await?;
    Ok(Some(asked))
}

/// The update that a line is.
pub(super) fn update(ordinal: u64, sender: &str, text: &str) -> Update {
    // Terminals slip control characters into what is pasted: nobody typed those.
    let text = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    Update {
        id: ordinal.to_string(),
        receipt: String::new(),
        chat: CHAT.into(),
        sender: sender.to_owned(),
        sender_name: String::new(),
        sender_is_bot: false,
        own_name: String::new(),
        text,
        kind: UpdateKind::Message,
        reply_to: None,
        raw: String::new(),
        marks: Some(Marks::default()),
    }
}

/// Starts to read; `interrupt` is told when somebody pressed Ctrl-C.
fn open(typed: mpsc::Sender<Typed>, interrupt: oneshot::Sender<()>) -> io::Result<Printer> {
    if !io::stdin().is_terminal() {
        std::thread::Builder::new().name("console".into()).spawn(move || read_lines(io::stdin().lock(), &typed))?;
        return Ok(Printer::plain(io::stdout()));
    }
    let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    let cursor = Cursor::default();
    let typing = cursor.clone();
    std::thread::Builder::new().name("console".into()).spawn(move || {
        loop {
            let read = editor.readline("borg> ");
            typing.has_moved();
            match read {
                Ok(line) => {
                    if let Err(error) = editor.add_history_entry(&line) {
                        tracing::debug!(%error, "a line is missing from the history");
                    }
                    if typed.blocking_send(Typed::Line(line)).is_err() {
                        return;
                    }
                }
                Err(ReadlineError::Eof) => return,
                Err(ReadlineError::Interrupted) => {
                    // Nobody converses any more otherwise.
                    let _ = interrupt.send(());
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the terminal cannot be read any more");
                    return;
                }
            }
        }
    })?;
    Ok(Printer::above(printer, cursor))
}

/// Reads to the end of input. Bytes that are not UTF-8 are replaced; a line that is too long is left out whole, for its tail could be
/// taken for a command.
fn read_lines(mut input: impl BufRead, typed: &mpsc::Sender<Typed>) {
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_BYTES + 1).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "standard input cannot be read any more");
                return;
            }
        }
        let is_whole = line.pop_if(|last| *last == b'\n').is_some() || line.len() as u64 <= LINE_BYTES;
        let said = if is_whole { Typed::Line(String::from_utf8_lossy(&line).into_owned()) } else { Typed::TooLong };
        if typed.blocking_send(said).is_err() || (!is_whole && input.skip_until(b'\n').is_err()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(input: &[u8]) -> Vec<Typed> {
        let (send, mut lines) = mpsc::channel(64);
        read_lines(input, &send);
        drop(send);
        std::iter::from_fn(|| lines.blocking_recv()).collect()
    }

    fn line(text: &str) -> Typed {
        Typed::Line(text.into())
    }

    #[test]
    fn every_line_is_heard_to_the_last() {
        assert_eq!(typed(b""), []);
        assert_eq!(typed(b"/help\n\n/tasks"), [line("/help"), line(""), line("/tasks")]);
        assert_eq!(typed(b"/task \xff\n/tasks\n"), [line("/task \u{fffd}"), line("/tasks")], "bad bytes end nothing");
    }

    #[test]
    fn the_tail_of_a_line_that_is_too_long_is_no_command() {
        let mut input = vec![b'x'; LINE_BYTES as usize];
        input.extend(b"\n");
        assert_eq!(typed(&input).len(), 1);
        let mut input = vec![b'x'; LINE_BYTES as usize + 1];
        input.extend(b"/approve 3\n/tasks\n");
        assert_eq!(typed(&input), [Typed::TooLong, line("/tasks")]);
        assert_eq!(typed(&vec![b'x'; 3 * LINE_BYTES as usize]), [Typed::TooLong]);
    }
}
