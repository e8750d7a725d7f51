//! The Kubernetes client against hand-written answers: exact requests, success, refusals by kind, timeout.

use std::time::Duration;

use lungmen_bootstrap::kubernetes::{Client, Kubeconfig, VerifySpec};
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
use lungmen_bootstrap::services::ErrorKind;
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(server: &MockServer) -> Client {
    client_of(&server.uri())
}

fn client_of(server: &str) -> Client {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: k, cluster: {{server: '{server}'}}}}]\n\
         users: [{{name: u, user: {{token: s3cr3t}}}}]\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n"
    );
    let kubeconfig = Kubeconfig::parse(&SecretString::from(text)).unwrap();
    Client::builder(kubeconfig)
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap()
}

async fn answering(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

fn status(code: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code)
        .set_body_json(json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": message, "reason": reason, "code": code}))
}

#[tokio::test]
async fn version_is_one_authenticated_request() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/version"))
        .and(header("authorization", "Bearer s3cr3t"))
        .and(header("user-agent", concat!("lungmen-bootstrap/", "0.1.0")))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"gitVersion": "v1.33.4", "platform": "linux/amd64"})),
        )
        .expect(1)
        .mount(&server)
        .await;

    let version = client(&server).version().await.unwrap();

    assert_eq!(version.git_version, "v1.33.4");
    assert_eq!(version.platform, "linux/amd64");
}

#[tokio::test]
async fn a_token_can_replace_the_credentials_of_the_kubeconfig() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Bearer other"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({"gitVersion": "v1", "platform": "p"})),
        )
        .expect(1)
        .mount(&server)
        .await;

    let other = client(&server).with_token("other".into()).unwrap();

    assert!(other.version().await.is_ok());
}

#[tokio::test]
async fn refusals_keep_the_servers_words() {
    let refusals = [
        (
            status(401, "Unauthorized", "Unauthorized"),
            ErrorKind::Unauthenticated,
        ),
        (status(403, "Forbidden", "no"), ErrorKind::Forbidden),
        (status(429, "TooManyRequests", "slow down"), ErrorKind::Busy),
        (
            status(503, "ServiceUnavailable", "later"),
            ErrorKind::NotReady,
        ),
        (
            ResponseTemplate::new(502).set_body_string("<html>"),
            ErrorKind::Server,
        ),
    ];
    for (answer, kind) in refusals {
        let server = answering(answer).await;

        let error = client(&server).version().await.unwrap_err();

        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.operation(), "read version");
        assert_eq!(error.target(), "/version");
        assert!(!error.message().is_empty());
    }
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;

    let error = client(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_not_quoted() {
    let server = answering(ResponseTemplate::new(200).set_body_string("hunter2")).await;

    let error = client(&server).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_closed_port_is_a_connection_failure() {
    // Bound and not listening: nobody else can take the port, and nobody answers.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());

    let error = client_of(&address).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_retryable() && !error.may_have_taken_effect());
}

#[tokio::test]
async fn readyz_names_the_checks_that_fail() {
    let server = MockServer::start().await;
    Mock::given(path("/readyz"))
        .and(query_param("verbose", ""))
        .respond_with(ResponseTemplate::new(500).set_body_string(
            "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed\n",
        ))
        .mount(&server)
        .await;

    let error = client(&server).ready().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(
        error.message(),
        "not ready: poststarthook/rbac/bootstrap-roles"
    );
}

/// An HTTP proxy that connects every `CONNECT` to `target`. The receiver gets the first line of each request.
async fn proxy(
    target: std::net::SocketAddr,
) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            sender
                .send(head.lines().next().unwrap().to_owned())
                .unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
    });
    (address, lines)
}

#[tokio::test]
async fn a_proxy_gets_a_connect_with_the_name_of_the_server() {
    let mock = KubernetesMock::builder()
        .name("kubernetes.example")
        .timings(KubernetesTimings::instant())
        .start()
        .await;
    let (address, mut lines) = proxy(mock.address()).await;
    let kubeconfig = mock.kubeconfig(&"https://kubernetes.example:6443".parse().unwrap());
    let builder = Client::builder(Kubeconfig::parse(&kubeconfig).unwrap());
    let client = builder
        .clone()
        .proxy(address.parse().unwrap())
        .build()
        .unwrap();

    client.wait_reachable(&VerifySpec::new([])).await.unwrap();

    assert_eq!(
        lines.recv().await.unwrap(),
        "CONNECT kubernetes.example:6443 HTTP/1.1"
    );
    let wrong = builder
        .proxy("socks5://127.0.0.1:1".parse().unwrap())
        .build();
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Configuration);
}
