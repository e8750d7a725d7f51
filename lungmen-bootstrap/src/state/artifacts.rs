//! The files of a run: secrets, configurations, talosconfig, kubeconfig.
//!
//! Every file is written to a temporary name in the same folder with mode 0600, flushed to the disk and renamed,
//! so that it is either the old one or the new one and never readable by others.

use std::fmt;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::spec::machine::Role;
use crate::state::private_file::{self, OF_ARTIFACTS, OF_STORE};

/// A file of the output directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
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

/// The text is not the name of a file of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a file of a run")]
pub struct UnknownArtifact(String);

impl FromStr for Artifact {
    type Err = UnknownArtifact;

    fn from_str(text: &str) -> Result<Self, UnknownArtifact> {
        let of_machine = || {
            let stem = text.strip_suffix(".yaml")?;
            let (role, host) = match stem.split_once('-') {
                Some((role, host)) => (role, Some(host.to_owned())),
                None => (stem, None),
            };
            let known = [Role::ControlPlane, Role::Worker];
            let role = known.into_iter().find(|known| known.name() == role)?;
            Some(Self::MachineConfig { role, host })
        };
        match text {
            "secrets.yaml" => Ok(Self::Secrets),
            "talosconfig" => Ok(Self::Talosconfig),
            "kubeconfig" => Ok(Self::Kubeconfig),
            _ => of_machine().ok_or_else(|| UnknownArtifact(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Artifact {
    type Error = UnknownArtifact;

    fn try_from(text: String) -> Result<Self, UnknownArtifact> {
        text.parse()
    }
}

/// A file that a run wrote or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ArtifactFile {
    /// What it is.
    pub artifact: Artifact,
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits, `0o600`.
    pub mode: u32,
}

/// The output directory, or none: then nothing is read and nothing is written.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    folder: Option<PathBuf>,
}

impl Artifacts {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn file(&self, artifact: &Artifact) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(artifact.to_string()))
    }

    /// The path for messages.
    pub(crate) fn path(&self, artifact: &Artifact) -> String {
        match self.file(artifact) {
            Some(path) => path.display().to_string(),
            None => artifact.to_string(),
        }
    }

    pub(crate) fn read(&self, artifact: &Artifact) -> Result<Option<SecretString>> {
        let Some(path) = self.file(artifact) else {
            return Ok(None);
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.into())),
            Err(error) if error.kind() == IoKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path.display().to_string(), error)),
        }
    }

    /// Whether nobody else can read the file; `false` also when there is none.
    pub(crate) fn is_private(&self, artifact: &Artifact) -> bool {
        let mode = self.file(artifact).as_deref().and_then(mode_of);
        mode == Some(0o600)
    }

    /// Whether the file has this content and is private. Without a folder nothing is missing.
    pub(crate) fn has(&self, artifact: &Artifact, text: &SecretString) -> Result<bool> {
        if self.folder.is_none() {
            return Ok(true);
        }
        let present = self.read(artifact)?;
        Ok(self.is_private(artifact)
            && present.is_some_and(|present| present.expose_secret() == text.expose_secret()))
    }

    /// Writes the file, unless it has this content and mode already. Returns whether it wrote.
    pub(crate) fn write(&self, artifact: &Artifact, text: &SecretString) -> Result<bool> {
        let Some(path) = self
            .file(artifact)
            .filter(|_| !matches!(self.has(artifact, text), Ok(true)))
        else {
            return Ok(false);
        };
        self.create_folder()
            .and_then(|()| write_private(&path, text.expose_secret().as_bytes()))
            .map_err(|error| Error::io("write", &path.display().to_string(), error))?;
        Ok(true)
    }

    /// Removes the file. Returns whether there was one.
    pub(crate) fn remove(&self, artifact: &Artifact) -> Result<bool> {
        let Some(path) = self.file(artifact) else {
            return Ok(false);
        };
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == IoKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", &path.display().to_string(), error)),
        }
    }

    fn create_folder(&self) -> std::io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        private_file::create_folder(folder)?;
        make_private(folder);
        remove_temporary_files(folder)
    }

    /// Machine configurations of the same cluster under names that it does not use any more. `authority` is the
    /// certificate authority of the cluster as configurations write it; files of others are never among them.
    pub(crate) fn leftovers(&self, wanted: &[Artifact], authority: &str) -> Vec<PathBuf> {
        let entries = self
            .folder
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok());
        entries
            .flatten()
            .flatten()
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_config = ["controlplane", "worker"]
                    .iter()
                    .filter_map(|role| name.strip_prefix(role))
                    .any(|rest| {
                        rest == ".yaml" || (rest.starts_with('-') && rest.ends_with(".yaml"))
                    });
                is_config && !wanted.iter().any(|artifact| artifact.to_string() == name)
            })
            .map(|entry| entry.path())
            .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(authority)))
            .collect()
    }

    /// The files that exist, with their modes.
    pub(crate) fn existing(&self, wanted: impl IntoIterator<Item = Artifact>) -> Vec<ArtifactFile> {
        wanted
            .into_iter()
            .filter_map(|artifact| {
                let path = self.file(&artifact)?;
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

/// Replaces `path` atomically by a file of mode 0600. A symbolic link stays one: its target is replaced.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    private_file::temporary(folder, OF_ARTIFACTS, content)?.persist(&target)?;
    private_file::flush(folder)
}

/// Removes what a process that was killed while it wrote left behind: it may hold secrets. The store cleans up behind itself,
/// under its own lock: at this moment it may be writing, by a renewal of the lease or by another run.
fn remove_temporary_files(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Earlier versions used the names of the tempfile crate: `.tmp` and six characters.
        let is_old = name.len() == 10 && name.starts_with(".tmp");
        let is_artifact = name.starts_with(OF_ARTIFACTS) && !name.starts_with(OF_STORE);
        if is_artifact || is_old {
            // A file that is gone already is what is wanted.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// An existing folder that others can read becomes private, except the working directory.
#[cfg(unix)]
fn make_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let is_working_directory = match (folder.canonicalize(), std::env::current_dir()) {
        (Ok(folder), Ok(current)) => folder == current,
        _ => true,
    };
    if !is_working_directory && mode_of(folder).is_some_and(|mode| mode & 0o077 != 0) {
        // Files in it are private by themselves; the folder is a second line.
        let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    }
}

#[cfg(not(unix))]
fn make_private(_folder: &Path) {}

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
    use crate::state::store::{DirectoryStore, Document, Entries, SecretStore as _};

    #[test]
    fn files_are_private_and_only_written_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(Some(folder.path().join("new")));

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
        let artifacts = Artifacts::new(Some(folder.path().to_owned()));
        let path = artifacts.file(&Artifact::Talosconfig).unwrap();
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
    fn what_a_killed_process_left_behind_is_removed_and_the_folder_becomes_private() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("out");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in [".tmpAbC123", ".lungmen-xyz", ".lungmen-store-xyz", "kept"] {
            std::fs::write(folder.join(name), "secret").unwrap();
        }

        let artifacts = Artifacts::new(Some(folder.clone()));
        artifacts.write(&Artifact::Secrets, &"a".into()).unwrap();

        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".lungmen-store-xyz", "kept", "secrets.yaml"]);
        assert_eq!(mode_of(&folder), Some(0o700));
    }

    #[tokio::test]
    async fn a_store_that_writes_into_the_same_folder_is_not_disturbed() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirectoryStore::new(folder.path());
        let artifacts = Artifacts::new(Some(folder.path().to_owned()));
        let mut entries = Entries::new();
        let mut revision = store.create(Document::Lease, &entries).await.unwrap();

        let writer = std::thread::spawn(move || {
            for number in 0..100 {
                let text = format!("bundle {number}").into();
                assert!(artifacts.write(&Artifact::Secrets, &text).unwrap());
            }
        });
        for number in 0..100 {
            entries.insert("beat".into(), number.to_string().into());
            revision = store
                .replace(Document::Lease, &entries, &revision)
                .await
                .unwrap();
        }

        writer.join().unwrap();
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();

        write_private(&link, b"new").unwrap();

        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn without_a_folder_nothing_is_missing_and_nothing_is_written() {
        let artifacts = Artifacts::new(None);

        assert!(artifacts.has(&Artifact::Secrets, &"a".into()).unwrap());
        assert!(!artifacts.write(&Artifact::Secrets, &"a".into()).unwrap());
        assert!(artifacts.read(&Artifact::Secrets).unwrap().is_none());
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
