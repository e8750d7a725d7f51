//! A talosconfig on the disk, with the rules of `talosctl config`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use super::Talosconfig;
use crate::error::{Error, ErrorKind, Result};

/// A talosconfig and the file it is kept in.
///
/// ```
/// use talos_client::talosconfig::{Context, TalosconfigFile};
///
/// # fn main() -> Result<(), talos_client::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// let mut file = TalosconfigFile::open(directory.path().join("talos/config"))?;
/// file.config.add("lab", Context::new());
/// file.config.use_context("lab")?;
/// file.save()?;
///
/// assert_eq!(TalosconfigFile::open(file.path())?.config.current(), "lab");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TalosconfigFile {
    path: PathBuf,
    /// The content.
    pub config: Talosconfig,
}

impl TalosconfigFile {
    /// Reads the file, or creates an empty one as the reference does: mode 0600, its folder 0700.
    ///
    /// # Errors
    /// `Io` when it cannot be read or created, `InvalidDocument` when it is no talosconfig.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self {
                config: Talosconfig::parse(&text)
                    .map_err(|error| error.with_target(path.display().to_string()))?,
                path,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = Self {
                    path,
                    config: Talosconfig::new(),
                };
                file.save()?;
                Ok(file)
            }
            Err(error) => Err(failed("read talosconfig", &path, error)),
        }
    }

    /// Writes a configuration to a file that must not exist yet. `talosctl config new`.
    ///
    /// # Errors
    /// `AlreadyExists` when the file exists, `Io` when it cannot be written.
    pub fn create(path: impl Into<PathBuf>, config: Talosconfig) -> Result<Self> {
        let file = Self {
            path: path.into(),
            config,
        };
        let temporary = file.written()?;
        temporary
            .persist_noclobber(&file.path)
            .map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => {
                    let path = file.path.display().to_string();
                    Error::new(ErrorKind::AlreadyExists, OPERATION)
                        .with_message(format!("talosconfig file already exists: {path:?}"))
                        .with_target(path)
                }
                _ => failed(OPERATION, &file.path, error.error),
            })?;
        Ok(file)
    }

    /// Where it is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the content back, in one step: other processes see the former file or the new one. May be repeated.
    ///
    /// # Errors
    /// `Io` when it cannot be written; the former file stays.
    pub fn save(&self) -> Result<()> {
        self.written()?
            .persist(&self.path)
            .map(drop)
            .map_err(|error| failed(OPERATION, &self.path, error.error))
    }

    /// A temporary file beside the target, which only its owner may read.
    fn written(&self) -> Result<tempfile::NamedTempFile> {
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let write = || -> io::Result<tempfile::NamedTempFile> {
            create_folder(folder)?;
            // The mode of a temporary file is 0600.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(self.config.to_yaml().expose_secret().as_bytes())?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(|error| failed(OPERATION, &self.path, error))
    }
}

const OPERATION: &str = "write talosconfig";

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, operation)
        .with_target(path.display().to_string())
        .with_message(error.to_string())
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::*;

    fn lab() -> Talosconfig {
        let mut config = Talosconfig::new();
        config.add("lab", Context::new());
        config
    }

    #[test]
    fn a_missing_file_is_created_empty_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config");

        let file = TalosconfigFile::open(&path).unwrap();

        assert_eq!(file.config.contexts().count(), 0);
        assert!(path.exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
    }

    #[test]
    fn a_new_file_never_replaces_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("talosconfig");
        TalosconfigFile::create(&path, lab()).unwrap();

        let error = TalosconfigFile::create(&path, Talosconfig::new()).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(
            error
                .message()
                .starts_with("talosconfig file already exists")
        );
        let kept = TalosconfigFile::open(&path).unwrap();
        assert!(kept.config.context("lab").is_some());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("talosconfig");
        std::fs::write(&path, "contexts: [").unwrap();

        let error = TalosconfigFile::open(&path).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidDocument);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "contexts: [");
    }

    #[test]
    fn saving_replaces_the_whole_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = TalosconfigFile::create(directory.path().join("c"), lab()).unwrap();
        file.config.use_context("lab").unwrap();
        file.save().unwrap();

        let other = TalosconfigFile::open(file.path()).unwrap();

        assert_eq!(other.config.current(), "lab");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
