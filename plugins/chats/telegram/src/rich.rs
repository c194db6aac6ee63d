//! Text with styles that never overlap. Telegram makes links of addresses, file names (`main.rs` is a host name there), `@names` and
//! `/commands` by itself, and no entity forbids that, except where the text is code: so those stand as code.

use borg_sdk::visible;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Style {
    Bold,
    Code,
    /// A block of code, with its language or an empty string.
    Pre(String),
}

/// A style over a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    pub style: Style,
}

/// A text and its spans, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rich {
    pub text: String,
    pub spans: Vec<Span>,
    /// Commands may be tapped: true where the words are the host's own.
    pub is_tappable: bool,
}

impl Rich {
    /// Adds words of ours that hold nothing to neutralise.
    pub fn own(&mut self, words: &str) {
        self.text.push_str(words);
    }

    /// Adds text of others.
    pub fn plain(&mut self, text: &str) {
        self.styled(text, None);
    }

    pub fn bold(&mut self, text: &str) {
        self.styled(text, Some(Style::Bold));
    }

    pub fn code(&mut self, text: &str) {
        self.span(&visible(text), Style::Code);
    }

    pub fn pre(&mut self, language: &str, text: &str) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '#' | '-');
        let language = if language.len() <= 32 && language.chars().all(is_name) { language } else { "" };
        self.span(visible(text).trim_end(), Style::Pre(language.to_owned()));
    }

    fn styled(&mut self, text: &str, style: Option<Style>) {
        let text = visible(text);
        let mut rest = &*text;
        while !rest.is_empty() {
            let (before, token, after) = next_link(rest, self.is_tappable);
            match &style {
                Some(style) => self.span(before, style.clone()),
                None => self.text.push_str(before),
            }
            self.span(token, Style::Code);
            rest = after;
        }
    }

    fn span(&mut self, text: &str, style: Style) {
        let start = self.text.len();
        self.text.push_str(text);
        if text.trim().is_empty() {
            return;
        }
        let end = self.text.len();
        match self.spans.last_mut() {
            // Two that touch would be two blocks.
            Some(last) if last.end == start && last.style == style => last.end = end,
            Some(_) | None => self.spans.push(Span { start, end, style }),
        }
    }
}

/// Splits at the first word that would become a link: what stands before it, the word, what follows.
fn next_link(text: &str, is_tappable: bool) -> (&str, &str, &str) {
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let start = word.find(|c: char| !is_edge(c)).unwrap_or(word.len());
        let token = word[start..].trim_end_matches(|c: char| is_edge(c) || c == '/');
        if is_link(token, is_tappable) {
            let (start, end) = (at + start, at + start + token.len());
            return (&text[..start], &text[start..end], &text[end..]);
        }
        at += piece.len();
    }
    (text, "", "")
}

/// Punctuation around a word, which belongs to no link.
fn is_edge(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '`' | '*'
    ) || matches!(c, '“' | '”' | '‘' | '’' | '«' | '»' | '…' | '|')
}

/// Wider than Telegram's own rules: what they are exactly is not written down.
fn is_link(token: &str, is_tappable: bool) -> bool {
    let mut chars = token.chars().peekable();
    let mut before = None;
    let mut digit_dots = 0;
    if token.contains("://") {
        return true;
    }
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let after_word = before.is_some_and(char::is_alphanumeric);
        let before_word = next.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match c {
            // A name, an address of mail.
            '@' | '＠' if before_word => return true,
            '#' | '$' if before_word && !after_word && next.is_some_and(char::is_alphabetic) => return true,
            // A command; not what follows a word, such as a path or a fraction.
            '/' if before_word && !after_word && (before.is_some() || !is_tappable) => return true,
            // A host name, and so most names of files.
            '.' | '。' | '．' if after_word && before_word => {
                if next.is_some_and(|c| c.is_alphabetic() || c == '_') {
                    return true;
                }
                digit_dots += 1;
                if digit_dots == 3 {
                    return true;
                }
            }
            _ => {}
        }
        before = Some(c);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(rich: &Rich) -> Vec<(&str, &Style)> {
        rich.spans.iter().map(|span| (&rich.text[span.start..span.end], &span.style)).collect()
    }

    fn code(text: &str) -> Vec<String> {
        let mut rich = Rich::default();
        rich.plain(text);
        assert_eq!(rich.text, text);
        assert!(rich.spans.iter().all(|span| span.style == Style::Code));
        spans(&rich).iter().map(|(text, _)| (*text).to_owned()).collect()
    }

    #[test]
    fn what_would_become_a_link_is_code() {
        assert_eq!(
            code("see https://evil.example/x?y=1, and evil.example."),
            ["https://evil.example/x?y=1", "evil.example"]
        );
        assert_eq!(code("edited (src/main.rs), lib.rs"), ["src/main.rs", "lib.rs"]);
        assert_eq!(code("ask @admin_bot or a@b.example"), ["@admin_bot", "a@b.example"]);
        assert_eq!(code("type /approve 3 or “/reject”"), ["/approve", "/reject"]);
        assert_eq!(code("请看evil.example吧"), ["请看evil.example吧"]);
        assert_eq!(code("127.0.0.1:80 tg://resolve?domain=x"), ["127.0.0.1:80", "tg://resolve?domain=x"]);
        assert_eq!(code("пример.рф #tag $TON"), ["пример.рф", "#tag", "$TON"]);
        assert_eq!(code("*@admin* _/pause_ |@x|"), ["@admin", "_/pause_", "@x"]);
        assert!(code("costs 3.14, 1/2 of it; #3 and/or e. g. done. Next: $5 … a@ /").is_empty());
    }

    #[test]
    fn commands_of_ours_may_be_tapped_and_nothing_else_may() {
        let mut rich = Rich { is_tappable: true, ..Rich::default() };
        rich.plain("/help lists (/tasks); see evil.example/pause x:/pause");
        assert_eq!(spans(&rich), [("evil.example/pause", &Style::Code), ("x:/pause", &Style::Code)]);
    }

    #[test]
    fn styles_never_overlap() {
        let mut rich = Rich::default();
        rich.bold("mend src/lib.rs now");
        rich.own(" ");
        rich.pre("rust\n", "x\n\n");
        assert_eq!(
            spans(&rich),
            [
                ("mend ", &Style::Bold),
                ("src/lib.rs", &Style::Code),
                (" now", &Style::Bold),
                ("x", &Style::Pre(String::new()))
            ]
        );
    }
}
