//! Applications by their objects in Kubernetes.

use std::sync::Arc;

use futures_util::Stream;
use http::Method;
use serde_json::{Value, json};

use super::feed::KubernetesFeed;
use super::kubernetes::Kubernetes;
use super::object::{self, APPLICATION, change, strings, typed};
use crate::application::{
    AppRef, Application, ApplicationEvent, Cascade, NewApplication, ReadinessReport, Refresh,
    Subject, SyncRequest, Target, TargetWait, WaitFor, WaitOutcome, WatchRequest, until_gone,
    wait_for_all, wait_for_one, watch,
};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, Probed, WaitState};
use crate::transport::found;

/// Asks the controller to compare again; it removes the annotation when it has.
const REFRESH: &str = "argocd.argoproj.io/refresh";
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// The applications of one Argo CD, by their objects in Kubernetes.
///
/// A missing application is a 404 here, so absence is always known; a missing right is
/// [`Forbidden`](ErrorKind::Forbidden).
#[derive(Debug, Clone)]
pub struct CoreApplications {
    kubernetes: Arc<Kubernetes>,
}

impl CoreApplications {
    pub(super) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self { kubernetes }
    }

    /// Lists the applications in the namespace of Argo CD. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `list`; [`Unauthenticated`](ErrorKind::Unauthenticated);
    /// [`Unsupported`](ErrorKind::Unsupported) in a cluster without Argo CD.
    pub async fn list(&self) -> Result<Vec<Application>> {
        let page = object::list(&self.kubernetes, APPLICATION, None).await?;
        Ok(page.items)
    }

    /// Lists the applications with these labels, in the syntax of Kubernetes. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list); [`Rejected`](ErrorKind::Rejected) for a selector that cannot be read.
    pub async fn selected(&self, selector: &str) -> Result<Vec<Application>> {
        let page = object::list(&self.kubernetes, APPLICATION, Some(selector)).await?;
        Ok(page.items)
    }

    /// Lists the applications that target a cluster, by its address or by its name. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn list_for(&self, target: &Target) -> Result<Vec<Application>> {
        let mut applications = self.list().await?;
        applications.retain(|application| target.is(&application.spec.destination));
        Ok(applications)
    }

    /// Lists the applications of every namespace, for Argo CD with applications in any namespace. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list); the right is needed in the whole cluster.
    pub async fn list_everywhere(&self) -> Result<Vec<Application>> {
        let path = "/apis/argoproj.io/v1alpha1/applications";
        let call = Call::get("list applications", path, &[]);
        let page: crate::wire::List<Application> = self.kubernetes.send(&call).await?;
        Ok(page.items)
    }

    /// Reads one application. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); those of [`list`](Self::list).
    pub async fn application(&self, application: &AppRef) -> Result<Application> {
        let (namespace, name) = self.place(application);
        object::read(&self.kubernetes, APPLICATION, namespace, name).await
    }

    /// Looks for one application. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find(&self, application: &AppRef) -> Result<Option<Application>> {
        found(self.application(application).await)
    }

    /// Creates an application. May be repeated: one that exists and says at least the same is returned.
    ///
    /// Nobody checks the repository, the project and the destination on this way; what is wrong becomes a condition of the
    /// application.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs; [`NotReady`](ErrorKind::NotReady) while one
    /// of this name is being deleted; [`Rejected`](ErrorKind::Rejected) when the schema of Kubernetes refuses it.
    pub async fn create(&self, application: &NewApplication) -> Result<Application> {
        let manifest = manifest(application);
        typed(object::create(&self.kubernetes, APPLICATION, &manifest).await?)
    }

    /// Creates an application, or replaces the specification of the one that exists; labels, annotations and finalizers of
    /// others stay. May be repeated.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) but `AlreadyExists`; [`Conflict`](ErrorKind::Conflict) when others keep changing
    /// it.
    pub async fn create_or_update(&self, application: &NewApplication) -> Result<Application> {
        let manifest = manifest(application);
        typed(object::create_or_update(&self.kubernetes, APPLICATION, &manifest).await?)
    }

    /// Asks the controller to compare again, and waits until it has. May be repeated.
    ///
    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) when the controller does not do it in time; [`NotFound`](ErrorKind::NotFound).
    pub async fn refresh(
        &self,
        application: &AppRef,
        how: Refresh,
        poll: Poll,
    ) -> Result<Application> {
        let how = match how {
            Refresh::Normal => "normal",
            Refresh::Hard => "hard",
        };
        let patch = json!({"metadata": {"annotations": {REFRESH: how}}});
        self.patch("refresh application", application, &patch)
            .await?;
        let what = format!("application {application} to be refreshed");
        let target = application.to_string();
        poll.wait(
            "refresh application",
            &target,
            what,
            |_| {},
            || async move {
                let found = self.application(application).await?;
                Ok(if found.metadata.annotations.contains_key(REFRESH) {
                    Probed::Pending("the controller has not compared yet".to_owned())
                } else {
                    Probed::Ready(found)
                })
            },
        )
        .await
    }

    /// Writes an operation into the application, which the controller carries out; returns at once. A second request while
    /// one runs is rejected, so it is not carried out twice. Sync windows hold the controller back, not this call.
    ///
    /// # Errors
    /// [`OperationInProgress`](ErrorKind::OperationInProgress); [`NotReady`](ErrorKind::NotReady) for an application that is
    /// being deleted; [`NotFound`](ErrorKind::NotFound); [`Forbidden`](ErrorKind::Forbidden) without the right `update`.
    pub async fn sync(&self, application: &AppRef, request: &SyncRequest) -> Result<Application> {
        let place = self.place(application);
        let error =
            |kind| Error::new(kind, "sync application").with_target(application.to_string());
        let changed = change(&self.kubernetes, APPLICATION, place, |object| {
            if !object["metadata"]["deletionTimestamp"].is_null() {
                return Err(error(ErrorKind::NotReady).with_message("application is deleting"));
            }
            if !object["operation"].is_null() {
                let text = "another operation is already in progress";
                return Err(error(ErrorKind::OperationInProgress).with_message(text));
            }
            object["operation"] = request.operation(object);
            if let Some(status) = object["status"].as_object_mut() {
                status.remove("operationState");
            }
            Ok(true)
        });
        typed(changed.await?)
    }

    /// Asks the controller to stop the running operation. Returns `false` when none runs. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Forbidden`](ErrorKind::Forbidden) without the right `update`.
    pub async fn terminate(&self, application: &AppRef) -> Result<bool> {
        let place = self.place(application);
        let changed = change(&self.kubernetes, APPLICATION, place, |object| {
            let runs =
                !object["operation"].is_null() && object["status"]["operationState"].is_object();
            if runs {
                object["status"]["operationState"]["phase"] = json!("Terminating");
            }
            Ok(runs)
        });
        let state = changed.await?["status"]["operationState"]["phase"].clone();
        Ok(state == "Terminating")
    }

    /// Asks for the deletion and returns at once; the controller first removes what was deployed, as `cascade` says. Returns
    /// `false` when there is no such application. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `update` and `delete`.
    pub async fn delete(&self, application: &AppRef, cascade: Cascade) -> Result<bool> {
        let place = self.place(application);
        let finalized = change(&self.kubernetes, APPLICATION, place, |object| {
            // Kubernetes forbids adding finalizers to an object that is being deleted.
            let deleting = !object["metadata"]["deletionTimestamp"].is_null();
            if deleting && cascade != Cascade::Orphan {
                return Ok(false);
            }
            let present = strings(&object["metadata"]["finalizers"]);
            let wanted = finalizers(&present, cascade);
            let changes = wanted != present;
            object["metadata"]["finalizers"] = json!(wanted);
            Ok(changes)
        });
        if found(finalized.await)?.is_none() {
            return Ok(false);
        }
        let (namespace, name) = place;
        let path = [namespace, name];
        let call = Call::new("delete application", Method::DELETE, APPLICATION.one, &path)
            .target(application.to_string());
        // It goes with its last finalizer when its deletion was asked for before.
        found(self.kubernetes.send::<Value>(&call).await)?;
        Ok(true)
    }

    /// Follows the applications in the namespace of Argo CD: first all that exist, then every change. Reconnects and lists
    /// again by itself; ends after a rejection. Of the filter of the request only the label selector counts.
    pub fn watch(
        &self,
        request: WatchRequest,
    ) -> impl Stream<Item = Result<ApplicationEvent>> + Send + use<> {
        let feed = self.feed(request.selector().map(str::to_owned));
        watch(Arc::new(feed), request)
    }

    /// Waits for one application, by the rules of [`Applications::wait`](crate::Applications::wait).
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden), [`Unauthenticated`](ErrorKind::Unauthenticated);
    /// [`Deadline`](ErrorKind::Deadline) when the application could not be read at the end.
    pub async fn wait(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
    ) -> Result<WaitOutcome> {
        let probe = async || self.find(application).await;
        wait_for_one(probe, application, conditions, poll, |_| {}).await
    }

    /// Waits for all applications of a cluster, by the rules of
    /// [`Applications::wait_for_target`](crate::Applications::wait_for_target): one list and one watch.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden), [`Unauthenticated`](ErrorKind::Unauthenticated);
    /// [`Deadline`](ErrorKind::Deadline) when the server did not respond even once.
    pub async fn wait_for_target(
        &self,
        target: &Target,
        wait: &TargetWait,
        observer: impl FnMut(&WaitState),
    ) -> Result<ReadinessReport> {
        let subject = Subject {
            name: target.name().to_owned(),
            target: target.to_string(),
        };
        let selects = |application: &Application| target.is(&application.spec.destination);
        wait_for_all(Arc::new(self.feed(None)), selects, subject, wait, observer).await
    }

    /// Deletes an application and waits until it is gone, its finalizers included. Returns `false` when there was none.
    ///
    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) while finalizers are not done; the kinds of [`delete`](Self::delete).
    pub async fn delete_and_wait(
        &self,
        application: &AppRef,
        cascade: Cascade,
        poll: Poll,
    ) -> Result<bool> {
        let existed = self.delete(application, cascade).await?;
        until_gone(application, poll, async || self.find(application).await).await?;
        Ok(existed)
    }

    async fn patch(
        &self,
        operation: &'static str,
        application: &AppRef,
        patch: &Value,
    ) -> Result<Application> {
        let (namespace, name) = self.place(application);
        let call = Call::new(
            operation,
            Method::PATCH,
            APPLICATION.one,
            &[namespace, name],
        )
        .target(application.to_string())
        .body(patch)?;
        self.kubernetes.send(&call).await
    }

    fn feed(&self, selector: Option<String>) -> KubernetesFeed {
        KubernetesFeed {
            kubernetes: Arc::clone(&self.kubernetes),
            selector,
        }
    }

    fn place<'a>(&'a self, application: &'a AppRef) -> (&'a str, &'a str) {
        let namespace = application
            .namespace()
            .unwrap_or(&self.kubernetes.namespace);
        (namespace, application.name())
    }
}

/// The server stores an empty project as `default`; without one the controller refuses the application.
fn manifest(application: &NewApplication) -> Value {
    let mut manifest = json!(application);
    if manifest["spec"]["project"]
        .as_str()
        .is_none_or(str::is_empty)
    {
        manifest["spec"]["project"] = json!("default");
    }
    manifest
}

/// The finalizers before the deletion (`server/application/application.go`, 3.5.1): those of others stay.
fn finalizers(present: &[String], cascade: Cascade) -> Vec<String> {
    let wanted = match cascade {
        Cascade::Orphan => {
            let others = present
                .iter()
                .filter(|finalizer| !finalizer.starts_with(FINALIZER));
            return others.cloned().collect();
        }
        Cascade::Delete => FINALIZER.to_owned(),
        Cascade::Foreground => format!("{FINALIZER}/foreground"),
        Cascade::Background => format!("{FINALIZER}/background"),
    };
    let mut all = present.to_vec();
    if !all.contains(&wanted) {
        all.push(wanted);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finalizer_says_what_becomes_of_what_was_deployed() {
        let other = "other.example.com/x".to_owned();
        let present = vec![other.clone(), FINALIZER.to_owned()];

        assert_eq!(finalizers(&present, Cascade::Delete), present);
        assert_eq!(finalizers(&present, Cascade::Orphan), [other]);
        let background = finalizers(&[], Cascade::Background);
        assert_eq!(background, [format!("{FINALIZER}/background")]);
        assert_eq!(finalizers(&present, Cascade::Foreground).len(), 3);
    }
}
