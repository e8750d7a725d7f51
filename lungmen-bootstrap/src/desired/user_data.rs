//! The configuration of a machine as nocloud user data: the files on the storage for snippets, and whose they are.

use proxmox_client::id::{StorageName, VolumeId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::desired::DesiredMachine;
use crate::desired::ownership::MachineUuid;
use crate::error::{Error, ErrorKind, Result};

/// The option of a VM that replaces the files of its cloud-init drive.
pub(crate) const OPTION: &str = "cicustom";

/// More than this in one file, and the VM does not start (qemu-server 9.2.6, `read_cloudinit_snippets_file`).
const LARGEST: usize = 1 << 20;

/// How a machine gets its configuration for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Over the network, in maintenance mode.
    Maintenance,
    /// As user data from this storage for snippets.
    UserData(StorageName),
}

impl Delivery {
    /// The storage of the user data.
    pub(crate) fn storage(&self) -> Option<&StorageName> {
        match self {
            Self::Maintenance => None,
            Self::UserData(storage) => Some(storage),
        }
    }
}

/// A file for the cloud-init drive of a machine.
#[derive(Debug)]
pub(crate) struct Snippet {
    pub(crate) name: String,
    pub(crate) content: SecretString,
}

/// The names of the files of a machine. Nobody guesses them: the UUID follows from the id of the cluster.
pub(crate) fn names(uuid: MachineUuid) -> [String; 2] {
    ["user", "meta"].map(|part| format!("lungmen-{uuid}.{part}.yaml"))
}

/// The files of a machine with this configuration.
///
/// The meta data give the node the name of its VM. Those of Proxmox VE do not, and its user data, where Talos looks next, are
/// replaced; without the name the node would change its own when they are back.
///
/// # Errors
/// `InvalidInput` for a configuration that is larger than the server reads.
pub(crate) fn snippets(machine: &DesiredMachine, config: &SecretString) -> Result<[Snippet; 2]> {
    let uuid = machine.uuid;
    let user = format!("{}\n{}", marker(uuid), config.expose_secret());
    if user.len() > LARGEST {
        return Err(Error::new(ErrorKind::InvalidInput, "make the user data")
            .with_target(machine.spec.name.clone())
            .with_message(format!(
                "the configuration has {} bytes; Proxmox VE reads user data of at most {LARGEST} bytes",
                config.expose_secret().len()
            ))
            .with_hint("Shorten the patches of the machine, or set machines[].configDelivery to maintenance."));
    }
    let meta = format!(
        "{}\ninstance-id: {uuid}\nlocal-hostname: {}\n",
        marker(uuid),
        machine.host()
    );
    let [user_name, meta_name] = names(uuid);
    Ok(
        [(user_name, user), (meta_name, meta)].map(|(name, content)| Snippet {
            name,
            content: content.into(),
        }),
    )
}

/// The first line of the files, by which they prove that they belong to the machine.
fn marker(uuid: MachineUuid) -> String {
    format!("# lungmen machine {uuid}")
}

/// Whether a file of the name of the machine was written for it.
pub(crate) fn is_ours(uuid: MachineUuid, content: &SecretString) -> bool {
    content.expose_secret().lines().next() == Some(&marker(uuid))
}

/// The value of [`OPTION`] for the files of the machine on this storage.
pub(crate) fn option(storage: &StorageName, uuid: MachineUuid) -> String {
    let [user, meta] = names(uuid);
    format!("user={storage}:snippets/{user},meta={storage}:snippets/{meta}")
}

/// The storage of the files of the machine, when the value of [`OPTION`] names one of them.
pub(crate) fn storage_of(uuid: MachineUuid, option: &str) -> Option<StorageName> {
    let names = names(uuid);
    option.split(',').find_map(|part| {
        let volume = VolumeId::new(part.split_once('=')?.1).ok()?;
        let is_ours = names.iter().any(|name| volume.file_name() == name);
        is_ours.then(|| volume.storage())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(machine: &str) -> MachineUuid {
        MachineUuid::derive("the id", machine)
    }

    fn storage() -> StorageName {
        StorageName::new("shared").unwrap()
    }

    #[test]
    fn the_option_of_one_machine_is_not_that_of_another() {
        let option = option(&storage(), uuid("tal01"));

        assert_eq!(storage_of(uuid("tal01"), &option), Some(storage()));
        assert_eq!(storage_of(uuid("tal02"), &option), None);
        assert_eq!(
            storage_of(uuid("tal01"), "user=shared:snippets/a.yaml"),
            None
        );
        assert_eq!(storage_of(uuid("tal01"), "nonsense"), None);
    }

    #[test]
    fn only_the_marker_of_the_machine_in_the_first_line_makes_a_file_its_own() {
        let own = format!("{}\nversion: v1alpha1\n", marker(uuid("tal01")));
        let later = format!("version: v1alpha1\n{}\n", marker(uuid("tal01")));

        assert!(is_ours(uuid("tal01"), &own.clone().into()));
        assert!(!is_ours(uuid("tal02"), &own.into()));
        assert!(!is_ours(uuid("tal01"), &later.into()));
        assert!(!is_ours(uuid("tal01"), &SecretString::default()));
    }
}
