//! The clients against servers that answer by a script: wrongly, or at the edge of what is allowed.

#![allow(clippy::unwrap_used, reason = "the helpers of these tests")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::api::channel::{Limits, Transport};
use crate::api::cosi::{MachineStatus, NodeDiagnostic, VersionStatus};
use crate::api::machine::EventTail;
use crate::api::pb::cosi::resource as cosi;
use crate::api::pb::google::rpc;
use crate::api::pb::{common, machine};
use crate::{
    Code, Endpoint, ErrorKind, Machine, MaintenanceTrust, Resources, RetryPolicy, api::tls,
};

type Answer = BoxFuture<'static, http::Response<Body>>;
type Handler = Arc<dyn Fn(http::Request<Body>) -> Answer + Send + Sync>;

/// A server that gives every call the same kind of answer.
async fn server(handler: Handler) -> Transport {
    leaving_server(handler, Arc::new(Notify::new())).await
}

/// As [`server`]; whenever `leave` is notified, it ends its connections with GOAWAY once their calls are answered.
async fn leaving_server(handler: Handler, leave: Arc<Notify>) -> Transport {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
            let leave = Arc::clone(&leave);
            tokio::spawn(async move {
                let io = TokioIo::new(acceptor.accept(tcp).await.unwrap());
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let answer = handler(request.map(Body::new));
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let connection = http2::Builder::new(TokioExecutor::new());
                let mut connection = Box::pin(connection.serve_connection(io, service));
                // The client may end the connection at any time.
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = leave.notified() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            });
        }
    });

    let (tls, _) = tls::anonymous(MaintenanceTrust::TrustOnFirstUse).unwrap();
    let limits = Limits {
        retry: RetryPolicy::never(),
        ..Limits::default()
    };
    Transport::new(Endpoint::from(address), tls, limits)
}

fn unary<Q, A>(answer: impl Fn(Q) -> A + Clone + Send + Sync + 'static) -> Handler
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    Arc::new(move |request| {
        let answer = answer.clone();
        Box::pin(async move {
            let service = tower::service_fn(move |request: Request<Q>| {
                let answer = Response::new(answer(request.into_inner()));
                std::future::ready(Ok::<_, Status>(answer))
            });
            let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
            grpc.unary(service, request).await
        })
    })
}

fn streaming<Q, A>(
    answer: impl Fn(Q) -> Vec<Result<A, Status>> + Clone + Send + Sync + 'static,
) -> Handler
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    Arc::new(move |request| {
        let answer = answer.clone();
        Box::pin(async move {
            let service = tower::service_fn(move |request: Request<Q>| {
                let items = stream::iter(answer(request.into_inner()));
                let items: BoxStream<'static, Result<A, Status>> = items.boxed();
                std::future::ready(Ok::<_, Status>(Response::new(items)))
            });
            let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
            grpc.server_streaming(service, request).await
        })
    })
}

fn failed_message() -> common::Metadata {
    common::Metadata {
        hostname: "10.0.2.10".to_owned(),
        error: "rpc error: code = PermissionDenied desc = not authorized".to_owned(),
        status: Some(rpc::Status {
            code: Code::PermissionDenied.number(),
            message: "not authorized".to_owned(),
            details: Vec::new(),
        }),
    }
}

#[tokio::test]
async fn a_reply_must_hold_exactly_one_message() {
    for count in [0, 2] {
        let transport = server(unary(move |()| machine::VersionResponse {
            messages: vec![machine::Version::default(); count],
        }))
        .await;

        let error = Machine::new(transport).version().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Decode);
        assert_eq!(
            error.message(),
            format!("expected one message in the reply, got {count}")
        );
    }
}

#[tokio::test]
async fn an_aggregated_reply_fails_with_the_error_inside() {
    let transport = server(unary(|()| machine::HostnameResponse {
        messages: vec![machine::Hostname {
            metadata: Some(failed_message()),
            hostname: String::new(),
        }],
    }))
    .await;

    let error = Machine::new(transport).hostname().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.message(), "not authorized");
}

#[tokio::test]
async fn an_error_chunk_ends_a_kubeconfig() {
    let transport = server(streaming(|()| {
        vec![Ok(common::Data {
            metadata: Some(failed_message()),
            bytes: bytes::Bytes::new(),
        })]
    }))
    .await;

    let error = Machine::new(transport).kubeconfig().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_stream_of_events_begins_after_the_hello_and_ends_with_the_buffer() {
    let transport = server(streaming(|request: machine::EventsRequest| {
        assert_eq!(request.tail_events, -1);
        let event = |data| machine::Event {
            data: Some(data),
            ..Default::default()
        };
        let restart = prost_types::Any {
            type_url: "talos/runtime/machine.RestartEvent".to_owned(),
            value: machine::RestartEvent { cmd: 1 }.encode_to_vec(),
        };
        vec![Ok(event(prost_types::Any::default())), Ok(event(restart))]
    }))
    .await;

    let events = Machine::new(transport).events(EventTail::All);
    let events: Vec<_> = events.try_collect().await.unwrap();

    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn a_watch_sends_what_every_version_needs_and_fails_when_the_buffer_overruns() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let transport = server(streaming(move |request: cosi::WatchRequest| {
        seen.lock().unwrap().push(request);
        let overrun = cosi::Event {
            event_type: cosi::EventType::Errored.into(),
            error: Some("buffer overrun: namespace \"runtime\"".to_owned()),
            ..Default::default()
        };
        vec![
            Ok(cosi::WatchResponse::default()),
            Ok(cosi::WatchResponse {
                event: vec![overrun],
            }),
        ]
    }))
    .await;
    let resources = Resources::new(transport);

    let mut one = resources.watch::<MachineStatus>("machine");
    let error = one.next().await.unwrap().unwrap_err();
    let mut all = resources.watch_all::<NodeDiagnostic>();
    assert!(all.next().await.unwrap().is_err());

    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let requests = requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.api_version == 1));
    let [one, all] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(one.id.as_deref(), Some("machine"));
    assert!(!one.options.as_ref().unwrap().bootstrap_contents);
    assert_eq!(all.id, None);
    assert!(all.options.as_ref().unwrap().bootstrap_contents);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_no_short_list() {
    let transport = server(streaming(|_: cosi::ListRequest| {
        vec![
            Ok(cosi::ListResponse {
                resource: Some(cosi::Resource::default()),
            }),
            Err(Status::unavailable("error reading from server: EOF")),
        ]
    }))
    .await;

    let resources = Resources::new(transport);
    let error = resources.list::<NodeDiagnostic>().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_get_without_a_resource_is_a_bad_answer() {
    let transport = server(unary(|_: cosi::GetRequest| cosi::GetResponse::default())).await;

    let resources = Resources::new(transport);
    let error = resources.singleton::<VersionStatus>().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn an_answer_larger_than_tonics_own_limit_is_read() {
    const SIZE: usize = 6 * 1024 * 1024;
    let transport = server(unary(|()| machine::HostnameResponse {
        messages: vec![machine::Hostname {
            metadata: None,
            hostname: "x".repeat(SIZE),
        }],
    }))
    .await;

    let hostname = Machine::new(transport).hostname().await.unwrap();

    assert_eq!(hostname.len(), SIZE);
}

/// A handler that sends these bytes as the body of a successful call.
fn raw(body: Vec<u8>) -> Handler {
    Arc::new(move |_| {
        let body = http_body_util::Full::new(bytes::Bytes::from(body.clone()));
        Box::pin(async move {
            http::Response::builder()
                .header("content-type", "application/grpc")
                .body(Body::new(body))
                .unwrap()
        })
    })
}

#[tokio::test]
async fn half_a_message_is_no_answer() {
    // The header promises a hundred bytes, and the server ends the response after four.
    let half = [&[0, 0, 0, 0, 100][..], b"half"].concat();
    let transport = server(raw(half)).await;

    let error = Machine::new(transport.clone()).version().await.unwrap_err();
    assert!(!matches!(error.kind(), ErrorKind::NotFound), "{error}");
    let list = Resources::new(transport).list::<NodeDiagnostic>().await;

    assert!(list.is_err(), "a list that was cut off is no empty list");
}

#[tokio::test]
async fn a_response_that_ends_without_a_status_is_no_answer() {
    let transport = server(raw(Vec::new())).await;

    let version = Machine::new(transport.clone()).version().await;
    let list = Resources::new(transport).list::<NodeDiagnostic>().await;

    assert!(version.is_err());
    assert!(list.is_err(), "a list without a status is no empty list");
}

#[tokio::test]
async fn the_largest_message_of_the_machine_api_is_read_and_a_larger_one_is_refused() {
    const LIMIT: usize = 32 * 1024 * 1024;
    let hostname = |size: usize| {
        unary(move |()| machine::HostnameResponse {
            messages: vec![machine::Hostname {
                metadata: None,
                hostname: "x".repeat(size),
            }],
        })
    };

    let largest = Machine::new(server(hostname(LIMIT - 64)).await);
    assert_eq!(largest.hostname().await.unwrap().len(), LIMIT - 64);
    let too_large = Machine::new(server(hostname(LIMIT + 1)).await);
    let error = too_large.hostname().await.unwrap_err();

    assert_eq!(error.code(), Some(Code::OutOfRange), "{error}");
}

#[tokio::test]
async fn a_server_that_says_goodbye_is_connected_to_again() {
    let leave = Arc::new(Notify::new());
    let answer = unary(|()| machine::HostnameResponse {
        messages: vec![machine::Hostname::default()],
    });
    let machine = Machine::new(leaving_server(answer, Arc::clone(&leave)).await);

    for _ in 0..5 {
        machine.hostname().await.unwrap();
        leave.notify_one();
    }
}
