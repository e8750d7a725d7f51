//! A journal in a file: one JSON record a line, only ever appended to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Journal, Record};
use crate::error::{Error, ErrorKind, Result};

/// Keeps records in a file of mode 0600 and holds a lock on it, so that two runs cannot use one file.
///
/// A line that cannot be read (a write that a crash cut short, a full disk, an edit) is moved to a file beside the journal,
/// `….damaged`, when the journal is opened, and reported as a warning of the run. Losing records loses no safety: every
/// step observes before it acts.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    state: Mutex<State>,
    warnings: Vec<String>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The last write failed half-way, so the next one starts a line of its own.
    torn: bool,
}

impl FileJournal {
    /// Opens or creates the journal at `path` and locks it until it is dropped.
    ///
    /// # Errors
    /// `Conflict` when another run holds the lock; `Io` when the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut file = open_private(&path).map_err(|error| io("open", &path, error))?;
        lock(&file, &path)?;
        let warnings = quarantine(&mut file, &path)
            .map_err(|error| io("repair the journal", &path, error))?
            .into_iter()
            .collect();
        let state = Mutex::new(State { file, torn: false });
        Ok(Self {
            path,
            state,
            warnings,
        })
    }
}

/// Locks the file. A program that another thread of this process is about to start has its locks for a moment too, until it
/// has become that program, so a held lock is tried again for a quarter of a second.
fn lock(file: &File, path: &Path) -> Result<()> {
    let mut pauses = (0..8).map(|power| Duration::from_millis(1 << power));
    loop {
        match (file.try_lock(), pauses.next()) {
            (Ok(()), _) => return Ok(()),
            (Err(TryLockError::WouldBlock), Some(pause)) => std::thread::sleep(pause),
            (Err(TryLockError::WouldBlock), None) => {
                return Err(Error::new(ErrorKind::Conflict, "lock the journal")
                    .with_target(path.display().to_string())
                    .with_message("another run uses this output directory")
                    .with_hint("Wait for the other run, or choose another output directory."));
            }
            (Err(TryLockError::Error(error)), _) => return Err(io("lock", path, error)),
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
    let file = options.open(path)?;
    // An older version may have left it readable by others.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Moves unreadable lines out of the journal. Returns the warning about them.
fn quarantine(file: &mut File, path: &Path) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let (good, damaged) = sort_lines(&bytes);
    let unfinished = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    if damaged.is_empty() && !unfinished {
        return Ok(None);
    }
    let beside = damaged_path(path);
    if !damaged.is_empty() {
        let mut target = open_private(&beside)?;
        for line in &damaged {
            target.write_all(line)?;
            target.write_all(b"\n")?;
        }
        target.sync_data()?;
    }
    file.set_len(0)?;
    for line in &good {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    file.sync_data()?;
    Ok((!damaged.is_empty()).then(|| {
        format!(
            "{} line(s) of the journal could not be read and were moved to {}",
            damaged.len(),
            beside.display()
        )
    }))
}

fn damaged_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    path.with_file_name(name)
}

/// The lines that are records, and the others.
fn sort_lines(bytes: &[u8]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .partition(|line| serde_json::from_slice::<Record>(line).is_ok())
}

fn io(what: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::io(what, &path.display().to_string(), error)
}

#[async_trait]
impl Journal for FileJournal {
    async fn records(&self) -> Result<Vec<Record>> {
        let mut bytes = Vec::new();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let file = &mut state.file;
            file.seek(SeekFrom::Start(0))
                .and_then(|_| file.read_to_end(&mut bytes))
                .map_err(|error| io("read the journal", &self.path, error))?;
        }
        Ok(bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    async fn append(&self, record: Record) -> Result<()> {
        let mut line = serde_json::to_string(&record)
            .map_err(|error| io("write the journal", &self.path, error.into()))?;
        line.push('\n');
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.torn {
            line.insert(0, '\n');
        }
        state.torn = true;
        let file = &mut state.file;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|error| io("write the journal", &self.path, error))?;
        state.torn = false;
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
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

    fn text(record: &Record) -> String {
        serde_json::to_string(record).unwrap()
    }

    #[tokio::test]
    async fn damaged_lines_are_set_aside_and_later_records_stay_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lungmen.journal");
        let first = Record::new("a", StepId::Image, RecordState::Done);
        let second = Record::new("a", StepId::Machine, RecordState::Started);
        let cut = &text(&second)[..20];
        std::fs::write(&path, format!("{}\n\u{1}nonsense\n{cut}", text(&first))).unwrap();

        let journal = FileJournal::open(&path).unwrap();
        journal.append(second.clone()).await.unwrap();

        assert_eq!(journal.warnings().len(), 1);
        assert_eq!(
            journal.records().await.unwrap(),
            [first.clone(), second.clone()]
        );
        drop(journal);
        let again = FileJournal::open(&path).unwrap();
        assert_eq!(again.warnings(), Vec::<String>::new());
        assert_eq!(again.records().await.unwrap(), [first, second]);
        let beside = std::fs::read_to_string(folder.path().join("lungmen.journal.damaged"));
        assert_eq!(beside.unwrap(), format!("\u{1}nonsense\n{cut}\n"));
    }

    #[tokio::test]
    async fn a_record_whose_newline_was_cut_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lungmen.journal");
        let record = Record::new("a", StepId::Image, RecordState::Done);
        std::fs::write(&path, text(&record)).unwrap();

        let journal = FileJournal::open(&path).unwrap();
        journal.append(record.clone()).await.unwrap();

        assert_eq!(journal.records().await.unwrap(), [record.clone(), record]);
    }

    #[cfg(unix)]
    #[test]
    fn an_old_journal_that_others_can_read_becomes_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lungmen.journal");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

        let _journal = FileJournal::open(&path).unwrap();

        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
