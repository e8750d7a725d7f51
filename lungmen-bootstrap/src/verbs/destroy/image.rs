//! The ISO: deleted where a run of this cluster stored it and no VM has it in a drive.

use proxmox_client::ErrorKind as ProxmoxKind;
use proxmox_client::cluster::GuestKind;
use proxmox_client::id::VolumeId;

use super::teardown::Teardown;
use crate::desired::NodeStorage;
use crate::desired::release::Iso;
use crate::error::Result;
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::step::StepId;
use crate::steps::image;

impl Teardown {
    pub(super) async fn isos(&mut self) -> Result<()> {
        let context = self.context.for_step(StepId::Image);
        for iso in context.desired().isos() {
            self.iso(&context, &iso).await?;
        }
        Ok(())
    }

    async fn iso(&mut self, context: &Context, iso: &Iso) -> Result<()> {
        let Some(found) = image::find(context, iso).await? else {
            return Ok(());
        };
        let what = iso.to_string();
        if !image::was_started(context, iso).await? {
            self.keep(
                what,
                "the journal does not say that a run of this cluster stored it",
            );
            return Ok(());
        }
        let users = match users(context, found.id.as_ref()).await {
            Ok(users) => users,
            Err(error) => {
                let cause = error.cause_line();
                self.keep(what, format!("whether a VM uses it is unknown: {cause}"));
                return Ok(());
            }
        };
        if !users.is_empty() {
            self.keep(what, format!("it is in a drive of {}", users.join(", ")));
            return Ok(());
        }
        self.announce(StepId::Image, &what).await?;
        match delete(context, &iso.at, &found.id).await {
            Ok(()) => {}
            // A run needs no such right, so the token may lack it.
            Err(error) if error.kind() == ProxmoxKind::Forbidden => {
                self.keep(what, format!("the token may not delete it: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        context.note(format!("{what} is deleted"));
        self.removed(
            what,
            "the journal says that a run of this cluster stored it",
        );
        Ok(())
    }
}

async fn delete(
    context: &Context,
    place: &NodeStorage,
    volume: &VolumeId,
) -> proxmox_client::Result<()> {
    let storage = image::storage(context, place);
    match storage.delete(volume).await? {
        Some(task) => {
            let limit = context.timing().task;
            proxmox_task::finish(context, "the ISO to be deleted", &task, limit).await
        }
        None => Ok(()),
    }
}

/// The VMs of the whole Proxmox VE cluster that name the volume. Those that the token may not see are not among them.
async fn users(context: &Context, volume: &str) -> Result<Vec<String>> {
    let proxmox = &context.clients().proxmox;
    let mut users = Vec::new();
    let guests = proxmox.cluster().guests().await?;
    for guest in guests.iter().filter(|guest| guest.kind == GuestKind::Vm) {
        let vm = proxmox.node(guest.node.clone()).vm(guest.vmid);
        let Some(config) = vm.find_config().await? else {
            continue;
        };
        let names = |value: &str| value.split(',').next() == Some(volume);
        if config.options().any(|(_, value)| names(value)) {
            users.push(format!("VM {}", guest.vmid));
        }
    }
    Ok(users)
}
