//! Which pods count as replicas, and which are Ready: the rules of `talosctl health` (v1.10.7).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

pub(super) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The name of the node that it runs on.
pub(super) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

pub(super) fn has_label(pod: &Pod, key: &str, value: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(key))
        .map(String::as_str)
        == Some(value)
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether the pod counts as a replica. A kubelet that shut down gracefully leaves pods in phase Running whose
/// containers have all terminated; a pod without any container status counts as such a leftover too.
pub(super) fn counts(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && phase(pod) != "Failed" && !all_terminated(pod)
}

/// Whether the pod is expected to become Ready and is not. Unlike [`counts`] this sees pods that were never started.
pub(super) fn is_unready(pod: &Pod) -> bool {
    let finished = matches!(phase(pod), "Failed" | "Succeeded");
    let leftover = containers(pod).next().is_some() && all_terminated(pod);
    pod.metadata.deletion_timestamp.is_none() && !finished && !leftover && !is_ready(pod)
}

/// Name, phase and reason of a pod that is not Ready.
pub(super) fn describe(pod: &Pod) -> String {
    let phase = match phase(pod) {
        "" => "Pending",
        known => known,
    };
    match reason(pod) {
        Some(reason) => format!("{} ({phase}: {reason})", name(pod)),
        None => format!("{} ({phase})", name(pod)),
    }
}

/// How often the containers of the pod restarted, the highest of them.
pub(super) fn restarts(pod: &Pod) -> i32 {
    containers(pod)
        .map(|container| container.restart_count)
        .max()
        .unwrap_or(0)
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

fn reason(pod: &Pod) -> Option<&str> {
    let waiting = containers(pod)
        .filter_map(|container| {
            container
                .state
                .as_ref()?
                .waiting
                .as_ref()?
                .reason
                .as_deref()
        })
        .next();
    let scheduling = || {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let unmet = conditions
            .iter()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
        unmet.reason.as_deref()
    };
    waiting.or_else(scheduling)
}

fn all_terminated(pod: &Pod) -> bool {
    containers(pod).all(|container| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.terminated.is_some())
    })
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    fn statuses(status: &PodStatus) -> Option<&Vec<ContainerStatus>> {
        status.container_statuses.as_ref()
    }
    pod.status.as_ref().and_then(statuses).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(value: serde_json::Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    fn running(state: serde_json::Value) -> Pod {
        pod(
            json!({"metadata": {"name": "p"}, "status": {"phase": "Running", "containerStatuses":
            [{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 2, "state": state}]}}),
        )
    }

    #[test]
    fn a_pod_left_over_by_a_graceful_shutdown_does_not_count() {
        let leftover = running(json!({"terminated": {"exitCode": 0}}));

        assert!(!counts(&leftover));
        assert!(!is_unready(&leftover));
    }

    #[test]
    fn a_pod_without_container_statuses_is_no_replica_but_is_reported() {
        let pending = pod(
            json!({"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions":
            [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}}),
        );

        assert!(!counts(&pending));
        assert!(is_unready(&pending));
        assert_eq!(describe(&pending), "p (Pending: Unschedulable)");
    }

    #[test]
    fn a_waiting_container_explains_its_pod() {
        let waiting = running(json!({"waiting": {"reason": "CrashLoopBackOff"}}));

        assert!(counts(&waiting));
        assert_eq!(describe(&waiting), "p (Running: CrashLoopBackOff)");
        assert_eq!(restarts(&waiting), 2);
    }

    #[test]
    fn finished_failed_and_dying_pods_are_not_waited_for() {
        for status in [json!({"phase": "Succeeded"}), json!({"phase": "Failed"})] {
            assert!(!is_unready(&pod(
                json!({"metadata": {"name": "p"}, "status": status})
            )));
        }
        let dying =
            pod(json!({"metadata": {"name": "p", "deletionTimestamp": "2026-11-22T08:00:00Z"}}));
        assert!(!counts(&dying));
        assert!(!is_unready(&dying));
    }
}
