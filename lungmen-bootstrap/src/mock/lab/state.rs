//! The simulated servers of a lab in one file, for the next process.
//!
//! The file has causes only: images, VMs, configurations, secrets and registrations. A restored lab repeats them without
//! delays, so every server ends in a state that it can reach by itself.

mod restore;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use factory_client::mock::inspect_image;
use proxmox_client::id::VmId;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::hardware::Places;
use super::servers::{Expected, Servers};
use crate::desired::user_data::OPTION;
use crate::error::{Error, ErrorKind, Result};
use crate::state::artifacts::write_private;

pub(super) use restore::restore;

/// How often the servers are checked for changes.
const INTERVAL: Duration = Duration::from_millis(100);

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
    /// The option that names its user data, which comes after the creation of the VM and goes again.
    #[serde(default)]
    user_data: Option<String>,
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
        user_data: record.config.option(OPTION).map(str::to_owned),
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
