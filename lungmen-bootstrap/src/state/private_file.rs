//! Files that nobody else can read, on disk as a whole or not at all.

use std::io::{Result, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// Begins the names of the temporary files of artifacts.
pub(crate) const OF_ARTIFACTS: &str = ".lungmen-";
/// Begins the names of the temporary files of a store, which may share the folder. It also begins with the other prefix.
pub(crate) const OF_STORE: &str = ".lungmen-store-";

/// Creates the folder and its parents with mode 0700. An existing folder keeps its mode.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A flushed file in the folder, of mode 0600 as the tempfile crate creates it. Dropped without `persist` it is removed.
pub(crate) fn temporary(folder: &Path, prefix: &str, content: &[u8]) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Flushes the folder: a new name is durable only then.
pub(crate) fn flush(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
