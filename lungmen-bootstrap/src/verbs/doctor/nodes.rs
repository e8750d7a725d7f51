//! The nodes of a cluster that exists: their clocks, and the installer that they will be upgraded with.

use factory_client::ErrorKind as FactoryKind;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::{Check, Finding};
use crate::desired::DesiredMachine;
use crate::desired::release::Release;
use crate::error::Server;
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::state::record::ClusterRecord;

/// The largest difference between two clocks, in seconds: certificates are valid from the moment of their making.
const SKEW: i64 = 60;

/// What is found on the nodes that answer. One that does not is no finding: a run waits for it.
pub(super) async fn clocks(context: &Context, record: &ClusterRecord) -> Vec<Finding> {
    let Ok(identity) = Identity::of(record.bundle.clone(), Timestamp::now()) else {
        return Vec::new();
    };
    let machines = context.desired().machines.iter();
    let clocks = join_all(machines.map(|machine| clock(context, &identity, machine))).await;
    clocks.into_iter().flatten().collect()
}

async fn clock(
    context: &Context,
    identity: &Identity,
    machine: &DesiredMachine,
) -> Option<Finding> {
    let client = nodes::client(context, identity, machine).ok()?;
    let asked = Timestamp::now();
    let compared = tokio::time::timeout(nodes::PROBE, client.machine().time()).await;
    let compared = compared.ok()?.ok()?;
    // The answer took a while: the middle of it is compared.
    let here = asked
        .checked_add(Timestamp::now().duration_since(asked) / 2)
        .ok()?;
    skew(&machine.spec.name, compared.local?, here)
}

fn skew(name: &str, node: Timestamp, here: Timestamp) -> Option<Finding> {
    let difference = node.duration_since(here).as_secs();
    if difference.abs() <= SKEW {
        return None;
    }
    let word = if difference > 0 { "ahead of" } else { "behind" };
    let found = format!(
        "its clock is {} s {word} that of this host",
        difference.abs()
    );
    Some(
        Finding::warning(Check::Clock, found)
            .at(Server::Talos)
            .machine(name)
            .fix("Give the node a time server that it reaches (machine.time.servers), and synchronise this host."),
    )
}

/// Whether the factory has the installers of a cluster that was built before. It is not asked earlier: it remembers for a while
/// that it does not know a schematic.
pub(super) async fn installers(context: &Context, record: &ClusterRecord) -> Vec<Finding> {
    if record.control.bootstrap.is_none() {
        return Vec::new();
    }
    let releases = context.desired().releases();
    let asked = releases.iter().map(|release| installer(context, release));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn installer(context: &Context, release: &Release) -> Option<Finding> {
    let installer = release.image.installer();
    let poll = factory_client::Poll::default().deadline(nodes::PROBE);
    let error = context
        .clients()
        .factory
        .prewarm_installer(&installer, poll)
        .await
        .err()?;
    let finding = match error.kind() {
        FactoryKind::Deadline => Finding::note(
            Check::Installer,
            "the Image Factory is still building the installer image; a node that pulls it now may time out",
        )
        .fix("Wait a few minutes before an upgrade."),
        FactoryKind::SchematicNotFound | FactoryKind::VersionNotAvailable => Finding::error(
            Check::Installer,
            format!("the installer image does not exist: {error}"),
        )
        .fix("Run once: it registers the schematic again. Or correct talos.version and talos.extensions."),
        _ => Finding::of_call(Server::ImageFactory, error),
    };
    Some(finding.at(Server::ImageFactory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_by_more_than_a_minute_is_found() {
        let here = Timestamp::from_second(1_000_000).unwrap();
        let found = |seconds: i64| {
            let node = Timestamp::from_second(1_000_000 + seconds).unwrap();
            skew("tal01", node, here).map(|finding| finding.found)
        };

        assert_eq!(found(60), None);
        assert_eq!(found(-60), None);
        assert_eq!(
            found(61).unwrap(),
            "its clock is 61 s ahead of that of this host"
        );
        assert_eq!(
            found(-300).unwrap(),
            "its clock is 300 s behind that of this host"
        );
    }
}
