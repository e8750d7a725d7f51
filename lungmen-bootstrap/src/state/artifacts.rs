//! The files of a run: secrets, configurations, talosconfig, kubeconfig.
//!
//! Every file is written to a temporary name in the same folder with mode 0600, flushed to the disk and renamed,
//! so that it is either the old one or the new one and never readable by others.

use std::fmt;
use std::io::{ErrorKind as IoKind, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::spec::machine::Role;

/// A file of the output directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
#[non_exhaustive]
pub enum Artifact {
    /// `secrets.yaml`: the secrets bundle. It cannot be made again.
    Secrets,
    /// The machine configuration of a machine: `controlplane.yaml`, or `controlplane-tal01.yaml` where there are
    /// several.
    MachineConfig {
        /// What the machine does.
        role: Role,
        /// The short host name, where the role has several machines.
        host: Option<String>,
    },
    /// `talosconfig`: the client configuration for the Talos API.
    Talosconfig,
    /// `kubeconfig`: the admin client configuration for Kubernetes.
    Kubeconfig,
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets => f.write_str("secrets.yaml"),
            Self::MachineConfig { role, host: None } => write!(f, "{role}.yaml"),
            Self::MachineConfig {
                role,
                host: Some(host),
            } => write!(f, "{role}-{host}.yaml"),
            Self::Talosconfig => f.write_str("talosconfig"),
            Self::Kubeconfig => f.write_str("kubeconfig"),
        }
    }
}

impl From<Artifact> for String {
    fn from(artifact: Artifact) -> Self {
        artifact.to_string()
    }
}

/// A file that a run wrote or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArtifactFile {
    /// What it is.
    pub artifact: Artifact,
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits, `0o600`.
    pub mode: u32,
}

/// The output directory.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    folder: PathBuf,
}

impl Artifacts {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, artifact: &Artifact) -> PathBuf {
        self.folder.join(artifact.to_string())
    }

    pub(crate) fn read(&self, artifact: &Artifact) -> Result<Option<SecretString>> {
        let path = self.path(artifact);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) if error.kind() == IoKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path.display().to_string(), error)),
        }
    }

    /// Whether nobody else can read the file; `false` also when there is none.
    pub(crate) fn is_private(&self, artifact: &Artifact) -> bool {
        mode_of(&self.path(artifact)) == Some(0o600)
    }

    /// Whether the file has this content and is private.
    pub(crate) fn has(&self, artifact: &Artifact, text: &SecretString) -> Result<bool> {
        let present = self.read(artifact)?;
        Ok(self.is_private(artifact)
            && present.is_some_and(|present| present.expose_secret() == text.expose_secret()))
    }

    /// Writes the file, unless it has this content and mode already. Returns whether it wrote.
    pub(crate) fn write(&self, artifact: &Artifact, text: &SecretString) -> Result<bool> {
        let path = self.path(artifact);
        if self.has(artifact, text)? {
            return Ok(false);
        }
        self.create_folder()
            .and_then(|()| write_private(&path, text.expose_secret().as_bytes()))
            .map_err(|error| Error::io("write", &path.display().to_string(), error))?;
        Ok(true)
    }

    fn create_folder(&self) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)
    }

    /// The files that exist, with their modes.
    pub(crate) fn existing(&self, wanted: impl IntoIterator<Item = Artifact>) -> Vec<ArtifactFile> {
        wanted
            .into_iter()
            .filter_map(|artifact| {
                let path = self.path(&artifact);
                let mode = mode_of(&path)?;
                Some(ArtifactFile {
                    artifact,
                    path,
                    mode,
                })
            })
            .collect()
    }
}

/// Replaces `path` atomically by a file of mode 0600.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // The temporary file is created with mode 0600 by the tempfile crate.
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is durable only once the folder is flushed.
    #[cfg(unix)]
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|_| 0o600)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_only_written_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path().join("new"));

        assert!(artifacts.write(&Artifact::Secrets, &"a".into()).unwrap());
        assert!(!artifacts.write(&Artifact::Secrets, &"a".into()).unwrap());
        assert!(artifacts.write(&Artifact::Secrets, &"b".into()).unwrap());

        let files = artifacts.existing([Artifact::Secrets, Artifact::Kubeconfig]);
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].mode, 0o600);
        let text = artifacts.read(&Artifact::Secrets).unwrap().unwrap();
        assert_eq!(text.expose_secret(), "b");
    }

    #[test]
    fn a_file_that_others_can_read_is_made_private_again() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path());
        let path = artifacts.path(&Artifact::Talosconfig);
        std::fs::write(&path, "same").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

        assert!(
            artifacts
                .write(&Artifact::Talosconfig, &"same".into())
                .unwrap()
        );

        assert_eq!(mode_of(&path), Some(0o600));
    }

    #[test]
    fn several_machines_of_a_role_have_their_host_in_the_name() {
        let one = Artifact::MachineConfig {
            role: Role::ControlPlane,
            host: None,
        };
        let many = Artifact::MachineConfig {
            role: Role::Worker,
            host: Some("tal04".into()),
        };

        assert_eq!(one.to_string(), "controlplane.yaml");
        assert_eq!(many.to_string(), "worker-tal04.yaml");
    }
}
