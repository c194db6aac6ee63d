//! Reads `multipart/form-data` (RFC 7578) as far as clients of the Bot API use it. Knows no parameters.

/// One part of a form.
pub(super) struct Part<'a> {
    pub name: String,
    /// Present on files.
    pub file_name: Option<String>,
    pub mime: Option<String>,
    pub bytes: &'a [u8],
}

/// The parts of `body`; `None` when it is not a whole form with that boundary.
pub(super) fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Part<'a>>> {
    let boundary = attribute(content_type, "boundary")?;
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = &body[find(body, &delimiter)? + delimiter.len()..];
    let next = [b"\r\n", delimiter.as_slice()].concat();
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..head_end]).ok()?;
        let content = &rest[head_end + 4..];
        let end = find(content, &next)?;
        parts.push(part(head, &content[..end])?);
        rest = &content[end + next.len()..];
    }
    Some(parts)
}

fn part<'a>(head: &str, bytes: &'a [u8]) -> Option<Part<'a>> {
    let header = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition")?;
    Some(Part {
        name: attribute(disposition, "name")?,
        file_name: attribute(disposition, "filename"),
        mime: header("content-type").map(str::to_owned),
        bytes,
    })
}

/// The value of `name=value` or `name="value"` among the attributes of a header.
fn attribute(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        let after = after.trim_start();
        rest = after;
        let Some(value) = after.strip_prefix(name).and_then(|after| after.strip_prefix('=')) else { continue };
        return Some(match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or("").replace("%22", "\""),
            None => value.split(';').next().unwrap_or("").trim().to_owned(),
        });
    }
    None
}

fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    within.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_bytes() {
        let body = b"--xx\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n--xx\r\ncontent-disposition: form-data; name=\"document\"; \
            filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\nline\r\n--not\r\n\r\n--xx--\r\n";
        let parts = parts("multipart/form-data; boundary=xx", body).unwrap();
        assert_eq!((parts[0].name.as_str(), parts[0].bytes), ("chat_id", b"7".as_slice()));
        assert_eq!(parts[1].file_name.as_deref(), Some("a;b.txt"));
        assert_eq!(parts[1].mime.as_deref(), Some("text/plain"));
        assert_eq!(parts[1].bytes, b"line\r\n--not\r\n");
    }

    #[test]
    fn a_form_without_its_end_is_none() {
        let body = b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhalf";
        assert!(parts("multipart/form-data; boundary=xx", body).is_none());
        assert!(parts("multipart/form-data", body).is_none());
    }
}
