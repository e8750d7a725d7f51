//! What a node finds out about a URL.

use url::Url;

use super::Node;
use crate::docs::read_errors;
use crate::error::Result;
use crate::rule;
use crate::wire::response;

response!(
    /// The response to a HEAD request that a node sent.
    UrlMetadata {
        /// The file name that the server proposes.
        file_name: Option<String> = "filename",
        /// The size in bytes.
        size: Option<u64> = "size",
        /// The media type.
        media_type: Option<String> = "mimetype",
    }
);

impl Node {
    /// Has the node send a HEAD request to `url`. Needs `Sys.Audit` and `Sys.Modify` on `/`, or `Sys.AccessNetwork` on
    /// the node.
    ///
    /// Do not make this a condition of [`Storage::download_url`](crate::Storage::download_url): servers that answer
    /// HEAD with 403 (signed URLs, Image Factory redirects) can still serve the file.
    ///
    /// # Errors
    #[doc = read_errors!("`InvalidInput` for another scheme; `Server` when the other server does not accept the request")]
    pub async fn url_metadata(&self, url: &Url) -> Result<UrlMetadata> {
        let request = self
            .get("read URL metadata", "/nodes/{node}/query-url-metadata")
            .fitting("url", url.as_str(), rule::HTTP_URL);
        self.client.call(request).await
    }
}
