//! Calls about files of a node.

use futures_util::TryStreamExt as _;
use talos_client::machine::{DiskUsageRequest, FileType, ListFiles, LogsRequest};
use talos_client::mock::{Fault, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{Code, ErrorKind};

use super::support::{client, client_with, configured, control_plane, poll, running};

#[tokio::test]
async fn etcd_data_is_seen_in_the_files_of_the_node() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client_with(&mock, Role::Reader).machine();

    assert!(!machine.has_etcd_data().await.unwrap());
    client(&mock)
        .machine()
        .bootstrap_and_wait(poll())
        .await
        .unwrap();
    assert!(machine.has_etcd_data().await.unwrap());

    let entries = machine.directory("/var/lib/etcd").await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].path, "/var/lib/etcd/member");
    assert_eq!(entries[0].kind, FileType::Directory);
    let missing = machine.directory("/var/lib/nope").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_absent() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    for (code, text, kind) in [
        (
            Code::Unknown,
            "lstat /var/lib/etcd: input/output error",
            ErrorKind::Server,
        ),
        (
            Code::PermissionDenied,
            "not authorized",
            ErrorKind::Forbidden,
        ),
        (
            Code::Unavailable,
            "error reading from server: EOF",
            ErrorKind::Interrupted,
        ),
    ] {
        mock.fail_next(Route::List, Fault::status(code, text));

        assert_eq!(
            machine.has_etcd_data().await.unwrap_err().kind(),
            kind,
            "{text}"
        );
    }
}

#[tokio::test]
async fn listings_have_the_depth_and_types_that_were_asked_for() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();
    let paths = async |request: ListFiles| -> Vec<String> {
        let files: Vec<_> = machine.files(request).try_collect().await.unwrap();
        files.into_iter().map(|file| file.relative_path).collect()
    };

    let one = paths(ListFiles::in_directory("/var/lib/etcd")).await;
    assert_eq!(one, [".", "member"]);
    let two = paths(ListFiles::in_directory("/var/lib/etcd").depth(2)).await;
    assert_eq!(two, [".", "member", "member/snap", "member/wal"]);
    let files = paths(
        ListFiles::in_directory("/var/lib/etcd")
            .recursive()
            .only(FileType::Regular),
    )
    .await;
    assert_eq!(files.len(), 2);
    let usage: Vec<_> = machine
        .disk_usage(DiskUsageRequest::of(["/var/lib/etcd"]))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(usage.last().unwrap().path, "/var/lib/etcd");
    assert!(usage.last().unwrap().size > 4096);
}

#[tokio::test]
async fn a_directory_is_copied_with_everything_below_it() {
    let mock = running(TalosMock::builder()).await;
    let target = tempfile::tempdir().unwrap();

    let report = client(&mock)
        .machine()
        .copy_to("/var/lib/etcd", target.path().join("etcd"))
        .await
        .unwrap();

    assert_eq!(report.files, 2);
    assert_eq!(report.bytes, 4096 + 512);
    let copied = target.path().join("etcd/member/snap/db");
    assert_eq!(std::fs::metadata(copied).unwrap().len(), 4096);
    let denied = client_with(&mock, Role::Operator).machine();
    let denied = denied.copy_to("/etc", target.path()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn content_of_any_size_comes_in_the_pieces_of_a_node() {
    let builder = TalosMock::builder()
        .file_mib("/var/lib/data/large", 3)
        .log_mib("kubelet", 2)
        .etcd_database_mib(1);
    let mock = running(builder).await;
    let machine = client(&mock).machine();
    let target = tempfile::tempdir().unwrap();

    let log = machine.logs(LogsRequest::service("kubelet"));
    let pieces: Vec<_> = log.try_collect().await.unwrap();
    assert!(pieces.iter().all(|piece| piece.len() <= 1024));
    let log = String::from_utf8(pieces.concat()).unwrap();
    assert!(log.len() >= 2 << 20);
    assert!(log.lines().all(|line| line == "kubelet: log of the mock"));
    let tail = machine.logs(LogsRequest::service("kubelet").tail_lines(3));
    let tail: Vec<_> = tail.try_collect().await.unwrap();
    assert_eq!(
        tail.concat(),
        "kubelet: log of the mock\n".repeat(3).as_bytes()
    );

    let file = machine.read_file("/var/lib/data/large").await.unwrap();
    assert_eq!(file.len(), 3 << 20);
    let report = machine.copy_to("/var/lib/data", target.path()).await;
    assert_eq!(report.unwrap().bytes, 3 << 20);
    assert_eq!(std::fs::read(target.path().join("large")).unwrap(), file);

    let path = target.path().join("etcd.snapshot");
    let snapshot = machine.etcd_snapshot(&path).await.unwrap();
    assert_eq!(snapshot.size, (1 << 20) + 32);
}
