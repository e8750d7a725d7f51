//! The file itself: only its owner may read it.

use std::path::Path;

use super::failed;
use crate::error::{ErrorKind, Result};

#[cfg(unix)]
pub(super) fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if matches!(mode, 0o600 | 0o400) {
        return Ok(());
    }
    Err(failed(ErrorKind::Configuration)
        .with_target(path.display().to_string())
        .with_message(format!(
            "the mode is {mode:04o}; set it to 0600, because the file holds tokens"
        )))
}

#[cfg(not(unix))]
pub(super) fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<()> {
    Ok(())
}

pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
