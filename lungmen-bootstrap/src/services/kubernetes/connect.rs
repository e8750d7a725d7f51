//! The HTTP stack below the Kubernetes client: TLS configuration and connections.
//!
//! kube's default stack uses a process-wide crypto provider (and panics when two are linked), logs every refused
//! connection as an error, and repeats 503 responses for minutes. A cluster that is starting needs none of the three.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{ClientBuilder as KubeBuilder, ConfigExt};
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tower::{Layer, Service as _};

use super::kubeconfig::Kubeconfig;
use crate::services::{
    DurationText, Error, ErrorKind, Result, TlsTrust, certificates, private_key, with_identity,
};

const OPERATION: &str = "build Kubernetes client";

/// How the API server is reached, apart from what the kubeconfig says.
#[derive(Debug, Clone)]
pub(super) struct ConnectOptions {
    pub(super) dial: Option<SocketAddr>,
    pub(super) server_name: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) proxy: Option<Uri>,
}

/// A kube client on this stack; `token` replaces the client certificate of the kubeconfig.
pub(super) fn kube_client(
    kubeconfig: &Kubeconfig,
    options: &ConnectOptions,
    token: Option<&SecretString>,
) -> Result<kube::Client> {
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls(kubeconfig, token.is_none())?)
        .https_or_http();
    if let Some(name) = options.server_name.as_deref().or(kubeconfig.server_name()) {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| bad(format!("server name {name:?}: {error}")))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let options = options.clone();
    let connector = builder
        .enable_http1()
        .wrap_connector(tower::service_fn(move |uri| connect(options.clone(), uri)));
    let hyper = HyperClient::builder(TokioExecutor::new()).build(connector);

    let config = kube_config(kubeconfig, token.or(kubeconfig.token()))?;
    let headers = config.extra_headers_layer().map_err(unusable)?;
    let service = config.base_uri_layer().layer(headers.layer(hyper));
    Ok(KubeBuilder::new(service, "default").build())
}

fn tls(kubeconfig: &Kubeconfig, with_client_certificate: bool) -> Result<rustls::ClientConfig> {
    let trust = match kubeconfig.certificate_authority() {
        Some(pem) => TlsTrust::from_pem(pem)?,
        None => TlsTrust::default(),
    };
    let config = trust.client_config(kubeconfig.server().scheme())?;
    match kubeconfig.identity().filter(|_| with_client_certificate) {
        Some(identity) => with_identity(
            config,
            certificates(&identity.certificate)?,
            private_key(&identity.key)?,
        ),
        None => Ok(config),
    }
}

fn kube_config(kubeconfig: &Kubeconfig, token: Option<&SecretString>) -> Result<kube::Config> {
    let uri = kubeconfig
        .server()
        .as_str()
        .parse()
        .map_err(|error| bad(format!("server {}: {error}", kubeconfig.server())))?;
    let mut config = kube::Config::new(uri);
    config.headers.push((
        USER_AGENT,
        HeaderValue::from_static(concat!("lungmen-bootstrap/", env!("CARGO_PKG_VERSION"))),
    ));
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| bad("the bearer token is not printable ASCII"))?;
        value.set_sensitive(true);
        config.headers.push((AUTHORIZATION, value));
    }
    Ok(config)
}

/// A connection to the API server: direct, or through the proxy by CONNECT.
async fn connect(options: ConnectOptions, server: Uri) -> io::Result<TokioIo<TcpStream>> {
    let timeout = options.connect_timeout;
    let attempt = async {
        let Some(proxy) = options.proxy else {
            return match options.dial {
                Some(address) => TcpStream::connect(address).await.map(TokioIo::new),
                None => tcp(server).await,
            };
        };
        let target = match options.dial {
            Some(address) => format!("https://{address}")
                .parse()
                .map_err(io::Error::other)?,
            None => server,
        };
        let mut tunnel = Tunnel::new(proxy, tower::service_fn(tcp));
        tunnel.call(target).await.map_err(io::Error::other)
    };
    let stream = tokio::time::timeout(timeout, attempt).await.map_err(|_| {
        let text = format!("no connection within {}", DurationText(timeout));
        io::Error::new(io::ErrorKind::TimedOut, text)
    })??;
    stream.inner().set_nodelay(true)?;
    Ok(stream)
}

async fn tcp(uri: Uri) -> io::Result<TokioIo<TcpStream>> {
    TcpStream::connect((host(&uri), port(&uri)))
        .await
        .map(TokioIo::new)
}

fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    uri.port_u16().unwrap_or(default)
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION).with_message(message)
}

fn unusable(source: kube::Error) -> Error {
    bad("the settings cannot be used").with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_dialled_without_brackets() {
        let uri = "https://[fd00::1]:6443/version".parse().unwrap();

        assert_eq!((host(&uri), port(&uri)), ("fd00::1", 6443));
    }

    #[test]
    fn the_port_follows_the_scheme() {
        assert_eq!(port(&"https://a/".parse().unwrap()), 443);
        assert_eq!(port(&"http://a/".parse().unwrap()), 80);
    }
}
