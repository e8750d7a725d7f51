//! The folder of a storage that is reachable as a folder of this host.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use super::SnippetStore;
use crate::services::{Error, ErrorKind, Result};
use crate::state::private_file;

/// Writes snippets as files of mode 0600 into a folder that exists: the folder `snippets` of a storage, mounted here.
///
/// The nodes of Proxmox VE read them as root, which an NFS server with `root_squash` does not allow.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use lungmen_bootstrap::secrecy::SecretString;
/// use lungmen_bootstrap::snippets::{DirectorySnippets, SnippetStore as _};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let snippets = DirectorySnippets::new(folder);
///
/// snippets.create("a.yaml", &SecretString::from("text")).await?;
/// snippets.remove("a.yaml").await?;
///
/// assert!(snippets.is_absent("a.yaml").await?);
/// # Ok::<(), lungmen_bootstrap::services::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct DirectorySnippets {
    folder: PathBuf,
}

impl DirectorySnippets {
    /// The snippets in `folder`. Nothing happens before the first call.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (folder, file) = (self.folder.clone(), name.to_owned());
        let ended = tokio::task::spawn_blocking(move || work(&folder, &file)).await;
        let result = ended.unwrap_or_else(|error| Err(io::Error::other(error)));
        result.map_err(|error| self.failed(operation, name, error))
    }

    fn failed(&self, operation: &'static str, name: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Configuration,
            io::ErrorKind::PermissionDenied => ErrorKind::Forbidden,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::InvalidData => ErrorKind::Decode,
            _ => ErrorKind::Io,
        };
        Error::new(kind, operation)
            .with_target(self.folder.join(name).display().to_string())
            .with_message(error.to_string())
            .with_source(error)
    }
}

#[async_trait]
impl SnippetStore for DirectorySnippets {
    fn describe(&self) -> String {
        format!("folder {}", self.folder.display())
    }

    async fn preflight(&self) -> Result<()> {
        let look = |folder: &Path, _: &str| std::fs::read_dir(folder).map(drop);
        self.blocking("check snippets", "", look).await
    }

    async fn read(&self, name: &str) -> Result<Option<SecretString>> {
        let read = |folder: &Path, name: &str| match std::fs::read_to_string(folder.join(name)) {
            Ok(text) => Ok(Some(SecretString::from(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => Ok(None),
            Err(error) => Err(error),
        };
        self.blocking("read snippet", name, read).await
    }

    async fn create(&self, name: &str, content: &SecretString) -> Result<()> {
        let content = content.clone();
        let create = move |folder: &Path, name: &str| {
            let file = unfinished(folder, name, &content)?;
            file.persist_noclobber(folder.join(name))?;
            private_file::flush(folder)
        };
        self.blocking("create snippet", name, create).await
    }

    async fn replace(&self, name: &str, content: &SecretString) -> Result<()> {
        let content = content.clone();
        let replace = move |folder: &Path, name: &str| {
            unfinished(folder, name, &content)?.persist(folder.join(name))?;
            private_file::flush(folder)
        };
        self.blocking("replace snippet", name, replace).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let remove = |folder: &Path, name: &str| {
            for path in rests(folder, name)? {
                remove_if_there(&path)?;
            }
            remove_if_there(&folder.join(name))?;
            private_file::flush(folder)
        };
        self.blocking("remove snippet", name, remove).await
    }

    async fn is_absent(&self, name: &str) -> Result<bool> {
        let look = |folder: &Path, name: &str| {
            Ok(rests(folder, name)?.is_empty() && !folder.join(name).try_exists()?)
        };
        self.blocking("look for snippet", name, look).await
    }
}

/// A file beside its place, which Proxmox VE does not list. Rests of earlier ones are removed first.
fn unfinished(
    folder: &Path,
    name: &str,
    content: &SecretString,
) -> io::Result<tempfile::NamedTempFile> {
    for path in rests(folder, name)? {
        remove_if_there(&path)?;
    }
    private_file::temporary(folder, &prefix(name), content.expose_secret().as_bytes())
}

fn prefix(name: &str) -> String {
    format!(".{name}.")
}

/// What killed processes left of writes of this file.
fn rests(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let prefix = prefix(name);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_file_is_private_and_created_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let snippets = DirectorySnippets::new(folder.path());

        snippets.create("a.yaml", &secret("one")).await.unwrap();
        let again = snippets.create("a.yaml", &secret("two")).await;

        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let text = snippets.read("a.yaml").await.unwrap().unwrap();
        assert_eq!(text.expose_secret(), "one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = std::fs::metadata(folder.path().join("a.yaml")).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_removal_takes_what_a_killed_process_left() {
        let folder = tempfile::tempdir().unwrap();
        let snippets = DirectorySnippets::new(folder.path());
        snippets.replace("a.yaml", &secret("one")).await.unwrap();
        std::fs::write(folder.path().join(".a.yaml.xyz"), "half").unwrap();
        std::fs::write(folder.path().join(".b.yaml.xyz"), "of another").unwrap();

        assert!(!snippets.is_absent("a.yaml").await.unwrap());
        snippets.remove("a.yaml").await.unwrap();

        assert!(snippets.is_absent("a.yaml").await.unwrap());
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[tokio::test]
    async fn a_folder_that_is_away_is_never_an_absent_file() {
        let folder = tempfile::tempdir().unwrap();
        let snippets = DirectorySnippets::new(folder.path().join("away"));

        for kind in [
            snippets.preflight().await.unwrap_err().kind(),
            snippets.read("a.yaml").await.unwrap_err().kind(),
            snippets.is_absent("a.yaml").await.unwrap_err().kind(),
        ] {
            assert_eq!(kind, ErrorKind::Configuration);
        }
    }
}
