//! What the plan saw, and what only those can tell who answered it.

use std::sync::Mutex;
use std::time::Duration;

use argocd_client::application::Target;
use argocd_client::cluster::Cluster;
use futures_util::future::join_all;
use jiff::Timestamp;
use talos_client::cosi::MachineStatus;

use super::{
    ArgoCdStatus, CheckResult, ClusterStatus, EtcdState, KubernetesStatus, MachineState, NodeState,
    RecordStatus, Seen, expiry,
};
use crate::desired::DesiredMachine;
use crate::error::{Error, Result};
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::run::report::ApplicationInfo;
use crate::run::step::StepId;
use crate::services::kubernetes::{Check, CheckState, Client};
use crate::spec::machine::Role;
use crate::state::record::ClusterRecord;
use crate::steps::{register, verify};
use crate::verbs::plan::{Api, Node, Plan, PlannedStep, Sight, Verdict, planned};

/// How long a single check may wait.
const LIMIT: Duration = Duration::from_secs(5);
/// How long all questions about one thing may take.
const WHOLE: Duration = Duration::from_secs(20);

impl ClusterBootstrap {
    /// Asks what exists of the cluster, how it is, what expires, and what differs from the specification. It only reads,
    /// takes no lease, and may be repeated at any time, also while a run works.
    ///
    /// It is a [plan](Self::plan), and then more questions to those who answered it, all at once; each thing is given up after
    /// 20 s. What cannot be asked is [`Unknown`](Seen::Unknown) with the cause; the rest is reported all the same.
    ///
    /// This call has no error: what cannot be seen is part of the result.
    pub async fn status(&self) -> ClusterStatus {
        status_and_plan(self.context()).await.0
    }
}

/// The status, and the plan that it rests on.
pub(crate) async fn status_and_plan(context: &Context) -> (ClusterStatus, Plan) {
    let now = Timestamp::now();
    let (plan, sight) = planned(context, StepId::Applications).await;
    let context = &sight.context;
    let record = sight.record.exists().map(|record| &**record);
    // Boxed, because the future of all questions is larger than a caller expects on the stack.
    let asking = Box::pin(async {
        tokio::join!(
            machines(context, record, &plan, &sight),
            within(kubernetes(context, &sight.api)),
            within(argocd(context, &sight.entry)),
            within(expiry::all(context, record, sight.kubeconfig.as_ref(), now)),
        )
    });
    let (machines, kubernetes, argocd, expiries) = asking.await;
    let differs = |step: &&PlannedStep| step.verdict() != Verdict::Nothing;
    let status = ClusterStatus {
        cluster: context.cluster_name().to_owned(),
        at: now,
        record: record_of(context, &sight.record),
        machines,
        kubernetes: kubernetes.unwrap_or_else(Seen::unknown),
        argocd: argocd.unwrap_or_else(Seen::unknown),
        expiries: expiries.unwrap_or_default(),
        drift: plan.verdict(),
        differences: plan.steps.iter().filter(differs).cloned().collect(),
        removed: plan.removed.clone(),
        warnings: plan.warnings.clone(),
    };
    (status, plan)
}

async fn within<T>(asking: impl Future<Output = T>) -> Result<T, String> {
    let answered = tokio::time::timeout(WHOLE, asking).await;
    answered.map_err(|_| format!("no answer within {} s", WHOLE.as_secs()))
}

fn of_error<T>(error: impl Into<Error>) -> Seen<T> {
    Seen::unknown(error.into().cause_line())
}

fn record_of(context: &Context, record: &Seen<Box<ClusterRecord>>) -> Seen<RecordStatus> {
    record.as_ref().map(|record| RecordStatus {
        store: context.store().describe(),
        cluster_id: record.cluster_id.to_string(),
        contract: record.contract.to_string(),
        is_bootstrapped: record.control.bootstrap.is_some(),
    })
}

async fn machines(
    context: &Context,
    record: Option<&ClusterRecord>,
    plan: &Plan,
    sight: &Sight,
) -> Vec<MachineState> {
    let identity = record.map(|record| Identity::of(record.bundle.clone(), Timestamp::now()));
    let identity = identity.and_then(Result::ok);
    let identity = identity.as_ref();
    let machines = context.desired().machines.iter();
    join_all(machines.map(|machine| async move {
        let found = sight.nodes.get(&machine.spec.name);
        let proven = plan.action(StepId::Apply, &machine.spec.name);
        let proven = proven.filter(|action| action.proves_the_node());
        MachineState {
            name: machine.spec.name.clone(),
            role: machine.spec.role,
            address: machine.spec.address,
            vm_id: machine.spec.vm_id,
            node: within(Box::pin(node(
                context,
                identity,
                machine,
                found,
                proven.is_some(),
            )))
            .await
            .unwrap_or_else(Seen::unknown),
        }
    }))
    .await
}

/// The node that the plan found, asked for what only a status tells.
async fn node(
    context: &Context,
    identity: Option<&Identity>,
    machine: &DesiredMachine,
    found: Option<&Node>,
    is_proven: bool,
) -> Seen<NodeState> {
    let Some(identity) = identity else {
        return Seen::unknown("without the cluster record there are no credentials for the node");
    };
    match found {
        Some(Node::Found(found)) if found.is_configured() => {}
        Some(Node::Found(_)) => {
            return Seen::absent("the node is in maintenance mode, without a configuration");
        }
        Some(Node::NotYet) => return Seen::absent("its VM does not exist"),
        Some(Node::Other(action)) => return Seen::unknown(action.text()),
        None => return Seen::unknown("it was not looked for"),
    }
    let state = async {
        let client = nodes::client(context, identity, machine)?;
        let talos_version = match is_proven {
            true => machine.release.talos_version(),
            false => client.machine().version().await?.tag,
        };
        let status = client.resources().singleton::<MachineStatus>().await?.spec;
        let etcd = match machine.spec.role {
            Role::ControlPlane => Some(etcd(&client).await),
            Role::Worker => None,
        };
        Ok::<_, Error>(NodeState {
            talos_version,
            stage: status.stage.to_string(),
            is_ready: status.is_ready,
            unmet_conditions: status
                .unmet_conditions
                .iter()
                .map(ToString::to_string)
                .collect(),
            etcd,
        })
    };
    match state.await {
        Ok(state) => Seen::Exists(state),
        Err(error) => of_error(error),
    }
}

/// What the etcd of the node says about itself.
async fn etcd(client: &talos_client::Client) -> EtcdState {
    let machine = client.machine();
    let (status, members) = match tokio::try_join!(machine.etcd_status(), machine.etcd_members()) {
        Ok(answers) => answers,
        Err(error) => {
            let cause = Error::from(error).cause_line();
            return EtcdState::Unknown { cause };
        }
    };
    let own = members.iter().find(|member| member.id == status.member_id);
    match own {
        Some(member) if member.is_learner => EtcdState::Learner,
        Some(_) => EtcdState::Member,
        None => EtcdState::NotMember,
    }
}

async fn kubernetes(context: &Context, api: &Api) -> Seen<KubernetesStatus> {
    match api {
        Api::Answers { client, version } => Seen::Exists(KubernetesStatus {
            version: version.clone(),
            checks: checks(context, client).await,
        }),
        Api::NotYet => Seen::absent("there is no kubeconfig to ask the Kubernetes API with"),
        Api::Unknown(cause) => Seen::unknown(cause),
    }
}

/// Every check up to the first that does not pass at once: the later ones rest on it.
async fn checks(context: &Context, client: &Client) -> Vec<CheckResult> {
    let results = Mutex::new(Vec::new());
    let spec = verify::spec(context).deadline_each(LIMIT);
    let verified = client
        .verify_observed(&spec, |check| note(&results, check))
        .await;
    let mut results = results.into_inner().unwrap_or_default();
    if verified.is_ok() {
        results.retain(|result: &CheckResult| result.passed);
    }
    results
}

/// Keeps the latest state of each check.
fn note(results: &Mutex<Vec<CheckResult>>, check: &Check) {
    let result = CheckResult {
        id: check.name.id().to_owned(),
        passed: !matches!(check.state, CheckState::Waiting(_)),
        text: check.to_string(),
    };
    let Ok(mut results) = results.lock() else {
        return;
    };
    match results.iter_mut().find(|known| known.id == result.id) {
        Some(known) => *known = result,
        None => results.push(result),
    }
}

async fn argocd(context: &Context, entry: &Seen<Box<Cluster>>) -> Seen<ArgoCdStatus> {
    if context.desired().argocd.is_none() {
        return Seen::absent("the specification does not name an Argo CD");
    }
    let cluster = match entry {
        Seen::Exists(cluster) => cluster,
        Seen::Absent { reason } => return Seen::absent(reason),
        Seen::Unknown { cause } => return Seen::unknown(cause),
    };
    let applications = async {
        let (argocd, target) = register::argocd(context)?;
        let target = Target::new(register::server(context)?, &target.cluster_name);
        Ok::<_, Error>(argocd.applications().list_for(&target).await?)
    };
    let connection = cluster.connection();
    match applications.await {
        Ok(applications) => Seen::Exists(ArgoCdStatus {
            server: cluster.server.clone(),
            connection: connection.status().to_string(),
            message: connection.message.clone(),
            applications: applications.iter().map(info).collect(),
        }),
        Err(error) => of_error(error),
    }
}

fn info(application: &argocd_client::application::Application) -> ApplicationInfo {
    ApplicationInfo {
        name: application.metadata.name.clone(),
        sync: application.status.sync.status.to_string(),
        health: application.status.health.status.to_string(),
    }
}
