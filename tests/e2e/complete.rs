//! One run from an empty Proxmox VE to healthy applications.

use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::{EventKind, Outcome, StepId};

use crate::support::{VM, World, acting_steps, outcome, vm};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_builds_the_cluster() {
    let world = World::with_new_secrets().await;

    let cluster = world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    for step in acting_steps() {
        assert_eq!(outcome(&cluster.steps, step), Outcome::Done, "{step}");
    }
    assert_eq!(cluster.talos_version, "v1.10.7");
    assert_eq!(cluster.kubernetes_version, "v1.33.4");
    assert_eq!(
        cluster.installer,
        format!(
            "factory.talos.dev/nocloud-installer-secureboot/{}:v1.10.7",
            cluster.schematic_id
        )
    );
    assert!(cluster.schematic_id.starts_with("88d1f7a5"));
    assert!(
        cluster
            .applications
            .iter()
            .all(|app| app.health == "Healthy" && app.sync == "Synced")
    );
    assert_eq!(cluster.applications.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_there_and_private() {
    let world = World::new().await;

    let cluster = world.run().await.unwrap();

    let names: Vec<String> = cluster
        .files
        .iter()
        .map(|file| file.artifact.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "secrets.yaml",
            "controlplane.yaml",
            "talosconfig",
            "kubeconfig"
        ]
    );
    for file in &cluster.files {
        assert_eq!(file.mode, 0o600, "{}", file.artifact);
    }
    assert!(world.read("kubeconfig").contains("admin@lungmen.akn"));
    assert!(world.read("talosconfig").contains("context: lungmen.akn"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_the_one_that_was_asked_for() {
    let world = World::new().await;

    world.run_until(StepId::Machine).await.unwrap();

    let created = world
        .lab
        .proxmox()
        .calls()
        .into_iter()
        .find(|call| {
            call.param("vmid") == Some(&VM.to_string()) && call.param("efidisk0").is_some()
        })
        .unwrap();
    for (name, value) in [
        ("name", "tal01.lungmen.akn.chezmoi.sh"),
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("ostype", "l26"),
        ("scsihw", "virtio-scsi-single"),
        ("cores", "4"),
        ("sockets", "1"),
        ("memory", "8192"),
        ("cpu", "x86-64-v2-AES"),
        ("efidisk0", "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"),
        ("scsi0", "nvme-lvm:32,iothread=1"),
        ("scsi1", "nvme-lvm:64,iothread=1,ssd=1"),
        ("net0", "virtio,bridge=vmbr1,firewall=1,tag=2"),
        (
            "ide2",
            "local:iso/talos-v1.10.7-nocloud-amd64-secureboot-88d1f7a5c4f1.iso,media=cdrom",
        ),
        ("boot", "order=scsi0;ide2"),
        ("agent", "enabled=1"),
        ("tags", "amd64;talos-linux"),
    ] {
        assert_eq!(created.param(name), Some(value), "{name}");
    }
    assert!(created.param("description").unwrap().contains("<h2>"));
    assert!(
        created.param("start").is_none(),
        "the start is a call of its own"
    );
    assert!(world.lab.proxmox().vm(vm()).unwrap().running);
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_gets_a_token_and_never_the_admin_certificate() {
    let world = World::new().await;

    world.run().await.unwrap();

    let registered = world
        .lab
        .argocd()
        .cluster("https://kubernetes.lungmen.akn.chezmoi.sh:6443")
        .unwrap();
    assert_eq!(registered.name, "lungmen.akn");
    assert!(registered.bearer_token.is_some());
    assert!(registered.ca_pem.is_some());
    assert!(!registered.has_client_certificate);
}

#[tokio::test(flavor = "multi_thread")]
async fn openbao_has_the_bundle_the_talosconfig_and_the_kubeconfig() {
    let world = World::with_new_secrets().await;

    world.run().await.unwrap();

    let secret = world
        .lab
        .openbao()
        .secret("secret", "talos/lungmen.akn")
        .unwrap();
    assert_eq!(secret["secrets.yaml"], world.read("secrets.yaml"));
    assert_eq!(secret["talosconfig"], world.read("talosconfig"));
    assert_eq!(secret["kubeconfig"], world.read("kubeconfig"));
    let names: Vec<&String> = secret.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["cluster.json", "kubeconfig", "secrets.yaml", "talosconfig"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_tells_when_it_starts_and_ends() {
    let world = World::new().await;

    world.run().await.unwrap();

    let events = world.events();
    for step in StepId::ALL {
        let of_step: Vec<_> = events.iter().filter(|event| event.step == step).collect();
        assert!(
            matches!(of_step.first().unwrap().kind, EventKind::StepStarted),
            "{step}"
        );
        assert!(
            matches!(of_step.last().unwrap().kind, EventKind::StepFinished { .. }),
            "{step}"
        );
    }
    let waited = events
        .iter()
        .any(|event| matches!(&event.kind, EventKind::Waiting { cause, .. } if !cause.is_empty()));
    assert!(waited);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_openbao_and_argo_cd_the_cluster_is_complete_after_its_checks() {
    let world = World::new().await;
    let mut spec = crate::support::spec();
    spec.openbao = None;
    spec.argocd = None;

    let cluster = world.builder_of(spec).build().unwrap().run().await.unwrap();

    for step in [StepId::SaveSecrets, StepId::Register, StepId::Applications] {
        assert_eq!(outcome(&cluster.steps, step), Outcome::Skipped, "{step}");
    }
    assert_eq!(cluster.secrets, None);
    assert_eq!(cluster.argocd_cluster, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_is_merged_into_a_talosconfig_on_request_and_only_once() {
    let world = World::new().await;
    let theirs = world.file("theirs");

    for _ in 0..2 {
        let bootstrap = world.builder().merge_talosconfig(&theirs).build().unwrap();
        bootstrap.run().await.unwrap();
    }

    let text = std::fs::read_to_string(&theirs).unwrap();
    let merged = talos_client::talosconfig::Talosconfig::parse(&text).unwrap();
    assert_eq!(merged.current(), "lungmen.akn");
    assert_eq!(merged.contexts().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_the_one_of_the_reference() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/talos");
    let world = World::new().await;
    let secrets = std::fs::read_to_string(data.join("secrets.yaml")).unwrap();

    world
        .builder()
        .import_secrets(Import::SecretsYaml(secrets.into()))
        .build()
        .unwrap()
        .run_until(StepId::Configuration)
        .await
        .unwrap();

    let parse = |text: &str| talos_client::yaml::parse_documents(text).unwrap();
    let reference = data.join("generate/lungmen.v1.10.7.v1.10.controlplane.yaml");
    let wanted = parse(&std::fs::read_to_string(reference).unwrap());
    let made = parse(&world.read("controlplane.yaml"));
    assert_eq!(made.len(), wanted.len());
    for (made, wanted) in made.iter().zip(&wanted) {
        assert_eq!(talos_client::yaml::first_difference(made, wanted), None);
    }
}
