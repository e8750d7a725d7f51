//! Files that a node downloads from a URL.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Checksum, Content, Storage, check_file_name};
use crate::docs::write_errors;
use crate::error::{Error, Result};
use crate::request::Request;
use crate::task::Task;

/// A file that a node is to download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is given to `Storage::download_url`"]
pub struct DownloadRequest {
    url: Url,
    content: Content,
    file_name: String,
    checksum: Option<Checksum>,
    compression: Option<Compression>,
    unverified: bool,
}

/// How a downloaded file is compressed. `xz` is not supported by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// gzip.
    Gz,
    /// LZO.
    Lzo,
    /// Zstandard.
    Zst,
    /// bzip2.
    Bz2,
}

impl Compression {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gz => "gz",
            Self::Lzo => "lzo",
            Self::Zst => "zst",
            Self::Bz2 => "bz2",
        }
    }
}

impl DownloadRequest {
    /// Downloads `url` and stores it as `file_name`.
    pub fn new(url: Url, content: Content, file_name: impl Into<String>) -> Self {
        Self {
            url,
            content,
            file_name: file_name.into(),
            checksum: None,
            compression: None,
            unverified: false,
        }
    }

    /// Has the node decompress the file. Only for ISO content; the file name is the one without the compression suffix,
    /// and the checksum is that of the compressed file.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Does not verify the certificate of the source.
    pub fn danger_skip_certificate_verification(mut self) -> Self {
        self.unverified = true;
        self
    }

    /// Has the node compare the file with this checksum.
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

impl Storage {
    /// Has the node download a URL to this storage. The file gets its name only when it is complete.
    ///
    /// Needs `Datastore.AllocateTemplate` on the storage and `Sys.AccessNetwork` on the node, which no built-in role
    /// but Administrator has; upload instead where it is missing. An existing file is not overwritten: without a checksum
    /// the task fails with reason `FileExists`, with an equal checksum the task succeeds at once. Do not repeat a
    /// download of a compressed file with its checksum: the server compares the checksum with the decompressed file.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a wrong file name, URL scheme or compression; `NotFound` for an unknown storage. What the node meets while it downloads is an error of the task")]
    pub async fn download_url(&self, download: &DownloadRequest) -> Result<Task> {
        const OPERATION: &str = "download to storage";
        check_file_name(OPERATION, download.content, &download.file_name)?;
        if !matches!(download.url.scheme(), "http" | "https") {
            return Err(Error::field(
                OPERATION,
                "url",
                "must begin with http:// or https://",
            ));
        }
        let route = "/nodes/{node}/storage/{storage}/download-url";
        let mut request = Request::post(OPERATION, route, &self.args())
            .target(format!("{}, file {}", self.target(), download.file_name))
            .param("content", download.content.as_str())
            .param("filename", &download.file_name)
            .param("url", download.url.as_str());
        for (name, value) in download.checksum.iter().flat_map(Checksum::params) {
            request = request.param(name, value);
        }
        if let Some(compression) = download.compression {
            if download.content != Content::Iso {
                let problem = "the server decompresses ISO content only";
                return Err(Error::field(OPERATION, "compression", problem));
            }
            request = request.param("compression", compression.as_str());
        }
        if download.unverified {
            request = request.param("verify-certificates", "0");
        }
        self.client.start_task(request).await
    }
}
