//! Bodies of responses, including those that stop, end early or are changed on the way.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::fault::Fault;

/// The body of a response.
pub(super) type Body = UnsyncBoxBody<Bytes, HangUp>;

/// Closes the connection instead of responding.
#[derive(Debug)]
pub(super) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection closed on demand")
    }
}

impl std::error::Error for HangUp {}

/// A body that arrives as it is.
pub(super) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Applies a fault of the body to a response.
pub(super) async fn spoil(fault: &Fault, response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::from_parts(parts, full(Bytes::new()));
    };
    let body = body.to_bytes();
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let spoiled = match fault {
        Fault::StallBody(length) => cut(&body, *length, After::Stall),
        Fault::TruncateBody(length) => cut(&body, *length, After::HangUp),
        Fault::CorruptBody(offset) => {
            let mut bytes = body.to_vec();
            let place = usize::try_from(*offset)
                .ok()
                .and_then(|at| bytes.get_mut(at));
            if let Some(byte) = place {
                *byte ^= 0xff;
            }
            full(bytes)
        }
        _ => full(body),
    };
    Response::from_parts(parts, spoiled)
}

#[derive(Clone, Copy)]
enum After {
    Stall,
    HangUp,
}

/// The first `length` bytes, and then nothing or the end of the connection.
fn cut(body: &Bytes, length: u64, after: After) -> Body {
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(body.len());
    let start = body.slice(..length);
    let pieces = stream::unfold(Some(start), move |start| async move {
        if let Some(start) = start {
            return Some((Ok(Frame::data(start)), None));
        }
        match after {
            After::Stall => std::future::pending().await,
            After::HangUp => {
                // The first part is sent before the connection closes.
                tokio::task::yield_now().await;
                Some((Err(HangUp), None))
            }
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces))
}
