//! The server's text is in the status line, and before PVE 8.4 nowhere else.

use proxmox_client::{ErrorKind, Reason};

use super::socket::Socket;
use super::{client, node, vm_id};

/// An answer with this status line and JSON body.
fn answer(status_line: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status_line}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn start_error(status_line: &str, body: &str) -> proxmox_client::Error {
    let socket = Socket::start(&[&answer(status_line, body)]).await;
    client(&socket.endpoint)
        .node(node())
        .vm(vm_id())
        .start()
        .await
        .unwrap_err()
}

const OLD: &str = r#"{"data":null}"#;

#[tokio::test]
async fn the_text_of_an_old_server_is_found_in_the_status_line() {
    let line = "500 unable to create VM 104 - VM 104 already exists on node 'pve1'";
    let error = start_error(line, OLD).await;

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.reason(), Some(Reason::VmIdTaken));
    assert_eq!(
        error.message(),
        "unable to create VM 104 - VM 104 already exists on node 'pve1'"
    );
    assert_eq!(error.operation(), "start VM");
    assert_eq!(error.target(), "node pve-01, VM 2411000");
}

#[tokio::test]
async fn an_empty_401_still_says_why() {
    for (line, message) in [
        ("401 Authentication failed!", "Authentication failed!"),
        ("401 No ticket", "No ticket"),
        (
            "401 Permission denied - invalid csrf token",
            "Permission denied - invalid csrf token",
        ),
    ] {
        let error = start_error(line, "").await;

        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.message(), message);
    }
}

#[tokio::test]
async fn a_403_names_what_is_missing_or_that_no_token_can_do_it() {
    let error = start_error("403 Permission check failed (/vms/104, VM.PowerMgmt)", OLD).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(
        error.missing_permissions()[0].to_string(),
        "VM.PowerMgmt on /vms/104"
    );

    let error = start_error("403 Permission check failed (user != root@pam)", OLD).await;
    assert_eq!(error.reason(), Some(Reason::RootOnly));
    assert!(error.missing_permissions().is_empty());
}

#[tokio::test]
async fn the_codes_of_a_forwarding_node_have_their_meaning() {
    for (line, kind, effect) in [
        ("595 Connection refused", ErrorKind::Connect, false),
        ("596 Broken pipe", ErrorKind::Interrupted, true),
        ("596 certificate verify failed", ErrorKind::Server, true),
        ("599 Too many redirections", ErrorKind::Interrupted, true),
    ] {
        let error = start_error(line, "").await;

        assert_eq!(error.kind(), kind, "{line}");
        assert_eq!(error.may_have_taken_effect(), effect, "{line}");
    }
}

#[tokio::test]
async fn parameter_problems_are_kept_by_name() {
    let body = r#"{"data":null,"errors":{"boot":"invalid format - invalid boot device 'cdrom'\n"},"message":"Parameter verification failed.\n"}"#;
    let error = start_error("400 Parameter verification failed.", body).await;

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(
        error.diagnostics().message_of("boot").unwrap(),
        "invalid format - invalid boot device 'cdrom'"
    );
    assert_eq!(
        error.to_string(),
        "start VM (node pve-01, VM 2411000): Parameter verification failed: \
         boot: invalid format - invalid boot device 'cdrom'"
    );
}

#[tokio::test]
async fn a_standard_text_is_all_there_is_without_another() {
    let error = start_error("502 Bad Gateway", "<html></html>").await;

    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.message(), "Bad Gateway");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_unknown_call_is_unsupported() {
    let error = start_error("501 Method 'POST /nodes/x' not implemented", OLD).await;

    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn half_an_answer_is_an_interruption() {
    let half =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"da";
    let socket = Socket::start(&[half]).await;

    let error = client(&socket.endpoint).version().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn half_an_error_still_has_its_status_line() {
    let half = "HTTP/1.1 500 VM is locked (backup)\r\nContent-Length: 100\r\n\r\n{\"da";
    let socket = Socket::start(&[half]).await;

    let error = client(&socket.endpoint).version().await.unwrap_err();

    assert_eq!(error.reason(), Some(Reason::VmLocked));
}

#[tokio::test]
async fn an_empty_form_has_a_length_and_no_body() {
    let socket = Socket::start(&[&answer("500 x", OLD)]).await;

    let _ = client(&socket.endpoint)
        .node(node())
        .vm(vm_id())
        .start()
        .await;

    let request = socket.received().remove(0).to_ascii_lowercase();
    assert!(request.contains("\r\ncontent-length: 0\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"));
    assert!(!request.contains("transfer-encoding"));
}
