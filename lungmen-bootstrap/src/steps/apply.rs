//! A configuration: applied, and running on the machine it was made for.

use secrecy::ExposeSecret as _;
use talos_client::config::{Diff, MachineConfig};
use talos_client::machine::{ApplyMode, ApplyOptions};
use talos_client::{Client, Endpoint, MaintenanceClient, MaintenanceTrust, Probe};

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::evidence::{self, Evidence};
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::progress::Progress;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait, first_interval, within};

/// The node runs with the identity of the cluster, whatever its configuration says beside that.
pub(crate) struct Apply<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) node: &'a Progress,
}

/// The node runs exactly its configuration. For nodes that run with the identity of the cluster.
pub(crate) struct Change<'a>(pub(crate) Apply<'a>);

/// What a node still needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// It does not answer with the identity of the cluster.
    Configuration,
    /// It runs another configuration; the differences, with secrets redacted.
    Changes(Vec<Diff>),
}

impl Step for Apply<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Act;
    /// [`Need::Nothing`] or [`Need::Changes`].
    type Output = Need;

    async fn observe(&self, context: &Context) -> Result<Observation<Need>> {
        Ok(match self.need(context).await? {
            Need::Configuration => self.without_configuration(),
            need => Observation::Done(need),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        self.configure(context).await?;
        self.wait_for_identity(context).await
    }

    fn summary(&self, _need: &Need) -> String {
        String::new()
    }
}

impl Step for Change<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Act;
    type Output = ();

    async fn observe(&self, context: &Context) -> Result<Observation<()>> {
        Ok(match self.0.need(context).await? {
            Need::Nothing => Observation::Done(()),
            Need::Configuration => self.0.without_configuration(),
            Need::Changes(lines) => Observation::absent(format!(
                "{} runs another configuration ({} difference(s))",
                self.0.node.machine.spec.name,
                lines.len()
            )),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        self.0.change(context).await
    }

    fn summary(&self, (): &()) -> String {
        String::new()
    }
}

/// What is there when every machine has passed.
pub(crate) fn summary(_machines: &[String]) -> String {
    "every node runs its configuration with the identity of the cluster".into()
}

impl Apply<'_> {
    fn without_configuration<T>(&self) -> Observation<T> {
        Observation::absent(format!(
            "{} has no configuration",
            self.node.machine.spec.name
        ))
    }

    /// Compares the node at the declared address with the specification.
    pub(crate) async fn need(&self, context: &Context) -> Result<Need> {
        let node = self.node;
        let Some(client) = self.answering(context).await? else {
            return Ok(Need::Configuration);
        };
        let wanted = MachineConfig::parse(node.config.expose_secret())?;
        // Boxed, because six requests at once make a large future.
        let evidence = Box::pin(Evidence::read(&client)).await?;
        evidence.check(context.desired(), &node.machine, wanted.hostname())?;
        let lines = evidence::config_diff(&client, &wanted).await?;
        Ok(if lines.is_empty() {
            Need::Nothing
        } else {
            Need::Changes(lines)
        })
    }

    /// A client for the node, when it answers with the identity of the cluster; `None` when it waits for a configuration.
    ///
    /// # Errors
    /// `Deadline` for a node that did neither for the time of a request: what it needs is unknown.
    async fn answering(&self, context: &Context) -> Result<Option<Client>> {
        let what = format!("{} to answer", self.node.machine.spec.name);
        Wait::new(what, context, context.timing().request)
            .until(context, || self.ask(context))
            .await
    }

    async fn ask(&self, context: &Context) -> Result<Probed<Option<Client>>> {
        let node = self.node;
        let declared = nodes::endpoint(context, node.machine.spec.address);
        let authority = self.identity.authority()?;
        match talos_client::probe(&declared, Some(&authority), nodes::PROBE).await? {
            Probe::Configured(_) => {
                let client = nodes::client(context, self.identity, &node.machine)?;
                match client.machine().version().await {
                    Ok(_) => Ok(Probed::Ready(Some(client))),
                    Err(error) if error.is_retryable() => Ok(Probed::Retry(error.into())),
                    Err(error) => Err(error.into()),
                }
            }
            Probe::Closed(_) if waits_elsewhere(&node.found, &declared).await? => {
                Ok(Probed::Ready(None))
            }
            Probe::Closed(error) => Ok(Probed::Retry(error.into())),
            _ => Ok(Probed::Ready(None)),
        }
    }

    /// Whether the node says that the change needs a reboot. It computes that without changing anything.
    pub(crate) async fn needs_reboot(&self, context: &Context) -> Result<bool> {
        let node = self.node;
        let client = nodes::client(context, self.identity, &node.machine)?;
        let options = ApplyOptions::default().mode(ApplyMode::Auto).dry_run();
        let answer = client
            .machine()
            .apply_configuration(&node.config, options)
            .await?;
        Ok(answer.mode == Some(ApplyMode::Reboot))
    }

    /// Applies the configuration to a node in maintenance mode.
    async fn configure(&self, context: &Context) -> Result<()> {
        let node = self.node;
        let FoundNode::Maintenance {
            endpoint,
            certificate,
            ..
        } = &node.found
        else {
            return Ok(());
        };
        if self.answering(context).await?.is_some() {
            return Ok(());
        }
        let client = MaintenanceClient::builder(endpoint.clone())
            .timeout(context.timing().request)
            // The node that was found and checked, and no other.
            .trust(MaintenanceTrust::Pinned(vec![certificate.fingerprint]))
            .build()?;
        context.before_effect().await?;
        let applying = client.apply_configuration(&node.config, ApplyOptions::default());
        let limit = context.timing().install;
        let applied = within(limit, "apply configuration", applying).await?;
        for warning in applied.warnings {
            context.warn(format!("{}: {warning}", node.machine.spec.name));
        }
        context.note(format!(
            "{}: configuration accepted",
            node.machine.spec.name
        ));
        Ok(())
    }

    /// Waits through installation and reboot. A node that returns to maintenance mode has failed to install.
    async fn wait_for_identity(&self, context: &Context) -> Result<()> {
        let (machine, found) = (&self.node.machine, &self.node.found);
        let FoundNode::Maintenance { .. } = found else {
            return Ok(());
        };
        let client = nodes::client(context, self.identity, machine)?;
        let limit = context.timing().install;
        let at_declared = found.endpoint() == client.endpoint();
        let before = found.certificate().filter(|_| at_declared);
        let poll = nodes::poll(context, limit);
        let back = client.wait_for_identity_observed(before, poll, nodes::reporter(context, limit));
        tokio::select! {
            version = back => {
                let version = version.map_err(|error| installing(machine, error))?;
                context.note(format!("{}: Talos {}", machine.spec.name, version.tag));
                Ok(())
            }
            error = fell_back(context, machine, found), if !at_declared => Err(error),
        }
    }

    /// Brings a changed configuration to a node that runs another one, without a reboot unless reboots are allowed.
    async fn change(&self, context: &Context) -> Result<()> {
        let node = self.node;
        let Need::Changes(lines) = self.need(context).await? else {
            return Ok(());
        };
        let name = &node.machine.spec.name;
        for line in &lines {
            context.note(format!("{name}: {line}"));
        }
        let client = nodes::client(context, self.identity, &node.machine)?;
        let mode = if context.options().allow_reboots {
            ApplyMode::Auto
        } else {
            ApplyMode::NoReboot
        };
        context.before_effect().await?;
        let applied = client
            .machine()
            .apply_configuration(&node.config, ApplyOptions::default().mode(mode))
            .await
            .map_err(|error| refused(&node.machine, error, mode))?;
        for warning in applied.warnings {
            context.warn(format!("{name}: {warning}"));
        }
        context.note(format!("{name}: changed configuration applied"));
        if applied.mode == Some(ApplyMode::Reboot) {
            self.wait_after_reboot(context, &node.machine, &client)
                .await?;
        }
        Ok(())
    }

    async fn wait_after_reboot(
        &self,
        context: &Context,
        machine: &DesiredMachine,
        client: &Client,
    ) -> Result<()> {
        let limit = context.timing().install;
        let poll = nodes::poll(context, limit);
        client
            .wait_for_identity_observed(None, poll, nodes::reporter(context, limit))
            .await
            .map_err(|error| installing(machine, error))?;
        if machine.spec.role == crate::spec::machine::Role::ControlPlane {
            let limit = context.timing().bootstrap;
            let poll = nodes::poll(context, limit);
            client
                .machine()
                .wait_for_etcd_observed(poll, nodes::reporter(context, limit))
                .await?;
        }
        Ok(())
    }
}

/// Whether the node is in maintenance mode at another address than the declared one, which it has only once it is configured.
async fn waits_elsewhere(found: &FoundNode, declared: &Endpoint) -> Result<bool> {
    if found.is_configured() || found.endpoint() == declared {
        return Ok(false);
    }
    let probe = talos_client::probe(found.endpoint(), None, nodes::PROBE).await?;
    Ok(matches!(probe, Probe::Maintenance(_)))
}

/// A change that needs a reboot is refused by the node when reboots are not allowed.
fn refused(machine: &DesiredMachine, error: talos_client::Error, mode: ApplyMode) -> Error {
    let needs_reboot = mode == ApplyMode::NoReboot
        && matches!(
            error.kind(),
            talos_client::ErrorKind::Rejected | talos_client::ErrorKind::InvalidInput
        );
    if !needs_reboot {
        return error.into();
    }
    Error::new(ErrorKind::PermissionRequired, "apply the changed configuration")
        .with_target(format!("{} at {}", machine.spec.name, machine.spec.address))
        .with_message("the change requires a reboot of the node, and reboots are not allowed")
        .with_hint("Allow reboots (ClusterBootstrapBuilder::allow_reboots, --allow-reboots), or restore the specification.")
        .with_source(error)
}

/// Watches the address at which the node waited for its configuration, when that is not the declared one: a node that
/// fails to install gets it again. Ends only with that failure.
async fn fell_back(context: &Context, machine: &DesiredMachine, found: &FoundNode) -> Error {
    let interval = first_interval(context.timing().interval);
    loop {
        if let Some(before) = found.certificate()
            && let Ok(Probe::Maintenance(now)) =
                talos_client::probe(found.endpoint(), None, nodes::PROBE).await
            && before.is_same_boot(&now) == Some(false)
        {
            return not_installed(machine);
        }
        tokio::time::sleep(interval).await;
    }
}

/// A wait that was refused has seen the node in maintenance mode again.
fn installing(machine: &DesiredMachine, error: talos_client::Error) -> Error {
    match error.kind() {
        talos_client::ErrorKind::Rejected => not_installed(machine).with_source(error),
        talos_client::ErrorKind::Certificate => Error::from(error),
        _ => Error::from(error).with_hint(INSTALL_HINT),
    }
}

fn not_installed(machine: &DesiredMachine) -> Error {
    Error::new(ErrorKind::Server, "install the node")
        .with_target(machine.spec.name.clone())
        .with_message("the node rebooted into maintenance mode: the installation failed")
        .with_hint(INSTALL_HINT)
        .uncertain(true)
}

const INSTALL_HINT: &str = "Check the console of the VM. Usual causes are the install disk, the installer image, and \
                            network access to the registry.";
