//! Client credentials that a node issues.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use super::Machine;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::secrets::Role;
use crate::{Credentials, Error, ErrorKind, Result};

const OPERATION: &str = "generate client configuration";

/// A client certificate that a node has issued, with its talosconfig.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfiguration {
    /// For [`crate::Client::builder`].
    pub credentials: Credentials,
    /// The talosconfig as the node wrote it. It has no endpoints.
    pub talosconfig: SecretString,
}

impl fmt::Debug for ClientConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfiguration")
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Makes the node issue a client certificate with these roles. `talosctl config new`; needs `os:admin`.
    ///
    /// A repetition issues another certificate; it changes nothing else. A certificate cannot be revoked.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker and in maintenance mode, [`ErrorKind::Rejected`] for a lifetime of zero.
    pub async fn client_configuration(
        &self,
        roles: impl IntoIterator<Item = Role>,
        lifetime: Duration,
    ) -> Result<ClientConfiguration> {
        let request = pb::GenerateClientConfigurationRequest {
            roles: roles
                .into_iter()
                .map(|role| role.as_str().to_owned())
                .collect(),
            crt_ttl: prost_types::Duration::try_from(lifetime).ok(),
        };
        let message = self
            .unary(Call::read(OPERATION), |mut machine| {
                let request = request.clone();
                async move { machine.generate_client_configuration(request).await }
            })
            .await?;
        let text = |bytes: Vec<u8>| {
            // The cause is dropped: it may quote the key.
            String::from_utf8(bytes).map_err(|_| {
                Error::new(ErrorKind::Decode, OPERATION)
                    .with_target(self.target())
                    .with_message("the response is not text")
            })
        };
        Ok(ClientConfiguration {
            credentials: Credentials::new(
                text(message.ca)?,
                text(message.crt)?,
                text(message.key)?.into(),
            ),
            talosconfig: text(message.talosconfig)?.into(),
        })
    }
}
