//! Argo CD without its API server: the client of its objects, with the settings of this client.

use argocd_client::core_mode::{CoreClient, CoreClientBuilder, KubernetesCredentials};

use super::client::Client;
use crate::services::{Error, ErrorKind, Result};

impl Client {
    /// Starts building a client of an Argo CD whose objects are in this cluster, for an installation in core mode. Nothing
    /// is sent; the namespace of Argo CD is `argocd` unless the builder is given another one.
    ///
    /// The server, the trust, the credentials and the dialled address are those of this client.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig has neither a token nor a client certificate, or names a CA that is none;
    /// `Unsupported` for a connection with another TLS server name.
    pub fn argocd_core(&self) -> Result<CoreClientBuilder> {
        let failed = |kind, text: &str| Error::new(kind, "build Argo CD client").with_message(text);
        let settings = self.core_settings();
        let credentials = match (settings.token, settings.identity) {
            (Some(token), _) => KubernetesCredentials::token(token.clone()),
            (None, Some(identity)) => KubernetesCredentials::certificate(
                identity.certificate.clone(),
                identity.key.clone(),
            ),
            (None, None) => {
                let text = "the kubeconfig has neither a token nor a client certificate";
                return Err(failed(ErrorKind::Configuration, text));
            }
        };
        if settings.server_name.is_some() {
            let text = "a TLS server name beside the address is not supported in core mode";
            return Err(failed(ErrorKind::Unsupported, text));
        }
        let mut builder = CoreClient::builder(self.kubeconfig().server().clone(), credentials);
        if let Some(authority) = self.kubeconfig().certificate_authority() {
            let trust = argocd_client::TlsTrust::from_pem(authority)
                .map_err(|error| failed(ErrorKind::Configuration, error.message()))?;
            builder = builder.trust(trust);
        }
        if let Some(address) = settings.dial {
            builder = builder.dial(address);
        }
        if let Some(proxy) = settings.proxy {
            builder = builder.proxy(proxy.clone());
        }
        Ok(builder.timeout(self.request_timeout()))
    }
}
