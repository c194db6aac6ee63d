//! The console: the terminal `borg-host run` was started in. Lines typed there are updates; posts are printed above the prompt.

use super::{Conversation, WIDTH};
use crate::neutral;
use borg_core::chat::{Post, Update, UpdateKind};
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use tokio::sync::{mpsc, oneshot};

/// Name of the one chat a terminal is.
const CHAT: &str = "terminal";

/// Longest line taken, in bytes; what is longer is refused whole, not cut.
const LINE_BYTES: u64 = 1 << 20;
/// Posts that may wait for the terminal.
const QUEUE: usize = 64;

/// What comes from the keyboard, or a pipe.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(String),
    TooLong,
}

/// Talks with whoever types, until the end of input; gives back control then. Without a terminal it reads lines and prints answers.
pub async fn converse(conversation: Conversation, uid: u32) -> io::Result<()> {
    let mut notices = conversation.chats.listen(&format!("console:{CHAT}"), width);
    let (typed, mut lines) = mpsc::channel::<Typed>(16);
    let screen = Screen::start(open(typed)?)?;
    let mut ordinal = 0_u64;
    loop {
        tokio::select! {
            Some(post) = notices.recv() => screen.show(&post).await?,
            line = lines.recv() => match line {
                None => break,
                Some(Typed::Line(line)) if line.trim().is_empty() => {}
                Some(Typed::Line(line)) => {
                    ordinal += 1;
                    let update = update(ordinal, uid, line);
                    for post in conversation.answer("console", &update, width()).await {
                        screen.show(&post).await?;
                    }
                }
                Some(Typed::TooLong) => screen.print(format!("a line may have {LINE_BYTES} bytes; this one was not taken")).await?,
            }
        }
    }
    screen.finish().await
}

fn update(ordinal: u64, uid: u32, text: String) -> Update {
    Update {
        id: ordinal.to_string(),
        chat: CHAT.into(),
        sender: uid.to_string(),
        sender_name: String::new(),
        sender_is_bot: false,
        text,
        kind: UpdateKind::Message,
        reply_to: None,
        raw: String::new(),
    }
}

enum Printer {
    /// Prints above the line that is being typed.
    Above(Box<dyn ExternalPrinter + Send>),
    Plain(Box<dyn Write + Send>),
}

impl Printer {
    fn print(&mut self, text: &str) -> io::Result<()> {
        match self {
            Printer::Above(printer) => printer.print(format!("{text}\n")).map_err(io::Error::other),
            Printer::Plain(out) => writeln!(out, "{text}").and_then(|()| out.flush()),
        }
    }
}

/// The terminal's side of a conversation, on a thread of its own: a terminal that is stopped (Ctrl-S, a pager) holds up nobody else.
struct Screen {
    texts: mpsc::Sender<String>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Screen {
    fn start(mut printer: Printer) -> io::Result<Screen> {
        let (texts, mut queue) = mpsc::channel::<String>(QUEUE);
        let (done, ended) = oneshot::channel();
        std::thread::Builder::new().name("screen".into()).spawn(move || {
            let mut printed = Ok(());
            while printed.is_ok()
                && let Some(text) = queue.blocking_recv()
            {
                printed = printer.print(&text);
            }
            drop(queue);
            // Whoever talked may have been cut off by a signal.
            let _ = done.send(printed);
        })?;
        Ok(Screen { texts, ended })
    }

    async fn show(&self, post: &Post) -> io::Result<()> {
        let text = match post {
            Post::Send(post) | Post::Edit { post, .. } => post.text.clone(),
            Post::Document { document, caption, .. } => format!("{caption}\n{}", document.text),
            Post::Answer { text, .. } => text.clone(),
            Post::Typing { .. } => return Ok(()),
        };
        self.print(text).await
    }

    async fn print(&self, text: String) -> io::Result<()> {
        let text = neutral::text(&text).into_owned();
        self.texts.send(text).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Waits until all is printed.
    async fn finish(self) -> io::Result<()> {
        drop(self.texts);
        self.ended.await.unwrap_or(Ok(()))
    }
}

fn open(typed: mpsc::Sender<Typed>) -> io::Result<Printer> {
    if !io::stdin().is_terminal() {
        std::thread::Builder::new().name("console".into()).spawn(move || read_lines(io::stdin().lock(), &typed))?;
        return Ok(Printer::Plain(Box::new(io::stdout())));
    }
    let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    std::thread::Builder::new().name("console".into()).spawn(move || {
        loop {
            match editor.readline("borg> ") {
                Ok(line) => {
                    if let Err(error) = editor.add_history_entry(&line) {
                        tracing::debug!(%error, "a line is missing from the history");
                    }
                    if typed.blocking_send(Typed::Line(line)).is_err() {
                        return;
                    }
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => return,
                Err(error) => {
                    tracing::error!(%error, "the terminal cannot be read any more");
                    return;
                }
            }
        }
    })?;
    Ok(Printer::Above(Box::new(printer)))
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

/// Columns of the terminal.
pub fn width() -> u32 {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| u32::from(size.ws_col));
    size.ok().filter(|columns| *columns >= 20).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::chat::TextPost;
    use std::sync::mpsc as blocking;

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

    /// Takes text only when it is let.
    struct Slow {
        leave: blocking::Receiver<()>,
        taken: blocking::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.leave.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.taken.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn post(text: &str) -> Post {
        let (chat, text) = (CHAT.to_owned(), text.to_owned());
        Post::Send(TextPost { chat, text, entities: String::new(), buttons: Vec::new(), reply_to: None, silent: false })
    }

    #[tokio::test]
    async fn a_terminal_that_is_stopped_stops_nobody_and_loses_nothing() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel(), blocking::channel());
        let screen = Screen::start(Printer::Plain(Box::new(Slow { leave, taken }))).unwrap();
        // One thread runs all of this: were printing done on it, the first post would not return.
        for _ in 0..QUEUE {
            screen.show(&post("x")).await.unwrap();
        }
        for _ in 0..10 * QUEUE {
            let_go.send(()).unwrap();
        }
        screen.finish().await.unwrap();
        let all: Vec<u8> = printed.into_iter().flatten().collect();
        assert_eq!(all, b"x\n".repeat(QUEUE));
    }

    #[tokio::test]
    async fn a_terminal_that_is_gone_is_an_error() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel::<()>(), blocking::channel());
        let screen = Screen::start(Printer::Plain(Box::new(Slow { leave, taken }))).unwrap();
        drop((let_go, printed));
        screen.show(&post("x")).await.unwrap();
        screen.texts.closed().await;
        assert_eq!(screen.show(&post("x")).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(screen.finish().await.is_err());
    }

    #[tokio::test]
    async fn what_a_plugin_forgot_to_neutralise_steers_no_terminal() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel(), blocking::channel());
        let screen = Screen::start(Printer::Plain(Box::new(Slow { leave, taken }))).unwrap();
        for _ in 0..20 {
            let_go.send(()).unwrap();
        }
        screen.show(&post("\u{1b}]0;owned\u{7}\u{202e}x")).await.unwrap();
        screen.finish().await.unwrap();
        let all = String::from_utf8(printed.into_iter().flatten().collect()).unwrap();
        assert_eq!(all, "^[]0;owned^G<U+202E>x\n");
    }
}
