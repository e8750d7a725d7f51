//! Builder for `CoreClient`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::CoreClient;
use super::kubernetes::Kubernetes;
use crate::builder::{AGENT, http_client};
use crate::error::{Error, Result};
use crate::retry::RetryPolicy;
use crate::tls::{self, TlsTrust};

/// How the client proves its identity to Kubernetes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KubernetesCredentials {
    /// A bearer token, such as that of a service account.
    Token(SecretString),
    /// A client certificate with its key, as in the kubeconfig of an administrator.
    Certificate {
        /// The certificate and its chain as PEM.
        certificate_pem: String,
        /// The private key as PEM.
        key_pem: SecretString,
    },
}

impl KubernetesCredentials {
    /// A bearer token.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::Token(token.into())
    }

    /// A client certificate and its key, both as PEM.
    pub fn certificate(certificate_pem: impl Into<String>, key_pem: SecretString) -> Self {
        Self::Certificate {
            certificate_pem: certificate_pem.into(),
            key_pem,
        }
    }

    /// The header that carries the token, if there is one.
    fn header(&self) -> Result<Option<HeaderValue>> {
        let Self::Token(token) = self else {
            return Ok(None);
        };
        let token = token.expose_secret();
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .ok()
            .filter(|_| !token.is_empty());
        let mut value =
            value.ok_or_else(|| Error::configuration("the token cannot be sent in a header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Adds the client certificate, if there is one.
    fn identify(&self, config: &mut ClientConfig) -> Result<()> {
        let Self::Certificate {
            certificate_pem,
            key_pem,
        } = self
        else {
            return Ok(());
        };
        let chain = tls::certificates(certificate_pem)?;
        // The cause could quote the key.
        let key = PrivateKeyDer::from_pem_slice(key_pem.expose_secret().as_bytes())
            .map_err(|_| Error::configuration("the private key is not PEM"))?;
        let key = CertifiedKey::from_der(chain, key, config.crypto_provider())
            .map_err(|_| Error::configuration("the private key does not fit the certificate"))?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Ok(())
    }
}

/// Builds a [`CoreClient`]. Nothing is sent before the first call.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until build is called"]
pub struct CoreClientBuilder {
    endpoint: Url,
    credentials: KubernetesCredentials,
    trust: TlsTrust,
    namespace: String,
    retry: RetryPolicy,
    timeout: Duration,
    connect_timeout: Duration,
    dial: Option<SocketAddr>,
    proxy: Option<Url>,
}

impl CoreClientBuilder {
    pub(super) fn new(endpoint: Url, credentials: KubernetesCredentials) -> Self {
        Self {
            endpoint,
            credentials,
            trust: TlsTrust::default(),
            namespace: "argocd".to_owned(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            dial: None,
            proxy: None,
        }
    }

    /// Sets which certificates are trusted; usually the CA of the cluster. Defaults to the system trust store.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the namespace of Argo CD. Defaults to `argocd`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how failed requests are repeated. Defaults to 4 attempts within 30 s.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the time for one attempt of a request. Defaults to 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time for DNS, TCP and TLS. Defaults to 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connects to `address` instead of the host of the endpoint, for example before DNS knows it. The certificate is still
    /// verified against the endpoint, which must have a name.
    pub fn dial(mut self, address: SocketAddr) -> Self {
        self.dial = Some(address);
        self
    }

    /// Sends all requests through this HTTP proxy. The environment is never read.
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Checks the settings and builds the client. Sends nothing.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) for an endpoint that is no HTTP address, an empty namespace, or a
    /// token, certificate, proxy or trust setting that cannot be used.
    pub fn build(self) -> Result<CoreClient> {
        if !matches!(self.endpoint.scheme(), "http" | "https") || !self.endpoint.has_host() {
            return Err(Error::configuration("the endpoint is not an HTTP address"));
        }
        if self.namespace.is_empty() {
            return Err(Error::configuration("the namespace must not be empty"));
        }
        let mut tls = self.trust.client_config(self.endpoint.scheme())?;
        self.credentials.identify(&mut tls)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.credentials.header()? {
            headers.insert(http::header::AUTHORIZATION, token);
        }
        let dial = self.endpoint.host_str().zip(self.dial);
        let http = http_client(tls, headers, self.connect_timeout, dial, self.proxy)?;
        Ok(CoreClient::new(Arc::new(Kubernetes {
            http,
            base: self.endpoint,
            namespace: self.namespace,
            retry: self.retry,
            timeout: self.timeout,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn builder(credentials: KubernetesCredentials) -> CoreClientBuilder {
        let endpoint = "http://kubernetes.example.test:6443".parse().unwrap();
        CoreClient::builder(endpoint, credentials)
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let ca = include_str!("../../testdata/ca.pem");
        for broken in [
            builder(KubernetesCredentials::token("")),
            builder(KubernetesCredentials::token("a\nb")),
            builder(KubernetesCredentials::certificate(ca, "canary".into())),
            builder(KubernetesCredentials::certificate(
                "nothing",
                "canary".into(),
            )),
            builder(KubernetesCredentials::token("t")).namespace(""),
        ] {
            let error = broken.build().unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = builder(KubernetesCredentials::token("canary"));
        assert!(!format!("{builder:?}").contains("canary"));
        let client = builder.build().unwrap();
        assert!(!format!("{client:?}").contains("canary"), "{client:?}");
    }
}
