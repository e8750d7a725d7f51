//! What the caller gave beside the specification: whether it is all there, and for somebody.

use super::ClusterBootstrapBuilder;
use crate::desired::DesiredCluster;
use crate::error::{Error, Result};
use crate::run::clients::Clients;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};

impl ClusterBootstrapBuilder {
    /// Every storage of user data needs its folder.
    pub(super) fn check_snippets(&self, desired: &DesiredCluster) -> Result<()> {
        let mut diagnostics = Diagnostics::default();
        for storage in desired.snippet_storages() {
            if !self.snippets.contains_key(storage.as_str()) {
                diagnostics.add(Diagnostic::missing(
                    "machines",
                    format!(
                        "user data need the folder of storage {storage}: give it with `snippets`"
                    ),
                ));
            }
        }
        match diagnostics.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid_spec(diagnostics)),
        }
    }

    /// Fingerprints for machines that do not exist: they would protect nothing.
    fn fingerprints_of_nobody(&self) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        for name in self.options.maintenance_fingerprints.keys() {
            let mut machines = self.inputs.machines.iter();
            if !machines.any(|machine| machine.name() == name) {
                diagnostics.add(Diagnostic::missing(
                    "machines",
                    format!(
                        "there is no machine {name:?}, for which a maintenance fingerprint is given"
                    ),
                ));
            }
        }
        diagnostics
    }

    /// The clients, or everything that is missing or given for nobody.
    pub(super) fn clients(&self) -> Result<Clients> {
        let mut diagnostics = self.fingerprints_of_nobody();
        let mut need = |there: bool, path: &str, setter: &str| {
            if !there {
                diagnostics.add(Diagnostic::missing(
                    path,
                    format!("give the client with `{setter}`"),
                ));
            }
        };
        need(self.proxmox.is_some(), "proxmox", "proxmox");
        need(self.factory.is_some(), "talos.factory", "factory");
        let wants_openbao = self.inputs.openbao.is_some();
        need(
            !wants_openbao || self.openbao.is_some(),
            "openbao",
            "openbao_client",
        );
        let wants_argocd = self.inputs.argocd.is_some();
        need(
            !wants_argocd || self.argocd.is_some(),
            "argocd",
            "argocd_client",
        );
        match (&self.proxmox, &self.factory) {
            (Some(proxmox), Some(factory)) if diagnostics.is_empty() => Ok(Clients {
                proxmox: proxmox.clone(),
                factory: factory.clone(),
                argocd: self.argocd.clone(),
            }),
            _ => Err(Error::invalid_spec(diagnostics)),
        }
    }
}
