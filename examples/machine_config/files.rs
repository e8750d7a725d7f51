//! Reading and writing files with the error texts of Go.
//!
//! Everything written here holds keys, so every file is replaced atomically and readable by its owner only; `talosctl` does
//! that for secrets, and writes configuration readable by all.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::failure::{Failure, Outcome};

/// The argument that stands for standard output.
pub(crate) const STDOUT: &str = "-";

pub(crate) fn read(path: &str) -> Outcome<SecretString> {
    fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|error| refused("open", path, &error))
}

/// Refuses to overwrite a file unless forced to.
pub(crate) fn check_free(path: &str, force: bool) -> Outcome {
    if force || path == STDOUT || !Path::new(path).exists() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "file {path:?} already exists, use --force to overwrite"
    )))
}

/// What a file is worth after a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The file is on the disk before the program goes on: it cannot be made again.
    Synced,
    /// The system writes it in its own time: the same command makes it again.
    Cached,
}

/// Writes a text to standard output, or to a file whose parent directories are created.
pub(crate) fn write(path: &str, text: &SecretString, durability: Durability) -> Outcome {
    if path == STDOUT {
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.expose_secret().as_bytes())
            .and_then(|()| stdout.flush());
        return written.map_err(|error| refused("write", "/dev/stdout", &error));
    }
    let written = if is_stream(path) {
        fs::write(path, text.expose_secret())
    } else {
        replace(Path::new(path), text, durability)
    };
    written.map_err(|error| refused("open", path, &error))
}

/// Whether a path is written to and not replaced: a device, a pipe, or one of the names of an open file (`/dev/stdout`, which
/// may well lead to a regular file). `/dev/shm` is a file system like any other.
fn is_stream(path: &str) -> bool {
    const OPEN_FILES: [&str; 3] = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];
    OPEN_FILES.contains(&path)
        || path.starts_with("/dev/fd/")
        || path.starts_with("/proc/self/fd/")
        || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn replace(path: &Path, text: &SecretString, durability: Durability) -> std::io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.expose_secret().as_bytes())?;
    if durability == Durability::Synced {
        file.as_file().sync_all()?;
    }
    file.persist(target)?;
    Ok(())
}

fn refused(call: &str, path: &str, error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        // A file where a parent directory would be made is there already.
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "not a directory".to_owned(),
        ErrorKind::InvalidData => "file is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(format!("{call} {path}: {reason}"))
}
