//! The requests of all servers of a lab, counted.

use std::collections::BTreeMap;

use lungmen_bootstrap::mock::Lab;

/// How often each server was asked for each thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requests(BTreeMap<String, usize>);

impl Requests {
    pub(crate) fn of(lab: &Lab) -> Self {
        let mut counts = BTreeMap::new();
        let mut note = |what: String| *counts.entry(what).or_default() += 1;
        for call in lab.proxmox().calls() {
            note(format!("proxmox {} {}", call.method, call.path));
        }
        for call in lab.factory().calls() {
            note(format!("factory {} {}", call.method, call.path));
        }
        for call in lab.argocd().calls() {
            note(format!("argocd {} {}", call.method, call.path));
        }
        for call in lab.openbao().calls() {
            note(format!("openbao {} {}", call.method, call.path));
        }
        for call in lab.kubernetes().iter().flat_map(|mock| mock.calls()) {
            note(format!("kubernetes {} {}", call.method, call.path));
        }
        for id in lab.proxmox().vm_ids() {
            for call in lab.talos(id).iter().flat_map(|mock| mock.calls()) {
                note(format!("talos {id} {}", call.path));
            }
        }
        Self(counts)
    }

    /// What was asked more often than before.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let new = self.0.iter().filter_map(|(what, count)| {
            let new = count.saturating_sub(before.count(what));
            (new > 0).then(|| (what.clone(), new))
        });
        Self(new.collect())
    }

    /// How often this was asked.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(what, count)| (what.as_str(), *count))
    }
}
