//! `scale()`: removes the machines that left the specification, one after another, in the order that keeps the cluster alive.

use talos_client::Client as Talos;
use talos_client::machine::{EtcdMember, ResetRequest};

use super::leaving::{Etcd, Leaving, addresses_of, answering};
use super::teardown::{Teardown, under_lease};
use super::{Destroyed, machines};
use crate::desired::ownership::MachineUuid;
use crate::error::{Error, ErrorKind, Result, Server};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::nodes::owned::{self, OwnedVm};
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::step::StepId;
use crate::run::wait::{Probed, Wait};
use crate::services::kubernetes::{Client as Kubernetes, NodeSummary};
use crate::steps::kubeconfig;

/// Which machines are removed. Making one names the cluster: that is the confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ScaleOptions {
    cluster: String,
    lost: bool,
}

impl ScaleOptions {
    /// Confirms that machines of this cluster are to be removed. The name must be that of the specification.
    pub fn confirmed(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            lost: false,
        }
    }

    /// Also removes machines whose nodes do not answer: they are switched off without being drained, and their members are
    /// removed from etcd by one that remains.
    pub fn including_lost(mut self) -> Self {
        self.lost = true;
        self
    }
}

impl ClusterBootstrap {
    /// Removes the machines that left the specification: workers first, then control planes, one at a time.
    ///
    /// A node that answers is reset gracefully: Talos cordons and drains it (pods are evicted), makes it leave etcd, wipes its
    /// disk and shuts it down (v1.10 to v1.14). When its VM has stopped, a member that is still listed is removed by a control
    /// plane that remains, the Kubernetes node is deleted, and the VM is proven by its SMBIOS UUID and deleted with its disks.
    /// A control plane is only touched while a majority of the members that remain is healthy. An event and a record in the
    /// journal precede each of these. Machines of the specification are never touched; adding machines is [`run`](Self::run),
    /// which also writes the endpoints that are left into the talosconfig.
    ///
    /// The lease of the cluster is held meanwhile. The call may be repeated, also after the process was killed: the VM is
    /// deleted last, so it goes on with what is left.
    ///
    /// # Errors
    /// `InvalidInput` when the confirmed name is another one; `NotFound` without a cluster record; `NotReady` when etcd would
    /// lose its quorum; `PermissionRequired` for a node that does not answer while its VM runs or it is a member of etcd,
    /// unless [`including_lost`](ScaleOptions::including_lost) was called; `Conflict` while another run works on the cluster,
    /// or when etcd has a member that may be that of a node that does not answer; `Deadline` for a node that does not shut
    /// down; the errors of the servers.
    pub async fn scale(&self, options: &ScaleOptions) -> Result<Destroyed> {
        const OPERATION: &str = "scale the cluster";
        under_lease(
            self.context(),
            &options.cluster,
            OPERATION,
            async |teardown| teardown.scale(options).await,
        )
        .await
    }
}

impl Teardown {
    async fn scale(&mut self, options: &ScaleOptions) -> Result<()> {
        let vms = owned::vms(&self.context, &self.record.cluster_id).await?;
        let vms: Vec<OwnedVm> = vms.into_iter().filter(|owned| !owned.is_declared).collect();
        if vms.is_empty() {
            return Ok(());
        }
        let identity = Identity::of(self.record.bundle.clone(), jiff::Timestamp::now())?;
        let (kubernetes, nodes) = self.kubernetes_nodes(options).await?;
        let mut leaving = self.leaving(vms, &identity, nodes).await?;
        if let Some(machine) = leaving.iter().find(|machine| machine.is_lost())
            && !options.lost
        {
            return Err(lost(machine));
        }
        // Workers first. Members that are lost count for the quorum as long as they are listed, so they precede the others.
        leaving.sort_by_key(|machine| (machine.member.is_some(), machine.address.is_some()));
        for machine in &leaving {
            self.leave(&identity, kubernetes.as_ref(), machine).await?;
        }
        self.keep(
            "the talosconfig and the secret store",
            "the next run writes the endpoints that are left",
        );
        Ok(())
    }

    /// The Kubernetes API with the nodes that it lists. A node that is not listed would be taken for one that does not answer, so
    /// only the permission to remove lost machines goes on without the list.
    async fn kubernetes_nodes(
        &mut self,
        options: &ScaleOptions,
    ) -> Result<(Option<Kubernetes>, Vec<NodeSummary>)> {
        let asked = async {
            let Some(client) = kubeconfig::access(&self.context).await? else {
                return Ok((None, Vec::new()));
            };
            let nodes = client.nodes().await;
            let nodes = nodes.map_err(|error| Error::from(error).at_server(Server::Kubernetes))?;
            Ok::<_, Error>((Some(client), nodes))
        };
        match asked.await {
            Err(error) if options.lost => {
                let what = "the Kubernetes nodes of the machines";
                let cause = error.cause_line();
                self.keep(
                    what,
                    format!("they cannot be listed ({cause}); remove them: kubectl delete node"),
                );
                Ok((None, Vec::new()))
            }
            asked => asked,
        }
    }

    /// The machine leaves etcd and Kubernetes, and its VM is deleted last: what is interrupted is found again by it.
    async fn leave(
        &mut self,
        identity: &Identity,
        kubernetes: Option<&Kubernetes>,
        machine: &Leaving,
    ) -> Result<()> {
        let context = self.context.for_machine(&machine.owned.name);
        if !owned::is_owned(&context, &machine.owned.vm).await? {
            return Ok(());
        }
        if let Some(member) = &machine.member {
            self.keeps_quorum(identity, member).await?;
        }
        self.reset(identity, machine).await?;
        if let Some(member) = &machine.member {
            self.leave_etcd(identity, member).await?;
        }
        if let Some(node) = &machine.node {
            self.kubernetes_node(kubernetes, node).await?;
        }
        self.vm(&machine.owned).await
    }

    /// Drains, resets and shuts down the node; switches its VM off when the node does not answer. The VM is stopped then.
    async fn reset(&mut self, identity: &Identity, machine: &Leaving) -> Result<()> {
        let name = &machine.owned.name;
        let context = self.context.for_step(StepId::Apply).for_machine(name);
        let Some(talos) = self.node(identity, machine).await? else {
            if machine.is_running {
                context.warn(format!("{name} does not answer: it is not drained"));
            }
            return machines::switch_off(&context, &machine.owned.vm).await;
        };
        self.announce(StepId::Apply, &format!("the node {name}"))
            .await?;
        talos.machine().reset(&ResetRequest::system_disk()).await?;
        let down = format!("{name} to be drained, reset and shut down");
        Wait::new(down, &context, context.timing().install)
            .until(&context, || is_stopped(&machine.owned))
            .await?;
        context.note(format!("{name} is drained, reset and shut down"));
        Ok(())
    }

    /// The node, when it answers and still proves that it is this machine.
    ///
    /// # Errors
    /// `NotReady` when it answered before.
    async fn node(&self, identity: &Identity, machine: &Leaving) -> Result<Option<Talos>> {
        let Some(address) = machine.address else {
            return Ok(None);
        };
        let id = self.record.cluster_id.as_str();
        let name = &machine.owned.name;
        match answering(&self.context, identity, address).await? {
            Some((talos, uuid)) if MachineUuid::derive(id, name).is(&uuid) => Ok(Some(talos)),
            _ => Err(silent(machine)),
        }
    }

    /// The machine leaves etcd, when it is a member: first of all, because a member that is switched off still counts for the
    /// quorum.
    ///
    /// # Errors
    /// Those of the control planes when none of them answers: whether the machine is a member is unknown then.
    pub(super) async fn out_of_etcd(&mut self, owned: OwnedVm) -> Result<()> {
        let identity = Identity::of(self.record.bundle.clone(), jiff::Timestamp::now())?;
        for machine in self.leaving(vec![owned], &identity, Vec::new()).await? {
            if let Some(member) = &machine.member {
                self.keeps_quorum(&identity, member).await?;
                self.leave_etcd(&identity, member).await?;
            }
        }
        Ok(())
    }

    /// Removes a member that its node did not remove by itself.
    async fn leave_etcd(&mut self, identity: &Identity, member: &EtcdMember) -> Result<()> {
        let what = format!("the etcd member {} {}", member.hostname, member.id);
        let etcd = Etcd::ask(&self.context, identity).await?;
        if etcd.others().any(|other| other.id == member.id) {
            self.announce(StepId::EtcdBootstrap, &what).await?;
            etcd.asked.machine().etcd_remove_member(member.id).await?;
        }
        self.removed(what, "it is of the machine, whose VM is proven");
        Ok(())
    }

    async fn kubernetes_node(&mut self, kubernetes: Option<&Kubernetes>, node: &str) -> Result<()> {
        let what = format!("the Kubernetes node {node}");
        let Some(client) = kubernetes else {
            return Ok(());
        };
        self.announce(StepId::Verify, &what).await?;
        match client.delete_node(node).await {
            Ok(true) => self.removed(what, "its machine is proven and stopped"),
            Ok(false) => {}
            Err(error) => self.keep(
                what,
                format!("{error}; remove it: kubectl delete node {node}"),
            ),
        }
        Ok(())
    }

    /// Returns when etcd would work on without this member, and refuses when it would not after the time of a request: an
    /// election takes a moment.
    async fn keeps_quorum(&self, identity: &Identity, leaving: &EtcdMember) -> Result<()> {
        let context = self.context.for_step(StepId::EtcdBootstrap);
        let what = format!("a healthy majority without {}", leaving.hostname);
        let waited = Wait::new(what, &context, context.timing().request)
            .until(&context, || self.quorum_without(identity, leaving))
            .await;
        match waited {
            Err(error) if error.kind() == ErrorKind::Deadline => Err(no_quorum(leaving, error)),
            other => other,
        }
    }

    async fn quorum_without(
        &self,
        identity: &Identity,
        leaving: &EtcdMember,
    ) -> Result<Probed<()>> {
        let etcd = match Etcd::ask(&self.context, identity).await {
            Ok(etcd) => etcd,
            Err(error) if error.is_retryable() => return Ok(Probed::Retry(error)),
            Err(error) => return Err(error),
        };
        let voters = etcd.members.iter().filter(|member| !member.is_learner);
        let (mut left, mut healthy) = (0, 0);
        for member in voters.filter(|member| member.id != leaving.id) {
            left += 1;
            healthy += usize::from(self.is_healthy(identity, member).await);
        }
        Ok(match has_quorum(left, healthy) {
            true => Probed::Ready(()),
            false => Probed::Pending(format!(
                "{healthy} of the {left} members that would be left are healthy"
            )),
        })
    }

    async fn is_healthy(&self, identity: &Identity, member: &EtcdMember) -> bool {
        for address in addresses_of(member) {
            let endpoint = nodes::endpoint(&self.context, address);
            let client = Talos::builder(endpoint, identity.credentials())
                .timeout(nodes::PROBE)
                .build();
            let Ok(client) = client else {
                continue;
            };
            let status = client.machine().etcd_status().await;
            if status.is_ok_and(|status| status.member_id == member.id && status.leader.is_some()) {
                return true;
            }
        }
        false
    }
}

/// Only Proxmox VE knows that a machine is off: a node that does not answer may be one that cannot be reached.
async fn is_stopped(owned: &OwnedVm) -> Result<Probed<()>> {
    match owned.vm.status().await {
        Ok(status) if status.is_running() => Ok(Probed::Pending("the VM runs".to_owned())),
        Ok(_) => Ok(Probed::Ready(())),
        Err(error) if error.is_retryable() => Ok(Probed::Retry(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Whether a majority of `left` members is healthy.
fn has_quorum(left: usize, healthy: usize) -> bool {
    healthy > left / 2
}

fn no_quorum(leaving: &EtcdMember, waited: Error) -> Error {
    Error::new(ErrorKind::NotReady, "remove the etcd member")
        .with_target(leaving.hostname.clone())
        .with_message(format!("etcd would lose its quorum: {}", waited.message()))
        .with_hint("Make the members that stay healthy first. This machine was not touched.")
}

fn lost(machine: &Leaving) -> Error {
    Error::new(ErrorKind::PermissionRequired, "remove the machine")
        .with_target(machine.owned.name.clone())
        .with_message("its node does not answer as this machine, so it cannot be drained and reset")
        .with_hint(
            "Start it. One that an earlier call is resetting shuts down by itself: repeat then. Or remove it as a lost one \
             (ScaleOptions::including_lost, --including-lost). Nothing was changed.",
        )
}

fn silent(machine: &Leaving) -> Error {
    Error::new(ErrorKind::NotReady, "reset the node")
        .with_target(machine.owned.name.clone())
        .with_message("the node answered before and does not any more")
        .with_hint("Repeat the call. This machine was not touched.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_of_the_members_that_are_left_must_be_healthy() {
        assert!(has_quorum(1, 1) && has_quorum(2, 2) && has_quorum(3, 2));
        assert!(!has_quorum(0, 0) && !has_quorum(2, 1) && !has_quorum(4, 2));
    }
}
