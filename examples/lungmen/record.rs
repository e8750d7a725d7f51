//! The events of the last run, as JSON lines in the output folder: `support` sends them along.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lungmen_bootstrap::{Event, Observer};

use crate::failure::Failure;

/// Where the events of the last run are.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("events.jsonl")
}

/// An observer that writes every event down. Events hold no secrets; only the user can read the file all the same.
pub(crate) struct EventFile(Mutex<File>);

impl EventFile {
    /// Starts with an empty file.
    pub(crate) fn create(folder: &Path) -> Result<Self, Failure> {
        let path = path(folder);
        let created = std::fs::create_dir_all(folder).and_then(|()| private(&path));
        match created {
            Ok(file) => Ok(Self(Mutex::new(file))),
            Err(error) => Err(Failure::message(format!(
                "'{}' cannot be written: {error}",
                path.display()
            ))),
        }
    }
}

/// A new, empty file that only the user can read.
pub(crate) fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => options.open(path),
    }
}

impl Observer for EventFile {
    fn observe(&self, event: &Event) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(line) = serde_json::to_string(event) {
            // A full disk must not end the run.
            let _ = writeln!(file, "{line}");
        }
    }
}
