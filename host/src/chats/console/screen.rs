//! The terminal as something to print on: lines that stay, and one that is written over.

use crate::{chats::WIDTH, neutral};
use borg_core::chat::Post;
use rustyline::ExternalPrinter;
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

/// Receipt of the line that is written over.
pub const LIVE: &str = "live";

/// Posts that may wait for the terminal.
const QUEUE: usize = 64;

/// Something to print.
enum Text {
    /// Stays.
    Line(String),
    /// Stands right above the prompt until the next of these, or a line that stays, takes its place.
    Live(String),
}

/// Shared by who reads the terminal and who prints there: a line that was typed moves everything up by one.
#[derive(Clone, Default)]
pub struct Cursor(Arc<AtomicBool>);

impl Cursor {
    pub fn has_moved(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// How things are printed.
pub enum Printer {
    /// Above the line that is being typed.
    Above {
        printer: Box<dyn ExternalPrinter + Send>,
        cursor: Cursor,
        /// The line right above the prompt is one to write over.
        live: bool,
    },
    Plain(Box<dyn Write + Send>),
}

impl Printer {
    pub fn above(printer: impl ExternalPrinter + Send + 'static, cursor: Cursor) -> Self {
        Printer::Above { printer: Box::new(printer), cursor, live: false }
    }

    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Printer::Plain(Box::new(out))
    }

    /// True where a line can be written over.
    pub fn writes_over(&self) -> bool {
        match self {
            Printer::Above { .. } => true,
            Printer::Plain(_) => false,
        }
    }

    fn print(&mut self, text: &Text) -> io::Result<()> {
        match self {
            Printer::Above { printer, cursor, live } => {
                // One row up, and clear it: the prompt is put back below by the line editor.
                let moved = cursor.take();
                let over = if *live && !moved { "\u{1b}[1A\r\u{1b}[2K" } else { "" };
                let (text, is_live) = match text {
                    Text::Line(text) => (text.clone(), false),
                    // More than a row could not be taken back.
                    Text::Live(text) => (neutral::line(text, width().saturating_sub(1) as usize), true),
                };
                *live = is_live;
                printer.print(format!("{over}{text}\n")).map_err(io::Error::other)
            }
            Printer::Plain(out) => {
                let (Text::Line(text) | Text::Live(text)) = text;
                writeln!(out, "{text}").and_then(|()| out.flush())
            }
        }
    }
}

/// The terminal's side of a conversation, on a thread of its own: a terminal that is stopped (Ctrl-S, a pager) holds up nobody else.
pub struct Screen {
    texts: mpsc::Sender<Text>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Screen {
    pub fn start(mut printer: Printer) -> io::Result<Screen> {
        let (texts, mut queue) = mpsc::channel::<Text>(QUEUE);
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

    pub async fn show(&self, post: &Post) -> io::Result<()> {
        let text = match post {
            Post::Edit { receipt, post } if receipt == LIVE => return self.put(Text::Live(post.text.clone())).await,
            Post::Send(post) | Post::Edit { post, .. } => post.text.clone(),
            Post::Document { document, caption, .. } => format!("{caption}\n{}", document.text),
            Post::Answer { text, .. } => text.clone(),
            Post::Typing { .. } => return Ok(()),
        };
        self.print(text).await
    }

    pub async fn print(&self, text: String) -> io::Result<()> {
        self.put(Text::Line(text)).await
    }

    async fn put(&self, text: Text) -> io::Result<()> {
        let text = match text {
            Text::Line(text) => Text::Line(neutral::text(&text).into_owned()),
            Text::Live(text) => Text::Live(neutral::text(&text).into_owned()),
        };
        self.texts.send(text).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Prints lines of the log without waiting; says no while too much is waiting to be printed already.
    pub fn logs(&self) -> impl Fn(String) -> bool + Send + 'static {
        let texts = self.texts.clone();
        move |line| texts.try_send(Text::Line(neutral::text(&line).into_owned())).is_ok()
    }

    /// Waits until all is printed.
    pub async fn finish(self) -> io::Result<()> {
        drop(self.texts);
        self.ended.await.unwrap_or(Ok(()))
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
    use std::sync::{Mutex, mpsc as blocking};

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
        let (chat, text) = ("terminal".to_owned(), text.to_owned());
        Post::Send(TextPost { chat, text, entities: String::new(), buttons: Vec::new(), reply_to: None, silent: false })
    }

    #[tokio::test]
    async fn a_terminal_that_is_stopped_stops_nobody_and_loses_nothing() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel(), blocking::channel());
        let screen = Screen::start(Printer::plain(Slow { leave, taken })).unwrap();
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
        let screen = Screen::start(Printer::plain(Slow { leave, taken })).unwrap();
        drop((let_go, printed));
        screen.show(&post("x")).await.unwrap();
        screen.texts.closed().await;
        assert_eq!(screen.show(&post("x")).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(screen.finish().await.is_err());
    }

    #[tokio::test]
    async fn what_a_plugin_forgot_to_neutralise_steers_no_terminal() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel(), blocking::channel());
        let screen = Screen::start(Printer::plain(Slow { leave, taken })).unwrap();
        for _ in 0..20 {
            let_go.send(()).unwrap();
        }
        screen.show(&post("\u{1b}]0;owned\u{7}\u{202e}x")).await.unwrap();
        screen.finish().await.unwrap();
        let all = String::from_utf8(printed.into_iter().flatten().collect()).unwrap();
        assert_eq!(all, "^[]0;owned^G<U+202E>x\n");
    }

    /// Keeps what is printed above a prompt.
    #[derive(Clone, Default)]
    struct Above(Arc<Mutex<Vec<String>>>);

    impl ExternalPrinter for Above {
        fn print(&mut self, text: String) -> rustyline::Result<()> {
            self.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    fn live(text: &str) -> Post {
        let Post::Send(post) = post(text) else { unreachable!() };
        Post::Edit { receipt: LIVE.into(), post }
    }

    #[tokio::test]
    async fn only_the_live_line_is_written_over_and_only_while_it_is_the_last() {
        let (above, cursor) = (Above::default(), Cursor::default());
        let mut printer = Printer::above(above.clone(), cursor.clone());
        let line = |text: &str| Text::Line(text.into());
        let live = |text: &str| Text::Live(text.into());
        for text in [line("a"), live("b"), live("c"), line("d"), line("e"), live("f")] {
            printer.print(&text).unwrap();
        }
        // Somebody typed a line: what stands above the prompt now is theirs.
        cursor.has_moved();
        printer.print(&live("g\nforged")).unwrap();
        printer.print(&live(&"x".repeat(5_000))).unwrap();
        let over = "\u{1b}[1A\r\u{1b}[2K";
        let printed = above.0.lock().unwrap().clone();
        let want =
            ["a", "b", &format!("{over}c"), &format!("{over}d"), "e", "f", "g forged"].map(|text| format!("{text}\n"));
        assert_eq!(printed[..7], want);
        assert!(printed[7].starts_with(over) && printed[7].chars().count() < 200, "one row only: {}", printed[7].len());
    }

    #[tokio::test]
    async fn a_pipe_gets_plain_lines() {
        let ((let_go, leave), (taken, printed)) = (blocking::channel(), blocking::channel());
        let screen = Screen::start(Printer::plain(Slow { leave, taken })).unwrap();
        for _ in 0..20 {
            let_go.send(()).unwrap();
        }
        for post in [live("a"), live("\u{1b}[1Ab"), post("c")] {
            screen.show(&post).await.unwrap();
        }
        screen.finish().await.unwrap();
        assert_eq!(String::from_utf8(printed.into_iter().flatten().collect()).unwrap(), "a\n^[[1Ab\nc\n");
    }
}
