//! Where user data are kept while a machine installs itself: the folder of a storage for snippets of Proxmox VE.
//!
//! The API of Proxmox VE lists such files and has no call to write one, so a run needs the folder itself: a shared file system
//! that is mounted here, for example. A run writes the files of a machine before it starts its VM, and removes them as soon as
//! the node is installed. They hold the whole configuration of the machine, with the secrets of the cluster.

mod directory;

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::services::Result;

pub use directory::DirectorySnippets;

/// The folder of a storage for snippets. Names are plain file names that a run makes up; no two clusters have the same.
#[async_trait]
pub trait SnippetStore: fmt::Debug + Send + Sync {
    /// The place in the words of an error text: `folder /mnt/pve/shared/snippets`. Never a secret.
    fn describe(&self) -> String;

    /// Checks without writing that the other operations can work. May be repeated.
    ///
    /// # Errors
    ///
    /// `Configuration` for a place that cannot be used, `Forbidden`, `Io`.
    async fn preflight(&self) -> Result<()>;

    /// The content of a file; `None` when there is none. May be repeated.
    ///
    /// # Errors
    ///
    /// `Decode` when it is no text, `Forbidden`, `Io`.
    async fn read(&self, name: &str) -> Result<Option<SecretString>>;

    /// Writes a file that does not exist yet, which nobody but its owner can read. It appears as a whole or not at all.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `Forbidden`, `Io`.
    async fn create(&self, name: &str, content: &SecretString) -> Result<()>;

    /// Puts new content in the place of a file, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Io`.
    async fn replace(&self, name: &str, content: &SecretString) -> Result<()>;

    /// Removes a file, and what a killed process left of a write of it. Nothing happens without one. May be repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Io`.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Whether there is neither the file nor a rest of a write of it. May be repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Io`.
    async fn is_absent(&self, name: &str) -> Result<bool>;
}
