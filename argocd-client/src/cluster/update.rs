//! Partial updates of a registered cluster.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::on_existing::OnExisting;
use super::spec::{CREDENTIALS_ANNOTATION, ClusterSpec};
use super::status::Cluster;

/// The fields of a cluster to change; all others stay.
///
/// The server replaces the whole entry, credentials included, when an update does not list its
/// fields. This type always lists them. Labels and annotations are replaced as a whole: start from
/// those of [`Cluster`] to keep what is there.
#[derive(Clone, Default)]
#[must_use = "an update does nothing until it is sent"]
pub struct ClusterUpdate {
    fields: BTreeMap<&'static str, Value>,
    /// Of the credentials, when they are to be remembered.
    fingerprint: Option<String>,
}

impl ClusterUpdate {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    fn set(mut self, field: &'static str, value: Value) -> Self {
        self.fields.insert(field, value);
        self
    }

    /// Changes the name. Applications that name the old one lose their destination.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set("name", Value::from(name.into()))
    }

    /// Replaces the connection settings by those of a specification: token, CA, server name, proxy.
    ///
    /// The server checks them against the cluster before it stores them.
    pub fn credentials(mut self, spec: &ClusterSpec) -> Self {
        self.fingerprint = spec.remembers().then(|| spec.fingerprint());
        self.set("config", spec.config())
    }

    /// Replaces all labels.
    pub fn labels(self, labels: BTreeMap<String, String>) -> Self {
        self.set("labels", json!(labels))
    }

    /// Replaces all annotations.
    pub fn annotations(self, annotations: BTreeMap<String, String>) -> Self {
        self.set("annotations", json!(annotations))
    }

    /// Replaces the list of namespaces; empty means all.
    pub fn namespaces(self, namespaces: Vec<String>) -> Self {
        self.set("namespaces", json!(namespaces))
    }

    /// Moves the cluster to a project.
    pub fn project(self, project: impl Into<String>) -> Self {
        self.set("project", Value::from(project.into()))
    }

    /// Pins the cluster to a shard of the controller.
    pub fn shard(self, shard: i64) -> Self {
        self.set("shard", Value::from(shard))
    }

    /// Replaces the connection settings, and updates the annotation that remembers them.
    pub(super) fn with_credentials_of(self, existing: &Cluster, spec: &ClusterSpec) -> Self {
        let mut annotations = match self.fields.get("annotations") {
            Some(value) => serde_json::from_value(value.clone()).unwrap_or_default(),
            None => existing.annotations.clone(),
        };
        annotations.remove(CREDENTIALS_ANNOTATION);
        annotations.extend(spec.wanted_annotations());
        let update = self.credentials(spec);
        if annotations == existing.annotations {
            update
        } else {
            update.annotations(annotations)
        }
    }

    /// Adds the annotations that are true after this update: those given, with the remembered
    /// fingerprint of the credentials that it sends.
    pub(super) fn remembering(self, existing: BTreeMap<String, String>) -> Self {
        let mut annotations: BTreeMap<String, String> = match self.fields.get("annotations") {
            Some(value) => serde_json::from_value(value.clone()).unwrap_or_default(),
            None => existing.clone(),
        };
        match self.fingerprint() {
            Some(fingerprint) => {
                annotations.insert(CREDENTIALS_ANNOTATION.to_owned(), fingerprint.to_owned());
            }
            None => drop(annotations.remove(CREDENTIALS_ANNOTATION)),
        }
        if annotations == existing && !self.fields.contains_key("annotations") {
            self
        } else {
            self.annotations(annotations)
        }
    }

    /// Whether the connection settings change.
    #[must_use]
    pub fn changes_credentials(&self) -> bool {
        self.fields.contains_key("config")
    }

    /// The fingerprint of the credentials that this update sends.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields that change.
    pub(crate) fn into_fields(self) -> BTreeMap<&'static str, Value> {
        self.fields
    }

    /// Leaves the connection settings as they are.
    pub(crate) fn without_credentials(mut self) -> Self {
        self.fields.remove("config");
        self
    }

    /// The names of the fields that change, as the server spells them.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        self.fields.keys().copied().collect()
    }

    pub(super) fn body(&self, server: &str) -> Value {
        let mut body = Map::new();
        body.insert("server".to_owned(), json!(server));
        body.extend(
            self.fields
                .iter()
                .map(|(field, value)| ((*field).to_owned(), value.clone())),
        );
        body.into()
    }

    /// What a registration of `spec` would change of the entry that exists. Sends nothing.
    ///
    /// Credentials cannot be read back, so they count as different unless both sides
    /// [remember them](ClusterSpec::remember_credentials).
    pub fn between(existing: &Cluster, spec: &ClusterSpec) -> Self {
        let mut update = Self::new();
        if existing.name != spec.name {
            update = update.name(&spec.name);
        }
        let config_changes =
            spec.on_existing == OnExisting::Update && credentials_differ(existing, spec);
        if config_changes {
            update = update.credentials(spec);
        }
        let labels = merged(&existing.labels, &spec.labels);
        if labels != existing.labels {
            update = update.labels(labels);
        }
        let mut wanted = spec.wanted_annotations();
        if spec.on_existing == OnExisting::Reuse {
            // The hash would claim credentials that were not sent.
            wanted.remove(CREDENTIALS_ANNOTATION);
        }
        let mut annotations = merged(&existing.annotations, &wanted);
        if config_changes && !wanted.contains_key(CREDENTIALS_ANNOTATION) {
            annotations.remove(CREDENTIALS_ANNOTATION);
        }
        if annotations != existing.annotations {
            update = update.annotations(annotations);
        }
        if let Some(namespaces) = &spec.namespaces
            && *namespaces != existing.namespaces
        {
            update = update.namespaces(namespaces.clone());
        }
        if let Some(wanted) = spec.cluster_resources
            && wanted != existing.cluster_resources
        {
            update = update.set("clusterResources", Value::from(wanted));
        }
        if let Some(project) = &spec.project
            && *project != existing.project
        {
            update = update.project(project);
        }
        if spec
            .shard
            .is_some_and(|shard| existing.shard != Some(shard))
        {
            update = update.shard(spec.shard.unwrap_or_default());
        }
        update
    }
}

impl std::fmt::Debug for ClusterUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterUpdate")
            .field("fields", &self.fields())
            .finish_non_exhaustive()
    }
}

/// Reads are redacted: only the remembered hash can show that the credentials are the same.
fn credentials_differ(existing: &Cluster, spec: &ClusterSpec) -> bool {
    let tls = &existing.config.tls;
    tls.insecure
        || tls.server_name != spec.tls_server_name.as_deref().unwrap_or_default()
        || existing.annotations.get(CREDENTIALS_ANNOTATION) != Some(&spec.fingerprint())
}

fn merged(
    existing: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = existing.clone();
    all.extend(
        wanted
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    all
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::cluster::ServerUrl;

    fn spec() -> ClusterSpec {
        let server = ServerUrl::parse("https://10.5.0.2:6443").unwrap();
        ClusterSpec::new("lungmen", server, SecretString::from("canary"), "CA")
            .label("environment", "prod")
    }

    fn registered(spec: &ClusterSpec) -> Cluster {
        serde_json::from_value(spec.body()).unwrap()
    }

    #[test]
    fn equal_remembered_credentials_need_no_update() {
        let spec = spec().remember_credentials();

        assert!(ClusterUpdate::between(&registered(&spec), &spec).is_empty());
    }

    #[test]
    fn credentials_are_sent_when_they_cannot_be_compared() {
        let spec = spec();

        assert_eq!(
            ClusterUpdate::between(&registered(&spec), &spec).fields(),
            ["config"]
        );
        let reuse = spec.clone().on_existing(OnExisting::Reuse);
        assert!(ClusterUpdate::between(&registered(&spec), &reuse).is_empty());
    }

    #[test]
    fn labels_of_others_are_kept() {
        let spec = spec().on_existing(OnExisting::Reuse);
        let mut existing = registered(&spec);
        existing.labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);

        let body = ClusterUpdate::between(&existing, &spec).body("https://10.5.0.2:6443");

        assert_eq!(body["labels"], json!({"environment": "prod", "team": "a"}));
        assert!(body.get("config").is_none());
    }

    #[test]
    fn a_stale_hash_does_not_survive_new_credentials() {
        let remembered = spec().remember_credentials();
        let existing = registered(&remembered);
        let rotated = ClusterSpec::new(
            "lungmen",
            remembered.server().clone(),
            SecretString::from("new"),
            "CA",
        )
        .label("environment", "prod");

        let update = ClusterUpdate::between(&existing, &rotated);

        assert_eq!(update.fields(), ["annotations", "config"]);
        assert!(!format!("{update:?}").contains("new\""));
    }
}
