//! The Image Factory: the Talos version and its extensions.

use factory_client::{ErrorKind as FactoryKind, TalosVersion};

use super::examination::Examined;
use super::{Check, Finding};
use crate::desired::release::Release;
use crate::error::Server;
use crate::run::context::Context;

pub(super) async fn examine(context: &Context) -> Examined {
    let factory = &context.clients().factory;
    let desired = context.desired();
    let versions = match factory.versions().await {
        Ok(versions) => versions,
        Err(error) => return Examined::failed(Finding::of_call(Server::ImageFactory, error)),
    };
    let is = match factory.factory_version().await {
        Ok(Some(version)) => format!("Image Factory {}", version.version),
        _ => "Image Factory".to_owned(),
    };
    let mut findings = Vec::new();
    for release in desired.releases() {
        let found = match versions.contains(release.image.version()) {
            true => extensions(context, release).await,
            false => vec![missing(&versions, release.image.version())],
        };
        for finding in found {
            // Two releases of one version have the same finding.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    let findings = findings
        .into_iter()
        .map(|found| found.at(Server::ImageFactory));
    Examined {
        is: Some(is),
        findings: findings.collect(),
        ..Examined::default()
    }
}

fn missing(versions: &[TalosVersion], version: &TalosVersion) -> Finding {
    let is_near = |known: &&TalosVersion| {
        known.is_stable() && (known.major(), known.minor()) == (version.major(), version.minor())
    };
    let minor = versions.iter().filter(is_near).max();
    let fix = match minor {
        Some(latest) => format!("Set talos.version to one that it has, such as {latest}."),
        None => "Set talos.version to one that it has.".to_owned(),
    };
    let found = format!("the Image Factory has no Talos {version}");
    Finding::error(Check::TalosVersion, found).fix(fix)
}

async fn extensions(context: &Context, release: &Release) -> Vec<Finding> {
    let version = release.image.version();
    let official = match context.clients().factory.official_extensions(version).await {
        Ok(official) => official,
        Err(error) if error.kind() == FactoryKind::VersionNotAvailable => Vec::new(),
        Err(error) => return vec![Finding::of_call(Server::ImageFactory, error)],
    };
    let wanted = release.schematic.extensions().iter();
    wanted
        .filter(|name| !official.iter().any(|known| known.name == **name))
        .map(|name| {
            let found = format!("the Image Factory has no extension {name} for Talos {version}");
            Finding::error(Check::Extension, found)
                .fix("Correct talos.extensions, or choose a Talos version that has it.")
        })
        .collect()
}
