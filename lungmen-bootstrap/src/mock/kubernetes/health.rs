//! `/readyz` and its relatives, and `/version`.

use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::status::{ApiResult, Rejection};
use crate::mock::serve::{self, IncomingRequest};

/// The checks of `/readyz` (kube-apiserver 1.36.3).
const CHECKS: [&str; 36] = [
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
    "shutdown",
];
/// The check that fails while the server starts.
const LAST_CHECK: &str = "poststarthook/rbac/bootstrap-roles";

impl ClusterState {
    /// `/readyz`, `/livez`, `/healthz`. While the server starts, the RBAC roles are the last thing that is missing.
    pub(super) fn health(&self, request: &IncomingRequest, one: Option<&str>) -> ApiResult {
        let query = parameters(request, &["verbose", "exclude"])?;
        let path = request.uri.path().trim_start_matches('/');
        let name = path.split('/').next().unwrap_or(path);
        let excluded = |check: &str| {
            query
                .iter()
                .any(|(key, value)| key == "exclude" && value == check)
        };
        let failing = |check: &str| name == "readyz" && !self.is_ready() && check == LAST_CHECK;
        if let Some(check) = one {
            return match CHECKS.contains(&check) {
                true if failing(check) => {
                    Ok(serve::text(500, "internal server error: not finished\n"))
                }
                true => Ok(serve::text(200, "ok")),
                false => Err(Rejection::page_not_found()),
            };
        }
        let failed = CHECKS
            .iter()
            .any(|check| failing(check) && !excluded(check));
        let verbose = query.iter().any(|(key, _)| key == "verbose");
        if !failed && !verbose {
            return Ok(serve::text(200, "ok"));
        }
        let lines = CHECKS
            .iter()
            .map(|check| match (excluded(check), failing(check)) {
                (true, _) => format!("[+]{check} excluded: ok\n"),
                (false, true) => format!("[-]{check} failed: reason withheld\n"),
                (false, false) => format!("[+]{check} ok\n"),
            });
        let verdict = if failed { "failed" } else { "passed" };
        let text = format!("{}{name} check {verdict}\n", lines.collect::<String>());
        Ok(serve::text(if failed { 500 } else { 200 }, text))
    }

    pub(super) fn version(&self) -> Value {
        let version = &self.settings.kubernetes_version;
        let mut numbers = version.split('.');
        let (major, minor) = (numbers.next(), numbers.next());
        let number: u32 = minor
            .and_then(|minor| minor.parse().ok())
            .unwrap_or_default();
        let mut document = json!({
            "major": major,
            "minor": minor,
        });
        // Measured on 1.36.3; earlier versions of the mock's servers leave them out.
        if number >= 34 {
            document["emulationMajor"] = json!(major);
            document["emulationMinor"] = json!(minor);
            document["minCompatibilityMajor"] = json!(major);
            document["minCompatibilityMinor"] = (number - 1).to_string().into();
        }
        let build = json!({
            "gitVersion": format!("v{version}"),
            "gitCommit": "0000000000000000000000000000000000000000",
            "gitTreeState": "clean",
            "buildDate": "2025-01-01T00:00:00Z",
            "goVersion": "go1.24.5",
            "compiler": "gc",
            "platform": "linux/amd64",
        });
        if let (Value::Object(document), Value::Object(build)) = (&mut document, build) {
            document.extend(build);
        }
        document
    }
}
