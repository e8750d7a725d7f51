//! Rules of the `v1alpha1` document, in the order in which the reference evaluates them.

mod bond;
mod cluster;
mod device;
mod install;
mod runtime_spec;
mod services;

use super::Mode;
use super::findings::Findings;
use super::labels;
use super::view::View;
use crate::config::VersionContract;
use crate::go::text::quoted;

pub(super) use cluster::check_resources;
pub(super) use runtime_spec::check as check_runtime_spec;
pub(super) use services::{API_ROLES, PROTECTED_KUBELET_FIELDS};

/// The role of a machine, as far as its type names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    ControlPlane,
    Worker,
    Unknown,
}

impl Role {
    pub(super) fn of(config: View<'_>) -> Self {
        match config.at("machine.type").text() {
            "init" | "controlplane" => Self::ControlPlane,
            "worker" | "join" | "" => Self::Worker,
            _ => Self::Unknown,
        }
    }
}

/// What every rule of this document needs to know.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    machine: View<'a>,
    cluster: View<'a>,
    role: Role,
    mode: Mode,
    release: VersionContract,
}

/// Applies all rules; strictness is the caller's.
pub(super) fn check(config: View<'_>, mode: Mode, release: VersionContract) -> Findings {
    let mut findings = Findings::default();
    let machine = config.get("machine");
    if !machine.is_set() {
        findings.error("machine instructions are required");
        return findings;
    }
    let subject = Subject {
        machine,
        cluster: config.get("cluster"),
        role: Role::of(config),
        mode,
        release,
    };
    deprecations(subject, &mut findings);
    cluster::check(subject, &mut findings);
    install::check(subject, &mut findings);
    host_dns(subject, &mut findings);
    machine_type(subject, &mut findings);
    authorities(subject, &mut findings);
    device::check(subject, &mut findings);
    services::check_disks(machine.get("disks"), &mut findings);
    services::check_kubelet(machine.get("kubelet"), &mut findings);
    services::check_encryption(machine.get("systemDiskEncryption"), &mut findings);
    services::check_kubespan(subject, &mut findings);
    services::check_logging(machine.get("logging"), &mut findings);
    install::check_extensions(subject, &mut findings);
    node_metadata(machine, &mut findings);
    services::check_api_access(subject, &mut findings);
    services::check_address_sort(machine, &mut findings);
    findings.error_if(
        config.get("persist").bool() == Some(false),
        ".persist should be enabled",
    );
    runtime_spec::check(machine.get("baseRuntimeSpecOverrides"), &mut findings);
    services::check_registries(machine.get("registries"), &mut findings);
    findings
}

fn deprecations(subject: Subject<'_>, findings: &mut Findings) {
    if subject.release < VersionContract::V1_14 {
        return;
    }
    if subject.machine.get("files").has_content() {
        findings
            .warning(".machine.files is deprecated; use dedicated configuration documents instead");
    }
    if subject
        .machine
        .get("baseRuntimeSpecOverrides")
        .has_content()
    {
        findings.warning(
            ".machine.baseRuntimeSpecOverrides is deprecated; use a CRIBaseRuntimeSpecConfig document instead",
        );
    }
}

fn host_dns(subject: Subject<'_>, findings: &mut Findings) {
    let host_dns = subject.machine.at("features.hostDNS");
    let enabled = host_dns.get("enabled").is_true();
    let forwards = host_dns.get("forwardKubeDNSToHost").is_true();
    if subject.mode == Mode::Container && subject.release < VersionContract::V1_14 {
        findings.error_if(
            !enabled,
            "feature HostDNS should be enabled in container mode (.machine.features.hostDNS.enabled)",
        );
        findings.error_if(
            !forwards,
            "feature HostDNS should forward kube-dns to host in container mode (.machine.features.hostDNS.forwardKubeDNSToHost)",
        );
    }
    findings.error_if(
        subject.release >= VersionContract::V1_13 && forwards && !enabled,
        "feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)",
    );
}

fn machine_type(subject: Subject<'_>, findings: &mut Findings) {
    let written = subject.machine.get("type").text();
    if subject.role == Role::Worker && written != "worker" {
        findings.warning(format!(
            "use \"worker\" instead of {} for machine type",
            quoted(written)
        ));
    }
}

fn authorities(subject: Subject<'_>, findings: &mut Findings) {
    let ca = subject.machine.get("ca");
    let accepted = subject.machine.get("acceptedCAs").items().len() > 0;
    findings.error_if(
        !ca.is_set() && !accepted,
        "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
    );
    match subject.role {
        Role::ControlPlane => {
            cluster::check_cni(subject, findings);
            if !ca.is_set() {
                findings.error("issuing CA is required (.machine.ca)");
            } else if !ca.get("key").has_text() {
                findings
                    .error("issuing CA key is required for controlplane nodes (.machine.ca.key)");
            }
        }
        Role::Worker => {
            device::check_worker_vips(subject, findings);
            findings.error_if(
                ca.get("key").has_text(),
                "issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)",
            );
            findings.error_if(
                ca.is_set() && !ca.get("crt").has_text() && !accepted,
                "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)",
            );
            findings.error_if(
                subject.cluster.at("ca.key").has_text(),
                "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)",
            );
        }
        Role::Unknown => findings.error(format!(
            "unknown machine type {}",
            quoted(subject.machine.get("type").text())
        )),
    }
}

fn node_metadata(machine: View<'_>, findings: &mut Findings) {
    let checks = [
        ("labels", labels::check_labels(machine.get("nodeLabels"))),
        (
            "annotations",
            labels::check_annotations(machine.get("nodeAnnotations")),
        ),
        ("taints", labels::check_taints(machine.get("nodeTaints"))),
    ];
    for (what, result) in checks {
        if let Err(error) = result {
            findings.error(format!("invalid machine node {what}: {error}"));
        }
    }
}
