//! The Talos releases: from one version and one list of extensions follow the images. The release of the cluster decides the
//! configuration contract and the Kubernetes version too.

use std::collections::HashMap;
use std::sync::Arc;

use factory_client::{
    Arch, ImageRequest, OfflineFactory, Platform, Schematic, SchematicId,
    TalosVersion as ImageVersion,
};
use talos_client::config::{TalosVersion, VersionContract};

use super::RawSpec;
use crate::desired::release::Release;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::MachineSpec;
use crate::spec::release::{MachineRelease, TalosRelease};

/// The section of the cluster's release.
const CLUSTER: &str = "talos";

/// The release of the cluster, and what follows from it for all machines.
pub(super) struct ClusterRelease<'a> {
    pub(super) shared: Arc<Release>,
    pub(super) kubernetes_version: String,
    pub(super) warnings: Vec<Diagnostic>,
    wanted: &'a TalosRelease,
    factory: OfflineFactory,
}

/// The releases of the machines, in their order.
#[derive(Default)]
pub(super) struct MachineReleases {
    /// `None` where the machine's own release has a finding.
    pub(super) releases: Vec<Option<Arc<Release>>>,
    pub(super) warnings: Vec<Diagnostic>,
}

pub(super) fn release<'a>(
    inputs: &'a RawSpec,
    diagnostics: &mut Diagnostics,
) -> Option<ClusterRelease<'a>> {
    let Some(wanted) = &inputs.release else {
        diagnostics.add(Diagnostic::missing(
            "talos.version",
            "name the Talos version, for example 1.10.7",
        ));
        return None;
    };
    let factory = factory(inputs, diagnostics);
    let section = Section {
        path: CLUSTER.to_owned(),
        wanted,
    };
    let (release, warnings) = section.resolve(factory.as_ref(), diagnostics)?;
    Some(ClusterRelease {
        kubernetes_version: kubernetes_version(wanted, &release.version, diagnostics)?,
        shared: Arc::new(release),
        warnings,
        wanted,
        factory: factory?,
    })
}

impl ClusterRelease<'_> {
    /// Equal releases are one.
    pub(super) fn of_machines(
        &self,
        machines: &[MachineSpec],
        diagnostics: &mut Diagnostics,
    ) -> MachineReleases {
        let mut found = MachineReleases::default();
        let file = self.shared.iso_file.clone();
        let mut by_file = HashMap::from([(file, Arc::clone(&self.shared))]);
        let as_the_cluster = MachineRelease::default();
        let mut known = HashMap::from([(&as_the_cluster, Arc::clone(&self.shared))]);
        for (index, machine) in machines.iter().enumerate() {
            if let Some(release) = known.get(&machine.release) {
                found.releases.push(Some(Arc::clone(release)));
                continue;
            }
            let own = self.of_machine(index, &machine.release, diagnostics);
            let own = own.map(|(release, warnings)| {
                found.warnings.extend(warnings);
                let file = release.iso_file.clone();
                let release = by_file.entry(file).or_insert_with(|| Arc::new(release));
                Arc::clone(release)
            });
            if let Some(release) = &own {
                known.insert(&machine.release, Arc::clone(release));
            }
            found.releases.push(own);
        }
        found
    }

    fn of_machine(
        &self,
        index: usize,
        own: &MachineRelease,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Release, Vec<Diagnostic>)> {
        let wanted = &own.within(self.wanted);
        let section = Section {
            path: format!("machines[{index}].talos"),
            wanted,
        };
        let resolved = section.resolve(Some(&self.factory), diagnostics)?;
        self.fits_the_cluster(&section, &resolved.0.version, diagnostics)?;
        Some(resolved)
    }

    /// Configurations follow the contract of the cluster, which an earlier Talos does not know, and ask for its Kubernetes.
    fn fits_the_cluster(
        &self,
        section: &Section<'_>,
        version: &TalosVersion,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let contract = self.shared.version.contract();
        let field = section.field("version");
        if version.contract() < contract {
            diagnostics.add(Diagnostic::new(
                field,
                &section.wanted.version,
                format!(
                    "must be of Talos {contract} or later, like talos.version: an earlier Talos does not know the configurations \
                     of the cluster"
                ),
            ));
            return None;
        }
        let kubernetes = version.check_kubernetes(&self.kubernetes_version);
        diagnostics.check(&field, &section.wanted.version, kubernetes)?;
        Some(())
    }
}

/// A section of the specification that says which Talos is wanted.
struct Section<'a> {
    path: String,
    wanted: &'a TalosRelease,
}

impl Section<'_> {
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// What follows from the section, with its warnings.
    fn resolve(
        &self,
        factory: Option<&OfflineFactory>,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Release, Vec<Diagnostic>)> {
        let wanted = self.wanted;
        let version = self.version(diagnostics);
        let platform = wanted.platform.parse::<Platform>();
        let platform = diagnostics.check(&self.field("platform"), &wanted.platform, platform);
        let arch = wanted.architecture.parse::<Arch>();
        let arch = diagnostics.check(&self.field("architecture"), &wanted.architecture, arch);
        let extensions = (self.field("extensions"), wanted.extensions.join(", "));
        let schematic = Schematic::builder()
            .extensions(wanted.extensions.iter().cloned())
            .build();
        let schematic = diagnostics.check(&extensions.0, &extensions.1, schematic)?;
        let factory = factory?;
        let id = factory.schematic_id(&schematic);
        let schematic_id = diagnostics.check(&extensions.0, &extensions.1, id)?;
        self.check_pin(&schematic_id, diagnostics);
        let (version, image_version) = version?;
        let warnings = self.check_extensions(factory, &schematic, &image_version, diagnostics);
        let mut request = ImageRequest::iso(platform?).arch(arch?);
        if wanted.secure_boot {
            request = request.secure_boot();
        }
        let image = request.of(schematic_id.clone(), image_version);
        let release = Release {
            installer: factory.installer_reference(&image.installer()),
            iso_file: image.file_name(),
            version,
            schematic,
            schematic_id,
            image,
        };
        Some((release, warnings))
    }

    fn version(&self, diagnostics: &mut Diagnostics) -> Option<(TalosVersion, ImageVersion)> {
        const ALLOWED: &str = "must be a full Talos version such as 1.10.7, for the ISO, the installer and the configuration alike";
        let text = &self.wanted.version;
        let versions = TalosVersion::parse(text)
            .ok()
            .zip(ImageVersion::parse(text).ok());
        let Some(versions) = versions else {
            diagnostics.add(Diagnostic::new(self.field("version"), text, ALLOWED));
            return None;
        };
        let supported = VersionContract::OLDEST..=VersionContract::NEWEST;
        if !supported.contains(&versions.0.contract()) {
            let (oldest, newest) = (supported.start(), supported.end());
            diagnostics.add(Diagnostic::new(
                self.field("version"),
                text,
                format!(
                    "must be a release of Talos {oldest} to {newest}; other releases are not supported"
                ),
            ));
            return None;
        }
        Some(versions)
    }

    /// A pasted ID may belong to another list of extensions; then the guest agent is missing, and nobody notices.
    fn check_pin(&self, computed: &SchematicId, diagnostics: &mut Diagnostics) {
        if let Some(pinned) = &self.wanted.pinned_schematic
            && pinned != computed.as_str()
        {
            diagnostics.add(Diagnostic::new(
                self.field("schematic"),
                pinned,
                format!(
                    "{} have the ID {computed}; correct one of the two, or leave the ID out",
                    self.field("extensions")
                ),
            ));
        }
    }

    fn check_extensions(
        &self,
        factory: &OfflineFactory,
        schematic: &Schematic,
        version: &ImageVersion,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Diagnostic> {
        let field = || self.field("extensions");
        let found = factory.validate(schematic, version);
        for diagnostic in found.errors() {
            let (path, text) = (&diagnostic.path, diagnostic.to_string());
            diagnostics.add(Diagnostic::new(field(), path, text));
        }
        let warnings = found.warnings();
        let warning = |found: &factory_client::Diagnostic| {
            Diagnostic::problem(field(), found.to_string(), None).into_warning()
        };
        warnings.map(warning).collect()
    }
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
