//! Every request of a whole run is one that the servers describe.

use std::collections::BTreeSet;

use argocd_client::mock::Call as ArgoCdCall;
use proxmox_client::mock::{Call as PveCall, Contract};

use crate::argocd_schema::descriptions;
use crate::support::World;

/// One run serves both descriptions: it makes every request that a shorter run makes.
#[tokio::test(flavor = "multi_thread")]
async fn proxmox_ve_and_argo_cd_describe_every_request_of_a_whole_run() {
    let world = World::new().await;
    world.run().await.unwrap();

    check_proxmox(&world.lab.proxmox().calls());
    check_argocd(&world.lab.argocd().calls());
}

fn check_proxmox(calls: &[PveCall]) {
    let mut seen = BTreeSet::new();
    for call in calls {
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

fn check_argocd(calls: &[ArgoCdCall]) {
    assert!(
        calls.iter().any(|call| call.body.is_some()),
        "nothing was registered"
    );
    for (version, description) in descriptions() {
        for call in calls {
            let problems = description.problems(call);
            let (method, path) = (&call.method, &call.path);
            assert!(
                problems.is_empty(),
                "{version}: {method} {path}: {problems:?}"
            );
        }
    }
}
