//! Where a node is, and what its certificate must say.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use rustls_pki_types::ServerName;
use url::{Host, Url};

use crate::{Error, ErrorKind, Result};

/// The port of the machine API, in maintenance mode and configured.
pub const DEFAULT_PORT: u16 = 50000;

const OPERATION: &str = "parse endpoint";

/// Host and port of a node's machine API, and optionally another socket to dial for it.
///
/// The certificate is always verified for the host, whatever is dialled: a port forwarding, a NAT address or a
/// test server on the loopback interface does not weaken the check.
///
/// ```
/// use talos_client::Endpoint;
///
/// let endpoint: Endpoint = "10.0.2.10".parse()?;
/// assert_eq!(endpoint.to_string(), "10.0.2.10:50000");
///
/// let forwarded = endpoint.dial(([127, 0, 0, 1], 45678).into());
/// assert_eq!(forwarded.to_string(), "10.0.2.10:50000");
/// # Ok::<(), talos_client::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Host,
    port: u16,
    dial: Option<SocketAddr>,
}

impl Endpoint {
    /// Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or a URL.
    ///
    /// As in talosctl a missing port means 50000, except after `https://` where it means 443.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no host or the port is not a number.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, _)) => (scheme, text.to_owned()),
            None => ("tcp", format!("tcp://{text}")),
        };
        let url = Url::parse(&rest).map_err(|source| invalid(text).with_source(source))?;
        let default = if scheme.eq_ignore_ascii_case("https") {
            443
        } else {
            DEFAULT_PORT
        };
        let name = url.host_str().unwrap_or_default();
        // Schemes unknown to the URL standard leave the host opaque, so "10.0.2.10" would stay a name.
        let host = Host::parse(name).map_err(|source| invalid(text).with_source(source))?;
        let port = url.port().unwrap_or(default);
        if port == 0 || !url.username().is_empty() || !matches!(url.path(), "" | "/") {
            return Err(invalid(text));
        }
        Ok(Self {
            host,
            port,
            dial: None,
        })
    }

    /// Connects to `address` instead of resolving the host. The host stays what the certificate must name.
    #[must_use]
    pub fn dial(mut self, address: SocketAddr) -> Self {
        self.dial = Some(address);
        self
    }

    /// Another port on the same host.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The host without port or brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The port of the API; [`Endpoint::dial`] does not change it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket set with [`Endpoint::dial`].
    #[must_use]
    pub fn dialled(&self) -> Option<SocketAddr> {
        self.dial
    }

    pub(crate) fn server_name(&self) -> Result<ServerName<'static>> {
        ServerName::try_from(self.host())
            .map_err(|source| invalid(&self.host()).with_source(source))
    }
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION)
        .with_target(text)
        .with_message("expected host, host:port or a URL")
}

impl From<IpAddr> for Endpoint {
    fn from(address: IpAddr) -> Self {
        Self::from(SocketAddr::new(address, DEFAULT_PORT))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => Host::Ipv4(ip),
            IpAddr::V6(ip) => Host::Ipv6(ip),
        };
        Self {
            host,
            port: address.port(),
            dial: None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> String {
        Endpoint::parse(text).unwrap().to_string()
    }

    #[test]
    fn a_missing_port_is_the_port_of_the_machine_api() {
        assert_eq!(parsed("10.0.2.10"), "10.0.2.10:50000");
        assert_eq!(parsed("tal01.lungmen.akn"), "tal01.lungmen.akn:50000");
        assert_eq!(parsed("fd00::10"), "[fd00::10]:50000");
        assert_eq!(parsed("[fd00::10]"), "[fd00::10]:50000");
        assert_eq!(parsed("tcp://10.0.2.10"), "10.0.2.10:50000");
    }

    #[test]
    fn a_port_is_kept_and_https_has_its_own_default() {
        assert_eq!(parsed("10.0.2.10:443"), "10.0.2.10:443");
        assert_eq!(parsed("[fd00::10]:1"), "[fd00::10]:1");
        assert_eq!(parsed("https://talos.example"), "talos.example:443");
        assert_eq!(parsed("https://talos.example:50000"), "talos.example:50000");
    }

    #[test]
    fn an_address_is_an_address_for_the_certificate_too() {
        let endpoint = Endpoint::parse("10.0.2.10:50001").unwrap();

        assert!(matches!(
            endpoint.server_name().unwrap(),
            ServerName::IpAddress(_)
        ));
        assert_eq!(endpoint.host(), "10.0.2.10");
    }

    #[test]
    fn what_is_not_an_endpoint_is_refused() {
        for text in [
            "",
            ":50000",
            "10.0.2.10:port",
            "a b",
            "user@host",
            "host/path",
        ] {
            let error = Endpoint::parse(text).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration, "{text:?}");
        }
    }
}
