//! Creation that can be repeated: compare, then change only what the specification names.

use http::Method;

use super::model::{Application, NewApplication};
use super::{APPLICATIONS, AppRef, Applications};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::Idempotency;
use crate::wire::contains;

/// The application that exists, when it is what was to be created; else the error of the server.
pub(super) async fn same_or(
    applications: &Applications,
    wanted: &NewApplication,
    error: Error,
) -> Result<Application> {
    let Some(existing) = applications.find(&reference(wanted)).await? else {
        return Err(error);
    };
    refuse_while_deleted(&existing, "create application")?;
    if wanted.is_in(&existing) {
        Ok(existing)
    } else {
        Err(error)
    }
}

pub(super) async fn create_or_update(
    applications: &Applications,
    wanted: &NewApplication,
) -> Result<Application> {
    let mut wanted = wanted.clone();
    if let Some(existing) = applications.find(&reference(&wanted)).await? {
        refuse_while_deleted(&existing, "update application")?;
        if wanted.is_in(&existing) {
            return Ok(existing);
        }
        // The server merges labels and annotations, but replaces the finalizers.
        for finalizer in &existing.metadata.finalizers {
            if !wanted.metadata.finalizers.contains(finalizer) {
                wanted.metadata.finalizers.push(finalizer.clone());
            }
        }
    }
    let call = Call::new(
        "create or update application",
        Method::POST,
        APPLICATIONS,
        &[],
    )
    .target(&wanted.metadata.name)
    .query("upsert", "true")
    .idempotency(Idempotency::Safe)
    .body(&wanted)?;
    applications.transport.send(&call).await
}

fn refuse_while_deleted(existing: &Application, operation: &'static str) -> Result<()> {
    if existing.metadata.deletion_timestamp.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotReady, operation)
        .with_target(existing.metadata.qualified_name())
        .with_message("an application of this name is being deleted; wait until it is gone"))
}

fn reference(wanted: &NewApplication) -> AppRef {
    let reference = AppRef::new(&wanted.metadata.name);
    if wanted.metadata.namespace.is_empty() {
        reference
    } else {
        reference.in_namespace(&wanted.metadata.namespace)
    }
}

impl NewApplication {
    /// Whether an application that exists has this specification, and at least these labels,
    /// annotations and finalizers.
    pub(super) fn is_in(&self, existing: &Application) -> bool {
        let mut spec = self.spec.clone();
        if spec.project.is_empty() {
            // The server stores an empty project as `default`.
            "default".clone_into(&mut spec.project);
        }
        let json = |value: &super::ApplicationSpec| serde_json::to_value(value).unwrap_or_default();
        let (wanted, found) = (json(&spec), json(&existing.spec));
        let mine = &self.metadata;
        let theirs = &existing.metadata;
        contains(&found, &wanted)
            && contains(&wanted, &found)
            && mine
                .labels
                .iter()
                .all(|(key, value)| theirs.labels.get(key) == Some(value))
            && mine
                .annotations
                .iter()
                .all(|(key, value)| theirs.annotations.get(key) == Some(value))
            && mine
                .finalizers
                .iter()
                .all(|finalizer| theirs.finalizers.contains(finalizer))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::application::{ApplicationSource, Destination};

    fn wanted() -> NewApplication {
        let source = ApplicationSource::git("https://git.example.test/apps.git", "ok", "main");
        NewApplication::new("one", "", source, Destination::name("lungmen")).label("a", "b")
    }

    fn existing(annotations: serde_json::Value, path: &str) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "one", "namespace": "argocd", "labels": {"a": "b", "c": "d"}, "annotations": annotations},
            "spec": {
                "project": "default", "destination": {"name": "lungmen"},
                "source": {"repoURL": "https://git.example.test/apps.git", "path": path, "targetRevision": "main"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_others_added_makes_no_difference_and_another_specification_does() {
        let hydrated = json!({"argocd.argoproj.io/hydrate": "normal"});

        assert!(wanted().is_in(&existing(hydrated.clone(), "ok")));
        assert!(!wanted().is_in(&existing(hydrated, "other")));
        assert!(!wanted().label("x", "y").is_in(&existing(json!(null), "ok")));
        assert!(!wanted().finalizer("f").is_in(&existing(json!(null), "ok")));
    }
}
