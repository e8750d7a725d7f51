//! Responses of the mock.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::image::Content;

/// A response of the mock.
#[derive(Debug)]
pub(super) struct MockResponse {
    pub(super) status: StatusCode,
    pub(super) headers: Box<HeaderMap>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Text(String),
    /// Content from an offset on.
    Content(Box<Content>, u64),
}

impl Body {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Content(content, offset) => content.length.saturating_sub(*offset),
        }
    }

    pub(super) fn chunks(self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self {
            Self::Text(text) => Box::new(std::iter::once(Bytes::from(text))),
            Self::Content(content, offset) => Box::new(content.from(offset)),
        }
    }
}

impl MockResponse {
    pub(super) fn new(status: StatusCode, content_type: &'static str, text: String) -> Self {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self {
            status,
            headers: Box::new(headers),
            body: Body::Text(text),
        }
    }

    /// The factory's error form: one plain line.
    pub(super) fn error(status: StatusCode, text: impl std::fmt::Display) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self::new(status, content_type, format!("{text}\n"))
            .with(HeaderName::from_static("x-content-type-options"), "nosniff")
    }

    pub(super) fn bad_request(text: impl std::fmt::Display) -> Self {
        Self::error(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found(text: impl std::fmt::Display) -> Self {
        Self::error(StatusCode::NOT_FOUND, text)
    }

    /// The response to everything that the factory has no own text for.
    pub(super) fn internal_error() -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }

    /// JSON lists come without a content type of their own; Go detects plain text.
    pub(super) fn list(value: &serde_json::Value) -> Self {
        Self::new(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            format!("{value}\n"),
        )
    }

    pub(super) fn empty() -> Self {
        Self {
            status: StatusCode::OK,
            headers: Box::default(),
            body: Body::Text(String::new()),
        }
    }

    pub(super) fn content(content: Content, offset: u64) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Box::default(),
            body: Body::Content(Box::new(content), offset),
        }
    }

    pub(super) fn redirect(status: StatusCode, location: &str) -> Self {
        Self {
            status,
            headers: Box::default(),
            body: Body::Text(String::new()),
        }
        .with(header::LOCATION, location)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}
