//! Reads init's numbered lines from wherever an adapter finds them, passes on those not seen yet, and says how the run ended.

use super::{Error, Line, watch::Progress};
use borg_core::{
    executor::{EndCause, RunEnd},
    id::RunKey,
};
use borg_init::{Record, Stream};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Standard error that is kept, in bytes from its end.
const STDERR_TAIL: usize = 16 * 1024;
/// Longest line that is read, in bytes: a full line of init with every byte escaped, and room to spare.
const LONGEST: usize = 8 * borg_init::LINE_MAX;

/// Turns the bytes of init's output into lines, as often as the output is read from its start.
pub(super) struct Reader {
    run: RunKey,
    lines: mpsc::Sender<Line>,
    progress: Arc<Progress>,
    /// Number of the last line that was passed on, or need not be.
    passed: u64,
    /// Number of the last line that was read, in this reading.
    read: u64,
    partial: Vec<u8>,
    stderr: String,
    ended: Option<Ended>,
}

/// Init's last word.
#[derive(Clone, Copy)]
struct Ended {
    exit_code: Option<i32>,
    output_capped: bool,
}

impl Reader {
    /// Passes on lines numbered above `after`.
    pub(super) fn new(run: RunKey, after: u64, lines: mpsc::Sender<Line>, progress: Arc<Progress>) -> Self {
        let (partial, stderr) = (Vec::new(), String::new());
        Reader { run, lines, progress, passed: after, read: 0, partial, stderr, ended: None }
    }

    /// Must be called before the output is read from its start once more.
    pub(super) fn rewind(&mut self) {
        self.read = 0;
        self.partial.clear();
        self.stderr.clear();
    }

    /// Takes the next bytes of init's output.
    pub(super) async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.line(&line).await?;
            line.clear();
            self.partial = line;
        }
        if self.partial.len() + bytes.len() <= LONGEST {
            self.partial.extend_from_slice(bytes);
        }
        Ok(())
    }

    async fn line(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Ok(line) = serde_json::from_slice::<Line>(bytes) else {
            // Init writes nothing else; the host relies on nothing that is said here.
            tracing::warn!(run = %self.run, bytes = bytes.len(), "init printed something that is not a line");
            return Ok(());
        };
        if line.n <= self.read {
            return Ok(());
        }
        self.read = line.n;
        match line.stream {
            Stream::Out => {}
            Stream::Err => self.keep_stderr(&line.text),
            Stream::Init => match line.record() {
                Some(Record::Ended { exit_code, signal: _, output_capped }) => {
                    self.ended = Some(Ended { exit_code, output_capped });
                }
                Some(Record::OutputCapped { .. }) => self.progress.cap_output(),
                Some(Record::Refused { why }) => self.keep_stderr(&why),
                Some(Record::Started { .. } | Record::LineCut { .. }) | None => {}
            },
        }
        if line.n <= self.passed {
            return Ok(());
        }
        self.progress.beat();
        let n = line.n;
        if let Err(mpsc::error::TrySendError::Full(line)) = self.lines.try_send(line) {
            // While the reader is behind, silence is not the process's fault.
            let _waiting = self.progress.pause();
            self.lines.send(line).await.map_err(|_| Error::Abandoned(self.run))?;
        } else if self.lines.is_closed() {
            return Err(Error::Abandoned(self.run));
        }
        self.passed = n;
        Ok(())
    }

    /// True when init's last word was read.
    pub(super) fn is_whole(&self) -> bool {
        self.ended.is_some()
    }

    fn keep_stderr(&mut self, text: &str) {
        self.stderr.push_str(text);
        self.stderr.push('\n');
        // Cut rarely, so that a talkative process costs no copy per line.
        if self.stderr.len() > 4 * STDERR_TAIL {
            self.stderr = tail(&self.stderr).to_owned();
        }
    }

    /// How the run ended, once the process is gone: by what the host did, what the kernel did, and only then what init says.
    pub(super) fn end(self, fate: Fate) -> RunEnd {
        let Fate { killed, out_of_memory, status, note } = fate;
        let exit_code = self.ended.map_or(status, |ended| ended.exit_code);
        let cause = match (killed, self.ended) {
            (Some(cause), _) => cause,
            (None, _) if out_of_memory && exit_code != Some(0) => EndCause::OutOfMemory,
            (None, Some(ended)) if ended.output_capped => EndCause::OutputCap,
            (None, Some(Ended { exit_code: Some(_), .. })) => EndCause::Exited,
            (None, Some(Ended { exit_code: None, .. })) => EndCause::KilledBySignal,
            // Init itself was killed, which nothing inside can do: by the engine, an operator, or a machine that went down.
            (None, None) => EndCause::Lost,
        };
        let mut stderr = self.stderr;
        if self.ended.is_none() {
            stderr.push_str(&note);
        }
        RunEnd { cause, exit_code, stderr_tail: tail(&stderr).to_owned() }
    }
}

/// What an adapter knows about the end of a process.
#[derive(Default)]
pub(super) struct Fate {
    /// Why the host ended it, if it did.
    pub killed: Option<EndCause>,
    pub out_of_memory: bool,
    /// Exit code of init, 128 + signal when it was killed.
    pub status: Option<i32>,
    /// What init or the engine said outside the lines; shown when init's last word is missing.
    pub note: String,
}

/// The end of a text, at most [`STDERR_TAIL`] bytes, cut at a character.
fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(STDERR_TAIL))..]
}

/// Notes why the host ends a run, unless a cause is noted already; returns the cause that stands. Blocks.
pub(super) fn note_cause(path: &Path, cause: EndCause) -> Result<(), Error> {
    use std::io::Write;
    let text = serde_json::to_vec(&cause).expect("a cause is a word");
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(&text).map_err(Error::io("write", path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("create", path)(error)),
    }
}

/// The cause that was noted, if one was. Blocks.
pub(super) fn noted_cause(path: &Path) -> Option<EndCause> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// How long a process may tidy up after SIGTERM. Together with the kill it stays below two seconds.
pub(super) fn grace(cause: EndCause) -> Duration {
    match cause {
        EndCause::DiskCap | EndCause::OutputCap | EndCause::OutOfMemory => Duration::ZERO,
        EndCause::Exited
        | EndCause::KilledBySignal
        | EndCause::TimedOut
        | EndCause::Silent
        | EndCause::Capped
        | EndCause::Cancelled
        | EndCause::Lost => Duration::from_millis(1200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::id::{RunKind, TaskId};

    fn encode(lines: &[Line]) -> Vec<u8> {
        lines.iter().flat_map(|line| [serde_json::to_vec(line).unwrap(), b"\n".to_vec()].concat()).collect()
    }

    fn line(n: u64, stream: Stream, text: &str) -> Line {
        Line { n, stream, text: text.to_owned() }
    }

    fn record(n: u64, record: &Record) -> Line {
        line(n, Stream::Init, &serde_json::to_string(record).unwrap())
    }

    fn reader(after: u64) -> (Reader, mpsc::Receiver<Line>) {
        let (sender, receiver) = mpsc::channel(100);
        let run = RunKey { owner: TaskId(1).into(), place: 0, fence: 1, kind: RunKind::Agent };
        (Reader::new(run, after, sender, Arc::new(Progress::new())), receiver)
    }

    fn drain(receiver: &mut mpsc::Receiver<Line>) -> Vec<u64> {
        std::iter::from_fn(|| receiver.try_recv().ok()).map(|line| line.n).collect()
    }

    #[tokio::test]
    async fn lines_survive_any_cut_and_are_passed_on_once() {
        let text = "é".repeat(100);
        let bytes = encode(&[line(1, Stream::Out, &text), line(2, Stream::Err, "two"), line(3, Stream::Out, "three")]);
        for size in [1, 2, 3, 7, 64, bytes.len()] {
            let (mut reader, mut receiver) = reader(1);
            for chunk in bytes.chunks(size) {
                reader.take(chunk).await.unwrap();
            }
            assert_eq!(drain(&mut receiver), [2, 3]);
            reader.rewind();
            reader.take(&bytes).await.unwrap();
            assert_eq!(drain(&mut receiver), [0; 0]);
            assert_eq!(reader.end(Fate::default()).stderr_tail, "two\n");
        }
    }

    #[tokio::test]
    async fn garbage_and_endless_lines_are_survived() {
        let (mut reader, mut receiver) = reader(0);
        reader.take(b"not json\n{}\n\n").await.unwrap();
        for _ in 0..20 {
            reader.take(&vec![b'x'; 1 << 20]).await.unwrap();
        }
        assert!(reader.partial.len() <= LONGEST);
        reader.take(b"\n").await.unwrap();
        reader
            .take(&encode(&[line(1, Stream::Out, "a"), line(1, Stream::Out, "again"), line(2, Stream::Out, "b")]))
            .await
            .unwrap();
        assert_eq!(drain(&mut receiver), [1, 2]);
    }

    #[tokio::test]
    async fn the_cause_is_the_host_s_then_the_kernel_s_then_init_s() {
        let ended = |exit_code, output_capped| {
            Some(Record::Ended { exit_code, signal: exit_code.is_none().then_some(9), output_capped })
        };
        let cancelled = || Fate { killed: Some(EndCause::Cancelled), status: Some(137), ..Fate::default() };
        let oom = || Fate { out_of_memory: true, status: Some(137), ..Fate::default() };
        let status = |code| Fate { status: Some(code), ..Fate::default() };
        let rows = [
            (ended(Some(0), false), status(0), EndCause::Exited, Some(0)),
            (ended(Some(3), false), status(3), EndCause::Exited, Some(3)),
            (ended(None, false), status(137), EndCause::KilledBySignal, None),
            (ended(Some(0), true), status(0), EndCause::OutputCap, Some(0)),
            (ended(Some(143), false), cancelled(), EndCause::Cancelled, Some(143)),
            (ended(Some(2), false), oom(), EndCause::OutOfMemory, Some(2)),
            (ended(Some(0), false), oom(), EndCause::Exited, Some(0)),
            (None, oom(), EndCause::OutOfMemory, Some(137)),
            (None, cancelled(), EndCause::Cancelled, Some(137)),
            (None, status(137), EndCause::Lost, Some(137)),
            (None, status(0), EndCause::Lost, Some(0)),
            (None, Fate::default(), EndCause::Lost, None),
        ];
        for (last, fate, cause, exit_code) in rows {
            let (mut reader, _receiver) = reader(0);
            if let Some(last) = &last {
                reader.take(&encode(&[record(1, last)])).await.unwrap();
            }
            let end = reader.end(fate);
            assert_eq!((end.cause, end.exit_code), (cause, exit_code), "{last:?}");
        }
    }

    #[tokio::test]
    async fn the_tail_of_stderr_is_bounded_and_whole_characters() {
        let (mut reader, _receiver) = reader(u64::MAX);
        for n in 1..3000 {
            reader.take(&encode(&[line(n, Stream::Err, "äöü line of text")])).await.unwrap();
        }
        let end = reader.end(Fate::default());
        assert!((STDERR_TAIL - 8..=STDERR_TAIL).contains(&end.stderr_tail.len()));
        assert!(end.stderr_tail.ends_with("äöü line of text\n"));
    }

    #[tokio::test]
    async fn a_reader_that_went_away_is_an_error() {
        let (mut reader, receiver) = reader(0);
        drop(receiver);
        let answer = reader.take(&encode(&[line(1, Stream::Out, "a")])).await;
        assert!(matches!(answer, Err(Error::Abandoned(_))));
    }

    #[test]
    fn the_first_cause_stands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ended-by");
        assert_eq!(noted_cause(&path), None);
        note_cause(&path, EndCause::DiskCap).unwrap();
        note_cause(&path, EndCause::Cancelled).unwrap();
        assert_eq!(noted_cause(&path), Some(EndCause::DiskCap));
    }
}
