//! The client of nodes that have no configuration yet.

use std::sync::Arc;

use secrecy::SecretString;

use crate::api::certificate::PresentedCertificate;
use crate::api::channel::Transport;
use crate::api::cosi::{MachineStatus, SystemInformation, VersionStatus};
use crate::api::machine::{self, Applied, ApplyOptions, Disk};
use crate::api::tls::LeafVerifier;
use crate::{Endpoint, MaintenanceClientBuilder, Resources, Result};

/// Machine API of a node in maintenance mode: TLS without client certificate, few operations. A cheap handle.
///
/// What it reads it reads from resources, because before v1.13 the maintenance service implements hardly a call.
/// A node that is configured already refuses it with an error that
/// [`crate::Error::is_client_certificate_required`].
#[derive(Debug, Clone)]
pub struct MaintenanceClient {
    transport: Transport,
    verifier: Arc<LeafVerifier>,
}

impl MaintenanceClient {
    /// Begins a client for the node at `endpoint`.
    pub fn builder(endpoint: Endpoint) -> MaintenanceClientBuilder {
        MaintenanceClientBuilder::new(endpoint)
    }

    pub(crate) fn new(transport: Transport, verifier: Arc<LeafVerifier>) -> Self {
        Self {
            transport,
            verifier,
        }
    }

    /// The release that booted, for example `v1.10.7`.
    ///
    /// # Errors
    /// As every read.
    pub async fn version(&self) -> Result<String> {
        Ok(self
            .resources()
            .singleton::<VersionStatus>()
            .await?
            .spec
            .version)
    }

    /// All block devices, CD drives included; see [`Disk::is_installable`].
    ///
    /// Talos does not check the install disk of a configuration when it is applied: a wrong one makes the
    /// installation fail, and the node comes back in maintenance mode. So check it against this list before.
    ///
    /// # Errors
    /// As every read.
    pub async fn disks(&self) -> Result<Vec<Disk>> {
        machine::disks(&self.transport).await
    }

    /// What SMBIOS says about the machine: its UUID proves which one answers.
    ///
    /// # Errors
    /// As every read.
    pub async fn system_information(&self) -> Result<SystemInformation> {
        Ok(self
            .resources()
            .singleton::<SystemInformation>()
            .await?
            .spec)
    }

    /// Stage and readiness.
    ///
    /// # Errors
    /// As every read.
    pub async fn machine_status(&self) -> Result<MachineStatus> {
        Ok(self.resources().singleton::<MachineStatus>().await?.spec)
    }

    /// The node's state as resources, apart from those that hold secrets.
    #[must_use]
    pub fn resources(&self) -> Resources {
        Resources::new(self.transport.clone())
    }

    /// Gives the node its configuration (multi-document YAML). It answers, then installs itself and reboots.
    ///
    /// It may be repeated as long as the node is in maintenance mode. Use [`crate::Client::wait_for_identity`] to
    /// learn whether it comes back.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidDocument`] when the node cannot read the text,
    /// [`crate::ErrorKind::Validation`] when it breaks a rule, [`crate::ErrorKind::Unsupported`] for a mode that
    /// maintenance does not have.
    pub async fn apply_configuration(
        &self,
        config: &SecretString,
        options: ApplyOptions,
    ) -> Result<Applied> {
        machine::apply(&self.transport, config, options).await
    }

    /// The certificate of the last connection; `None` before the first call.
    #[must_use]
    pub fn presented_certificate(&self) -> Option<PresentedCertificate> {
        let leaf = self.verifier.seen()?;
        PresentedCertificate::parse(&leaf).ok()
    }

    /// Where the client connects to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.transport.endpoint()
    }
}
