//! The mock as the `argocd` command line sees it: gRPC-web over HTTP/1.1 and gRPC over HTTP/2. Numbers of fields are those
//! that the command line 3.5.1 sends.

use std::sync::Arc;

use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Route};
use http::Version;
use secrecy::ExposeSecret as _;

const WEB: &str = "application/grpc-web+proto";
const NATIVE: &str = "application/grpc";

/// A field with a length: a text or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 128, "two bytes of length");
    [&[number << 3 | 2, length], bytes].concat()
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The frames of a response, with their flags.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        found.push((body[0], body[5..5 + length].to_vec()));
        body = &body[5 + length..];
    }
    found
}

/// A client for plain connections; it must have a TLS configuration all the same.
fn builder() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls)
}

struct Caller<'a> {
    mock: &'a ArgoCdMock,
    client: reqwest::Client,
    media: &'static str,
}

impl<'a> Caller<'a> {
    fn web(mock: &'a ArgoCdMock) -> Self {
        let client = builder();
        Self {
            mock,
            client: client.build().unwrap(),
            media: WEB,
        }
    }

    fn native(mock: &'a ArgoCdMock) -> Self {
        let client = builder().http2_prior_knowledge();
        Self {
            mock,
            client: client.build().unwrap(),
            media: NATIVE,
        }
    }

    async fn send(&self, method: &str, message: &[u8]) -> reqwest::Response {
        let url = self.mock.endpoint().join(method).unwrap();
        let request = self
            .client
            .post(url)
            .header("content-type", self.media)
            .header("token", self.mock.token().expose_secret())
            .body(frame(message));
        request.send().await.unwrap()
    }

    /// The messages of a call that succeeds, without the last frame of gRPC-web.
    async fn messages(&self, method: &str, message: &[u8]) -> Vec<Vec<u8>> {
        let response = self.send(method, message).await;
        assert_eq!(response.headers()["content-type"], self.media);
        assert!(response.headers().get("grpc-status").is_none());
        let frames = frames(&response.bytes().await.unwrap());
        let (last, messages) = frames.split_last().unwrap();
        if self.media == NATIVE {
            return frames.into_iter().map(|(_, message)| message).collect();
        }
        assert_eq!(*last, (128, b"grpc-status: 0\r\n".to_vec()));
        messages
            .iter()
            .map(|(_, message)| message.clone())
            .collect()
    }
}

fn contains(message: &[u8], text: &str) -> bool {
    message
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn a_login_gives_a_token() {
    let mock = ArgoCdMock::builder()
        .account("admin", "secret")
        .start()
        .await;
    let message = [field(1, b"admin"), field(2, b"secret")].concat();

    let messages = Caller::web(&mock)
        .messages("session.SessionService/Create", &message)
        .await;

    assert_eq!(messages.len(), 1);
    // Field 1, and a JWT.
    assert_eq!(messages[0][0], 1 << 3 | 2);
    assert!(contains(&messages[0], "eyJ"));
    mock.assert_called(Route::Login, 1);
}

#[tokio::test]
async fn a_refused_call_has_its_code_and_text_in_the_headers() {
    let mock = ArgoCdMock::builder()
        .account("admin", "secret")
        .start()
        .await;
    for caller in [Caller::web(&mock), Caller::native(&mock)] {
        let wrong = [field(1, b"admin"), field(2, b"wrong")].concat();
        for (method, message, code, text) in [
            (
                "session.SessionService/Create",
                wrong,
                "16",
                "Invalid username or password",
            ),
            (
                "application.ApplicationService/Get",
                field(1, b"nope"),
                "7",
                "permission denied",
            ),
            (
                "application.ApplicationService/Nonsense",
                Vec::new(),
                "12",
                "unknown method Nonsense for service application.ApplicationService",
            ),
            (
                "cluster.ClusterService/List",
                vec![0x0a, 9],
                "13",
                "grpc: error unmarshalling request: unexpected EOF",
            ),
        ] {
            let response = caller.send(method, &message).await;

            assert_eq!(response.status(), 200, "{method}");
            assert_eq!(response.headers()["grpc-status"], code, "{method}");
            assert_eq!(response.headers()["grpc-message"], text, "{method}");
            assert!(response.bytes().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_cluster_is_named_by_its_name_alone() {
    let mock = ArgoCdMock::start().await;

    for caller in [Caller::web(&mock), Caller::native(&mock)] {
        let messages = caller
            .messages("cluster.ClusterService/Get", &field(2, b"in-cluster"))
            .await;

        assert!(contains(&messages[0], "https://kubernetes.default.svc"));
    }
}

#[tokio::test]
async fn a_watch_streams_messages() {
    let mock = ArgoCdMock::start().await;
    mock.add_application(ApplicationSeed::new("guestbook").on_cluster("in-cluster"));
    let caller = Caller::web(&mock);

    let mut response = caller
        .send(
            "application.ApplicationService/Watch",
            &field(1, b"guestbook"),
        )
        .await;
    let chunk = response.chunk().await.unwrap().unwrap();

    let (flags, message) = &frames(&chunk)[0];
    assert_eq!(*flags, 0);
    assert!(contains(message, "ADDED") && contains(message, "guestbook"));
}

#[tokio::test]
async fn http_2_is_for_grpc_only() {
    let mock = ArgoCdMock::start().await;
    let caller = Caller::native(&mock);
    let called = caller.send("cluster.ClusterService/List", &[]).await;
    assert_eq!(called.version(), Version::HTTP_2);

    let url = mock.endpoint().join("api/v1/clusters").unwrap();
    let refused = caller.client.get(url).send().await;

    assert!(refused.is_err());
}

#[tokio::test]
async fn a_right_on_an_address_can_be_asked_for_by_a_call() {
    let mock = ArgoCdMock::start().await;
    let message = [
        field(1, b"clusters"),
        field(2, b"get"),
        field(3, b"https://h:6443"),
    ]
    .concat();

    for caller in [Caller::web(&mock), Caller::native(&mock)] {
        let messages = caller
            .messages("account.AccountService/CanI", &message)
            .await;

        assert!(contains(&messages[0], "yes"));
    }
}
