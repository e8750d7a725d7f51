//! What is wrong with a schematic for a Talos version, before an image request fails with an opaque answer.

use std::fmt;

use crate::catalogue;
use crate::error::{Error, ErrorKind, Result};
use crate::schematic::{Bootloader, MetaValue, Schematic, is_unreadable_block};
use crate::version::{FactoryVersion, TalosVersion};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Probably not what was meant.
    Warning,
    /// The factory refuses it, or builds something that does not work.
    Error,
}

/// One problem of a schematic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The place in the schematic.
    pub field: String,
    /// What is wrong, in one sentence.
    pub text: String,
    /// A value that was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.text)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// All findings about a schematic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a report changes nothing by itself"]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// All findings, in the order of the schematic.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings that forbid to use the schematic.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Error)
    }

    /// The findings to think about.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.of(Severity::Warning)
    }

    /// Whether there is no error; warnings may remain.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }

    /// Turns errors into one [`Error`].
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] with every error of the report in its message.
    pub fn into_result(self) -> Result<()> {
        if self.is_ok() {
            return Ok(());
        }
        let errors: Vec<String> = self.errors().map(ToString::to_string).collect();
        Err(Error::new(ErrorKind::Validation, "validate schematic").with_message(errors.join("; ")))
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.severity == severity)
    }

    fn add(&mut self, severity: Severity, field: impl Into<String>, text: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            field: field.into(),
            text: text.into(),
            suggestion: None,
        });
    }

    fn error(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Error, field, text);
    }

    fn warn(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Warning, field, text);
    }

    fn suggest(&mut self, suggestion: Option<String>) {
        if let Some(finding) = self.findings.last_mut() {
            finding.suggestion = suggestion;
        }
    }
}

/// What is available; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Offer<'a> {
    pub(crate) extensions: Option<&'a [&'a str]>,
    pub(crate) overlays: Option<&'a [&'a str]>,
    pub(crate) factory: Option<&'a FactoryVersion>,
}

pub(crate) fn check(schematic: &Schematic, version: &TalosVersion, offer: &Offer<'_>) -> Report {
    let mut report = Report::default();
    if let Some(names) = offer.extensions {
        extensions(&mut report, schematic, version, names);
    }
    overlay(&mut report, schematic, version, offer.overlays);
    kernel_args(&mut report, schematic, version);
    meta(&mut report, schematic.meta());
    features(&mut report, schematic, version);
    if let Some(factory) = offer.factory {
        factory_features(&mut report, schematic, factory);
    }
    report
}

fn extensions(report: &mut Report, schematic: &Schematic, version: &TalosVersion, names: &[&str]) {
    let list = schematic.extensions();
    for (at, name) in list.iter().enumerate() {
        let field = format!("systemExtensions.officialExtensions[{at}]");
        if list[..at].contains(name) {
            report.warn(
                &field,
                format!("{name} is listed twice, which gives another ID"),
            );
        }
        if names.contains(&name.as_str()) {
            continue;
        }
        match catalogue::present_name(name).filter(|present| names.contains(present)) {
            Some(present) => {
                report.warn(
                    field,
                    format!(
                        "{name} is an old name; the factory finds the extension, but the ID differs"
                    ),
                );
                report.suggest(Some(present.to_owned()));
            }
            None => {
                report.error(
                    field,
                    format!(
                        "official extension {name:?} is not available for Talos version {version}"
                    ),
                );
                report.suggest(closest(name, names));
            }
        }
    }
}

fn overlay(
    report: &mut Report,
    schematic: &Schematic,
    version: &TalosVersion,
    names: Option<&[&str]>,
) {
    let Some(overlay) = schematic.overlay() else {
        return;
    };
    if !version.is_at_least(1, 7) {
        report.error(
            "overlay",
            format!("overlays need Talos 1.7 or newer, not {version}"),
        );
    }
    let Some(names) = names else { return };
    if !names.contains(&overlay.name.as_str()) {
        let name = &overlay.name;
        report.error(
            "overlay.name",
            format!("official overlay {name:?} is not available for Talos version {version}"),
        );
        report.suggest(closest(name, names));
    }
}

/// The most similar name, if it is similar at all. A missing organisation is no reason to be dissimilar.
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

fn kernel_args(report: &mut Report, schematic: &Schematic, version: &TalosVersion) {
    let arguments = schematic.kernel_args();
    for (at, argument) in arguments.iter().enumerate() {
        let field = format!("extraKernelArgs[{at}]");
        if argument.contains(['\n', '\r']) {
            report.error(&field, "a kernel argument has one line");
        } else if argument.starts_with(' ') || argument.ends_with(' ') {
            report.error(
                &field,
                "a kernel argument does not start or end with a blank",
            );
        } else if argument.is_empty() {
            report.warn(&field, "the argument is empty");
        } else if argument.contains(' ') && !argument.contains('"') {
            report.warn(
                &field,
                "the kernel splits this into several arguments at the blanks",
            );
        }
        if let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) {
            report.warn(
                &field,
                format!("the leading '-' removes every {name} argument from the command line"),
            );
        }
        if argument.starts_with("talos.platform=") {
            report.warn(
                &field,
                "this replaces the platform that the image is built for",
            );
        }
    }
    if !arguments.is_empty() && !version.is_at_least(1, 10) {
        report.warn(
            "extraKernelArgs",
            "before Talos 1.10 the installer without secure boot ignores these; set machine.install.extraKernelArgs too",
        );
    }
}

fn meta(report: &mut Report, values: &[MetaValue]) {
    for (at, meta) in values.iter().enumerate() {
        let field = format!("meta[{at}].key");
        match meta.key {
            6..=9 => report.error(&field, format!("key {} is written by Talos itself", meta.key)),
            10 => report.warn(
                &field,
                "key 10 holds the network configuration of the metal platform alone; on nocloud use cloud-init data",
            ),
            11..=17 => {}
            key => report.warn(&field, format!("key {key} has no meaning to Talos")),
        }
        if values[..at].iter().any(|other| other.key == meta.key) {
            report.error(&field, format!("key {} is set twice", meta.key));
        }
        let field = format!("meta[{at}].value");
        if meta.value.contains(';') {
            report.error(
                &field,
                "an ISO joins META values with ';', so a value must not contain one",
            );
        }
        if is_unreadable_block(&meta.value) {
            report.error(
                &field,
                "a text of several lines that starts with white space cannot be read back by the factory",
            );
        }
    }
}

fn features(report: &mut Report, schematic: &Schematic, version: &TalosVersion) {
    if !schematic.embedded_machine_configuration().is_empty() && !version.is_at_least(1, 12) {
        report.error(
            "embeddedMachineConfiguration",
            format!("embedding a machine configuration needs Talos 1.12 or newer, not {version}"),
        );
    }
    let uses_secure_boot =
        schematic.includes_well_known_certificates() || !schematic.enroll_keys().is_empty();
    if uses_secure_boot && !version.is_at_least(1, 5) {
        report.error(
            "secureboot",
            format!("secure boot needs Talos 1.5 or newer, not {version}"),
        );
    }
    let modes = ["", "off", "manual", "if-safe", "force"];
    if !modes.contains(&schematic.enroll_keys()) {
        let mode = schematic.enroll_keys();
        report.error(
            "secureboot.enrollKeys",
            format!("{mode:?} is none of {}", modes[1..].join(", ")),
        );
    }
    if schematic.bootloader() != Bootloader::None && !version.is_at_least(1, 12) {
        report.warn(
            "bootloader",
            "ISOs follow the choice from Talos 1.12 on only",
        );
    }
    if !schematic.owner().is_empty() {
        report.warn("owner", "only an Enterprise factory accepts an owner");
    }
}

/// Fields that a factory older than the given version answers with 400.
fn factory_features(report: &mut Report, schematic: &Schematic, factory: &FactoryVersion) {
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
            report.error(
                field,
                format!("needs factory v{major}.{minor}.{patch}; this one is v{version}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schematic::Overlay;

    fn findings(schematic: &Schematic, version: &TalosVersion) -> Vec<Finding> {
        let names = catalogue::extensions(&TalosVersion::new(1, 10, 7)).unwrap();
        let overlays = catalogue::overlays(&TalosVersion::new(1, 10, 7)).unwrap();
        let offer = Offer {
            extensions: Some(&names),
            overlays: Some(&overlays),
            factory: None,
        };
        check(schematic, version, &offer).findings
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
            let findings = findings(&schematic, &TalosVersion::new(1, 10, 7));

            assert_eq!(findings[0].severity, Severity::Error, "{name}");
            assert_eq!(findings[0].suggestion.as_deref(), Some(meant), "{name}");
        }
    }

    #[test]
    fn an_old_name_is_a_warning_because_the_factory_finds_it() {
        let schematic = Schematic::builder()
            .extension("siderolabs/gasket")
            .build()
            .unwrap();
        let findings = findings(&schematic, &TalosVersion::new(1, 10, 7));

        assert_eq!(findings[0].severity, Severity::Warning);
        assert_eq!(
            findings[0].suggestion.as_deref(),
            Some("siderolabs/gasket-driver")
        );
    }

    #[test]
    fn features_need_their_talos_version() {
        let schematic = Schematic::builder()
            .embedded_machine_configuration("a: b\n")
            .overlay(Overlay::new("siderolabs/sbc-raspberrypi", "rpi_generic"))
            .include_well_known_certificates(true)
            .build()
            .unwrap();
        let fields = |version: TalosVersion| -> Vec<String> {
            let findings = findings(&schematic, &version);
            findings.into_iter().map(|finding| finding.field).collect()
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
        let findings = findings(&schematic, &TalosVersion::new(1, 9, 0));
        let fields: Vec<&str> = findings.iter().map(|f| f.field.as_str()).collect();

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
