//! The streams of the server: JSON objects as lines, or as server-sent events.
//!
//! Server-sent events are asked for, because they have a keep-alive: the newline-delimited form is
//! cut by every idle timeout on the way.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use reqwest::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::interpret;
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::response::ErrorResponse;
use crate::transport::Transport;

#[derive(Deserialize)]
struct Chunk<T> {
    result: Option<T>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads one line of a stream.
pub(crate) fn parse<T: DeserializeOwned>(operation: &'static str, line: &[u8]) -> Result<T> {
    let broken =
        |message: String| Error::new(ErrorKind::Interrupted, operation).with_message(message);
    let chunk: Chunk<T> = serde_json::from_slice(line).map_err(|error| {
        broken(format!(
            "unreadable event: {:?} error at column {}",
            error.classify(),
            error.column()
        ))
    })?;
    if let Some(error) = chunk.error {
        let response = ErrorResponse::from_stream(StatusCode::INTERNAL_SERVER_ERROR, &error);
        return Err(Error::new(response.kind(), operation)
            .with_status(response.status)
            .with_message(response.message));
    }
    // With a projection of fields the server's error arrives as an empty object.
    chunk.result.ok_or_else(|| {
        broken("the server ended the stream with an error that it did not name".to_owned())
    })
}

/// Opens a stream and reads it to its end. A lost connection is the last item.
pub(crate) fn follow<T: DeserializeOwned + Send + 'static>(
    transport: Arc<Transport>,
    call: Call,
) -> impl Stream<Item = Result<T>> + Send + use<T> {
    enum State {
        New(Arc<Transport>),
        Open(Box<Response>, Lines),
        Ended,
    }
    let operation = call.operation;
    stream::unfold(
        (State::New(transport), call),
        move |(state, call)| async move {
            let (mut response, mut lines) = match state {
                State::Ended => return None,
                State::Open(response, lines) => (response, lines),
                State::New(transport) => match transport.open(&call).await {
                    Ok(response) => (Box::new(response), Lines::default()),
                    Err(error) => return Some((Err(error), (State::Ended, call))),
                },
            };
            loop {
                if let Some(line) = lines.next() {
                    let item = parse(operation, &line);
                    let state = if item.is_ok() {
                        State::Open(response, lines)
                    } else {
                        State::Ended
                    };
                    return Some((item, (state, call)));
                }
                match response.chunk().await {
                    Ok(Some(bytes)) => lines.push(&bytes),
                    Ok(None) => return None,
                    Err(error) => {
                        return Some((Err(interpret(&call, error)), (State::Ended, call)));
                    }
                }
            }
        },
    )
}

/// Cuts a byte stream into the JSON lines of either framing. Lines may be megabytes long.
#[derive(Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    scanned: usize,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<BytesMut> {
        loop {
            let Some(offset) = self.buffer[self.scanned..]
                .iter()
                .position(|byte| *byte == b'\n')
            else {
                self.scanned = self.buffer.len();
                return None;
            };
            let mut line = self.buffer.split_to(self.scanned + offset + 1);
            self.scanned = 0;
            line.truncate(line.trim_ascii_end().len());
            // A keep-alive is a line with a colon; blank lines separate events.
            if line.is_empty() || line.starts_with(b":") {
                continue;
            }
            if line.starts_with(b"data:") {
                let _ = line.split_to(b"data:".len());
            }
            return Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_are_cut_into_lines_wherever_the_bytes_break() {
        let text = b"data: {\"a\":1}\n\n:\n\n{\"b\":2}\ndata:{\"c\":3}\r\n\r\n";
        for size in [1, 3, 7, text.len()] {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in text.chunks(size) {
                lines.push(chunk);
                while let Some(line) = lines.next() {
                    found.push(serde_json::from_slice::<Value>(&line).unwrap().to_string());
                }
            }
            assert_eq!(found, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn errors_and_empty_objects_end_a_stream() {
        let lost = parse::<Value>("watch", br#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is revoked, please re-login","http_status":"Unauthorized"}}"#).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Unauthenticated);
        assert!(!lost.is_retryable());

        let hidden = parse::<Value>("watch", b"{}").unwrap_err();
        assert!(hidden.is_retryable());
    }
}
