//! The HTTP stack below the Kubernetes client: our own TLS configuration, our own way to the socket.
//!
//! kube's default stack picks a process-wide crypto provider (and panics when two are linked), logs every refused
//! connection as an error and repeats 503 answers for minutes. All three are wrong while a cluster is being born.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{ClientBuilder as KubeBuilder, ConfigExt};
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tower::Layer;

use super::kubeconfig::Kubeconfig;
use crate::services::{
    Error, ErrorKind, Result, TlsTrust, certificates, client_config, private_key,
};

const OPERATION: &str = "build Kubernetes client";

/// How to reach the API server, apart from what the kubeconfig says.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) dial: Option<SocketAddr>,
    pub(super) server_name: Option<String>,
    pub(super) connect_timeout: Duration,
}

/// A kube client on our stack; `token` replaces the client certificate of the kubeconfig.
pub(super) fn kube_client(
    kubeconfig: &Kubeconfig,
    route: &Route,
    token: Option<&SecretString>,
) -> Result<kube::Client> {
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls(kubeconfig, token.is_none())?)
        .https_or_http();
    if let Some(name) = route.server_name.as_deref().or(kubeconfig.server_name()) {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| bad(format!("server name {name:?}: {error}")))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let (dial, timeout) = (route.dial, route.connect_timeout);
    let connector = builder
        .enable_http1()
        .wrap_connector(tower::service_fn(move |uri| connect(dial, uri, timeout)));
    let hyper = HyperClient::builder(TokioExecutor::new()).build(connector);

    let config = kube_config(kubeconfig, token.or(kubeconfig.token()))?;
    let headers = config.extra_headers_layer().map_err(unusable)?;
    let service = config.base_uri_layer().layer(headers.layer(hyper));
    Ok(KubeBuilder::new(service, "default").build())
}

fn tls(kubeconfig: &Kubeconfig, with_identity: bool) -> Result<rustls::ClientConfig> {
    let trust = match kubeconfig.certificate_authority() {
        Some(pem) => TlsTrust::Authority(pem.to_owned()),
        None => TlsTrust::PublicRoots,
    };
    let identity = match kubeconfig.identity().filter(|_| with_identity) {
        Some(identity) => Some((
            certificates(&identity.certificate)?,
            private_key(&identity.key)?,
        )),
        None => None,
    };
    client_config(&trust, identity)
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

async fn connect(
    dial: Option<SocketAddr>,
    uri: http::Uri,
    timeout: Duration,
) -> io::Result<TokioIo<TcpStream>> {
    let attempt = async {
        match dial {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((host(&uri), port(&uri))).await,
        }
    };
    let stream = tokio::time::timeout(timeout, attempt).await.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer to the connection attempt",
        )
    })??;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

fn host(uri: &http::Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

fn port(uri: &http::Uri) -> u16 {
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
