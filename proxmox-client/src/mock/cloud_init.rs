//! The cloud-init drive of a VM: written at every start and on request, with the files of `cicustom` as they are then.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::event::MockEvent;
use super::snippets;
use super::state::State;
use super::vm::cloud_init_of;
use super::vm_config::drive_values;
use crate::id::{NodeName, VmId, VolumeId};

/// The limits of one file and of all of them (qemu-server 9.2.6, `read_cloudinit_snippets_file` and `generate_nocloud`).
const LARGEST_FILE: u64 = 1 << 20;
const LARGEST_SUM: usize = 3 << 20;

/// The files that `cicustom` puts in place of those of the server, as far as anybody asks for them.
#[derive(Debug, Clone, Default)]
pub(super) struct CustomFiles {
    pub(super) user: Option<Bytes>,
    pub(super) meta: Option<Bytes>,
}

/// Writes the drive of the VM, where it has one.
///
/// # Errors
/// The text with which the server dies when a file cannot be read: those of qemu-server 9.2.6 (`get_custom_cloudinit_files`),
/// pve-storage 9.1.7 (`activate_volume`) and pve-common 9.2.1 (`safe_read_from`).
pub(super) fn write(
    state: &mut State,
    id: VmId,
    options: &BTreeMap<String, String>,
) -> Result<(), String> {
    snippets::read_folders(state);
    let Some(vm) = state.vms.get(&id) else {
        return Ok(());
    };
    let has_drive = options
        .values()
        .any(|value| cloud_init_of(id, value).is_some());
    if !has_drive {
        return Ok(());
    }
    let node = vm.node.clone();
    let custom = options.get("cicustom").map(String::as_str);
    let volumes = drive_values(state.contract, "cicustom", custom.unwrap_or_default());
    let mut files = BTreeMap::new();
    for part in ["network", "user", "meta", "vendor"] {
        if let Some(volume) = volumes.get(part) {
            files.insert(part, read(state, &node, volume)?);
        }
    }
    if files.values().map(Bytes::len).sum::<usize>() > LARGEST_SUM {
        return Err("Cloud-Init sum of snippets too big (> 3 MiB)".to_owned());
    }
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.cloud_init = CustomFiles {
            user: files.remove("user"),
            meta: files.remove("meta"),
        };
    }
    state.emit(&MockEvent::CloudInitWritten { vmid: id });
    Ok(())
}

fn read(state: &State, node: &NodeName, text: &str) -> Result<Bytes, String> {
    let unparsable = || format!("unable to parse volume ID '{text}'");
    let id = VolumeId::new(text).map_err(|_| unparsable())?;
    let name = id.storage();
    let storage = state.storages.iter().find(|known| known.name == name);
    let storage = storage.ok_or_else(|| format!("storage '{name}' does not exist"))?;
    if !id.name().starts_with("snippets/") {
        return Err(format!("{text} is not in the snippets directory"));
    }
    state.check_usable(node, storage)?;
    let volume = state.volume_on(node, &id);
    let volume = volume.ok_or_else(|| format!("volume '{id}' does not exist"))?;
    if volume.size > LARGEST_FILE {
        let path = storage.path_of(id.name());
        return Err(format!("file '{path}' too long - aborting"));
    }
    Ok(volume.body.clone())
}
