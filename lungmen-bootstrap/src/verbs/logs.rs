//! `logs()`: what a node writes down.

use bytes::Bytes;
use talos_client::ResponseStream;
use talos_client::machine::LogsRequest;

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::state::claim;
use crate::state::record::ClusterRecord;

/// Which log is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct LogsOptions {
    machine: Option<String>,
    service: Option<String>,
    follow: bool,
}

impl LogsOptions {
    /// What the kernel of the first control plane says.
    pub fn kernel() -> Self {
        Self::default()
    }

    /// The log of a Talos service of the first control plane, such as `etcd` or `kubelet`.
    pub fn service(id: impl Into<String>) -> Self {
        Self {
            service: Some(id.into()),
            ..Self::default()
        }
    }

    /// The machine whose log is read, by the name in the specification.
    pub fn machine(mut self, name: impl Into<String>) -> Self {
        self.machine = Some(name.into());
        self
    }

    /// Stays connected and gives new lines too.
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }
}

impl ClusterBootstrap {
    /// Reads a log of a node over mutual TLS, with the identity of the cluster record. It only reads, takes no lease, and may
    /// be repeated at any time. The pieces are as the node sends them; they may hold anything that was logged.
    ///
    /// # Errors
    /// `InvalidInput` for a machine that the specification does not have; `NotFound` without a cluster record, because there
    /// are no credentials then. The stream ends with the errors of the node: `Connect` when it does not answer.
    pub async fn logs(&self, options: &LogsOptions) -> Result<ResponseStream<Bytes>> {
        let context = self.context();
        let machine = chosen(context, options.machine.as_deref())?;
        let record = recorded(context).await?;
        let identity = Identity::of(record.bundle, jiff::Timestamp::now())?;
        let node = nodes::client(context, &identity, machine)?.machine();
        Ok(match (&options.service, options.follow) {
            (Some(service), true) => node.logs(LogsRequest::service(service).follow()),
            (Some(service), false) => node.logs(LogsRequest::service(service)),
            (None, true) => node.follow_dmesg(),
            (None, false) => node.dmesg(),
        })
    }
}

fn chosen<'a>(context: &'a Context, name: Option<&str>) -> Result<&'a DesiredMachine> {
    let desired = context.desired();
    let Some(name) = name else {
        return Ok(desired.first_control_plane());
    };
    let mut machines = desired.machines.iter();
    machines
        .find(|machine| machine.spec.name == name || machine.host() == name)
        .ok_or_else(|| {
            let names = desired.machines.iter().map(|machine| &*machine.spec.name);
            Error::new(ErrorKind::InvalidInput, "read a log")
                .with_target(name)
                .with_message(format!(
                    "the specification has no such machine; it has {}",
                    names.collect::<Vec<_>>().join(", ")
                ))
                .with_hint("Name one of these machines, whole or up to its first dot.")
        })
}

/// The record of the cluster, by a read alone.
pub(super) async fn recorded(context: &Context) -> Result<ClusterRecord> {
    let store = context.store().as_ref();
    match claim::find(store, &context.wanted()).await? {
        Some(claimed) => Ok(claimed.record),
        None => Err(Error::new(ErrorKind::NotFound, "read the cluster record")
            .with_target(store.describe())
            .with_message(
                "there is no record of the cluster, so there are no credentials for its nodes",
            )
            .with_hint("Use the store or output directory of the run that created the cluster.")),
    }
}
