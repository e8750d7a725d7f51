//! The configuration of a machine as user data: on its drive before its VM starts, and nowhere once the node is installed.

use proxmox_client::id::StorageName;
use proxmox_client::storage::{Content, VolumeInfo};
use proxmox_client::vm::{ConfigUpdate, Vm};
use secrecy::ExposeSecret as _;

use super::machine::RunningMachine;
use crate::desired::DesiredMachine;
use crate::desired::ownership::MachineUuid;
use crate::desired::user_data::{self, Delivery, Snippet};
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::{installed, proxmox_task};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};
use crate::state::snippets::SnippetStore;

/// The user data of a machine whose VM does not run yet.
pub(crate) struct UserData<'a> {
    machine: &'a DesiredMachine,
    storage: &'a StorageName,
    store: &'a dyn SnippetStore,
    snippets: [Snippet; 2],
}

impl<'a> UserData<'a> {
    /// The user data of the machine; `None` when it gets its configuration over the network. Writes nothing.
    pub(crate) fn of(context: &'a Context, machine: &'a DesiredMachine) -> Result<Option<Self>> {
        let Delivery::UserData(storage) = &machine.delivery else {
            return Ok(None);
        };
        let store = context.snippets(storage)?;
        let bundle = &context.record()?.bundle;
        let config = context.desired().machine_config(machine, bundle)?;
        Ok(Some(Self {
            machine,
            storage,
            store,
            snippets: user_data::snippets(machine, &config.to_yaml())?,
        }))
    }

    /// Writes the files and names them in the VM, which must not run: it reads them when it starts.
    pub(crate) async fn deliver(&self, context: &Context, vm: &Vm) -> Result<()> {
        for snippet in &self.snippets {
            self.write(context, snippet).await?;
        }
        if let Err(error) = self.wait_for_listing(context, vm).await {
            // It is not known who can read the folder.
            remove(context, self.store, self.machine).await?;
            return Err(error);
        }
        self.name_in(context, vm).await?;
        context.note(format!(
            "{}: the configuration is on storage {} as user data",
            self.machine.spec.name, self.storage
        ));
        Ok(())
    }

    async fn write(&self, context: &Context, snippet: &Snippet) -> Result<()> {
        let (store, name) = (self.store, snippet.name.as_str());
        match store.read(name).await? {
            None => {
                context.before_effect().await?;
                store.create(name, &snippet.content).await?;
            }
            Some(found) if !user_data::is_ours(self.machine.uuid, &found) => {
                return Err(not_ours(store, name));
            }
            Some(found) if found.expose_secret() == snippet.content.expose_secret() => {}
            Some(_) => {
                context.before_effect().await?;
                store.replace(name, &snippet.content).await?;
            }
        }
        Ok(())
    }

    /// The proof that the folder is that of the storage: Proxmox VE lists what was written, with its length.
    async fn wait_for_listing(&self, context: &Context, vm: &Vm) -> Result<()> {
        let what = format!(
            "user data of {} on {}",
            self.machine.spec.name, self.storage
        );
        Wait::new(what, context, context.timing().request)
            .until(context, || async {
                let listed = listed(context, vm, self.storage).await?;
                let is_listed = |snippet: &&Snippet| {
                    let size = snippet.content.expose_secret().len() as u64;
                    let found = listed
                        .iter()
                        .find(|file| file.id.file_name() == snippet.name);
                    found.is_some_and(|file| file.size.is_none_or(|found| found == size))
                };
                let missing = self.snippets.iter().find(|snippet| !is_listed(snippet));
                Ok(match missing {
                    None => Probed::Ready(()),
                    Some(missing) => Probed::Pending(format!("it does not list {}", missing.name)),
                })
            })
            .await
            .map_err(|error| self.not_listed(vm, error))
    }

    fn not_listed(&self, vm: &Vm, error: Error) -> Error {
        if error.kind() != ErrorKind::Deadline {
            return error;
        }
        Error::new(ErrorKind::Conflict, "deliver the user data")
            .with_target(self.machine.spec.name.clone())
            .with_message(format!(
                "node {} does not list what was written into the {}: it is not the folder of the snippets of storage {}. \
                 The VM was not started, and the files are removed again",
                vm.node(),
                self.store.describe(),
                self.storage
            ))
            .with_hint("Give the folder `snippets` below the path of the storage, mounted from the same file system.")
            .with_source(error)
    }

    async fn name_in(&self, context: &Context, vm: &Vm) -> Result<()> {
        let wanted = user_data::option(self.storage, self.machine.uuid);
        let config = vm.config().await?;
        if config.option(user_data::OPTION) == Some(wanted.as_str()) {
            return Ok(());
        }
        let update = ConfigUpdate::new().option(user_data::OPTION, wanted);
        change(context, vm, &update).await
    }
}

/// The snippets on the storage, as the node of the VM sees them.
async fn listed(context: &Context, vm: &Vm, storage: &StorageName) -> Result<Vec<VolumeInfo>> {
    let node = context.clients().proxmox.node(vm.node().clone());
    let storage = node.storage(storage.clone());
    Ok(storage.content(Some(Content::Snippets)).await?)
}

async fn change(context: &Context, vm: &Vm, update: &ConfigUpdate) -> Result<()> {
    context.before_effect().await?;
    if let Some(task) = vm.update(update).await? {
        let limit = context.timing().task;
        proxmox_task::finish(context, "the VM to be updated", &task, limit).await?;
    }
    Ok(())
}

fn not_ours(store: &dyn SnippetStore, name: &str) -> Error {
    Error::new(ErrorKind::NotOurs, "deliver the user data")
        .with_target(format!("{name} in the {}", store.describe()))
        .with_message(
            "a file of this name exists that was not written for the machine. It was not changed.",
        )
        .with_hint("Remove the file if it is not needed.")
}

/// The node of a machine took its user data, and has installed itself.
pub(crate) struct Delivered<'a> {
    pub(crate) machine: &'a DesiredMachine,
    pub(crate) running: &'a RunningMachine,
    pub(crate) found: &'a FoundNode,
    pub(crate) identity: &'a Identity,
}

impl Step for Delivered<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Check;
    type Output = ();

    /// Returns also for a node in maintenance mode, with a warning: it gets its configuration over the network.
    async fn observe(&self, context: &Context) -> Result<Observation<()>> {
        let name = &self.machine.spec.name;
        let is_named = storage_named(self.machine, self.running).is_some();
        match (&self.machine.delivery, self.found, is_named) {
            (Delivery::UserData(_), FoundNode::Maintenance { .. }, true) => context.warn(format!(
                "{name} is in maintenance mode although its VM has user data: its drive was not made from them. It gets its \
                 configuration over the network."
            )),
            (Delivery::UserData(_), FoundNode::Maintenance { .. }, false) => context.warn(format!(
                "{name} is in maintenance mode: its VM was started without user data. It gets its configuration over the \
                 network."
            )),
            (_, FoundNode::Configured { .. }, true) => {
                installed::wait(context, self.identity, self.machine).await?;
            }
            _ => {}
        }
        Ok(Observation::Done(()))
    }

    fn summary(&self, (): &()) -> String {
        String::new()
    }
}

/// The storage of the user data that the VM had when it was looked at.
fn storage_named(machine: &DesiredMachine, running: &RunningMachine) -> Option<StorageName> {
    let option = running.config.option(user_data::OPTION)?;
    user_data::storage_of(machine.uuid, option)
}

/// No drive and no storage has the configuration of the machine, whose node runs from its disk.
pub(crate) struct Withdraw<'a> {
    pub(crate) machine: &'a DesiredMachine,
    pub(crate) running: &'a RunningMachine,
    pub(crate) identity: &'a Identity,
}

impl Step for Withdraw<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Act;
    type Output = ();

    async fn observe(&self, context: &Context) -> Result<Observation<()>> {
        let left = self.left(context).await?;
        Ok(match left.first() {
            None => Observation::Done(()),
            Some(place) => Observation::absent(format!(
                "the configuration of {} is still user data: {place}",
                self.machine.spec.name
            )),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        installed::wait(context, self.identity, self.machine).await?;
        self.clear_drive(context).await?;
        for (_, store) in context.all_snippets() {
            remove(context, store, self.machine).await?;
        }
        self.wait_until_unlisted(context).await?;
        context.note(format!(
            "{}: installed, and its user data are removed",
            self.machine.spec.name
        ));
        Ok(())
    }

    fn summary(&self, (): &()) -> String {
        String::new()
    }
}

impl Withdraw<'_> {
    /// Where the configuration is. The files are removed last, so a drive without its option and no file is a clean drive.
    async fn left(&self, context: &Context) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let named = match &self.machine.delivery {
            Delivery::UserData(_) => self.named_now().await?,
            Delivery::Maintenance => match storage_named(self.machine, self.running) {
                Some(_) => self.named_now().await?,
                None => None,
            },
        };
        if let Some(storage) = named {
            left.push(format!("VM {} names it", self.running.vm.id()));
            if context.snippets(&storage).is_err() {
                context.warn(format!(
                    "{}: the folder of storage {storage} is not given. Remove {} there by hand: they hold the secrets of the \
                     cluster.",
                    self.machine.spec.name,
                    user_data::names(self.machine.uuid).join(" and ")
                ));
            }
        }
        if let Some(name) = self.still_listed(context).await? {
            left.push(format!("Proxmox VE lists {name}"));
        }
        for (storage, store) in context.all_snippets() {
            if !own_files(store, self.machine.uuid).await?.is_empty() {
                left.push(format!("storage {storage} has it"));
            }
        }
        Ok(left)
    }

    /// A file of the machine that its node sees on the storage, whatever is in the folder that was given.
    async fn still_listed(&self, context: &Context) -> Result<Option<String>> {
        let Delivery::UserData(storage) = &self.machine.delivery else {
            return Ok(None);
        };
        let listed = listed(context, &self.running.vm, storage).await?;
        let names = user_data::names(self.machine.uuid);
        let is_listed = |name: &String| listed.iter().any(|file| file.id.file_name() == name);
        Ok(names.into_iter().find(is_listed))
    }

    async fn wait_until_unlisted(&self, context: &Context) -> Result<()> {
        let name = &self.machine.spec.name;
        let what = format!("the user data of {name} to be gone");
        let ended = Wait::new(what, context, context.timing().request)
            .until(context, || async {
                Ok(match self.still_listed(context).await? {
                    None => Probed::Ready(()),
                    Some(file) => Probed::Pending(format!("Proxmox VE lists {file}")),
                })
            })
            .await;
        ended.map_err(|error| match error.kind() {
            ErrorKind::Deadline => error.with_hint(
                "The folder that was given is not the one that the node reads, or another run wrote into another one. Remove \
                 the file there: it holds the secrets of the cluster.",
            ),
            _ => error,
        })
    }

    async fn named_now(&self) -> Result<Option<StorageName>> {
        let config = self.running.vm.config().await?;
        let option = config.option(user_data::OPTION);
        Ok(option.and_then(|option| user_data::storage_of(self.machine.uuid, option)))
    }

    /// Takes the option from the VM and writes its drive again. Proxmox VE gives the new drive to a running VM at once.
    async fn clear_drive(&self, context: &Context) -> Result<()> {
        let vm = &self.running.vm;
        if self.named_now().await?.is_some() {
            let update = ConfigUpdate::new().delete(user_data::OPTION);
            change(context, vm, &update).await?;
        }
        context.before_effect().await?;
        Ok(vm.regenerate_cloud_init().await?)
    }
}

async fn remove(
    context: &Context,
    store: &dyn SnippetStore,
    machine: &DesiredMachine,
) -> Result<()> {
    for name in own_files(store, machine.uuid).await? {
        context.before_effect().await?;
        store.remove(&name).await?;
    }
    Ok(())
}

/// The files in the folder that were written for the machine with this UUID, whole or not.
pub(crate) async fn own_files(store: &dyn SnippetStore, uuid: MachineUuid) -> Result<Vec<String>> {
    let mut own = Vec::new();
    for name in user_data::names(uuid) {
        if store.is_absent(&name).await? {
            continue;
        }
        match store.read(&name).await? {
            Some(found) if !user_data::is_ours(uuid, &found) => {}
            _ => own.push(name),
        }
    }
    Ok(own)
}
