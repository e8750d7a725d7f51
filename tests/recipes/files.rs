//! Text files, with their names in the errors.

use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Writes a file; gives its path, for the list of what was written.
pub(crate) fn write(path: PathBuf, text: &str) -> Result<Vec<PathBuf>> {
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(vec![path])
}
