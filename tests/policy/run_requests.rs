//! Every request of a whole run is one that the servers describe.

use std::collections::BTreeSet;

use lungmen_bootstrap::StepId;
use proxmox_client::mock::Contract;

use crate::argocd_schema::descriptions;
use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn proxmox_ve_8_and_9_know_every_call_and_parameter() {
    let world = World::new().await;
    world.run().await.unwrap();

    let calls = world.lab.proxmox().calls();

    let mut seen = BTreeSet::new();
    for call in &calls {
        let (method, template) = (call.route.method(), call.route.template());
        for (version, contract) in [("9", Contract::pve_9()), ("8", Contract::pve_8())] {
            let checked = contract.check(&method, template, &call.params);
            assert_eq!(checked, Ok(()), "Proxmox VE {version}: {method} {template}");
        }
        seen.insert(format!("{method} {template}"));
    }
    assert!(seen.contains("POST /nodes/{node}/qemu"), "{seen:?}");
    assert!(seen.len() > 8, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_knows_every_call_and_body() {
    let world = World::new().await;
    world.run().await.unwrap();

    let calls = world.lab.argocd().calls();

    assert!(
        calls.iter().any(|call| call.body.is_some()),
        "nothing was registered"
    );
    for (version, description) in descriptions() {
        for call in &calls {
            let problems = description.problems(call);
            assert!(
                problems.is_empty(),
                "{version}: {} {}: {problems:?}",
                call.method,
                call.path
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_applications_is_described_too() {
    let world = World::new().await;
    world.run_until(StepId::Register).await.unwrap();

    for (version, description) in descriptions() {
        for call in world.lab.argocd().calls() {
            assert!(
                description.problems(&call).is_empty(),
                "{version}: {}",
                call.path
            );
        }
    }
}
