//! The server's upload parser: parts in a fixed order, exact headers, nothing else.

use bytes::Bytes;

/// The parts of an accepted upload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Upload {
    /// `content`, `checksum-algorithm`, `checksum`.
    pub(super) fields: Vec<(String, String)>,
    pub(super) file_name: String,
    pub(super) body: Bytes,
}

/// The only order in which the parser finds the parts before the file.
const ORDER: [&str; 3] = ["content", "checksum-algorithm", "checksum"];

/// The boundary of `multipart/form-data; boundary=B`, which must not be quoted.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let (_, boundary) = rest.split_once("boundary=")?;
    let boundary = boundary.split(';').next().unwrap_or_default().trim();
    (!boundary.is_empty() && !boundary.contains('"')).then_some(boundary)
}

/// Reads a body; `None` where the real parser stalls or drops the connection.
pub(super) fn parse(body: &Bytes, boundary: &str) -> Option<Upload> {
    let delimiter = format!("--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let mut upload = Upload::default();
    let mut expected = ORDER.iter();
    loop {
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..head_end]).ok()?;
        let content = &rest[head_end + 4..];
        let end = find(content, format!("\r\n{delimiter}").as_bytes())?;
        let value = &content[..end];
        rest = &content[end + 2 + delimiter.len()..];
        // The disposition must be the first header, in this spelling.
        let first = head.lines().next()?;
        let name = first.strip_prefix("Content-Disposition: form-data; name=\"")?;
        if let Some(file) = name.strip_prefix("filename\"; filename=\"") {
            upload.file_name = file.strip_suffix('"')?.to_owned();
            upload.body = body.slice_ref(value);
            // The file is the last part.
            return rest.starts_with(b"--").then_some(upload);
        }
        let name = name.strip_suffix('"')?;
        expected.find(|field| **field == name)?;
        let value = std::str::from_utf8(value).ok()?.to_owned();
        upload.fields.push((name.to_owned(), value));
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[(&str, &str)]) -> Bytes {
        let mut text = String::new();
        for (name, value) in parts {
            let name = if *name == "filename" {
                "filename\"; filename=\"x.iso"
            } else {
                name
            };
            text.push_str(&format!(
                "--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        text.push_str("--B--\r\n");
        text.into()
    }

    #[test]
    fn parts_in_order_are_accepted() {
        let body = body(&[
            ("content", "iso"),
            ("checksum-algorithm", "sha256"),
            ("checksum", "ab"),
            ("filename", "bytes"),
        ]);
        let upload = parse(&body, "B").unwrap();

        assert_eq!(upload.fields.len(), 3);
        assert_eq!(
            (upload.file_name.as_str(), &upload.body[..]),
            ("x.iso", &b"bytes"[..])
        );
    }

    #[test]
    fn other_orders_and_other_parts_are_not() {
        for parts in [
            &[
                ("checksum", "ab"),
                ("content", "iso"),
                ("filename", "bytes"),
            ][..],
            &[
                ("content", "iso"),
                ("tmpfilename", "/tmp/x"),
                ("filename", "bytes"),
            ],
            &[
                ("content", "iso"),
                ("filename", "bytes"),
                ("checksum", "ab"),
            ],
            &[("content", "iso")],
        ] {
            assert_eq!(parse(&body(parts), "B"), None, "{parts:?}");
        }
    }

    #[test]
    fn a_quoted_boundary_is_not_understood() {
        assert_eq!(boundary("multipart/form-data; boundary=B"), Some("B"));
        assert_eq!(boundary("multipart/form-data; boundary=\"B\""), None);
        assert_eq!(boundary("application/json"), None);
    }
}
