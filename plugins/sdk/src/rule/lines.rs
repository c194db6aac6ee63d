//! Walks the lines of a hunk with their numbers on both sides. The format of hunk text is that of `git diff`, without the `@@` line.

use super::Hunk;

/// Which side of a change a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Unchanged, present on both sides.
    Both,
    /// Only before the change: a `-` line.
    Base,
    /// Only after the change: a `+` line.
    Head,
}

/// One line of a hunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub side: Side,
    /// Number before the change, counted from 1; for a `+` line that of the next line there.
    pub base: u32,
    /// Number after the change, counted from 1; for a `-` line that of the next line there.
    pub head: u32,
    /// Without Git's prefix and without a line end.
    pub text: &'a str,
}

impl Hunk {
    /// The lines in order. `\ No newline at end of file` is not a line; an empty line counts as an unchanged empty one, since
    /// some tools strip the trailing blank of a context line.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let (mut base, mut head) = (self.old_start.max(1), self.new_start.max(1));
        self.text.strip_suffix('\n').unwrap_or(&self.text).split('\n').filter(|_| !self.text.is_empty()).filter_map(
            move |raw| {
                let (side, text) = match raw.as_bytes().first() {
                    Some(b'+') => (Side::Head, &raw[1..]),
                    Some(b'-') => (Side::Base, &raw[1..]),
                    Some(b' ') => (Side::Both, &raw[1..]),
                    Some(b'\\') => return None,
                    None | Some(_) => (Side::Both, raw),
                };
                let line = Line { side, base, head, text: text.strip_suffix('\r').unwrap_or(text) };
                match side {
                    Side::Both => (base, head) = (base.saturating_add(1), head.saturating_add(1)),
                    Side::Base => base = base.saturating_add(1),
                    Side::Head => head = head.saturating_add(1),
                }
                Some(line)
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Vec<(Side, u32, u32, String)> {
        let hunk = Hunk { old_start: 10, new_start: 20, text: text.into() };
        hunk.lines().map(|line| (line.side, line.base, line.head, line.text.to_owned())).collect()
    }

    #[test]
    fn numbers_run_on_both_sides() {
        let lines = walk(" a\n-b\n-c\r\n+d\n\\ No newline at end of file\n e");
        let expected = [
            (Side::Both, 10, 20, "a"),
            (Side::Base, 11, 21, "b"),
            (Side::Base, 12, 21, "c"),
            (Side::Head, 13, 21, "d"),
            (Side::Both, 13, 22, "e"),
        ];
        assert_eq!(lines, expected.map(|(side, base, head, text)| (side, base, head, text.to_owned())));
    }

    #[test]
    fn a_final_line_feed_is_no_line_and_a_stripped_context_line_is_one() {
        assert_eq!(walk("+a\n").len(), 1);
        assert_eq!(walk("").len(), 0);
        assert_eq!(walk(" a\n\n+b")[1], (Side::Both, 11, 21, String::new()));
        assert_eq!(walk("+b")[0].2, 20);
    }

    #[test]
    fn a_side_that_is_empty_counts_from_one() {
        let hunk = Hunk { old_start: 0, new_start: 1, text: "+a\n+b".into() };
        assert_eq!(hunk.lines().map(|line| line.head).collect::<Vec<_>>(), [1, 2]);
    }
}
