//! What is checked before an upgrade.

use super::{OPERATION, UpgradeRecord};
use crate::config::TalosVersion;
use crate::cosi::{MachineStatus, MachineType, SecurityState, Stage};
use crate::machine::UpgradeRequest;
use crate::{Client, Error, ErrorKind, Result};

/// Runs all checks, and returns what they have learned.
pub(super) async fn run(client: &Client, request: &UpgradeRequest) -> Result<UpgradeRecord> {
    let machine = client.machine();
    let fail = |kind, message: String| {
        Err(Error::new(kind, OPERATION)
            .with_target(machine.target())
            .with_message(message))
    };
    let Some(version) = request.version() else {
        let message = format!(
            "image: {:?} has no tag, so its release is not known; add `:v1.x.y`",
            request.image()
        );
        return fail(ErrorKind::InvalidInput, message);
    };
    let from_version = machine.version().await?.tag;
    TalosVersion::parse(version)?.check_upgrade_from(&TalosVersion::parse(&from_version)?)?;

    let resources = client.resources();
    let from_schematic = resources.schematic_id().await?;
    if let (Some(schematic), None) = (&from_schematic, request.schematic_id()) {
        let message = format!(
            "image: {:?} has no schematic, but the node runs schematic {schematic} and would lose its extensions; use an \
             installer image of the factory",
            request.image()
        );
        return fail(ErrorKind::InvalidInput, message);
    }
    let security = resources.find_singleton::<SecurityState>().await?;
    let is_secure_boot = security.is_some_and(|state| state.spec.is_secure_boot);
    if is_secure_boot && !request.image().contains("-secureboot") {
        let message = format!(
            "image: {:?} is not signed for Secure Boot, which the node enforces; use the `-secureboot` installer",
            request.image()
        );
        return fail(ErrorKind::InvalidInput, message);
    }
    let status = resources.singleton::<MachineStatus>().await?.spec;
    if !matches!(status.stage, Stage::Running | Stage::Booting) {
        let message = format!("the machine is {}; wait until it runs", status.stage);
        return fail(ErrorKind::NotReady, message);
    }
    let kind = resources.singleton::<MachineType>().await?.spec;
    if !request.is_forced() && matches!(kind, MachineType::ControlPlane | MachineType::Init) {
        etcd(client).await?;
    }
    Ok(UpgradeRecord {
        image: request.image().to_owned(),
        version: version.to_owned(),
        schematic: request.schematic_id().map(ToOwned::to_owned),
        extensions: Vec::new(),
        from_version,
        from_schematic,
        boot_id: machine.boot_id().await?,
        actor: None,
    })
}

/// A member that goes down must not be missed.
async fn etcd(client: &Client) -> Result<()> {
    let machine = client.machine();
    let fail = |message: String| {
        Err(Error::new(ErrorKind::NotReady, OPERATION)
            .with_target(machine.target())
            .with_message(message))
    };
    let status = machine.etcd_status().await?;
    if status.leader.is_none() {
        return fail("etcd has no leader".to_owned());
    }
    if let Some(error) = status.errors.first() {
        return fail(format!("etcd reports: {error}"));
    }
    if let Some(learner) = machine
        .etcd_members()
        .await?
        .into_iter()
        .find(|member| member.is_learner)
    {
        return fail(format!(
            "etcd member {} is a learner; wait until it votes",
            learner.hostname
        ));
    }
    if let Some(alarm) = machine.etcd_alarms().await?.first() {
        return fail(format!(
            "etcd member {} has the alarm {:?}; solve its cause and disarm it",
            alarm.member_id, alarm.kind
        ));
    }
    Ok(())
}
