//! The machines, from the ISO to a healthy etcd. Each goes its own way and waits only for what it depends on:
//!
//! * A VM is created when the ISO that it boots is stored, whatever becomes of the ISOs of others.
//! * Nothing is created before the VMs of all machines were looked at.
//! * etcd is bootstrapped as soon as every control plane node runs, whatever the workers still do.
//! * A worker is waited for as long as a control plane may come up, because it gets its certificate from one.
//! * Changed configurations come one node at a time, first those of the control planes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, join3};
use jiff::Timestamp;
use talos_client::CertificateAuthority;
use tokio::sync::{OnceCell, Semaphore, SetOnce};
use tracing::Instrument as _;

use super::isos::{self, Isos};
use crate::desired::DesiredMachine;
use crate::desired::user_data::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::each::AT_ONCE;
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::progress::Progress;
use crate::run::context::Context;
use crate::run::engine::{Run, Stop};
use crate::run::stage::{Stage, look_at_each};
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::spec::machine::Role;
use crate::steps::apply::{self, Apply, Change, Need};
use crate::steps::configuration::{Configure, Configured};
use crate::steps::etcd_bootstrap::BootstrapEtcd;
use crate::steps::first_boot::{self, FindNode};
use crate::steps::machine::{self, CreateMachine};
use crate::steps::user_data::{Delivered, Withdraw};

/// Brings the machines up, or only looks at them where the run only observes. Returns the identity of the cluster.
pub(super) async fn bring_up(run: &Run) -> Result<Identity, Stop> {
    let authority = authority(run).map_err(|error| run.failed(error))?;
    if run.only_observes() {
        isos::look_at(run).await?;
        return look_at(run, &authority).await;
    }
    let isos = &Isos::prepare(run).await?;
    let machines = Machines::new(run, isos, authority);
    let control_planes = async {
        let nodes = machines.all(Role::ControlPlane).await?;
        machines.change(&nodes).await?;
        machines.bootstrap_etcd().await
    };
    let workers = machines.all(Role::Worker);
    let (stored, etcd, workers) = join3(isos.store(), control_planes, workers).await;
    let none = |()| Vec::new();
    let changed = Stop::unless_all([stored.map(none), etcd.map(none), workers])?;
    for workers in &changed {
        machines.change(workers).await?;
    }
    machines.into_identity()
}

/// The authority of the Talos API, by which a node of the cluster is known.
fn authority(run: &Run) -> Result<CertificateAuthority> {
    let bundle = run.context().record()?.bundle.clone();
    Identity::of(bundle, Timestamp::now())?.authority()
}

/// A run over the machines in progress.
struct Machines<'run> {
    run: &'run Run,
    isos: &'run Isos<'run>,
    authority: CertificateAuthority,
    /// Done before the first VM is created.
    looked: Once<()>,
    /// How many VMs are worked on at a time.
    turns: Semaphore,
    created: Stage<'run>,
    found: Stage<'run>,
    /// Made when the first machine was found.
    configured: Once<Configured>,
    applied: Stage<'run>,
    /// Set when no control plane comes up in this run.
    no_control_plane: SetOnce<()>,
}

impl<'run> Machines<'run> {
    fn new(run: &'run Run, isos: &'run Isos<'run>, authority: CertificateAuthority) -> Self {
        let count = run.context().desired().machines.len();
        let stage = |id, summary| Stage::new(run, id, count, summary);
        Self {
            run,
            isos,
            authority,
            looked: Once::default(),
            turns: Semaphore::new(AT_ONCE),
            created: stage(StepId::Machine, machine::summary),
            found: stage(StepId::FirstBoot, first_boot::summary),
            configured: Once::default(),
            applied: stage(StepId::Apply, apply::summary),
            no_control_plane: SetOnce::new(),
        }
    }

    async fn look_at_vms(&self) -> Result<(), Stop> {
        self.created.enter()?;
        let looked = machine::look_at_all(&self.created.context()).await;
        looked.map_err(|error| self.created.failed(error))
    }

    /// Brings all machines of a role up side by side, each one to its own end: a failure of one cuts short no other.
    /// Returns those that run with the identity of the cluster, but not with their configuration.
    async fn all(&self, role: Role) -> Result<Vec<Progress>, Stop> {
        let machines = self.run.context().desired().machines.iter();
        let ways = machines
            .filter(|machine| machine.spec.role == role)
            .map(|machine| {
                let span = tracing::info_span!("machine", machine = %machine.spec.name);
                // Boxed, because there may be many of them.
                Box::pin(self.one(machine).instrument(span))
            });
        let ended = join_all(ways).await;
        // A run that ends before configurations are applied brings none up, and none of them has failed to.
        let are_to_come_up = role == Role::ControlPlane && self.run.last() >= StepId::Apply;
        if are_to_come_up && ended.iter().all(Result::is_err) {
            // It is set here only.
            let _ = self.no_control_plane.set(());
        }
        Ok(Stop::unless_all(ended)?.into_iter().flatten().collect())
    }

    /// Brings one machine up. Returns it when it runs another configuration.
    async fn one(&self, machine: &DesiredMachine) -> Result<Option<Progress>, Stop> {
        let name = &machine.spec.name;
        self.isos.of(machine).await?;
        self.looked.or_make(self.look_at_vms()).await?;
        let running = {
            let _turn = self.turns.acquire().await;
            self.created.pass(&CreateMachine { machine }, name).await?
        };
        let find = FindNode {
            machine,
            running: &running,
            authority: &self.authority,
        };
        let found = self.found.pass(&find, name).boxed();
        let found = match machine.delivery {
            Delivery::Maintenance => found.await?,
            // It answers when it is configured.
            Delivery::UserData(_) => self.unless_alone(machine, found).await?,
        };
        let configured = self.configured().await?;
        let node =
            progress(configured, machine, found).map_err(|error| self.applied.failed(error))?;
        let identity = &configured.identity;
        let delivered = Delivered {
            machine,
            running: &running,
            found: &node.found,
            identity,
        };
        self.applied.work(&delivered, name).await?;
        let apply = Apply {
            identity,
            node: &node,
        };
        let need = self.applied.work(&apply, name).boxed();
        let need = self.unless_alone(machine, need).await?;
        let withdraw = Withdraw {
            machine,
            running: &running,
            identity,
        };
        self.applied.work(&withdraw, name).await?;
        if let Need::Changes(_) = need {
            return Ok(Some(node));
        }
        self.applied.passed(name, String::new());
        Ok(None)
    }

    /// Waits for a machine to be configured. A worker without any control plane would be waited for in vain.
    async fn unless_alone<T>(
        &self,
        machine: &DesiredMachine,
        configuring: BoxFuture<'_, Result<T, Stop>>,
    ) -> Result<T, Stop> {
        if machine.spec.role == Role::ControlPlane {
            return configuring.await;
        }
        tokio::select! {
            biased;
            ended = configuring => ended,
            _ = self.no_control_plane.wait() => Err(Stop::Reached),
        }
    }

    async fn configured(&self) -> Result<&Configured, Stop> {
        self.configured.or_make(self.run.run(&Configure)).await
    }

    /// Brings changed configurations to nodes, one at a time: a change may restart services.
    async fn change(&self, nodes: &[Progress]) -> Result<(), Stop> {
        for node in nodes {
            let name = &node.machine.spec.name;
            let identity = &self.configured().await?.identity;
            self.applied
                .work(&Change(Apply { identity, node }), name)
                .await?;
            self.applied.passed(name, String::new());
        }
        Ok(())
    }

    async fn bootstrap_etcd(&self) -> Result<(), Stop> {
        if self.run.last() < StepId::EtcdBootstrap {
            return Ok(());
        }
        let identity = &self.configured().await?.identity;
        self.run.run(&BootstrapEtcd { identity }).await?;
        Ok(())
    }

    fn into_identity(self) -> Result<Identity, Stop> {
        match self.configured.0.into_inner() {
            Some(Ok(configured)) => Ok(configured.identity),
            // Without a machine nothing was configured; a specification has at least one.
            _ => Err(Stop::Reached),
        }
    }
}

/// Made once, by the machine that needs it first. A failure is reported once, by that machine; the others just stop.
struct Once<T>(OnceCell<Result<T, Mutex<Option<Stop>>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T> Once<T> {
    async fn or_make(&self, make: impl Future<Output = Result<T, Stop>>) -> Result<&T, Stop> {
        let make = || async { make.await.map_err(|stop| Mutex::new(Some(stop))) };
        let made = self.0.get_or_init(make).await;
        made.as_ref().map_err(|stop| {
            let mut stop = stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.take().unwrap_or(Stop::Reached)
        })
    }
}

/// Looks at every step of the machines. The run ends at the first one that is not done on all of them.
async fn look_at(run: &Run, authority: &CertificateAuthority) -> Result<Identity, Stop> {
    let vms = look_at_each(
        run,
        |machine| Ok(CreateMachine { machine }),
        machine::summary,
    );
    let running = &vms.await?;
    let booted = look_at_each(
        run,
        |machine| {
            let running = of(running, machine)?;
            Ok(FindNode {
                machine,
                running,
                authority,
            })
        },
        first_boot::summary,
    );
    let mut found = booted.await?;
    let configured = run.run(&Configure).await?;
    let nodes: Result<BTreeMap<String, Progress>> = run
        .context()
        .desired()
        .machines
        .iter()
        .map(|machine| {
            let name = machine.spec.name.clone();
            let found = found.remove(&name).ok_or_else(|| missing(machine))?;
            Ok((name, progress(&configured, machine, found)?))
        })
        .collect();
    let nodes = nodes.map_err(|error| run.failed(error))?;
    let identity = &configured.identity;
    let applied = look_at_each(
        run,
        |machine| {
            let node = of(&nodes, machine)?;
            let withdraw = Withdraw {
                machine,
                running: of(running, machine)?,
                identity,
            };
            Ok(Settled {
                change: Change(Apply { identity, node }),
                withdraw,
            })
        },
        apply::summary,
    );
    applied.await?;
    run.run(&BootstrapEtcd { identity }).await?;
    Ok(configured.identity)
}

/// A machine runs its configuration, and nothing else has it. Only looked at.
struct Settled<'a> {
    change: Change<'a>,
    withdraw: Withdraw<'a>,
}

impl Step for Settled<'_> {
    const ID: StepId = StepId::Apply;
    const KIND: Kind = Kind::Act;
    type Output = ();

    async fn observe(&self, context: &Context) -> Result<Observation<()>> {
        match self.change.observe(context).await? {
            Observation::Done(()) => self.withdraw.observe(context).await,
            absent @ Observation::Absent(_) => Ok(absent),
        }
    }

    fn summary(&self, (): &()) -> String {
        String::new()
    }
}

/// The machine with its node and its configuration.
fn progress(
    configured: &Configured,
    machine: &DesiredMachine,
    found: FoundNode,
) -> Result<Progress> {
    Ok(Progress {
        machine: machine.clone(),
        found,
        config: of(&configured.configs, machine)?.clone(),
    })
}

fn of<'a, T>(values: &'a BTreeMap<String, T>, machine: &DesiredMachine) -> Result<&'a T> {
    values
        .get(&machine.spec.name)
        .ok_or_else(|| missing(machine))
}

fn missing(machine: &DesiredMachine) -> Error {
    Error::new(ErrorKind::NotFound, "find the node").with_target(&machine.spec.name)
}
