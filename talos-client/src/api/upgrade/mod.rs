//! An upgrade as an operation: checked before, followed while it runs, verified afterwards.
//!
//! ```no_run
//! # async fn example(client: talos_client::Client) -> talos_client::Result<()> {
//! use talos_client::Poll;
//! use talos_client::machine::UpgradeRequest;
//!
//! let image = "factory.talos.dev/nocloud-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.11.6";
//! let plan = client.plan_upgrade(UpgradeRequest::to(image)).await?.prewarmed();
//! let operation = plan.start().await?;
//! let outcome = operation.wait_observed(Poll::default(), |state| println!("{state}")).await?;
//! println!("{} runs {}", client.endpoint(), outcome.version);
//! # Ok(())
//! # }
//! ```

mod checks;
mod operation;
mod start;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::machine::UpgradeRequest;
use crate::{Client, Result};

pub use self::operation::{UpgradeOperation, UpgradeOutcome};
pub use self::start::UpgradeStep;

const OPERATION: &str = "upgrade";

/// An upgrade whose checks have passed, and that was not started. Made by [`Client::plan_upgrade`].
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is started"]
pub struct UpgradePlan {
    client: Client,
    request: UpgradeRequest,
    record: UpgradeRecord,
    prewarm: bool,
}

/// What is to be kept of an upgrade, to observe it from another process: [`Client::resume_upgrade`]. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpgradeRecord {
    /// The installer image.
    pub image: String,
    /// The release that is expected: the tag of the image.
    pub version: String,
    /// The schematic that is expected, if the image has one.
    pub schematic: Option<String>,
    /// The names of the extensions that are expected; not checked when empty.
    pub extensions: Vec<String>,
    /// The release before.
    pub from_version: String,
    /// The schematic before.
    pub from_schematic: Option<String>,
    /// The boot in which the upgrade was requested.
    pub boot_id: String,
    /// The id under which its events run, or those of the reboot into the new release; unknown until the node has accepted it.
    pub actor: Option<String>,
}

impl Client {
    /// Checks whether the node can be upgraded. Needs `os:admin`. Changes nothing.
    ///
    /// The release of the image must follow upon that of the node, an image without a schematic must not replace one with a
    /// schematic, a node with Secure Boot needs an image for it, and the machine must not be under way somewhere else. On control
    /// plane nodes etcd must have a leader, no alarm and no learner (unless the request is forced).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a path of releases that Talos does not support, [`crate::ErrorKind::InvalidInput`] for an image that
    /// does not fit the node, [`crate::ErrorKind::NotReady`] for etcd or the machine, otherwise as every read.
    pub async fn plan_upgrade(&self, request: UpgradeRequest) -> Result<UpgradePlan> {
        let record = checks::run(self, &request).await?;
        Ok(UpgradePlan {
            client: self.clone(),
            request,
            record,
            prewarm: false,
        })
    }

    /// Goes on observing an upgrade that this or another process has started. Sends nothing.
    pub fn resume_upgrade(&self, record: UpgradeRecord) -> UpgradeOperation {
        UpgradeOperation::new(self.clone(), record)
    }
}

impl UpgradePlan {
    /// Pulls the installer image onto the node first, while it still does its work. The upgrade itself is shorter then. From v1.13 on
    /// that is always done.
    pub fn prewarmed(mut self) -> Self {
        self.prewarm = true;
        self
    }

    /// Expects these system extensions afterwards, by their names, for example `iscsi-tools`. Others may be there too.
    pub fn expecting_extensions<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.record.extensions = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the node runs the release and schematic already. Then [`UpgradePlan::start`] sends nothing.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.record.is_reached(
            &self.record.from_version,
            self.record.from_schematic.as_deref(),
        )
    }

    /// What is to be kept to resume the upgrade, should this process end before the node has answered.
    #[must_use]
    pub fn record(&self) -> &UpgradeRecord {
        &self.record
    }
}

impl UpgradeRecord {
    /// Whether a node that runs this is where the upgrade leads to.
    fn is_reached(&self, version: &str, schematic: Option<&str>) -> bool {
        version == self.version
            && (self.schematic.is_none() || self.schematic.as_deref() == schematic)
    }
}

impl fmt::Display for UpgradeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from_version, self.version)
    }
}
