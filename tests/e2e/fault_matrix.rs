//! Every server fails once at every call of every step: the run survives it or says what happened, and running again
//! finishes the cluster.
//!
//! `cargo test` samples the matrix; with `LUNGMEN_MATRIX=full` every case is tried.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _};
use lungmen_bootstrap::mock::{Fault as ServiceFault, Lab, kubernetes, openbao};
use lungmen_bootstrap::{
    ClusterBootstrapBuilder, Error, ErrorKind, Event, EventKind, Server, StepId, Timing,
    openbao as bao,
};
use proxmox_client::id::NodeName;
use talos_client::Code;
use talos_client::mock::MockEvent;

use crate::sample::sample;
use crate::support::{World, vm};

/// Each wait of a run ends after this time.
const DEADLINE: Duration = Duration::from_secs(3);
/// Each request of a client ends after this time.
const REQUEST: Duration = Duration::from_millis(800);
/// What a step may need beyond its wait: other calls before it, and a busy machine.
const GRACE: Duration = Duration::from_secs(3);

/// What a server does to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Failure,
    Unavailable,
    Forbidden,
    RetryAfterAnHour,
    Stall,
    Disconnect,
    LostResponse,
    Garbage,
}

const TROUBLES: [Trouble; 8] = [
    Trouble::Failure,
    Trouble::Unavailable,
    Trouble::Forbidden,
    Trouble::RetryAfterAnHour,
    Trouble::Stall,
    Trouble::Disconnect,
    Trouble::LostResponse,
    Trouble::Garbage,
];

impl Trouble {
    /// Whether the error tells the truth about the trouble.
    fn explains(self, target: Target, error: &Error) -> bool {
        let kind = error.kind();
        let passing = matches!(
            kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Busy
                | ErrorKind::NotReady
                | ErrorKind::Deadline
                | ErrorKind::Server
        );
        // Argo CD calls the API server itself, and reports whatever is refused there as a cluster that it cannot reach.
        let through_argo_cd =
            matches!(target, Target::Kubernetes(_)) && error.origin() == Some(Server::ArgoCd);
        match self {
            Self::Forbidden if through_argo_cd => passing,
            Self::Forbidden => {
                matches!(kind, ErrorKind::Forbidden | ErrorKind::Unauthenticated)
            }
            Self::Garbage => passing || kind == ErrorKind::Decode,
            _ => passing,
        }
    }
}

/// One server and one of its routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Proxmox(proxmox_client::mock::Route),
    Factory(factory_client::mock::Route),
    ArgoCd(argocd_client::mock::Route),
    OpenBao(openbao::Route),
    Kubernetes(kubernetes::Route),
    Talos(talos_client::mock::Route),
}

/// A fault of an HTTP server; each crate has its own type with the same variants.
macro_rules! http_fault {
    ($fault:path, $trouble:expr) => {{
        use $fault as Fault;
        match $trouble {
            Trouble::Failure => Fault::Status(500, "internal error".into()),
            Trouble::Unavailable => Fault::Status(503, "service unavailable".into()),
            Trouble::Forbidden => Fault::Status(403, "permission denied".into()),
            Trouble::RetryAfterAnHour => Fault::RetryAfter(Duration::from_secs(3600)),
            Trouble::Stall => Fault::Stall,
            Trouble::Disconnect => Fault::Disconnect,
            Trouble::LostResponse => Fault::DropResponse,
            Trouble::Garbage => Fault::Garbage,
        }
    }};
}

fn talos_fault(trouble: Trouble) -> talos_client::mock::Fault {
    use talos_client::mock::Fault;
    match trouble {
        Trouble::Failure => Fault::status(Code::Internal, "internal error"),
        Trouble::Unavailable => Fault::status(Code::Unavailable, "connection refused"),
        Trouble::Forbidden => Fault::status(Code::PermissionDenied, "not authorized"),
        Trouble::RetryAfterAnHour => Fault::status(Code::ResourceExhausted, "too many requests"),
        Trouble::Stall => Fault::Stall,
        Trouble::Disconnect => Fault::Disconnect,
        Trouble::LostResponse => Fault::DropResponse,
        Trouble::Garbage => Fault::status(Code::Unknown, "garbage"),
    }
}

impl Target {
    fn plant(self, lab: &Lab, trouble: Trouble) {
        match self {
            Self::Proxmox(route) => lab
                .proxmox()
                .fail_next(route, http_fault!(proxmox_client::mock::Fault, trouble)),
            Self::Factory(route) => lab
                .factory()
                .fail_next(route, http_fault!(factory_client::mock::Fault, trouble)),
            Self::ArgoCd(route) => lab
                .argocd()
                .fail_next(route, http_fault!(argocd_client::mock::Fault, trouble)),
            Self::OpenBao(route) => lab
                .openbao()
                .fail_next(route, http_fault!(ServiceFault, trouble)),
            Self::Kubernetes(route) => lab
                .kubernetes()
                .unwrap()
                .fail_next(route, http_fault!(ServiceFault, trouble)),
            Self::Talos(route) => lab
                .talos(vm())
                .unwrap()
                .fail_next(route, talos_fault(trouble)),
        }
    }
}

/// Every call that the servers of the lab have received, each server in its order.
fn calls(lab: &Lab) -> Vec<Vec<Target>> {
    let routes = |routes: Vec<Option<Target>>| routes.into_iter().flatten().collect();
    let kubernetes = lab.kubernetes().map(|mock| mock.called_routes());
    let talos = lab.talos(vm()).map(|mock| mock.calls());
    vec![
        lab.proxmox()
            .calls()
            .iter()
            .map(|call| Target::Proxmox(call.route))
            .collect(),
        routes(
            lab.factory()
                .calls()
                .iter()
                .map(|call| call.route.map(Target::Factory))
                .collect(),
        ),
        routes(
            lab.argocd()
                .calls()
                .iter()
                .map(|call| call.route.map(Target::ArgoCd))
                .collect(),
        ),
        lab.openbao()
            .called_routes()
            .into_iter()
            .map(Target::OpenBao)
            .collect(),
        kubernetes
            .into_iter()
            .flatten()
            .map(Target::Kubernetes)
            .collect(),
        routes(
            talos
                .into_iter()
                .flatten()
                .map(|call| call.route.map(Target::Talos))
                .collect(),
        ),
    ]
}

fn clear_faults(lab: &Lab) {
    lab.proxmox().clear_faults();
    lab.factory().clear_faults();
    lab.argocd().clear_faults();
    lab.openbao().clear_faults();
    if let Some(kubernetes) = lab.kubernetes() {
        kubernetes.clear_faults();
    }
    if let Some(talos) = lab.talos(vm()) {
        talos.clear_faults();
    }
}

/// The routes that each step calls in a run without trouble.
async fn calls_of_each_step() -> Vec<(StepId, Target)> {
    let world = World::new().await;
    let seen: Arc<Mutex<Vec<Vec<Target>>>> = Arc::default();
    let found: Arc<Mutex<Vec<(StepId, Target)>>> = Arc::default();
    let (lab, known, pairs) = (
        Arc::clone(&world.lab),
        Arc::clone(&seen),
        Arc::clone(&found),
    );
    let bootstrap = world
        .builder()
        .observer(move |event: &Event| {
            if !matches!(event.kind, EventKind::StepFinished { .. }) {
                return;
            }
            let now = calls(&lab);
            let mut known = known.lock().unwrap();
            for (index, server) in now.iter().enumerate() {
                let before = known.get(index).map_or(0, Vec::len);
                for target in server.iter().skip(before) {
                    let pair = (event.step, *target);
                    let mut pairs = pairs.lock().unwrap();
                    if !pairs.contains(&pair) {
                        pairs.push(pair);
                    }
                }
            }
            *known = now;
        })
        .build()
        .unwrap();
    bootstrap.run().await.unwrap();
    let found = found.lock().unwrap();
    found.clone()
}

/// A builder whose own clients give up a request early.
fn impatient(world: &World) -> ClusterBootstrapBuilder {
    let lab = &world.lab;
    let (proxmox, factory) = (lab.proxmox(), lab.factory());
    let (argocd, openbao) = (lab.argocd(), lab.openbao());
    let proxmox = proxmox.client_builder(proxmox.credentials());
    let factory = factory_client::Client::builder(factory.endpoint());
    let argocd = argocd_client::Client::builder(
        argocd.endpoint(),
        argocd_client::Credentials::Token(argocd.token()),
    )
    .trust(argocd.trust());
    let openbao = bao::Client::builder(
        openbao.endpoint(),
        bao::Credentials::token(openbao.root_token()),
    )
    .trust(openbao.trust());
    world
        .builder()
        .proxmox(proxmox.timeout(REQUEST).build().unwrap())
        .factory(factory.timeout(REQUEST).build().unwrap())
        .argocd_client(
            argocd
                .timeout(REQUEST)
                .cluster_timeout(REQUEST)
                .build()
                .unwrap(),
        )
        .openbao_client(openbao.timeout(REQUEST).build().unwrap())
        .timing(timing())
}

fn timing() -> Timing {
    Timing::uniform(Duration::from_millis(20), DEADLINE)
}

/// A run in which the server fails once in the step. Gives the result and how long the step took.
async fn run_with(
    world: &World,
    step: StepId,
    target: Target,
    trouble: Trouble,
) -> (Result<(), Error>, Duration) {
    let times: Arc<Mutex<BTreeMap<StepId, Instant>>> = Arc::default();
    let (lab, started) = (Arc::clone(&world.lab), Arc::clone(&times));
    let bootstrap = impatient(world)
        .observer(move |event: &Event| {
            if matches!(event.kind, EventKind::StepStarted) {
                started.lock().unwrap().insert(event.step, Instant::now());
                if event.step == step {
                    target.plant(&lab, trouble);
                }
            }
        })
        .build()
        .unwrap();
    let ended = bootstrap.run().await.map(|_| ());
    let started = times.lock().unwrap();
    let last = started.values().max().copied();
    (ended, last.map_or(Duration::ZERO, |last| last.elapsed()))
}

/// What exists twice although the cluster needs it once.
async fn more_than_one(world: &World) -> Option<String> {
    let node = NodeName::new("pve-01").unwrap();
    let node = world.lab.proxmox().client().node(node);
    let vms = node.vms().await.unwrap().len();
    let clusters = world.lab.argocd().clusters().len();
    let mut events = world.lab.talos(vm()).unwrap().events();
    let mut installations = 0;
    while let Some(Some(event)) = events.next().now_or_never() {
        installations += usize::from(matches!(event, MockEvent::Installed { .. }));
    }
    let found = (vms, clusters, installations);
    (found != (1, 1, 1)).then(|| format!("VMs, clusters, installations: {found:?}"))
}

/// One failure at one place. Gives what is wrong with how the run took it.
async fn try_case(step: StepId, target: Target, trouble: Trouble) -> Option<String> {
    let case = format!("{trouble:?} of {target:?} in {step}");
    let world = World::new().await;
    let (ended, took) = run_with(&world, step, target, trouble).await;
    let mut findings = Vec::new();
    if let Err(error) = &ended {
        let report = error.report();
        if took > DEADLINE + GRACE {
            findings.push(format!("took {took:?}: {report}"));
        }
        for (name, has) in [
            ("step", error.step().is_some()),
            ("server", error.server().is_some()),
            ("true kind", trouble.explains(target, error)),
        ] {
            if !has {
                findings.push(format!("no {name} ({}): {report}", error.kind()));
            }
        }
    }
    clear_faults(&world.lab);
    match world.run().await {
        Ok(_) => findings.extend(more_than_one(&world).await),
        Err(error) => findings.push(format!("not finished by running again: {}", error.report())),
    }
    (!findings.is_empty()).then(|| format!("{case}: {}", findings.join("\n   ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_faults() {
    let pairs = calls_of_each_step().await;
    let cases: Vec<(StepId, Target, Trouble)> = pairs
        .iter()
        .flat_map(|(step, target)| TROUBLES.map(|trouble| (*step, *target, trouble)))
        .collect();
    let total = cases.len();
    let tried = sample(cases, 16);
    let findings: Vec<String> = futures_util::stream::iter(tried)
        .map(|(step, target, trouble)| try_case(step, target, trouble))
        .buffer_unordered(8)
        .filter_map(|finding| async move { finding })
        .collect()
        .await;
    assert!(
        findings.is_empty(),
        "{} of {total} cases:\n{}",
        findings.len(),
        findings.join("\n")
    );
}
