//! The address under which Argo CD knows a cluster.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::error::{Error, ErrorKind};

/// The API address of a cluster, in the one form in which it is registered.
///
/// Argo CD compares addresses as strings: `https://h:6443` and `https://h:6443/` are two clusters.
/// Scheme and host are therefore lower case, there is no trailing slash, and the port is kept as
/// it was given, even the default one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Reads and normalises an address such as `https://kubernetes.example.com:6443`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for anything that is not `https://host[:port]`
    /// (or `http://…`): credentials, a path, a query.
    pub fn parse(text: &str) -> Result<Self, Error> {
        normalise(text).map(Self).map_err(|why| {
            Error::new(ErrorKind::InvalidInput, "parse cluster server URL").with_message(why)
        })
    }

    /// Whether the address means the machine itself, which is another one for Argo CD.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let Ok(url) = Url::parse(&self.0) else {
            return false;
        };
        let is_local = |address: IpAddr| address.is_loopback() || address.is_unspecified();
        match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => is_local(address.into()),
            Some(Host::Ipv6(address)) => is_local(address.to_canonical()),
            None => false,
        }
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address written by the server or by hand means this cluster.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        normalise(other).is_ok_and(|other| other == self.0)
    }
}

fn normalise(text: &str) -> Result<String, String> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into the address of a cluster".to_owned());
    }
    let invalid = |why: &str| format!("{text:?}: {why}");
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("the scheme must be https or http"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.path().trim_matches('/').is_empty()
    {
        return Err(invalid("a path, query or fragment is not supported"));
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| invalid("the host is missing"))?;
    // `Url` drops the default port; the server compares strings, so it is kept as given.
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest)
        .trim_end_matches('/');
    let default_port = match url.scheme() {
        "https" if authority.ends_with(":443") => ":443",
        "http" if authority.ends_with(":80") => ":80",
        _ => "",
    };
    let port = url
        .port()
        .map_or_else(|| default_port.to_owned(), |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", url.scheme()))
}

impl FromStr for ServerUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<&Url> for ServerUrl {
    type Error = Error;

    fn try_from(url: &Url) -> Result<Self, Error> {
        Self::parse(url.as_str())
    }
}

impl AsRef<str> for ServerUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised_to_one_form() {
        for (text, expected) in [
            ("https://10.0.0.1:6443", "https://10.0.0.1:6443"),
            ("https://10.0.0.1:6443/", "https://10.0.0.1:6443"),
            (
                "HTTPS://Kubernetes.Example.COM:6443//",
                "https://kubernetes.example.com:6443",
            ),
            ("https://h:443", "https://h:443"),
            ("https://h", "https://h"),
            ("https://[FE80::1]:6443", "https://[fe80::1]:6443"),
            ("https://[::443]", "https://[::443]"),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().as_str(), expected, "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in [
            "",
            "h:6443",
            "ftp://h",
            "https://h/path",
            "https://h?x",
            "https://u:canary@h",
            "https://",
        ] {
            let error = ServerUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        for text in [
            "https://localhost:6443",
            "https://127.0.0.53",
            "https://[::1]:6443",
            "https://0.0.0.0:6443",
            "https://k.localhost",
            "https://[::ffff:127.0.0.1]:1",
        ] {
            assert!(ServerUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
        assert!(
            !ServerUrl::parse("https://10.0.2.10:6443")
                .unwrap()
                .is_loopback()
        );
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "(?i:https?)://[a-zA-Z0-9.-]{1,20}(:[0-9]{1,5})?/{0,2}") {
            if let Ok(once) = ServerUrl::parse(&text) {
                proptest::prop_assert_eq!(&ServerUrl::parse(once.as_str()).unwrap(), &once);
                proptest::prop_assert!(once.matches(&text));
            }
        }
    }
}
