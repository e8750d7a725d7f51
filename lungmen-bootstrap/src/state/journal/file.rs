//! A journal in a file: one JSON record a line, only ever appended to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Journal, Record};
use crate::error::{Error, ErrorKind, Result};

/// Keeps records in a file of mode 0600 and holds a lock on it, so that two runs cannot work on one cluster from
/// the same folder.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: Mutex<File>,
}

impl FileJournal {
    /// Opens or creates the journal at `path` and locks it until it is dropped.
    ///
    /// # Errors
    /// `Conflict` when another run holds the lock; `Io` when the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open_private(&path).map_err(|error| io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path,
                file: Mutex::new(file),
            }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(ErrorKind::Conflict, "lock the journal")
                    .with_target(path.display().to_string())
                    .with_message("another run works with this output directory")
                    .with_hint("wait for the other run, or choose another output directory"))
            }
            Err(TryLockError::Error(error)) => Err(io("lock", &path, error)),
        }
    }
}

fn open_private(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn io(what: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::io(what, &path.display().to_string(), error)
}

#[async_trait]
impl Journal for FileJournal {
    async fn records(&self) -> Result<Vec<Record>> {
        let mut text = String::new();
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.read_to_string(&mut text))
                .map_err(|error| io("read the journal", &self.path, error))?;
        }
        parse(&text).map_err(|(line, error)| {
            Error::new(ErrorKind::Io, "read the journal")
                .with_target(format!("{}:{line}", self.path.display()))
                .with_message(error.to_string())
                .with_hint("mend or remove the line; the journal holds no secrets")
        })
    }

    async fn append(&self, record: Record) -> Result<()> {
        let mut line = serde_json::to_string(&record)
            .map_err(|error| io("write the journal", &self.path, error.into()))?;
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|error| io("write the journal", &self.path, error))
    }
}

/// A last line without its newline is a write that a crash cut short; its step observes again.
fn parse(text: &str) -> std::result::Result<Vec<Record>, (usize, serde_json::Error)> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete
        .lines()
        .enumerate()
        .map(|(index, line)| serde_json::from_str(line).map_err(|error| (index + 1, error)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StepId;
    use crate::state::journal::RecordState;

    #[tokio::test]
    async fn records_survive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lungmen.journal");
        let record =
            Record::new("a", StepId::EtcdBootstrap, RecordState::Started).with("node", "10.0.2.10");

        let journal = FileJournal::open(&path).unwrap();
        journal.append(record.clone()).await.unwrap();
        drop(journal);

        let again = FileJournal::open(&path).unwrap();
        assert_eq!(again.records().await.unwrap(), [record]);
    }

    #[tokio::test]
    async fn a_second_run_is_refused_while_the_first_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lungmen.journal");
        let _first = FileJournal::open(&path).unwrap();

        let second = FileJournal::open(&path).unwrap_err();

        assert_eq!(second.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_left_out() {
        let record = Record::new("a", StepId::Image, RecordState::Done);
        let line = serde_json::to_string(&record).unwrap();

        assert_eq!(
            parse(&format!("{line}\n{}", &line[..10])).unwrap(),
            [record]
        );
        assert!(parse("nonsense\n").is_err());
    }
}
