//! Paths as Git writes them. Others decide what a path means.

/// Undoes Git's C-style quoting (`quote.c`): `"a\303\244\t\"b"` becomes its bytes. `None` when the quoting is broken.
///
/// A path without quotes is taken as it stands.
pub fn unquote(path: &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = path.strip_prefix(b"\"") else { return Some(path.to_vec()) };
    let inner = inner.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'"' => return None,
            b'\\' => {
                let [escape, tail @ ..] = rest else { return None };
                rest = tail;
                out.push(match escape {
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    b'r' => b'\r',
                    b'"' | b'\\' => *escape,
                    b'0'..=b'3' => {
                        let [second @ b'0'..=b'7', third @ b'0'..=b'7', tail @ ..] = rest else { return None };
                        rest = tail;
                        (escape - b'0') << 6 | (second - b'0') << 3 | (third - b'0')
                    }
                    _ => return None,
                });
            }
            other => out.push(*other),
        }
    }
    Some(out)
}

/// Shows path bytes as text: what is not UTF-8 becomes `\xNN`.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    out
}
