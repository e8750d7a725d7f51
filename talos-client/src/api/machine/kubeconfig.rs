//! The administrator's access to Kubernetes.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::reply::check;
use super::{Machine, machine_service};
use crate::api::channel::Call;
use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "fetch kubeconfig";

/// A kubeconfig has a few kilobytes.
const MAX_SIZE: u64 = 1024 * 1024;

impl Machine {
    /// Fetches a kubeconfig for `admin@<cluster>`. Needs `os:admin`.
    ///
    /// Works on control plane nodes only, even before etcd is bootstrapped. Every call makes the node issue
    /// another client certificate (valid for a year by default); it changes nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Decode`] when the archive holds no kubeconfig.
    pub async fn kubeconfig(&self) -> Result<SecretString> {
        let call = Call::read(OPERATION).at_least(Duration::from_secs(30));
        let chunks = self
            .transport
            .call(call, |service| async move {
                let response = machine_service(service).kubeconfig(()).await?;
                let mut stream = response.into_inner();
                let mut chunks = Vec::new();
                while let Some(chunk) = stream.message().await? {
                    chunks.push(chunk);
                }
                Ok(tonic::Response::new(chunks))
            })
            .await?;

        let mut archive = Zeroizing::new(Vec::new());
        for chunk in chunks {
            check(OPERATION, chunk.metadata.as_ref())
                .map_err(|error| error.with_target(self.transport.target()))?;
            archive.extend_from_slice(&chunk.bytes);
        }
        first_file(&archive).map_err(|error| error.with_target(self.transport.target()))
    }
}

/// The first file of a gzipped tar archive.
///
/// Talos (v1.10 to v1.14) never finishes the archive: it has neither padding nor end blocks, so looking for a
/// second entry fails.
fn first_file(archive: &[u8]) -> Result<SecretString> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut entries = archive
        .entries()
        .map_err(|source| unreadable("not a tar archive").with_source(source))?;
    let entry = entries
        .next()
        .ok_or_else(|| unreadable("the archive is empty"))?
        .map_err(|source| unreadable("not a gzipped tar archive").with_source(source))?;
    let size = entry.size();
    if !entry.header().entry_type().is_file() || size == 0 || size > MAX_SIZE {
        return Err(unreadable(
            "the first entry of the archive is no kubeconfig",
        ));
    }

    let mut text = String::new();
    entry
        .take(MAX_SIZE)
        .read_to_string(&mut text)
        .map_err(|source| unreadable("the archive is cut short").with_source(source))?;
    if text.len() as u64 != size {
        return Err(unreadable("the archive is cut short"));
    }
    Ok(text.into())
}

fn unreadable(message: &str) -> Error {
    Error::new(ErrorKind::Decode, OPERATION).with_message(message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use secrecy::ExposeSecret;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tar_with(content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("kubeconfig").unwrap();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn an_archive_that_ends_with_the_content_is_read() {
        let content = b"apiVersion: v1\nkind: Config\n";

        let text = first_file(&gzip(&tar_with(content))).unwrap();

        assert_eq!(text.expose_secret().as_bytes(), content);
    }

    #[test]
    fn a_content_that_is_cut_short_is_an_error() {
        let mut bytes = tar_with(b"apiVersion: v1\nkind: Config\n");
        bytes.truncate(bytes.len() - 5);

        assert_eq!(
            first_file(&gzip(&bytes)).unwrap_err().kind(),
            ErrorKind::Decode
        );
    }

    #[test]
    fn what_is_not_an_archive_is_an_error() {
        for bytes in [Vec::new(), b"apiVersion".to_vec(), gzip(b"")] {
            assert_eq!(first_file(&bytes).unwrap_err().kind(), ErrorKind::Decode);
        }
    }
}
