//! Forwarding of calls to other nodes, with apid's two models of errors.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::future;
use futures_util::stream::{self, Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;

use super::node::{Mode, Node};
use super::server::{Peer, serve_one};
use super::{network, route};
use crate::api::pb::common;
use crate::api::pb::google::rpc;

/// Who answers a call.
pub(super) enum Targets {
    /// One node, whose response is passed on as it is.
    One(Arc<Node>),
    /// Each of these names, whose messages are collected with the name in their metadata.
    Many(Vec<(String, Result<Arc<Node>, Status>)>),
}

/// Services whose responses can be collected.
const COLLECTED: [&str; 5] = [
    "machine.MachineService",
    "cluster.ClusterService",
    "inspect.InspectService",
    "storage.StorageService",
    "time.TimeService",
];

/// Finds out who answers, by the headers `nodes` and `node`.
pub(super) fn route(
    node: &Arc<Node>,
    path: &str,
    headers: &http::HeaderMap,
) -> Result<Targets, Status> {
    let values = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok().map(ToOwned::to_owned))
            .collect()
    };
    // Maintenance mode does not forward and ignores both.
    if node.mode() == Mode::Maintenance {
        return Ok(Targets::One(Arc::clone(node)));
    }
    let many = values("nodes");
    if !many.is_empty() {
        let (service, _) = route::split(path);
        if service == "cosi.resource.State" {
            return Err(Status::invalid_argument(
                "one-2-many proxying is not supported for COSI methods",
            ));
        }
        if !COLLECTED.contains(&service) {
            return Err(Status::invalid_argument(format!(
                "one-2-many proxying is not supported for method {path}"
            )));
        }
        let targets = many.into_iter().map(|name| {
            let target = network::target(node, &name);
            (name, target)
        });
        return Ok(Targets::Many(targets.collect()));
    }
    match values("node").as_slice() {
        [] => Ok(Targets::One(Arc::clone(node))),
        [name] => network::target(node, name).map(Targets::One),
        _ => Err(Status::invalid_argument(
            "node metadata must be single-valued",
        )),
    }
}

/// Lets every node answer, and collects the messages.
pub(super) async fn serve_many(
    targets: Vec<(String, Result<Arc<Node>, Status>)>,
    peer: Arc<Peer>,
    request: http::Request<Incoming>,
) -> io::Result<http::Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let answers = targets.into_iter().map(|(name, target)| {
        let request = forwarded(&parts, body.clone());
        let peer = Arc::clone(&peer);
        let answer = async move {
            match target {
                Ok(target) => serve_one(target, peer, request).await,
                Err(status) => Ok(status.into_http()),
            }
        };
        (name, answer)
    });
    let frames = if is_stream(parts.uri.path()) {
        let streams = answers.map(|(name, answer)| streamed(name, answer).boxed());
        stream::select_all(streams).boxed()
    } else {
        let answers = answers.map(|(name, answer)| async move {
            Ok::<_, io::Error>(labelled(&name, frames(answer.await?).await?))
        });
        let messages: Vec<Vec<u8>> = future::try_join_all(answers).await?.concat();
        // A unary response is a list of messages, and lists are merged by appending them.
        stream::iter([messages.concat()]).boxed()
    };
    let frames = frames.map(|frame| {
        let mut framed = BytesMut::with_capacity(frame.len().saturating_add(5));
        framed.put_u8(0);
        framed.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
        framed.extend_from_slice(&frame);
        Frame::data(framed.freeze())
    });
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let body = frames
        .chain(stream::iter([Frame::trailers(trailers)]))
        .map(Ok::<_, Status>);
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::new(body)))
        .map_err(io::Error::other)
}

fn forwarded(parts: &http::request::Parts, body: Bytes) -> http::Request<Body> {
    let mut request = http::Request::new(Body::new(Full::new(body)));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    request.headers_mut().remove("nodes");
    request
}

/// The messages of one node's stream as they come, each with the name of the node; an error is the last one.
fn streamed(
    name: String,
    answer: impl Future<Output = io::Result<http::Response<Body>>> + Send + 'static,
) -> impl Stream<Item = Vec<u8>> + Send + 'static {
    let label = metadata(&name, None);
    let messages = stream::once(answer).flat_map(|response| match response {
        Ok(response) => messages_of(response).boxed(),
        Err(error) => stream::iter([Err(Status::unavailable(error.to_string()))]).boxed(),
    });
    messages.map(move |message| match message {
        Ok(message) => [message.as_ref(), &label].concat(),
        Err(status) => metadata(&name, Some(&status)),
    })
}

/// The messages of a response, with its status at the end when it is an error.
fn messages_of(response: http::Response<Body>) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let (parts, body) = response.into_parts();
    let early = Status::from_header_map(&parts.headers).filter(is_error);
    stream::unfold(
        (body, BytesMut::new(), early, false),
        |(mut body, mut buffer, early, is_over)| async move {
            if is_over {
                return None;
            }
            if let Some(status) = early {
                return Some((Err(status), (body, buffer, None, true)));
            }
            loop {
                if let Some(message) = next_message(&mut buffer) {
                    return Some((Ok(message), (body, buffer, None, false)));
                }
                match body.frame().await? {
                    Err(status) => return Some((Err(status), (body, buffer, None, true))),
                    Ok(frame) => match frame.into_data() {
                        Ok(data) => buffer.extend_from_slice(&data),
                        Err(frame) => {
                            let trailers = frame.into_trailers().unwrap_or_default();
                            let status = Status::from_header_map(&trailers).filter(is_error)?;
                            return Some((Err(status), (body, buffer, None, true)));
                        }
                    },
                }
            }
        },
    )
}

fn is_error(status: &Status) -> bool {
    status.code() != tonic::Code::Ok
}

/// Takes one message with its five bytes of framing out of a buffer.
fn next_message(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = buffer
        .get(1..5)?
        .iter()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if buffer.len() < length.saturating_add(5) {
        return None;
    }
    buffer.advance(5);
    Some(buffer.split_to(length).freeze())
}

/// The server streams of the machine API.
fn is_stream(path: &str) -> bool {
    let (_, method) = route::split(path);
    matches!(
        method,
        "Copy"
            | "DiskUsage"
            | "Dmesg"
            | "EtcdSnapshot"
            | "Events"
            | "ImageList"
            | "Kubeconfig"
            | "List"
            | "Logs"
            | "PacketCapture"
            | "Read"
            | "HealthCheck"
    )
}

/// The messages of a response, or its status.
async fn frames(response: http::Response<Body>) -> io::Result<Result<Vec<Bytes>, Status>> {
    let messages: Vec<Result<Bytes, Status>> = messages_of(response).collect().await;
    Ok(messages.into_iter().collect())
}

/// The messages of a reply with the name of their node, or one with the error of their node.
fn labelled(name: &str, answer: Result<Vec<Bytes>, Status>) -> Vec<Vec<u8>> {
    match answer {
        Err(status) => vec![field_one(&metadata(name, Some(&status)))],
        Ok(frames) => frames
            .iter()
            .flat_map(|frame| messages(frame))
            .map(|message| field_one(&[message, &metadata(name, None)].concat()))
            .collect(),
    }
}

/// The metadata of a message, as its field 1.
fn metadata(name: &str, error: Option<&Status>) -> Vec<u8> {
    let metadata = common::Metadata {
        hostname: name.to_owned(),
        error: error.map(error_text).unwrap_or_default(),
        status: error.map(|status| rpc::Status {
            code: status.code() as i32,
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    };
    field_one(&metadata.encode_to_vec())
}

/// As gRPC-Go prints a status.
fn error_text(status: &Status) -> String {
    format!(
        "rpc error: code = {:?} desc = {}",
        status.code(),
        status.message()
    )
}

/// A message as field 1 of another one.
fn field_one(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut bytes);
    bytes.extend_from_slice(message);
    bytes
}

/// The messages of a reply, which has only field 1.
fn messages(mut reply: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while reply.first() == Some(&0x0a) {
        reply.advance(1);
        let length = prost::encoding::decode_varint(&mut reply).unwrap_or_default();
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(reply.len());
        let (message, rest) = reply.split_at(length);
        messages.push(message);
        reply = rest;
    }
    messages
}
