//! Waiting for what a configured node tells by itself.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::{WaitState, Waiting, WaitingFor, is_transient, until_deadline};
use crate::api::cosi::{
    Change, LocalEtcdMember, MachineStatus, ResourceSpec, SingletonSpec, Stage,
};
use crate::{ErrorKind, Machine, Poll, Resources, Result};

/// After this time without news a watch is opened again: a host that went down says nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// How etcd came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bootstrapped {
    /// It was started by this call.
    Started,
    /// It had data before; whoever started it.
    Already,
}

impl Machine {
    /// Bootstraps etcd and waits until its member on this node is healthy.
    ///
    /// Repeats [`Machine::bootstrap`] while the node says that it is too early, and when the connection breaks. On
    /// the same node that is safe. When etcd has data already it only waits, because old data of another cluster
    /// looks the same, but never becomes healthy.
    ///
    /// # Errors
    /// Those of [`Machine::bootstrap`] that cannot pass, [`ErrorKind::Deadline`] with the last cause as its source.
    pub async fn bootstrap_and_wait(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Bootstrapped> {
        let waiting = Waiting::new("bootstrap etcd", self.target(), poll, observer);
        until_deadline(waiting, async |waiting| {
            let outcome = self.start_etcd(waiting).await?;
            follow(&self.resources(), waiting, LocalEtcdMember::ID, is_member).await?;
            Ok(outcome)
        })
        .await
    }

    /// Waits until the local member of etcd is healthy.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] with the last cause as its source.
    pub async fn wait_for_etcd(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<LocalEtcdMember> {
        let waiting = Waiting::new("wait for etcd", self.target(), poll, observer);
        until_deadline(waiting, async |waiting| {
            follow(&self.resources(), waiting, LocalEtcdMember::ID, is_member).await
        })
        .await
    }

    /// Waits until the machine has reached a stage.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`]; its source says at which stage the machine is and what it is missing.
    pub async fn wait_for_stage(
        &self,
        stage: Stage,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        self.wait_for_status(move |status| status.stage == stage, poll, observer)
            .await
    }

    /// Waits until the machine is running and ready, which includes a ready Kubernetes node: without a network
    /// plugin that never comes.
    ///
    /// # Errors
    /// As [`Machine::wait_for_stage`].
    pub async fn wait_for_ready(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        let ready = |status: &MachineStatus| status.stage == Stage::Running && status.is_ready;
        self.wait_for_status(ready, poll, observer).await
    }

    async fn wait_for_status(
        &self,
        reached: impl Fn(&MachineStatus) -> bool,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        let waiting = Waiting::new("wait for machine", self.target(), poll, observer);
        until_deadline(waiting, async |waiting| {
            let look = |change: &Change<MachineStatus>| match change.resource() {
                Some(status) if reached(&status.spec) => ControlFlow::Break(status.spec.clone()),
                Some(status) => ControlFlow::Continue((WaitingFor::Stage, status.spec.to_string())),
                None => ControlFlow::Continue((WaitingFor::Stage, "no status yet".to_owned())),
            };
            follow(&self.resources(), waiting, MachineStatus::ID, look).await
        })
        .await
    }

    async fn start_etcd<F: FnMut(&WaitState)>(
        &self,
        waiting: &mut Waiting<F>,
    ) -> Result<Bootstrapped> {
        let mut is_ours = false;
        loop {
            let error = match self.bootstrap().await {
                Ok(()) => return Ok(Bootstrapped::Started),
                Err(error) => error,
            };
            match error.kind() {
                // An attempt whose answer was lost may be the one that succeeded.
                ErrorKind::AlreadyExists if is_ours => return Ok(Bootstrapped::Started),
                ErrorKind::AlreadyExists => return Ok(Bootstrapped::Already),
                _ if !is_transient(&error) => return Err(error),
                _ => {}
            }
            is_ours |= error.may_have_taken_effect();
            waiting.report_error(WaitingFor::Bootstrap, error);
            waiting.pause().await;
        }
    }
}

fn is_member(
    change: &Change<LocalEtcdMember>,
) -> ControlFlow<LocalEtcdMember, (WaitingFor, String)> {
    match change.resource() {
        Some(member) => ControlFlow::Break(member.spec.clone()),
        None => ControlFlow::Continue((WaitingFor::Etcd, "etcd is not healthy yet".to_owned())),
    }
}

/// Watches one resource until `look` is content; opens the watch again when it breaks.
async fn follow<F, T, U>(
    resources: &Resources,
    waiting: &mut Waiting<F>,
    id: &str,
    look: impl Fn(&Change<T>) -> ControlFlow<U, (WaitingFor, String)>,
) -> Result<U>
where
    F: FnMut(&WaitState),
    T: ResourceSpec,
{
    loop {
        let mut changes = resources.watch::<T>(id).within(SILENCE);
        while let Some(change) = changes.next().await {
            match change {
                Ok(change) => match look(&change) {
                    ControlFlow::Break(found) => return Ok(found),
                    ControlFlow::Continue((what, because)) => waiting.report(what, because),
                },
                Err(error) if error.kind() == ErrorKind::Deadline => {}
                Err(error) if is_transient(&error) => {
                    waiting.report_error(WaitingFor::Identity, error);
                }
                Err(error) => return Err(error),
            }
        }
        waiting.pause().await;
        // Unlike a stream, a call that is not answered makes the next one use another connection.
        match resources.get_id::<T>(id).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) if is_transient(&error) => waiting.report_error(WaitingFor::Identity, error),
            Err(error) => return Err(error),
        }
    }
}
