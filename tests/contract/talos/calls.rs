//! The calls behind the operations of `tests/data/talos-api/answers.json`, for a mock and for a real node.

use futures_util::{StreamExt as _, TryStreamExt as _};
use secrecy::SecretString;
use talos_client::cosi::{
    BlockDevice, ClusterMember, ExtensionStatus, HostnameStatus, LocalEtcdMember, MachineStatus,
    NodeAddresses, NodeDiagnostic, NodeStatus, RunningService, SecurityState, StaticPodStatus,
    SystemDisk, SystemInformation, TimeStatus, VersionStatus,
};
use talos_client::machine::{
    ApplyMode, ApplyOptions, EventTail, ImageNamespace, LogsRequest, RebootMode, ResetRequest,
    ShutdownMode,
};
use talos_client::secrets::Role;
use talos_client::{Client, MaintenanceClient, Resources, Result};

/// Whether the call ends what the node is: after it the node has to be made again.
pub(crate) fn is_fatal(operation: &str) -> bool {
    matches!(
        operation,
        "reboot" | "shutdown" | "reset system disk" | "bootstrap early"
    )
}

/// The role that an answer names.
pub(crate) fn role(name: &str) -> Option<Role> {
    Some(match name {
        "os:admin" => Role::Admin,
        "os:operator" => Role::Operator,
        "os:reader" => Role::Reader,
        "os:etcd:backup" => Role::EtcdBackup,
        _ => return None,
    })
}

/// What was sent by the operations that apply a configuration.
fn configuration(operation: &str) -> Option<SecretString> {
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
        _ => return None,
    };
    Some(text.into())
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

/// The calls of a node in maintenance mode; `None` for an operation that is not asked again.
pub(crate) async fn in_maintenance_mode(
    client: &MaintenanceClient,
    operation: &str,
    config: &SecretString,
) -> Option<Result<()>> {
    if let Some(result) = resource(&client.resources(), operation).await {
        return Some(result);
    }
    Some(match operation {
        "m.version" | "pinned right" => client.version().await.map(drop),
        "m.disks" => client.disks().await.map(drop),
        "m.system_information" => client.system_information().await.map(drop),
        "m.machine_status" => client.machine_status().await.map(drop),
        _ if operation.starts_with("apply bad") => {
            let bad = configuration(operation)?;
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
        _ => return None,
    })
}

/// The calls of a configured node; `None` for an operation that is not asked again.
pub(crate) async fn configured(
    client: &Client,
    operation: &str,
    config: &SecretString,
) -> Option<Result<()>> {
    if let Some(result) = resource(&client.resources(), operation).await {
        return Some(result);
    }
    let machine = client.machine();
    let node = async |name: &str| client.to_node(name)?.machine().version().await.map(drop);
    Some(match operation {
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
            let bad = configuration(operation)?;
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
        _ => return None,
    })
}
