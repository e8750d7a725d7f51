//! The upload on the wire: the server's parser accepts exactly this.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use proxmox_client::id::VolumeId;
use proxmox_client::mock::{Acl, Fault, MockStorage, PveMock, Route};
use proxmox_client::storage::{Checksum, Content, UploadRequest};
use proxmox_client::{ErrorKind, Reason};

use super::socket::Socket;
use super::{builder_with, client, node, poll, storage};

const CHECKSUM: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn hello() -> UploadRequest {
    UploadRequest::from_bytes(Content::Iso, "talos v1.iso", Bytes::from_static(b"hello"))
}

#[tokio::test]
async fn parts_are_in_the_order_of_the_servers_parser() {
    let answer = "HTTP/1.1 500 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let socket = Socket::start(&[answer]).await;
    let request = hello().checksum(Checksum::sha256(CHECKSUM).unwrap());

    let _ = client(&socket.endpoint)
        .node(node())
        .storage(storage("local"))
        .upload(request)
        .await;

    let request = socket.received().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api2/json/nodes/pve-01/storage/local/upload HTTP/1.1\r\n"));
    let head = head.to_ascii_lowercase();
    let (_, boundary) = head
        .split_once("content-type: multipart/form-data; boundary=")
        .unwrap();
    let boundary = boundary.lines().next().unwrap();
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert!(!head.contains("transfer-encoding"));
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"checksum-algorithm\"\r\n\r\nsha256\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"checksum\"\r\n\r\n{CHECKSUM}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"talos_v1.iso\"\r\n\
         Content-Type: application/octet-stream\r\n\r\nhello\r\n--{boundary}--\r\n"
    );
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_uploaded_file_is_found_under_its_stored_name() {
    let mock = PveMock::start().await;
    let local = mock.client().node(node()).storage(storage("local"));
    let pieces = (0..1000).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7_u8; 1000])));
    let request = UploadRequest::new(
        Content::Iso,
        "talos v1.iso",
        1_000_000,
        stream::iter(pieces),
    );

    let task = local.upload(request).await.unwrap();
    assert_eq!(task.id().worker(), "imgcopy");
    task.wait(poll()).await.unwrap();

    let volume = VolumeId::new("local:iso/talos_v1.iso").unwrap();
    assert_eq!(
        local.volume_for(Content::Iso, "talos v1.iso").unwrap(),
        volume
    );
    assert_eq!(
        local.find(&volume).await.unwrap().unwrap().size,
        Some(1_000_000)
    );
    assert_eq!(mock.volume(&volume).unwrap().body.len(), 1_000_000);
}

#[tokio::test]
async fn a_wrong_checksum_fails_the_task() {
    let mock = PveMock::start().await;
    let local = mock.client().node(node()).storage(storage("local"));
    let request = hello().checksum(Checksum::sha256(&"0".repeat(64)).unwrap());

    let error = local
        .upload(request)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap_err();

    assert_eq!(error.reason(), Some(Reason::ChecksumMismatch));
    assert!(mock.volumes().is_empty());
}

#[tokio::test]
async fn a_body_that_ends_early_is_reported_as_such() {
    let mock = PveMock::start().await;
    let short = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hel"))]);
    let request = UploadRequest::new(Content::Iso, "x.iso", 5, short);

    let local = mock.client().node(node()).storage(storage("local"));
    let error = local.upload(request).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(
        error.message().contains("ended after 3 of 5 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_names_and_wrong_storages_are_refused() {
    let mock = PveMock::builder()
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .storage(MockStorage::directory(storage("backup"), &["backup"]))
        .start()
        .await;
    let upload = async |name: &str, file: &str| {
        let request = UploadRequest::from_bytes(Content::Iso, file, Bytes::from_static(b"x"));
        let place = mock.client().node(node()).storage(storage(name));
        place.upload(request).await.unwrap_err()
    };

    assert_eq!(
        upload("nvme-lvm", "talos.raw").await.kind(),
        ErrorKind::InvalidInput
    );
    mock.assert_called(Route::Upload, 0);
    assert_eq!(
        upload("nvme-lvm", "x.iso").await.reason(),
        Some(Reason::StorageContent)
    );
    assert_eq!(
        upload("backup", "x.iso").await.reason(),
        Some(Reason::StorageContent)
    );
    assert_eq!(
        upload("nope", "x.iso").await.reason(),
        Some(Reason::StorageMissing)
    );
}

#[tokio::test]
async fn silence_after_the_body_is_a_timeout() {
    let mock = PveMock::start().await;
    mock.fail_next(Route::Upload, Fault::Delay(Duration::from_secs(30)));
    let client = builder_with(mock.endpoint().as_str(), mock.credentials())
        .upload_timeout(Duration::from_millis(40))
        .build()
        .unwrap();

    let error = client
        .node(node())
        .storage(storage("local"))
        .upload(hello())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_refusal_before_the_body_is_read_is_the_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 256];
        let _ = stream.read(&mut head).await;
        let refusal = "HTTP/1.1 403 Permission check failed (/storage/local, Datastore.AllocateTemplate)\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(refusal.as_bytes()).await;
        // Reads on for a moment, as a server that closes only its sending side.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0_u8; 65536])));
    let request = UploadRequest::new(Content::Iso, "x.iso", 1 << 40, endless);

    let local = client(&endpoint).node(node()).storage(storage("local"));
    let error = local.upload(request).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    assert_eq!(error.missing_permissions()[0].path, "/storage/local");
}

/// Larger than what is sent without asking for the right first.
fn large() -> UploadRequest {
    UploadRequest::from_bytes(Content::Iso, "large.iso", vec![7_u8; 300 * 1024].into())
}

#[tokio::test]
async fn a_large_upload_without_the_right_is_refused_before_it_is_sent() {
    let mock = PveMock::builder()
        .token(
            "ci@pve!low",
            "secret",
            Acl::none().grant("/", &["Sys.Audit"]),
        )
        .start()
        .await;
    let local = mock.client().node(node()).storage(storage("local"));

    let error = local.upload(large()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.missing_permissions()[0].path, "/storage/local");
    assert!(!error.may_have_taken_effect());
    let calls = mock.calls();
    assert!(calls.iter().all(|call| call.route != Route::Upload));
}

const LOW: &str = "ci@pve!low";

/// Enough that the connection closes while the body is still being sent.
const LENGTH: usize = 8 << 20;

/// What happens to the caller between the question for its rights and the head of the upload.
type Loss = fn(&PveMock);

fn lose_the_right(mock: &PveMock) {
    mock.set_token_acl(
        LOW,
        Acl::administrator().without("Datastore.AllocateTemplate"),
    );
}

fn lose_the_token(mock: &PveMock) {
    mock.delete_token(LOW);
}

/// The ways into an upload.
#[derive(Debug, Clone, Copy)]
enum Way {
    Bytes,
    Path,
    Stream,
}

impl Way {
    async fn request(self) -> UploadRequest {
        let name = "large.iso";
        match self {
            Self::Bytes => UploadRequest::from_bytes(Content::Iso, name, vec![7_u8; LENGTH].into()),
            Self::Path => {
                let named = tempfile::Builder::new()
                    .prefix("large")
                    .suffix(".iso")
                    .tempfile();
                let mut file = named.unwrap();
                std::io::Write::write_all(&mut file, &vec![7_u8; LENGTH]).unwrap();
                // The file is open, and lives on without its name.
                let opened = UploadRequest::from_path(Content::Iso, file.path()).await;
                opened.unwrap()
            }
            Self::Stream => {
                let piece = Bytes::from(vec![7_u8; LENGTH / 64]);
                let pieces = (0..64).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
                UploadRequest::new(Content::Iso, name, LENGTH as u64, stream::iter(pieces))
            }
        }
    }
}

/// Waits until the mock has this many requests to a route.
async fn until_called(mock: &PveMock, route: Route, times: usize) {
    while mock
        .calls()
        .iter()
        .filter(|call| call.route == route)
        .count()
        < times
    {
        tokio::task::yield_now().await;
    }
}

/// The error of an upload whose caller loses something after it was asked for its rights: in between, it waits for the turn
/// of another upload.
async fn error_of_losing(request: UploadRequest, lose: Loss) -> proxmox_client::Error {
    let mock = PveMock::builder()
        .token(LOW, "secret", Acl::administrator())
        .start()
        .await;
    // A client sends one upload at a time.
    let local = mock.client().node(node()).storage(storage("local"));
    mock.fail_next(Route::Upload, Fault::Stall);
    let first = {
        let local = local.clone();
        tokio::spawn(async move { local.upload(hello()).await.map(drop) })
    };
    until_called(&mock, Route::Upload, 1).await;
    let second = tokio::spawn(async move { local.upload(request).await.map(drop) });
    until_called(&mock, Route::Permissions, 1).await;

    lose(&mock);
    first.abort();

    let error = second.await.unwrap().unwrap_err();
    assert!(mock.volumes().is_empty());
    error
}

/// The errors of large uploads by each way, with and without an observer.
async fn errors_of_losing(lose: Loss) -> Vec<proxmox_client::Error> {
    let mut errors = Vec::new();
    for way in [Way::Bytes, Way::Path, Way::Stream] {
        errors.push(error_of_losing(way.request().await, lose).await);
        let observed = way.request().await.progress(|_, _| {});
        errors.push(error_of_losing(observed, lose).await);
    }
    errors
}

#[tokio::test]
async fn a_right_that_is_lost_before_the_body_is_named_although_the_connection_broke() {
    for error in errors_of_losing(lose_the_right).await {
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
        let missing = &error.missing_permissions()[0];
        assert_eq!(missing.path, "/storage/local");
        assert_eq!(missing.privileges, ["Datastore.AllocateTemplate"]);
        assert!(
            error
                .to_string()
                .contains("Datastore.AllocateTemplate on /storage/local"),
            "{error}"
        );
        assert_explains_an_interruption(&error);
    }
}

#[tokio::test]
async fn a_token_that_is_deleted_before_the_body_is_named_although_the_connection_broke() {
    for error in errors_of_losing(lose_the_token).await {
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
        assert_explains_an_interruption(&error);
    }
}

/// Nobody knows how much of the upload the server had taken.
#[track_caller]
fn assert_explains_an_interruption(error: &proxmox_client::Error) {
    let source = std::error::Error::source(error).unwrap();
    let broken: &proxmox_client::Error = source.downcast_ref().unwrap();
    assert_eq!(broken.kind(), ErrorKind::Interrupted, "{broken:?}");
    assert!(error.may_have_taken_effect() && !error.is_retryable());
}

#[tokio::test]
async fn a_connection_that_breaks_while_the_right_is_there_stays_an_interruption() {
    let mock = PveMock::start().await;
    mock.fail_next(Route::Upload, Fault::Disconnect);

    let local = mock.client().node(node()).storage(storage("local"));
    let error = local.upload(large()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    mock.assert_called(Route::Permissions, 2);
}
