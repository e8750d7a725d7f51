//! Waiting for what a configured node tells by itself.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt as _;

use serde::{Deserialize, Serialize};

use super::{Waiting, WaitingFor, until_deadline};
use crate::api::cosi::{
    Change, LocalEtcdMember, MachineStatus, ResourceSpec, SingletonSpec, Stage,
};
use crate::{ErrorKind, Machine, Poll, Resources, Result, WaitState};

/// After this time without news a watch is opened again: a host that went down says nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// How etcd came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Bootstrapped {
    /// It was started by this call.
    Started,
    /// It had data before this call.
    Already,
}

impl Machine {
    /// Bootstraps etcd and waits until its member on this node is healthy. Needs `os:admin`.
    ///
    /// Repeats [`Machine::bootstrap`] while the node says that it is too early, and when the connection breaks. On
    /// the same node that is safe. When etcd has data already it only waits: old data of another cluster looks the
    /// same, but never becomes healthy.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without the role, [`ErrorKind::Unsupported`] on a worker, [`ErrorKind::Deadline`] with
    /// the last error as its source.
    pub async fn bootstrap_and_wait(&self, poll: Poll) -> Result<Bootstrapped> {
        self.bootstrap_and_wait_observed(poll, |_| {}).await
    }

    /// As [`Machine::bootstrap_and_wait`]; `observer` sees the state of the wait after every attempt.
    ///
    /// # Errors
    /// As [`Machine::bootstrap_and_wait`].
    pub async fn bootstrap_and_wait_observed(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Bootstrapped> {
        let waiting = self.waiting("bootstrap etcd", WaitingFor::Bootstrap, poll, observer);
        until_deadline(waiting, async |waiting| {
            let outcome = self.start_etcd(waiting).await?;
            follow(&self.resources(), waiting, LocalEtcdMember::ID, is_member).await?;
            Ok(outcome)
        })
        .await
    }

    /// Waits until the local member of etcd is healthy. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`] with the last error as its source.
    pub async fn wait_for_etcd(&self, poll: Poll) -> Result<LocalEtcdMember> {
        self.wait_for_etcd_observed(poll, |_| {}).await
    }

    /// As [`Machine::wait_for_etcd`]; `observer` sees the state of the wait after every attempt.
    ///
    /// # Errors
    /// As [`Machine::wait_for_etcd`].
    pub async fn wait_for_etcd_observed(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<LocalEtcdMember> {
        let waiting = self.waiting("wait for etcd", WaitingFor::Etcd, poll, observer);
        until_deadline(waiting, async |waiting| {
            follow(&self.resources(), waiting, LocalEtcdMember::ID, is_member).await
        })
        .await
    }

    /// Waits until the machine has reached a stage. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Deadline`]; its message says at which stage the machine is and what it is missing.
    pub async fn wait_for_stage(&self, stage: Stage, poll: Poll) -> Result<MachineStatus> {
        self.wait_for_stage_observed(stage, poll, |_| {}).await
    }

    /// As [`Machine::wait_for_stage`]; `observer` sees the state of the wait after every change.
    ///
    /// # Errors
    /// As [`Machine::wait_for_stage`].
    pub async fn wait_for_stage_observed(
        &self,
        stage: Stage,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        self.wait_for_status(move |status| status.stage == stage, poll, observer)
            .await
    }

    /// Waits until the machine is running and ready. Changes nothing.
    ///
    /// Ready includes a ready Kubernetes node: without a network plugin the wait never succeeds.
    ///
    /// # Errors
    /// As [`Machine::wait_for_stage`].
    pub async fn wait_for_ready(&self, poll: Poll) -> Result<MachineStatus> {
        self.wait_for_ready_observed(poll, |_| {}).await
    }

    /// As [`Machine::wait_for_ready`]; `observer` sees the state of the wait after every change.
    ///
    /// # Errors
    /// As [`Machine::wait_for_stage`].
    pub async fn wait_for_ready_observed(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        let ready = |status: &MachineStatus| status.stage == Stage::Running && status.is_ready;
        self.wait_for_status(ready, poll, observer).await
    }

    fn waiting<F: FnMut(&WaitState)>(
        &self,
        operation: &'static str,
        waiting_for: WaitingFor,
        poll: Poll,
        observer: F,
    ) -> Waiting<F> {
        Waiting::new(operation, self.target(), waiting_for, poll, observer)
    }

    async fn wait_for_status(
        &self,
        reached: impl Fn(&MachineStatus) -> bool,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<MachineStatus> {
        let waiting = self.waiting("wait for machine", WaitingFor::Stage, poll, observer);
        until_deadline(waiting, async |waiting| {
            let judge = |change: &Change<MachineStatus>| match change.resource() {
                Some(status) if reached(&status.spec) => ControlFlow::Break(status.spec.clone()),
                Some(status) => ControlFlow::Continue((WaitingFor::Stage, status.spec.to_string())),
                None => ControlFlow::Continue((WaitingFor::Stage, "no status yet".to_owned())),
            };
            follow(&self.resources(), waiting, MachineStatus::ID, judge).await
        })
        .await
    }

    async fn start_etcd<F: FnMut(&WaitState)>(
        &self,
        waiting: &mut Waiting<F>,
    ) -> Result<Bootstrapped> {
        let mut may_have_started = false;
        loop {
            let error = match self.bootstrap().await {
                Ok(()) => return Ok(Bootstrapped::Started),
                Err(error) => error,
            };
            match error.kind() {
                // An attempt whose response was lost may be the one that succeeded.
                ErrorKind::AlreadyExists if may_have_started => return Ok(Bootstrapped::Started),
                ErrorKind::AlreadyExists => return Ok(Bootstrapped::Already),
                _ if !error.is_retryable() => return Err(error),
                _ => {}
            }
            may_have_started |= error.may_have_taken_effect();
            waiting.report_error(WaitingFor::Bootstrap, error);
            waiting.sleep().await;
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

/// Watches one resource until `judge` breaks; opens the watch again when the connection breaks.
pub(crate) async fn follow<F, T, U>(
    resources: &Resources,
    waiting: &mut Waiting<F>,
    id: &str,
    judge: impl Fn(&Change<T>) -> ControlFlow<U, (WaitingFor, String)>,
) -> Result<U>
where
    F: FnMut(&WaitState),
    T: ResourceSpec,
{
    loop {
        let mut changes = resources.watch::<T>(id).deadline(SILENCE);
        while let Some(change) = changes.next().await {
            match change {
                Ok(change) => match judge(&change) {
                    ControlFlow::Break(found) => return Ok(found),
                    ControlFlow::Continue((what, cause)) => waiting.report(what, cause),
                },
                Err(error) if error.kind() == ErrorKind::Deadline => {}
                Err(error) if error.is_retryable() => {
                    waiting.report_error(WaitingFor::Identity, error);
                }
                Err(error) => return Err(error),
            }
        }
        waiting.sleep().await;
        // Unlike a stream, a call that is not answered makes the next one use another connection.
        match resources.resource::<T>(id).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) if error.is_retryable() => waiting.report_error(WaitingFor::Identity, error),
            Err(error) => return Err(error),
        }
    }
}
