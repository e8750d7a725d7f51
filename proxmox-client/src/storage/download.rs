//! Files that a node fetches from a URL itself.

use url::Url;

use super::{Checksum, Content, Storage, check_file_name};
use crate::error::{Error, Result};
use crate::request::Request;
use crate::task::Task;

/// A file for the node to fetch.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is given to `Storage::download_url`"]
pub struct DownloadRequest {
    url: Url,
    content: Content,
    file_name: String,
    checksum: Option<Checksum>,
}

impl DownloadRequest {
    /// Fetches `url` and stores it as `file_name`.
    pub fn new(url: Url, content: Content, file_name: impl Into<String>) -> Self {
        Self {
            url,
            content,
            file_name: file_name.into(),
            checksum: None,
        }
    }

    /// Has the node compare the file with this checksum.
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

impl Storage {
    /// Begins to fetch a URL onto this storage; the node does the work and verifies the
    /// certificate of the source.
    ///
    /// Needs `Datastore.AllocateTemplate` on the storage and `Sys.AccessNetwork` on the node,
    /// which no built-in role but Administrator has; without it, upload instead. An existing file
    /// is not overwritten: without checksum the task fails with reason `FileExists`, with an equal
    /// checksum it succeeds at once. Not to be repeated blindly.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong file name or URL scheme; `Forbidden`; `NotFound` or `Rejected`
    /// for a storage that is unknown or not for this content. What the node runs into while
    /// fetching is an error of the task.
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
        let id = self.client.transport().call(request).await?;
        Ok(self.client.task(id))
    }
}
