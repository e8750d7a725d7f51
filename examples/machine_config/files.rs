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

/// Writes a text to standard output, or to a file whose parent directories are created.
pub(crate) fn write(path: &str, text: &SecretString) -> Outcome {
    if path == STDOUT {
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.expose_secret().as_bytes())
            .and_then(|()| stdout.flush());
        return written.map_err(|error| refused("write", "/dev/stdout", &error));
    }
    // A device is written to, not replaced; /dev/stdout may well be a regular file.
    let written = if Path::new(path).starts_with("/dev")
        || fs::metadata(path).is_ok_and(|found| !found.is_file())
    {
        fs::write(path, text.expose_secret())
    } else {
        replace(Path::new(path), text)
    };
    written.map_err(|error| refused("open", path, &error))
}

fn replace(path: &Path, text: &SecretString) -> std::io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

fn refused(call: &str, path: &str, error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        ErrorKind::NotADirectory => "not a directory".to_owned(),
        ErrorKind::InvalidData => "file is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(format!("{call} {path}: {reason}"))
}
