//! A configured node: kubeconfig, services, events, health, life cycle.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use secrecy::ExposeSecret;
use talos_client::cosi::Stage;
use talos_client::machine::{
    EventPayload, EventTail, HealthCheck, LogsRequest, RebootMode, ResetRequest, ServiceState,
};
use talos_client::mock::{MockEvent, TalosMock};
use talos_client::{ErrorKind, Probe, probe};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::support::{client, configured, control_plane, poll, running, secrets};

fn field<'a>(kubeconfig: &'a str, key: &str) -> &'a str {
    let line = kubeconfig
        .lines()
        .find(|line| line.trim_start().starts_with(key));
    line.and_then(|line| line.split_once(": ")).unwrap().1
}

#[tokio::test]
async fn every_kubeconfig_has_a_certificate_of_its_own_from_the_clusters_authority() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    let one = machine.kubeconfig().await.unwrap();
    let two = machine.kubeconfig().await.unwrap();

    let text = one.expose_secret();
    assert_eq!(field(text, "server"), "https://kubernetes.lungmen.akn:6443");
    assert_eq!(field(text, "current-context"), "admin@lungmen.akn");
    let ca = STANDARD
        .decode(field(text, "certificate-authority-data"))
        .unwrap();
    let bundle = secrets();
    let expected = bundle.kubernetes_ca().unwrap().certificate_pem();
    assert_eq!(String::from_utf8(ca).unwrap().trim(), expected.trim());
    assert_ne!(
        field(text, "client-certificate-data"),
        field(two.expose_secret(), "client-certificate-data")
    );
    let pem = STANDARD
        .decode(field(text, "client-certificate-data"))
        .unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    assert_eq!(
        certificate.subject().to_string(),
        "O=system:masters, CN=admin"
    );
    assert!(!format!("{one:?}").contains("server"));
}

#[tokio::test]
async fn services_tell_what_the_node_waits_for() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();

    let etcd = machine.service("etcd").await.unwrap();
    assert_eq!(etcd.state, ServiceState::Preparing);
    assert!(!etcd.is_up());

    machine.bootstrap_and_wait(poll()).await.unwrap();
    let etcd = machine.service("etcd").await.unwrap();
    assert!(etcd.is_up() && etcd.is_running_and_healthy());
    assert_eq!(
        machine.service("nope").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn events_tell_the_story_of_a_boot() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    let events: Vec<_> = machine
        .events(EventTail::All)
        .map_ok(|event| event.payload)
        .take_while(|event| {
            let over = matches!(
                event,
                Ok(EventPayload::MachineStatus {
                    is_ready: true,
                    stage: Stage::Running,
                    ..
                })
            );
            std::future::ready(!over)
        })
        .try_collect()
        .await
        .unwrap();

    let services = events.iter().filter(
        |event| matches!(event, EventPayload::Service { service, .. } if service == "etcd"),
    );
    assert_eq!(services.count(), 3, "{events:?}");
    assert!(events.iter().any(
        |event| matches!(event, EventPayload::Sequence { sequence, .. } if sequence == "boot")
    ));
}

#[tokio::test]
async fn the_health_check_reports_every_check_in_order() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    let lines: Vec<_> = machine
        .health_check(HealthCheck::new(Duration::from_secs(10)))
        .try_collect()
        .await
        .unwrap();

    assert_eq!(
        lines.first().unwrap().message,
        "discovered nodes: [\"10.0.2.10\"]"
    );
    let passed: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.check())
        .filter(|(_, state)| *state == "OK")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(passed.len(), 16);
    assert_eq!(passed.first(), Some(&"etcd to be healthy"));
}

#[tokio::test]
async fn a_health_check_that_runs_out_of_time_says_what_was_missing() {
    let mock = configured(TalosMock::builder(), &control_plane("v1.10.7")).await;
    let machine = client(&mock).machine();
    let mut check = machine.health_check(HealthCheck::new(Duration::from_millis(100)));
    let mut last = None;

    let error = loop {
        match check.next().await.unwrap() {
            Ok(line) => last = Some(line),
            Err(error) => break error,
        }
    };

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        last.unwrap().check(),
        Some(("etcd to be healthy", "service \"etcd\" not healthy"))
    );
    assert!(check.next().await.is_none());
}

#[tokio::test]
async fn the_client_survives_a_reboot_of_its_node() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    machine.reboot(RebootMode::Default).await.unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Rebooting))
        .await;
    machine.wait_for_etcd(poll()).await.unwrap();
    let status = machine
        .wait_for_stage(Stage::Running, poll())
        .await
        .unwrap();

    assert_eq!(status.stage, Stage::Running);
    // A call before the node was ready for it was refused.
    let mut events = mock.events();
    let past = std::iter::from_fn(|| events.next().now_or_never().flatten());
    let bootstraps = past.filter(|event| matches!(event, MockEvent::Bootstrapped));
    assert_eq!(bootstraps.count(), 1);
}

#[tokio::test]
async fn a_reset_that_keeps_talos_ends_in_maintenance_mode() {
    let mock = running(TalosMock::builder()).await;
    let machine = client(&mock).machine();

    machine
        .reset(&ResetRequest::to_maintenance().ungraceful())
        .await
        .unwrap();

    let certificate = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let seen = probe(&mock.endpoint(), None, Duration::from_secs(2))
                .await
                .unwrap();
            if let Probe::Maintenance(certificate) = seen {
                return certificate;
            }
        }
    })
    .await
    .unwrap();
    assert!(certificate.is_maintenance());
    // An ungraceful reset does not wait for the pods of the node.
    let is_draining = |event: &MockEvent| matches!(event, MockEvent::Draining);
    let mut events = mock.events();
    let mut past = std::iter::from_fn(|| events.next().now_or_never().flatten());
    assert!(!past.any(|event| is_draining(&event)));
    let disks = mock.maintenance_client().disks().await.unwrap();
    assert!(
        disks
            .iter()
            .any(|disk| disk.is_system && disk.device == "/dev/sda")
    );
}

#[tokio::test]
async fn small_questions_get_small_answers() {
    let mock = running(TalosMock::builder().memory_mib(4096)).await;
    let machine = client(&mock).machine();

    assert_eq!(machine.memory_kib().await.unwrap(), 4096 * 1024);
    assert!(!machine.hostname().await.unwrap().is_empty());
    assert!(machine.boot_time().await.unwrap() > Duration::from_secs(1_700_000_000));
    assert_eq!(machine.version().await.unwrap().platform, "nocloud");
    let log: Vec<_> = machine
        .logs(LogsRequest::service("etcd"))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(log.len(), 1);
    let missing = machine.read_file("/etc/nope").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let status = machine.etcd_status().await.unwrap();
    assert_eq!(status.leader, Some(status.member_id));
}
