//! The highly available example: five machines over two Proxmox nodes, without DHCP, with a virtual address as the endpoint.

use lungmen_bootstrap::mock::{Lab, LabBuilder};
use lungmen_bootstrap::{Cluster, Spec, StepId};
use proxmox_client::id::{NodeName, VmId, VolumeId};
use proxmox_client::mock::Route;
use talos_client::machine::EtcdMember;

use crate::support::World;

fn spec() -> Spec {
    Spec::load(crate::support::spec_file().with_file_name("ha.yaml")).unwrap()
}

fn lab() -> LabBuilder {
    Lab::builder().spec(&spec())
}

fn vm(number: u32) -> VmId {
    VmId::new(2_421_000 + number).unwrap()
}

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

async fn run(world: &World) -> Cluster {
    let result = world.builder_of(spec()).build().unwrap().run().await;
    result.unwrap_or_else(|error| panic!("{}", error.report()))
}

/// The members as one control plane lists them.
async fn members(lab: &Lab, number: u32) -> Vec<EtcdMember> {
    let client = lab.talos(vm(number)).unwrap().client();
    client.machine().etcd_members().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_machines_over_two_nodes_become_one_cluster_and_stay_it() {
    let world = World::with(lab()).await;

    let cluster = run(&world).await;

    assert_eq!(cluster.endpoint.as_str(), "https://10.0.2.40:6443/");
    assert_eq!(cluster.warnings, Vec::<String>::new());
    let pve = world.lab.proxmox();
    for (number, name) in [
        (1, "pve-01"),
        (2, "pve-02"),
        (3, "pve-01"),
        (11, "pve-01"),
        (12, "pve-02"),
    ] {
        assert_eq!(pve.vm(vm(number)).unwrap().node, node(name), "VM {number}");
    }
    for number in [1, 2, 3] {
        let mut names: Vec<String> = members(&world.lab, number)
            .await
            .into_iter()
            .map(|member| member.hostname)
            .collect();
        names.sort();
        assert_eq!(names, ["ha-cp-01", "ha-cp-02", "ha-cp-03"]);
    }
    let again = run(&world).await;
    assert!(again.was_complete(), "{:#?}", again.steps);
    pve.assert_called(Route::CreateVm, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_stored_once_on_each_storage() {
    let world = World::with(lab()).await;
    let bootstrap = world.builder_of(spec()).build().unwrap();

    bootstrap.run_until(StepId::Machine).await.unwrap();

    let pve = world.lab.proxmox();
    pve.assert_called(Route::DownloadUrl, 2);
    let images = pve.volumes();
    let images: Vec<&VolumeId> = images
        .iter()
        .filter(|v| v.content == "iso")
        .map(|v| &v.id)
        .collect();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0], images[1]);
    for name in ["pve-01", "pve-02"] {
        assert!(pve.volume_on(&node(name), images[0]).is_some(), "{name}");
    }
}
