//! The answers that were recorded from real servers, asked again of the mock.

use futures_util::{StreamExt as _, TryStreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use talos_client::cosi::{
    BlockDevice, ClusterMember, ExtensionStatus, HostnameStatus, LocalEtcdMember, MachineStatus,
    NodeAddresses, NodeDiagnostic, NodeStatus, RunningService, SecurityState, StaticPodStatus,
    SystemDisk, SystemInformation, TimeStatus, VersionStatus,
};
use talos_client::machine::{
    ApplyMode, ApplyOptions, EventTail, ImageNamespace, LogsRequest, RebootMode, ResetRequest,
    ShutdownMode,
};
use talos_client::mock::{MockEvent, TalosMock, TalosMockBuilder};
use talos_client::secrets::Role;
use talos_client::{Client, Error, MaintenanceClient, Resources, Result};

use super::support::{client_with, control_plane, in_maintenance};

#[derive(Debug, Deserialize)]
struct Recording {
    answers: Vec<Answer>,
}

/// One answer: code and text of a rejection, or the fact that the call succeeded.
#[derive(Debug, Deserialize)]
struct Answer {
    operation: String,
    mode: String,
    role: String,
    ok: bool,
    grpc_code: Option<String>,
    message: Option<String>,
}

/// What the mock cannot answer as the recorded server did, with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("images", "the recorded server had no container runtime"),
    (
        "logs container[0]",
        "the recorded server had no container runtime",
    ),
    ("logs nope[0]", "the recorded server kept its logs in files"),
    (
        "health[3]",
        "the recorded check waited for a proxy that was not there",
    ),
    ("reset", "the recorded server had no partitions"),
    (
        "to_node self address",
        "the recorded server did not listen on its own address",
    ),
    (
        "foreign CA",
        "another trust than that of the mock, see the tests of identity",
    ),
    (
        "bootstrap a second time, after etcd runs",
        "the recorded etcd had no data",
    ),
    (
        "get TimeStatus",
        "the mock synchronizes its clock only after it is configured",
    ),
];

fn recording() -> Vec<Answer> {
    let text = include_str!("../../data/talos-api/answers.json");
    let recording: Recording = serde_json::from_str(text).unwrap();
    recording.answers
}

/// What was sent by the operations that apply a configuration.
fn configuration(operation: &str) -> SecretString {
    let text = match operation.rsplit("bad ").next().unwrap() {
        "empty" => "",
        "not yaml" => "a: [b\n",
        "unknown key" | "configured apply garbage" => "version: v1alpha1\nmachine:\n  foo: bar\n",
        "unknown kind" => "apiVersion: v1alpha1\nkind: Foo\n",
        "no cluster" => "version: v1alpha1\nmachine:\n  type: controlplane\n",
        "bad type" => "version: v1alpha1\nmachine:\n  type: bogus\ncluster: {}\n",
        "type" => "version: v1alpha1\nmachine:\n  type: bogus\ncluster: {}\n",
        "list" => "- a\n- b\n",
        "configured apply no v1alpha1" => {
            "apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: x\nurl: tcp://10.0.2.1:3333/\n"
        }
        other => panic!("unknown configuration {other:?}"),
    };
    text.into()
}

async fn first<T>(stream: impl futures_util::Stream<Item = Result<T>>) -> Result<()> {
    let mut stream = std::pin::pin!(stream);
    match stream.next().await {
        Some(item) => item.map(drop),
        None => Ok(()),
    }
}

/// The reads of resources; `None` for another operation.
async fn resource(resources: &Resources, operation: &str) -> Option<Result<()>> {
    let yaml = async |namespace, kind, id| resources.yaml(namespace, kind, id).await.map(drop);
    Some(match operation {
        "get MachineStatus" | "MachineStatus" => {
            resources.singleton::<MachineStatus>().await.map(drop)
        }
        "get SystemInformation" => resources.singleton::<SystemInformation>().await.map(drop),
        "get TalosVersion" => resources.singleton::<VersionStatus>().await.map(drop),
        "get TimeStatus" => resources.singleton::<TimeStatus>().await.map(drop),
        "get HostnameStatus" => resources.singleton::<HostnameStatus>().await.map(drop),
        "find SystemDisk" => resources.find_singleton::<SystemDisk>().await.map(drop),
        "find SecurityState" => resources.find_singleton::<SecurityState>().await.map(drop),
        "find LocalEtcdMember" => resources
            .find_singleton::<LocalEtcdMember>()
            .await
            .map(drop),
        "list BlockDevice" => resources.list::<BlockDevice>().await.map(drop),
        "list NodeAddresses" => resources.list::<NodeAddresses>().await.map(drop),
        "list ClusterMember" => resources.list::<ClusterMember>().await.map(drop),
        "list ExtensionStatus" => resources.list::<ExtensionStatus>().await.map(drop),
        "list Diagnostic" => resources.list::<NodeDiagnostic>().await.map(drop),
        "list RunningService" => resources.list::<RunningService>().await.map(drop),
        "list NodeStatus" => resources.list::<NodeStatus>().await.map(drop),
        "list StaticPodStatus" => resources.list::<StaticPodStatus>().await.map(drop),
        "schematic_id" => resources.schematic_id().await.map(drop),
        "get_id BlockDevice sda" => resources.resource::<BlockDevice>("sda").await.map(drop),
        "get_id BlockDevice nope" => resources.resource::<BlockDevice>("nope").await.map(drop),
        "get_yaml MachineStatus" => {
            yaml("runtime", "MachineStatuses.runtime.talos.dev", "machine").await
        }
        "get_yaml MachineConfig" | "MachineConfig" => {
            yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1").await
        }
        "get_yaml OSRoot (secret)" => {
            yaml("secrets", "OSRootSecrets.secrets.talos.dev", "os").await
        }
        "get_yaml unknown type" => yaml("runtime", "Nopes.runtime.talos.dev", "nope").await,
        _ if operation.starts_with("watch MachineStatus") => {
            first(resources.watch::<MachineStatus>("machine")).await
        }
        _ if operation.starts_with("watch_all BlockDevice") => {
            first(resources.watch_all::<BlockDevice>()).await
        }
        _ => return None,
    })
}

fn options(operation: &str) -> ApplyOptions {
    let options = ApplyOptions::default();
    let options = match operation.rsplit(' ').next().unwrap() {
        "NoReboot" => options.mode(ApplyMode::NoReboot),
        "Staged" => options.mode(ApplyMode::Staged),
        "Try" => options.mode(ApplyMode::Try),
        "Reboot" => options.mode(ApplyMode::Reboot),
        _ => options,
    };
    if operation.contains("dry-run") {
        options.dry_run()
    } else {
        options
    }
}

async fn in_maintenance_mode(
    client: &MaintenanceClient,
    operation: &str,
    config: &SecretString,
) -> Result<()> {
    if let Some(result) = resource(&client.resources(), operation).await {
        return result;
    }
    match operation {
        "m.version" | "pinned right" => client.version().await.map(drop),
        "m.disks" => client.disks().await.map(drop),
        "m.system_information" => client.system_information().await.map(drop),
        "m.machine_status" => client.machine_status().await.map(drop),
        _ if operation.starts_with("apply bad") => {
            let bad = configuration(operation);
            client
                .apply_configuration(&bad, ApplyOptions::default())
                .await
                .map(drop)
        }
        _ if operation.starts_with("apply") => {
            // For real it would end maintenance mode.
            client
                .apply_configuration(config, options(operation).dry_run())
                .await
                .map(drop)
        }
        other => panic!("unknown operation {other:?}"),
    }
}

async fn configured(client: &Client, operation: &str, config: &SecretString) -> Result<()> {
    if let Some(result) = resource(&client.resources(), operation).await {
        return result;
    }
    let machine = client.machine();
    let node = async |name: &str| client.to_node(name)?.machine().version().await.map(drop);
    match operation {
        "version" | "wait_for_identity" => machine.version().await.map(drop),
        "disks" => machine.disks().await.map(drop),
        "services" => machine.services().await.map(drop),
        "service kubelet" => machine.service("kubelet").await.map(drop),
        "kubeconfig" => machine.kubeconfig().await.map(drop),
        "read_file dir" => machine.read_file("/etc").await.map(drop),
        "etcd_members" => machine.etcd_members().await.map(drop),
        "etcd_status" => machine.etcd_status().await.map(drop),
        "images" => machine.images(ImageNamespace::Cri).await.map(drop),
        "to_node unreachable" => node("10.0.2.99").await,
        "to_node with port" => node("10.0.2.10:50000").await,
        "apply" | "configured apply changed hostname dry-run" => machine
            .apply_configuration(config, ApplyOptions::default().dry_run())
            .await
            .map(drop),
        "configured apply no v1alpha1" | "configured apply garbage" => {
            let bad = configuration(operation);
            machine
                .apply_configuration(&bad, ApplyOptions::default())
                .await
                .map(drop)
        }
        "bootstrap early" => machine.bootstrap().await.map(drop),
        _ if operation.starts_with("configured apply dry-run") => machine
            .apply_configuration(config, options(operation))
            .await
            .map(drop),
        _ if operation.starts_with("events") => first(machine.events(EventTail::All)).await,
        _ if operation.starts_with("logs kubelet") => {
            machine
                .logs(LogsRequest::service("kubelet"))
                .try_for_each(async |_| Ok(()))
                .await
        }
        _ if operation.starts_with("health") => {
            let check =
                talos_client::machine::HealthCheck::new(std::time::Duration::from_millis(50));
            first(machine.health_check(check)).await
        }
        "reboot" => machine.reboot(RebootMode::Default).await.map(drop),
        "shutdown" => machine.shutdown(ShutdownMode::Drain).await.map(drop),
        "reset system disk" => machine
            .reset(&ResetRequest::system_disk().ungraceful().reboot())
            .await
            .map(drop),
        other => panic!("unknown operation {other:?}"),
    }
}

fn builder(mode: &str) -> TalosMockBuilder {
    let version = if mode.contains("v1.10.7") {
        "v1.10.7"
    } else {
        "v1.14.0-beta.1"
    };
    TalosMock::builder().version(version).platform("metal")
}

fn role(name: &str) -> Role {
    match name {
        "os:admin" => Role::Admin,
        "os:operator" => Role::Operator,
        "os:reader" => Role::Reader,
        "os:etcd:backup" => Role::EtcdBackup,
        other => panic!("unknown role {other:?}"),
    }
}

/// A difference between the recorded answer and that of the mock.
fn difference(answer: &Answer, result: &Result<()>) -> Option<String> {
    let seen = |error: &Error| {
        let code = error.code().map(|code| code.to_string());
        (code, error.message().to_owned())
    };
    let is_same = match result {
        Ok(()) => answer.ok,
        Err(error) => {
            let (code, message) = seen(error);
            let expected = answer.message.clone().unwrap_or_default();
            !answer.ok && code == answer.grpc_code && message == expected
        }
    };
    (!is_same).then(|| {
        format!(
            "{} as {} in {}:\n  recorded {:?} {:?}\n  mock     {:?}",
            answer.operation,
            answer.role,
            answer.mode,
            answer.grpc_code,
            answer.message,
            result.as_ref().map_err(seen)
        )
    })
}

fn is_comparable(answer: &Answer) -> bool {
    !OTHERWISE
        .iter()
        .any(|(operation, _)| *operation == answer.operation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_maintenance_mode_answers_as_the_recorded_one() {
    let mut differences = Vec::new();
    let mut compared = 0;
    for (mode, version) in [
        ("maintenance v1.10.7", "v1.10.7"),
        ("maintenance HEAD (v1.14.0-beta.1)", "v1.14.0-rc.1"),
    ] {
        let mock = in_maintenance(builder(mode)).await;
        let client = mock.maintenance_client();
        let config = control_plane(version);
        for answer in recording().iter().filter(|answer| answer.mode == mode) {
            if !is_comparable(answer) {
                continue;
            }
            let result = in_maintenance_mode(&client, &answer.operation, &config).await;
            compared += 1;
            differences.extend(difference(answer, &result));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 80, "only {compared} answers compared");
}

/// A configured node that was not bootstrapped, as the recorded one.
async fn waiting_for_bootstrap(mode: &str) -> (TalosMock, SecretString) {
    let config = control_plane("v1.14.0-rc.1");
    let mock = super::support::configured(builder(mode), &config).await;
    mock.wait_for(|event| matches!(event, MockEvent::Configured))
        .await;
    (mock, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_node_answers_every_role_as_the_recorded_one() {
    const MODE: &str = "configured HEAD (v1.14.0-beta.1)";
    let answers = recording();
    let answers = answers
        .iter()
        .filter(|answer| answer.mode == MODE && is_comparable(answer));
    // Those that end the node's life come last, each on a node of its own.
    let (fatal, harmless): (Vec<_>, Vec<_>) = answers.partition(|answer| {
        answer.ok
            && matches!(
                answer.operation.as_str(),
                "reboot" | "shutdown" | "reset system disk" | "bootstrap early"
            )
    });
    let mut differences = Vec::new();
    let (mock, config) = waiting_for_bootstrap(MODE).await;
    let compared = harmless.len() + fatal.len();
    for answer in harmless {
        let client = client_with(&mock, role(&answer.role));
        let result = configured(&client, &answer.operation, &config).await;
        differences.extend(difference(answer, &result));
    }
    for answer in fatal {
        let (mock, config) = waiting_for_bootstrap(MODE).await;
        // Before its services are up a node does not accept a bootstrap.
        let client = client_with(&mock, role(&answer.role));
        let mut result = configured(&client, &answer.operation, &config).await;
        while answer.operation == "bootstrap early"
            && result.as_ref().is_err_and(Error::is_retryable)
        {
            result = configured(&client, &answer.operation, &config).await;
        }
        differences.extend(difference(answer, &result));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 60, "only {compared} answers compared");
}

#[tokio::test]
async fn a_configuration_is_read_back_by_administrators_only() {
    let (mock, config) = waiting_for_bootstrap("HEAD").await;
    let resources = client_with(&mock, Role::Admin).resources();

    let read = resources
        .yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1")
        .await
        .unwrap();

    assert_eq!(read.expose_secret(), config.expose_secret());
}
