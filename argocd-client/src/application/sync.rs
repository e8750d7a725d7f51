//! The options of a synchronisation.

use serde::Serialize;

use super::reference::AppRef;

/// Options of a synchronisation; by default the application's own revision, without pruning.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a request does nothing until it is sent"]
pub struct SyncRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prune: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<SyncResource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_options: Option<SyncOptions>,
}

/// The OpenAPI description nests an object below `hook`; the server reads its fields inline.
#[derive(Debug, Clone, Default, Serialize)]
struct Strategy {
    hook: Force,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Force {
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
        self.strategy = Some(Strategy {
            hook: Force { force: true },
        });
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

    /// Adds an option such as `CreateNamespace=true`.
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.sync_options
            .get_or_insert_default()
            .items
            .push(option.into());
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
}
