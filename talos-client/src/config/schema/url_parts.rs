//! URLs in parts, because Talos merges them part by part.

use crate::go::url as go;

/// The parts of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UrlParts {
    scheme: String,
    opaque: String,
    user: Option<String>,
    host: String,
    path: String,
    force_query: bool,
    query: String,
    fragment: String,
}

impl UrlParts {
    /// Reads a URL; parts stay as they were written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = go::Url::parse(text)?;
        Ok(Self {
            scheme: url.scheme,
            opaque: url.opaque.to_owned(),
            user: url.user.map(str::to_owned),
            host: url.host.to_owned(),
            path: url.path.to_owned(),
            force_query: url.force_query,
            query: url.query.to_owned(),
            fragment: url.fragment.to_owned(),
        })
    }

    /// Takes over what `right` has; both having a user is an error, as it is for the reference.
    pub(crate) fn merge(&mut self, right: Self) -> Result<(), String> {
        let replace = |left: &mut String, right: String| {
            if !right.is_empty() {
                *left = right;
            }
        };
        replace(&mut self.scheme, right.scheme);
        replace(&mut self.opaque, right.opaque);
        match (&self.user, right.user) {
            (Some(_), Some(_)) => {
                return Err("merge not possible, both URLs have a user".to_owned());
            }
            (None, Some(user)) => self.user = Some(user),
            (_, None) => {}
        }
        replace(&mut self.host, right.host);
        replace(&mut self.path, right.path);
        self.force_query = right.force_query;
        replace(&mut self.query, right.query);
        replace(&mut self.fragment, right.fragment);
        Ok(())
    }

    /// The URL as a text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&self.scheme);
            text.push(':');
        }
        if self.opaque.is_empty() {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    text.push_str("//");
                }
                if let Some(user) = &self.user {
                    text.push_str(user);
                    text.push('@');
                }
                text.push_str(&escaped_host(&self.host));
            }
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                text.push('/');
            }
            text.push_str(&escaped_path(&self.path));
        } else {
            text.push_str(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            text.push('?');
            text.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            text.push('#');
            text.push_str(&self.fragment);
        }
        text
    }
}

/// Escapes what Go escapes in a host, above all letters outside ASCII; escapes come out in upper case.
fn escaped_host(host: &str) -> String {
    let mut text = String::with_capacity(host.len());
    let mut escape_digits = 0;
    for byte in host.bytes() {
        if escape_digits > 0 {
            escape_digits -= 1;
            text.push(char::from(byte.to_ascii_uppercase()));
        } else if byte == b'%' {
            escape_digits = 2;
            text.push('%');
        } else if byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Escapes what Go escapes in a path; what is escaped already stays.
fn escaped_path(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/%[]".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_out_as_they_went_in() {
        for text in [
            "https://a:6443",
            "https://user:pw@a:6443/path?x=1#f",
            "tcp://1.2.3.4:5/",
            "https://[fd00::1]:6443",
            "mailto:a@b",
            "/just/a/path",
            "",
            "grpc://x?jointoken=y&z",
            "https://a?",
        ] {
            assert_eq!(
                UrlParts::parse(text).map(|url| url.text()).as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn hosts_outside_ascii_are_escaped() {
        for (text, expected) in [
            ("tcp://ü.example:1", "tcp://%C3%BC.example:1"),
            ("tcp://%c3%bc.example:1", "tcp://%C3%BC.example:1"),
            ("tcp://a_b~c:1", "tcp://a_b~c:1"),
        ] {
            assert_eq!(
                UrlParts::parse(text).map(|url| url.text()).as_deref(),
                Ok(expected)
            );
        }
    }

    #[test]
    fn parts_are_merged_one_by_one() {
        let mut left = UrlParts::parse("https://a:6443/p?x=1").unwrap();

        left.merge(UrlParts::parse("https://b").unwrap()).unwrap();

        assert_eq!(left.text(), "https://b/p?x=1");
    }

    #[test]
    fn mistakes_have_the_text_of_the_reference() {
        for (text, reason) in [
            ("https://a:b", "invalid port \":b\" after host"),
            (":6443", "missing protocol scheme"),
            ("a b://c", "first path segment in URL cannot contain colon"),
            ("https://a b", "invalid character \" \" in host name"),
            ("https://a/%zz", "invalid URL escape \"%zz\""),
            ("https://[::1", "missing ']' in host"),
        ] {
            assert_eq!(
                UrlParts::parse(text),
                Err(format!("parse {text:?}: {reason}"))
            );
        }
    }
}
