//! The options of a synchronisation.

use std::ops::Not;

use serde::Serialize;
use serde_json::{Value, json};

use super::reference::AppRef;
use super::sync_retry::SyncRetry;

/// Who an operation says has requested it, where no server does.
const INITIATOR: &str = "argocd-client";

/// Options of a synchronisation; by default the application's own revision, without pruning.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a request does nothing until it is sent"]
pub struct SyncRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "Not::not")]
    dry_run: bool,
    #[serde(skip_serializing_if = "Not::not")]
    prune: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<SyncResource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_options: Option<SyncOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_strategy: Option<SyncRetry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<Info>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    source_positions: Vec<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revisions: Vec<String>,
}

/// The OpenAPI description nests an object below `hook`; the server reads its fields inline.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
enum Strategy {
    Hook(Force),
    Apply(Force),
}

#[derive(Debug, Clone, Default, Serialize)]
struct Force {
    #[serde(skip_serializing_if = "Not::not")]
    force: bool,
}

#[derive(Debug, Clone, Serialize)]
struct SyncResource {
    group: String,
    kind: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
}

#[derive(Debug, Clone, Default, Serialize)]
struct SyncOptions {
    items: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Info {
    name: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(flatten)]
    request: &'a SyncRequest,
}

impl SyncRequest {
    /// The application's own revision, without pruning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another revision. Rejection while the application is automated.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// Another revision of one source of several, counted from 1. May be given for several sources.
    pub fn source_revision(mut self, position: usize, revision: impl Into<String>) -> Self {
        self.source_positions.push(position);
        self.revisions.push(revision.into());
        self
    }

    /// Only tries.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Removes resources that are no longer in the source.
    pub fn prune(mut self) -> Self {
        self.prune = true;
        self
    }

    /// Replaces resources that cannot be changed in place.
    pub fn force(mut self) -> Self {
        let force = Force { force: true };
        self.strategy = Some(match self.strategy {
            Some(Strategy::Apply(_)) => Strategy::Apply(force),
            _ => Strategy::Hook(force),
        });
        self
    }

    /// Applies all resources at once, without hooks (`--strategy apply`).
    pub fn without_hooks(mut self) -> Self {
        let force = match self.strategy.take() {
            Some(Strategy::Hook(force) | Strategy::Apply(force)) => force,
            None => Force::default(),
        };
        self.strategy = Some(Strategy::Apply(force));
        self
    }

    /// Limits the synchronisation to a resource; may be repeated. No hooks run then.
    pub fn resource(
        mut self,
        group: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        self.resources.push(SyncResource {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
            namespace: String::new(),
        });
        self
    }

    /// Limits the synchronisation to a resource of a namespace; may be repeated.
    pub fn resource_in(
        mut self,
        namespace: impl Into<String>,
        group: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        self.resources.push(SyncResource {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
            namespace: namespace.into(),
        });
        self
    }

    /// Adds an option such as `CreateNamespace=true`. Options given here replace those of the application.
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.sync_options
            .get_or_insert_default()
            .items
            .push(option.into());
        self
    }

    /// Applies on the server side of Kubernetes (`--server-side`).
    pub fn server_side(self) -> Self {
        self.option("ServerSideApply=true")
    }

    /// Replaces resources instead of applying them (`--replace`). Servers can forbid it.
    pub fn replace(self) -> Self {
        self.option("Replace=true")
    }

    /// Leaves resources alone that are in sync (`--apply-out-of-sync-only`).
    pub fn only_out_of_sync(self) -> Self {
        self.option("ApplyOutOfSyncOnly=true")
    }

    /// Makes the controller repeat a synchronisation that failed.
    pub fn retry(mut self, retry: SyncRetry) -> Self {
        self.retry_strategy = Some(retry);
        self
    }

    /// Adds a remark to the operation, which the history keeps.
    pub fn info(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.infos.push(Info {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Deploys these manifests, JSON or YAML, instead of those of the source (`--local`). Needs the right
    /// `applications, override`; rejected while the application is automated, except for a dry run.
    pub fn manifests<T: Into<String>>(mut self, manifests: impl IntoIterator<Item = T>) -> Self {
        self.manifests.extend(manifests.into_iter().map(Into::into));
        self
    }

    pub(super) fn body<'a>(&'a self, application: &'a AppRef) -> Body<'a> {
        Body {
            name: &application.name,
            app_namespace: application.namespace.as_deref(),
            project: application.project.as_deref(),
            request: self,
        }
    }

    /// The operation that the server would write into the application for this request, and the controller carries out
    /// (`server/application/application.go`, 3.5.1). Options and retries default to those of the application.
    pub(crate) fn operation(&self, application: &Value) -> Value {
        let policy = &application["spec"]["syncPolicy"];
        let options = match &self.sync_options {
            Some(options) => json!(options.items),
            None => policy["syncOptions"].clone(),
        };
        let retry = match &self.retry_strategy {
            Some(retry) => json!(retry),
            None => policy["retry"].clone(),
        };
        let revisions = self.revisions_of(&application["spec"]["sources"]);
        let wanted = |given: bool, value: Value| if given { value } else { Value::Null };
        let mut sync = json!({
            "revision": self.revision, "syncOptions": options, "syncStrategy": self.strategy, "revisions": revisions,
            "prune": wanted(self.prune, json!(true)), "dryRun": wanted(self.dry_run, json!(true)),
            "resources": wanted(!self.resources.is_empty(), json!(self.resources)),
            "manifests": wanted(!self.manifests.is_empty(), json!(self.manifests)),
        });
        let infos = wanted(!self.infos.is_empty(), json!(self.infos));
        without_nulls(&mut sync);
        let mut operation = json!({
            "sync": sync, "initiatedBy": {"username": INITIATOR}, "info": infos, "retry": retry,
        });
        without_nulls(&mut operation);
        operation
    }

    /// The revisions of all sources, empty for those that are not given.
    fn revisions_of(&self, sources: &Value) -> Option<Vec<&str>> {
        let last = self.source_positions.iter().max()?;
        let count = sources.as_array().map_or(0, Vec::len).max(*last);
        let mut revisions = vec![""; count];
        for (position, revision) in self.source_positions.iter().zip(&self.revisions) {
            if let Some(place) = revisions.get_mut(position.saturating_sub(1)) {
                *place = revision;
            }
        }
        Some(revisions)
    }
}

fn without_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_body_has_what_was_asked_for_and_nothing_else() {
        let application = AppRef::new("cilium").in_namespace("argocd");

        assert_eq!(
            serde_json::to_value(SyncRequest::new().body(&application)).unwrap(),
            json!({"name": "cilium", "appNamespace": "argocd"})
        );
        assert_eq!(
            serde_json::to_value(
                SyncRequest::new()
                    .prune()
                    .force()
                    .option("CreateNamespace=true")
                    .resource("apps", "Deployment", "web")
                    .body(&application)
            )
            .unwrap(),
            json!({
                "name": "cilium", "appNamespace": "argocd", "prune": true,
                "strategy": {"hook": {"force": true}},
                "resources": [{"group": "apps", "kind": "Deployment", "name": "web"}],
                "syncOptions": {"items": ["CreateNamespace=true"]},
            })
        );
    }

    #[test]
    fn every_option_of_the_command_line_has_a_field() {
        let application = AppRef::new("cilium");
        let request = SyncRequest::new()
            .force()
            .without_hooks()
            .server_side()
            .resource_in("web", "", "Service", "front")
            .source_revision(2, "v2")
            .retry(SyncRetry::limit(3).refresh())
            .info("ticket", "7")
            .manifests(["{}"]);

        assert_eq!(
            serde_json::to_value(request.body(&application)).unwrap(),
            json!({
                "name": "cilium", "strategy": {"apply": {"force": true}},
                "syncOptions": {"items": ["ServerSideApply=true"]},
                "resources": [{"group": "", "kind": "Service", "name": "front", "namespace": "web"}],
                "sourcePositions": [2], "revisions": ["v2"], "infos": [{"name": "ticket", "value": "7"}],
                "manifests": ["{}"],
                "retryStrategy": {
                    "limit": 3, "refresh": true,
                    "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m0s"},
                },
            })
        );
    }

    #[test]
    fn an_operation_takes_options_and_retries_of_the_application_unless_they_are_given() {
        let application = json!({"spec": {
            "sources": [{}, {}, {}],
            "syncPolicy": {"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 2}},
        }});

        assert_eq!(
            SyncRequest::new().prune().operation(&application),
            json!({
                "sync": {"prune": true, "syncOptions": ["CreateNamespace=true"]}, "retry": {"limit": 2},
                "initiatedBy": {"username": "argocd-client"},
            })
        );
        let operation = SyncRequest::new()
            .source_revision(2, "v2")
            .replace()
            .operation(&application);
        assert_eq!(operation["sync"]["revisions"], json!(["", "v2", ""]));
        assert_eq!(operation["sync"]["syncOptions"], json!(["Replace=true"]));
    }
}
