//! etcd, bootstrapped on exactly one control plane node. The guard decides from data, never from health.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use talos_client::Client;

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes;
use crate::nodes::each::each;
use crate::nodes::etcd;
use crate::nodes::identity::Identity;
use crate::nodes::members::{self, Membership, View};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Budget, Probed, Wait};
use crate::state::claim::{self, choose_bootstrap, record_bootstrapped};
use crate::state::guard::{Decision, EtcdData, Refusal, decide};
use crate::state::record::RunControl;

/// The machine that was called last in this run.
type LastCalled = Mutex<Option<String>>;

pub(crate) struct BootstrapEtcd<'a> {
    pub(crate) identity: &'a Identity,
}

impl Step for BootstrapEtcd<'_> {
    const ID: StepId = StepId::EtcdBootstrap;
    const KIND: Kind = Kind::Act;
    /// The number of healthy members.
    type Output = usize;

    /// Done when etcd runs on every control plane node, and the record knows that the cluster is bootstrapped.
    async fn observe(&self, context: &Context) -> Result<Observation<usize>> {
        let health = each(control_planes(context), |machine| async move {
            Ok(match etcd_runs(&self.client(context, machine)?).await {
                Ok(runs) => runs.then_some(()).ok_or_else(|| "not healthy".to_owned()),
                Err(error) if error.is_retryable() => Err(error.to_string()),
                Err(error) => return Err(error.into()),
            })
        })
        .await?;
        let missing: Vec<String> = health
            .iter()
            .filter_map(|(name, state)| Some(format!("{name}: {}", state.as_ref().err()?)))
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Ok(Observation::absent(format!(
                "etcd does not run on every node ({missing})"
            )));
        }
        let extra = match self.membership(context).await? {
            Membership::One { extra, .. } => extra,
            Membership::Split(text) => return Err(members::split(&text)),
            Membership::Incomplete(text) | Membership::Different(text) => {
                return Ok(Observation::absent(format!("the etcd members: {text}")));
            }
        };
        if control(context).await?.bootstrap.is_none() {
            return Ok(Observation::absent("the bootstrap is not recorded"));
        }
        for member in &extra {
            let (members, declared) = (health.len() + extra.len(), health.len());
            context.warn(members::extra_warning(member, members, declared));
        }
        Ok(Observation::Done(health.len()))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let budget = Budget::new(context.timing().bootstrap);
        self.bootstrap_or_join(context, budget).await?;
        each(control_planes(context), |machine| async move {
            let context = context.for_machine(&machine.spec.name);
            self.wait_for_etcd(&context, machine, budget).await
        })
        .await?;
        self.wait_for_one_cluster(context, budget).await?;
        if let Some(machine) = control_planes(context).next() {
            let (name, token) = (&machine.spec.name, context.fencing_token());
            record_bootstrapped(context.store().as_ref(), name, None, token).await?;
        }
        Ok(())
    }

    fn summary(&self, members: &usize) -> String {
        match members {
            1 => "etcd is healthy".into(),
            n => format!("etcd is healthy on {n} nodes"),
        }
    }
}

impl BootstrapEtcd<'_> {
    fn client(&self, context: &Context, machine: &DesiredMachine) -> Result<Client> {
        nodes::client(context, self.identity, machine)
    }

    /// Decides and acts until some control plane has etcd data. Unknown data is waited for; the deadline refuses.
    async fn bootstrap_or_join(&self, context: &Context, budget: Budget) -> Result<()> {
        let limit = budget.left();
        let last_called = Mutex::new(None);
        Wait::new("the etcd data of every control plane", context, limit)
            .until(context, || self.decide_and_act(context, &last_called))
            .await
            .map_err(with_permission_hint)
    }

    async fn decide_and_act(
        &self,
        context: &Context,
        last_called: &LastCalled,
    ) -> Result<Probed<()>> {
        let states = self.states(context).await?;
        let control = control(context).await?;
        match decide(&states, &control, context.options().bootstrap) {
            Decision::Join(members) => {
                self.record_seen(context, &members).await?;
                Ok(Probed::Ready(()))
            }
            Decision::Choose(name) => {
                context.before_effect().await?;
                let token = context.fencing_token();
                choose_bootstrap(context.store().as_ref(), &name, token).await?;
                Ok(Probed::Pending(format!(
                    "{name} is chosen for the bootstrap"
                )))
            }
            Decision::Bootstrap(name) => self.bootstrap(context, &name, last_called).await,
            Decision::Wait(unknown) => {
                let causes: Vec<String> = unknown
                    .iter()
                    .map(|(name, cause)| format!("{name}: {cause}"))
                    .collect();
                Ok(Probed::Pending(format!("unknown on {}", causes.join("; "))))
            }
            Decision::Refuse(refusal) => Err(refused(&refusal)),
        }
    }

    /// The data of every declared control plane, in the order of the specification.
    pub(crate) async fn states(&self, context: &Context) -> Result<Vec<(String, EtcdData)>> {
        let mut found: BTreeMap<String, EtcdData> = each(control_planes(context), |machine| {
            etcd::data(context, self.identity, machine)
        })
        .await?;
        Ok(control_planes(context)
            .filter_map(|machine| found.remove_entry(&machine.spec.name))
            .collect())
    }

    /// Tells the recorded node. Telling it twice is harmless; the next probe sees the data that it writes. Only the first of
    /// the calls is a note: the wait reports why it is repeated.
    async fn bootstrap(
        &self,
        context: &Context,
        name: &str,
        last_called: &LastCalled,
    ) -> Result<Probed<()>> {
        let Some(machine) = control_planes(context).find(|machine| machine.spec.name == name)
        else {
            return Err(refused(&Refusal::ChosenMachineMissing(name.to_owned())));
        };
        context.before_effect().await?;
        let context = context.for_machine(name);
        let before = last_called
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(name.to_owned());
        if before.as_deref() != Some(name) {
            context.note(format!("Bootstrap is called on {name}."));
        }
        match self.client(&context, machine)?.machine().bootstrap().await {
            Ok(()) => Ok(Probed::Ready(())),
            Err(error) if error.kind() == talos_client::ErrorKind::AlreadyExists => {
                Ok(Probed::Ready(()))
            }
            // Too early, or the response was lost: the data decides at the next probe.
            Err(error) if error.is_retryable() || error.may_have_taken_effect() => {
                Ok(Probed::Retry(error.into()))
            }
            Err(error) if error.kind() == talos_client::ErrorKind::NotReady => {
                Ok(Probed::Retry(error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A cluster with data was bootstrapped: that is recorded, so that it never happens again.
    async fn record_seen(&self, context: &Context, members: &[String]) -> Result<()> {
        let Some(name) = members.first() else {
            return Ok(());
        };
        let token = context.fencing_token();
        record_bootstrapped(context.store().as_ref(), name, None, token).await?;
        Ok(())
    }

    async fn wait_for_etcd(
        &self,
        context: &Context,
        machine: &DesiredMachine,
        budget: Budget,
    ) -> Result<()> {
        let limit = budget.left();
        self.client(context, machine)?
            .machine()
            .wait_for_etcd_observed(nodes::poll(context, limit), nodes::reporter(context, limit))
            .await
            .map_err(with_old_data_hint)?;
        Ok(())
    }

    /// Compares what every control plane says about the members.
    async fn membership(&self, context: &Context) -> Result<Membership> {
        let views = each(control_planes(context), |machine| async move {
            Ok(View::read(&self.client(context, machine)?).await?)
        })
        .await?;
        Ok(members::compare(&views))
    }

    /// Waits until every control plane is a member of the same cluster.
    async fn wait_for_one_cluster(&self, context: &Context, budget: Budget) -> Result<()> {
        let disagreement = Mutex::new(None);
        let last = &disagreement;
        let what = "every control plane to be a member of one etcd cluster";
        let waited = Wait::new(what, context, budget.left())
            .until(context, || async move {
                let membership = self.membership(context).await?;
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = None;
                match membership {
                    Membership::One { .. } => Ok(Probed::Ready(())),
                    Membership::Split(text) => Err(members::split(&text)),
                    Membership::Incomplete(text) => Ok(Probed::Pending(text)),
                    Membership::Different(text) => {
                        *last = Some(text.clone());
                        Ok(Probed::Pending(text))
                    }
                }
            })
            .await;
        let disagreement = disagreement
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match (waited, disagreement) {
            (Err(error), Some(text)) if error.kind() == ErrorKind::Deadline => {
                Err(members::different(&text).with_source(error))
            }
            (waited, _) => waited,
        }
    }
}

/// The bootstrap decision as the store has it now.
pub(crate) async fn control(context: &Context) -> Result<RunControl> {
    let store = context.store().as_ref();
    match claim::find(store, &context.wanted()).await? {
        Some(claimed) => Ok(claimed.record.control),
        None => Err(Error::new(ErrorKind::NotFound, "read the cluster record")
            .with_target(store.describe())
            .with_message("the record was removed during the run")),
    }
}

fn refused(refusal: &Refusal) -> Error {
    Error::new(ErrorKind::Conflict, "bootstrap etcd")
        .with_message(refusal.to_string())
        .with_hint(
            "Restore the machine or its etcd data. To start over with an empty etcd, allow the recovery explicitly \
             (bootstrap_permission, --recover-lost-etcd).",
        )
}

fn with_permission_hint(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Deadline => error.with_hint(
            "No node is bootstrapped while the etcd data of another one is unknown. Make the nodes reachable. If they \
             were never members of the cluster, allow it explicitly (bootstrap_permission, --ignore-unknown-etcd).",
        ),
        _ => error,
    }
}

fn with_old_data_hint(error: talos_client::Error) -> Error {
    let timed_out = error.kind() == talos_client::ErrorKind::Deadline;
    let error = Error::from(error);
    if timed_out {
        error.with_hint(
            "If the disk of the VM has data of an older cluster, etcd cannot start: reset the node.",
        )
    } else {
        error
    }
}

async fn etcd_runs(client: &Client) -> talos_client::Result<bool> {
    match client.machine().service("etcd").await {
        Ok(service) => Ok(service.is_running_and_healthy()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn control_planes(context: &Context) -> impl Iterator<Item = &DesiredMachine> {
    context.desired().control_planes()
}
