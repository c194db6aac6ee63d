//! The console: the terminal `borg-host run` was started in. Lines typed there are updates; posts are printed above the prompt.

use super::{Chats, Conversation, WIDTH};
use borg_core::chat::{Post, Update, UpdateKind};
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use std::io::{self, IsTerminal, Write};
use tokio::sync::mpsc;

/// Name of the one chat a terminal is.
const CHAT: &str = "terminal";

/// Talks with whoever types, until the end of input; gives back control then. Without a terminal it reads lines and prints answers.
pub async fn converse(conversation: Conversation, uid: u32) -> io::Result<()> {
    let chat = format!("console:{CHAT}");
    let width = width();
    let mut notices = conversation.chats.listen(&chat, width);
    let (typed, mut lines) = mpsc::channel::<String>(16);
    let (mut printer, reader) = open(typed)?;
    let mut ordinal = 0_u64;
    loop {
        tokio::select! {
            Some(post) = notices.recv() => printer.post(&post)?,
            line = lines.recv() => {
                let Some(line) = line else { break };
                if line.trim().is_empty() {
                    continue;
                }
                ordinal += 1;
                let update = update(ordinal, uid, line);
                for post in conversation.answer("console", &update, width).await {
                    printer.post(&post)?;
                }
            }
        }
    }
    // The reader ends by itself at the end of input.
    drop(reader);
    Ok(())
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
    Plain,
}

impl Printer {
    fn post(&mut self, post: &Post) -> io::Result<()> {
        let text = match post {
            Post::Send(post) | Post::Edit { post, .. } => post.text.clone(),
            Post::Document { document, caption, .. } => format!("{caption}\n{}", document.text),
            Post::Answer { text, .. } => text.clone(),
            Post::Typing { .. } => return Ok(()),
        };
        match self {
            Printer::Above(printer) => printer.print(format!("{text}\n")).map_err(io::Error::other),
            Printer::Plain => {
                let mut out = io::stdout().lock();
                writeln!(out, "{text}")?;
                out.flush()
            }
        }
    }
}

fn open(typed: mpsc::Sender<String>) -> io::Result<(Printer, std::thread::JoinHandle<()>)> {
    if !io::stdin().is_terminal() {
        let reader = std::thread::Builder::new().name("console".into()).spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if typed.blocking_send(line).is_err() {
                    return;
                }
            }
        })?;
        return Ok((Printer::Plain, reader));
    }
    let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    let reader = std::thread::Builder::new().name("console".into()).spawn(move || {
        loop {
            match editor.readline("borg> ") {
                Ok(line) => {
                    // A history that cannot be kept is no reason to stop listening.
                    let _ = editor.add_history_entry(&line);
                    if typed.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) | Err(_) => return,
            }
        }
    })?;
    Ok((Printer::Above(Box::new(printer)), reader))
}

/// Columns of the terminal.
pub fn width() -> u32 {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| u32::from(size.ws_col));
    size.ok().filter(|columns| *columns >= 20).unwrap_or(WIDTH)
}

/// Prints posts as they come, for commands that follow a task inline.
pub async fn print_all(chats: &Chats, chat: &str) -> io::Result<()> {
    let mut posts = chats.listen(chat, width());
    let mut printer = Printer::Plain;
    while let Some(post) = posts.recv().await {
        printer.post(&post)?;
    }
    Ok(())
}
