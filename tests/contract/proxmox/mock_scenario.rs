//! The whole way from an image to a running VM and back, on the mock.

use std::net::IpAddr;

use bytes::Bytes;
use proxmox_client::id::{BridgeName, VolumeId};
use proxmox_client::mock::{Acl, MockEvent, PveMock, Route};
use proxmox_client::storage::{Checksum, Content, DownloadRequest, UploadRequest};
use proxmox_client::vm::guest::{AddressSelector, GuestInterface};
use proxmox_client::vm::{
    Agent, Cdrom, ConfigUpdate, Disk, Drive, EfiDisk, NetworkDevice, Slot, Smbios, TpmState, VmSpec,
};
use proxmox_client::{ErrorKind, Reason};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{node, poll, storage, vm_id};

fn spec() -> VmSpec {
    VmSpec::new(vm_id(), "tal01.lungmen.akn.chezmoi.sh")
        .cores(4)
        .memory_mib(8192)
        .balloon_mib(0)
        .cpu("x86-64-v2-AES")
        .uefi(EfiDisk::new(storage("nvme-lvm")))
        .tpm(TpmState::new(storage("nvme-lvm")))
        .enrolls_secure_boot_keys()
        .disk(Slot::Scsi(0), Disk::new(storage("nvme-lvm"), 32).iothread())
        .disk(
            Slot::Scsi(1),
            Disk::new(storage("nvme-lvm"), 64).iothread().ssd(),
        )
        .cdrom(Slot::Ide(2), VolumeId::new("local:iso/talos.iso").unwrap())
        .network(
            0,
            NetworkDevice::virtio(BridgeName::new("vmbr1").unwrap())
                .vlan(2)
                .firewall(),
        )
        .boot_order([Slot::Scsi(0), Slot::Ide(2)])
        .agent(Agent::enabled())
        .smbios(Smbios::with_uuid("2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff").unwrap())
        .tags("Talos-Linux;amd64".parse().unwrap())
        .description("<b>Talos</b>; a=b & more\n\nwith lines\n")
        .on_boot()
}

async fn factory() -> MockServer {
    let server = MockServer::start().await;
    let image = ResponseTemplate::new(200).set_body_bytes(&b"hello"[..]);
    Mock::given(path("/image/talos.iso"))
        .respond_with(image)
        .mount(&server)
        .await;
    server
}

fn download(server: &MockServer) -> DownloadRequest {
    let url = format!("{}/image/talos.iso", server.uri()).parse().unwrap();
    DownloadRequest::new(url, Content::Iso, "talos.iso")
}

/// Uses every call of the client once; other tests check what was sent.
pub(super) async fn whole_way(mock: &PveMock) -> proxmox_client::Result<()> {
    let client = mock.client();
    let place = client.node(node());
    client.version().await?;
    client.permissions().await?;
    client.nodes().await?;
    place.status().await?;
    place.networks().await?;
    place.bridges().await?;
    place.storages().await?;
    place.storage(storage("nvme-lvm")).status().await?;

    let local = place.storage(storage("local"));
    let volume = local.volume_for(Content::Iso, "talos.iso")?;
    assert!(local.find(&volume).await?.is_none());
    let factory = factory().await;
    local
        .download_url(&download(&factory))
        .await?
        .wait(poll())
        .await?;
    let body = Bytes::from_static(b"other");
    let upload = UploadRequest::from_bytes(Content::Iso, "other.iso", body);
    local.upload(upload).await?.wait(poll()).await?;
    assert_eq!(local.content(Some(Content::Iso)).await?.len(), 2);

    client.cluster().next_vm_id().await?;
    assert!(client.cluster().is_vm_id_free(vm_id()).await?);
    place.create_vm(&spec()).await?.wait(poll()).await?;
    assert!(!client.cluster().is_vm_id_free(vm_id()).await?);
    place.vms().await?;
    let vm = client.cluster().find_vm(vm_id()).await?.unwrap();
    let config = vm.config().await?;
    assert_eq!(spec().drift(&config), []);

    vm.start().await?.wait(poll()).await?;
    let mac = config.networks[&0].mac.clone().unwrap();
    let address: IpAddr = "10.0.2.10".parse().unwrap();
    let interface = GuestInterface::new("eth0", Some(&mac), [(address, 24)]);
    mock.set_guest_interfaces(vm_id(), Some(vec![interface]));
    let found = vm
        .wait_for_address(&AddressSelector::for_mac(mac), poll())
        .await?;
    assert_eq!(found, address);

    let eject = ConfigUpdate::new()
        .drive(Slot::Ide(2), &Drive::Cdrom(Cdrom::Empty))
        .digest(config.digest.unwrap());
    vm.update(&eject).await?.unwrap().wait(poll()).await?;
    vm.reset().await?.wait(poll()).await?;
    vm.shutdown(std::time::Duration::from_secs(60))
        .await?
        .wait(poll())
        .await?;
    vm.start().await?.wait(poll()).await?;
    vm.stop().await?.wait(poll()).await?;
    vm.stop_now().await?.wait(poll()).await?;
    assert!(!vm.status().await?.is_running());
    let task = vm.purge().await?.unwrap();
    task.wait(poll()).await?;
    task.log_tail(5).await?;
    task.abort().await?;
    assert!(vm.find_config().await?.is_none());
    assert!(vm.delete().await?.is_none());
    local.delete(&volume).await?.unwrap().wait(poll()).await?;
    Ok(())
}

#[tokio::test]
async fn the_whole_way_works_on_both_majors() {
    for version in ["9.1.2", "8.4.10", "8.2.1"] {
        let mock = PveMock::builder().version(version).start().await;
        let events = mock.events();

        whole_way(&mock).await.unwrap();

        let volume = VolumeId::new("local:iso/other.iso").unwrap();
        assert_eq!(mock.volumes().len(), 1, "{version}");
        assert!(mock.volume(&volume).unwrap().origin.is_none());
        drop(mock);
        let seen: Vec<MockEvent> = futures_util::StreamExt::collect(events).await;
        assert!(seen.contains(&MockEvent::VmCreated { vmid: vm_id() }));
        assert_eq!(
            seen.iter()
                .filter(|event| **event == MockEvent::VmStarted { vmid: vm_id() })
                .count(),
            2
        );
        assert!(seen.contains(&MockEvent::VmDeleted { vmid: vm_id() }));
    }
}

#[tokio::test]
async fn every_request_is_valid_under_both_contracts() {
    for version in ["9.2.11", "8.4.21"] {
        let mock = PveMock::builder().version(version).start().await;
        whole_way(&mock).await.unwrap();
        mock.add_vm(vm_id(), &[("agent", "1"), ("scsi0", "nvme-lvm:1")]);

        for operation in super::operation_table::operations() {
            let result = (operation.call)(mock.client()).await;

            // The state of the mock can forbid it, but never its form.
            let Err(error) = result else { continue };
            // Eight has groups, nine has rules.
            let other = if version.starts_with('8') {
                "HA rule"
            } else {
                "HA group"
            };
            let new = operation.name.contains(other);
            let unknown = error.kind() == ErrorKind::Unsupported && !new;
            let malformed = error.message().starts_with("Parameter verification")
                && error
                    .diagnostics()
                    .iter()
                    .any(|known| is_about_the_form(&known.message));
            assert!(
                !unknown && !malformed,
                "{version}, {}: {error}",
                operation.name
            );
            assert_ne!(
                error.kind(),
                ErrorKind::Decode,
                "{version}, {}: {error}",
                operation.name
            );
        }
        for route in Route::ALL
            .iter()
            .filter(|route| !is_for_other_clients(**route))
        {
            let used = mock.calls().iter().any(|call| call.route == *route);
            let is_rule = matches!(
                route,
                Route::HaRules
                    | Route::HaRule
                    | Route::CreateHaRule
                    | Route::UpdateHaRule
                    | Route::DeleteHaRule
            );
            let new = version.starts_with('8') && is_rule;
            assert!(used || new, "{version}: {route:?} was not used");
        }
    }
}

/// Problems that the parameter schema finds, unlike those that depend on the server's state.
fn is_about_the_form(problem: &str) -> bool {
    let texts = [
        "not defined in schema",
        "is missing",
        "type check",
        "invalid format",
        "regex",
        "enumeration",
        "value may",
        "value must",
        "missing property",
    ];
    texts.iter().any(|text| problem.contains(text))
}

/// Calls that the mock answers and that this client does not make, or only with a password.
fn is_for_other_clients(route: Route) -> bool {
    matches!(
        route,
        Route::Index
            | Route::LogIn
            | Route::ChangePassword
            | Route::Role
            | Route::ClusterNodes
            | Route::NodeCommand
            | Route::CpuFlags
            | Route::MigrationCapabilities
            | Route::TaskIndex
            | Route::StatusIndex
            | Route::AgentIndex
            | Route::AgentCommand
    )
}

#[tokio::test]
async fn the_configuration_is_read_back_as_the_server_rewrites_it() {
    let mock = PveMock::start().await;
    mock.add_file(VolumeId::new("local:iso/talos.iso").unwrap(), vec![0; 2048]);
    let client = mock.client();
    client
        .node(node())
        .create_vm(&spec())
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();

    let path = "/nodes/pve-01/qemu/2411000/config";
    let config = client.raw(http::Method::GET, path, &[]).await.unwrap().data;

    for (name, value) in [
        ("memory", serde_json::json!("8192")),
        ("cores", serde_json::json!(4)),
        ("onboot", serde_json::json!(1)),
        ("tags", serde_json::json!("amd64;talos-linux")),
        (
            "description",
            serde_json::json!("<b>Talos</b>; a=b & more\n\nwith lines"),
        ),
        (
            "efidisk0",
            serde_json::json!("nvme-lvm:vm-2411000-disk-0,efitype=4m,pre-enrolled-keys=0,size=4M"),
        ),
        (
            "scsi0",
            serde_json::json!("nvme-lvm:vm-2411000-disk-1,iothread=1,size=32G"),
        ),
        (
            "scsi1",
            serde_json::json!("nvme-lvm:vm-2411000-disk-2,iothread=1,size=64G,ssd=1"),
        ),
        (
            "tpmstate0",
            serde_json::json!("nvme-lvm:vm-2411000-disk-3,size=4M,version=v2.0"),
        ),
        (
            "ide2",
            serde_json::json!("local:iso/talos.iso,media=cdrom,size=2K"),
        ),
    ] {
        assert_eq!(config[name], value, "{name}");
    }
    let net0 = config["net0"].as_str().unwrap();
    assert!(
        net0.starts_with("virtio=BC:24:11:") && net0.ends_with(",bridge=vmbr1,firewall=1,tag=2")
    );
    assert_eq!(config["digest"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn a_download_meets_an_existing_file_as_the_server_does() {
    let mock = PveMock::start().await;
    let factory = factory().await;
    let local = mock.client().node(node()).storage(storage("local"));
    local
        .download_url(&download(&factory))
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();
    let record = mock
        .volume(&VolumeId::new("local:iso/talos.iso").unwrap())
        .unwrap();
    assert_eq!(&record.body[..], b"hello");
    assert!(record.origin.is_some());

    let again = download(&factory);
    let error = local
        .download_url(&again)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::FileExists));

    let equal = again
        .clone()
        .checksum(Checksum::sha256(&record.sha256).unwrap());
    local
        .download_url(&equal)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();

    let other = again.checksum(Checksum::sha256(&"0".repeat(64)).unwrap());
    let error = local
        .download_url(&other)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ChecksumMismatch));
}

#[tokio::test]
async fn a_source_without_the_file_fails_the_task_and_leaves_nothing() {
    let mock = PveMock::start().await;
    let factory = factory().await;
    let url = format!("{}/gone.iso", factory.uri()).parse().unwrap();
    let request = DownloadRequest::new(url, Content::Iso, "talos.iso");

    let local = mock.client().node(node()).storage(storage("local"));
    let error = local
        .download_url(&request)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert_eq!(error.reason(), Some(Reason::DownloadFailed));
    assert!(error.message().ends_with("exit code 8"), "{error}");
    assert!(mock.volumes().is_empty());
}

#[tokio::test]
async fn without_network_access_a_download_is_refused_and_an_upload_works() {
    let acl = Acl::administrator()
        .without("Sys.AccessNetwork")
        .without("Sys.Modify");
    let mock = PveMock::builder()
        .token("ci@pve!boot", "secret", acl)
        .start()
        .await;
    let local = mock.client().node(node()).storage(storage("local"));
    let factory = factory().await;

    let error = local.download_url(&download(&factory)).await.unwrap_err();
    // One of two rights is needed, and the real server names neither.
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.message(), "Permission check failed");

    let upload = UploadRequest::from_bytes(Content::Iso, "talos.iso", Bytes::from_static(b"x"));
    local
        .upload(upload)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();
}
