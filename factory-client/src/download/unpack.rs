//! Downloads of compressed disk images that are stored uncompressed.

use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::Sha256Digest;
use super::body::Body;
use super::request::DownloadRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::image::{Compression, Output};

/// A disk image that was unpacked while it was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of the compressed bytes, as they were transferred.
    pub transferred_sha256: Sha256Digest,
}

impl DownloadRequest {
    /// Downloads an `.xz` or `.zst` disk image and unpacks it into a file on the way; the compressed bytes are
    /// nowhere stored. The file appears under its name when it is complete and durable. An interrupted call starts
    /// from the beginning.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an image that is not compressed in one of these ways,
    /// [`ErrorKind::Corrupted`] for bytes that cannot be unpacked, otherwise as for
    /// [`to_file`](Self::to_file).
    pub async fn unpack_to_file(self, path: impl Into<PathBuf>) -> Result<Unpacked> {
        let path = path.into();
        let output = self.image.request().output();
        let Output::Disk(_, compression @ (Compression::Xz | Compression::Zstd)) = output else {
            return Err(Error::new(ErrorKind::InvalidInput, "unpack image")
                .with_target(self.image.file_name())
                .with_message("only .xz and .zst disk images are unpacked"));
        };
        let mut body = self.body().await?;
        let (chunks, source) = mpsc::channel(4);
        let target = path.clone();
        let unpacking = tokio::task::spawn_blocking(move || unpack(source, compression, &target));
        let transferred = feed(&mut body, chunks).await;
        let unpacked = unpacking.await.map_err(io::Error::other);
        let digest = transferred?;
        let size = match unpacked {
            Ok(Ok(size)) => size,
            Ok(Err(failure)) => return Err(failure.into_error(&path)),
            Err(error) => return Err(Failure::Store(error).into_error(&path)),
        };
        Ok(Unpacked {
            path,
            size,
            transferred_sha256: digest,
        })
    }
}

/// Passes the body on until its end, or until the other side has given up.
async fn feed(body: &mut Body, chunks: mpsc::Sender<Bytes>) -> Result<Sha256Digest> {
    let slot = body.digest_slot();
    let mut is_wanted = true;
    while let Some(chunk) = body.next_chunk().await? {
        is_wanted = is_wanted && chunks.send(chunk).await.is_ok();
        if !is_wanted {
            break;
        }
    }
    if is_wanted {
        // The file must not be published unless everything was transferred and verified.
        let _ = chunks.send(Bytes::new()).await;
    }
    Ok(slot.get().unwrap_or_else(Sha256Digest::empty))
}

enum Failure {
    Decode(io::Error),
    Store(io::Error),
}

impl Failure {
    fn into_error(self, path: &Path) -> Error {
        let (kind, error) = match self {
            Self::Decode(error) => (ErrorKind::Corrupted, error),
            Self::Store(error) => (ErrorKind::Io, error),
        };
        Error::new(kind, "unpack image")
            .with_target(path.display().to_string())
            .with_source(error)
    }
}

fn unpack(
    source: mpsc::Receiver<Bytes>,
    compression: Compression,
    path: &Path,
) -> Result<u64, Failure> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(Failure::Store)?;
    let mut source = Chunks {
        source,
        current: Bytes::new(),
        is_complete: false,
    };
    let size = match compression {
        Compression::Xz => {
            let mut decoder = lzma_rust2::XzReader::new(BufReader::new(&mut source), true);
            copy(&mut decoder, &mut file)?
        }
        _ => unpack_frames(&mut source, &mut file)?,
    };
    // Whatever follows the compressed data has to be transferred as well.
    io::copy(&mut source, &mut io::sink()).map_err(Failure::Decode)?;
    if !source.is_complete {
        return Err(Failure::Decode(io::ErrorKind::UnexpectedEof.into()));
    }
    file.as_file().sync_all().map_err(Failure::Store)?;
    file.persist(path)
        .map_err(|error| Failure::Store(error.error))?;
    Ok(size)
}

/// A zstd file is a sequence of frames.
fn unpack_frames(source: &mut Chunks, file: &mut NamedTempFile) -> Result<u64, Failure> {
    let mut size = 0;
    while !source.is_at_end() {
        let mut decoder = ruzstd::decoding::StreamingDecoder::new(&mut *source)
            .map_err(|error| Failure::Decode(io::Error::other(error)))?;
        size += copy(&mut decoder, file)?;
    }
    Ok(size)
}

/// Like `io::copy`, but says on which side it failed.
fn copy(decoder: &mut impl Read, file: &mut NamedTempFile) -> Result<u64, Failure> {
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match decoder.read(&mut buffer).map_err(Failure::Decode)? {
            0 => return Ok(size),
            read => {
                file.write_all(&buffer[..read]).map_err(Failure::Store)?;
                size += read as u64;
            }
        }
    }
}

/// The chunks of a body for a reader on another thread. An empty chunk says that the body was complete.
struct Chunks {
    source: mpsc::Receiver<Bytes>,
    current: Bytes,
    is_complete: bool,
}

impl Chunks {
    /// Whether there are no more bytes; waits for the next chunk to know.
    fn is_at_end(&mut self) -> bool {
        while self.current.is_empty() && !self.is_complete {
            match self.source.blocking_recv() {
                Some(chunk) if chunk.is_empty() => self.is_complete = true,
                Some(chunk) => self.current = chunk,
                None => return true,
            }
        }
        self.current.is_empty()
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end() {
            return Ok(0);
        }
        let read = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(chunks: &[&'static [u8]], compression: Compression) -> Result<Vec<u8>, Failure> {
        let (sender, source) = mpsc::channel(8);
        for chunk in chunks {
            sender.blocking_send(Bytes::from_static(chunk)).unwrap();
        }
        drop(sender);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        unpack(source, compression, &path)?;
        Ok(std::fs::read(path).unwrap())
    }

    /// `printf 'talos disk\n' | xz` and `| zstd`.
    const XZ: &[u8] = include_bytes!("../../data/tests/disk.raw.xz");
    const ZSTD: &[u8] = include_bytes!("../../data/tests/disk.raw.zst");

    #[test]
    fn both_formats_are_unpacked_across_chunk_borders() {
        for (packed, compression) in [(XZ, Compression::Xz), (ZSTD, Compression::Zstd)] {
            let (a, b) = packed.split_at(7);
            let bytes = unpacked(&[a, b, b""], compression).ok().unwrap();
            assert_eq!(bytes, b"talos disk\n");
        }
    }

    #[test]
    fn several_frames_are_one_image() {
        let bytes = unpacked(&[ZSTD, ZSTD, b""], Compression::Zstd)
            .ok()
            .unwrap();

        assert_eq!(bytes, b"talos disk\ntalos disk\n");
    }

    #[test]
    fn a_body_that_broke_off_leaves_no_file() {
        for (packed, compression) in [(XZ, Compression::Xz), (ZSTD, Compression::Zstd)] {
            let half = &packed[..packed.len() / 2];
            assert!(matches!(
                unpacked(&[half], compression),
                Err(Failure::Decode(_))
            ));
            // All bytes of the file, but the transfer was not verified.
            assert!(unpacked(&[packed], compression).is_err());
        }
    }
}
