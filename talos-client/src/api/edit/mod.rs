//! Changing the configuration of a living node: read it, change it, see what changes, apply it, wait until it is in effect.
//!
//! ```no_run
//! # async fn example(client: talos_client::Client) -> talos_client::Result<()> {
//! use talos_client::config::ConfigPatch;
//! use talos_client::{ApplyOptions, Poll};
//!
//! let patch = ConfigPatch::new("machine: {sysctls: {vm.swappiness: \"10\"}}");
//! let edit = client.edit_configuration().await?.patched(&[patch])?;
//! for difference in edit.differences() {
//!     println!("{difference}"); // secrets are redacted
//! }
//! let applied = edit.apply(ApplyOptions::default()).await?;
//! applied.wait(Poll::default()).await?;
//! # Ok(())
//! # }
//! ```

mod applied;

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::api::cosi::{MachineConfigStatus, Resource};
use crate::config::{ConfigPatch, Diff, MachineConfig, TalosVersion, diff};
use crate::machine::ApplyMode;
use crate::{ApplyOptions, Client, Error, ErrorKind, Result};

pub use self::applied::AppliedEdit;

const OPERATION: &str = "edit configuration";

/// A change of a node's configuration that was not sent yet. Made by [`Client::edit_configuration`].
///
/// `Debug` shows no content.
#[derive(Clone)]
#[must_use = "nothing is sent before it is applied"]
pub struct ConfigEdit {
    client: Client,
    version: TalosVersion,
    read: ReadState,
    on_disk: MachineConfig,
    before: MachineConfig,
    after: SecretString,
}

/// Which versions of the two configurations were read. An edit of others would undo somebody's change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ReadState {
    active: String,
    persistent: String,
}

/// What a node would do with a change.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EditPreview {
    /// When the change would take effect: the mode [`ApplyMode::Auto`] stands for, or the requested one.
    pub mode: Option<ApplyMode>,
    /// What changes; secrets are redacted.
    pub differences: Vec<Diff>,
    /// What the node finds unusual. Nodes up to v1.14 say so only when the configuration is applied.
    pub warnings: Vec<String>,
}

impl Client {
    /// Reads the configuration that is active on the node, to change it. Needs `os:admin`. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without the role, [`ErrorKind::NotFound`] for a node in maintenance mode,
    /// [`ErrorKind::InvalidDocument`] for a configuration that this crate cannot read.
    pub async fn edit_configuration(&self) -> Result<ConfigEdit> {
        let version = TalosVersion::parse(&self.machine().version().await?.tag)?;
        let (active, persistent) = both(self).await?;
        let text = active.spec.text.clone();
        Ok(ConfigEdit {
            client: self.clone(),
            version,
            before: self.parsed(&text)?,
            on_disk: match &persistent {
                Some(persistent) => self.parsed(&persistent.spec.text)?,
                None => self.parsed(&text)?,
            },
            read: ReadState::of(&active, persistent.as_ref()),
            after: text,
        })
    }

    fn parsed(&self, text: &SecretString) -> Result<MachineConfig> {
        MachineConfig::parse(text.expose_secret())
            .map_err(|error| error.with_target(self.machine().target()))
    }
}

/// The active configuration and the one on the disk, which a node without a partition for it lacks.
async fn both(
    client: &Client,
) -> Result<(
    Resource<MachineConfigStatus>,
    Option<Resource<MachineConfigStatus>>,
)> {
    let resources = client.resources();
    Ok((
        resources.resource(MachineConfigStatus::ACTIVE).await?,
        resources.find(MachineConfigStatus::PERSISTENT).await?,
    ))
}

impl ReadState {
    fn of(
        active: &Resource<MachineConfigStatus>,
        persistent: Option<&Resource<MachineConfigStatus>>,
    ) -> Self {
        Self {
            active: active.metadata.version.clone(),
            persistent: persistent
                .map(|resource| resource.metadata.version.clone())
                .unwrap_or_default(),
        }
    }
}

impl ConfigEdit {
    /// The release of the node, by whose rules patches are applied.
    #[must_use]
    pub fn version(&self) -> &TalosVersion {
        &self.version
    }

    /// The configuration that is active on the node.
    #[must_use]
    pub fn before(&self) -> &MachineConfig {
        &self.before
    }

    /// The changed configuration, as it would be sent.
    #[must_use]
    pub fn text(&self) -> &SecretString {
        &self.after
    }

    /// How the configuration on the disk differs from the active one: what was staged and waits for a reboot, or, the other way
    /// round, what is only tried. Applying this edit decides about it: what the edit does not hold is lost.
    ///
    /// Empty on most nodes. To build upon staged changes begin with [`ConfigEdit::from_disk`].
    #[must_use]
    pub fn pending(&self) -> Vec<Diff> {
        diff(&self.before, &self.on_disk)
    }

    /// Starts over with the configuration on the disk, which holds what was staged.
    pub fn from_disk(mut self) -> Self {
        self.after = self.on_disk.to_yaml();
        self
    }

    /// Applies patches in order, strategic merge patches and JSON patches, by the rules of the node's release.
    ///
    /// # Errors
    /// As [`MachineConfig::patched`].
    pub fn patched(mut self, patches: &[ConfigPatch]) -> Result<Self> {
        self.after = self.after()?.patched(patches, &self.version)?.to_yaml();
        Ok(self)
    }

    /// Replaces the whole configuration, for example by what a person made of [`ConfigEdit::text`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidDocument`] when the node's release cannot read the text.
    pub fn replaced(mut self, text: impl Into<SecretString>) -> Result<Self> {
        let text = text.into();
        MachineConfig::load(text.expose_secret(), &self.version)?;
        self.after = text;
        Ok(self)
    }

    /// What changes, in the order of documents and keys; secrets are redacted. Empty when nothing does.
    #[must_use]
    pub fn differences(&self) -> Vec<Diff> {
        match self.after() {
            Ok(after) => diff(&self.before, &after),
            Err(_) => Vec::new(),
        }
    }

    fn after(&self) -> Result<MachineConfig> {
        MachineConfig::parse(self.after.expose_secret())
    }

    /// Lets the node check the change, without applying it. Needs `os:admin`.
    ///
    /// In any other mode than [`ApplyMode::Try`] it makes a change that is being tried stay for good: nodes from v1.10 to v1.14
    /// stop the timer of a trial before they look whether it is a dry run.
    ///
    /// # Errors
    /// As [`crate::Machine::apply_configuration`].
    pub async fn dry_run(&self, options: ApplyOptions) -> Result<EditPreview> {
        let machine = self.client.machine();
        let answer = machine
            .apply_configuration(&self.after, options.dry_run())
            .await?;
        Ok(EditPreview {
            mode: answer.mode,
            differences: self.differences(),
            warnings: answer.warnings,
        })
    }

    /// Applies the change. Needs `os:admin`. The result is to be waited for: [`AppliedEdit::wait`].
    ///
    /// Just before, it reads the versions of the configurations again, because nodes have no conditional write: an edit of a
    /// configuration that somebody else has changed in the meantime is not sent. To repeat it, begin with
    /// [`Client::edit_configuration`]: after an error that may have taken effect, the differences are empty if it has.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when the configuration was changed since it was read, or the change does not fit the mode;
    /// otherwise as [`crate::Machine::apply_configuration`].
    pub async fn apply(self, options: ApplyOptions) -> Result<AppliedEdit> {
        let after = self.after()?;
        let (active, persistent) = both(&self.client).await?;
        if ReadState::of(&active, persistent.as_ref()) != self.read {
            return Err(Error::new(ErrorKind::Rejected, OPERATION)
                .with_target(self.client.machine().target())
                .with_message(
                    "the configuration of the node was changed since it was read; read it again and repeat the change",
                ));
        }
        AppliedEdit::send(self.client, after, self.after, options).await
    }
}

impl fmt::Debug for ConfigEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigEdit")
            .field("target", &self.client.machine().target())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
