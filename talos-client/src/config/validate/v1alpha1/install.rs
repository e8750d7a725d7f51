//! The `machine.install` section.

use super::super::Mode;
use super::super::findings::Findings;
use super::super::view::View;
use super::Subject;
use crate::config::VersionContract;
use crate::go::text::quoted;

pub(super) fn check(subject: Subject<'_>, findings: &mut Findings) {
    if subject.mode != Mode::Metal {
        return;
    }
    let install = subject.machine.get("install");
    if !install.is_set() {
        findings.error_if(
            subject.release < VersionContract::V1_14,
            "install instructions are required in \"metal\" mode",
        );
        return;
    }
    let selector = install.get("diskSelector");
    let verdict = check_selector(selector);
    let selects = selector.is_set() && verdict.is_ok();
    if let Err(error) = verdict {
        findings.error(format!("install disk selector is invalid: {error}"));
    }
    findings.error_if(
        !install.get("disk").has_text() && !selects,
        "either install disk or diskSelector should be defined",
    );
    findings.error_if(
        subject.release >= VersionContract::V1_12
            && install.get("extraKernelArgs").has_content()
            && install.get("grubUseUKICmdline").is_true(),
        "install.extraKernelArgs and install.grubUseUKICmdline can't be used together",
    );
}

fn check_selector(selector: View<'_>) -> Result<(), String> {
    if selector.get("name").has_text() {
        return Err("selector on name is not supported".to_owned());
    }
    match selector.get("type").text() {
        "" | "ssd" | "hdd" | "nvme" | "sd" => Ok(()),
        other => Err(format!("unsupported disk type {}", quoted(other))),
    }
}

/// Extensions belong into the boot image now; they are checked in every mode.
pub(super) fn check_extensions(subject: Subject<'_>, findings: &mut Findings) {
    let mut seen = Vec::new();
    for extension in subject.machine.at("install.extensions").items() {
        let image = extension.get("image").text();
        findings.error_if(
            seen.contains(&image),
            format!("duplicate system extension {}", quoted(image)),
        );
        seen.push(image);
    }
    if !seen.is_empty() {
        let link = if subject.release >= VersionContract::V1_13 {
            "https://docs.siderolabs.com/talos/latest/platform-specific-installations/boot-assets"
        } else {
            "https://www.talos.dev/latest/talos-guides/install/boot-assets/"
        };
        findings.warning(format!(
            ".machine.install.extensions is deprecated, please see {link}"
        ));
    }
}
