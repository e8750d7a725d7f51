//! Addresses: the endpoint of the cluster, its servers, and the places in them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use argocd_client::cluster::{check_label, check_name};
use url::Url;

use super::RawSpec;
use crate::spec::ArgoCdTarget;
use crate::spec::address;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{MachineSpec, Role};

/// The endpoint of the Kubernetes API.
pub(super) fn endpoint(text: &str, diagnostics: &mut Diagnostics) -> Option<Url> {
    const ALLOWED: &str = "must be an https URL with a host and no path, for example https://kubernetes.example.org:6443";
    match address::parse(text, ALLOWED) {
        Ok(url) if is_endpoint(&url) => Some(url),
        Ok(url) => {
            diagnostics.add(Diagnostic::new("cluster.endpoint", url, ALLOWED));
            None
        }
        Err(refused) => {
            diagnostics.add(Diagnostic::new(
                "cluster.endpoint",
                refused.shown,
                refused.allowed,
            ));
            None
        }
    }
}

fn is_endpoint(url: &Url) -> bool {
    url.scheme() == "https" && url.has_host() && matches!(url.path(), "" | "/")
}

/// An endpoint that is one machine: with it the Kubernetes API is gone, although others could serve it.
pub(super) fn single_machine(endpoint: &Url, machines: &[MachineSpec]) -> Option<Diagnostic> {
    let host = endpoint.host_str()?.trim_matches(['[', ']']);
    let is_meant = |machine: &MachineSpec| {
        let address = host.parse::<IpAddr>();
        address.is_ok_and(|address| address == machine.address) || host == machine.name
    };
    let index = machines.iter().position(is_meant)?;
    let control_planes = machines.iter().filter(|it| it.role == Role::ControlPlane);
    let message = match machines[index].role {
        Role::Worker => format!(
            "{host} is machines[{index}], a worker: the Kubernetes API is on the control planes"
        ),
        Role::ControlPlane if control_planes.count() > 1 => format!(
            "{host} is machines[{index}] alone: without it nobody reaches the Kubernetes API, although other control \
             planes serve it"
        ),
        Role::ControlPlane => return None,
    };
    let help = "use a virtual address that a patch configures, a load balancer, or a name that leads to every control plane";
    Some(Diagnostic::problem("cluster.endpoint", message, Some(help.to_owned())).into_warning())
}

/// The address of a server, without anything that may be secret.
pub(super) fn server(path: &str, url: &Url, diagnostics: &mut Diagnostics) -> Option<Url> {
    match address::check(url.clone()) {
        Ok(url) => Some(url),
        Err(refused) => {
            diagnostics.add(Diagnostic::new(path, refused.shown, refused.allowed));
            None
        }
    }
}

/// Every address in the text of a patch, whatever it is there for.
pub(super) fn patched_addresses(inputs: &RawSpec) -> BTreeSet<IpAddr> {
    let machines = inputs.machines.iter();
    let patches = machines.flat_map(|machine| &machine.patches);
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let words = patches
        .chain(&inputs.patches)
        .flat_map(|patch| patch.text().split(move |c| !is_part(c)));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// What Argo CD refuses would be found only when everything else is done.
fn argocd(target: &ArgoCdTarget, diagnostics: &mut Diagnostics) {
    let name = &target.cluster_name;
    diagnostics.check("argocd.clusterName", name, check_name(name));
    for (key, value) in &target.labels {
        let label = format!("{key}={value}");
        diagnostics.check("argocd.labels", &label, check_label(key, value));
    }
}

/// Places at the servers.
pub(super) fn check_targets(inputs: &RawSpec, diagnostics: &mut Diagnostics) {
    let mut filled = |path: &str, text: &str, allowed: &dyn fmt::Display| {
        let slashed = text.starts_with('/') || text.ends_with('/') || text.contains("//");
        if text.trim().is_empty() || slashed {
            diagnostics.add(Diagnostic::new(path, text, allowed.to_string()));
        }
    };
    if let Some(target) = &inputs.openbao {
        filled(
            "openbao.mount",
            &target.mount,
            &"must be a mount without slashes at its ends, for example secret",
        );
        filled(
            "openbao.path",
            &target.path,
            &"must be a path without slashes at its ends, for example talos/a.b",
        );
    }
    if let Some(target) = &inputs.argocd {
        argocd(target, diagnostics);
    }
    let openbao = inputs.openbao.as_ref();
    if let Some(url) = openbao.and_then(|target| target.address.as_ref()) {
        server("openbao.address", url, diagnostics);
    }
    let argocd = inputs.argocd.as_ref();
    if let Some(text) = argocd.and_then(|target| target.server.as_ref())
        && let Err(refused) = address::check_host(text)
    {
        diagnostics.add(Diagnostic::new(
            "argocd.server",
            refused.shown,
            refused.allowed,
        ));
    }
}
