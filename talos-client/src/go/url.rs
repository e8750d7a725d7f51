//! URLs by the rules of Go's `net/url`, which accepts what RFC 3986 parsers refuse and the reverse.

use super::text::quoted;

/// The parts of a URL, as they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// In lower case.
    pub(crate) scheme: String,
    /// What follows the scheme of `mailto:x`, and of what was meant as `host:port`.
    pub(crate) opaque: &'a str,
    pub(crate) user: Option<&'a str>,
    /// Host and port, without user information.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// It ends with a question mark.
    pub(crate) force_query: bool,
    pub(crate) fragment: &'a str,
}

impl<'a> Url<'a> {
    /// Go's `url.Parse`: references without scheme are fine.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let url = Self::parse_inner(rest, false).and_then(|url| {
            check_escapes(fragment)?;
            Ok(Self { fragment, ..url })
        });
        url.map_err(|reason| describe(text, &reason))
    }

    /// Go's `url.ParseRequestURI`: absolute URLs and absolute paths only.
    pub(crate) fn parse_request(text: &'a str) -> Result<Self, String> {
        Self::parse_inner(text, true).map_err(|reason| describe(text, &reason))
    }

    fn parse_inner(text: &'a str, request: bool) -> Result<Self, String> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        if text.is_empty() && request {
            return Err("empty url".to_owned());
        }
        let (scheme, rest) = split_scheme(text)?;
        let mut url = Self {
            scheme,
            ..Self::default()
        };
        let rest = url.split_query(rest);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                return Ok(Self {
                    opaque: rest,
                    ..url
                });
            }
            if request {
                return Err("invalid URI for request".to_owned());
            }
            let segment = rest.split('/').next().unwrap_or_default();
            if segment.contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        url.path = rest;
        if let Some(authority) = rest.strip_prefix("//")
            && (!url.scheme.is_empty() || (!request && !rest.starts_with("///")))
        {
            let end = authority.find('/').unwrap_or(authority.len());
            url.path = &authority[end..];
            (url.user, url.host) = split_user(&authority[..end])?;
            check_host(url.host)?;
        }
        check_escapes(url.path)?;
        Ok(url)
    }

    /// Takes the query and returns what stands before it.
    fn split_query(&mut self, text: &'a str) -> &'a str {
        let bare = text.strip_suffix('?').filter(|bare| !bare.contains('?'));
        if let Some(bare) = bare {
            self.force_query = true;
            return bare;
        }
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        self.query = query;
        before
    }

    /// The host without port and brackets.
    pub(crate) fn hostname(&self) -> &'a str {
        let host = split_port(self.host).0;
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, empty when there is none.
    pub(crate) fn port(&self) -> &'a str {
        split_port(self.host).1
    }
}

fn describe(text: &str, reason: &str) -> String {
    format!("parse {}: {reason}", quoted(text))
}

fn split_scheme(text: &str) -> Result<(String, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok((text[..at].to_ascii_lowercase(), &text[at + 1..])),
            _ => break,
        }
    }
    Ok((String::new(), text))
}

fn split_user(authority: &str) -> Result<(Option<&str>, &str), String> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok((None, authority));
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    check_escapes(user)?;
    Ok((Some(user), host))
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (index, _) in text.match_indices('%') {
        let escape: String = text[index..].chars().take(3).collect();
        let hex = escape.len() == 3 && escape.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit());
        if !hex {
            return Err(format!("invalid URL escape {}", quoted(&escape)));
        }
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), String> {
    let after_host = if host.starts_with('[') {
        let Some(end) = host.rfind(']') else {
            return Err("missing ']' in host".to_owned());
        };
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |colon| &host[colon..])
    };
    let valid_port = after_host.is_empty()
        || after_host
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if !valid_port {
        return Err(format!("invalid port {} after host", quoted(after_host)));
    }
    if let Some(bad) = host.chars().find(|c| " <>\"\\^`{|}".contains(*c)) {
        return Err(format!(
            "invalid character {} in host name",
            quoted(&bad.to_string())
        ));
    }
    check_escapes(host)
}

fn split_port(host: &str) -> (&str, &str) {
    match host.rfind(':') {
        Some(colon) if host[colon + 1..].bytes().all(|b| b.is_ascii_digit()) => {
            (&host[..colon], &host[colon + 1..])
        }
        _ => (host, ""),
    }
}

/// The endpoint rule: a host, brackets around IPv6, a port in range. The scheme does not matter.
pub(crate) fn check_endpoint(text: &str) -> Result<(), String> {
    let url = Url::parse(text)?;
    if url.host.matches(':').count() > 2 && !(url.host.contains('[') && url.host.contains(']')) {
        return Err("IPv6 addresses MUST be enclosed by square brackets".to_owned());
    }
    if url.hostname().is_empty() {
        return Err("hostname must not be blank".to_owned());
    }
    match url.port() {
        "" => Ok(()),
        port => match port.parse::<i64>() {
            Ok(1..=65535) => Ok(()),
            Ok(_) => Err("port number must be between 1 and 65535".to_owned()),
            Err(_) => Err("port number must be numeric".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_need_a_host_and_a_port_in_range() {
        for good in [
            "https://foo:6443",
            "http://foo",
            "https://[::1]:6443",
            "//foo/x",
        ] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for (bad, text) in [
            ("foo:6443", "hostname must not be blank"),
            ("", "hostname must not be blank"),
            ("https://:6443", "hostname must not be blank"),
            (
                "https://foo:70000",
                "port number must be between 1 and 65535",
            ),
            (
                "https://a:b:c:1",
                "IPv6 addresses MUST be enclosed by square brackets",
            ),
            (
                "1.2.3.4:6443",
                "parse \"1.2.3.4:6443\": first path segment in URL cannot contain colon",
            ),
            (
                "https://foo:x",
                "parse \"https://foo:x\": invalid port \":x\" after host",
            ),
            (
                "https://a b",
                "parse \"https://a b\": invalid character \" \" in host name",
            ),
        ] {
            assert_eq!(check_endpoint(bad), Err(text.to_owned()), "{bad}");
        }
    }

    #[test]
    fn a_request_uri_is_absolute() {
        assert_eq!(
            Url::parse_request("foo"),
            Err("parse \"foo\": invalid URI for request".to_owned())
        );
        assert_eq!(
            Url::parse_request(""),
            Err("parse \"\": empty url".to_owned())
        );
        assert_eq!(
            Url::parse_request("https://a/b").map(|url| url.path),
            Ok("/b")
        );
    }
}
