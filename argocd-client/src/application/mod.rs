//! Applications: what Argo CD deploys, and whether it is synced and healthy.
//!
//! The server ignores query parameters that it does not know, and it has none for the cluster of an
//! application. What looks like a filter on other clients returns everything; the methods here
//! compare destinations themselves.

mod absence;
mod appearance;
mod change;
mod create;
mod delete;
mod detail;
mod feed;
mod filter;
mod hydration;
mod logs;
mod model;
mod progress;
mod readiness;
mod reference;
mod report;
mod resource;
mod selected;
mod status;
mod sync;
mod sync_retry;
mod target_wait;
mod wait;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use http::Method;

pub use appearance::Appearance;
pub use change::ApplicationPatch;
pub use delete::Cascade;
pub(crate) use delete::until_gone;
pub use detail::{
    Link, ManagedResource, ParentRef, ResourceNode, ResourceTree, RevisionMetadata, SyncWindows,
};
pub use filter::ApplicationFilter;
pub use hydration::{Hydration, HydrationOperation, HydrationPhase};
pub use logs::{LogLine, LogRequest};
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
pub use sync_retry::SyncRetry;
pub use target_wait::TargetWait;
pub use wait::WaitOutcome;
pub use watch::{ApplicationEvent, WatchRequest};

pub(crate) use feed::Feed;
use feed::ServerFeed;
pub(crate) use progress::Subject;
pub(crate) use target_wait::all as wait_for_all;
pub(crate) use wait::one as wait_for_one;
pub(crate) use watch::watch;

use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
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

/// How an application is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refresh {
    /// Compare with the cluster again.
    Normal,
    /// Also generate the manifests again.
    Hard,
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
        watch(self.feed(request.filter.clone()), request)
    }

    fn feed(&self, filter: ApplicationFilter) -> Arc<dyn Feed> {
        Arc::new(ServerFeed {
            applications: self.clone(),
            filter,
        })
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
