//! The Talos release: one version, from which the images, the configuration contract and the Kubernetes version follow.

use factory_client::{
    Arch, ImageRequest, OfflineFactory, Platform, Schematic, SchematicId,
    TalosVersion as ImageVersion,
};
use talos_client::config::{TalosVersion, VersionContract};

use super::RawSpec;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::release::TalosRelease;

/// Everything that follows from the one Talos version.
pub(in crate::desired) struct Release {
    pub(in crate::desired) version: TalosVersion,
    pub(in crate::desired) kubernetes_version: String,
    pub(in crate::desired) schematic: Schematic,
    pub(in crate::desired) schematic_id: SchematicId,
    pub(in crate::desired) image: factory_client::Image,
    pub(in crate::desired) installer: String,
    pub(in crate::desired) secure_boot: bool,
    pub(super) warnings: Vec<Diagnostic>,
}

pub(super) fn release(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<Release> {
    let Some(release) = &inputs.release else {
        diagnostics.add(Diagnostic::missing(
            "talos.version",
            "name the Talos version, for example 1.10.7",
        ));
        return None;
    };
    let version = version(&release.version, diagnostics);
    let platform = diagnostics.check(
        "talos.platform",
        &release.platform,
        release.platform.parse::<Platform>(),
    );
    let arch = diagnostics.check(
        "talos.architecture",
        &release.architecture,
        release.architecture.parse::<Arch>(),
    );
    let schematic = Schematic::builder()
        .extensions(release.extensions.iter().cloned())
        .build();
    let schematic = diagnostics.check(
        "talos.extensions",
        &release.extensions.join(", "),
        schematic,
    )?;
    let factory = factory(inputs, diagnostics)?;
    let id = factory.schematic_id(&schematic);
    let schematic_id = diagnostics.check("talos.extensions", &release.extensions.join(", "), id)?;
    check_pin(release, &schematic_id, diagnostics);
    let (version, image_version) = version?;
    let warnings = check_extensions(&factory, &schematic, &image_version, diagnostics);
    let mut request = ImageRequest::iso(platform?).arch(arch?);
    if release.secure_boot {
        request = request.secure_boot();
    }
    let image = request.of(schematic_id.clone(), image_version);
    Some(Release {
        kubernetes_version: kubernetes_version(release, &version, diagnostics)?,
        installer: factory.installer_reference(&image.installer()),
        secure_boot: release.secure_boot,
        version,
        schematic,
        schematic_id,
        image,
        warnings,
    })
}

fn version(text: &str, diagnostics: &mut Diagnostics) -> Option<(TalosVersion, ImageVersion)> {
    const ALLOWED: &str = "must be a full Talos version such as 1.10.7, for the ISO, the installer and the configuration alike";
    let versions = TalosVersion::parse(text)
        .ok()
        .zip(ImageVersion::parse(text).ok());
    let Some(versions) = versions else {
        diagnostics.add(Diagnostic::new("talos.version", text, ALLOWED));
        return None;
    };
    let supported = VersionContract::OLDEST..=VersionContract::NEWEST;
    if !supported.contains(&versions.0.contract()) {
        let (oldest, newest) = (supported.start(), supported.end());
        diagnostics.add(Diagnostic::new(
            "talos.version",
            text,
            format!(
                "must be a release of Talos {oldest} to {newest}; other releases are not supported"
            ),
        ));
        return None;
    }
    Some(versions)
}

fn factory(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<OfflineFactory> {
    match &inputs.factory {
        None => Some(OfflineFactory::community()),
        Some(url) => {
            let url = super::addresses::server("talos.factory", url, diagnostics)?;
            diagnostics.check("talos.factory", &url, OfflineFactory::new(url.clone()))
        }
    }
}

/// A pasted ID may belong to another list of extensions; then the guest agent is missing, and nobody notices.
fn check_pin(release: &TalosRelease, computed: &SchematicId, diagnostics: &mut Diagnostics) {
    if let Some(pinned) = &release.pinned_schematic
        && pinned != computed.as_str()
    {
        diagnostics.add(Diagnostic::new(
            "talos.schematic",
            pinned,
            format!("talos.extensions have the ID {computed}; correct one of the two, or leave the ID out"),
        ));
    }
}

fn check_extensions(
    factory: &OfflineFactory,
    schematic: &Schematic,
    version: &ImageVersion,
    diagnostics: &mut Diagnostics,
) -> Vec<Diagnostic> {
    let found = factory.validate(schematic, version);
    for diagnostic in found.errors() {
        diagnostics.add(Diagnostic::new(
            "talos.extensions",
            &diagnostic.path,
            diagnostic.to_string(),
        ));
    }
    let warnings = found.warnings();
    let warning = |found: &factory_client::Diagnostic| {
        Diagnostic::problem("talos.extensions", found.to_string(), None).into_warning()
    };
    warnings.map(warning).collect()
}

fn kubernetes_version(
    release: &TalosRelease,
    version: &TalosVersion,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let Some(wanted) = &release.kubernetes_version else {
        return Some(version.default_components().kubernetes.to_owned());
    };
    let wanted = wanted.trim_start_matches('v');
    diagnostics.check(
        "talos.kubernetesVersion",
        &wanted,
        version.check_kubernetes(wanted),
    )?;
    Some(wanted.to_owned())
}
