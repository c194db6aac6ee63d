//! A program at a terminal of its own: what it shows, what is typed, and whether the terminal shows that.

use crate::process::{self, Backoff};
use anyhow::{Context, Result, bail};
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The terminal's size.
const SIZE: Winsize = Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };

/// Written by the test itself behind what the program showed last.
const LAST: &[u8] = b"\0end\0";

/// A program, and the person before it.
pub struct Terminal {
    child: Child,
    /// The person's end.
    master: File,
    /// The program's end, held so that its settings can be asked for after the program has gone.
    slave: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Bytes that were waited past.
    past: usize,
}

impl Terminal {
    /// Starts a command as leader of a new terminal; its environment is as given, its standard streams are the terminal.
    ///
    /// # Errors
    /// When there is no terminal to be had, or no `setsid` of util-linux.
    pub fn start(command: &Command) -> Result<Self> {
        let pair = openpty(&SIZE, None).context("opening a terminal")?;
        let (master, slave) = (File::from(pair.master), File::from(pair.slave));
        // A shell's background jobs hear no Ctrl-C, and neither would what they start.
        let mut leader = process::command("env");
        leader.args(["--default-signal=INT", "setsid"]);
        leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        if let Some(folder) = command.get_current_dir() {
            leader.current_dir(folder);
        }
        let end = || Ok::<_, std::io::Error>(Stdio::from(slave.try_clone()?));
        leader.stdin(end()?).stdout(end()?).stderr(end()?);
        let child = leader.spawn().context("starting setsid")?;
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (master.try_clone()?, shown.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends when nobody holds the other end any more.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
            }
        });
        Ok(Terminal { child, master, slave, shown, past: 0 })
    }

    /// Everything shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until words are shown after those waited for before; gives what came up to their end.
    ///
    /// # Errors
    /// After `limit`, with everything shown.
    pub fn until(&mut self, words: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut pauses = Backoff::default();
        loop {
            {
                let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                let new = &shown[self.past..];
                if let Some(at) = new.windows(words.len()).position(|window| window == words.as_bytes()) {
                    let end = at + words.len();
                    let text = String::from_utf8_lossy(&new[..end]).into_owned();
                    self.past += end;
                    return Ok(text);
                }
            }
            if !pauses.pause_until(deadline) {
                bail!("`{words}` is not shown within {limit:?}, only:\n{}", self.shown());
            }
        }
    }

    /// Types: `\r` is the return key, `\u{3}` Ctrl-C, `\u{4}` Ctrl-D.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        self.master.write_all(keys.as_bytes()).context("typing")
    }

    /// True while the terminal shows what is typed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn echoes(&self) -> Result<bool> {
        Ok(tcgetattr(self.slave.as_fd())?.local_flags.contains(LocalFlags::ECHO))
    }

    /// True while whole lines are typed and Ctrl-C is a signal, as a shell leaves it.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn is_as_shells_leave_it(&self) -> Result<bool> {
        let usual = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        Ok(tcgetattr(self.slave.as_fd())?.local_flags.contains(usual))
    }

    /// Waits for the program's end; its exit code, 128 and more for a signal.
    ///
    /// # Errors
    /// When it does not end within `limit`, with everything shown.
    pub fn ends(&mut self, limit: Duration) -> Result<Option<i32>> {
        match process::wait(&mut self.child, limit)? {
            Some(ended) => {
                self.until_all_is_read(limit)?;
                Ok(ended.0)
            }
            None => bail!("it did not end within {limit:?}; shown:\n{}", self.shown()),
        }
    }
}

impl Terminal {
    /// Waits until the last words have come through, which a program that has ended does not.
    fn until_all_is_read(&mut self, limit: Duration) -> Result<()> {
        self.slave.write_all(LAST).context("writing after the last words")?;
        let deadline = Instant::now() + limit;
        let mut pauses = Backoff::default();
        loop {
            {
                let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                if shown.ends_with(LAST) {
                    let length = shown.len() - LAST.len();
                    shown.truncate(length);
                    return Ok(());
                }
            }
            if !pauses.pause_until(deadline) {
                bail!("the terminal did not show its last words within {limit:?}, only:\n{}", self.shown());
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What is left of it loses its terminal, and a test that fails has more to tell than this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
