//! What is stored as the ISO: the image, the whole image, and nothing else.

use std::time::Duration;

use factory_client::mock::{Fault, Route as FactoryRoute};
use lungmen_bootstrap::{ErrorKind, EventKind, StepId};
use proxmox_client::mock::{Acl, Route, VolumeRecord};

use crate::support::World;

const PORTAL: &str = "<!doctype html><html><body>Accept the terms of use</body></html>";

/// The usual response.
fn usual() -> Fault {
    Fault::Delay(Duration::ZERO)
}

fn portal() -> Fault {
    Fault::Status(200, PORTAL.to_owned())
}

/// What happens to the next requests for the image: first the HEAD request that lets it be built, then the question for a
/// published checksum, then the node or this process.
fn next(world: &World, faults: impl IntoIterator<Item = Fault>) {
    let both = [usual(), usual()].into_iter();
    for fault in both.chain(faults) {
        world.lab.factory().fail_next(FactoryRoute::Image, fault);
    }
}

/// A Proxmox VE whose nodes may not download.
async fn without_download() -> World {
    let acl = Acl::administrator()
        .without("Sys.AccessNetwork")
        .without("Sys.Modify");
    crate::faults::with_acl(acl).await
}

fn isos(world: &World) -> Vec<VolumeRecord> {
    let volumes = world.lab.proxmox().volumes().into_iter();
    volumes.filter(|volume| volume.content == "iso").collect()
}

/// The evidence of the journal about the image.
fn recorded(world: &World) -> serde_json::Value {
    let journal = world.read("lungmen.journal");
    let mut records = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    records
        .rfind(|record: &serde_json::Value| record["step"] == "image" && record["state"] == "done")
        .unwrap()["references"]
        .clone()
}

/// The ISO vanishes, and an earlier run is said to have stored one with another digest.
async fn stored_with_another_digest(world: &World) -> String {
    world.run_until(StepId::Image).await.unwrap();
    let image = isos(world).remove(0);
    let other = "ab".repeat(32);
    let journal = world.read("lungmen.journal");
    let recorded = match journal.contains(&image.sha256) {
        true => journal.replace(&image.sha256, &other),
        false => journal.replace(
            "\"length\":",
            &format!("\"sha256\":\"{other}\",\"length\":"),
        ),
    };
    assert_ne!(recorded, journal);
    std::fs::write(world.file("lungmen.journal"), recorded).unwrap();
    let client = world.lab.proxmox().client();
    let storage = client
        .node("pve-01".parse().unwrap())
        .storage(image.id.storage().clone());
    if let Some(task) = storage.delete(&image.id).await.unwrap() {
        task.wait(proxmox_client::Poll::default()).await.unwrap();
    }
    assert!(isos(world).is_empty());
    other
}

fn notes(world: &World) -> Vec<String> {
    let events = world.events();
    let texts = events.iter().filter_map(|event| match &event.kind {
        EventKind::Note { text } => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_an_upload_is_recorded() {
    let world = without_download().await;

    world.run_until(StepId::Image).await.unwrap();

    let image = isos(&world).remove(0);
    let recorded = recorded(&world);
    assert_eq!(recorded["sha256"], image.sha256);
    assert_eq!(recorded["length"], image.size.to_string());
}

/// The SHA-256 of the owner's image, which is the same at every mock.
async fn digest() -> String {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    isos(&world).remove(0).sha256
}

/// As an Enterprise factory answers the question for the checksum.
fn published(digest: &str) -> Fault {
    Fault::Status(200, format!("{digest}  nocloud-amd64-secureboot.iso\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_checksum_is_compared_by_the_server_and_recorded() {
    let digest = digest().await;
    for (world, route) in [
        (World::new().await, Route::DownloadUrl),
        (without_download().await, Route::Upload),
    ] {
        for fault in [usual(), published(&digest)] {
            world.lab.factory().fail_next(FactoryRoute::Image, fault);
        }

        world.run_until(StepId::Image).await.unwrap();

        assert_eq!(recorded(&world)["sha256"], digest);
        let calls = world.lab.proxmox().calls();
        let stored = calls.iter().rfind(|call| call.route == route).unwrap();
        assert_eq!(stored.param("checksum"), Some(digest.as_str()), "{route:?}");
    }
}

/// The stream has another byte than the published checksum says: the upload breaks off, and nothing gets the name of the ISO.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_differs_from_its_published_checksum_is_not_stored() {
    let digest = digest().await;
    let world = without_download().await;
    for fault in [usual(), published(&digest), Fault::CorruptBody(65_000)] {
        world.lab.factory().fail_next(FactoryRoute::Image, fault);
    }

    let error = world.run_until(StepId::Image).await.unwrap_err();

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Image), "{report}");
    assert!(report.contains("SHA-256"), "{report}");
    assert!(isos(&world).is_empty(), "{report}");
    world.run_until(StepId::Image).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_or_another_file_is_refused_before_the_storage_gets_it() {
    for fault in [portal(), Fault::Garbage] {
        let world = without_download().await;
        next(&world, [fault.clone()]);

        let error = world.run_until(StepId::Image).await.unwrap_err();

        let report = error.report();
        assert_eq!(error.step(), Some(StepId::Image), "{report}");
        assert_eq!(error.kind(), ErrorKind::Decode, "{report}");
        assert!(isos(&world).is_empty(), "{fault:?}");
        world.lab.proxmox().assert_called(Route::Upload, 0);
        world.run_until(StepId::Image).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_would_get_a_page_downloads_nothing() {
    let world = World::new().await;
    next(&world, [portal()]);

    world.run_until(StepId::Image).await.unwrap();

    world.lab.proxmox().assert_called(Route::DownloadUrl, 0);
    world.lab.proxmox().assert_called(Route::Upload, 1);
    let said = |note: &String| note.contains("the node would download text/");
    assert!(notes(&world).iter().any(said), "{:?}", notes(&world));
    assert_eq!(recorded(&world)["sha256"], isos(&world)[0].sha256);
}

/// The node may not ask, and gets a page instead of the image: the length tells, and the image replaces the page.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_node_stored_is_replaced_by_the_image() {
    let world = World::new().await;
    let refused = Fault::Status(403, "Forbidden".to_owned());
    next(&world, [refused, portal()]);

    world.run_until(StepId::Image).await.unwrap();

    world.lab.proxmox().assert_called(Route::DownloadUrl, 1);
    world.lab.proxmox().assert_called(Route::Upload, 1);
    let image = isos(&world).remove(0);
    assert_eq!(image.size.to_string(), recorded(&world)["length"]);
    assert!(factory_client::mock::inspect_image(&image.body).is_some());
}

/// The node compares with what was recorded; when that differs, the image passes through this process, which tells whether
/// the node or the factory has another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_digest_is_compared_with_later_transfers() {
    for world in [World::new().await, without_download().await] {
        let other = stored_with_another_digest(&world).await;

        let again = world.run_until(StepId::Image).await.unwrap();

        let image = isos(&world).remove(0);
        let said = |text: &String| text.contains(&other) && text.contains(&image.sha256);
        assert!(again.warnings.iter().any(said), "{:?}", again.warnings);
        assert_eq!(recorded(&world)["sha256"], image.sha256);
        let calls = world.lab.proxmox().calls();
        for call in calls
            .iter()
            .filter(|call| call.route == Route::DownloadUrl)
            .skip(1)
        {
            assert_eq!(call.param("checksum"), Some(other.as_str()));
        }
        // From now on it is known, and a node that has the same one is believed.
        let known = image.sha256.clone();
        let client = world.lab.proxmox().client();
        let storage = client
            .node("pve-01".parse().unwrap())
            .storage(image.id.storage().clone());
        if let Some(task) = storage.delete(&image.id).await.unwrap() {
            task.wait(proxmox_client::Poll::default()).await.unwrap();
        }
        let third = world.run_until(StepId::Image).await.unwrap();
        assert!(third.warnings.is_empty(), "{:?}", third.warnings);
        assert_eq!(recorded(&world)["sha256"], known);
    }
}
