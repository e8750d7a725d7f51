//! Selectors and sizes against the disks of the machine.

use super::install_disk::Install;
use super::{Diagnostic, LintDisk, LintId, Subject};
use crate::config::schema::parse_disk_size;
use crate::config::validate::cel::{self, Environment, Value};
use crate::config::validate::view::View;

const VOLUMES: [&str; 4] = [
    "VolumeConfig",
    "UserVolumeConfig",
    "RawVolumeConfig",
    "SwapVolumeConfig",
];

/// Kinds that choose volumes, and where; what they say of the disk can be judged without the volumes.
const VOLUME_SELECTORS: [(&str, &str); 3] = [
    ("ExistingVolumeConfig", "discovery.volumeSelector.match"),
    ("LVMVolumeGroupConfig", "provisioning.volumeSelector.match"),
    ("RAIDArrayConfig", "provisioning.volumeSelector.match"),
];

pub(super) fn check(subject: Subject<'_>, found: &mut Vec<Diagnostic>) {
    let install = Install::of(subject);
    found.extend(disk_and_selector(subject));
    if subject.context.disks.is_empty() {
        return;
    }
    found.extend(unknown_disk(subject));
    if let Some((path, expression)) = &install.selector {
        found.extend(no_match(
            subject,
            path,
            &subject.candidates(expression, None),
        ));
    }
    let system = install.disk(subject);
    for kind in VOLUMES {
        for (name, document) in subject.documents(kind) {
            let selector = document.at("provisioning.diskSelector.match").text();
            if selector.is_empty() {
                continue;
            }
            let place = format!("{kind} {name}: provisioning");
            let disks = subject.candidates(selector, system);
            found.extend(no_match(
                subject,
                &format!("{place}.diskSelector.match"),
                &disks,
            ));
            found.extend(too_large(document, &place, &disks));
            if kind != "VolumeConfig" {
                found.extend(no_room(subject, &place, (&disks, system)));
            }
        }
    }
    for (kind, path) in VOLUME_SELECTORS {
        for (name, document) in subject.documents(kind) {
            let selector = document.at(path).text();
            if !selector.is_empty() {
                let disks = subject.not_ruled_out(Environment::Volume, selector, None);
                found.extend(no_match(subject, &format!("{kind} {name}: {path}"), &disks));
            }
        }
    }
}

impl<'a> Subject<'a> {
    /// The disks a disk selector does not rule out.
    pub(super) fn candidates(
        self,
        expression: &str,
        system: Option<&LintDisk>,
    ) -> Vec<&'a LintDisk> {
        self.not_ruled_out(Environment::Disk, expression, system)
    }

    fn not_ruled_out(
        self,
        environment: Environment,
        expression: &str,
        system: Option<&LintDisk>,
    ) -> Vec<&'a LintDisk> {
        let fits = |disk: &&LintDisk| {
            let names = |name: &str, field: &str| match (name, system) {
                ("disk", _) => disk.field(field),
                ("system_disk", Some(system)) => Value::Bool(system.path == disk.path),
                _ => Value::Unknown,
            };
            let release = self.context.version.contract();
            cel::decide(expression, environment, release, &names) != Some(false)
        };
        self.context.disks.iter().filter(fits).collect()
    }
}

fn disk_and_selector(subject: Subject<'_>) -> Option<Diagnostic> {
    // The generator writes a disk when none is given; a selector that is patched in is no contradiction to that.
    const GENERATED: &str = "/dev/sda";
    let install = subject.v1alpha1("machine.install");
    let (disk, selector) = (install.get("disk").text(), install.get("diskSelector"));
    let chosen = !disk.is_empty() && disk != GENERATED;
    (chosen && selector.has_content()).then(|| {
        Diagnostic::lint(
            LintId::InstallDiskAndSelector,
            "machine.install",
            format!("disk {disk} is ignored, because diskSelector chooses the disk"),
            "remove one of them".to_owned(),
        )
    })
}

fn unknown_disk(subject: Subject<'_>) -> Option<Diagnostic> {
    let install = subject.v1alpha1("machine.install");
    let disk = install.get("disk").text();
    let known = subject.context.disks.iter().any(|it| it.path == disk);
    // Links such as /dev/disk/by-id/… exist for every disk, but only the machine knows them.
    let is_link = disk.starts_with("/dev/disk/");
    let unknown = !disk.is_empty() && !install.get("diskSelector").is_set() && !known && !is_link;
    unknown.then(|| {
        Diagnostic::lint(
            LintId::InstallDiskUnknown,
            "machine.install.disk",
            format!("the machine has no disk {disk}, so the installation fails"),
            format!("use one of {}", paths(&subject.context.disks)),
        )
    })
}

fn no_match(subject: Subject<'_>, path: &str, candidates: &[&LintDisk]) -> Option<Diagnostic> {
    candidates.is_empty().then(|| {
        Diagnostic::lint(
            LintId::SelectorMatchesNothing,
            path,
            format!(
                "none of the disks matches: {}",
                described(&subject.context.disks)
            ),
            "change the selector, or give the machine such a disk".to_owned(),
        )
    })
}

fn too_large(document: View<'_>, place: &str, candidates: &[&LintDisk]) -> Option<Diagnostic> {
    let text = document.at("provisioning.minSize").scalar_text()?;
    let size = parse_disk_size(text).ok()?;
    let largest = candidates.iter().max_by_key(|disk| disk.size)?;
    (size > largest.size).then(|| {
        Diagnostic::lint(
            LintId::VolumeTooLarge,
            format!("{place}.minSize"),
            format!(
                "the volume needs {text}, and {}, the largest disk that matches, has {} bytes",
                largest.path, largest.size
            ),
            "lower minSize, or enlarge the disk".to_owned(),
        )
    })
}

/// `EPHEMERAL` is made first and grows over all that is left of the system disk unless it is limited.
fn no_room(
    subject: Subject<'_>,
    place: &str,
    (candidates, system): (&[&LintDisk], Option<&LintDisk>),
) -> Option<Diagnostic> {
    let system = system?;
    let only_system = !candidates.is_empty() && candidates.iter().all(|it| it.path == system.path);
    let limited = subject
        .documents("VolumeConfig")
        .filter(|(name, _)| *name == "EPHEMERAL")
        .any(|(_, document)| document.at("provisioning.maxSize").is_set());
    (only_system && !limited).then(|| {
        Diagnostic::lint(
            LintId::EphemeralTakesDisk,
            place,
            format!(
                "only the system disk {} matches, and EPHEMERAL takes all of it first",
                system.path
            ),
            "limit EPHEMERAL with provisioning.maxSize, or select another disk".to_owned(),
        )
    })
}

fn paths(disks: &[LintDisk]) -> String {
    let paths: Vec<&str> = disks.iter().map(|disk| disk.path.as_str()).collect();
    paths.join(", ")
}

fn described(disks: &[LintDisk]) -> String {
    let disks = disks.iter().map(|disk| match disk.field("transport") {
        Value::Text(transport) => {
            format!("{} ({transport}, {} bytes)", disk.path, disk.size)
        }
        _ => format!("{} ({} bytes)", disk.path, disk.size),
    });
    disks.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{LintContext, LintDisk};
    use crate::config::{LintId, MachineConfig, TalosVersion};

    const GIB: u64 = 1 << 30;

    /// The two disks of a virtual machine behind a VirtIO SCSI controller.
    fn context() -> LintContext {
        let disk = |path, size| {
            LintDisk::new(path, size * GIB)
                .transport("virtio")
                .model("QEMU HARDDISK")
                .rotational()
        };
        LintContext::new(&TalosVersion::parse("v1.10.7").unwrap())
            .disks([disk("/dev/sda", 32), disk("/dev/sdb", 64)])
    }

    fn lint(install: &str, volumes: &str) -> Vec<LintId> {
        let text = format!("machine:\n  install: {install}\n{volumes}");
        let config = MachineConfig::parse(&text).unwrap();
        let found = config.lint(&context());
        found.iter().filter_map(|lint| lint.id).collect()
    }

    fn user_volume(selector: &str, min_size: &str) -> String {
        format!(
            "---\napiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning:\n  diskSelector:\n    match: \
             \"{selector}\"\n  minSize: {min_size}\n"
        )
    }

    #[test]
    fn a_volume_selector_that_rules_out_every_disk_matches_nothing() {
        let lint = |selector: &str| -> usize {
            let text = format!(
                "apiVersion: v1alpha1\nkind: RAIDArrayConfig\nname: data\nprovisioning:\n  volumeSelector:\n    match: \"{selector}\"\n"
            );
            let mut context = context();
            context.version = TalosVersion::parse("v1.14.0-rc.1").unwrap();
            let found = MachineConfig::parse(&text).unwrap().lint(&context);
            found
                .iter()
                .filter(|found| found.id == Some(LintId::SelectorMatchesNothing))
                .count()
        };
        assert_eq!(
            lint("disk.transport == 'nvme' && volume.size > 1u * GiB"),
            1
        );
        assert_eq!(lint("disk.size > 40u * GiB && volume.name == ''"), 0);
        assert_eq!(lint("volume.label == 'data'"), 0);
    }

    #[test]
    fn an_install_disk_must_exist() {
        assert_eq!(lint("{disk: /dev/sda}", ""), []);
        assert_eq!(lint("{disk: /dev/vda}", ""), [LintId::InstallDiskUnknown]);
        assert_eq!(lint("{disk: /dev/disk/by-id/scsi-1}", ""), []);
    }

    #[test]
    fn a_selector_wins_over_the_disk() {
        assert_eq!(
            lint("{disk: /dev/vda, diskSelector: {size: '>= 40GB'}}", ""),
            [LintId::InstallDiskAndSelector]
        );
        assert_eq!(
            lint("{disk: /dev/sda, diskSelector: {size: '>= 40GB'}}", ""),
            []
        );
    }

    #[test]
    fn an_install_selector_must_match_a_disk() {
        for selector in [
            "{size: 32GiB}",
            "{size: '>= 60GiB'}",
            "{model: 'QEMU*'}",
            "{serial: unknown}",
            "{type: hdd}",
        ] {
            assert_eq!(
                lint(&format!("{{diskSelector: {selector}}}"), ""),
                [],
                "{selector}"
            );
        }
        for selector in [
            "{size: '< 1GB'}",
            "{model: Samsung*}",
            "{type: ssd}",
            "{type: nvme}",
        ] {
            assert_eq!(
                lint(&format!("{{diskSelector: {selector}}}"), ""),
                [LintId::SelectorMatchesNothing],
                "{selector}"
            );
        }
    }

    #[test]
    fn a_volume_selector_must_match_a_disk() {
        let install = "{disk: /dev/sda}";

        let data = user_volume("!system_disk && disk.size > 40u * GiB", "32GiB");
        assert_eq!(lint(install, &data), []);
        let sata = user_volume("disk.transport == 'sata'", "32GiB");
        assert_eq!(lint(install, &sata), [LintId::SelectorMatchesNothing]);
        let large = user_volume("!system_disk", "100GiB");
        assert_eq!(lint(install, &large), [LintId::VolumeTooLarge]);
    }

    #[test]
    fn a_volume_on_the_system_disk_needs_a_limited_ephemeral_volume() {
        let install = "{diskSelector: {size: 32GiB}}";
        let volume = user_volume("system_disk", "1GiB");
        let limit = "---\napiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning: {maxSize: 20GiB}\n";

        assert_eq!(lint(install, &volume), [LintId::EphemeralTakesDisk]);
        assert_eq!(lint(install, &format!("{volume}{limit}")), []);
    }
}
