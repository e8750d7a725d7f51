use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use factory_client::mock::{FactoryMock, Fault, Route, inspect_image};
use factory_client::{Client, ErrorKind, Image, RetryPolicy};
use futures_util::TryStreamExt;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{builder, factory_with_image, iso, schematic, stored};

const SIZE: u64 = 700_000;

async fn sized(redirects: bool) -> (FactoryMock, Client, Image) {
    let factory = FactoryMock::builder().image_size(SIZE);
    let factory = if redirects {
        factory.redirect_images()
    } else {
        factory
    };
    stored(factory.start().await).await
}

async fn read(client: &Client, image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.download_to_writer(image, &mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_stream_has_a_known_length_and_a_digest_at_the_end() {
    let (_factory, client, image) = factory_with_image().await;

    let download = client.open(&image).await.unwrap();
    let (length, digest) = (download.content_length(), download.digest());
    assert_eq!(digest.get(), None);
    let chunks: Vec<_> = download.try_collect().await.unwrap();

    let bytes = chunks.concat();
    assert_eq!(length, Some(bytes.len() as u64));
    assert!(digest.get().is_some());
    let identity = inspect_image(&bytes).unwrap();
    assert_eq!(&identity.schematic_id, image.schematic());
    assert!(identity.is_secure_boot() && identity.is_iso());
}

#[tokio::test]
async fn a_file_appears_only_when_it_is_complete_and_nothing_else_stays() {
    let (_factory, client, image) = sized(false).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(image.file_name());

    let downloaded = client.download_to_file(&image, &path).await.unwrap();

    assert_eq!(downloaded.size, SIZE);
    assert_eq!(downloaded.resumed_at, 0);
    assert_eq!(std::fs::read(&path).unwrap(), read(&client, &image).await);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn progress_grows_to_the_total() {
    let (_factory, client, image) = sized(false).await;
    let seen = Arc::new(AtomicU64::new(0));
    let last = seen.clone();

    client
        .download(&image)
        .progress(move |progress| {
            assert_eq!(progress.total, Some(SIZE));
            assert!(progress.received > last.swap(progress.received, Ordering::Relaxed));
        })
        .to_writer(tokio::io::sink())
        .await
        .unwrap();

    assert_eq!(seen.load(Ordering::Relaxed), SIZE);
}

#[tokio::test]
async fn a_cut_body_is_resumed_with_a_range_where_the_storage_supports_it() {
    let (factory, client, image) = sized(true).await;
    let whole = read(&client, &image).await;
    factory.fail_next(Route::Storage, Fault::TruncateBody(300_000));
    factory.fail_next(Route::Storage, Fault::TruncateBody(100_000));

    let bytes = read(&client, &image).await;

    assert!(bytes == whole);
    let calls = factory.calls();
    let ranges: Vec<_> = calls
        .iter()
        .filter(|call| call.route == Some(Route::Storage))
        .map(|call| (call.status, call.range.as_deref()))
        .collect();
    assert_eq!(
        ranges[1..],
        [
            (200, None),
            (206, Some("bytes=300000-")),
            (206, Some("bytes=400000-"))
        ]
    );
}

#[tokio::test]
async fn a_cut_body_is_read_again_and_compared_where_ranges_are_ignored() {
    let (factory, client, image) = sized(false).await;
    let whole = read(&client, &image).await;
    factory.fail_next(Route::Image, Fault::TruncateBody(300_000));
    factory.fail_next(Route::Image, Fault::TruncateBody(200_000));

    let bytes = read(&client, &image).await;

    assert!(bytes == whole);
}

#[tokio::test]
async fn bytes_that_changed_in_between_are_not_mixed() {
    let (factory, client, image) = sized(false).await;
    factory.fail_next(Route::Image, Fault::TruncateBody(300_000));
    factory.fail_next(Route::Image, Fault::CorruptBody(1_000));

    let error = client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.message().contains("changed"));
}

#[tokio::test]
async fn a_body_that_stays_short_is_truncated() {
    let (factory, client, image) = sized(false).await;
    factory.fail_always(Route::Image, Fault::TruncateBody(1_000));

    let error = client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert!(error.is_retryable());
    assert!(error.message().contains("1000 of 700000 bytes"), "{error}");
}

#[tokio::test]
async fn a_stalled_body_is_noticed_and_resumed() {
    let (factory, _, image) = sized(true).await;
    let client = Client::builder(factory.endpoint())
        .retry(RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(5)))
        .idle_timeout(Duration::from_millis(60))
        .build()
        .unwrap();
    factory.fail_next(Route::Storage, Fault::StallBody(200_000));

    let bytes = read(&client, &image).await;
    assert_eq!(bytes.len() as u64, SIZE);

    factory.fail_always(Route::Storage, Fault::StallBody(0));
    let error = client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stalled);
}

#[tokio::test]
async fn a_corrupted_body_fails_against_the_expected_digest_and_leaves_no_file() {
    let (factory, client, image) = sized(false).await;
    let digest = client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");
    factory.fail_next(Route::Image, Fault::CorruptBody(123_456));

    let request = client.download(&image).expect_sha256(digest);
    let error = request.clone().to_file(&path).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(request.to_file(&path).await.unwrap().sha256, digest);
}

#[tokio::test]
async fn a_later_run_continues_an_unfinished_file() {
    let (factory, _, image) = sized(true).await;
    let once = Client::builder(factory.endpoint())
        .retry(
            RetryPolicy::default()
                .attempts(2)
                .delays(Duration::from_millis(1), Duration::from_millis(2)),
        )
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");
    // The first answer breaks off, and the storage is gone for the rest of that run.
    factory.fail_next(Route::Storage, Fault::TruncateBody(300_000));
    for _ in 0..10 {
        let gone = Fault::Status(404, "NoSuchKey".to_owned());
        factory.fail_next(Route::Storage, gone);
    }
    let error = once.download_to_file(&image, &path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!path.exists());
    factory.clear_faults();

    let downloaded = factory
        .client()
        .download_to_file(&image, &path)
        .await
        .unwrap();

    assert_eq!(downloaded.resumed_at, 300_000);
    assert_eq!(downloaded.size, SIZE);
    assert!(std::fs::read(&path).unwrap() == read(&factory.client(), &image).await);
}

#[tokio::test]
async fn an_unfinished_file_is_started_again_where_ranges_are_ignored() {
    let (factory, client, image) = sized(false).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");
    std::fs::write(folder.path().join("image.iso.part"), vec![7; 1_000]).unwrap();
    std::fs::write(
        folder.path().join("image.iso.part.json"),
        "{\"length\":700000,\"etag\":null}",
    )
    .unwrap();

    let downloaded = client.download_to_file(&image, &path).await.unwrap();

    assert_eq!(downloaded.resumed_at, 0);
    assert!(std::fs::read(&path).unwrap() == read(&client, &image).await);
    drop(factory);
}

#[tokio::test]
async fn callers_of_the_same_file_share_one_download() {
    let factory = FactoryMock::builder()
        .build_delay(Duration::from_millis(80))
        .start()
        .await;
    let (factory, client, image) = stored(factory).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");

    let clone = client.clone();
    let (a, b, c) = tokio::join!(
        client.download_to_file(&image, &path),
        client.download_to_file(&image, &path),
        clone.download_to_file(&image, &path),
    );

    assert_eq!(a.unwrap(), b.unwrap());
    assert!(c.is_ok());
    factory.assert_called(Route::Image, 1);
    // Later calls are downloads of their own.
    client.download_to_file(&image, &path).await.unwrap();
    factory.assert_called(Route::Image, 2);
}

#[tokio::test]
async fn a_file_that_another_process_downloads_to_is_left_alone() {
    let (_factory, client, image) = factory_with_image().await;
    let folder = tempfile::tempdir().unwrap();
    let part = std::fs::File::create(folder.path().join("image.iso.part")).unwrap();
    part.lock().unwrap();

    let error = client
        .download_to_file(&image, folder.path().join("image.iso"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_a_file_error() {
    let (_factory, client, image) = factory_with_image().await;
    let folder = tempfile::tempdir().unwrap();

    let error = client
        .download_to_file(&image, folder.path().join("missing/image.iso"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("range", "bytes=4-"))
        .respond_with(
            ResponseTemplate::new(206)
                .insert_header("content-range", "bytes 2-9/10")
                .set_body_bytes(b"cdefghij"),
        )
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");
    std::fs::write(folder.path().join("image.iso.part"), b"abcd").unwrap();
    std::fs::write(
        folder.path().join("image.iso.part.json"),
        "{\"length\":10,\"etag\":null}",
    )
    .unwrap();
    let image = iso(&schematic().local_id().unwrap());

    let client = builder(&server).build().unwrap();
    let error = client.download_to_file(&image, &path).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(!path.exists());
}
