use super::*;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

/// A healthy single-node Talos cluster; `change` may break it.
fn view(change: impl FnOnce(&mut Value)) -> View {
    let mut world = json!({"nodes": [node()], "pods": pods(), "deployments": [coredns_object()],
        "daemonsets": [daemon_set_object("kube-proxy", "kube-proxy"), daemon_set_object("kube-flannel", "flannel")]});
    change(&mut world);
    let mut view = View::default();
    fill(&world["nodes"], |event| view.nodes.apply(event));
    fill(&world["pods"], |event| view.pods.apply(event));
    fill(&world["deployments"], |event| view.deployments.apply(event));
    fill(&world["daemonsets"], |event| view.daemon_sets.apply(event));
    view
}

fn fill<K: serde::de::DeserializeOwned>(objects: &Value, mut apply: impl FnMut(Event<K>) -> bool) {
    apply(Event::Init);
    for object in objects.as_array().unwrap() {
        apply(Event::InitApply(
            serde_json::from_value(object.clone()).unwrap(),
        ));
    }
    apply(Event::InitDone);
}

fn node() -> Value {
    json!({"metadata": {"name": "tal01", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.2.10"}, {"type": "Hostname", "address": "tal01"}],
            "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn pods() -> Value {
    let names = [
        ("kube-apiserver-tal01", "kube-apiserver"),
        ("kube-controller-manager-tal01", "kube-controller-manager"),
        ("kube-scheduler-tal01", "kube-scheduler"),
        ("kube-proxy-1", "kube-proxy"),
        ("kube-flannel-1", "flannel"),
        ("coredns-1", "kube-dns"),
        ("coredns-2", "kube-dns"),
    ];
    let ready = |(name, app)| {
        json!({"metadata": {"name": name, "labels": {"k8s-app": app}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {}}}]}})
    };
    names.into_iter().map(ready).collect()
}

fn daemon_set_object(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"k8s-app": app}},
        "spec": {"selector": {"matchLabels": {"k8s-app": app}}, "template": {}},
        "status": {"desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1}})
}

fn coredns_object() -> Value {
    json!({"metadata": {"name": "coredns", "labels": {"k8s-app": "kube-dns"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}, "template": {}},
        "status": {"availableReplicas": 2}})
}

fn spec() -> VerifySpec {
    VerifySpec::new(["10.0.2.10".parse().unwrap()])
}

fn waits(check: CheckName, view: &View, spec: &VerifySpec) -> String {
    match judge(check, view, spec) {
        CheckState::Waiting(cause) => cause,
        other => panic!("{check} is {other:?}"),
    }
}

fn skips(check: CheckName, spec: &VerifySpec) -> bool {
    matches!(judge(check, &view(|_| {}), spec), CheckState::Skipped(_))
}

/// The checks that the view alone does not answer.
const ASKED: [CheckName; 6] = [
    CheckName::ClusterDns,
    CheckName::SystemRestarts,
    CheckName::Versions,
    CheckName::AllPods,
    CheckName::Services,
    CheckName::Ingresses,
];

#[test]
fn every_check_of_the_view_holds_for_a_healthy_cluster() {
    for check in CheckName::ALL {
        if ASKED.contains(&check) {
            assert_eq!(waits(check, &view(|_| {}), &spec()), "not asked yet");
            continue;
        }
        assert_eq!(
            judge(check, &view(|_| {}), &spec()),
            CheckState::Passed,
            "{check}"
        );
    }
}

#[test]
fn nothing_holds_before_the_lists_have_arrived() {
    let of_view = |check: &CheckName| !ASKED.contains(check);
    for check in CheckName::ALL.into_iter().skip(2).filter(of_view) {
        let cause = waits(check, &View::default(), &spec());
        assert!(
            cause.contains("have not been listed yet"),
            "{check}: {cause}"
        );
    }
}

#[test]
fn nodes_are_matched_by_address_and_strangers_are_named() {
    let absent = view(|world| world["nodes"] = json!([]));
    assert_eq!(
        waits(CheckName::NodesRegistered, &absent, &spec()),
        "no node has registered"
    );

    let other = VerifySpec::new(["10.0.2.11".parse().unwrap()]);
    assert_eq!(
        waits(CheckName::NodesRegistered, &view(|_| {}), &other),
        "10.0.2.11 has not registered"
    );

    let stranger = view(|world| {
        let mut second = node();
        second["metadata"]["name"] = json!("tal99");
        second["status"]["addresses"][0]["address"] = json!("10.0.2.99");
        world["nodes"].as_array_mut().unwrap().push(second);
    });
    assert_eq!(
        waits(CheckName::NodesRegistered, &stranger, &spec()),
        "unexpected nodes: tal99"
    );
}

/// A dead node that left the specification, with the pods that ran on it.
#[test]
fn admitted_strangers_are_not_judged_and_their_pods_are_not_either() {
    let leaving = view(|world| {
        let mut dead = node();
        dead["metadata"]["name"] = json!("tal99");
        dead["status"]["addresses"][0]["address"] = json!("10.0.2.99");
        dead["status"]["conditions"] = json!([]);
        dead["spec"]["unschedulable"] = json!(true);
        world["nodes"].as_array_mut().unwrap().push(dead);
        for set in world["daemonsets"].as_array_mut().unwrap() {
            set["status"]["desiredNumberScheduled"] = json!(2);
        }
        let pods = world["pods"].as_array_mut().unwrap();
        // Everything but the pods of coredns runs on each node.
        let mut stuck = pods[..5].to_vec();
        for pod in &mut stuck {
            let name = format!("{}-99", pod["metadata"]["name"].as_str().unwrap());
            pod["metadata"]["name"] = json!(name);
            pod["spec"]["nodeName"] = json!("tal99");
            pod["status"]["conditions"] = json!([]);
        }
        pods.extend(stuck);
    });
    let names = || CheckName::ALL.into_iter().skip(2);
    let judged = || names().filter(|check| !ASKED.contains(check));
    let strict = spec();
    let waiting = judged().filter(|check| {
        let state = judge(*check, &leaving, &strict);
        matches!(state, CheckState::Waiting(_))
    });
    assert!(waiting.count() > 5);

    let admitting = spec().admit_unexpected_nodes();

    for check in judged() {
        let state = judge(check, &leaving, &admitting);
        assert_eq!(state, CheckState::Passed, "{check}");
    }
    assert_eq!(
        strangers(&leaving, &admitting)
            .into_iter()
            .collect::<Vec<_>>(),
        ["tal99"]
    );
}

#[test]
fn a_worker_is_expected_without_the_role() {
    let view = view(|world| {
        let mut worker = node();
        worker["metadata"] = json!({"name": "worker"});
        worker["status"]["addresses"][0]["address"] = json!("10.0.2.20");
        world["nodes"].as_array_mut().unwrap().push(worker);
    });
    let spec = spec().workers(["10.0.2.20".parse().unwrap()]);

    assert_eq!(
        judge(CheckName::NodesRegistered, &view, &spec),
        CheckState::Passed
    );
    assert_eq!(
        judge(CheckName::ControlPlaneRole, &view, &spec),
        CheckState::Passed
    );
}

#[test]
fn a_static_pod_that_is_missing_or_unready_is_named() {
    let missing = view(|world| {
        world["pods"].as_array_mut().unwrap().remove(2);
    });
    assert_eq!(
        waits(CheckName::StaticPods, &missing, &spec()),
        "0 of 1 kube-scheduler pods exist"
    );
    assert_eq!(
        judge(
            CheckName::StaticPods,
            &missing,
            &spec().disabled(Component::Scheduler)
        ),
        CheckState::Passed
    );

    let unready = view(|world| world["pods"][1]["status"]["conditions"] = json!([]));
    assert_eq!(
        waits(CheckName::StaticPods, &unready, &spec()),
        "not ready: kube-controller-manager-tal01 (Running)"
    );
}

#[test]
fn a_node_that_is_not_ready_says_why() {
    let view = view(|world| {
        world["nodes"][0]["status"]["conditions"] =
            json!([{"type": "Ready", "status": "False", "message": "cni plugin not initialized"}]);
    });

    assert_eq!(
        waits(CheckName::NodesReady, &view, &spec()),
        "tal01 is not ready: cni plugin not initialized"
    );
}

#[test]
fn replicas_are_counted_against_what_is_desired() {
    let one = view(|world| {
        world["pods"].as_array_mut().unwrap().pop();
    });
    assert_eq!(
        waits(CheckName::CoreDns, &one, &spec()),
        "1 of 2 coredns pods are ready"
    );

    let unavailable =
        view(|world| world["deployments"][0]["status"]["availableReplicas"] = json!(1));
    assert_eq!(
        waits(CheckName::CoreDns, &unavailable, &spec()),
        "1 of 2 coredns replicas are available"
    );

    let absent = view(|world| world["daemonsets"] = json!([]));
    assert_eq!(
        waits(CheckName::KubeProxy, &absent, &spec()),
        "daemonset kube-proxy does not exist"
    );
    assert_eq!(
        waits(
            CheckName::Cni,
            &absent,
            &spec().cni(Cni::DaemonSet("cilium".to_owned()))
        ),
        "daemonset cilium does not exist"
    );
}

#[test]
fn what_is_switched_off_is_skipped() {
    assert!(skips(
        CheckName::KubeProxy,
        &spec().disabled(Component::KubeProxy)
    ));
    assert!(skips(
        CheckName::CoreDns,
        &spec().disabled(Component::CoreDns)
    ));
    assert!(skips(CheckName::Cni, &spec().cni(Cni::Custom)));
    assert!(!skips(CheckName::NodesReady, &spec().cni(Cni::Custom)));
    for check in [CheckName::Cni, CheckName::NodesReady, CheckName::CoreDns] {
        assert!(skips(check, &spec().cni(Cni::None)), "{check}");
    }
}

#[test]
fn without_a_network_pending_coredns_pods_do_not_count_against_the_system() {
    let view = view(|world| {
        for pod in [5, 6] {
            world["pods"][pod]["status"] = json!({"phase": "Pending"});
        }
    });

    assert_eq!(
        judge(CheckName::SystemPods, &view, &spec().cni(Cni::None)),
        CheckState::Passed
    );
    assert_eq!(
        waits(CheckName::SystemPods, &view, &spec()),
        "not ready: coredns-1 (Pending), coredns-2 (Pending)"
    );
}

#[test]
fn a_cordoned_node_is_named() {
    let view = view(|world| world["nodes"][0]["spec"] = json!({"unschedulable": true}));

    assert_eq!(
        waits(CheckName::NodesSchedulable, &view, &spec()),
        "unschedulable: tal01"
    );
}
