//! The store in a folder.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use lungmen_bootstrap::claim::{claim, find};
use lungmen_bootstrap::services::ErrorKind;
use lungmen_bootstrap::store::{DirectoryStore, Document, SecretStore};
use tempfile::tempdir;

use super::store_scenario::{self as scenario, bundle, entries, text, wanted};

const RECORD: &str = "cluster-record.json";

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn it_keeps_what_every_store_promises() {
    let folder = tempdir().unwrap();
    scenario::holds(Arc::new(DirectoryStore::new(folder.path().join("new")))).await;
}

#[tokio::test]
async fn several_handles_on_one_folder_make_one_record() {
    let folder = tempdir().unwrap();
    let runs = (0..8).map(|_| {
        let store = DirectoryStore::new(folder.path());
        tokio::spawn(async move {
            let claimed = claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
            claimed.record.bundle_fingerprint()
        })
    });

    let fingerprints = futures_util::future::try_join_all(runs).await.unwrap();

    assert!(fingerprints.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn folder_and_files_are_private_also_when_the_folder_was_not() {
    let folder = tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    for place in [folder.path().join("new/er"), open] {
        let store = DirectoryStore::new(&place);
        claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();

        assert_eq!(mode(&place), 0o700);
        for file in std::fs::read_dir(&place).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }
}

#[tokio::test]
async fn leftovers_of_a_killed_process_are_removed_by_the_next_write() {
    let folder = tempdir().unwrap();
    let leftover = folder.path().join(".lungmen-store-abc123");
    std::fs::write(&leftover, "half a secret").unwrap();
    let store = DirectoryStore::new(folder.path());

    claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();

    assert!(!leftover.exists());
}

#[tokio::test]
async fn symbolic_links_are_refused_and_their_targets_stay() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    for name in [RECORD, "cluster-record.lock"] {
        let place = folder.path().join(name.replace('.', "-"));
        std::fs::create_dir(&place).unwrap();
        symlink(&target, place.join(name)).unwrap();
        let store = DirectoryStore::new(&place);

        let error = store
            .create(Document::Record, &entries(&[("a", "b")]))
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.message().contains("symbolic link"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_an_error_and_is_never_replaced() {
    const FOREIGN: &str = r#"{"other.txt": "x"}"#;
    let folder = tempdir().unwrap();
    let store = DirectoryStore::new(folder.path());
    claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
    let path = folder.path().join(RECORD);
    let whole = std::fs::read_to_string(&path).unwrap();
    for damaged in [
        "",
        "\n",
        &whole[..whole.len() / 2],
        "[]",
        r#"{"a": 1}"#,
        "secrets",
        FOREIGN,
    ] {
        std::fs::write(&path, damaged).unwrap();

        let found = find(&store, &wanted("lungmen.akn")).await.unwrap_err();
        let claimed = claim(&store, &wanted("lungmen.akn"), bundle)
            .await
            .unwrap_err();

        let kind = if damaged == FOREIGN {
            lungmen_bootstrap::ErrorKind::Conflict
        } else {
            lungmen_bootstrap::ErrorKind::Decode
        };
        assert_eq!(found.kind(), kind, "{damaged:?}");
        assert_eq!(claimed.kind(), kind, "{damaged:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_lock_that_another_process_holds_is_waited_for() {
    let folder = tempdir().unwrap();
    let lock = std::fs::File::create(folder.path().join("cluster-record.lock")).unwrap();
    lock.lock().unwrap();
    let store = DirectoryStore::new(folder.path());
    let content = entries(&[("a", "b")]);
    let create = store.create(Document::Record, &content);
    tokio::pin!(create);

    let early = tokio::time::timeout(std::time::Duration::from_millis(100), &mut create).await;
    lock.unlock().unwrap();
    create.await.unwrap();

    assert!(early.is_err(), "written without the lock");
    let kept = store.read(Document::Record).await.unwrap().unwrap();
    assert_eq!(text(&kept.entries, "a"), "b");
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_a_matter_of_configuration() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();

    let error = DirectoryStore::new(&file).preflight().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Configuration);
}
