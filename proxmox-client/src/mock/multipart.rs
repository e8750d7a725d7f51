//! The server's upload parser: parts in a fixed order, exact headers, nothing else.

use bytes::Bytes;

use super::reply::Refusal;

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

/// How the real parser fails.
#[derive(Debug)]
pub(super) enum Stall {
    /// The connection closes without a response.
    HangUp,
    /// A response.
    Rejected(Refusal),
}

fn rejected(status: u16, text: &str) -> Stall {
    Stall::Rejected(Refusal::plain(status, text))
}

/// Reads an upload with this content type.
pub(super) fn read(body: &Bytes, content_type: &str) -> Result<Upload, Stall> {
    let boundary = content_type
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split_once("boundary="))
        .map(|(_, boundary)| boundary.split(';').next().unwrap_or_default().trim());
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else {
        return Err(Stall::HangUp);
    };
    parse(body, boundary)
}

/// Reads the parts of a body.
fn parse(body: &Bytes, boundary: &str) -> Result<Upload, Stall> {
    // A quoted boundary is taken with its quotes, and is not found.
    let failed = || {
        rejected(
            500,
            "upload failed at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 1370.",
        )
    };
    let bad_request = || Stall::Rejected(Refusal::bodiless(400, "Bad Request"));
    let delimiter = format!("--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes()).ok_or_else(failed)?;
    let mut upload = Upload::default();
    let mut expected = ORDER.iter();
    loop {
        rest = rest.strip_prefix(b"\r\n").ok_or_else(failed)?;
        let head_end = find(rest, b"\r\n\r\n").ok_or_else(failed)?;
        let head = std::str::from_utf8(&rest[..head_end]).map_err(|_| failed())?;
        let content = &rest[head_end + 4..];
        let end = find(content, format!("\r\n{delimiter}").as_bytes()).ok_or_else(failed)?;
        let value = &content[..end];
        rest = &content[end + 2 + delimiter.len()..];
        // The disposition must be the first header, in this spelling.
        let first = head.lines().next().unwrap_or_default();
        let name = first
            .strip_prefix("Content-Disposition: form-data; name=\"")
            .ok_or_else(bad_request)?;
        if let Some((field, file)) = name.split_once("\"; filename=\"") {
            if field != "filename" {
                let text = format!(
                    "wrong field name '{field}' for file upload, expected 'filename' at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 1325."
                );
                return Err(rejected(500, &text));
            }
            file.strip_suffix('"')
                .ok_or_else(bad_request)?
                .clone_into(&mut upload.file_name);
            upload.body = body.slice_ref(value);
            // What follows the file is not looked at.
            return Ok(upload);
        }
        let name = name.strip_suffix('"').ok_or_else(bad_request)?;
        if !expected.any(|field| *field == name) {
            return Err(bad_request());
        }
        let value = std::str::from_utf8(value).map_err(|_| failed())?.to_owned();
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
    fn hostile_bodies_are_read_or_refused() {
        let seeds = [
            "--b\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n--b\r\nContent-Disposition: form-data; \
             name=\"filename\"; filename=\"x.iso\"\r\nContent-Type: application/octet-stream\r\n\r\nbytes\r\n--b--\r\n",
            "--b\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nimport\r\n--b\r\nContent-Disposition: form-data; \
             name=\"checksum\"\r\n\r\nab\r\n--b\r\nContent-Disposition: form-data; name=\"filename\"; \
             filename=\"x.raw\"\r\n\r\n\r\n--b--\r\n",
        ];
        crate::hostile_input::attack(&seeds, |bytes| {
            let body = Bytes::copy_from_slice(bytes);
            if let Ok(upload) = read(&body, "multipart/form-data; boundary=b") {
                assert!(upload.body.len() < body.len());
            }
            let boundary = String::from_utf8_lossy(bytes);
            let _ = read(&body, &format!("multipart/form-data; boundary={boundary}"));
        });
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
                ("tmpfilename", "/var/tmp/pveupload-0"),
                ("filename", "bytes"),
            ],
            &[("content", "iso")],
        ] {
            assert!(parse(&body(parts), "B").is_err(), "{parts:?}");
        }
    }

    #[test]
    fn what_follows_the_file_is_lost() {
        let parts = &[("filename", "bytes"), ("content", "iso")];

        assert!(parse(&body(parts), "B").unwrap().fields.is_empty());
    }

    #[test]
    fn a_quoted_boundary_is_not_understood() {
        let body = body(&[("filename", "bytes")]);

        assert!(read(&body, "multipart/form-data; boundary=B").is_ok());
        assert!(matches!(
            read(&body, "multipart/form-data; boundary=\"B\""),
            Err(Stall::Rejected(_))
        ));
        assert!(matches!(
            read(&body, "multipart/form-data"),
            Err(Stall::HangUp)
        ));
    }
}
