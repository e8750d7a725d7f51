//! Asks every server, all at once.

use std::sync::Mutex;
use std::time::Duration;

use argocd_client::application::Target;
use futures_util::future::join_all;
use jiff::Timestamp;
use talos_client::Probe;
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
use crate::services::kubernetes::{Check, CheckState, Client};
use crate::spec::machine::Role;
use crate::state::claim;
use crate::state::record::ClusterRecord;
use crate::steps::{register, verify};
use crate::verbs::plan::{PlannedStep, Verdict, kubernetes_access};

/// How long a single observation may wait for a server.
const LIMIT: Duration = Duration::from_secs(5);
/// How long all questions about one thing may take.
const WHOLE: Duration = Duration::from_secs(20);

impl ClusterBootstrap {
    /// Asks what exists of the cluster, how it is, what expires, and what differs from the specification. It only reads,
    /// takes no lease, and may be repeated at any time, also while a run works.
    ///
    /// Everything is asked at once. What cannot be asked is [`Unknown`](Seen::Unknown) with the cause; the rest is reported
    /// all the same. Each thing is given up after 20 s.
    ///
    /// This call has no error: what cannot be seen is part of the result.
    pub async fn status(&self) -> ClusterStatus {
        let context = self.context().with_deadlines_up_to(LIMIT);
        let now = Timestamp::now();
        // Boxed, because the future of all questions is larger than a caller expects on the stack.
        let (plan, collected) = tokio::join!(Box::pin(self.plan()), Box::pin(collect(&context)));
        let differs = |step: &&PlannedStep| step.verdict() != Verdict::Nothing;
        ClusterStatus {
            cluster: context.cluster_name().to_owned(),
            at: now,
            expiries: expiry::all(&context, collected.found.as_deref(), collected.tokens, now),
            record: collected.record,
            machines: collected.machines,
            kubernetes: collected.kubernetes,
            argocd: collected.argocd,
            drift: plan.verdict(),
            differences: plan.steps.iter().filter(differs).cloned().collect(),
            removed: plan.removed,
            warnings: plan.warnings,
        }
    }
}

struct Collected {
    found: Option<Box<ClusterRecord>>,
    record: Seen<RecordStatus>,
    machines: Vec<MachineState>,
    kubernetes: Seen<KubernetesStatus>,
    argocd: Seen<ArgoCdStatus>,
    tokens: Vec<expiry::End>,
}

async fn collect(context: &Context) -> Collected {
    let talos = async {
        let (record, found) = within(record(context))
            .await
            .unwrap_or_else(|cause| (Seen::unknown(cause), None));
        let machines = machines(context, found.as_deref()).await;
        (record, found, machines)
    };
    let ((record, found, machines), kubernetes, argocd, tokens) = tokio::join!(
        talos,
        within(kubernetes(context)),
        within(argocd(context)),
        within(expiry::tokens(context))
    );
    Collected {
        found,
        record,
        machines,
        kubernetes: kubernetes.unwrap_or_else(Seen::unknown),
        argocd: argocd.unwrap_or_else(Seen::unknown),
        tokens: tokens.unwrap_or_default(),
    }
}

async fn within<T>(asking: impl Future<Output = T>) -> Result<T, String> {
    let answered = tokio::time::timeout(WHOLE, asking).await;
    answered.map_err(|_| format!("no answer within {} s", WHOLE.as_secs()))
}

fn of_error<T>(error: impl Into<Error>) -> Seen<T> {
    Seen::unknown(error.into().cause_line())
}

async fn record(context: &Context) -> (Seen<RecordStatus>, Option<Box<ClusterRecord>>) {
    let store = context.store().as_ref();
    match claim::find(store, &context.wanted()).await {
        Ok(Some(claimed)) => {
            let record = claimed.record;
            let status = RecordStatus {
                store: store.describe(),
                cluster_id: record.cluster_id.to_string(),
                contract: record.contract.to_string(),
                is_bootstrapped: record.control.bootstrap.is_some(),
            };
            (Seen::Exists(status), Some(Box::new(record)))
        }
        Ok(None) => {
            let reason = format!("{} has no record of the cluster", store.describe());
            (Seen::absent(reason), None)
        }
        Err(error) => (of_error(error), None),
    }
}

async fn machines(context: &Context, record: Option<&ClusterRecord>) -> Vec<MachineState> {
    let identity = record.map(|record| Identity::of(record.bundle.clone(), Timestamp::now()));
    let identity = identity.and_then(Result::ok);
    let identity = identity.as_ref();
    let machines = context.desired().machines.iter();
    join_all(machines.map(|machine| async move {
        let node = match identity {
            Some(identity) => within(Box::pin(node(context, identity, machine)))
                .await
                .unwrap_or_else(Seen::unknown),
            None => {
                Seen::unknown("without the cluster record there are no credentials for the node")
            }
        };
        MachineState {
            name: machine.spec.name.clone(),
            role: machine.spec.role,
            address: machine.spec.address,
            vm_id: machine.spec.vm_id,
            node,
        }
    }))
    .await
}

async fn node(context: &Context, identity: &Identity, machine: &DesiredMachine) -> Seen<NodeState> {
    let endpoint = nodes::endpoint(context, machine.spec.address);
    let authority = match identity.authority() {
        Ok(authority) => authority,
        Err(error) => return of_error(error),
    };
    match talos_client::probe(&endpoint, Some(&authority), nodes::PROBE).await {
        Ok(Probe::Configured(_)) => {}
        Ok(Probe::Maintenance(_)) => {
            return Seen::absent("the node is in maintenance mode, without a configuration");
        }
        Ok(Probe::Closed(error)) => return Seen::unknown(error.to_string()),
        Ok(_) => return Seen::unknown("another cluster or service answers at the address"),
        Err(error) => return of_error(error),
    }
    let state = async {
        let client = nodes::client(context, identity, machine)?;
        let version = client.machine().version().await?;
        let status = client.resources().singleton::<MachineStatus>().await?.spec;
        let etcd = match machine.spec.role {
            Role::ControlPlane => Some(etcd(&client).await),
            Role::Worker => None,
        };
        Ok::<_, Error>(NodeState {
            talos_version: version.tag,
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

async fn kubernetes(context: &Context) -> Seen<KubernetesStatus> {
    let client = match kubernetes_access(context) {
        Ok(Some(client)) => client,
        Ok(None) => return Seen::absent("there is no kubeconfig to ask the Kubernetes API with"),
        Err(error) => return of_error(error),
    };
    match client.version().await {
        Ok(version) => Seen::Exists(KubernetesStatus {
            version: version.git_version,
            checks: checks(context, &client).await,
        }),
        Err(error) => of_error(error),
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

async fn argocd(context: &Context) -> Seen<ArgoCdStatus> {
    if context.desired().argocd.is_none() {
        return Seen::absent("the specification does not name an Argo CD");
    }
    let asked = async {
        let (argocd, target) = register::argocd(context)?;
        let server = register::server(context)?;
        let Some(cluster) = argocd.clusters().find(&server).await? else {
            return Ok(Seen::absent("the cluster is not registered in Argo CD"));
        };
        let target = Target::new(server.clone(), &target.cluster_name);
        let applications = argocd.applications().list_for(&target).await?;
        let connection = cluster.connection();
        Ok::<_, Error>(Seen::Exists(ArgoCdStatus {
            server: server.to_string(),
            connection: connection.status().to_string(),
            message: connection.message.clone(),
            applications: applications.iter().map(info).collect(),
        }))
    };
    asked.await.unwrap_or_else(of_error)
}

fn info(application: &argocd_client::application::Application) -> ApplicationInfo {
    ApplicationInfo {
        name: application.metadata.name.clone(),
        sync: application.status.sync.status.to_string(),
        health: application.status.health.status.to_string(),
    }
}
