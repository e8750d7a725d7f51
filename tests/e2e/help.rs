//! `logs` and `support`: what helps to find a cause, without secrets.

use futures_util::StreamExt as _;
use lungmen_bootstrap::{ErrorKind, LogsOptions, StepId, SupportBundle};
use secrecy::ExposeSecret as _;
use talos_client::secrets::SecretsBundle;

use crate::support::World;
use crate::writes::Writes;

fn file<'a>(bundle: &'a SupportBundle, name: &str) -> &'a str {
    let mut files = bundle.files.iter();
    let found = files.find(|file| file.name == name);
    &found.unwrap_or_else(|| panic!("{name}: {bundle:#?}")).text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_states_and_logs_and_no_secret_of_the_cluster() {
    let world = World::with_new_secrets().await;
    world.run().await.unwrap();
    let before = Writes::of(&world.lab);

    let mut bundle = world.bootstrap().support().await;

    assert_eq!(Writes::of(&world.lab), before);
    assert!(file(&bundle, "plan.json").contains("etcd-bootstrap"));
    assert!(file(&bundle, "status.json").contains("v1.10.7"));
    assert!(file(&bundle, "diagnosis.json").contains("Proxmox VE"));
    assert!(file(&bundle, "machines/tal01/dmesg.log").contains("Linux version"));
    assert!(file(&bundle, "machines/tal01/etcd.log").contains("etcd"));
    assert_eq!(bundle.missing, [""; 0]);
    // Everything that the output directory keeps secret, planted into the log of a caller.
    let secrets = secrets(&world);
    assert!(secrets.len() > 10, "{}", secrets.len());
    for (index, secret) in secrets.iter().enumerate() {
        bundle.add(
            format!("planted/{index}"),
            &format!("it says {secret} here"),
        );
    }
    let whole = serde_json::to_string(&bundle).unwrap();
    for secret in &secrets {
        let quoted = serde_json::to_string(secret).unwrap();
        assert!(!whole.contains(quoted.trim_matches('"')), "{secret}");
    }
}

/// The secrets of a cluster in every form in which a file has them.
fn secrets(world: &World) -> Vec<String> {
    let text = world.read("secrets.yaml");
    let bundle = SecretsBundle::parse(&text).unwrap();
    let mut secrets: Vec<String> = [
        bundle.cluster_secret(),
        bundle.bootstrap_token(),
        bundle.trustd_token(),
    ]
    .into_iter()
    .chain(bundle.secretbox_encryption_secret())
    .chain(bundle.service_account_key())
    .map(|secret| secret.expose_secret().to_owned())
    .collect();
    let authorities = [bundle.os_ca(), bundle.kubernetes_ca(), bundle.etcd_ca()];
    for authority in authorities.into_iter().flatten() {
        secrets.push(authority.key_pem().expose_secret().to_owned());
    }
    // The keys as files write them: Base64 in one line.
    let keys = |file: &str, field: &str| -> Vec<String> {
        let text = world.read(file);
        let lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(field));
        lines
            .map(|value| value.trim().trim_matches('"').to_owned())
            .collect()
    };
    secrets.extend(keys("secrets.yaml", "key:"));
    secrets.extend(keys("talosconfig", "key:"));
    secrets.extend(keys("kubeconfig", "client-key-data:"));
    secrets
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_a_failed_run_says_what_is_missing() {
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();

    let bundle = world.bootstrap().support().await;

    assert!(file(&bundle, "plan.json").contains("apply"));
    assert!(
        bundle
            .missing
            .iter()
            .any(|line| line.starts_with("machines/tal01/")),
        "{:#?}",
        bundle.missing
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_kernel_and_of_services_are_read_by_the_name_of_a_machine() {
    let world = World::new().await;
    world.run().await.unwrap();
    let bootstrap = world.bootstrap();
    let read = |options: LogsOptions| {
        let bootstrap = bootstrap.clone();
        async move {
            let mut pieces = bootstrap.logs(&options).await?;
            let mut text = Vec::new();
            while let Some(piece) = pieces.next().await {
                text.extend_from_slice(&piece?);
            }
            Ok::<_, lungmen_bootstrap::Error>(String::from_utf8(text).unwrap())
        }
    };

    let kernel = read(LogsOptions::kernel()).await.unwrap();
    let service = read(LogsOptions::service("kubelet").machine("tal01")).await;
    let unknown = read(LogsOptions::kernel().machine("tal09")).await;

    assert!(kernel.contains("Linux version"), "{kernel}");
    assert!(service.unwrap().contains("kubelet"));
    let error = unknown.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.report().contains("tal01"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_there_are_no_credentials_for_a_log() {
    let world = World::new().await;

    let error = world.bootstrap().logs(&LogsOptions::kernel()).await;

    assert_eq!(error.err().unwrap().kind(), ErrorKind::NotFound);
}
