//! The simulated servers of a lab in one file, for the next process.
//!
//! The file has causes only: images, VMs, configurations, secrets and registrations. A restored lab repeats them without
//! delays, so every server ends in a state that it can reach by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use factory_client::mock::inspect_image;
use factory_client::{Schematic, TalosVersion};
use futures_util::StreamExt as _;
use proxmox_client::Poll;
use proxmox_client::id::{NodeName, VmId, VolumeId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use talos_client::machine::ApplyOptions;
use talos_client::mock::MockEvent;

use super::hardware::Places;
use super::servers::{Expected, Servers};
use crate::error::{Error, ErrorKind, Result};
use crate::services::openbao::SecretMap;
use crate::state::artifacts::write_private;

/// How often the servers are checked for changes.
const INTERVAL: Duration = Duration::from_millis(100);
/// The deadline for restoring one part.
const DEADLINE: Duration = Duration::from_secs(20);

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    #[serde(rename = "_")]
    note: Note,
    places: Option<Places>,
    expected: BTreeMap<u32, Expected>,
    images: Vec<SavedImage>,
    vms: Vec<SavedVm>,
    secrets: Vec<SavedSecret>,
    clusters: Vec<SavedCluster>,
    has_argocd_account: bool,
}

impl Saved {
    /// The places of Proxmox VE.
    pub(super) fn places(&self) -> Option<Places> {
        self.places.clone()
    }
}

/// Says what the file is to a person who opens it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Note(String);

impl Default for Note {
    fn default() -> Self {
        Self(
            "Simulated servers of a Lungmen Lab. No machine or cluster in this file exists, but its secrets are real keys."
                .to_owned(),
        )
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedImage {
    /// The node that has the file for itself.
    #[serde(default)]
    node: Option<String>,
    volume: String,
    schematic: String,
    version: String,
    request: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedVm {
    id: u32,
    #[serde(default)]
    node: Option<String>,
    options: Vec<(String, String)>,
    is_running: bool,
    config: Option<String>,
    is_bootstrapped: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedSecret {
    mount: String,
    path: String,
    values: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedCluster {
    server: String,
    name: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The state file of a lab.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    written: Mutex<Option<Saved>>,
}

impl StateFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: Mutex::default(),
        }
    }

    /// The servers as an earlier lab left it; `None` when there was none.
    pub(super) fn load(&self) -> Result<Option<Saved>> {
        let name = self.path.display().to_string();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read the state of the lab", &name, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            // The text has secrets, and serde would quote it.
            Error::new(ErrorKind::Decode, "read the state of the lab")
                .with_target(name)
                .with_message(format!("line {} does not have the format of a lab state file", error.line()))
                .with_hint("Delete the file and the generated files next to it to start over. The cluster existed only in the lab.")
        })
    }

    /// Writes the file when something changed. After a failure the next call tries again.
    pub(super) fn save(&self, servers: &Servers) {
        let saved = collect(servers);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.as_ref() == Some(&saved) {
            return;
        }
        let Ok(text) = serde_json::to_vec(&saved) else {
            return;
        };
        let folder = self.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if folder
            .and_then(|()| write_private(&self.path, &text))
            .is_ok()
        {
            *written = Some(saved);
        }
    }
}

/// Saves every change until the lab ends.
pub(super) async fn keep(file: Arc<StateFile>, servers: Arc<Servers>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        file.save(&servers);
    }
}

fn collect(servers: &Servers) -> Saved {
    Saved {
        note: Note::default(),
        places: servers.places.clone(),
        expected: servers.expected(),
        images: servers.pve.volumes().iter().filter_map(image).collect(),
        vms: servers
            .pve
            .vm_ids()
            .into_iter()
            .filter_map(|id| vm(servers, id))
            .collect(),
        secrets: servers
            .secret_targets()
            .iter()
            .filter_map(|target| secret(servers, target))
            .collect(),
        clusters: servers
            .argocd
            .clusters()
            .into_iter()
            .map(|cluster| SavedCluster {
                server: cluster.server,
                name: cluster.name,
                labels: cluster.labels,
                annotations: cluster.annotations,
            })
            .collect(),
        has_argocd_account: servers.kubernetes().is_some_and(|kubernetes| {
            kubernetes
                .object("serviceaccounts", "kube-system", "argocd-manager")
                .is_some()
        }),
    }
}

fn image(volume: &proxmox_client::mock::VolumeRecord) -> Option<SavedImage> {
    let identity = inspect_image(&volume.body)?;
    Some(SavedImage {
        node: volume.node.as_ref().map(ToString::to_string),
        volume: volume.id.to_string(),
        schematic: identity.schematic.canonical(),
        version: identity.version.to_string(),
        request: identity.request.to_string(),
    })
}

fn vm(servers: &Servers, id: VmId) -> Option<SavedVm> {
    let record = servers.pve.vm(id)?;
    // A VM that is being created does not survive a power failure on a real server either.
    if record.config.lock.is_some() {
        return None;
    }
    let talos = servers.talos(id);
    Some(SavedVm {
        id: id.get(),
        node: Some(record.node.to_string()),
        options: servers.options_of(id),
        is_running: record.running,
        config: talos
            .as_ref()
            .and_then(|talos| talos.config())
            .map(|text| text.expose_secret().to_owned()),
        is_bootstrapped: talos.is_some_and(|talos| talos.is_bootstrapped()),
    })
}

fn secret(servers: &Servers, (mount, path): &(String, String)) -> Option<SavedSecret> {
    let values = servers.openbao.secret(mount, path)?;
    Some(SavedSecret {
        mount: mount.clone(),
        path: path.clone(),
        values: serde_json::from_value(values).ok()?,
    })
}

/// Brings new servers to the saved state.
pub(super) async fn restore(servers: &Arc<Servers>, saved: Saved) -> Result<()> {
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
    if !saved.is_running {
        return Ok(());
    }
    let record = servers.pve.vm(id).ok_or_else(|| unrestored("the VM"))?;
    let task = servers
        .pve
        .client()
        .node(record.node)
        .vm(id)
        .start()
        .await?;
    task.wait(Poll::every(Duration::from_millis(1)).deadline(DEADLINE))
        .await?;
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
