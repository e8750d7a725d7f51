use factory_client::{Client, Compression, DiskFormat, ErrorKind, ImageRequest, Output, Platform};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{builder, iso, schematic, version};

const XZ: &[u8] = include_bytes!("../../../factory-client/data/tests/disk.raw.xz");

fn disk() -> factory_client::Image {
    ImageRequest::new(
        Platform::Nocloud,
        Output::Disk(DiskFormat::Raw, Compression::Xz),
    )
    .of(schematic().local_id().unwrap(), version())
}

async fn serving(body: &[u8]) -> (MockServer, Client) {
    let server = MockServer::start().await;
    Mock::given(path(format!("/{}", disk().path())))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(body))
        .mount(&server)
        .await;
    let client = builder(&server).build().unwrap();
    (server, client)
}

#[tokio::test]
async fn a_compressed_disk_image_is_stored_unpacked() {
    let (_server, client) = serving(XZ).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(disk().file_name_as("raw"));

    let unpacked = client
        .download(&disk())
        .unpack_to_file(&path)
        .await
        .unwrap();

    assert_eq!(std::fs::read(&path).unwrap(), b"talos disk\n");
    assert_eq!(unpacked.size, 11);
    let transferred = client
        .download_to_writer(&disk(), tokio::io::sink())
        .await
        .unwrap();
    assert_eq!(unpacked.transferred_sha256, transferred);
}

#[tokio::test]
async fn bytes_that_cannot_be_unpacked_leave_no_file() {
    let mut broken = XZ.to_vec();
    broken[30] ^= 0xff;
    let (_server, client) = serving(&broken).await;
    let folder = tempfile::tempdir().unwrap();

    let request = client.download(&disk());
    let error = request
        .unpack_to_file(folder.path().join("disk.raw"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_iso_is_not_unpacked() {
    let (_server, client) = serving(XZ).await;
    let image = iso(&schematic().local_id().unwrap());

    let error = client
        .download(&image)
        .unpack_to_file("unused")
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
