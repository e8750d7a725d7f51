//! VMs made from backups.
//!
//! No restore is recorded. Order of the checks, texts, and what is left of a restore that failed were read in the Perl of
//! qemu-server 9.2.6 (`e6352be`): `create_vm` in `PVE/API2/Qemu.pm`, `restore_vma_archive` in `PVE/QemuServer.pm`; in
//! `check_volume_access` of pve-storage (`0c56bad`); in `create_and_lock_config` of pve-guest-common.

mod access;

use std::collections::{BTreeMap, BTreeSet};

use super::event::MockEvent;
use super::handler::Context;
use super::reply::{Refusal, Reply};
use super::state::{MockVm, State};
use super::task::{self, Cleanup, Effect, TaskSubject};
use super::vm::{check_free, check_option_privileges, only_root_passes_paths};
use super::vm_config::{self, drive_values, is_drive};
use super::{check, power};
use crate::id::{NodeName, VmId, VolumeId};

use access::{Rights, check_access, check_call};

type Options = BTreeMap<String, String>;

/// Creates a VM from a backup. `given` are the options that replace those of the backup.
pub(super) fn restore(
    context: &Context<'_>,
    state: &mut State,
    archive: &str,
    given: Options,
) -> Reply {
    let id = context.vm_id()?;
    let node = state.node(context.param("node"))?;
    let flag = |name: &str| context.optional(name) == Some("1");
    let replaces = flag("force") && state.vms.contains_key(&id);
    let rights = check_call(context, state, id, replaces)?;
    if let Some(name) = given.keys().find(|name| is_drive(name)) {
        let problem = "option conflicts with option 'archive'";
        return Err(Refusal::parameter(name, problem));
    }
    let saved = archived(context, state, &node, id, archive)?;
    check_option_privileges(context.caller, state, &rights, &given)?;
    match replaces {
        true => check_unlocked(state, id)?,
        false => check_free(state, id, "restore")?,
    }
    let plan = Restore {
        id,
        node: node.clone(),
        command: command(state, archive),
        storage: context.optional("storage").map(str::to_owned),
        pool: context.optional("pool").map(str::to_owned),
        unique: flag("unique"),
        live: flag("live-restore"),
        start: flag("start"),
        options: saved.into_iter().chain(given).collect(),
    };
    let subject = TaskSubject::of(context, "qmrestore", id, &node);
    let vm = state.vms.entry(id);
    let vm = vm.or_insert_with(|| MockVm::new(node.clone(), Options::new()));
    vm.options.insert("lock".to_owned(), "create".to_owned());
    let rights = Rights::of(context);
    let work: Effect = Box::new(move |state| {
        let restored = plan.run(state, &rights);
        unlock(state, id);
        restored
    });
    let clean_up: Cleanup = Box::new(move |state| unlock(state, id));
    task::start_with_cleanup(context.shared, state, &subject, (work, clean_up))
}

/// What a failed restore does about its VM: "VM state is NOT cleaned up". A new VM is left without options.
fn unlock(state: &mut State, id: VmId) {
    if let Some(vm) = state.vms.get_mut(&id) {
        vm.options.remove("lock");
    }
}

fn check_unlocked(state: &State, id: VmId) -> Result<(), Refusal> {
    let vm = state.vms.get(&id);
    match vm.and_then(|vm| vm.options.get("lock")) {
        Some(lock) => Err(Refusal::died(format!(
            "unable to restore VM {id} - VM is locked ({lock})"
        ))),
        None => Ok(()),
    }
}

/// The options in a backup that the caller may read.
fn archived(
    context: &Context<'_>,
    state: &State,
    node: &NodeName,
    id: VmId,
    archive: &str,
) -> Result<Options, Refusal> {
    let caller = context.caller;
    let Ok(volume) = VolumeId::new(archive) else {
        return Err(match caller.is_root_with_password() {
            true => Refusal::died(format!("can't find file '{archive}'")),
            false => only_root_passes_paths(state),
        });
    };
    let name = volume.storage();
    state.storage(name.as_str())?;
    if !volume.name().starts_with("backup/") {
        return Err(Refusal::died(format!(
            "unable to use volume {volume} - content type needs to be 'backup'"
        )));
    }
    check_access(context, &volume, id)?;
    state.usable_storage(node, name.as_str())?;
    let found = state.backups.get(&volume).cloned();
    found.ok_or_else(|| Refusal::died(format!("volume '{archive}' does not exist")))
}

fn command(state: &State, archive: &str) -> String {
    const TEMPORARY: &str = "/var/tmp/vzdumptmp239345";
    let (storage, name) = archive.split_once(':').unwrap_or_default();
    let path = state.storage(storage).map(|storage| storage.path_of(name));
    let path = path.unwrap_or_default();
    let extract = |from: &str| format!("vma extract -v -r {TEMPORARY}.fifo {from} {TEMPORARY}");
    let reader = match name.rsplit_once(".vma.") {
        Some((_, "zst")) => "zstd -q -d -c",
        Some((_, "gz")) => "zcat",
        Some((_, "lzo")) => "lzop -d -c",
        _ => return extract(&path),
    };
    format!("set -o pipefail && {reader} {path} | {}", extract("-"))
}

struct Restore {
    id: VmId,
    node: NodeName,
    /// The command that reads the backup: what fails while it runs has it in its text.
    command: String,
    storage: Option<String>,
    pool: Option<String>,
    unique: bool,
    live: bool,
    start: bool,
    options: Options,
}

impl Restore {
    fn run(mut self, state: &mut State, rights: &Rights) -> Result<Vec<String>, String> {
        let id = self.id;
        check_replaceable(state, id)?;
        if self.live {
            return Err(
                "live-restore is only compatible with backup images from a Proxmox Backup Server"
                    .to_owned(),
            );
        }
        let command = std::mem::take(&mut self.command);
        let failed = |text: String| format!("command '{command}' failed: {text}");
        self.prepare(state, rights).map_err(failed)?;
        let old = state.vms.get(&id).map(|vm| vm.options.clone());
        let kept = self.free_replaced(state, &old.unwrap_or_default());
        let stored = vm_config::store(state, &self.node, id, &self.options).map_err(failed)?;
        let mut vm = MockVm::new(self.node, stored.options);
        for (number, volume) in kept.iter().enumerate() {
            vm.options
                .insert(format!("unused{number}"), volume.to_string());
        }
        state.vms.insert(id, vm);
        if let Some(pool) = self.pool {
            state.pools.add_vm(&pool, id);
        }
        state.emit(&MockEvent::VmCreated { vmid: id });
        let mut log = stored.log;
        if self.start {
            log.push("Execute autostart".to_owned());
            // A start that fails is no failure of the restore.
            log.extend(power::start(state, id).unwrap_or_default());
        }
        Ok(log)
    }

    /// Makes the options of the backup into those of the VM: new disks of the same size, and not what a copy must not have.
    fn prepare(&mut self, state: &State, rights: &Rights) -> Result<(), String> {
        let contract = state.contract;
        self.options
            .retain(|name, _| !matches!(name.as_str(), "lock" | "parent" | "template"));
        self.options.retain(|name, _| !name.starts_with("unused"));
        let drives: Vec<String> = self
            .options
            .keys()
            .filter(|name| is_drive(name))
            .cloned()
            .collect();
        for name in drives {
            let text = self.options.get(&name).cloned().unwrap_or_default();
            let values = drive_values(contract, &name, &text);
            match self.plan_drive(state, rights, &name, values)? {
                Drive::Unchanged => {}
                Drive::New(value) => drop(self.options.insert(name, value)),
                Drive::NotInBackup => {
                    self.options.remove(&name);
                    // The line becomes a comment of the file, and so a part of the description.
                    let notes = self.options.entry("description".to_owned()).or_default();
                    let separator = if notes.is_empty() { "" } else { "\n" };
                    notes.push_str(&format!("{separator}{name}: {text}"));
                }
            }
        }
        if let Some(generation) = self.options.get_mut("vmgenid").filter(|id| *id != "0") {
            *generation = vm_config::uuid_of(self.id, "restored generation");
        }
        if self.unique {
            self.make_unique(state);
        }
        Ok(())
    }

    fn plan_drive(
        &self,
        state: &State,
        rights: &Rights,
        name: &str,
        mut values: Options,
    ) -> Result<Drive, String> {
        let file = values.get("file").cloned().unwrap_or_default();
        let is_cloud_init = file.contains("cloudinit");
        let is_cdrom = values.get("media").is_some_and(|media| media == "cdrom");
        if is_cdrom && !is_cloud_init {
            return Ok(Drive::Unchanged);
        }
        if values.get("backup").is_some_and(|backup| backup == "0") {
            return Ok(Drive::NotInBackup);
        }
        let Some((own, _)) = file.split_once(':') else {
            return Ok(Drive::Unchanged);
        };
        let storage = self.storage.as_deref().unwrap_or(own);
        rights.check_storage(state, storage)?;
        if is_cloud_init {
            return Ok(Drive::New(format!("{storage}:cloudinit")));
        }
        let size = values.remove("size").unwrap_or_default();
        values.remove("format");
        values.insert("file".to_owned(), format!("{storage}:{}", gib(&size)));
        let schema = state.contract.vm_option(name);
        let properties = schema.and_then(|schema| state.contract.formats().properties(schema));
        Ok(match properties {
            Some(properties) => Drive::New(check::print(properties, &values)),
            None => Drive::Unchanged,
        })
    }

    fn make_unique(&mut self, state: &State) {
        for (name, value) in &mut self.options {
            if name.starts_with("net") {
                *value = without_address(value);
            }
        }
        let contract = state.contract;
        let schema = contract.vm_option("smbios1");
        let properties = schema.and_then(|schema| contract.formats().properties(schema));
        if let (Some(text), Some(properties)) = (self.options.get_mut("smbios1"), properties) {
            let mut values = check::resolve(properties, text).unwrap_or_default();
            values.insert("uuid".to_owned(), vm_config::uuid_of(self.id, "restored"));
            *text = check::print(properties, &values);
        }
    }

    /// Frees the disks of the old VM whose slots the backup fills; the others are kept, unused.
    fn free_replaced(&self, state: &mut State, old: &Options) -> Vec<VolumeId> {
        let contract = state.contract;
        let mut freed = BTreeSet::new();
        for (name, text) in old.iter().filter(|(name, _)| is_drive(name)) {
            let file = drive_values(contract, name, text).remove("file");
            let volume = file.and_then(|file| VolumeId::new(file.as_str()).ok());
            if let Some(volume) = volume.filter(|_| self.options.contains_key(name)) {
                freed.insert(volume);
            }
        }
        let id = self.id;
        let own = |volume: &VolumeId, state: &State| {
            let record = state.volumes.get(volume);
            record.is_some_and(|record| record.vmid == Some(id) && record.content != "backup")
        };
        for volume in freed
            .iter()
            .filter(|volume| own(volume, state))
            .collect::<Vec<_>>()
        {
            state.volumes.remove(volume);
        }
        let left = state.volumes.keys().filter(|volume| own(volume, state));
        left.cloned().collect()
    }
}

/// What becomes of a drive of the backup.
enum Drive {
    Unchanged,
    New(String),
    NotInBackup,
}

/// A network card that gets a new address.
fn without_address(value: &str) -> String {
    let parts: Vec<String> = value
        .split(',')
        .map(|part| match part.split_once('=') {
            Some((model, address)) if address.matches(':').count() == 5 => model.to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    parts.join(",")
}

#[expect(clippy::cast_precision_loss, reason = "sizes of a test")]
fn gib(size: &str) -> f64 {
    let bytes = size
        .parse::<crate::vm::Size>()
        .map_or(0, crate::vm::Size::bytes);
    bytes as f64 / (1_u64 << 30) as f64
}

fn check_replaceable(state: &State, id: VmId) -> Result<(), String> {
    let failed = format!("unable to restore VM {id} -");
    let vm = state.vms.get(&id);
    let vm = vm.ok_or_else(|| format!("{failed} the VM was removed meanwhile"))?;
    if vm.options.get("protection").is_some_and(|set| set == "1") {
        // The hyphen is twice in the server's text.
        return Err(format!("{failed} - protection mode enabled"));
    }
    match vm.running {
        true => Err(format!("{failed} vm is running")),
        false => Ok(()),
    }
}
