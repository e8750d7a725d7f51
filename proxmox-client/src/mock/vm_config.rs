//! How options become what is stored and read back: volumes get names and sizes, network cards
//! addresses, tags an order.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::contract::Contract;
use super::format::{print, resolve};
use super::state::{MockVm, State, VolumeRecord, hex};
use crate::id::{StorageName, VmId, VolumeId};
use crate::vm::{Size, Slot, Tags};

type Options = BTreeMap<String, String>;

/// The options of a VM as `GET …/config` has them.
pub(super) fn shown(contract: &Contract, vm: &MockVm) -> Value {
    let mut answer = Map::new();
    for (name, value) in &vm.options {
        let schema = contract.vm_option(name);
        let kind = schema
            .and_then(|schema| schema.get("type"))
            .and_then(Value::as_str);
        let shown = match (kind, value.parse::<u64>()) {
            (Some("integer" | "boolean"), Ok(number)) => number.into(),
            _ => Value::String(value.clone()),
        };
        answer.insert(name.clone(), shown);
    }
    answer.insert("digest".to_owned(), digest(&vm.options).into());
    Value::Object(answer)
}

/// Stands for the SHA-1 of the configuration file: 40 hexadecimal digits.
pub(super) fn digest(options: &Options) -> String {
    let text: Vec<String> = options.iter().map(|(k, v)| format!("{k}: {v}")).collect();
    hex(&Sha256::digest(text.join("\n")))[..40].to_owned()
}

/// Whether an option is a drive of some kind.
pub(super) fn is_drive(name: &str) -> bool {
    matches!(name, "efidisk0" | "tpmstate0") || name.parse::<Slot>().is_ok()
}

/// `cdrom` is another name for `ide2` with `media=cdrom`.
pub(super) fn resolve_cdrom_alias(options: &mut Options) {
    if let Some(value) = options.remove("cdrom") {
        let medium = if value.contains("media=cdrom") {
            ""
        } else {
            ",media=cdrom"
        };
        options.insert("ide2".to_owned(), format!("{value}{medium}"));
    }
}

/// The values of a drive option by key; the form was checked before.
pub(super) fn drive_values(contract: &Contract, name: &str, text: &str) -> Options {
    contract
        .vm_option(name)
        .and_then(|schema| contract.formats().properties(schema))
        .and_then(|properties| resolve(properties, text).ok())
        .unwrap_or_default()
}

/// A request for a new volume: storage and size in GiB of `nvme-lvm:32`.
pub(super) fn allocation(file: &str) -> Option<(StorageName, f64)> {
    let (storage, size) = file.split_once(':')?;
    Some((StorageName::new(storage).ok()?, size.parse().ok()?))
}

/// Turns the given options into stored ones, allocating what is asked for.
///
/// # Errors
/// The text with which the task fails; volumes allocated so far are freed.
pub(super) fn store(state: &mut State, id: VmId, given: &Options) -> Result<Options, String> {
    let before = state.volumes.clone();
    let mut stored = Options::new();
    for (name, value) in given {
        let result = if is_drive(name) {
            store_drive(state, id, name, value)
        } else {
            Ok(store_plain(state, id, name, value))
        };
        match result {
            Ok(value) => stored.insert(name.clone(), value),
            Err(error) => {
                state.volumes = before;
                return Err(error);
            }
        };
    }
    Ok(stored)
}

fn store_plain(state: &State, id: VmId, name: &str, value: &str) -> String {
    match name {
        "tags" => value
            .parse()
            .map_or_else(|_| value.to_owned(), |tags: Tags| tags.to_string()),
        "description" => format!("{}\n", value.trim_end()),
        _ if name.starts_with("net") => store_network(state.contract, id, name, value),
        _ => value.to_owned(),
    }
}

fn store_network(contract: &Contract, id: VmId, name: &str, value: &str) -> String {
    let schema = contract
        .vm_option(name)
        .and_then(|s| contract.formats().properties(s));
    let Some(properties) = schema else {
        return value.to_owned();
    };
    let Ok(mut values) = resolve(properties, value) else {
        return value.to_owned();
    };
    values
        .entry("macaddr".to_owned())
        .or_insert_with(|| mac_of(id, name))
        .make_ascii_uppercase();
    print(properties, &values)
}

/// An address with the prefix of the Proxmox company, the same for the same card.
fn mac_of(id: VmId, name: &str) -> String {
    let hash = Sha256::digest(format!("{id} {name}"));
    format!("BC:24:11:{:02X}:{:02X}:{:02X}", hash[0], hash[1], hash[2])
}

/// A UUID, the same for the same VM.
pub(super) fn uuid_of(id: VmId, purpose: &str) -> String {
    let digits = hex(&Sha256::digest(format!("{id} {purpose}")));
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}

fn store_drive(state: &mut State, id: VmId, name: &str, text: &str) -> Result<String, String> {
    let contract = state.contract;
    let mut values = drive_values(contract, name, text);
    let file = values.get("file").cloned().unwrap_or_default();
    let cdrom = values.get("media").is_some_and(|media| media == "cdrom");
    if matches!(file.as_str(), "none" | "cdrom") {
        // An empty drive has nothing to name or measure.
    } else if let Some((storage, gib)) = allocation(&file) {
        let size = size_of_new(state, name, gib, &mut values)?;
        let volume = allocate(state, id, &storage, size, values.get("format"))?;
        values.remove("format");
        values.insert("file".to_owned(), volume.to_string());
        values.insert("size".to_owned(), shown_size(size));
    } else if cdrom && file.ends_with(":cloudinit") {
        let storage =
            StorageName::new(file.trim_end_matches(":cloudinit")).map_err(|e| e.to_string())?;
        let volume = named_volume(state, &storage, id, "cloudinit")?;
        values.insert("file".to_owned(), volume.to_string());
        values.insert("size".to_owned(), "4M".to_owned());
    } else {
        let volume = VolumeId::new(file.clone()).map_err(|error| error.to_string())?;
        let known = state.volumes.get(&volume);
        let size = known
            .ok_or_else(|| format!("volume '{file}' does not exist"))?
            .size;
        values.insert("size".to_owned(), shown_size(size));
    }
    let schema = contract
        .vm_option(name)
        .and_then(|s| contract.formats().properties(s));
    Ok(schema.map_or_else(|| text.to_owned(), |properties| print(properties, &values)))
}

/// The size in bytes; firmware disks have their own whatever is asked for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of a test"
)]
fn size_of_new(state: &State, name: &str, gib: f64, values: &mut Options) -> Result<u64, String> {
    if let Some(source) = values.remove("import-from") {
        return VolumeId::new(source.clone())
            .ok()
            .and_then(|source| state.volumes.get(&source))
            .filter(|volume| volume.content != "iso")
            .map(|volume| volume.size)
            .ok_or_else(|| format!("volume '{source}' does not exist"));
    }
    Ok(match name {
        "efidisk0" | "tpmstate0" => 4 << 20,
        _ => (gib * (1_u64 << 30) as f64) as u64,
    })
}

fn shown_size(bytes: u64) -> String {
    // The unit of a size is the largest in which it is whole.
    bytes
        .to_string()
        .parse::<Size>()
        .map_or_else(|_| bytes.to_string(), |size| size.to_string())
}

fn allocate(
    state: &mut State,
    id: VmId,
    storage: &StorageName,
    size: u64,
    format: Option<&String>,
) -> Result<VolumeId, String> {
    let target = state
        .storage(storage.as_str())
        .map_err(|_| missing(storage))?
        .clone();
    let format = format.map_or("raw", String::as_str);
    if !target.holds_files() && format != "raw" {
        return Err(format!("unsupported format '{format}'"));
    }
    let taken = |number: &usize| {
        state.volumes.values().any(|volume| {
            let stem = volume.id.file_name().split('.').next().unwrap_or_default();
            volume.id.storage() == *storage && stem == format!("vm-{id}-disk-{number}")
        })
    };
    let number = (0..).find(|number| !taken(number)).unwrap_or_default();
    let name = if target.holds_files() {
        format!("{id}/vm-{id}-disk-{number}.{format}")
    } else {
        format!("vm-{id}-disk-{number}")
    };
    add_disk(state, storage, id, &name, size)
}

fn named_volume(
    state: &mut State,
    storage: &StorageName,
    id: VmId,
    purpose: &str,
) -> Result<VolumeId, String> {
    add_disk(state, storage, id, &format!("vm-{id}-{purpose}"), 4 << 20)
}

fn add_disk(
    state: &mut State,
    storage: &StorageName,
    id: VmId,
    name: &str,
    size: u64,
) -> Result<VolumeId, String> {
    let volume = VolumeId::new(format!("{storage}:{name}")).map_err(|error| error.to_string())?;
    state.add_volume(VolumeRecord {
        size,
        vmid: Some(id),
        ..VolumeRecord::file(volume.clone(), "images", bytes::Bytes::new(), None)
    })?;
    Ok(volume)
}

fn missing(storage: &StorageName) -> String {
    format!("storage '{storage}' does not exist")
}
