//! The installer: it must be of the same kind as the image the machine was booted from.
//!
//! Since Talos v1.10 the platform is built into the installer, before it came from the running system.

use super::{Diagnostic, LintId, Subject};
use crate::config::{TalosVersion, VersionContract};

/// The schematic without any extension, under which the Image Factory knows plain Talos.
const EMPTY_SCHEMATIC: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

const METAL: &str = "metal";

pub(super) fn check(subject: Subject<'_>, found: &mut Vec<Diagnostic>) {
    let path = if subject.v1alpha1("machine.install").is_set() {
        "machine.install.image"
    } else if subject
        .documents("UnattendedInstallConfig")
        .next()
        .is_some()
    {
        "UnattendedInstallConfig: installer.image"
    } else {
        found.push(install_missing(subject));
        return;
    };
    found.extend(kernel_args(subject));
    let image = subject
        .config
        .install_image()
        .filter(|image| !image.is_empty());
    let Some(image) = image else {
        found.extend(default_image(subject, path));
        return;
    };
    if let Some(problem) = unusable(image) {
        found.push(problem.at(path));
        return;
    }
    let Some(installer) = Installer::parse(image) else {
        return;
    };
    found.extend(platform(subject, path, &installer));
    found.extend(secure_boot(subject, path, &installer));
    found.extend(schematic(subject, path, &installer));
    found.extend(version(subject, path, &installer));
}

/// An installer image whose name tells what is in it.
struct Installer<'a> {
    platform: &'a str,
    secure_boot: bool,
    schematic: Option<&'a str>,
    tag: Option<&'a str>,
}

impl<'a> Installer<'a> {
    /// Nothing for an image that is not named like the reference or the Image Factory names installers.
    fn parse(image: &'a str) -> Option<Self> {
        let image = image.split_once('@').map_or(image, |(image, _)| image);
        let (parents, last) = image.rsplit_once('/').unwrap_or(("", image));
        let (last, tag) = match last.split_once(':') {
            Some((last, tag)) => (last, Some(tag)),
            None => (last, None),
        };
        let is_schematic = last.len() == 64 && last.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (name, schematic) = if is_schematic {
            (parents.rsplit('/').next()?, Some(last))
        } else {
            (last, None)
        };
        let plain = name.strip_suffix("-secureboot");
        let secure_boot = plain.is_some();
        let platform = match plain.unwrap_or(name) {
            "installer" => METAL,
            name => name.strip_suffix("-installer")?,
        };
        Some(Self {
            platform,
            secure_boot,
            schematic,
            tag,
        })
    }
}

/// Why an image cannot be pulled, or cannot be an installer.
struct Unusable {
    message: String,
    fix: &'static str,
}

impl Unusable {
    fn at(self, path: &str) -> Diagnostic {
        Diagnostic::lint(
            LintId::InstallerImage,
            path,
            self.message,
            self.fix.to_owned(),
        )
    }
}

/// What is wrong with the text of an image, whatever the machine is. An image with a digest needs no tag.
fn unusable(image: &str) -> Option<Unusable> {
    const NAME: &str =
        "use HOST/NAME:TAG, for example factory.talos.dev/nocloud-installer/SCHEMATIC:v1.10.7";
    const TAG: &str = "add the Talos version as the tag, for example :v1.10.7";
    let problem = |message: String, fix| Some(Unusable { message, fix });
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match named.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    };
    if !is_image_name(name) || tag.is_some_and(|tag| !is_tag(tag)) {
        return problem(format!("{image:?} is not the reference of an image"), NAME);
    }
    let installer = Installer::parse(image)?;
    let host = name.split('/').next().unwrap_or_default();
    if installer.schematic.is_none() && host.starts_with("factory.") {
        let message =
            format!("{image:?} has no schematic: an Image Factory has no installer without one");
        return problem(
            message,
            "put the schematic ID behind the name of the installer",
        );
    }
    match (tag, digest) {
        (None, None) => problem(
            format!("{image:?} has no tag: the registry is asked for \"latest\", whatever that is"),
            TAG,
        ),
        (Some(tag), _) if is_version_without_v(tag) => problem(
            format!("the tag {tag:?} has no v: installers are tagged v{tag}"),
            TAG,
        ),
        _ => None,
    }
}

/// A name as registries allow it: lower-case parts; the first one may be a host with a port.
fn is_image_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let inner = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let mut bytes = part.bytes();
        part.bytes().all(inner) && ends(bytes.next()) && ends(part.bytes().last())
    };
    let is_host = |host: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(inner)
    };
    match name.split_once('/') {
        Some((first, rest)) => is_host(first) && rest.split('/').all(is_part),
        None => is_part(name),
    }
}

fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

fn is_version_without_v(tag: &str) -> bool {
    tag.starts_with(|first: char| first.is_ascii_digit()) && TalosVersion::parse(tag).is_ok()
}

fn image_name(platform: &str, secure_boot: bool) -> String {
    let suffix = if secure_boot { "-secureboot" } else { "" };
    format!("{platform}-installer{suffix}")
}

fn install_missing(subject: Subject<'_>) -> Diagnostic {
    let fix = if subject.context.version.contract() >= VersionContract::V1_14 {
        "add an UnattendedInstallConfig document with a disk selector and the installer image"
    } else {
        "add machine.install with the disk and the installer image"
    };
    Diagnostic::lint(
        LintId::InstallMissing,
        "machine.install",
        "nothing says where to install, so a machine that was booted from an ISO fails to install; validation asks for it \
         only in metal mode"
            .to_owned(),
        fix.to_owned(),
    )
}

fn default_image(subject: Subject<'_>, path: &str) -> Option<Diagnostic> {
    let platform = subject.context.platform.as_deref()?;
    (platform != METAL).then(|| {
        let name = image_name(platform, subject.context.secure_boot == Some(true));
        Diagnostic::lint(
            LintId::InstallerPlatform,
            path,
            format!(
                "without an image the installer for \"{METAL}\" is used, and the machine loses what \"{platform}\" gave it, \
                 such as its address"
            ),
            format!("use an image named \"{name}\" of the Image Factory"),
        )
    })
}

fn platform(subject: Subject<'_>, path: &str, installer: &Installer<'_>) -> Option<Diagnostic> {
    let wanted = subject.context.platform.as_deref()?;
    (installer.platform != wanted).then(|| {
        let name = image_name(wanted, installer.secure_boot);
        Diagnostic::lint(
            LintId::InstallerPlatform,
            path,
            format!(
                "this installer is for \"{}\": once installed, the machine no longer reads what \"{wanted}\" gives it, such as \
                 its address",
                installer.platform
            ),
            format!("use the image named \"{name}\" with the same schematic and tag"),
        )
    })
}

fn secure_boot(subject: Subject<'_>, path: &str, installer: &Installer<'_>) -> Option<Diagnostic> {
    let wanted = subject.context.secure_boot?;
    (installer.secure_boot != wanted).then(|| {
        let mismatch = if wanted {
            "the machine uses secure boot and this installer is not signed for it"
        } else {
            "this installer is for secure boot and the machine does not use it"
        };
        Diagnostic::lint(
            LintId::InstallerSecureBoot,
            path,
            format!("{mismatch}, so the installation fails"),
            format!(
                "use the image named \"{}\"",
                image_name(installer.platform, wanted)
            ),
        )
    })
}

fn schematic(subject: Subject<'_>, path: &str, installer: &Installer<'_>) -> Option<Diagnostic> {
    let wanted = subject.context.schematic.as_deref()?;
    let found = installer.schematic.unwrap_or(EMPTY_SCHEMATIC);
    (found != wanted).then(|| {
        Diagnostic::lint(
            LintId::InstallerSchematic,
            path,
            format!(
                "this installer is made from schematic {found}, the boot image from {wanted}: extensions and kernel arguments \
                 change with the first reboot"
            ),
            format!("use the installer of schematic {wanted}"),
        )
    })
}

fn version(subject: Subject<'_>, path: &str, installer: &Installer<'_>) -> Option<Diagnostic> {
    let wanted = &subject.context.version;
    let found = TalosVersion::parse(installer.tag?).ok()?;
    let differs = wanted.is_release() && found.is_release() && found.release() != wanted.release();
    differs.then(|| {
        Diagnostic::lint(
            LintId::InstallerVersion,
            path,
            format!(
                "this installer is Talos v{}, the configuration is for v{}",
                found.release(),
                wanted.release()
            ),
            format!("use the tag v{}", wanted.release()),
        )
    })
}

fn kernel_args(subject: Subject<'_>) -> Option<Diagnostic> {
    const PATH: &str = "machine.install.extraKernelArgs";
    let ignored = subject.context.secure_boot == Some(true) && subject.v1alpha1(PATH).has_content();
    ignored.then(|| {
        Diagnostic::lint(
            LintId::KernelArgsIgnored,
            PATH,
            "with secure boot the command line is part of the signed image, so these arguments are ignored".to_owned(),
            "put them into the schematic of the image".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::LintContext;
    use crate::config::{LintId, MachineConfig, TalosVersion};

    const SCHEMATIC: &str = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515";

    fn context() -> LintContext {
        LintContext::new(&TalosVersion::parse("v1.10.7").unwrap())
            .platform("nocloud")
            .secure_boot()
            .schematic(SCHEMATIC)
    }

    fn lint(install: &str, context: &LintContext) -> Vec<LintId> {
        let config = MachineConfig::parse(&format!("machine:\n  install: {install}\n")).unwrap();
        config
            .lint(context)
            .iter()
            .filter_map(|found| found.id)
            .collect()
    }

    fn lint_image(image: &str) -> Vec<LintId> {
        lint(&format!("{{disk: /dev/sda, image: '{image}'}}"), &context())
    }

    #[test]
    fn the_installer_of_the_boot_image_is_fine() {
        let image = format!("factory.talos.dev/nocloud-installer-secureboot/{SCHEMATIC}:v1.10.7");

        assert_eq!(lint_image(&image), []);
        assert_eq!(lint_image(&format!("{image}@sha256:{SCHEMATIC}")), []);
    }

    #[test]
    fn an_installer_without_platform_is_for_metal() {
        let image = format!("localhost:5000/installer-secureboot/{SCHEMATIC}:v1.10.7");

        assert_eq!(lint_image(&image), [LintId::InstallerPlatform]);
    }

    #[test]
    fn the_upstream_installer_differs_in_everything() {
        assert_eq!(
            lint_image("ghcr.io/siderolabs/installer:v1.13.9"),
            [
                LintId::InstallerPlatform,
                LintId::InstallerSecureBoot,
                LintId::InstallerSchematic,
                LintId::InstallerVersion
            ]
        );
    }

    #[test]
    fn an_installer_for_secure_boot_needs_secure_boot() {
        let install = format!(
            "{{disk: /dev/sda, image: 'factory.talos.dev/nocloud-installer-secureboot/{SCHEMATIC}:v1.10.7'}}"
        );

        assert_eq!(
            lint(&install, &context().without_secure_boot()),
            [LintId::InstallerSecureBoot]
        );
    }

    #[test]
    fn an_image_that_cannot_be_right_is_one_finding() {
        for image in [
            "https://factory.talos.dev/nocloud-installer-secureboot/x:v1.10.7".to_owned(),
            "not an image".to_owned(),
            "Factory/Installer:v1.10.7".to_owned(),
            "factory.talos.dev/installer/:v1.10.7".to_owned(),
            "factory.talos.dev/installer:v1.10.7".to_owned(),
            "factory.talos.dev/nocloud-installer-secureboot:v1.10.7".to_owned(),
            format!("factory.talos.dev/nocloud-installer-secureboot/{SCHEMATIC}"),
            format!("factory.talos.dev/nocloud-installer-secureboot/{SCHEMATIC}:1.10.7"),
            format!("factory.talos.dev/nocloud-installer-secureboot/{SCHEMATIC}:"),
            "ghcr.io:443/siderolabs/installer".to_owned(),
        ] {
            assert_eq!(lint_image(&image), [LintId::InstallerImage], "{image}");
        }
    }

    #[test]
    fn images_of_unknown_names_are_not_judged() {
        assert_eq!(lint_image("registry.example.org/talos/mine:v1.9.0"), []);
    }

    #[test]
    fn kernel_arguments_of_the_configuration_are_ignored_with_secure_boot() {
        let install = format!(
            "{{disk: /dev/sda, extraKernelArgs: [a=b], image: 'nocloud-installer-secureboot/{SCHEMATIC}:v1.10.7'}}"
        );

        assert_eq!(lint(&install, &context()), [LintId::KernelArgsIgnored]);
    }

    #[test]
    fn a_machine_that_is_never_installed_is_noticed() {
        let config = MachineConfig::parse("machine: {}\n").unwrap();

        let found = config.lint(&context());

        assert_eq!(found.as_slice()[0].id, Some(LintId::InstallMissing));
    }
}
