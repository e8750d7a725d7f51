//! The order of a teardown, under the lease.

use super::{DestroyOptions, Destroyed, Kept, Removal};
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::owned::{self, OwnedVm};
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::run::engine::{Run, Stop};
use crate::run::event::EventKind;
use crate::run::step::StepId;
use crate::spec::machine::Role;
use crate::state::artifacts::Artifact;
use crate::state::claim::{self, forget_bootstrap};
use crate::state::journal::{Record, RecordState};
use crate::state::lease::Lease;
use crate::state::record::ClusterRecord;
use crate::state::talosconfig;

const OPERATION: &str = "destroy the cluster";

impl ClusterBootstrap {
    /// Destroys the cluster, or one machine of it: the entry in Argo CD, the service account, the VMs with their disks, the
    /// ISO if nothing else uses it, the kubeconfig and the merged context.
    ///
    /// Each VM is proven by its SMBIOS UUID, which follows from the id in the cluster record, right before it is deleted; an
    /// event and a record in the journal precede each deletion. VMs are stopped, not shut down, so nodes and Kubernetes may be
    /// dead. Secrets are kept: the cluster record in its store and the files of the output directory. The lease of the
    /// cluster is held meanwhile. The call may be repeated, also after the process was killed: it goes on with what is left.
    ///
    /// # Errors
    /// `InvalidInput` when the confirmed name is another one, or there is no such machine; `NotFound` without a cluster
    /// record, because nothing is proven then; `NotReady` while applications target the cluster, or when etcd would lose its
    /// quorum; `PermissionRequired` for a single control plane machine; `Conflict` while another run works on the cluster, or
    /// when etcd has a member that may be that of a single machine; the errors of the servers.
    pub async fn destroy(&self, options: &DestroyOptions) -> Result<Destroyed> {
        under_lease(
            self.context(),
            &options.cluster,
            OPERATION,
            async |teardown| teardown.perform(options).await,
        )
        .await
    }
}

/// Does work on the confirmed cluster while its lease is held, and returns what was done.
pub(super) async fn under_lease(
    context: &Context,
    confirmed: &str,
    operation: &'static str,
    work: impl AsyncFnOnce(&mut Teardown) -> Result<()>,
) -> Result<Destroyed> {
    let (mut lease, mut teardown) = begin(context, confirmed, operation).await?;
    // Boxed, because the future of the whole work is larger than a caller expects on the stack.
    let ended = lease.keep(Box::pin(work(&mut teardown))).await;
    if let Err(error) = lease.release().await {
        tracing::debug!(%error, "the lease was not released");
    }
    ended?;
    Ok(teardown.done)
}

/// The lease of the confirmed cluster, and a teardown with its record.
async fn begin(
    context: &Context,
    confirmed: &str,
    operation: &'static str,
) -> Result<(Lease, Teardown)> {
    confirm(context, confirmed, operation)?;
    let store = context.store().as_ref();
    let Some(claimed) = claim::find(store, &context.wanted()).await? else {
        return Err(unrecorded(context, operation));
    };
    let mut run = Run::new(context.clone(), StepId::Applications);
    let lease = run
        .acquire_lease()
        .await
        .map_err(|stop| error_of(stop, operation))?;
    run.adopt(claimed.record.clone())
        .map_err(|stop| error_of(stop, operation))?;
    let teardown = Teardown {
        context: run.context().clone(),
        record: claimed.record,
        done: Destroyed {
            cluster: context.cluster_name().to_owned(),
            removed: Vec::new(),
            kept: Vec::new(),
        },
    };
    Ok((lease, teardown))
}

fn confirm(context: &Context, confirmed: &str, operation: &'static str) -> Result<()> {
    if confirmed == context.cluster_name() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, operation)
        .with_target(context.cluster_name())
        .with_message(format!(
            "the confirmed name is {confirmed:?}, the specification describes {:?}",
            context.cluster_name()
        ))
        .with_hint("Confirm the name of the cluster that is meant. Nothing was changed."))
}

fn unrecorded(context: &Context, operation: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, operation)
        .with_target(context.store().describe())
        .with_message("there is no record of the cluster, so nothing can be proven to belong to it")
        .with_hint(
            "Use the store or output directory of the run that created it. Nothing was changed.",
        )
}

/// The error of a chain that ended early.
pub(crate) fn error_of(stop: Stop, operation: &'static str) -> Error {
    match stop {
        Stop::Failed(error) => error,
        Stop::Reached | Stop::OutOfTime(_) => Error::new(ErrorKind::Conflict, operation),
    }
}

/// A teardown in progress.
pub(super) struct Teardown {
    pub(super) context: Context,
    pub(super) record: ClusterRecord,
    pub(super) done: Destroyed,
}

impl Teardown {
    async fn perform(&mut self, options: &DestroyOptions) -> Result<()> {
        // Everything is looked up before anything is deleted: a server that is away ends the call here.
        let vms = owned::vms(&self.context, &self.record.cluster_id).await?;
        match &options.machine {
            Some(name) => self.one_machine(vms, name).await,
            None => self.whole_cluster(vms, options).await,
        }
    }

    async fn whole_cluster(&mut self, vms: Vec<OwnedVm>, options: &DestroyOptions) -> Result<()> {
        self.registration(options.despite_applications).await?;
        self.service_account().await;
        for vm in self.in_order(vms) {
            self.vm(&vm).await?;
        }
        // Those of VMs that somebody else deleted.
        for machine in &self.context.clone().desired().machines {
            self.user_data(&machine.spec.name).await?;
        }
        if !self.remaining().await? {
            self.forget_etcd().await?;
        }
        self.isos().await?;
        self.merged_context();
        self.kubeconfig()?;
        self.keep_secrets();
        Ok(())
    }

    /// Workers before control planes, as a run adds them after.
    fn in_order(&self, mut vms: Vec<OwnedVm>) -> Vec<OwnedVm> {
        vms.sort_by_key(|owned| self.role_of(&owned.name) == Some(Role::ControlPlane));
        vms
    }

    fn role_of(&self, name: &str) -> Option<Role> {
        let mut machines = self.context.desired().machines.iter();
        let machine = machines.find(|machine| machine.spec.name == name)?;
        Some(machine.spec.role)
    }

    async fn one_machine(&mut self, vms: Vec<OwnedVm>, name: &str) -> Result<()> {
        let role = self.role_of(name);
        let Some(owned) = vms.into_iter().find(|owned| owned.name == name) else {
            return match role {
                // Deleted by an earlier call.
                Some(_) => self.remaining().await.map(drop),
                None => Err(no_such_machine(name)),
            };
        };
        if self.record.control.bootstrap.is_some() {
            match role {
                Some(Role::ControlPlane) => return Err(control_plane(name)),
                Some(Role::Worker) => {}
                // Only etcd knows whether it was a control plane.
                None => self.out_of_etcd(owned.clone()).await?,
            }
        }
        self.vm(&owned).await?;
        let node = name.split('.').next().unwrap_or(name);
        self.keep(
            format!("the Kubernetes node {node}"),
            format!("Kubernetes lists it until it is removed: kubectl delete node {node}"),
        );
        Ok(())
    }

    /// Writes down that `what` is about to be deleted: an event, and a record in the journal.
    pub(super) async fn announce(&self, step: StepId, what: &str) -> Result<()> {
        let context = self.context.for_step(step);
        context.before_effect().await?;
        let record = Record::new(context.cluster_name(), step, RecordState::Started);
        context
            .journal()
            .append(record.with("deleting", what))
            .await?;
        context.emit(EventKind::Deleting {
            what: what.to_owned(),
        });
        Ok(())
    }

    pub(super) fn removed(&mut self, what: impl Into<String>, proof: impl Into<String>) {
        self.done.removed.push(Removal {
            what: what.into(),
            proof: proof.into(),
        });
    }

    pub(super) fn keep(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.done.kept.push(Kept {
            what: what.into(),
            why: why.into(),
        });
    }

    /// Without machines there is no etcd: a later run may bootstrap a new one.
    async fn forget_etcd(&self) -> Result<()> {
        let token = self.context.fencing_token();
        forget_bootstrap(self.context.store().as_ref(), token).await?;
        Ok(())
    }

    fn merged_context(&mut self) {
        let Some(path) = self.context.options().merge_talosconfig.clone() else {
            return;
        };
        let what = format!("the context of the cluster in {}", path.display());
        match talosconfig::remove(&self.context, &path) {
            Ok(names) if names.is_empty() => {
                self.keep(
                    what,
                    "it is not there, or it is the only context of the file",
                );
            }
            Ok(names) => self.removed(
                format!("context {} in {}", names.join(", "), path.display()),
                "it has the certificate of the cluster",
            ),
            Err(error) => self.keep(what, error.cause_line()),
        }
    }

    /// The credentials of a Kubernetes API that does not exist any more; a run fetches new ones.
    fn kubeconfig(&mut self) -> Result<()> {
        if self.context.artifacts().remove(&Artifact::Kubeconfig)? {
            let path = self.context.artifacts().path(&Artifact::Kubeconfig);
            self.removed(path, "it is a file of the output directory");
        }
        Ok(())
    }

    fn keep_secrets(&mut self) {
        let context = self.context.clone();
        self.keep(
            context.store().describe(),
            "the cluster record with its secrets is never deleted by a teardown",
        );
        for file in context.artifacts().existing(context.desired().artifacts()) {
            self.keep(
                file.path.display().to_string(),
                "the file holds secrets; delete it when they are not needed any more",
            );
        }
    }
}

fn no_such_machine(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "destroy the machine")
        .with_target(name)
        .with_message(
            "neither the specification nor Proxmox VE has a machine of the cluster with this name",
        )
        .with_hint(
            "`plan` lists the machines of the cluster, and those that left the specification.",
        )
}

fn control_plane(name: &str) -> Error {
    Error::new(ErrorKind::PermissionRequired, "destroy the machine")
        .with_target(name)
        .with_message("the machine is a control plane of the cluster: etcd would lose a member without leaving it")
        .with_hint(
            "Remove it from the specification; `scale` lets it leave etcd and deletes it. Nothing was changed.",
        )
}
