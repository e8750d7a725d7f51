//! Resizing and moving disks.

use super::{set_drive_value, start, vm_of, volume_in};
use crate::id::VolumeId;
use crate::mock::event::MockEvent;
use crate::mock::handler::Context;
use crate::mock::reply::{Refusal, Reply};
use crate::mock::state::{MockVm, State};
use crate::mock::vm::{check_lock, check_unlocked};
use crate::mock::vm_config::{self, shown_size};

/// Everything about the disk is found out by the task.
pub(in crate::mock) fn resize(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let (disk, size) = (
        context.param("disk").to_owned(),
        context.param("size").to_owned(),
    );
    let digest = context.optional("digest").map(str::to_owned);
    let effect = move |state: &mut State| {
        let vm = vm_of(state, id)?;
        check_lock(vm)?;
        if digest.is_some_and(|digest| digest != vm_config::digest(&vm.options)) {
            return Err(vm_config::MODIFIED.to_owned());
        }
        let text = vm.options.get(&disk);
        let text = text.ok_or_else(|| format!("disk '{disk}' does not exist"))?;
        if text.contains("media=cdrom") {
            return Err("you can't resize a cdrom".to_owned());
        }
        let volume = volume_in(state, vm, &disk);
        let volume = volume.ok_or_else(|| format!("disk '{disk}' does not exist"))?;
        let now = state.volumes.get(&volume).map_or(0, |record| record.size);
        let wanted = match size.strip_prefix('+') {
            Some(more) => now + bytes(more),
            None => bytes(&size),
        };
        if wanted < now {
            return Err("shrinking disks is not supported".to_owned());
        }
        if let Some(record) = state.volumes.get_mut(&volume) {
            record.size = wanted;
        }
        set_drive_value(state, id, &disk, "size", &shown_size(wanted));
        state.emit(&MockEvent::VmChanged { vmid: id });
        Ok(vec!["Image resized.".to_owned()])
    };
    start(context, state, "resize", Box::new(effect))
}

fn bytes(text: &str) -> u64 {
    text.parse::<crate::vm::Size>()
        .map_or(0, crate::vm::Size::bytes)
}

pub(in crate::mock) fn move_disk(context: &Context<'_>, state: &mut State) -> Reply {
    let id = context.vm_id()?;
    let disk = context.param("disk").to_owned();
    let vm = state.vm(context.param("node"), id)?;
    check_unlocked(vm)?;
    check_digest(context, vm)?;
    let old = movable(context, state, vm, &disk)?;
    let node = vm.node.clone();
    let target = state
        .image_storage(&node, context.param("storage"))?
        .clone();
    context.caller.require(
        &format!("/storage/{}", target.name),
        &["Datastore.AllocateSpace"],
    )?;
    let format = context.optional("format").map(str::to_owned);
    let delete = context.optional("delete") == Some("1");
    let effect = move |state: &mut State| {
        check_lock(vm_of(state, id)?)?;
        let size = state.volumes.get(&old).map_or(0, |record| record.size);
        let new = vm_config::allocate(state, &target, id, size, format.as_deref())?;
        set_drive_value(state, id, &disk, "file", new.as_str());
        if delete {
            state.volumes.remove(&old);
        } else if let Some(vm) = state.vms.get_mut(&id) {
            let free = (0..256).map(|number| format!("unused{number}"));
            if let Some(slot) = free.into_iter().find(|slot| !vm.options.contains_key(slot)) {
                vm.options.insert(slot, old.to_string());
            }
        }
        state.emit(&MockEvent::VmChanged { vmid: id });
        Ok(vec![format!("create full clone of drive {disk} ({old})")])
    };
    start(context, state, "qmmove", Box::new(effect))
}

/// The volume of a disk that can be moved to the storage of the call (read in `move_vm_disk` of qemu-server 9.2.6).
fn movable(
    context: &Context<'_>,
    state: &State,
    vm: &MockVm,
    disk: &str,
) -> Result<VolumeId, Refusal> {
    let died = |text: &str| Err(Refusal::died(text));
    let Some(text) = vm.options.get(disk) else {
        return Err(Refusal::died(format!("disk '{disk}' does not exist")));
    };
    let is_cdrom = text.contains("media=cdrom") && !text.contains("cloudinit");
    let old = match volume_in(state, vm, disk) {
        _ if is_cdrom => return died("you can't move a cdrom"),
        Some(old) => old,
        None => {
            return Err(Refusal::died(format!(
                "disk '{disk}' has no associated volume"
            )));
        }
    };
    let format = old
        .name()
        .rsplit_once('.')
        .map_or("raw", |(_, format)| format);
    let same_format = context
        .optional("format")
        .is_none_or(|wanted| wanted == format);
    if old.storage().as_str() == context.param("storage") && same_format {
        return died("you can't move to the same storage with same format");
    }
    Ok(old)
}

fn check_digest(context: &Context<'_>, vm: &MockVm) -> Result<(), Refusal> {
    match context.optional("digest") {
        Some(digest) if digest != vm_config::digest(&vm.options) => {
            Err(Refusal::died(vm_config::MODIFIED))
        }
        _ => Ok(()),
    }
}
