//! Bodies that are not what was requested: pages of a captive portal, other formats, short images.

use factory_client::mock::{FactoryMock, Fault, Route};
use factory_client::{Client, ErrorKind, Image};
use http::Method;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{POLL, builder, factory_with_image, iso, schematic, version};

const PAGE: &str = "<!DOCTYPE html><html><title>Welcome to the WLAN</title></html>";

/// A server that answers every request with this.
async fn answering(response: ResponseTemplate) -> (MockServer, Client) {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(response)
        .mount(&server)
        .await;
    let client = builder(&server).build().unwrap();
    (server, client)
}

fn image() -> Image {
    iso(&schematic().local_id().unwrap())
}

/// Portals announce their page as HTML, or with another content type.
fn portals() -> [ResponseTemplate; 2] {
    [
        ResponseTemplate::new(200).set_body_raw(PAGE, "text/html; charset=UTF-8"),
        ResponseTemplate::new(200).set_body_raw(PAGE, "application/octet-stream"),
    ]
}

#[tokio::test]
async fn a_page_of_a_captive_portal_is_never_data() {
    for portal in portals() {
        let (_server, client) = answering(portal).await;
        let image = image();

        let errors = [
            client.versions().await.map(drop),
            client.official_extensions(&version()).await.map(drop),
            client.create_schematic(&schematic()).await.map(drop),
            client.schematic(image.schematic()).await.map(drop),
            client.signing_certificate().await.map(drop),
            client.image_signing_key().await.map(drop),
            client.pxe_script(&image).await.map(drop),
            client.published_checksum(&image).await.map(drop),
            client.talosctl_urls(&version()).await.map(drop),
            client.check_health().await,
            client.open(&image).await.map(drop),
        ];

        for result in errors {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
            assert!(!error.is_retryable());
            assert!(error.message().contains("HTML page"), "{error}");
            assert!(!error.to_string().contains("Welcome"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_page_is_not_stored_as_an_image() {
    for portal in portals() {
        let (_server, client) = answering(portal).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.iso");

        let error = client.download_to_file(&image(), &path).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Decode);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_page_does_not_destroy_an_unfinished_download() {
    let (_server, client) = answering(portals()[0].clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("image.iso.part");
    std::fs::write(&part, vec![7; 1_000]).unwrap();
    let note = folder.path().join("image.iso.part.json");
    std::fs::write(note, "{\"length\":700000,\"etag\":null}").unwrap();

    let path = folder.path().join("image.iso");
    let error = client.download_to_file(&image(), &path).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(std::fs::read(&part).unwrap().len(), 1_000);
}

#[tokio::test]
async fn an_image_that_is_announced_as_a_page_is_not_ready() {
    let page = ResponseTemplate::new(200).insert_header("content-type", "text/html");
    let (_server, client) = answering(page).await;

    let error = client.prewarm(&image(), POLL).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn a_raw_request_may_return_a_page() {
    let (_server, client) = answering(portals()[0].clone()).await;

    let (status, text) = client.raw(Method::GET, "/").await.unwrap();

    assert_eq!((status.as_u16(), text.as_str()), (200, PAGE));
}

#[tokio::test]
async fn a_body_of_another_format_reaches_nobody() {
    for body in [vec![0; 100_000], b"no image".to_vec(), Vec::new()] {
        let (_server, client) = answering(ResponseTemplate::new(200).set_body_bytes(body)).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.iso");
        let mut written = Vec::new();

        let opened = client.open(&image()).await.map(drop).unwrap_err();
        let piped = client
            .download_to_writer(&image(), &mut written)
            .await
            .unwrap_err();
        let stored = client.download_to_file(&image(), &path).await.unwrap_err();

        for error in [opened, piped, stored] {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
            assert!(error.message().contains("ISO 9660"), "{error}");
        }
        assert!(written.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_first_bytes_is_resumed() {
    let (factory, client, image) = factory_with_image().await;
    factory.fail_next(Route::Image, Fault::TruncateBody(1_000));
    factory.fail_next(Route::Image, Fault::TruncateBody(40_000));

    let mut bytes = Vec::new();
    client.download_to_writer(&image, &mut bytes).await.unwrap();

    assert_eq!(bytes.len(), 96 * 1024);
    factory.assert_called(Route::Image, 3);
}

#[tokio::test]
async fn every_kind_of_image_of_the_mock_passes_the_check() {
    use factory_client::{Compression, DiskFormat, ImageRequest, Output, Platform};
    let factory = FactoryMock::start().await;
    let client = factory.client();
    let id = client.create_schematic(&schematic()).await.unwrap().id;
    let disk = |format, compression| Output::Disk(format, compression);
    for output in [
        Output::Iso,
        Output::Uki,
        Output::Kernel,
        Output::Initramfs,
        Output::CommandLine,
        Output::InstallerArchive,
        disk(DiskFormat::Raw, Compression::None),
        disk(DiskFormat::Raw, Compression::Xz),
        disk(DiskFormat::Raw, Compression::Zstd),
        disk(DiskFormat::Raw, Compression::Gzip),
        disk(DiskFormat::Qcow2, Compression::None),
        disk(DiskFormat::Vhd, Compression::TarGzip),
        disk(DiskFormat::Ova, Compression::None),
    ] {
        let image = ImageRequest::new(Platform::Nocloud, output).of(id.clone(), version());

        let written = client.download_to_writer(&image, tokio::io::sink()).await;

        assert!(written.is_ok(), "{output:?}: {written:?}");
    }
}
