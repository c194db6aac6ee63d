//! Streams of server-sent events, read as they pass.

/// Longest line or event that is looked into; what is longer passes unread.
pub const LONGEST: usize = 4 << 20;

/// Splits a stream into lines and events (WHATWG "Server-sent events"): lines end in LF, CR or CR LF, an event ends with an
/// empty line, `data` lines of one event are joined by LF.
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Part of the event was too long to keep.
    overflow: bool,
    after_cr: bool,
    /// Something of an event has passed since the last empty line.
    within: bool,
}

impl Events {
    /// Takes the next piece; gives the data of each event that ends in it, but of those that are too long to keep.
    pub fn feed(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(&mut event),
                byte => {
                    self.within = true;
                    match self.line.len() < LONGEST {
                        true => self.line.push(byte),
                        false => self.overflow = true,
                    }
                }
            }
        }
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            if self.has_data && !self.overflow {
                event(&self.data);
            }
            self.data.clear();
            (self.has_data, self.overflow, self.within) = (false, false, false);
            return;
        }
        if let Some(data) = self.line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            match self.data.len() + data.len() < LONGEST {
                true => {
                    if self.has_data {
                        self.data.push(b'\n');
                    }
                    self.data.extend_from_slice(data);
                }
                false => self.overflow = true,
            }
            self.has_data = true;
        }
        self.line.clear();
    }

    /// True if what passed so far is whole events.
    pub fn is_between_events(&self) -> bool {
        !self.within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_line_is_bounded() {
        let mut events = Events::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            events.feed(&chunk, |_| panic!("there is no event"));
        }
        assert!(events.line.len() <= LONGEST && !events.is_between_events());
        events.feed(b"\n\ndata: a\ndata: b\n\n", |data| assert_eq!(data, b"a\nb"));
        assert!(events.is_between_events());
    }
}
