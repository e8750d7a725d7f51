use std::time::{Duration, Instant};

use factory_client::mock::{FactoryMock, Fault, Route};
use factory_client::{ErrorKind, ImageRequest, Platform, Schematic, SchematicId, TalosVersion};
use futures_util::StreamExt;
use secrecy::ExposeSecret;

use super::{POLL, factory_with_image, iso, schematic, stored, version};

fn server_error() -> Fault {
    Fault::Status(500, "internal server error".to_owned())
}

#[tokio::test]
async fn prewarming_waits_for_a_build_and_returns_the_size() {
    let delay = Duration::from_millis(80);
    let factory = FactoryMock::builder().build_delay(delay).start().await;
    let (factory, client, image) = stored(factory).await;
    let started = Instant::now();

    let warm = client.prewarm(&image, POLL).await.unwrap();

    assert!(started.elapsed() >= delay);
    assert_eq!(warm.content_length, Some(96 * 1024));
    assert_eq!(warm.attempts, 1);
    let calls = factory.calls();
    let call = calls.last().unwrap();
    assert_eq!(call.method, "HEAD");
    assert_eq!(call.path, format!("/{}", image.path()));
}

#[tokio::test]
async fn a_head_request_that_stalls_is_repeated_and_joins_the_build() {
    let factory = FactoryMock::builder()
        .build_delay(Duration::from_millis(150))
        .start()
        .await;
    let (factory, _, image) = stored(factory).await;
    let events = factory.events();
    let impatient = factory_client::Client::builder(factory.endpoint())
        .build_timeout(Duration::from_millis(40))
        .build()
        .unwrap();

    let warm = impatient.prewarm(&image, POLL).await.unwrap();

    assert!(warm.attempts > 1);
    let first_events: Vec<_> = events.take(2).collect().await;
    let builds = first_events
        .iter()
        .filter(|event| matches!(event, factory_client::mock::MockEvent::BuildStarted(_)));
    assert_eq!(builds.count(), 1);
}

#[tokio::test]
async fn two_failed_builds_and_a_good_one_are_a_success() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_next(Route::Image, server_error());
    factory.fail_next(Route::Image, server_error());

    let warm = client.prewarm(&image, POLL).await.unwrap();

    assert_eq!(warm.attempts, 3);
}

#[tokio::test]
async fn a_hopeless_build_is_given_up_after_a_bounded_number_of_tries() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_always(Route::Image, server_error());

    let error = client.prewarm(&image, POLL).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.status().unwrap().as_u16(), 500);
    assert!(error.target().ends_with("nocloud-amd64-secureboot.iso"));
    factory.assert_called(Route::Image, 5);
}

#[tokio::test]
async fn a_gateway_that_cuts_the_silence_is_asked_until_the_image_is_there() {
    let (factory, client, image) = factory_with_image().await;
    for status in [502, 504, 502, 504, 502, 504, 503] {
        factory.fail_next(Route::Image, Fault::Status(status, "gateway".to_owned()));
    }

    let warm = client.prewarm(&image, POLL).await.unwrap();

    assert_eq!(warm.attempts, 8);
}

#[tokio::test]
async fn the_deadline_ends_the_waiting_and_names_the_last_cause() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_always(Route::Image, Fault::Status(504, "gateway".to_owned()));

    let error = client
        .prewarm(&image, POLL.deadline(Duration::from_millis(60)))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("504"), "{cause}");
}

#[tokio::test]
async fn a_schematic_that_the_factory_forgot_is_posted_again() {
    let factory = FactoryMock::builder().negative_cache(Duration::from_millis(20));
    let (factory, client, image) = stored(factory.start().await).await;
    factory.forget_schematic(image.schematic());

    let warm = client.prewarm(&image, POLL).await.unwrap();

    assert!(warm.attempts >= 2);
    let calls = factory.calls();
    let posts = calls
        .iter()
        .filter(|call| call.route == Some(Route::CreateSchematic));
    assert!(posts.count() >= 2);
}

#[tokio::test]
async fn posting_replaces_a_remembered_miss() {
    let factory = FactoryMock::start().await;
    let client = factory.client();
    let image = iso(&schematic().local_id().unwrap());
    let early = client.prewarm(&image, POLL).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::SchematicNotFound);

    client.create_schematic(&schematic()).await.unwrap();
    let ready = client.prewarm(&image, POLL).await.unwrap();

    assert_eq!(ready.attempts, 1);
}

#[tokio::test]
async fn the_remembered_miss_of_another_replica_is_waited_for() {
    let (factory, client, image) = factory_with_image().await;
    let miss = format!("schematic ID \"{}\" not found", image.schematic());
    // Each attempt is a HEAD, and a GET for its text.
    for _ in 0..4 {
        factory.fail_next(Route::Image, Fault::Status(404, miss.clone()));
    }

    let ready = client.prewarm(&image, POLL).await.unwrap();

    assert_eq!(ready.attempts, 3);
}

#[tokio::test]
async fn a_longer_delay_than_the_deadline_is_an_error_at_once() {
    let (factory, client, image) = factory_with_image().await;
    let hour = Duration::from_secs(3600);
    factory.fail_always(Route::Image, Fault::RetryAfter(hour));
    factory.fail_always(Route::Versions, Fault::RetryAfter(hour));
    let started = Instant::now();

    let prewarm = client.prewarm(&image, POLL).await.unwrap_err();
    let versions = client.versions().await.unwrap_err();

    for error in [prewarm, versions] {
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(error.retry_after(), Some(hour));
        assert_eq!(
            error.server(),
            Some(factory.endpoint().as_str().trim_end_matches('/'))
        );
    }
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_short_delay_is_kept() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_next(Route::Image, Fault::RetryAfter(Duration::from_secs(1)));
    let started = Instant::now();

    client.prewarm(&image, POLL).await.unwrap();

    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_observer_sees_every_unsuccessful_request() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_next(Route::Image, Fault::Status(504, "gateway".to_owned()));
    factory.fail_next(Route::Image, Fault::Disconnect);
    let mut causes = Vec::new();

    client
        .prewarm_observed(&image, POLL, |state| causes.push(state.cause.clone()))
        .await
        .unwrap();

    assert_eq!(causes.len(), 2);
    assert!(causes[0].contains("504"), "{causes:?}");
}

#[tokio::test]
async fn a_stalled_factory_does_not_outlive_the_deadline() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_always(Route::Image, Fault::Stall);
    let started = Instant::now();

    let error = client
        .prewarm(&image, POLL.deadline(Duration::from_millis(200)))
        .await
        .unwrap_err();

    assert!(matches!(error.kind(), ErrorKind::Deadline), "{error}");
    assert!(started.elapsed() < Duration::from_millis(1200));
}

#[tokio::test]
async fn refusals_that_no_waiting_can_change_are_told_at_once() {
    let factory = FactoryMock::builder().without_secure_boot().start().await;
    let client = factory.client();
    let unknown = Schematic::builder()
        .extension("siderolabs/nonsense")
        .build()
        .unwrap();
    // The factory accepts the name here; the mistake shows at image time.
    let unknown = client.create_schematic(&unknown).await.unwrap().id;
    let known = client.create_schematic(&schematic()).await.unwrap().id;
    let plain = ImageRequest::iso(Platform::Nocloud);

    for (image, kind) in [
        (
            plain.of(unknown, version()),
            ErrorKind::ExtensionNotAvailable,
        ),
        (
            plain.of(known.clone(), TalosVersion::new(1, 99, 0)),
            ErrorKind::VersionNotAvailable,
        ),
        (iso(&known), ErrorKind::Rejected),
        (
            plain.of(SchematicId::of_text("unknown"), version()),
            ErrorKind::SchematicNotFound,
        ),
    ] {
        let before = factory.calls().len();
        let error = client.prewarm(&image, POLL).await.unwrap_err();

        assert_eq!(error.kind(), kind);
        // A HEAD, and a GET because only that has the reason.
        assert_eq!(factory.calls().len(), before + 2, "{kind:?}");

        let error = client.open(&image).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[tokio::test]
async fn the_digest_of_an_installer_is_read_from_the_redirect() {
    let (factory, client, image) = factory_with_image().await;

    let digest = client
        .prewarm_installer(&image.installer(), POLL)
        .await
        .unwrap();

    assert!(digest.unwrap().starts_with("sha256:"));
    let calls = factory.calls();
    let call = calls.last().unwrap();
    assert_eq!(
        call.path,
        format!(
            "/v2/nocloud-installer-secureboot/{}/manifests/v1.10.7",
            image.schematic()
        )
    );
    assert_eq!((call.method.as_str(), call.status), ("HEAD", 307));
}

#[tokio::test]
async fn the_digest_of_an_installer_is_read_from_the_header_of_a_proxying_factory() {
    let factory = FactoryMock::builder().proxy_registry().start().await;
    let (_factory, client, image) = stored(factory).await;

    let digest = client
        .prewarm_installer(&image.installer(), POLL)
        .await
        .unwrap();

    assert!(digest.unwrap().starts_with("sha256:"));
}

#[tokio::test]
async fn checksums_are_not_enabled_at_a_community_factory() {
    let (_factory, client, image) = factory_with_image().await;

    let error = client.published_checksum(&image).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotEnabled);
    assert_eq!(
        error.message(),
        "enterprise not enabled: checksum endpoint is not available"
    );
}

#[tokio::test]
async fn an_enterprise_checksum_is_that_of_the_download() {
    let factory = FactoryMock::builder().account("alice", "pw").start().await;
    let (_factory, client, image) = stored(factory).await;

    let published = client.published_checksum(&image).await.unwrap();
    let downloaded = client
        .download_to_writer(&image, tokio::io::sink())
        .await
        .unwrap();

    assert_eq!(published, downloaded);
}

#[tokio::test]
async fn the_script_for_ipxe_boots_the_image() {
    let (_factory, client, image) = factory_with_image().await;

    let script = client.pxe_script(&image).await.unwrap();

    let script = script.expose_secret();
    assert!(script.starts_with("#!ipxe\n"));
    assert!(script.contains("nocloud-amd64-secureboot-uki.efi"));
}
