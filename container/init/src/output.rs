//! Numbered lines on standard output: one writer for all streams, under one cap.

use borg_init::{LINE_MAX, Line, Record, Stream};
use std::{
    io::{self, ErrorKind, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Prints [`Line`]s; clones share the numbering and the cap.
#[derive(Clone)]
pub struct Printer(Arc<Mutex<State>>);

struct State {
    to: Box<dyn Write + Send>,
    next: u64,
    /// Bytes of encoded output lines so far, init's own records not counted.
    printed: u64,
    cap: u64,
    capped: bool,
    /// Nothing more is printed: the last line is out, or nobody reads.
    closed: bool,
}

impl Printer {
    pub fn new(to: impl Write + Send + 'static, cap: u64) -> Self {
        Self(Arc::new(Mutex::new(State { to: Box::new(to), next: 1, printed: 0, cap, capped: false, closed: false })))
    }

    pub fn record(&self, record: &Record) {
        self.state().record(record);
    }

    /// Prints [`Record::Ended`]; what comes later is dropped, so that it is the last line.
    pub fn end(&self, exit_code: Option<i32>, signal: Option<i32>) {
        let mut state = self.state();
        let output_capped = state.capped;
        state.record(&Record::Ended { exit_code, signal, output_capped });
        state.closed = true;
    }

    /// Copies `from` until its end, line by line. Goes on reading above the cap, so that whoever writes is never stuck.
    ///
    /// # Errors
    /// Only those of reading.
    pub fn copy(&self, mut from: impl Read, stream: Stream) -> io::Result<()> {
        let mut chunk = vec![0; 64 * 1024];
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let length = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(why) => return Err(why),
            };
            for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
                rest.extend_from_slice(piece);
                while rest.len() > LINE_MAX && rest.get(LINE_MAX) != Some(&b'\n') {
                    let cut = whole_characters(&rest[..LINE_MAX]);
                    self.state().line(stream, &rest[..cut], true);
                    rest.drain(..cut);
                }
                if rest.last() == Some(&b'\n') {
                    self.state().line(stream, &rest[..rest.len() - 1], false);
                    rest.clear();
                }
            }
        }
        if !rest.is_empty() {
            self.state().line(stream, &rest, false);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Prints one line of output, and that it was cut, if it was.
    fn line(&mut self, stream: Stream, text: &[u8], cut: bool) {
        if self.capped || self.closed {
            return;
        }
        let encoded = self.encode(stream, &String::from_utf8_lossy(text));
        let total = self.printed + encoded.len() as u64;
        if total > self.cap {
            self.capped = true;
            self.record(&Record::OutputCapped { bytes: self.cap });
            return;
        }
        self.printed = total;
        self.put(&encoded);
        if cut {
            self.record(&Record::LineCut { stream });
        }
    }

    fn record(&mut self, record: &Record) {
        let text = serde_json::to_string(record).expect("records have string keys only");
        let encoded = self.encode(Stream::Init, &text);
        self.put(&encoded);
    }

    fn encode(&self, stream: Stream, text: &str) -> Vec<u8> {
        let line = Line { n: self.next, stream, text: text.into() };
        let mut encoded = serde_json::to_vec(&line).expect("lines have string keys only");
        encoded.push(b'\n');
        encoded
    }

    fn put(&mut self, encoded: &[u8]) {
        if !self.closed {
            self.next += 1;
            self.closed = self.to.write_all(encoded).and_then(|()| self.to.flush()).is_err();
        }
    }
}

/// How much of `text` to take so that no UTF-8 character is torn; all of it where the tear is not ours.
fn whole_characters(text: &[u8]) -> usize {
    let tail = text.len() - 3;
    let start = (tail..text.len()).rev().find(|at| text[*at] & 0xc0 == 0xc0);
    match start {
        Some(at) if std::str::from_utf8(&text[at..]).is_err_and(|why| why.error_len().is_none()) => at,
        Some(_) | None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink the test can read back.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(cap: u64, input: &[u8]) -> Vec<Line> {
        let sink = Sink::default();
        let printer = Printer::new(sink.clone(), cap);
        printer.copy(input, Stream::Out).expect("a slice reads");
        printer.end(Some(0), None);
        printer.copy(&b"too late\n"[..], Stream::Out).expect("a slice reads");
        let bytes = sink.0.lock().expect("one thread").clone();
        let lines: Vec<Line> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect();
        assert!(lines.iter().map(|line| line.n).eq(1..=lines.len() as u64), "numbers without gaps");
        assert!(matches!(lines.last().and_then(Line::record), Some(Record::Ended { .. })), "ended is last");
        lines
    }

    #[test]
    fn lines_are_numbered_lossy_and_complete() {
        let lines = printed(1 << 20, b"one\n\n\xff two\r\nlast without end");
        let texts: Vec<_> =
            lines.iter().filter(|line| line.stream == Stream::Out).map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one", "", "\u{fffd} two\r", "last without end"]);
    }

    #[test]
    fn the_cap_counts_what_is_printed_and_says_so_once() {
        let lines = printed(2_000, "\n".repeat(10_000).as_bytes());
        let size: usize = lines
            .iter()
            .filter(|line| line.stream == Stream::Out)
            .map(|line| serde_json::to_vec(line).expect("JSON").len() + 1)
            .sum();
        assert!((1_900..=2_000).contains(&size), "{size}");
        let capped =
            lines.iter().filter(|line| matches!(line.record(), Some(Record::OutputCapped { bytes: 2_000 }))).count();
        assert_eq!(capped, 1);
        assert!(matches!(lines.last().and_then(Line::record), Some(Record::Ended { output_capped: true, .. })));
    }

    #[test]
    fn long_lines_are_cut_between_characters_and_marked() {
        let text = format!("x{}\nshort\n", "\u{20ac}".repeat(LINE_MAX / 2));
        let lines = printed(1 << 30, text.as_bytes());
        let mut whole = String::new();
        for pair in lines.windows(2) {
            if pair[0].stream == Stream::Out {
                whole += &pair[0].text;
                if pair[1].record() != Some(Record::LineCut { stream: Stream::Out }) {
                    whole.push('\n');
                }
            }
        }
        assert_eq!(whole, text);
        assert!(lines.iter().all(|line| line.text.len() <= LINE_MAX));
    }

    #[test]
    fn a_line_of_just_the_limit_is_not_cut() {
        let text = "x".repeat(LINE_MAX);
        let lines = printed(1 << 30, format!("{text}\n").as_bytes());
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].text, text);
    }
}
