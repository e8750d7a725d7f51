//! `doctor`: every finding is planted once, and seen under its id; nothing is ever changed.

use std::time::Duration;

use factory_client::mock::FactoryMock;
use lungmen_bootstrap::machine::{Disk, Network};
use lungmen_bootstrap::mock::openbao::{OpenBaoMock, OpenBaoMode};
use lungmen_bootstrap::mock::{Fault, Lab, LabBuilder, openbao};
use lungmen_bootstrap::store::OpenBaoStore;
use lungmen_bootstrap::{
    Check, ClusterBootstrapBuilder, Diagnosis, Server, Severity, Spec, StepId, TalosRelease,
};
use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{Acl, MockStorage, PveMock, PveMockBuilder};

use crate::support::{World, spec, vm};
use crate::writes::Writes;

impl World {
    async fn doctor(&self, builder: ClusterBootstrapBuilder) -> Diagnosis {
        let bootstrap = builder.build().unwrap();
        let before = Writes::of(&self.lab);
        let diagnosis = bootstrap.doctor().await;
        assert_eq!(Writes::of(&self.lab), before, "{diagnosis}");
        diagnosis
    }
}

/// The ids of what would stop a run or may do so, each with its server.
fn ids(diagnosis: &Diagnosis) -> Vec<(Check, Option<Server>)> {
    let mut ids: Vec<_> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .map(|finding| (finding.id, finding.server))
        .collect();
    ids.dedup();
    ids
}

#[track_caller]
fn assert_only(diagnosis: &Diagnosis, check: Check, server: Option<Server>) {
    assert_eq!(ids(diagnosis), [(check, server)], "{diagnosis}");
    for finding in diagnosis.of(check) {
        assert!(!finding.fix.is_empty(), "{diagnosis}");
    }
}

/// The hardware of the default Lab, to be changed.
fn proxmox() -> PveMockBuilder {
    PveMock::builder()
}

fn on(proxmox: PveMockBuilder) -> LabBuilder {
    Lab::builder().proxmox(proxmox)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_before_and_after_a_run() {
    let world = World::new().await;

    let before = world.doctor(world.builder()).await;
    world.run().await.unwrap();
    let after = world.doctor(world.builder()).await;

    for diagnosis in [before, after] {
        assert_eq!(diagnosis.severity(), None, "{diagnosis}");
        assert_eq!(diagnosis.servers.len(), 4, "{diagnosis}");
    }
}

/// What is wrong with the specification on the hardware of the default Lab.
#[tokio::test(flavor = "multi_thread")]
async fn a_specification_that_the_servers_cannot_carry_is_found_out() {
    type Edit = fn(&mut Spec);
    let cases: [(Check, Server, Edit); 8] = [
        (Check::Node, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0].clone().on_node("pve-09");
        }),
        (Check::Storage, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0].clone().storage("ceph");
        }),
        (Check::Storage, Server::ProxmoxVe, |spec| {
            // It holds disks only.
            spec.machines[0] = spec.machines[0].clone().iso_storage("nvme-lvm");
        }),
        (Check::Space, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0]
                .clone()
                .disks([Disk::new(4096), Disk::new(64).ssd()]);
        }),
        (Check::Cores, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0].clone().cores(17);
        }),
        (Check::Memory, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0].clone().memory_mib(256 << 10);
        }),
        (Check::CpuModel, Server::ProxmoxVe, |spec| {
            spec.machines[0] = spec.machines[0].clone().cpu("x86-64-v9");
        }),
        (Check::TalosVersion, Server::ImageFactory, |spec| {
            spec.release = release("1.10.6");
        }),
    ];
    let world = World::new().await;
    for (check, server, edit) in cases {
        let mut spec = spec();
        edit(&mut spec);

        let diagnosis = world.doctor(world.builder_of(spec)).await;

        assert_only(&diagnosis, check, Some(server));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_are_missing_or_do_not_carry_the_vlan_are_found() {
    let world = World::with(on(proxmox().bridge("vmbr1").internal_bridge("vmbr7"))).await;
    for network in [Network::new("vmbr9"), Network::new("vmbr7").vlan(5)] {
        let mut spec = spec();
        spec.machines[0] = spec.machines[0].clone().additional_network(network);

        let diagnosis = world.doctor(world.builder_of(spec)).await;

        assert_only(&diagnosis, Check::Bridge, Some(Server::ProxmoxVe));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_that_is_not_ready_is_found() {
    let name = |name: &str| StorageName::new(name).unwrap();
    let node = |name: &str| NodeName::new(name).unwrap();
    let cases = [
        (
            Check::Clock,
            proxmox().clock_behind(Duration::from_secs(300)),
        ),
        (Check::Version, proxmox().version("7.4.1")),
        (
            Check::Storage,
            proxmox()
                .storage(MockStorage::lvm_thin(name("nvme-lvm")).disabled())
                .storage(MockStorage::directory(name("local"), &["iso"])),
        ),
        (
            Check::Space,
            proxmox()
                .storage(MockStorage::lvm_thin(name("nvme-lvm")))
                .storage(MockStorage::directory(name("local"), &["iso"]).size(100 << 20)),
        ),
        (Check::Node, proxmox().offline_node(node("pve-01"))),
    ];
    for (check, proxmox) in cases {
        let world = World::with(on(proxmox)).await;

        let diagnosis = world.doctor(world.builder()).await;

        assert_only(&diagnosis, check, Some(Server::ProxmoxVe));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_comes_with_the_grant_of_all_that_its_path_needs() {
    let acl = Acl::administrator()
        .without("VM.PowerMgmt")
        .without("SDN.Use");
    let world = World::with(on(proxmox().token("ci@pve!boot", "secret", acl))).await;

    let diagnosis = world.doctor(world.builder()).await;

    assert_only(&diagnosis, Check::Rights, Some(Server::ProxmoxVe));
    let found: Vec<&str> = diagnosis
        .of(Check::Rights)
        .map(|found| found.found.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "the token lacks SDN.Use on /sdn/zones/localnetwork/vmbr1/2",
            "the token lacks VM.PowerMgmt on /vms/2411000",
        ]
    );
    let grant = &diagnosis.of(Check::Rights).nth(1).unwrap().commands;
    assert!(
        grant[0].starts_with("pveum role add Lungmen-vms-2411000 --privs 'VM.Allocate,"),
        "{grant:?}"
    );
    assert!(grant[0].contains("VM.PowerMgmt"));
    assert!(grant[1].starts_with("pveum acl modify /vms/2411000 --roles Lungmen-vms-2411000 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_token_may_not_read_without_need_is_a_note() {
    let acl = Acl::administrator().without("Sys.Audit");
    let world = World::with(on(proxmox().token("ci@pve!boot", "secret", acl))).await;

    let diagnosis = world.doctor(world.builder()).await;

    assert_eq!(diagnosis.severity(), Some(Severity::Note), "{diagnosis}");
    assert!(diagnosis.of(Check::Cores).count() == 1, "{diagnosis}");
}

/// Servers that are away, do not know the caller or are something else: each is one finding, and the others are examined.
#[tokio::test(flavor = "multi_thread")]
async fn servers_in_trouble_are_findings_and_the_others_are_examined() {
    type Plant = fn(&Lab);
    let cases: [(Check, Server, Plant); 12] = [
        (Check::Reachable, Server::ProxmoxVe, |lab| {
            let route = proxmox_client::mock::Route::Version;
            lab.proxmox()
                .fail_always(route, proxmox_client::mock::Fault::Disconnect);
        }),
        (Check::Credentials, Server::ProxmoxVe, |lab| {
            let fault = proxmox_client::mock::Fault::Status(401, "invalid token value!".into());
            lab.proxmox()
                .fail_always(proxmox_client::mock::Route::Version, fault);
        }),
        (Check::Answer, Server::ProxmoxVe, |lab| {
            let route = proxmox_client::mock::Route::Version;
            lab.proxmox()
                .fail_always(route, proxmox_client::mock::Fault::Garbage);
        }),
        (Check::Reachable, Server::ImageFactory, |lab| {
            let route = factory_client::mock::Route::Versions;
            lab.factory()
                .fail_always(route, factory_client::mock::Fault::Disconnect);
        }),
        (Check::Ready, Server::ImageFactory, |lab| {
            let fault = factory_client::mock::Fault::Status(500, "oops".into());
            lab.factory()
                .fail_always(factory_client::mock::Route::Versions, fault);
        }),
        (Check::Answer, Server::ImageFactory, |lab| {
            let route = factory_client::mock::Route::Versions;
            lab.factory()
                .fail_always(route, factory_client::mock::Fault::Garbage);
        }),
        (Check::Ready, Server::SecretStore, |lab| {
            lab.openbao().set_mode(OpenBaoMode::Sealed);
        }),
        (Check::Rights, Server::SecretStore, |lab| {
            let fault = Fault::Status(403, "permission denied".into());
            lab.openbao().fail_always(openbao::Route::Token, fault);
        }),
        (Check::Reachable, Server::ArgoCd, |lab| {
            let route = argocd_client::mock::Route::Version;
            lab.argocd()
                .fail_always(route, argocd_client::mock::Fault::Disconnect);
        }),
        (Check::Credentials, Server::ArgoCd, |lab| {
            lab.argocd().revoke_all_tokens()
        }),
        (Check::Rights, Server::ArgoCd, |lab| {
            lab.argocd().deny("clusters", "create")
        }),
        (Check::Answer, Server::ArgoCd, |lab| {
            let fault = argocd_client::mock::Fault::Garbage;
            lab.argocd()
                .fail_always(argocd_client::mock::Route::ClusterList, fault);
        }),
    ];
    for (check, server, plant) in cases {
        let world = World::new().await;
        plant(&world.lab);

        let diagnosis = world.doctor(world.builder()).await;

        assert_only(&diagnosis, check, Some(server));
        let answered: Vec<Server> = diagnosis
            .servers
            .iter()
            .map(|answer| answer.server)
            .collect();
        assert!(answered.len() >= 3, "{diagnosis}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_or_an_address_that_argo_cd_has_for_another_cluster_is_found() {
    let world = World::new().await;
    world.run().await.unwrap();
    let mut spec = spec();
    spec.argocd.as_mut().unwrap().cluster_name = "renamed".into();

    let diagnosis = world.doctor(world.builder_of(spec)).await;

    assert_only(&diagnosis, Check::Registration, Some(Server::ArgoCd));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_of_another_engine_and_one_that_is_missing_are_found() {
    let world = World::new().await;
    let openbao = OpenBaoMock::builder().mount_v1("old").start().await;
    for (mount, check) in [("old", Check::Mount), ("nowhere", Check::Rights)] {
        let store = OpenBaoStore::new(&openbao.client(), mount, "talos/lungmen.akn");

        let diagnosis = world.doctor(world.builder().store(store)).await;

        assert_only(&diagnosis, check, Some(Server::SecretStore));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vm_ids_addresses_and_records_of_others_are_found() {
    let world = World::new().await;
    world.lab.proxmox().add_vm(vm(), &[("name", "other")]);
    let diagnosis = world.doctor(world.builder()).await;
    assert_only(&diagnosis, Check::VmId, Some(Server::ProxmoxVe));

    let world = World::new().await;
    world.run_until(StepId::Apply).await.unwrap();
    // The machine has another name and VM, and the address of the node that exists.
    let renamed = [
        ("name: tal01", "name: tal02"),
        ("vmId: 2411000", "vmId: 2411001"),
    ];
    let address = world
        .doctor(world.builder_of(crate::spec::edited(&renamed).unwrap()))
        .await;
    // The record is in OpenBao; another place has none.
    let mut elsewhere = spec();
    elsewhere.openbao.as_mut().unwrap().path = "talos/elsewhere".into();
    let lost = world.doctor(world.builder_of(elsewhere)).await;

    assert!(
        ids(&lost).contains(&(Check::Record, Some(Server::SecretStore))),
        "{lost}"
    );
    assert!(ids(&address).contains(&(Check::Address, None)), "{address}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_leads_elsewhere_is_found() {
    let world = World::new().await;
    let spec = crate::spec::edited(&[(
        "https://kubernetes.lungmen.akn.chezmoi.sh:6443",
        "https://10.0.2.99:6443",
    )])
    .unwrap();
    // The endpoint is dialled as it is named; nothing else leaves this host.
    let only_the_endpoint = |host: &str, _: u16| {
        (host != "10.0.2.99").then(|| std::net::SocketAddr::from(([127, 0, 0, 1], 1)))
    };

    let diagnosis = world
        .doctor(world.builder_of(spec).address_book(only_the_endpoint))
        .await;

    assert_only(&diagnosis, Check::Endpoint, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_agent_without_its_extension_is_a_warning() {
    let world = World::new().await;
    let mut spec = spec();
    spec.release = TalosRelease::new("1.10.7")
        .secure_boot()
        .extensions(["siderolabs/iscsi-tools"]);

    let diagnosis = world.doctor(world.builder_of(spec)).await;

    assert!(
        ids(&diagnosis).contains(&(Check::GuestAgent, None)),
        "{diagnosis}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_the_factory_does_not_have_is_found() {
    let version = factory_client::TalosVersion::new(1, 10, 7);
    let factory = FactoryMock::builder().talos_version(version, ["siderolabs/iscsi-tools"]);
    let world = World::with(Lab::builder().factory(factory)).await;

    let diagnosis = world.doctor(world.builder()).await;

    assert_only(&diagnosis, Check::Extension, Some(Server::ImageFactory));
    assert_eq!(diagnosis.of(Check::Extension).count(), 2, "{diagnosis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_or_platform_that_proxmox_ve_does_not_boot_is_found() {
    let world = World::new().await;
    for (edit, count) in [("architecture: arm64", 1), ("platform: aws", 1)] {
        let field = edit.split(':').next().unwrap();
        let from = match field {
            "architecture" => "architecture: amd64",
            _ => "platform: nocloud",
        };
        let spec = crate::spec::edited(&[(from, edit)]).unwrap();

        let diagnosis = world.doctor(world.builder_of(spec)).await;

        assert_eq!(diagnosis.of(Check::Platform).count(), count, "{diagnosis}");
        assert_eq!(diagnosis.severity(), Some(Severity::Error), "{diagnosis}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_that_the_factory_lost_is_found_once_the_cluster_exists() {
    use factory_client::mock::{Fault, Route};
    let world = World::new().await;
    world.run().await.unwrap();
    let asked = || world.lab.factory().calls().len();
    let before = asked();
    let diagnosis = world.doctor(world.builder()).await;
    assert_eq!(diagnosis.severity(), None, "{diagnosis}");
    assert!(asked() > before);
    let missing = Fault::Status(404, "schematic not found".into());
    world.lab.factory().fail_always(Route::Manifest, missing);

    let diagnosis = world.doctor(world.builder()).await;

    assert_only(&diagnosis, Check::Installer, Some(Server::ImageFactory));
}

/// The certificate is that of no authority that the client knows; its fingerprint is shown, and with it the client trusts.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_comes_with_its_fingerprint() {
    use lungmen_bootstrap::openbao::{Client, Credentials};
    use lungmen_bootstrap::services::{TlsTrust, presented_fingerprint};
    let world = World::new().await;
    let openbao = OpenBaoMock::builder().tls().start().await;
    let client = |trust: TlsTrust| {
        let token = Credentials::token(openbao.root_token());
        Client::builder(openbao.endpoint(), token)
            .trust(trust)
            .build()
            .unwrap()
    };
    let store = |client: &Client| OpenBaoStore::new(client, "secret", "talos/lungmen.akn");
    let stranger = client(TlsTrust::SystemRoots);

    let diagnosis = world.doctor(world.builder().store(store(&stranger))).await;

    assert_only(&diagnosis, Check::Certificate, Some(Server::SecretStore));
    let found = diagnosis.of(Check::Certificate).next().unwrap();
    let pin = presented_fingerprint(&openbao.endpoint(), Duration::from_secs(5)).await;
    let pin = pin.unwrap();
    assert!(found.found.contains(&pin.to_string()), "{diagnosis}");
    assert!(found.fix.contains("trust it"), "{diagnosis}");
    let trusting = client(TlsTrust::pinned(pin));
    let diagnosis = world.doctor(world.builder().store(store(&trusting))).await;
    assert_eq!(diagnosis.of(Check::Certificate).count(), 0, "{diagnosis}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_differs_is_found() {
    let world = World::new().await;
    world.run().await.unwrap();
    let node = world.lab.talos(vm()).unwrap();
    node.set_clock_ahead(Duration::from_secs(300));

    let diagnosis = world.doctor(world.builder()).await;

    assert_only(&diagnosis, Check::Clock, Some(Server::Talos));
    let found = diagnosis.of(Check::Clock).next().unwrap();
    assert!(found.found.contains("ahead of"), "{diagnosis}");
    assert!(found.machine.is_some(), "{diagnosis}");
}

/// A check that no test plants may find nothing.
#[test]
fn every_check_is_planted_by_a_test() {
    let planted = concat!(include_str!("doctor.rs"), include_str!("lints.rs"));
    for check in Check::ALL {
        let name = format!("Check::{check:?}");
        let uses = planted.split(&name).skip(1);
        // The name ends there.
        let count = uses
            .filter(|rest| !rest.starts_with(char::is_alphanumeric))
            .count();
        assert!(count > 0, "{name} is planted by no test");
    }
}

/// The release of the example in another version.
fn release(version: &str) -> TalosRelease {
    TalosRelease::new(version).secure_boot().extensions([
        "siderolabs/iscsi-tools",
        "siderolabs/qemu-guest-agent",
        "siderolabs/util-linux-tools",
    ])
}
