//! A status for people, on one screen.

use std::fmt;

use super::{
    ArgoCdStatus, ClusterStatus, EtcdState, KubernetesStatus, MachineState, NodeState, Seen,
};
use crate::verbs::plan::Verdict;

impl fmt::Display for ClusterStatus {
    /// One line for each machine and each part; details only where something is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status of cluster {}", self.cluster)?;
        let record = seen(&self.record, |record| {
            format!("{}, cluster id {}", record.store, record.cluster_id)
        });
        write_part(f, "record", &record)?;
        for machine in &self.machines {
            write_machine(f, machine)?;
        }
        write_part(f, "kubernetes", &seen(&self.kubernetes, kubernetes_line))?;
        if let Seen::Exists(kubernetes) = &self.kubernetes {
            for check in kubernetes.checks.iter().filter(|check| !check.passed) {
                write_part(f, "", &format!("x {}", check.text))?;
            }
        }
        write_part(f, "argo cd", &seen(&self.argocd, argocd_line))?;
        if let Seen::Exists(argocd) = &self.argocd {
            for application in &argocd.applications {
                let state = format!("{} {}", application.sync, application.health);
                write_part(f, "", &format!("{} {state}", application.name))?;
            }
        }
        for expiry in &self.expiries {
            let mark = if expiry.soon { "!" } else { "=" };
            let date = expiry.at.strftime("%Y-%m-%d");
            let when = distance(expiry.days);
            writeln!(f, "  {mark} {}: {date}, {when}", expiry.what)?;
        }
        for machine in &self.removed {
            writeln!(
                f,
                "  ! VM {} ({}) left the specification and still exists",
                machine.vm_id, machine.name
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "  ! {warning}")?;
        }
        writeln!(f, "{}", drift_line(self))
    }
}

fn seen<T>(state: &Seen<T>, line: impl Fn(&T) -> String) -> String {
    match state {
        Seen::Exists(thing) => line(thing),
        Seen::Absent { reason } => format!("absent: {reason}"),
        Seen::Unknown { cause } => format!("unknown: {cause}"),
    }
}

/// A part of the cluster, with its name in a column of its own.
fn write_part(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {name:<14}{text}")
}

/// How far away a day is.
fn distance(days: i64) -> String {
    match days {
        0.. => format!("in {days} days"),
        _ => format!("{} days ago", -days),
    }
}

fn write_machine(f: &mut fmt::Formatter<'_>, machine: &MachineState) -> fmt::Result {
    let node = seen(&machine.node, node_line);
    let text = format!(
        "{} at {}, VM {}: {node}",
        machine.name, machine.address, machine.vm_id
    );
    write_part(f, &machine.role.to_string(), &text)?;
    if let Seen::Exists(node) = &machine.node {
        for condition in &node.unmet_conditions {
            write_part(f, "", &format!("x {condition}"))?;
        }
    }
    Ok(())
}

fn node_line(node: &NodeState) -> String {
    let ready = if node.is_ready { "ready" } else { "not ready" };
    let etcd = match &node.etcd {
        Some(EtcdState::Member) => ", etcd member".to_owned(),
        Some(EtcdState::Learner) => ", etcd member that does not vote yet".to_owned(),
        Some(EtcdState::NotMember) => ", not a member of etcd".to_owned(),
        Some(EtcdState::Unknown { cause }) => format!(", etcd unknown: {cause}"),
        None => String::new(),
    };
    format!(
        "Talos {}, {}, {ready}{etcd}",
        node.talos_version, node.stage
    )
}

fn kubernetes_line(status: &KubernetesStatus) -> String {
    let passed = status.checks.iter().filter(|check| check.passed).count();
    format!(
        "{}, {passed} of {} checks passed",
        status.version,
        status.checks.len()
    )
}

fn argocd_line(status: &ArgoCdStatus) -> String {
    let mut line = format!("{}, connection {}", status.server, status.connection);
    if !status.message.is_empty() {
        line.push_str(&format!(" ({})", status.message));
    }
    line
}

fn drift_line(status: &ClusterStatus) -> String {
    let steps: Vec<String> = status
        .differences
        .iter()
        .map(|step| step.step.to_string())
        .collect();
    match status.drift {
        Verdict::Nothing => "As the specification says.".to_owned(),
        Verdict::Unknown => format!(
            "Whether it is as the specification says is unknown: {}.",
            steps.join(", ")
        ),
        _ => format!(
            "It differs from the specification ({}): see `plan`.",
            steps.join(", ")
        ),
    }
}
