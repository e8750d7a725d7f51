//! Whether a control plane has data of etcd: present, absent or unknown.
//!
//! Health says nothing about data: a member that starts, waits for quorum or restarts is not healthy, and is a member.

use talos_client::cosi::LocalEtcdMember;
use talos_client::machine::{ServiceInfo, ServiceState};
use talos_client::{Client, ErrorKind, Probe};

use crate::desired::DesiredMachine;
use crate::error::Result;
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::state::guard::EtcdData;

/// Determines the state of the machine without changing anything. An error of the node is `Unknown`.
pub(crate) async fn data(
    context: &Context,
    identity: &Identity,
    machine: &DesiredMachine,
) -> Result<EtcdData> {
    let endpoint = nodes::endpoint(context, machine.spec.address);
    let authority = identity.authority()?;
    Ok(
        match talos_client::probe(&endpoint, Some(&authority), nodes::PROBE).await? {
            Probe::Configured(_) => {
                let client = nodes::client(context, identity, machine)?;
                match of_configured(&client).await {
                    Ok(data) => data,
                    Err(error) => EtcdData::Unknown(error.to_string()),
                }
            }
            // Without a configuration there is no etcd, and no key to open the data of another installation.
            Probe::Maintenance(_) => EtcdData::Absent,
            Probe::Closed(error) => EtcdData::Unknown(error.message().to_owned()),
            _ => EtcdData::Unknown("another service answers at the address".to_owned()),
        },
    )
}

async fn of_configured(client: &Client) -> talos_client::Result<EtcdData> {
    let service = match client.machine().service("etcd").await {
        Ok(service) => service,
        Err(error) if error.is_not_found() => {
            return Ok(EtcdData::Unknown(
                "the node does not run etcd yet".to_owned(),
            ));
        }
        Err(error) => return Err(error),
    };
    if ever_ran(&service)
        || client
            .resources()
            .find_singleton::<LocalEtcdMember>()
            .await?
            .is_some()
    {
        return Ok(EtcdData::Present);
    }
    // Talos itself refuses Bootstrap by the same directory (v1.10 to v1.14).
    Ok(match client.machine().has_etcd_data().await {
        Ok(true) => EtcdData::Present,
        // Before the service waits for members, the file system of the data need not be mounted.
        Ok(false) if waits_for_members(&service) => EtcdData::Absent,
        Ok(false) => EtcdData::Unknown(format!("etcd is {}, and shows no data yet", service.state)),
        Err(error) if error.kind() == ErrorKind::Server => {
            EtcdData::Unknown(format!("etcd is {}: {}", service.state, error.message()))
        }
        Err(error) => return Err(error),
    })
}

/// Whether the service has run since the node booted: then it has written its data.
fn ever_ran(service: &ServiceInfo) -> bool {
    service.state == ServiceState::Running
        || service
            .events
            .iter()
            .any(|event| event.state == ServiceState::Running)
}

/// `Preparing` is the loop in which a node waits for a member to join or for Bootstrap; after 30 minutes it is `Failed`.
fn waits_for_members(service: &ServiceInfo) -> bool {
    matches!(
        service.state,
        ServiceState::Preparing | ServiceState::Failed
    )
}
