//! The store in encrypted files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use lungmen_bootstrap::claim::{claim, find};
use lungmen_bootstrap::services::ErrorKind;
use lungmen_bootstrap::store::{AgeFileStore, DirectoryStore, Document, SecretStore};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::tempdir;

use super::store_scenario::{self as scenario, bundle, entries, text, wanted};

const RECORD: &str = "cluster-record.json.age";
const KEY: &str = "cluster-key.age";
const CANARY: &str = "canary-in-the-record";

/// The least work: these tests are not about guessing passphrases.
fn with_passphrase(folder: &Path, passphrase: &str) -> AgeFileStore {
    AgeFileStore::with_passphrase(folder, SecretString::from(passphrase)).work_factor(1)
}

/// A secret key and its public one.
fn new_key() -> (SecretString, String) {
    let identity = age::x25519::Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

#[tokio::test]
async fn it_keeps_what_every_store_promises_with_a_passphrase() {
    let folder = tempdir().unwrap();
    let store = with_passphrase(&folder.path().join("new"), "correct horse");
    scenario::holds(Arc::new(store)).await;
}

#[tokio::test]
async fn it_keeps_what_every_store_promises_with_a_key() {
    let folder = tempdir().unwrap();
    let store = AgeFileStore::with_identity(folder.path().join("new"), &new_key().0).unwrap();
    scenario::holds(Arc::new(store)).await;
}

#[tokio::test]
async fn several_handles_with_one_passphrase_make_one_key_and_one_record() {
    let folder = tempdir().unwrap();
    let runs = (0..8).map(|_| {
        let store = with_passphrase(folder.path(), "correct horse");
        tokio::spawn(async move {
            let claimed = claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
            claimed.record.bundle_fingerprint()
        })
    });

    let fingerprints = futures_util::future::try_join_all(runs).await.unwrap();

    assert!(fingerprints.windows(2).all(|pair| pair[0] == pair[1]));
    let store = with_passphrase(folder.path(), "correct horse");
    let kept = find(&store, &wanted("lungmen.akn")).await.unwrap().unwrap();
    assert_eq!(kept.record.bundle_fingerprint(), fingerprints[0]);
}

#[tokio::test]
async fn every_file_is_private_and_encrypted() {
    let secret = entries(&[("token", CANARY)]);
    for passphrase in [true, false] {
        let folder = tempdir().unwrap();
        let place = folder.path().join("new");
        let store = match passphrase {
            true => with_passphrase(&place, CANARY),
            false => AgeFileStore::with_identity(&place, &new_key().0).unwrap(),
        };
        for document in [Document::Record, Document::Lease] {
            let revision = store.create(document, &secret).await.unwrap();
            store.replace(document, &secret, &revision).await.unwrap();
        }

        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&place), 0o700);
        let mut encrypted = 0;
        for file in std::fs::read_dir(&place).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                bytes.is_empty() || bytes.starts_with(b"age-encryption.org/v1\n"),
                "{}",
                path.display()
            );
            encrypted += usize::from(!bytes.is_empty());
            let has = bytes
                .windows(CANARY.len())
                .any(|part| part == CANARY.as_bytes());
            assert!(!has, "{}", path.display());
        }
        assert_eq!(encrypted, if passphrase { 3 } else { 2 });
        assert!(!format!("{store:?}").contains(CANARY));
    }
}

#[tokio::test]
async fn a_wrong_passphrase_or_key_is_found_before_anything_is_written() {
    let folder = tempdir().unwrap();
    let (by_passphrase, by_key) = (folder.path().join("a"), folder.path().join("b"));
    let (key, _) = new_key();
    let owner = with_passphrase(&by_passphrase, "correct horse");
    claim(&owner, &wanted("lungmen.akn"), bundle).await.unwrap();
    let owner = AgeFileStore::with_identity(&by_key, &key).unwrap();
    claim(&owner, &wanted("lungmen.akn"), bundle).await.unwrap();
    let wrong = with_passphrase(&by_passphrase, "battery staple");
    let other = AgeFileStore::with_identity(&by_key, &new_key().0).unwrap();
    // There is a record, and no key that the passphrase could open.
    let keyless = with_passphrase(&by_key, "correct horse");
    for (place, store, expected) in [
        (&by_passphrase, wrong, ErrorKind::Unauthenticated),
        (&by_key, other, ErrorKind::Unauthenticated),
        (&by_key, keyless, ErrorKind::Decode),
    ] {
        let before = std::fs::read(place.join(RECORD)).unwrap();

        let preflight = store.preflight().await.unwrap_err();
        let claimed = claim(&store, &wanted("lungmen.akn"), bundle)
            .await
            .unwrap_err();

        assert_eq!(preflight.kind(), expected, "{preflight}");
        assert!(!claimed.to_string().contains("correct horse"));
        assert_eq!(std::fs::read(place.join(RECORD)).unwrap(), before);
    }
    assert!(!by_key.join(KEY).exists());
    let bad = AgeFileStore::with_identity(&by_key, &SecretString::from("AGE-SECRET-KEY-1CANARY"));
    let error = bad.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(!error.to_string().contains("CANARY"), "{error}");
    let error = AgeFileStore::with_identity(&by_key, &key)
        .unwrap()
        .recipient("age1nobody");
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_is_never_replaced() {
    let folder = tempdir().unwrap();
    let (key, _) = new_key();
    let store = AgeFileStore::with_identity(folder.path(), &key).unwrap();
    claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
    let path = folder.path().join(RECORD);
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 40;
    flipped[last] ^= 1;
    let plain = b"{\"a\": \"b\"}".to_vec();
    for damaged in [
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        flipped,
        plain,
    ] {
        std::fs::write(&path, &damaged).unwrap();

        let found = find(&store, &wanted("lungmen.akn")).await.unwrap_err();
        let claimed = claim(&store, &wanted("lungmen.akn"), bundle)
            .await
            .unwrap_err();

        let kind = lungmen_bootstrap::ErrorKind::Decode;
        assert_eq!((found.kind(), claimed.kind()), (kind, kind), "{found}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged);
    }
}

/// What is written can be read by the recipients, with the key file that the passphrase opens, and by nobody else.
#[tokio::test]
async fn recipients_and_the_age_program_read_the_record() {
    let folder = tempdir().unwrap();
    let (other, public) = new_key();
    let store = with_passphrase(folder.path(), "correct horse");
    let store = store.recipient(&public).unwrap();
    store
        .create(Document::Record, &entries(&[("token", CANARY)]))
        .await
        .unwrap();

    let second = AgeFileStore::with_identity(folder.path(), &other).unwrap();
    let kept = second.read(Document::Record).await.unwrap().unwrap();
    assert_eq!(text(&kept.entries, "token"), CANARY);

    // age -d cluster-key.age > key.txt; age -d -i key.txt cluster-record.json.age
    let passphrase = age::scrypt::Identity::new(SecretString::from("correct horse"));
    let sealed = std::fs::read(folder.path().join(KEY)).unwrap();
    let key =
        SecretString::from(String::from_utf8(age::decrypt(&passphrase, &sealed).unwrap()).unwrap());
    let key: age::x25519::Identity = key.expose_secret().parse().unwrap();
    let record = std::fs::read(folder.path().join(RECORD)).unwrap();
    let record = age::decrypt(&key, &record).unwrap();

    // It is what the folder without encryption has.
    let plain = tempdir().unwrap();
    let store = DirectoryStore::new(plain.path());
    store
        .create(Document::Record, &entries(&[("token", CANARY)]))
        .await
        .unwrap();
    assert_eq!(
        record,
        std::fs::read(plain.path().join("cluster-record.json")).unwrap()
    );
}
