//! `borg:plugin/log`: lines of a plugin in the host's log, under the plugin's name. Without the grant they go nowhere, silently: a
//! plugin cannot tell.

use crate::world::wit::log::Level;
use std::sync::Arc;

/// Longest line, in bytes.
const MAX_LINE: usize = 4 << 10;
/// Most lines of one call.
const MAX_LINES: u32 = 1_000;

/// One call's lines.
pub(crate) struct Log {
    plugin: Arc<str>,
    granted: bool,
    lines: u32,
    dropped: u32,
}

impl Log {
    pub(crate) fn new(plugin: Arc<str>, granted: bool) -> Log {
        Log { plugin, granted, lines: 0, dropped: 0 }
    }

    pub(crate) fn write(&mut self, level: Level, message: &str) {
        if !self.granted {
            return;
        }
        if self.lines == MAX_LINES {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.lines += 1;
        let line = printable(message);
        let plugin = &*self.plugin;
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{line}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{line}"),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.dropped > 0 {
            tracing::warn!(target: "plugin", plugin = &*self.plugin, dropped = self.dropped, "wrote too much to the log");
        }
    }
}

/// The message cut to the limit, on one line, with everything that a terminal might obey made visible.
fn printable(message: &str) -> String {
    let cut = &message[..message.floor_char_boundary(MAX_LINE)];
    cut.chars()
        .flat_map(|c| {
            // Bidirectional controls reorder what is read; the rest is what `is_control` knows.
            let hidden = c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let shown = (!hidden).then_some(c);
            shown.into_iter().chain(hidden.then(|| c.escape_unicode()).into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_a_terminal_raw() {
        assert_eq!(printable("a\u{1b}[31mb\nc\u{202e}ü"), "a\\u{1b}[31mb\\u{a}c\\u{202e}ü");
        assert_eq!(printable(&"ü".repeat(4_000)).len(), 4_096);
    }
}
