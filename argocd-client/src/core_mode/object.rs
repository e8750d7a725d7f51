//! Objects of Argo CD in Kubernetes: reading, creating, changing, deleting.

use std::marker::PhantomData;
use std::sync::Arc;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kubernetes::Kubernetes;
use crate::application_set::ApplicationSet;
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::project::Project;
use crate::retry::Idempotency;
use crate::transport::found;
use crate::wire::{List, contains};

/// How often a change is made again when another client was faster.
const CONFLICTS: usize = 10;

/// A kind of Kubernetes, and its paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) api_version: &'static str,
    pub(super) name: &'static str,
    /// All of a namespace.
    pub(super) list: &'static str,
    /// One of a namespace.
    pub(super) one: &'static str,
}

pub(super) const APPLICATION: Kind = Kind {
    api_version: "argoproj.io/v1alpha1",
    name: "Application",
    list: "/apis/argoproj.io/v1alpha1/namespaces/{}/applications",
    one: "/apis/argoproj.io/v1alpha1/namespaces/{}/applications/{}",
};

pub(super) const SECRET: Kind = Kind {
    api_version: "v1",
    name: "Secret",
    list: "/api/v1/namespaces/{}/secrets",
    one: "/api/v1/namespaces/{}/secrets/{}",
};

/// A kind of object that [`CoreObjects`] handles: [`Project`] or [`ApplicationSet`].
pub trait CoreObject: DeserializeOwned + Send + sealed::Kinded {}

mod sealed {
    pub trait Kinded {
        #[allow(private_interfaces, reason = "nobody outside can name it")]
        const KIND: super::Kind;
    }
}

impl CoreObject for Project {}

impl sealed::Kinded for Project {
    #[allow(private_interfaces, reason = "nobody outside can name it")]
    const KIND: Kind = Kind {
        api_version: "argoproj.io/v1alpha1",
        name: "AppProject",
        list: "/apis/argoproj.io/v1alpha1/namespaces/{}/appprojects",
        one: "/apis/argoproj.io/v1alpha1/namespaces/{}/appprojects/{}",
    };
}

impl CoreObject for ApplicationSet {}

impl sealed::Kinded for ApplicationSet {
    #[allow(private_interfaces, reason = "nobody outside can name it")]
    const KIND: Kind = Kind {
        api_version: "argoproj.io/v1alpha1",
        name: "ApplicationSet",
        list: "/apis/argoproj.io/v1alpha1/namespaces/{}/applicationsets",
        one: "/apis/argoproj.io/v1alpha1/namespaces/{}/applicationsets/{}",
    };
}

/// The objects of one kind in the namespace of Argo CD.
#[derive(Debug)]
pub struct CoreObjects<T> {
    kubernetes: Arc<Kubernetes>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for CoreObjects<T> {
    fn clone(&self) -> Self {
        Self {
            kubernetes: Arc::clone(&self.kubernetes),
            of: PhantomData,
        }
    }
}

impl<T: CoreObject> CoreObjects<T> {
    pub(super) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self {
            kubernetes,
            of: PhantomData,
        }
    }

    /// Lists all. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `list`; [`Unsupported`](ErrorKind::Unsupported) in a cluster
    /// without Argo CD.
    pub async fn list(&self) -> Result<Vec<T>> {
        Ok(list(&self.kubernetes, T::KIND, None).await?.items)
    }

    /// Reads the one of this name. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); those of [`list`](Self::list).
    pub async fn read(&self, name: &str) -> Result<T> {
        self.kubernetes
            .send(&self.one("read object", Method::GET, name))
            .await
    }

    /// Looks for the one of this name. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find(&self, name: &str) -> Result<Option<T>> {
        found(self.read(name).await)
    }

    /// Creates one from its manifest (`metadata` and `spec`). May be repeated: one that exists and says at least the same
    /// is returned.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs; [`NotReady`](ErrorKind::NotReady) while one
    /// of this name is being deleted; [`Rejected`](ErrorKind::Rejected) for a manifest that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `create`.
    pub async fn create(&self, manifest: &Value) -> Result<T> {
        typed(create(&self.kubernetes, T::KIND, manifest).await?)
    }

    /// Creates one, or replaces the specification of the one that exists; labels, annotations and finalizers of others
    /// stay. May be repeated.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) but `AlreadyExists`; [`Conflict`](ErrorKind::Conflict) when others keep changing
    /// the object.
    pub async fn create_or_update(&self, manifest: &Value) -> Result<T> {
        typed(create_or_update(&self.kubernetes, T::KIND, manifest).await?)
    }

    /// Asks for the deletion of the one of this name and returns at once. Returns `false` when there is none. May be
    /// repeated. Finalizers are not waited for.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `delete`.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        let call = self.one("delete object", Method::DELETE, name);
        Ok(found(self.kubernetes.send::<Value>(&call).await)?.is_some())
    }

    fn one(&self, operation: &'static str, method: Method, name: &str) -> Call {
        let segments = [self.kubernetes.namespace.as_str(), name];
        Call::new(operation, method, T::KIND.one, &segments).target(name)
    }
}

pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T> {
    T::deserialize(value).map_err(|_| {
        Error::new(ErrorKind::Decode, "read object").with_message("the object has another shape")
    })
}

/// The objects of a kind in the namespace of Argo CD, by label if wanted.
pub(super) async fn list<T: DeserializeOwned>(
    kubernetes: &Kubernetes,
    kind: Kind,
    selector: Option<&str>,
) -> Result<List<T>> {
    let call = Call::get("list objects", kind.list, &[&kubernetes.namespace])
        .target(kind.name)
        .query_opt("labelSelector", selector);
    kubernetes.send(&call).await
}

/// Where a manifest belongs: its namespace, or Argo CD's, and its name.
pub(super) fn place<'a>(kubernetes: &'a Kubernetes, manifest: &'a Value) -> (&'a str, &'a str) {
    let namespace = manifest["metadata"]["namespace"].as_str();
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    let name = manifest["metadata"]["name"].as_str();
    (
        namespace.unwrap_or(&kubernetes.namespace),
        name.unwrap_or_default(),
    )
}

pub(super) async fn post(kubernetes: &Kubernetes, kind: Kind, manifest: &Value) -> Result<Value> {
    let (namespace, name) = place(kubernetes, manifest);
    let mut body = manifest.clone();
    body["apiVersion"] = json!(kind.api_version);
    body["kind"] = json!(kind.name);
    body["metadata"]["namespace"] = json!(namespace);
    // A second object of the same name is refused, and then compared.
    let call = Call::new("create object", Method::POST, kind.list, &[namespace])
        .target(name)
        .idempotency(Idempotency::Safe)
        .body(&body)?;
    kubernetes.send(&call).await
}

pub(super) async fn create(kubernetes: &Kubernetes, kind: Kind, manifest: &Value) -> Result<Value> {
    let error = match post(kubernetes, kind, manifest).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => error,
        result => return result,
    };
    let (namespace, name) = place(kubernetes, manifest);
    let existing: Value = read(kubernetes, kind, namespace, name).await?;
    refuse_while_deleted(&existing)?;
    if says(&existing, manifest) {
        Ok(existing)
    } else {
        Err(error)
    }
}

pub(super) async fn create_or_update(
    kubernetes: &Kubernetes,
    kind: Kind,
    manifest: &Value,
) -> Result<Value> {
    match post(kubernetes, kind, manifest).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        result => return result,
    }
    let (namespace, name) = place(kubernetes, manifest);
    change(kubernetes, kind, (namespace, name), |existing| {
        refuse_while_deleted(existing)?;
        if says(existing, manifest) {
            return Ok(false);
        }
        existing["spec"] = manifest["spec"].clone();
        merge_metadata(&mut existing["metadata"], &manifest["metadata"]);
        Ok(true)
    })
    .await
}

pub(super) async fn read<T: DeserializeOwned>(
    kubernetes: &Kubernetes,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> Result<T> {
    let call = Call::get("read object", kind.one, &[namespace, name]).target(name);
    kubernetes.send(&call).await
}

/// Reads an object, changes it and writes it back, unless `edit` says that nothing changes. Made again when somebody else
/// wrote in between.
pub(super) async fn change(
    kubernetes: &Kubernetes,
    kind: Kind,
    (namespace, name): (&str, &str),
    mut edit: impl FnMut(&mut Value) -> Result<bool>,
) -> Result<Value> {
    let mut left = CONFLICTS;
    loop {
        let mut object: Value = read(kubernetes, kind, namespace, name).await?;
        if !edit(&mut object)? {
            return Ok(object);
        }
        let call = Call::new("change object", Method::PUT, kind.one, &[namespace, name])
            .target(name)
            .body(&object)?;
        match kubernetes.send(&call).await {
            Err(error) if error.kind() == ErrorKind::Conflict && left > 0 => left -= 1,
            result => return result,
        }
    }
}

pub(super) fn refuse_while_deleted(existing: &Value) -> Result<()> {
    if existing["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let name = existing["metadata"]["name"].as_str().unwrap_or_default();
    Err(Error::new(ErrorKind::NotReady, "create object")
        .with_target(name)
        .with_message("one of this name is being deleted; wait until it is gone"))
}

/// Whether an object has this specification, and at least these labels, annotations and finalizers.
fn says(existing: &Value, manifest: &Value) -> bool {
    let (found, wanted) = (&existing["spec"], &manifest["spec"]);
    let metadata = |field: &str| {
        let (found, wanted) = (&existing["metadata"][field], &manifest["metadata"][field]);
        wanted.is_null() || contains(found, wanted)
    };
    let finalizers = strings(&manifest["metadata"]["finalizers"]);
    let present = strings(&existing["metadata"]["finalizers"]);
    contains(found, wanted)
        && contains(wanted, found)
        && metadata("labels")
        && metadata("annotations")
        && finalizers
            .iter()
            .all(|finalizer| present.contains(finalizer))
}

/// Adds the labels, annotations and finalizers of the manifest to those that are there.
pub(super) fn merge_metadata(existing: &mut Value, wanted: &Value) {
    for field in ["labels", "annotations"] {
        let Some(wanted) = wanted[field].as_object() else {
            continue;
        };
        if existing[field].is_null() {
            existing[field] = json!({});
        }
        if let Some(existing) = existing[field].as_object_mut() {
            existing.extend(wanted.clone());
        }
    }
    let mut finalizers = strings(&existing["finalizers"]);
    for finalizer in strings(&wanted["finalizers"]) {
        if !finalizers.contains(&finalizer) {
            finalizers.push(finalizer);
        }
    }
    if !finalizers.is_empty() {
        existing["finalizers"] = json!(finalizers);
    }
}

pub(super) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_added_to_an_object_makes_no_difference() {
        let manifest = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"p": 1}});
        let existing = |labels: Value, spec: Value| json!({"metadata": {"name": "a", "labels": labels, "uid": "u"}, "spec": spec});

        assert!(says(
            &existing(json!({"x": "1", "y": "2"}), json!({"p": 1})),
            &manifest
        ));
        assert!(!says(&existing(json!({}), json!({"p": 1})), &manifest));
        assert!(!says(
            &existing(json!({"x": "1"}), json!({"p": 2})),
            &manifest
        ));
        assert!(!says(
            &existing(json!({"x": "1"}), json!({"p": 1, "q": 1})),
            &manifest
        ));
    }

    #[test]
    fn metadata_is_merged() {
        let mut existing = json!({"labels": {"a": "1"}, "finalizers": ["f"]});

        merge_metadata(
            &mut existing,
            &json!({"labels": {"b": "2"}, "finalizers": ["f", "g"]}),
        );

        assert_eq!(
            existing,
            json!({"labels": {"a": "1", "b": "2"}, "finalizers": ["f", "g"]})
        );
    }
}
