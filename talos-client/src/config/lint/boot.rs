//! Files and disks with which the boot sequence of a node does not end.

use super::{Diagnostic, LintId, Subject};

/// The operations of `machine.files` (Talos v1.10 to v1.14, `writeUserFiles`).
const OPERATIONS: [&str; 3] = ["create", "append", "overwrite"];

pub(super) fn check(subject: Subject<'_>, found: &mut Vec<Diagnostic>) {
    found.extend(files(subject));
    found.extend(disks(subject));
}

fn files(subject: Subject<'_>) -> impl Iterator<Item = Diagnostic> {
    let files = subject.v1alpha1("machine.files").items().enumerate();
    let wrong = files.filter(|(_, file)| !OPERATIONS.contains(&file.get("op").text()));
    wrong.map(|(index, file)| {
        let operation = match file.get("op").text() {
            "" => "no operation".to_owned(),
            other => format!("the operation \"{other}\""),
        };
        Diagnostic::lint(
            LintId::FileWithoutOperation,
            format!("machine.files[{index}].op"),
            format!(
                "the file {} has {operation}, and a node that cannot write a file does not finish to boot",
                file.get("path").text()
            ),
            "set op to create (only below /var), append or overwrite".to_owned(),
        )
    })
}

fn disks(subject: Subject<'_>) -> impl Iterator<Item = Diagnostic> {
    let disks = subject.v1alpha1("machine.disks").items().enumerate();
    let wrong = disks.filter(|(_, disk)| disk.is_set() && !disk.get("device").has_text());
    wrong.map(|(index, _)| {
        Diagnostic::lint(
            LintId::DiskWithoutDevice,
            format!("machine.disks[{index}].device"),
            "the disk has no device, and a node that cannot resolve one waits for its disks forever"
                .to_owned(),
            "set device, for example to /dev/sdb".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::LintContext;
    use crate::config::{LintId, MachineConfig, TalosVersion};

    fn lint(machine: &str) -> Vec<(LintId, String)> {
        let text = format!("machine:\n  install: {{disk: /dev/sda}}\n{machine}");
        let config = MachineConfig::parse(&text).unwrap();
        let found = config.lint(&LintContext::new(&TalosVersion::parse("v1.10.7").unwrap()));
        let found = found.iter().map(|it| (it.id.unwrap(), it.path.clone()));
        found.collect()
    }

    #[test]
    fn a_file_needs_an_operation_that_talos_knows() {
        for operation in super::OPERATIONS {
            assert_eq!(
                lint(&format!("  files: [{{path: /var/a, op: {operation}}}]\n")),
                []
            );
        }
        let path = |index| format!("machine.files[{index}].op");
        assert_eq!(
            lint("  files: [{path: /var/a}, {path: /var/b, op: write}]\n"),
            [
                (LintId::FileWithoutOperation, path(0)),
                (LintId::FileWithoutOperation, path(1))
            ]
        );
    }

    #[test]
    fn a_disk_needs_a_device() {
        assert_eq!(lint("  disks: [{device: /dev/sdb}]\n"), []);
        assert_eq!(
            lint("  disks: [{device: /dev/sdb}, {partitions: [{mountpoint: /var/a}]}]\n"),
            [(
                LintId::DiskWithoutDevice,
                "machine.disks[1].device".to_owned()
            )]
        );
    }
}
