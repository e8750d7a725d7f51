//! What a configured node says about itself over mutual TLS, compared with the specification.
//!
//! It is read on every run: what was proven once may have changed since.

use secrecy::ExposeSecret as _;
use talos_client::Client;
use talos_client::config::{Diff, MachineConfig, diff};
use talos_client::cosi::{
    ExtensionStatus, HostnameStatus, MachineType, SecurityState, SystemInformation,
};

use crate::desired::{DesiredCluster, DesiredMachine};
use crate::error::{Error, ErrorKind, Result};
use crate::spec::machine::Role;

/// The identity and the system of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    uuid: String,
    kind: MachineType,
    hostname: String,
    talos_version: String,
    schematic: Option<String>,
    extensions: Vec<String>,
    is_secure_boot: bool,
}

impl Evidence {
    /// Asks the node. Changes nothing.
    pub(crate) async fn read(client: &Client) -> talos_client::Result<Self> {
        const SCHEMATIC: &str = "schematic";
        let machine = client.machine();
        let resources = client.resources();
        let (version, system, kind, hostname, layers, security) = tokio::try_join!(
            machine.version(),
            resources.singleton::<SystemInformation>(),
            resources.singleton::<MachineType>(),
            resources.singleton::<HostnameStatus>(),
            resources.list::<ExtensionStatus>(),
            resources.singleton::<SecurityState>(),
        )?;
        let schematic = layers.iter().find(|layer| layer.spec.name == SCHEMATIC);
        Ok(Self {
            uuid: system.spec.uuid,
            kind: kind.spec,
            hostname: hostname.spec.hostname,
            talos_version: version.tag,
            schematic: schematic.map(|layer| layer.spec.version.clone()),
            extensions: layers
                .iter()
                .map(|layer| layer.spec.name.clone())
                .filter(|name| name != SCHEMATIC)
                .collect(),
            is_secure_boot: security.spec.is_secure_boot,
        })
    }

    /// Compares with the specification. `hostname` is the one of the machine configuration.
    ///
    /// # Errors
    /// `NotOurs` for another machine, `Conflict` for another role, Talos version, schematic, boot mode or host name.
    pub(crate) fn check(
        &self,
        desired: &DesiredCluster,
        machine: &DesiredMachine,
        hostname: Option<&str>,
    ) -> Result<()> {
        self.is_the_machine(desired, machine)?;
        self.has_the_role(machine)?;
        self.runs_the_system(machine)?;
        self.has_the_hostname(machine, hostname)
    }

    fn is_the_machine(&self, desired: &DesiredCluster, machine: &DesiredMachine) -> Result<()> {
        if machine.uuid.is(&self.uuid) {
            return Ok(());
        }
        let other = desired
            .machines
            .iter()
            .find(|other| other.uuid.is(&self.uuid));
        Err(match other {
            Some(other) => mismatch(ErrorKind::Conflict, machine, format!(
                "{} answers at the address of this machine, {}",
                other.spec.name, machine.spec.address
            ))
            .with_hint("Correct machines[].address: the addresses of the two machines are exchanged."),
            None => mismatch(ErrorKind::NotOurs, machine, format!(
                "the node at {} has the SMBIOS UUID {}, not {}: another machine of this cluster answers there",
                machine.spec.address, self.uuid, machine.uuid
            ))
            .with_hint(
                "A node that was created under another machines[].name or machines[].vmId uses the address. Restore \
                 the entry, or remove that VM.",
            ),
        })
    }

    fn has_the_role(&self, machine: &DesiredMachine) -> Result<()> {
        let is_worker = self.kind == MachineType::Worker;
        if is_worker == (machine.spec.role == Role::Worker) {
            return Ok(());
        }
        let role = if is_worker { "worker" } else { "controlplane" };
        Err(mismatch(
            ErrorKind::Conflict,
            machine,
            format!("the node is a {role}, the specification says {}", machine.spec.role),
        )
        .with_hint("The role of a node cannot be changed. Restore machines[].role, or replace the machine."))
    }

    fn runs_the_system(&self, machine: &DesiredMachine) -> Result<()> {
        let release = &machine.release;
        let wanted = (release.talos_version(), release.schematic_id.as_str());
        let found = (
            &self.talos_version,
            self.schematic.as_deref().unwrap_or("none"),
        );
        let extensions = release.schematic.extensions();
        let missing: Vec<&str> = extensions
            .iter()
            .map(|name| name.rsplit('/').next().unwrap_or(name))
            .filter(|name| !self.extensions.iter().any(|found| found == name))
            .collect();
        let message = if (&wanted.0, wanted.1) != found {
            format!(
                "the node runs Talos {} with schematic {}, not {} with {}",
                found.0, found.1, wanted.0, wanted.1
            )
        } else if !missing.is_empty() {
            format!("the node lacks the extensions {}", missing.join(", "))
        } else if self.is_secure_boot != release.is_secure_boot() {
            let (found, wanted) = (
                on_off(self.is_secure_boot),
                on_off(release.is_secure_boot()),
            );
            format!("Secure Boot is {found} on the node, the specification says {wanted}")
        } else {
            return Ok(());
        };
        Err(mismatch(ErrorKind::Conflict, machine, message).with_hint(format!(
            "A patch may set another machine.install.image. To upgrade the node: talosctl upgrade --nodes {} --image {}",
            machine.spec.address, release.installer
        )))
    }

    fn has_the_hostname(&self, machine: &DesiredMachine, hostname: Option<&str>) -> Result<()> {
        let Some(wanted) = hostname else {
            return Ok(());
        };
        let short = |name: &str| name.split('.').next().unwrap_or(name).to_ascii_lowercase();
        if short(wanted) == short(&self.hostname) {
            return Ok(());
        }
        Err(mismatch(
            ErrorKind::Conflict,
            machine,
            format!("the host name of the node is {:?}, its configuration says {wanted:?}", self.hostname),
        )
        .with_hint("Another network configuration source overrides the host name; see talosctl get hostnamespec."))
    }
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn mismatch(kind: ErrorKind, machine: &DesiredMachine, message: String) -> Error {
    Error::new(kind, "check the node")
        .with_target(format!("{} at {}", machine.spec.name, machine.spec.address))
        .with_message(message)
}

/// How the configuration that the node runs differs from `wanted`; secrets are redacted. Empty when they are equal.
pub(crate) async fn config_diff(
    client: &Client,
    wanted: &MachineConfig,
) -> talos_client::Result<Vec<Diff>> {
    let running = client
        .resources()
        .yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1")
        .await?;
    let running = MachineConfig::parse(running.expose_secret())?;
    Ok(diff(&running, wanted))
}
