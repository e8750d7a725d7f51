//! The cluster record: read, or written before anything is created.

use secrecy::ExposeSecret as _;
use talos_client::secrets::SecretsBundle;

use crate::desired::DesiredMachine;
use crate::desired::ownership::MachineUuid;
use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::artifacts::Artifact;
use crate::state::claim::{self, Claimed, RecordDiff};
use crate::state::record::ClusterRecord;

pub(crate) struct ClaimCluster;

impl Step for ClaimCluster {
    const ID: StepId = StepId::Claim;
    const KIND: Kind = Kind::Act;
    type Output = ClusterRecord;

    async fn observe(&self, context: &Context) -> Result<Observation<ClusterRecord>> {
        let store = context.store().as_ref();
        let found = claim::find(store, &context.wanted()).await?;
        let Some(claimed) = found else {
            return Ok(Observation::Absent(missing(context)));
        };
        accept(context, &claimed).await?;
        Ok(Observation::Done(claimed.record))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        context.before_effect().await?;
        let store = context.store().as_ref();
        let wanted = context.wanted();
        let claimed: Claimed = match &context.options().import {
            Some(import) => claim::import(store, &wanted, import.clone()).await?,
            None => claim::claim(store, &wanted, || generate(context)).await?,
        };
        context.note(format!(
            "Cluster {} is recorded in {} with the id {}.",
            claimed.record.title(),
            store.describe(),
            claimed.record.cluster_id
        ));
        Ok(())
    }

    fn summary(&self, record: &ClusterRecord) -> String {
        format!("cluster id {}", record.cluster_id)
    }

    fn evidence(&self, record: &ClusterRecord) -> Vec<(&'static str, String)> {
        vec![
            ("cluster-id", record.cluster_id.to_string()),
            ("bundle", record.bundle_fingerprint()),
        ]
    }
}

/// Why the cluster has no identity yet.
pub(crate) fn missing(context: &Context) -> String {
    format!(
        "{} has no record of the cluster",
        context.store().describe()
    )
}

/// Whether the specification, the files and the bundle to import agree with the record.
///
/// # Errors
/// `Conflict` where they contradict it; the errors of the store.
pub(crate) async fn accept(context: &Context, claimed: &Claimed) -> Result<()> {
    if let Some(import) = &context.options().import {
        let store = context.store().as_ref();
        // The record exists, so this only compares the bundles.
        claim::import(store, &context.wanted(), import.clone()).await?;
    }
    refuse_changes(context, &claimed.diffs)?;
    compare_file(context, &claimed.record)
}

/// The bundle of a new cluster. Nothing is generated for machines whose secrets are lost, or beside secrets that were not
/// imported.
async fn generate(context: &Context) -> Result<SecretsBundle> {
    refuse_unrecorded_machines(context).await?;
    refuse_unrecorded_file(context)?;
    Ok(SecretsBundle::generate(context.desired().contract()).await?)
}

/// A VM with the name of a machine and a derived UUID was created by an earlier run, whose record must exist somewhere.
pub(crate) async fn refuse_unrecorded_machines(context: &Context) -> Result<()> {
    for machine in &context.desired().machines {
        refuse_unrecorded_machine(context, machine).await?;
    }
    Ok(())
}

/// The same for one machine.
pub(crate) async fn refuse_unrecorded_machine(
    context: &Context,
    machine: &DesiredMachine,
) -> Result<()> {
    let node = context.clients().proxmox.node(machine.place.node.clone());
    let Some(config) = node.vm(machine.vm.id()).find_config().await? else {
        return Ok(());
    };
    let uuid = config.smbios.and_then(|smbios| smbios.uuid);
    let is_derived = uuid.is_some_and(|uuid| MachineUuid::is_derived(&uuid));
    if is_derived && config.name.as_deref() == Some(machine.vm.name()) {
        return Err(lost(context, machine.spec.vm_id));
    }
    Ok(())
}

fn lost(context: &Context, vm_id: u32) -> Error {
    Error::new(ErrorKind::SecretsLost, "find the cluster record")
        .with_target(context.store().describe())
        .with_message(format!(
            "VM {vm_id} was created by an earlier run, but the store has no record of the cluster and its secrets"
        ))
        .with_hint(
            "Run with the store or output directory of that run, import its secrets.yaml, or delete the VM to start over.",
        )
}

pub(crate) fn refuse_unrecorded_file(context: &Context) -> Result<()> {
    let artifacts = context.artifacts();
    if artifacts.read(&Artifact::Secrets)?.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, "claim the cluster")
        .with_target(artifacts.path(&Artifact::Secrets))
        .with_message("the file exists, but the cluster has no record, so it is not known which cluster it belongs to")
        .with_hint("Import the file explicitly (import_secrets, --import-secrets), or move it away."))
}

/// The output directory is a consumer of the record: a file with another bundle belongs to another cluster.
pub(crate) fn compare_file(context: &Context, record: &ClusterRecord) -> Result<()> {
    let artifacts = context.artifacts();
    let Some(text) = artifacts.read(&Artifact::Secrets)? else {
        return Ok(());
    };
    let recorded = record.bundle.to_yaml();
    if text.expose_secret() == recorded.expose_secret() {
        return Ok(());
    }
    match SecretsBundle::parse(text.expose_secret()) {
        Ok(other) if other.to_yaml().expose_secret() != recorded.expose_secret() => Err(
            Error::new(ErrorKind::Conflict, "compare the secrets bundle")
                .with_target(artifacts.path(&Artifact::Secrets))
                .with_message(format!(
                    "the file holds another secrets bundle than the record of cluster {} in {}",
                    record.title(),
                    context.store().describe()
                ))
                .with_hint(
                    "Choose another output directory, or move the file away. Nothing was changed.",
                ),
        ),
        // Cut, damaged or written in another style: it is written again from the record.
        _ => Ok(()),
    }
}

/// The version contract decides how configurations are generated and never changes by itself.
pub(super) fn refuse_changes(context: &Context, diffs: &[RecordDiff]) -> Result<()> {
    for diff in diffs {
        if diff.path == "contract" {
            return Err(
                Error::new(ErrorKind::Conflict, "compare the cluster record")
                    .with_target(context.store().describe())
                    .with_message(format!(
                        "the cluster was created for Talos {}, the specification asks for {}",
                        diff.from, diff.to
                    ))
                    .with_hint(format!(
                        "Restore talos.version. To upgrade the nodes: talosctl upgrade --image {}",
                        context.desired().release.installer
                    )),
            );
        }
        context.warn(format!(
            "The {} of the specification differs from the one the cluster was created with: {} instead of {}.",
            diff.path, diff.to, diff.from
        ));
    }
    Ok(())
}
