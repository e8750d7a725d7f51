//! URLs as Go's `net/url` takes them apart, because Talos merges them part by part.

/// The parts of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: String,
    opaque: String,
    user: Option<String>,
    host: String,
    path: String,
    force_query: bool,
    query: String,
    fragment: String,
}

impl Url {
    /// Reads a URL; parts stay as they were written.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let refusal = |reason: &str| format!("parse {text:?}: {reason}");
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = Self {
            fragment: fragment.to_owned(),
            ..Self::default()
        };
        url.read(rest).map_err(|reason| refusal(&reason))?;
        check_escapes(fragment).map_err(|reason| refusal(&reason))?;
        Ok(url)
    }

    fn read(&mut self, text: &str) -> Result<(), String> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        if text == "*" {
            text.clone_into(&mut self.path);
            return Ok(());
        }
        let (scheme, mut rest) = split_scheme(text)?;
        self.scheme = scheme.to_ascii_lowercase();
        if let Some(bare) = rest.strip_suffix('?').filter(|bare| !bare.contains('?')) {
            (self.force_query, rest) = (true, bare);
        } else if let Some((before, query)) = rest.split_once('?') {
            query.clone_into(&mut self.query);
            rest = before;
        }
        if !rest.starts_with('/') {
            if !self.scheme.is_empty() {
                rest.clone_into(&mut self.opaque);
                return Ok(());
            }
            if rest
                .split('/')
                .next()
                .is_some_and(|segment| segment.contains(':'))
            {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if let Some(authority) = rest
            .strip_prefix("//")
            .filter(|_| !self.scheme.is_empty() || !rest.starts_with("///"))
        {
            let end = authority.find('/').unwrap_or(authority.len());
            let (authority, path) = authority.split_at(end);
            self.read_authority(authority)?;
            rest = path;
        }
        check_escapes(rest)?;
        rest.clone_into(&mut self.path);
        Ok(())
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        let host = match authority.rsplit_once('@') {
            None => authority,
            Some((user, host)) => {
                let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
                if !user.chars().all(valid) {
                    return Err("net/url: invalid userinfo".to_owned());
                }
                check_escapes(user)?;
                self.user = Some(user.to_owned());
                host
            }
        };
        let port = match host.strip_prefix('[') {
            Some(inner) => {
                let Some((_, port)) = inner.rsplit_once(']') else {
                    return Err("missing ']' in host".to_owned());
                };
                port
            }
            None => host.rfind(':').map_or("", |colon| &host[colon..]),
        };
        if !port.is_empty()
            && !port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(format!("invalid port {port:?} after host"));
        }
        if let Some(bad) = host.chars().find(|c| " <>\"\\^`{|}".contains(*c)) {
            return Err(format!(
                "invalid character {:?} in host name",
                bad.to_string()
            ));
        }
        check_escapes(host)?;
        host.clone_into(&mut self.host);
        Ok(())
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
                text.push_str(&self.host);
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

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (index, _) in text.match_indices('%') {
        let escape: String = text[index..].chars().take(3).collect();
        let hex = escape.len() == 3 && escape.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit());
        if !hex {
            return Err(format!("invalid URL escape {escape:?}"));
        }
    }
    Ok(())
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
            assert_eq!(Url::parse(text).map(|url| url.text()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn parts_are_merged_one_by_one() {
        let mut left = Url::parse("https://a:6443/p?x=1").unwrap();

        left.merge(Url::parse("https://b").unwrap()).unwrap();

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
            assert_eq!(Url::parse(text), Err(format!("parse {text:?}: {reason}")));
        }
    }
}
