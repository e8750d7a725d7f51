//! A cluster of several machines.

use lungmen_bootstrap::machine::{Network, Role};
use lungmen_bootstrap::{MachineSpec, Outcome, StepId};

use crate::support::{World, outcome};

fn machine(number: u8, role: Role) -> MachineSpec {
    MachineSpec::new(
        format!("tal{number:02}.lungmen.akn.chezmoi.sh"),
        2_411_000 + u32::from(number),
        std::net::Ipv4Addr::new(10, 0, 2, 20 + number).into(),
        Network::new("vmbr1"),
    )
    .role(role)
    .config_patch(lungmen_bootstrap::PatchSource::new(
        "hostname",
        format!("machine:\n  network:\n    hostname: tal{number:02}\n"),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_and_a_worker_become_one_cluster() {
    let world = World::new().await;
    let mut spec = crate::support::spec();
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::ControlPlane),
        machine(3, Role::ControlPlane),
        machine(4, Role::Worker),
    ];

    let cluster = world
        .builder_of(spec.clone())
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(cluster.machines.len(), 4);
    assert_eq!(
        outcome(&cluster.steps, StepId::EtcdBootstrap),
        Outcome::Done
    );
    for name in [
        "controlplane-tal01.yaml",
        "controlplane-tal02.yaml",
        "controlplane-tal03.yaml",
        "worker.yaml",
    ] {
        assert!(world.file(name).exists(), "{name}");
    }
    let again = world.builder_of(spec).build().unwrap().run().await.unwrap();
    assert!(again.was_complete());
}
