//! How options become what is stored and read back: volumes get names and sizes, network cards
//! addresses, tags an order.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::check::{Release, print, resolve};
use super::contract::Contract;
use super::state::{MockStorage, State, VolumeRecord, hex};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::vm::{Size, Slot};

type Options = BTreeMap<String, String>;

/// Options as `GET …/config` has them.
pub(super) fn shown(contract: &Contract, options: &Options) -> Value {
    let mut answer = Map::new();
    for (name, value) in options {
        answer.insert(name.clone(), shown_value(contract, name, value));
    }
    answer.insert("digest".to_owned(), digest(options).into());
    Value::Object(answer)
}

/// One value: numbers and booleans as numbers, a password masked.
pub(super) fn shown_value(contract: &Contract, name: &str, value: &str) -> Value {
    let schema = contract.vm_option(name);
    let kind = schema
        .and_then(|schema| schema.get("type"))
        .and_then(Value::as_str);
    match (kind, value.parse::<u64>()) {
        (Some("integer" | "boolean"), Ok(number)) => number.into(),
        _ if name == "cipassword" => "**********".into(),
        _ => value.into(),
    }
}

/// The refusal of a digest of another state.
pub(super) const MODIFIED: &str =
    "detected modified configuration - file changed by other user? Try again.";

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

/// Options in the form in which they are stored, and what the task prints about them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) options: Options,
    pub(super) log: Vec<String>,
}

/// Turns the given options into stored ones, allocating what is asked for.
///
/// # Errors
/// The text with which the task fails; volumes allocated so far are freed.
pub(super) fn store(
    state: &mut State,
    node: &NodeName,
    id: VmId,
    given: &Options,
) -> Result<Stored, String> {
    let before = state.volumes.clone();
    let mut stored = Stored::default();
    // An empty value, which only a JSON body can have, is not stored.
    for (name, value) in given.iter().filter(|(_, value)| !value.is_empty()) {
        let result = if is_drive(name) {
            store_drive(state, node, id, (name, value), &mut stored.log)
        } else {
            Ok(store_plain(state, id, name, value))
        };
        match result {
            Ok(value) => stored.options.insert(name.clone(), value),
            Err(error) => {
                state.volumes = before;
                return Err(error);
            }
        };
    }
    Ok(stored)
}

/// The boot order of a VM that was created without one: the first disk, the first CD, the first card.
pub(super) fn default_boot_order(options: &Options) -> String {
    let drives = |cdrom: bool| {
        let buses = ["ide", "scsi", "virtio", "sata"];
        buses.iter().find_map(|bus| {
            let found = options.iter().find(|(name, value)| {
                name.starts_with(bus)
                    && name.parse::<Slot>().is_ok()
                    && value.contains("media=cdrom") == cdrom
            });
            found.map(|(name, _)| name.clone())
        })
    };
    let card = options.keys().find(|name| name.starts_with("net")).cloned();
    let devices: Vec<String> = [drives(false), drives(true), card]
        .into_iter()
        .flatten()
        .collect();
    match devices.is_empty() {
        // The real server stores a blank then.
        true => " ".to_owned(),
        false => format!("order={}", devices.join(";")),
    }
}

fn store_plain(state: &State, id: VmId, name: &str, value: &str) -> String {
    match name {
        "tags" => store_tags(state.contract.release(), value),
        "description" => value.trim_end().to_owned(),
        _ if name.starts_with("net") => store_network(state.contract, id, name, value),
        _ => store_property(state.contract, name, value),
    }
}

/// PVE 9 sorts tags; PVE 8 keeps their order.
fn store_tags(release: Release, value: &str) -> String {
    let mut tags: Vec<String> = crate::wire::split_list(value)
        .map(str::to_lowercase)
        .collect();
    if release == Release::Nine {
        tags.sort();
    }
    let mut seen = std::collections::HashSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags.join(";")
}

/// The options whose property strings the server prints again; others are stored as they were given.
fn store_property(contract: &Contract, name: &str, value: &str) -> String {
    if !matches!(name, "agent" | "smbios1") {
        return value.to_owned();
    }
    let properties = contract
        .vm_option(name)
        .and_then(|schema| contract.formats().properties(schema));
    let printed = properties.and_then(|properties| {
        let values = resolve(properties, value).ok()?;
        Some(print(properties, &values))
    });
    printed.unwrap_or_else(|| value.to_owned())
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
        .or_insert_with(|| mac_of(id, name));
    print(properties, &values)
}

/// An address with the prefix of the Proxmox company, the same for the same card.
pub(super) fn mac_of(id: VmId, name: &str) -> String {
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

fn store_drive(
    state: &mut State,
    node: &NodeName,
    id: VmId,
    (name, text): (&str, &str),
    log: &mut Vec<String>,
) -> Result<String, String> {
    let contract = state.contract;
    let mut values = drive_values(contract, name, text);
    let file = values.get("file").cloned().unwrap_or_default();
    let cdrom = values.get("media").is_some_and(|media| media == "cdrom");
    let mut allocated = false;
    if matches!(file.as_str(), "none" | "cdrom") {
        // An empty drive has nothing to name or measure.
    } else if let Some((storage, gib)) = allocation(&file) {
        let target = usable(state, node, &storage)?;
        let size = size_of_new(state, name, gib, &target, &mut values)?;
        let format = values.get("format").cloned();
        let volume = allocate(state, &target, id, size, format.as_deref())?;
        values.remove("format");
        values.insert("file".to_owned(), volume.to_string());
        values.insert("size".to_owned(), shown_size(size));
        if target.holds_files() {
            let path = target.path_of(volume.name());
            let format = format.as_deref().unwrap_or("raw");
            log.push(format!(
                "Formatting '{path}', fmt={format} size={size} preallocation=off"
            ));
        }
        allocated = true;
    } else if file.ends_with(":cloudinit") {
        let storage =
            StorageName::new(file.trim_end_matches(":cloudinit")).map_err(|e| e.to_string())?;
        let target = usable(state, node, &storage)?;
        let volume = cloud_init_volume(state, &target, id)?;
        values.insert("file".to_owned(), volume.to_string());
        values.insert("media".to_owned(), "cdrom".to_owned());
        values.insert("size".to_owned(), "4M".to_owned());
    } else {
        let volume = VolumeId::new(file.clone()).map_err(|error| error.to_string())?;
        usable(state, node, &volume.storage()).map(drop)?;
        let known = state.volume_on(node, &volume);
        let size = known
            .ok_or_else(|| format!("volume '{file}' does not exist"))?
            .size;
        values.insert("size".to_owned(), shown_size(size));
    }
    let schema = contract
        .vm_option(name)
        .and_then(|s| contract.formats().properties(s));
    let stored = schema.map_or_else(|| text.to_owned(), |properties| print(properties, &values));
    if allocated && !cdrom {
        log.push(format!("{name}: successfully created disk '{stored}'"));
    }
    Ok(stored)
}

fn usable(state: &State, node: &NodeName, storage: &StorageName) -> Result<MockStorage, String> {
    let found = state.storages.iter().find(|known| known.name == *storage);
    let found = found.ok_or_else(|| format!("storage '{storage}' does not exist"))?;
    state.check_usable(node, found)?;
    Ok(found.clone())
}

/// The size of the UEFI variable store in a file; a block storage rounds it up.
const EFI_SIZE: u64 = 528 << 10;

/// The size in bytes; firmware disks have their own whatever is asked for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of a test"
)]
fn size_of_new(
    state: &State,
    name: &str,
    gib: f64,
    target: &MockStorage,
    values: &mut Options,
) -> Result<u64, String> {
    if let Some(source) = values.remove("import-from") {
        let volume = VolumeId::new(source.clone()).map_err(|error| error.to_string())?;
        return match state.volumes.get(&volume) {
            Some(known) if known.content != "iso" => Ok(known.size),
            _ => Err(missing_source(state, &volume)),
        };
    }
    Ok(match name {
        "efidisk0" if target.holds_files() => EFI_SIZE,
        "efidisk0" | "tpmstate0" => 4 << 20,
        _ => (gib * (1_u64 << 30) as f64) as u64,
    })
}

fn missing_source(state: &State, volume: &VolumeId) -> String {
    match state.storage(volume.storage().as_str()) {
        Ok(storage) if storage.holds_files() => {
            format!("failed to stat '{}'", storage.path_of(volume.name()))
        }
        _ => format!("volume '{volume}' does not exist"),
    }
}

/// Sizes of files are counted in sectors.
pub(super) fn shown_size(bytes: u64) -> String {
    let bytes = bytes.next_multiple_of(512);
    // The unit of a size is the largest in which the size is whole.
    bytes
        .to_string()
        .parse::<Size>()
        .map_or_else(|_| bytes.to_string(), |size| size.to_string())
}

/// Allocates the next free disk of a VM.
pub(super) fn allocate(
    state: &mut State,
    target: &MockStorage,
    id: VmId,
    size: u64,
    format: Option<&str>,
) -> Result<VolumeId, String> {
    let storage = &target.name;
    let format = format.unwrap_or("raw");
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

fn cloud_init_volume(
    state: &mut State,
    target: &MockStorage,
    id: VmId,
) -> Result<VolumeId, String> {
    let name = match target.holds_files() {
        true => format!("{id}/vm-{id}-cloudinit.qcow2"),
        false => format!("vm-{id}-cloudinit"),
    };
    add_disk(state, &target.name, id, &name, 4 << 20)
}

pub(super) fn add_disk(
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
