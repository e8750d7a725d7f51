//! The order of a plan: which step is asked with what knowledge.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argocd_client::cluster::Cluster;

use super::cluster::Api;
use super::machines::Nodes;
use super::{Action, Plan, PlannedItem, PlannedStep};
use crate::error::{Error, Result};
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::run::event::{Event, EventKind, Observer};
use crate::run::step::{Observation, Step, StepId};
use crate::state;
use crate::state::credentials::Found;
use crate::state::record::ClusterRecord;
use crate::steps::claim::{self, ClaimCluster};
use crate::verbs::status::Seen;

/// How long a single observation may wait for a server.
const LIMIT: Duration = Duration::from_secs(5);

impl ClusterBootstrap {
    /// Asks every server what a run has left to do. It only reads, takes no lease, and may be repeated at any time.
    ///
    /// A server that does not respond makes what it knows [`Unknown`](Action::Unknown), and the others are asked all the
    /// same. What rests on something that does not exist yet is created. The differences of a machine configuration come
    /// from the node, which also computes whether they need a reboot.
    ///
    /// This call has no error: what would stop a run is [`Blocked`](Action::Blocked) in the plan.
    pub async fn plan(&self) -> Plan {
        self.plan_until(StepId::Applications).await
    }

    /// Plans the steps up to and including `last`, as [`plan`](Self::plan) does; servers that only later steps need are not
    /// asked.
    pub async fn plan_until(&self, last: StepId) -> Plan {
        planned(self.context(), last).await.0
    }
}

/// The plan, and what was seen on the way to it.
pub(crate) async fn planned(context: &Context, last: StepId) -> (Plan, Sight) {
    let warnings = Warnings::default();
    let context = context.with_deadlines_up_to(LIMIT);
    let mut planner = Planner {
        plan: Plan {
            cluster: context.cluster_name().to_owned(),
            until: last,
            steps: Vec::new(),
            removed: Vec::new(),
            warnings: Vec::new(),
        },
        context: context.observed_by(warnings.clone()),
        record: Seen::unknown("it was not asked for"),
        kubeconfig: None,
        entry: Seen::unknown("it was not asked for"),
    };
    // Boxed, because the future of all observations is larger than a caller expects on the stack.
    let (nodes, api) = Box::pin(planner.whole_plan()).await;
    let Planner {
        mut plan,
        context,
        record,
        kubeconfig,
        entry,
    } = planner;
    plan.steps.retain(|planned| planned.step <= last);
    plan.warnings = warnings.take();
    let sight = Sight {
        context,
        record,
        nodes,
        kubeconfig,
        api,
        entry,
    };
    (plan, sight)
}

/// What a plan saw: whoever wants to know more goes on from here, and asks nothing twice.
pub(crate) struct Sight {
    /// With the identity of the cluster, where it has one.
    pub(crate) context: Context,
    pub(crate) record: Seen<Box<ClusterRecord>>,
    pub(crate) nodes: Nodes,
    /// The kubeconfig of the cluster, where there is one and the caller gave no other access.
    pub(crate) kubeconfig: Option<Found>,
    pub(crate) api: Api,
    /// The entry of the cluster in Argo CD.
    pub(crate) entry: Seen<Box<Cluster>>,
}

/// A plan in progress.
pub(super) struct Planner {
    pub(super) context: Context,
    pub(super) plan: Plan,
    pub(super) record: Seen<Box<ClusterRecord>>,
    pub(super) kubeconfig: Option<Found>,
    pub(super) entry: Seen<Box<Cluster>>,
}

/// What is known about the identity of the cluster, on which most steps rest.
pub(super) enum Claim {
    Recorded(Box<ClusterRecord>),
    /// There is no record: nothing of the cluster exists.
    New,
    /// The record cannot be read, it contradicts the specification, or it is that of another cluster.
    Unknown,
}

impl Planner {
    async fn whole_plan(&mut self) -> (Nodes, Api) {
        self.spec();
        self.preflight().await;
        let claim = self.claim().await;
        let claim = self.adopt(claim);
        if self.reaches(StepId::Schematic) {
            self.image().await;
        }
        if !self.reaches(StepId::Machine) {
            return (Nodes::new(), Api::NotYet);
        }
        let nodes = self.machines(&claim).await;
        self.removed(&claim).await;
        let api = self.cluster(&claim, &nodes).await;
        (nodes, api)
    }

    pub(super) fn reaches(&self, step: StepId) -> bool {
        step <= self.plan.until
    }

    /// The context of a step.
    pub(super) fn at(&self, step: StepId) -> Context {
        self.context.for_step(step)
    }

    pub(super) fn add(&mut self, step: StepId, items: Vec<PlannedItem>) {
        self.plan.steps.push(PlannedStep { step, items });
    }

    pub(super) fn add_one(&mut self, step: StepId, target: impl Into<String>, action: Action) {
        self.add(step, vec![item(target, action)]);
    }

    /// From here on the desired state has the identities of the recorded cluster.
    fn adopt(&mut self, claim: Claim) -> Claim {
        if let Claim::Recorded(record) = &claim {
            match self.context.with_record((**record).clone()) {
                Ok(context) => self.context = context,
                Err(_) => return Claim::Unknown,
            }
        }
        claim
    }

    fn spec(&mut self) {
        let context = self.at(StepId::Spec);
        let desired = context.desired();
        for warning in &desired.warnings {
            context.warn(warning.to_string());
        }
        let summary = format!("valid, {} machine(s)", desired.machines.len());
        self.add_one(
            StepId::Spec,
            desired.cluster.as_str(),
            Action::nothing(summary),
        );
    }

    async fn claim(&mut self) -> Claim {
        let context = self.at(StepId::Claim);
        let found = state::claim::find(context.store().as_ref(), &context.wanted()).await;
        self.record = match &found {
            Ok(Some(claimed)) => Seen::Exists(Box::new(claimed.record.clone())),
            Ok(None) => Seen::absent(claim::missing(&context)),
            Err(error) => Seen::unknown(error.cause_line()),
        };
        let (action, claim) = match found {
            Ok(Some(claimed)) => match claim::accept(&context, &claimed).await {
                Ok(()) => (
                    Action::nothing(ClaimCluster.summary(&claimed.record)),
                    Claim::Recorded(Box::new(claimed.record)),
                ),
                Err(error) => (Action::of_error(&error), Claim::Unknown),
            },
            Ok(None) => (new_record(&context).await, Claim::New),
            Err(error) => (Action::of_error(&error), Claim::Unknown),
        };
        self.add_one(StepId::Claim, context.store().describe(), action);
        claim
    }
}

/// A record is only made where no machine and no file of an unrecorded cluster is in the way.
async fn new_record(context: &Context) -> Action {
    let missing = claim::missing(context);
    if context.options().import.is_some() {
        return Action::create(format!("{missing}; its secrets are imported"));
    }
    let in_the_way: Result<(), Error> = async {
        claim::refuse_unrecorded_machines(context).await?;
        claim::refuse_unrecorded_file(context)
    }
    .await;
    match in_the_way {
        Ok(()) => Action::create(missing),
        Err(error) => Action::of_error(&error),
    }
}

pub(super) fn item(target: impl Into<String>, action: Action) -> PlannedItem {
    PlannedItem {
        target: target.into(),
        is_machine: false,
        details: Vec::new(),
        action,
    }
}

pub(super) fn machine_item(name: &str, details: Vec<String>, action: Action) -> PlannedItem {
    PlannedItem {
        target: name.to_owned(),
        is_machine: true,
        details,
        action,
    }
}

/// What an observation of a step says; `Absent` becomes what `absent` makes of it.
pub(super) async fn observed<S: Step>(
    step: &S,
    context: &Context,
    absent: impl FnOnce(String) -> Action,
) -> (Action, Option<S::Output>) {
    match step.observe(context).await {
        Ok(Observation::Done(output)) => (Action::nothing(step.summary(&output)), Some(output)),
        Ok(Observation::Absent(missing)) => (absent(missing), None),
        Err(error) => (Action::of_error(&error), None),
    }
}

/// Collects the warnings of a plan.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Warnings {
    fn observe(&self, event: &Event) {
        if let EventKind::Warning { text } = &event.kind {
            let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        }
    }
}
