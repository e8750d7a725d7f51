//! Options of a VM that have no field of their own.

use crate::desired::user_data::OPTION;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{ConfigDelivery, MachineSpec};

/// The options that fields of the specification set.
const FIELDS: [(&str, &str); 22] = [
    ("vmid", "vmId"),
    ("name", "name"),
    ("cores", "cores"),
    ("sockets", "cores"),
    ("memory", "memoryMiB"),
    ("cpu", "cpu"),
    ("scsi", "disks"),
    ("ide", "disks"),
    ("sata", "disks"),
    ("virtio", "disks"),
    ("net", "network or additionalNetworks"),
    ("ipconfig", "staticAddress"),
    ("nameserver", "staticAddress.nameServers"),
    ("searchdomain", "staticAddress.searchDomain"),
    ("efidisk", "efi"),
    ("tpmstate", "tpm"),
    ("agent", "guestAgent"),
    ("tags", "tags"),
    ("description", "description"),
    ("pool", "pool"),
    ("onboot", "startOnBoot"),
    ("node", "placement.node"),
];

/// The options that have one right value for a Talos node, or that mean something else than an option.
const FIXED: [(&str, &str); 14] = [
    ("ostype", "is always l26"),
    ("machine", "is always q35"),
    ("bios", "is always ovmf"),
    ("scsihw", "is always virtio-scsi-single"),
    ("boot", "is always the system disk, then the ISO"),
    (
        "bootdisk",
        "is replaced by the boot order, which is the system disk, then the ISO",
    ),
    ("cdrom", "is replaced by the drive of the ISO"),
    (
        "smbios1",
        "has the UUID by which a VM proves that it belongs to the cluster",
    ),
    ("start", "is decided by the run"),
    ("template", "would make the VM unable to start"),
    ("citype", "must stay nocloud, which is the default"),
    ("archive", "would restore a backup"),
    ("force", "would overwrite another VM"),
    ("delete", "is not an option of a VM"),
];

/// The only option that is a secret. The server never tells it, so that nobody could compare it either.
const PASSWORD: &str = "cipassword";

/// The options as they are sent; `None` when one of them is refused.
pub(super) fn check(
    path: &str,
    machine: &MachineSpec,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(String, String)>> {
    let before = diagnostics.len();
    for (name, value) in &machine.options {
        if name == PASSWORD {
            // The value stays out of every message.
            let text = "must not be set: Talos has no users, and a specification has no secrets";
            let option = format!("{path}.options.{name}");
            diagnostics.add(Diagnostic::problem(option, text, None));
        } else if let Some(reason) = refusal(name, machine) {
            diagnostics.add(Diagnostic::new(
                format!("{path}.options.{name}"),
                value,
                reason,
            ));
        }
    }
    let options = machine.options.clone().into_iter().collect();
    (diagnostics.len() == before).then_some(options)
}

fn refusal(name: &str, machine: &MachineSpec) -> Option<String> {
    let class = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is = |(known, _): &&(&str, &str)| *known == name || *known == class;
    if let Some((_, field)) = FIELDS.iter().find(is) {
        return Some(format!("must be set by the field {field}"));
    }
    if let Some((_, reason)) = FIXED.iter().find(is) {
        return Some(format!("must not be set: the option {reason}"));
    }
    if name == OPTION && machine.config_delivery == ConfigDelivery::UserData {
        return Some(
            "must not be set with the field configDelivery: userData, which sets it".to_owned(),
        );
    }
    let is_word = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_word {
        return Some("must have the name of a VM option, such as hostpci0".to_owned());
    }
    let is_cloud_init = matches!(name, "cicustom" | "ciuser" | "ciupgrade" | "sshkeys");
    (is_cloud_init && !machine.has_nocloud_drive()).then(|| {
        "must not be set without staticAddress, which adds the drive that has it".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::machine::Network;

    fn help(name: &str) -> Option<String> {
        let machine = MachineSpec::new("a", 100, [10, 0, 2, 10].into(), Network::new("vmbr0"))
            .option(name, "1");
        let mut diagnostics = Diagnostics::default();
        let options = check("m", &machine, &mut diagnostics);
        assert_eq!(options.is_none(), !diagnostics.is_empty());
        diagnostics.first()?.help.clone()
    }

    #[test]
    fn an_option_with_a_field_of_its_own_names_the_field() {
        for (name, field) in [
            ("memory", "memoryMiB"),
            ("net1", "additionalNetworks"),
            ("scsi3", "disks"),
            ("ipconfig0", "staticAddress"),
            ("onboot", "startOnBoot"),
        ] {
            assert!(
                help(name).is_some_and(|help| help.ends_with(field)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_password_is_refused_without_being_repeated() {
        let machine = MachineSpec::new("a", 100, [10, 0, 2, 10].into(), Network::new("vmbr0"))
            .option("cipassword", "opensesame");
        let mut diagnostics = Diagnostics::default();

        assert!(check("m", &machine, &mut diagnostics).is_none());

        let text = format!("{diagnostics:?}");
        assert!(text.contains("m.options.cipassword"), "{text}");
        assert!(!text.contains("opensesame"), "{text}");
    }

    #[test]
    fn an_option_that_must_stay_as_it_is_says_why() {
        assert!(help("smbios1").unwrap().contains("UUID"));
        assert!(help("boot").unwrap().contains("system disk"));
        assert!(help("a b").unwrap().contains("name of a VM option"));
    }

    #[test]
    fn the_option_of_user_data_has_one_owner() {
        let machine = MachineSpec::new("a", 100, [10, 0, 2, 10].into(), Network::new("vmbr0"))
            .option("cicustom", "user=local:snippets/a.yaml")
            .config_delivery(ConfigDelivery::UserData);
        let mut diagnostics = Diagnostics::default();

        assert!(check("m", &machine, &mut diagnostics).is_none());

        let found = diagnostics.first().unwrap();
        assert_eq!(found.path, "m.options.cicustom");
        assert!(found.help.as_ref().unwrap().contains("configDelivery"));
    }

    #[test]
    fn any_other_option_is_accepted() {
        for name in ["hostpci0", "balloon", "numa", "serial0", "vga"] {
            assert_eq!(help(name), None, "{name}");
        }
    }
}
