//! Applications: what Argo CD deploys, and whether it is synced and healthy.
//!
//! The server ignores query parameters that it does not know, and it has none for the cluster of an
//! application. What looks like a filter on other clients returns everything; the methods here
//! compare destinations themselves.

mod absence;
mod appearance;
mod change;
mod create;
mod detail;
mod model;
mod readiness;
mod reference;
mod report;
mod resource;
mod selected;
mod status;
mod sync;
mod target_wait;
mod wait;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use http::Method;
use serde_json::Value;

pub use appearance::Appearance;
pub use change::ApplicationPatch;
pub use detail::{
    Link, LogLine, LogRequest, ManagedResource, ParentRef, ResourceNode, ResourceTree,
    RevisionMetadata, SyncWindows,
};
pub use model::{
    Application, ApplicationSource, ApplicationSpec, Destination, Metadata, NewApplication,
};
pub use readiness::WaitFor;
pub use reference::{AppRef, Target};
pub use report::{ReadinessReport, ReadinessRow};
pub use resource::{ActionParameter, ResourceAction, ResourceDeletion, ResourceRef};
pub use selected::ResourceSelector;
pub use status::{
    ApplicationStatus, Condition, Deployment, Health, HealthStatus, OperationPhase, OperationState,
    ResourceResult, ResourceStatus, SyncResult, SyncState, SyncStatus,
};
pub use sync::SyncRequest;
pub use target_wait::TargetWait;
pub use wait::WaitOutcome;
pub use watch::{ApplicationEvent, WatchRequest};

use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, WaitState};
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::List;

const APPLICATIONS: &str = "/api/v1/applications";
const APPLICATION: &str = "/api/v1/applications/{}";

/// The applications of one server.
#[derive(Debug, Clone)]
pub struct Applications {
    transport: Arc<Transport>,
}

/// Which applications to list. Defaults to all that the account may see.
#[derive(Debug, Clone, Default)]
#[must_use = "a filter does nothing until it is used"]
pub struct ApplicationFilter {
    pub(crate) query: Vec<(&'static str, String)>,
}

impl ApplicationFilter {
    /// All applications.
    pub fn all() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Only this project. May be given several times.
    pub fn project(self, project: impl Into<String>) -> Self {
        self.with("projects", project)
    }

    /// Only with these labels, in the syntax of Kubernetes.
    pub fn selector(self, selector: impl Into<String>) -> Self {
        self.with("selector", selector)
    }

    /// Only objects in this namespace.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.with("appNamespace", namespace)
    }

    /// Only this name; the server returns the first match.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("name", name)
    }

    /// Only from this repository.
    pub fn repository(self, url: impl Into<String>) -> Self {
        self.with("repo", url)
    }
}

/// How an application is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refresh {
    /// Compare with the cluster again.
    Normal,
    /// Also generate the manifests again.
    Hard,
}

/// What deletion does to the deployed resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cascade {
    /// Removes them.
    Delete,
    /// Removes them, dependents first.
    Foreground,
    /// Removes them, dependents in the background.
    Background,
    /// Leaves them alone.
    Orphan,
}

impl Cascade {
    fn of(self, call: Call) -> Call {
        match self {
            Self::Delete => call.query("cascade", "true"),
            Self::Foreground => call
                .query("cascade", "true")
                .query("propagationPolicy", "foreground"),
            Self::Background => call
                .query("cascade", "true")
                .query("propagationPolicy", "background"),
            Self::Orphan => call.query("cascade", "false"),
        }
    }
}

impl Applications {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists applications. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session;
    /// [`Rejected`](ErrorKind::Rejected) for a selector that cannot be read. Missing rights are not an
    /// error: the list is shorter.
    pub async fn list(&self, filter: &ApplicationFilter) -> Result<Vec<Application>> {
        Ok(self.page(filter).await?.items)
    }

    /// Lists the applications that target a cluster, by its address or by its name. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn list_for(&self, target: &Target) -> Result<Vec<Application>> {
        let mut applications = self.list(&ApplicationFilter::all()).await?;
        applications.retain(|application| target.is(&application.spec.destination));
        Ok(applications)
    }

    /// Reads one application, with the health of its resources. May be repeated.
    ///
    /// The server answers `permission denied` for a missing application as well as for a missing
    /// right. A second request tells the two apart: it asks for the right to see an application of
    /// this name in every project, or in the project of the reference.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist and the account may see it;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when it does not exist or the account
    /// may not see it; [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn application(&self, application: &AppRef) -> Result<Application> {
        let call = Call::get("read application", APPLICATION, &[&application.name]);
        let call = addressed(call, application);
        match self.transport.send(&call).await {
            Err(error) if error.kind() == ErrorKind::NotFoundOrForbidden => {
                Err(absence::explain(self, application, error).await)
            }
            result => result,
        }
    }

    /// Looks for an application by name and, if given, namespace and project. May be repeated.
    ///
    /// `None` means that no such application is visible to the account; use
    /// [`application`](Self::application) when a missing right must not pass for absence.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn find(&self, application: &AppRef) -> Result<Option<Application>> {
        let mut filter = ApplicationFilter::all().name(&application.name);
        if let Some(namespace) = &application.namespace {
            filter = filter.namespace(namespace);
        }
        if let Some(project) = &application.project {
            filter = filter.project(project);
        }
        Ok(self
            .list(&filter)
            .await?
            .into_iter()
            .find(|found| found.metadata.name == application.name))
    }

    /// Creates an application. May be repeated: an application that exists and has the same
    /// specification and at least the same labels, annotations and finalizers is returned.
    ///
    /// The server rejects an identical application once its controller has added an annotation, as
    /// it does after a refresh (measured on 3.5.1); the comparison is made here.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs;
    /// [`NotReady`](ErrorKind::NotReady) while one of this name is being deleted;
    /// [`Rejected`](ErrorKind::Rejected) for a specification or destination that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, create`.
    pub async fn create(&self, application: &NewApplication) -> Result<Application> {
        let call = Call::new("create application", Method::POST, APPLICATIONS, &[])
            .target(&application.metadata.name)
            .idempotency(Idempotency::Safe)
            .body(application)?;
        match self.transport.send(&call).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                create::same_or(self, application, error).await
            }
            result => result,
        }
    }

    /// Creates an application, or replaces the specification of the one that exists. May be
    /// repeated. Labels, annotations and finalizers of others are kept.
    ///
    /// # Errors
    /// [`NotReady`](ErrorKind::NotReady) while one of this name is being deleted;
    /// [`Rejected`](ErrorKind::Rejected) for a specification or destination that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `applications, create` and `update`.
    pub async fn create_or_update(&self, application: &NewApplication) -> Result<Application> {
        create::create_or_update(self, application).await
    }

    /// Asks the controller to compare again and waits for the result, at most `timeout` in all,
    /// repetitions included. The server gets the same deadline. May be repeated.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) when the controller does not answer in time;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden).
    pub async fn refresh(
        &self,
        application: &AppRef,
        how: Refresh,
        timeout: Duration,
    ) -> Result<Application> {
        let how = match how {
            Refresh::Normal => "normal",
            Refresh::Hard => "hard",
        };
        let call = Call::get("refresh application", APPLICATION, &[&application.name])
            .query("refresh", how)
            .timeout(timeout);
        self.transport.send(&addressed(call, application)).await
    }

    /// Starts a synchronisation and returns at once. Not repeated after a lost response; a second
    /// request while one runs is rejected.
    ///
    /// # Errors
    /// [`OperationInProgress`](ErrorKind::OperationInProgress), [`SyncWindow`](ErrorKind::SyncWindow),
    /// [`NotReady`](ErrorKind::NotReady) (deleting, or automated to another
    /// revision), [`Forbidden`](ErrorKind::Forbidden).
    pub async fn sync(&self, application: &AppRef, request: &SyncRequest) -> Result<Application> {
        let call = Call::new(
            "sync application",
            Method::POST,
            "/api/v1/applications/{}/sync",
            &[&application.name],
        )
        .target(application.to_string())
        .body(&request.body(application))?;
        self.transport.send(&call).await
    }

    /// Asks for the deletion and returns at once; the deletion goes on in the background. May be
    /// repeated. Returns `false` when there is no such application, which is proved by the right to
    /// see it.
    ///
    /// Delete applications before their cluster: without it, what they deployed is left behind.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) when the account may see but not delete it;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when the account may not see it;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn delete(&self, application: &AppRef, cascade: Cascade) -> Result<bool> {
        let call = Call::new(
            "delete application",
            Method::DELETE,
            APPLICATION,
            &[&application.name],
        );
        let call = addressed(cascade.of(call), application);
        let error = match self.transport.send::<Value>(&call).await {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFoundOrForbidden => {
                absence::explain(self, application, error).await
            }
            Err(error) => error,
        };
        if error.is_not_found() {
            Ok(false)
        } else {
            Err(error)
        }
    }

    /// Waits for one application with the rules of `argocd app wait`.
    ///
    /// Like the command line, the wait ends early when a resource turns `Degraded` while health is
    /// waited for. Unlike it, the wait also ends when the last operation failed for good, and an
    /// application that is being deleted is never ready. The outcome is a value: an application that
    /// is not ready in time is not an error.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when the account may not see the
    /// application; [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session;
    /// [`Deadline`](ErrorKind::Deadline) when the server could not be asked at the end.
    pub async fn wait(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
    ) -> Result<WaitOutcome> {
        self.wait_observed(application, conditions, poll, |_| {})
            .await
    }

    /// The same as [`wait`](Self::wait); `observer` sees the state after every probe.
    ///
    /// # Errors
    /// The kinds of [`wait`](Self::wait).
    pub async fn wait_observed(
        &self,
        application: &AppRef,
        conditions: &WaitFor,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<WaitOutcome> {
        wait::one(self, application, conditions, poll, observer).await
    }

    /// The readiness of all applications of a cluster, now. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn report(&self, target: &Target, conditions: &WaitFor) -> Result<ReadinessReport> {
        let rows = self
            .list_for(target)
            .await?
            .iter()
            .map(|application| conditions.judge(application))
            .collect();
        Ok(ReadinessReport::new(rows, 0))
    }

    /// Waits until all applications of a cluster are ready, or the deadline passes; returns the
    /// last report in either case.
    ///
    /// The applications are listed again at every probe, because applications create further ones.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> argocd_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// use argocd_client::application::{HealthStatus, Target, TargetWait};
    /// use argocd_client::cluster::ServerUrl;
    /// use argocd_client::mock::{ApplicationSeed, ArgoCdMock};
    /// use argocd_client::Poll;
    ///
    /// let argocd = ArgoCdMock::start().await;
    /// argocd.add_application(ApplicationSeed::new("cilium").on_cluster("lungmen"));
    /// argocd.add_application(
    ///     ApplicationSeed::new("vault").on_cluster("lungmen").ends_as(HealthStatus::Degraded, "sealed"),
    /// );
    ///
    /// let target = Target::new(ServerUrl::parse("https://kubernetes.example.com:6443")?, "lungmen");
    /// let poll = Poll::every(Duration::from_millis(5)).deadline(Duration::from_millis(200));
    /// let report = argocd.client().applications().wait_for_target(&target, &TargetWait::new(poll)).await?;
    ///
    /// assert_eq!(report.summary(), "1 of 2 applications ready; vault is Synced, Degraded: sealed");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session;
    /// [`Forbidden`](ErrorKind::Forbidden); [`Deadline`](ErrorKind::Deadline) when the server did not
    /// respond even once.
    pub async fn wait_for_target(
        &self,
        target: &Target,
        wait: &TargetWait,
    ) -> Result<ReadinessReport> {
        self.wait_for_target_observed(target, wait, |_| {}).await
    }

    /// The same as [`wait_for_target`](Self::wait_for_target); `observer` sees the state after every
    /// probe.
    ///
    /// # Errors
    /// The kinds of [`wait_for_target`](Self::wait_for_target).
    pub async fn wait_for_target_observed(
        &self,
        target: &Target,
        wait: &TargetWait,
        observer: impl FnMut(&WaitState),
    ) -> Result<ReadinessReport> {
        target_wait::all(self, target, wait, observer).await
    }

    /// Follows applications: first all that exist, then every change. Reconnects and lists again by
    /// itself; ends after a rejection. Dropping the stream closes the connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> argocd_client::Result<()> {
    /// use std::pin::pin;
    ///
    /// use argocd_client::application::{ApplicationEvent, WatchRequest};
    /// use futures_util::StreamExt;
    ///
    /// let argocd = argocd_client::mock::ArgoCdMock::start().await;
    /// let mut events = pin!(argocd.client().applications().watch(WatchRequest::new()));
    ///
    /// let first = events.next().await.expect("a watch begins with a list")?;
    /// assert!(matches!(first, ApplicationEvent::Listed(all) if all.is_empty()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(
        &self,
        request: WatchRequest,
    ) -> impl Stream<Item = Result<ApplicationEvent>> + Send + use<> {
        watch::watch(self.clone(), request)
    }

    async fn page(&self, filter: &ApplicationFilter) -> Result<List<Application>> {
        let call = Call::get("list applications", APPLICATIONS, &[]);
        self.transport.send(&filtered(call, filter)).await
    }
}

fn filtered(call: Call, filter: &ApplicationFilter) -> Call {
    filter
        .query
        .iter()
        .fold(call, |call, (name, value)| call.query(name, value))
}

fn addressed(call: Call, application: &AppRef) -> Call {
    call.target(application.to_string())
        .query_opt("appNamespace", application.namespace.as_deref())
        .query_opt("project", application.project.as_deref())
}

fn stream_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Interrupted, "watch applications").with_message(message)
}
