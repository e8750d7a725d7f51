//! Bringing new servers to the state that was saved.

use std::sync::Arc;
use std::time::Duration;

use factory_client::{Schematic, TalosVersion};
use futures_util::StreamExt as _;
use proxmox_client::Poll;
use proxmox_client::id::{NodeName, VmId, VolumeId};
use secrecy::SecretString;
use talos_client::machine::ApplyOptions;
use talos_client::mock::MockEvent;

use super::{Saved, SavedCluster, SavedImage, SavedVm};
use crate::desired::user_data::OPTION;
use crate::error::{Error, ErrorKind, Result};
use crate::mock::lab::servers::Servers;
use crate::services::openbao::SecretMap;

/// The deadline for restoring one part.
const DEADLINE: Duration = Duration::from_secs(20);

/// Brings new servers to the saved state.
pub(in crate::mock::lab) async fn restore(servers: &Arc<Servers>, saved: Saved) -> Result<()> {
    servers.expect(saved.expected);
    for image in saved.images {
        restore_image(servers, image).await?;
    }
    // Control planes sign the certificates of workers.
    let mut vms = saved.vms;
    vms.sort_by_key(|vm| VmId::new(vm.id).is_ok_and(|id| servers.is_worker(id)));
    // The first member that is restored makes the etcd cluster again, the others join it.
    let first_member = vms.iter().find(|vm| vm.is_running && vm.is_bootstrapped);
    let first_member = first_member.map(|vm| vm.id);
    for vm in vms {
        let is_first = first_member == Some(vm.id);
        restore_vm(servers, vm, is_first).await?;
    }
    for secret in saved.secrets {
        let values: SecretMap = secret
            .values
            .into_iter()
            .map(|(name, text)| (name, SecretString::from(text)))
            .collect();
        servers.expect_secret(&secret.mount, &secret.path);
        servers
            .openbao_client
            .kv(&secret.mount)
            .create(&secret.path, &values)
            .await?;
    }
    restore_registrations(servers, saved.has_argocd_account, saved.clusters).await
}

async fn restore_image(servers: &Servers, image: SavedImage) -> Result<()> {
    let factory = servers.factory.client();
    let schematic = Schematic::parse(&image.schematic)?;
    let created = factory.create_schematic(&schematic).await?;
    let request: factory_client::ImageRequest = image.request.parse()?;
    let mut body = Vec::new();
    let wanted = request.of(created.id, TalosVersion::parse(&image.version)?);
    factory.download_to_writer(&wanted, &mut body).await?;
    let volume = VolumeId::new(image.volume)?;
    match image.node {
        Some(node) => servers.pve.add_file_on(&NodeName::new(node)?, volume, body),
        None => servers.pve.add_file(volume, body),
    }
    Ok(())
}

async fn restore_vm(servers: &Arc<Servers>, saved: SavedVm, is_first: bool) -> Result<()> {
    let id = VmId::new(saved.id)?;
    let options: Vec<(&str, &str)> = saved
        .options
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    match &saved.node {
        Some(node) => {
            let node = NodeName::new(node.as_str())?;
            servers.pve.add_vm_on(&node, id, &options);
        }
        None => servers.pve.add_vm(id, &options),
    }
    servers.remember_options(id, saved.options.clone());
    let name_user_data = || {
        servers
            .pve
            .set_vm_option(id, OPTION, saved.user_data.as_deref())
    };
    if !saved.is_running {
        name_user_data();
        return Ok(());
    }
    if saved.config.is_some() {
        start(servers, id).await?;
        // The node has its configuration, and the files may be gone.
        name_user_data();
    } else {
        name_user_data();
        if start(servers, id).await.is_err() {
            servers.pve.set_vm_option(id, OPTION, None);
            start(servers, id).await?;
        }
    }
    let Some(config) = saved.config else {
        return Ok(());
    };
    let talos = within("the node", async {
        loop {
            if let Some(talos) = servers.talos(id) {
                return talos;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await?;
    let happened = |what: &'static str, is_meant: fn(&MockEvent) -> bool| {
        let talos = talos.clone();
        async move { within(what, talos.wait_for(is_meant)).await }
    };
    happened("maintenance mode", |event| {
        matches!(event, MockEvent::Maintenance { .. })
    })
    .await?;
    talos
        .maintenance_client()
        .apply_configuration(&SecretString::from(config), ApplyOptions::default())
        .await?;
    happened("the configured node", |event| {
        matches!(event, MockEvent::Configured)
    })
    .await?;
    if is_first {
        let poll = talos_client::Poll::every(Duration::from_millis(1)).deadline(DEADLINE);
        talos.client().machine().bootstrap_and_wait(poll).await?;
    }
    if saved.is_bootstrapped {
        happened("the etcd member", |event| {
            matches!(event, MockEvent::EtcdHealthy)
        })
        .await?;
    }
    Ok(())
}

async fn start(servers: &Servers, id: VmId) -> Result<()> {
    let record = servers.pve.vm(id).ok_or_else(|| unrestored("the VM"))?;
    let vm = servers.pve.client().node(record.node).vm(id);
    let poll = Poll::every(Duration::from_millis(1)).deadline(DEADLINE);
    vm.start().await?.wait(poll).await?;
    Ok(())
}

async fn restore_registrations(
    servers: &Servers,
    has_account: bool,
    clusters: Vec<SavedCluster>,
) -> Result<()> {
    if !has_account && clusters.is_empty() {
        return Ok(());
    }
    let kubernetes = within("the Kubernetes API", async {
        loop {
            if let Some(kubernetes) = servers.kubernetes() {
                return kubernetes;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await?;
    let access = kubernetes.client().argocd_manager().install().await?;
    for saved in clusters {
        let server = argocd_client::cluster::ServerUrl::parse(&saved.server)?;
        let token = access.bearer_token.clone();
        let mut spec = argocd_client::ClusterSpec::new(
            saved.name,
            server,
            token,
            access.certificate_authority.clone(),
        )
        .remember_credentials();
        if !saved.labels.is_empty() {
            let keys: Vec<&str> = saved.labels.keys().map(String::as_str).collect();
            spec = spec.annotation(crate::steps::register::LABELS_ANNOTATION, keys.join(","));
        }
        for (key, value) in saved.labels {
            spec = spec.label(key, value);
        }
        for (key, value) in saved.annotations {
            spec = spec.annotation(key, value);
        }
        servers.argocd.client().clusters().register(&spec).await?;
    }
    until_applications_are_healthy(servers).await
}

async fn until_applications_are_healthy(servers: &Servers) -> Result<()> {
    let mut events = Box::pin(servers.argocd.events());
    let total = servers.argocd.applications().len();
    within("the applications", async {
        let mut healthy = 0;
        while healthy < total {
            match events.next().await {
                Some(argocd_client::mock::MockEvent::ApplicationHealthy { .. }) => healthy += 1,
                Some(_) => {}
                None => return,
            }
        }
    })
    .await
}

async fn within<T>(what: &'static str, future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(DEADLINE, future)
        .await
        .map_err(|_| unrestored(what))
}

fn unrestored(what: &str) -> Error {
    Error::new(ErrorKind::Server, "restore the lab")
        .with_message(format!("timed out after 20s waiting for {what}"))
        .with_hint(
            "Delete the state file of the lab and the generated files next to it to start over.",
        )
}
