//! Checks of a schematic for a Talos version, before an image request fails with an opaque response.

use crate::catalogue;
use crate::diagnostic::Diagnostics;
use crate::schematic::{Bootloader, MetaValue, Schematic, is_unreadable_block};
use crate::version::{FactoryVersion, TalosVersion};

/// What is available; `None` where this is not known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offer<'a> {
    pub(crate) extensions: Option<&'a [&'a str]>,
    pub(crate) overlays: Option<&'a [&'a str]>,
    pub(crate) factory: Option<&'a FactoryVersion>,
}

pub(crate) fn check(
    schematic: &Schematic,
    version: &TalosVersion,
    offer: &Offer<'_>,
) -> Diagnostics {
    let mut found = Diagnostics::default();
    if let Some(names) = offer.extensions {
        extensions(&mut found, schematic, version, names);
    }
    overlay(&mut found, schematic, version, offer.overlays);
    kernel_args(&mut found, schematic, version);
    meta(&mut found, schematic.meta());
    features(&mut found, schematic, version);
    if let Some(factory) = offer.factory {
        factory_features(&mut found, schematic, factory);
    }
    found
}

fn extensions(
    found: &mut Diagnostics,
    schematic: &Schematic,
    version: &TalosVersion,
    names: &[&str],
) {
    let list = schematic.extensions();
    for (at, name) in list.iter().enumerate() {
        let field = format!("systemExtensions.officialExtensions[{at}]");
        if list[..at].contains(name) {
            found.warn(
                &field,
                format!("{name} is listed twice, which gives another ID"),
            );
        }
        if names.contains(&name.as_str()) {
            continue;
        }
        match catalogue::present_name(name).filter(|present| names.contains(present)) {
            Some(present) => {
                found.warn(
                    field,
                    format!(
                        "{name} is an old name; the factory finds the extension, but the ID differs"
                    ),
                );
                found.suggest(Some(present.to_owned()));
            }
            None => {
                found.error(
                    field,
                    format!(
                        "official extension {name:?} is not available for Talos version {version}"
                    ),
                );
                found.suggest(closest(name, names));
            }
        }
    }
}

fn overlay(
    found: &mut Diagnostics,
    schematic: &Schematic,
    version: &TalosVersion,
    names: Option<&[&str]>,
) {
    let Some(overlay) = schematic.overlay() else {
        return;
    };
    if !version.is_at_least(1, 7) {
        found.error(
            "overlay",
            format!("overlays need Talos 1.7 or newer, not {version}"),
        );
    }
    let Some(names) = names else { return };
    if !names.contains(&overlay.name.as_str()) {
        let name = &overlay.name;
        found.error(
            "overlay.name",
            format!("official overlay {name:?} is not available for Talos version {version}"),
        );
        found.suggest(closest(name, names));
    }
}

/// The most similar name, when one is similar enough. The organisation is ignored.
fn closest(name: &str, names: &[&str]) -> Option<String> {
    let bare = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = bare(name);
    names
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &bare(candidate)), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned())
}

fn kernel_args(found: &mut Diagnostics, schematic: &Schematic, version: &TalosVersion) {
    let arguments = schematic.kernel_args();
    for (at, argument) in arguments.iter().enumerate() {
        let field = format!("extraKernelArgs[{at}]");
        if argument.contains(['\n', '\r']) {
            found.error(&field, "a kernel argument must be a single line");
        } else if argument.starts_with(' ') || argument.ends_with(' ') {
            found.error(
                &field,
                "a kernel argument must not start or end with a space",
            );
        } else if argument.is_empty() {
            found.warn(&field, "the argument is empty");
        } else if argument.contains(' ') && !argument.contains('"') {
            found.warn(
                &field,
                "the kernel splits this into several arguments at the spaces",
            );
        }
        if let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) {
            found.warn(
                &field,
                format!("the leading '-' removes every {name} argument from the command line"),
            );
        }
        if argument.starts_with("talos.platform=") {
            found.warn(
                &field,
                "this replaces the platform that the image is built for",
            );
        }
    }
    if !arguments.is_empty() && !version.is_at_least(1, 10) {
        found.warn(
            "extraKernelArgs",
            "before Talos 1.10 the installer without secure boot ignores these; set machine.install.extraKernelArgs too",
        );
    }
}

fn meta(found: &mut Diagnostics, values: &[MetaValue]) {
    for (at, meta) in values.iter().enumerate() {
        let field = format!("meta[{at}].key");
        match meta.key {
            6..=9 => found.error(&field, format!("Talos writes key {} itself", meta.key)),
            10 => found.warn(
                &field,
                "key 10 holds the network configuration of the metal platform alone; on nocloud use cloud-init data",
            ),
            11..=17 => {}
            key => found.warn(&field, format!("key {key} has no meaning to Talos")),
        }
        if values[..at].iter().any(|other| other.key == meta.key) {
            found.error(&field, format!("key {} is set twice", meta.key));
        }
        let field = format!("meta[{at}].value");
        if meta.value.contains(';') {
            found.error(
                &field,
                "an ISO joins META values with ';', so a value must not contain ';'",
            );
        }
        if is_unreadable_block(&meta.value) {
            found.error(
                &field,
                "a text of several lines that starts with white space cannot be read back by the factory",
            );
        }
    }
}

fn features(found: &mut Diagnostics, schematic: &Schematic, version: &TalosVersion) {
    if !schematic.embedded_machine_configuration().is_empty() && !version.is_at_least(1, 12) {
        found.error(
            "embeddedMachineConfiguration",
            format!("embedding a machine configuration needs Talos 1.12 or newer, not {version}"),
        );
    }
    let uses_secure_boot =
        schematic.includes_well_known_certificates() || !schematic.enroll_keys().is_empty();
    if uses_secure_boot && !version.is_at_least(1, 5) {
        found.error(
            "secureboot",
            format!("secure boot needs Talos 1.5 or newer, not {version}"),
        );
    }
    let modes = ["", "off", "manual", "if-safe", "force"];
    if !modes.contains(&schematic.enroll_keys()) {
        let mode = schematic.enroll_keys();
        found.error(
            "secureboot.enrollKeys",
            format!("{mode:?} is not one of {}", modes[1..].join(", ")),
        );
    }
    if schematic.bootloader() != Bootloader::None && !version.is_at_least(1, 12) {
        found.warn(
            "bootloader",
            "only Talos 1.12 and later use this setting for ISOs",
        );
    }
    if !schematic.owner().is_empty() {
        found.warn("owner", "only an Enterprise factory accepts an owner");
    }
}

/// Fields that a factory before the given version rejects with 400.
fn factory_features(found: &mut Diagnostics, schematic: &Schematic, factory: &FactoryVersion) {
    let fields: [(&str, (u64, u64, u64), bool); 7] = [
        ("overlay", (0, 3, 0), schematic.overlay().is_some()),
        (
            "secureboot.includeWellKnownCertificates",
            (0, 5, 0),
            schematic.includes_well_known_certificates(),
        ),
        (
            "bootloader",
            (0, 9, 0),
            schematic.bootloader() != Bootloader::None,
        ),
        ("owner", (1, 2, 0), !schematic.owner().is_empty()),
        (
            "embeddedMachineConfiguration",
            (1, 3, 3),
            !schematic.embedded_machine_configuration().is_empty(),
        ),
        (
            "diskImage.sectorSize",
            (1, 3, 3),
            schematic.sector_size() != 0,
        ),
        (
            "secureboot.enrollKeys",
            (1, 4, 0),
            !schematic.enroll_keys().is_empty(),
        ),
    ];
    let version = &factory.version;
    for (field, since, used) in fields {
        if used && (version.major, version.minor, version.patch) < since {
            let (major, minor, patch) = since;
            found.error(
                field,
                format!("needs factory v{major}.{minor}.{patch}; this factory is v{version}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostic, Severity};
    use crate::error::ErrorKind;
    use crate::schematic::Overlay;

    fn diagnostics(schematic: &Schematic, version: &TalosVersion) -> Vec<Diagnostic> {
        let names = catalogue::extensions(&TalosVersion::new(1, 10, 7)).unwrap();
        let overlays = catalogue::overlays(&TalosVersion::new(1, 10, 7)).unwrap();
        let offer = Offer {
            extensions: Some(&names),
            overlays: Some(&overlays),
            factory: None,
        };
        check(schematic, version, &offer).into_iter().collect()
    }

    fn parse(text: &str) -> Schematic {
        Schematic::parse(text).unwrap()
    }

    #[test]
    fn an_unknown_extension_comes_with_the_closest_name() {
        for (name, meant) in [
            ("siderolabs/qemu-guest-agnet", "siderolabs/qemu-guest-agent"),
            ("iscsi-tools", "siderolabs/iscsi-tools"),
            ("siderolabs/util-linux", "siderolabs/util-linux-tools"),
            (
                "siderolabs/nvidia-fabricmanager",
                "siderolabs/nvidia-fabricmanager-lts",
            ),
        ] {
            let schematic = Schematic::builder().extension(name).build().unwrap();
            let found = diagnostics(&schematic, &TalosVersion::new(1, 10, 7));

            assert_eq!(found[0].severity, Severity::Error, "{name}");
            assert_eq!(
                found[0].help,
                Some(format!("did you mean {meant}?")),
                "{name}"
            );
        }
    }

    #[test]
    fn an_old_name_is_a_warning_because_the_factory_finds_it() {
        let schematic = Schematic::builder()
            .extension("siderolabs/gasket")
            .build()
            .unwrap();
        let found = diagnostics(&schematic, &TalosVersion::new(1, 10, 7));

        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(
            found[0].help.as_deref(),
            Some("did you mean siderolabs/gasket-driver?")
        );
    }

    #[test]
    fn features_need_their_talos_version() {
        let schematic = Schematic::builder()
            .embedded_machine_configuration("a: b\n")
            .overlay(Overlay::new("siderolabs/sbc-raspberrypi", "rpi_generic"))
            .include_well_known_certificates()
            .build()
            .unwrap();
        let fields = |version: TalosVersion| -> Vec<String> {
            let found = diagnostics(&schematic, &version);
            found
                .into_iter()
                .map(|diagnostic| diagnostic.path)
                .collect()
        };

        assert_eq!(
            fields(TalosVersion::new(1, 4, 0)),
            ["overlay", "embeddedMachineConfiguration", "secureboot"]
        );
        assert_eq!(
            fields(TalosVersion::new(1, 10, 7)),
            ["embeddedMachineConfiguration"]
        );
        assert_eq!(fields(TalosVersion::new(1, 12, 0)), [""; 0]);
    }

    #[test]
    fn traps_of_kernel_arguments_and_meta_values_are_named() {
        let schematic = parse(
            "customization:\n  extraKernelArgs: [' a', -console, talos.platform=metal]\n  \
             meta: [{key: 6, value: a}, {key: 12, value: 'a;b'}, {key: 12, value: c}]\n",
        );
        let found = diagnostics(&schematic, &TalosVersion::new(1, 9, 0));
        let fields: Vec<&str> = found.iter().map(|d| d.path.as_str()).collect();

        assert_eq!(
            fields,
            [
                "extraKernelArgs[0]",
                "extraKernelArgs[1]",
                "extraKernelArgs[2]",
                "extraKernelArgs",
                "meta[0].key",
                "meta[1].value",
                "meta[2].key",
            ]
        );
    }

    #[test]
    fn an_older_factory_does_not_know_newer_fields() {
        let schematic = Schematic::builder().enroll_keys("force").build().unwrap();
        let factory = FactoryVersion::parse("Image Factory v1.3.3").unwrap();
        let offer = Offer {
            factory: Some(&factory),
            ..Offer::default()
        };
        let report = check(&schematic, &TalosVersion::new(1, 10, 7), &offer);

        let error = report.into_result().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("needs factory v1.4.0"));
    }
}
