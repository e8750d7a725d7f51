//! How soon a run notices that something is there: for each transition, from the event at the mock to the event of the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lungmen_bootstrap::mock::kubernetes::KubernetesEvent;
use lungmen_bootstrap::mock::{Lab, LabEvent, Pace};
use lungmen_bootstrap::{Event, EventKind, StepId, Timing};
use proxmox_client::mock::MockEvent as PveEvent;
use talos_client::mock::MockEvent as TalosEvent;

use crate::support::{World, vm};

/// When something happened for the first time.
type Times = Arc<Mutex<BTreeMap<&'static str, Instant>>>;

/// What is there, what of the run shows that it noticed, and whether the server says so by itself. A finished step includes
/// what the step does to verify its effect.
const TRANSITIONS: [(&str, &str, bool); 8] = [
    ("ISO stored", "image finished", false),
    ("VM created", "VM is created", false),
    ("VM started", "VM is started", false),
    ("maintenance mode", "first-boot finished", false),
    ("node configured", "identity seen", false),
    ("Kubernetes API ready", "kubeconfig finished", false),
    ("etcd healthy", "etcd-bootstrap finished", true),
    ("nodes ready", "nodes-ready passed", true),
];

fn note(times: &Times, name: &'static str) {
    let mut times = times.lock().unwrap();
    times.entry(name).or_insert_with(Instant::now);
}

fn seen_by_the_run(times: &Times, event: &Event) {
    match &event.kind {
        EventKind::Note { text } if text.ends_with(" is created") => note(times, "VM is created"),
        EventKind::Note { text } if text.ends_with(" is started") => note(times, "VM is started"),
        EventKind::Note { text } if text.contains(": Talos v") => note(times, "identity seen"),
        EventKind::Note { text } if text.starts_with("all nodes ready") => {
            note(times, "nodes-ready passed");
        }
        EventKind::StepFinished { .. } => match event.step {
            StepId::Image => note(times, "image finished"),
            StepId::FirstBoot => note(times, "first-boot finished"),
            StepId::EtcdBootstrap => note(times, "etcd-bootstrap finished"),
            StepId::Kubeconfig => note(times, "kubeconfig finished"),
            _ => {}
        },
        _ => {}
    }
}

/// Follows the mocks until the Lab ends.
fn follow(lab: &Arc<Lab>, times: &Times) {
    let (mut events, noted) = (Box::pin(lab.proxmox().events()), Arc::clone(times));
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                PveEvent::VolumeAdded { .. } => note(&noted, "ISO stored"),
                PveEvent::VmCreated { .. } => note(&noted, "VM created"),
                PveEvent::VmStarted { .. } => note(&noted, "VM started"),
                _ => {}
            }
        }
    });
    let (mut boots, noted, lab) = (
        Box::pin(lab.events()),
        Arc::clone(times),
        Arc::downgrade(lab),
    );
    tokio::spawn(async move {
        while let Some(event) = boots.next().await {
            let Some(lab) = lab.upgrade() else { return };
            if event == LabEvent::KubernetesStarted {
                tokio::spawn(follow_kubernetes(&lab, &noted));
                continue;
            }
            let Some(node) = lab.talos(vm()) else { return };
            let (mut events, noted) = (node.events(), Arc::clone(&noted));
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    match event {
                        TalosEvent::Maintenance { .. } => note(&noted, "maintenance mode"),
                        TalosEvent::Configured => note(&noted, "node configured"),
                        TalosEvent::EtcdHealthy => note(&noted, "etcd healthy"),
                        _ => {}
                    }
                }
            });
        }
    });
}

fn follow_kubernetes(lab: &Lab, times: &Times) -> impl Future<Output = ()> + use<> {
    let mut events = Box::pin(lab.kubernetes().unwrap().events());
    let noted = Arc::clone(times);
    async move {
        while let Some(event) = events.next().await {
            match event {
                KubernetesEvent::ApiReady => note(&noted, "Kubernetes API ready"),
                KubernetesEvent::NodesReady => note(&noted, "nodes ready"),
                _ => {}
            }
        }
    }
}

/// One run at the pace of a demonstration: how long it took, and the reaction to each transition.
async fn run(timing: Timing) -> (Duration, Vec<Duration>) {
    let world = World::with(Lab::builder().pace(Pace::Demo)).await;
    let times = Times::default();
    follow(&world.lab, &times);
    let seen = Arc::clone(&times);
    let builder = world.builder().timing(timing);
    let builder = builder.observer(move |event: &Event| seen_by_the_run(&seen, event));
    let bootstrap = builder.build().unwrap();
    let started = Instant::now();
    let result = bootstrap.run().await;
    let took = started.elapsed();
    result.unwrap_or_else(|error| panic!("{}", error.report()));
    let times = times.lock().unwrap();
    let reactions = TRANSITIONS.map(|(there, noticed, _)| {
        let (Some(there), Some(noticed)) = (times.get(there), times.get(noticed)) else {
            panic!("{there} or {noticed} is missing: {:?}", times.keys());
        };
        noticed.saturating_duration_since(*there)
    });
    (took, reactions.to_vec())
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}

/// `LUNGMEN_REACTION` is the number of runs with each timing; the aims are asserted from three runs on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_notices_what_is_there_without_delay() {
    let asked = std::env::var("LUNGMEN_REACTION").ok();
    let rounds: usize = asked.and_then(|text| text.parse().ok()).unwrap_or(1);
    let often = Timing::uniform(Duration::from_millis(20), Duration::from_secs(60));
    let (mut by_default, mut with_20_ms) = (Vec::new(), Vec::new());
    let mut reactions: Vec<Vec<Duration>> = vec![Vec::new(); TRANSITIONS.len()];
    for _ in 0..rounds {
        let (took, seen) = Box::pin(run(Timing::default())).await;
        by_default.push(took);
        for (all, one) in reactions.iter_mut().zip(seen) {
            all.push(one);
        }
        if rounds > 1 {
            with_20_ms.push(Box::pin(run(often.clone())).await.0);
        }
    }
    let of = |is_pushed: bool| {
        let kinds = reactions.iter().zip(TRANSITIONS);
        let all = kinds.filter(|(_, transition)| transition.2 == is_pushed);
        median(all.flat_map(|(all, _)| all.clone()).collect())
    };
    let (pushed, probed) = (of(true), of(false));
    for (all, (there, noticed, is_pushed)) in reactions.iter().zip(TRANSITIONS) {
        let how = if is_pushed { "pushed" } else { "probed" };
        println!(
            "reaction: {there} -> {noticed} ({how}): median {:?}",
            median(all.clone())
        );
    }
    println!("reaction: median pushed {pushed:?}, probed {probed:?}");
    assert!(probed <= Duration::from_millis(500), "{probed:?}");
    if rounds < 3 {
        return;
    }
    let (default, often) = (median(by_default), median(with_20_ms));
    let more = default.as_secs_f64() / often.as_secs_f64() * 100.0 - 100.0;
    println!(
        "reaction: {default:?} with the default timing, {often:?} with looks every 20 ms: {more:+.1} %"
    );
    assert!(pushed <= Duration::from_millis(50), "{pushed:?}");
    assert!(more <= 2.0, "{more:+.1} %");
}
