//! Splits source text into tokens, so that comments and strings are never mistaken for code. What tokens mean is in the file of each language.

/// Languages whose tests can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    Python,
    /// JavaScript and TypeScript.
    Js,
    Go,
}

impl Language {
    /// By the ending of a path.
    pub fn of(path: &str) -> Option<Language> {
        match path.rsplit_once('.')?.1 {
            "rs" => Some(Language::Rust),
            "py" => Some(Language::Python),
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" => Some(Language::Js),
            "go" => Some(Language::Go),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    /// A string, character or regular expression, with its quotes.
    Text,
    Sign,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Counted from 1.
    pub line: u32,
    /// Columns before it when it is the first of its line.
    pub indent: Option<u32>,
}

impl Token<'_> {
    pub fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::Text
    }

    pub fn is_literal(&self) -> bool {
        match self.kind {
            Kind::Number | Kind::Text => true,
            Kind::Word => {
                matches!(self.text, "true" | "false" | "True" | "False" | "None" | "null" | "nil" | "undefined")
            }
            Kind::Sign => false,
        }
    }
}

/// Tokens of a text, and for each bracket the index of its partner.
pub struct Tokens<'a> {
    pub list: Vec<Token<'a>>,
    partner: Vec<u32>,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str, language: Language) -> Self {
        let mut lexer = Lexer {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            line_start: 0,
            fresh: true,
            language,
            list: Vec::with_capacity(text.len() / 5),
        };
        lexer.run();
        let list = lexer.list;
        let mut partner = vec![u32::MAX; list.len()];
        let mut open: Vec<usize> = Vec::new();
        for (at, token) in list.iter().enumerate() {
            if token.kind != Kind::Sign {
                continue;
            }
            match token.text {
                "(" | "[" | "{" => open.push(at),
                ")" | "]" | "}" => {
                    if let Some(start) = open.pop() {
                        partner[start] = at as u32;
                        partner[at] = start as u32;
                    }
                }
                _ => {}
            }
        }
        Tokens { list, partner }
    }

    /// Index of the bracket that closes the one at `open`, or the end of the text.
    pub fn close(&self, open: usize) -> usize {
        match self.partner.get(open) {
            Some(&partner) if partner != u32::MAX => partner as usize,
            _ => self.list.len(),
        }
    }

    pub fn get(&self, at: usize) -> Option<&Token<'a>> {
        self.list.get(at)
    }

    pub fn is(&self, at: usize, text: &str) -> bool {
        self.get(at).is_some_and(|token| token.is(text))
    }

    /// Text of a token, empty beyond the end.
    pub fn text(&self, at: usize) -> &'a str {
        self.get(at).map_or("", |token| token.text)
    }

    pub fn line(&self, at: usize) -> u32 {
        self.get(at).or(self.list.last()).map_or(1, |token| token.line)
    }

    /// Ranges between the commas of `from..to`, brackets skipped.
    pub fn split(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let mut start = from;
        let mut at = from;
        while at < to {
            match self.text(at) {
                "(" | "[" | "{" if self.list[at].kind == Kind::Sign => at = self.close(at),
                "," if self.list[at].kind == Kind::Sign => {
                    parts.push((start, at));
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        if start < to.min(self.list.len()) {
            parts.push((start, to));
        }
        parts
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
    /// Nothing but blanks on this line so far.
    fresh: bool,
    language: Language,
    list: Vec<Token<'a>>,
}

const LONG_SIGNS: [&str; 22] = [
    "===", "!==", "**=", "...", "==", "!=", "<=", ">=", "&&", "||", "=>", "->", "::", ":=", "??", "?.", "**", "//",
    "+=", "-=", "..", "<-",
];

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn run(&mut self) {
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.new_line();
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' if self.language == Language::Python => self.skip_line(),
                b'/' if self.language != Language::Python && self.peek(1) == b'/' => self.skip_line(),
                b'/' if self.language != Language::Python && self.peek(1) == b'*' => self.skip_block(),
                b'#' if self.language == Language::Js && self.at == 0 => self.skip_line(),
                b'"' | b'\'' | b'`' => self.quoted(),
                b'0'..=b'9' => self.number(),
                b'/' if self.language == Language::Js && self.regex_may_start() => self.regex(),
                _ if is_word(byte) => self.word(),
                _ => self.sign(),
            }
        }
    }

    fn new_line(&mut self) {
        self.line += 1;
        self.line_start = self.at;
        self.fresh = true;
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') if depth == 0 || self.language == Language::Rust => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (b'\n', _) => {
                    self.at += 1;
                    self.new_line();
                }
                _ => self.at += 1,
            }
        }
    }

    /// Adds the token from `start` to here; it began on `line`.
    fn push(&mut self, kind: Kind, start: usize, line: u32, line_start: usize) {
        let indent = self
            .fresh
            .then(|| self.bytes[line_start..start].iter().map(|byte| if *byte == b'\t' { 8 } else { 1 }).sum());
        self.fresh = false;
        self.list.push(Token { kind, text: &self.text[start..self.at], line, indent });
    }

    fn word(&mut self) {
        let start = self.at;
        while is_word(self.peek(0)) && self.at < self.bytes.len() {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        let quote = matches!(self.peek(0), b'"' | b'\'');
        let raw_hash = self.peek(0) == b'#' && matches!(self.peek(1), b'#' | b'"');
        match self.language {
            Language::Python if quote && word.len() <= 2 && word.iter().all(|byte| b"rRbBuUfFtT".contains(byte)) => {
                self.python_string(start);
            }
            Language::Rust if (self.peek(0) == b'"' || raw_hash) && matches!(word, b"r" | b"br" | b"cr") => {
                self.rust_raw(start)
            }
            Language::Rust if quote && matches!(word, b"b" | b"c") => self.simple(start, self.peek(0)),
            Language::Rust | Language::Python | Language::Js | Language::Go => {
                self.push(Kind::Word, start, self.line, self.line_start)
            }
        }
    }

    fn number(&mut self) {
        let start = self.at;
        loop {
            let byte = self.peek(0);
            let exponent = matches!(byte, b'+' | b'-')
                && matches!(self.bytes[self.at - 1], b'e' | b'E')
                && !self.text[start..self.at].starts_with("0x");
            let point = byte == b'.' && self.peek(1).is_ascii_digit()
                || byte == b'.' && self.peek(1) != b'.' && !is_word(self.peek(1));
            if !(is_word(byte) || exponent && self.at > start || point) {
                break;
            }
            self.at += 1;
        }
        self.push(Kind::Number, start, self.line, self.line_start);
    }

    fn quoted(&mut self) {
        let start = self.at;
        let quote = self.peek(0);
        match self.language {
            Language::Python if quote != b'`' => self.python_string(start),
            Language::Js if quote == b'`' => self.template(start),
            Language::Go if quote == b'`' => self.until(start, b'`'),
            Language::Rust if quote == b'\'' && !self.is_char() => {
                self.at += 1;
                while is_word(self.peek(0)) && self.at < self.bytes.len() {
                    self.at += 1;
                }
                self.push(Kind::Word, start, self.line, self.line_start);
            }
            Language::Rust | Language::Python | Language::Js | Language::Go => self.simple(start, quote),
        }
    }

    /// At a quote in Rust: true for `'x'`, false for a lifetime.
    fn is_char(&self) -> bool {
        if self.peek(1) == b'\\' {
            return true;
        }
        let mut chars = self.text[self.at + 1..].chars();
        chars.next();
        chars.next() == Some('\'')
    }

    fn simple(&mut self, start: usize, quote: u8) {
        let (line, line_start) = (self.line, self.line_start);
        let fresh = self.fresh;
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => {
                    self.at += 1;
                    if self.peek(0) == b'\n' {
                        self.at += 1;
                        self.new_line();
                    } else if self.at < self.bytes.len() {
                        self.at += 1;
                        self.step_to_border();
                    }
                }
                b'\n' if self.language != Language::Rust => break,
                b'\n' => {
                    self.at += 1;
                    self.new_line();
                }
                byte => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        self.fresh = fresh;
        self.push(Kind::Text, start, line, line_start);
    }

    /// Moves to the next character border.
    fn step_to_border(&mut self) {
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// A raw string, too, does not end at a quote behind a backslash.
    fn python_string(&mut self, start: usize) {
        let quote = self.peek(0);
        if self.peek(1) != quote || self.peek(2) != quote {
            return self.simple(start, quote);
        }
        let (line, line_start, fresh) = (self.line, self.line_start, self.fresh);
        self.at += 3;
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => {
                    self.at += 1;
                    if self.peek(0) != b'\n' && self.at < self.bytes.len() {
                        self.at += 1;
                        self.step_to_border();
                    }
                }
                b'\n' => {
                    self.at += 1;
                    self.new_line();
                }
                byte if byte == quote && self.peek(1) == quote && self.peek(2) == quote => {
                    self.at += 3;
                    break;
                }
                _ => self.at += 1,
            }
        }
        self.fresh = fresh;
        self.push(Kind::Text, start, line, line_start);
    }

    fn rust_raw(&mut self, start: usize) {
        let (line, line_start, fresh) = (self.line, self.line_start, self.fresh);
        let mut hashes = 0;
        while self.peek(0) == b'#' {
            hashes += 1;
            self.at += 1;
        }
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            self.at += 1;
            if byte == b'\n' {
                self.new_line();
            } else if byte == b'"' && (0..hashes).all(|ahead| self.peek(ahead) == b'#') {
                self.at += hashes;
                break;
            }
        }
        self.fresh = fresh;
        self.push(Kind::Text, start, line, line_start);
    }

    fn until(&mut self, start: usize, end: u8) {
        let (line, line_start, fresh) = (self.line, self.line_start, self.fresh);
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            self.at += 1;
            if byte == b'\n' {
                self.new_line();
            } else if byte == end {
                break;
            }
        }
        self.fresh = fresh;
        self.push(Kind::Text, start, line, line_start);
    }

    /// A template literal as one token, with the templates nested in its `${…}`.
    fn template(&mut self, start: usize) {
        let (line, line_start, fresh) = (self.line, self.line_start, self.fresh);
        self.at += 1;
        // Braces open in the `${…}` of each template around; a template's own text is at 0.
        let mut depths = vec![0usize];
        while self.at < self.bytes.len() {
            let Some(depth) = depths.last_mut() else { break };
            let byte = self.bytes[self.at];
            self.at += 1;
            match byte {
                b'\\' if self.at < self.bytes.len() => {
                    self.at += 1;
                    self.step_to_border();
                }
                b'\n' => self.new_line(),
                b'$' if *depth == 0 && self.peek(0) == b'{' => {
                    *depth = 1;
                    self.at += 1;
                }
                b'{' if *depth > 0 => *depth += 1,
                b'}' if *depth > 0 => *depth -= 1,
                b'`' if *depth == 0 => {
                    depths.pop();
                }
                b'`' => depths.push(0),
                _ => {}
            }
            if depths.is_empty() {
                break;
            }
        }
        self.fresh = fresh;
        self.push(Kind::Text, start, line, line_start);
    }

    fn regex_may_start(&self) -> bool {
        self.list.last().is_none_or(|last| match last.kind {
            Kind::Word => matches!(last.text, "return" | "typeof" | "case" | "in" | "of" | "await" | "yield"),
            Kind::Number | Kind::Text => false,
            Kind::Sign => !matches!(last.text, ")" | "]" | "}"),
        })
    }

    fn regex(&mut self) {
        let start = self.at;
        self.at += 1;
        let mut class = false;
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            let byte = self.peek(0);
            self.at += 1;
            match byte {
                b'\\' if self.at < self.bytes.len() => {
                    self.at += 1;
                    self.step_to_border();
                }
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => break,
                _ => {}
            }
        }
        while self.peek(0).is_ascii_alphabetic() {
            self.at += 1;
        }
        self.push(Kind::Text, start, self.line, self.line_start);
    }

    fn sign(&mut self) {
        let start = self.at;
        let rest = &self.bytes[start..];
        let long = LONG_SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes()));
        match long {
            Some(sign) => self.at += sign.len(),
            None => {
                self.at += 1;
                self.step_to_border();
            }
        }
        self.push(Kind::Sign, start, self.line, self.line_start);
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str, language: Language) -> Vec<&str> {
        Tokens::new(text, language).list.iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(
            words("a /* x /* y */ z */ b // c\n'q' 'life r#\"// \"#", Language::Rust),
            ["a", "b", "'q'", "'life", "r#\"// \"#"]
        );
        assert_eq!(words("a = '''x\n# y\n''' # z\nb", Language::Python), ["a", "=", "'''x\n# y\n'''", "b"]);
        assert_eq!(
            words("`a ${b + `c`} d` / 2; x = /a\\/[/]b/g", Language::Js),
            ["`a ${b + `c`} d`", "/", "2", ";", "x", "=", "/a\\/[/]b/g"]
        );
        assert_eq!(words("a := `// x`", Language::Go), ["a", ":=", "`// x`"]);
        assert_eq!(words("1..2 1.5 1e-9", Language::Rust), ["1", "..", "2", "1.5", "1e-9"]);
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_order(text in "(?s)[\\PC\\n'\"`/#{}()\\\\$]{0,200}") {
            for language in [Language::Rust, Language::Python, Language::Js, Language::Go] {
                let tokens = Tokens::new(&text, language);
                let lines = text.lines().count().max(1) as u32 + 1;
                prop_assert!(tokens.list.windows(2).all(|pair| pair[0].line <= pair[1].line));
                prop_assert!(tokens.list.iter().all(|token| token.line <= lines));
            }
        }
    }
}
