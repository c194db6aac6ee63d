//! What a secret may look like once somebody has escaped, encoded, reversed or torn it.
//!
//! Letters and digits are all that is compared: separators, quotes, line breaks and escapes between the pieces of a secret hide nothing.

use std::collections::BTreeSet;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Shorter pieces turn up by chance.
const SHORTEST: usize = 12;

pub(super) struct Forms {
    /// Letters and digits of each form, and what it is called.
    patterns: Vec<(&'static str, Vec<u8>)>,
    /// Hashes of the first four bytes of all patterns.
    starts: Box<[bool; 1 << 16]>,
}

impl Forms {
    /// # Panics
    /// When the secret is too short to be told from chance.
    pub fn of(secret: &str) -> Self {
        // A prefix that all keys share tells nothing; the rest is looked for in halves, for who tears it in two.
        let own = secret.strip_prefix("sk-ant-").and_then(|rest| rest.split_once('-')).map_or(secret, |(_, own)| own);
        let halves = own.split_at(own.len() / 2);
        let mut patterns = BTreeSet::new();
        for part in [halves.0, halves.1] {
            let bytes = part.as_bytes();
            let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
            patterns.insert(("plain", squeeze(bytes)));
            patterns.insert(("reversed", squeeze(&reversed)));
            patterns.insert(("hexadecimal", each(bytes, |byte| format!("{byte:02x}"))));
            patterns.insert(("hexadecimal", each(bytes, |byte| format!("{byte:02X}"))));
            patterns.insert(("URL-escaped", escaped(bytes, |byte| format!("{byte:02X}"))));
            patterns.insert(("URL-escaped", escaped(bytes, |byte| format!("{byte:02x}"))));
            patterns.insert(("JSON-escaped", escaped(bytes, |byte| format!("u{byte:04x}"))));
            patterns.insert(("JSON-escaped", escaped(bytes, |byte| format!("u{byte:04X}"))));
            for (name, bytes) in [("base64", bytes), ("base64 of the reverse", &reversed)] {
                patterns.extend((0..3).map(|shift| (name, squeeze(&base64(bytes, shift)))));
            }
        }
        let patterns: Vec<_> = patterns.into_iter().collect();
        assert!(patterns.iter().all(|(_, form)| form.len() >= SHORTEST), "the secret is too short to be looked for");
        let mut starts = Box::new([false; 1 << 16]);
        for (_, form) in &patterns {
            starts[hash(form[..4].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))] = true;
        }
        Self { patterns, starts }
    }

    /// The form in which the secret, or half of it, stands in these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        let squeezed = squeeze(bytes);
        let mut last = 0_u32;
        // Plain loops: this goes over hundreds of megabytes, and tests are not optimised.
        let mut at = 0;
        while at < squeezed.len() {
            last = last << 8 | u32::from(squeezed[at]);
            if self.starts[hash(last)] && at >= 3 {
                let rest = &squeezed[at - 3..];
                if let Some((name, _)) = self.patterns.iter().find(|(_, form)| rest.starts_with(form)) {
                    return Some(name);
                }
            }
            at += 1;
        }
        None
    }
}

fn hash(four: u32) -> usize {
    ((four ^ four >> 15) & 0xffff) as usize
}

/// Letters and digits.
fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let mut squeezed = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_alphanumeric() {
            squeezed.push(bytes[at]);
        }
        at += 1;
    }
    squeezed
}

fn each(bytes: &[u8], form: impl Fn(u8) -> String) -> Vec<u8> {
    bytes.iter().flat_map(|byte| form(*byte).into_bytes()).collect()
}

/// Escapes everything but letters and digits.
fn escaped(bytes: &[u8], form: impl Fn(u8) -> String) -> Vec<u8> {
    let escape = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { form(byte) };
    squeeze(&each(bytes, escape))
}

/// What stands for `bytes` in base64 when `shift` bytes went before: the characters that depend on nothing else.
fn base64(bytes: &[u8], shift: usize) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
    let bit = |n: usize| padded[n / 8] >> (7 - n % 8) & 1;
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    (first..last).map(|n| STANDARD[usize::from((0..6).fold(0, |sum, i| sum << 1 | bit(n * 6 + i)))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-ant-api03-9fQx2/LmV7+tR4c=Wz8~Hb1yKd6Ns3Pg";

    /// Base64 of `text`, written down by another program.
    const BASE64: [&str; 3] = [
        "c2stYW50LWFwaTAzLTlmUXgyL0xtVjcrdFI0Yz1Xejh+SGIxeUtkNk5zM1Bn",
        "eHNrLWFudC1hcGkwMy05ZlF4Mi9MbVY3K3RSNGM9V3o4fkhiMXlLZDZOczNQZw==",
        "eHhzay1hbnQtYXBpMDMtOWZReDIvTG1WNyt0UjRjPVd6OH5IYjF5S2Q2TnMzUGc=",
    ];

    #[test]
    fn it_is_found_in_every_form() {
        let forms = Forms::of(SECRET);
        let reversed: String = SECRET.chars().rev().collect();
        let (head, tail) = SECRET.split_at(SECRET.len() / 2 + 5);
        for hidden in [
            SECRET.to_owned(),
            reversed,
            format!("{head}\n{tail}"),
            format!("{{\"a\":\"{head}\",\"b\":\"{tail}\"}}"),
            format!("{head} and much later {tail}"),
            SECRET.replace('/', "\\/"),
            SECRET.replace('/', "\\u002f").replace('+', "\\u002b").replace('=', "\\u003d").replace('~', "\\u007e"),
            SECRET.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D").replace('~', "%7E"),
            SECRET.bytes().map(|byte| format!("{byte:02x}")).collect(),
            SECRET.chars().map(|c| format!("{c}\n")).collect(),
        ]
        .into_iter()
        .chain(BASE64.map(String::from))
        .chain(BASE64.map(|text| text.replace('/', "_").replace('+', "-")))
        {
            assert!(forms.find(format!("before {hidden} after").as_bytes()).is_some(), "{hidden}");
        }
    }

    #[test]
    fn nothing_else_is_found() {
        let forms = Forms::of(SECRET);
        for other in ["", "sk-ant-api03-", "sk-ant-borg-placeholder", "9fQx2/LmV7", "c2stYW50LWFwaTAzLT"] {
            assert_eq!(forms.find(other.as_bytes()), None, "{other}");
        }
    }
}
