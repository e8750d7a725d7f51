//! Changing applications and their operations.

use http::Method;
use serde_json::{Value, json};

use super::model::{Application, ApplicationSpec};
use super::wait::WaitOutcome;
use super::{APPLICATION, AppRef, Applications, WaitFor, addressed};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::Poll;
use crate::retry::Idempotency;

/// A change of an application, in the two forms that the server takes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ApplicationPatch {
    /// RFC 7386: the fields to change, `null` to remove.
    Merge(Value),
    /// RFC 6902: a list of operations.
    Json(Value),
}

impl Applications {
    /// Replaces the specification of an application. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a specification that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, update`;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden).
    pub async fn update_spec(
        &self,
        application: &AppRef,
        spec: &ApplicationSpec,
    ) -> Result<ApplicationSpec> {
        let template = "/api/v1/applications/{}/spec";
        let call = Call::new(
            "update application",
            Method::PUT,
            template,
            &[&application.name],
        );
        self.transport
            .send(&addressed(call, application).body(spec)?)
            .await
    }

    /// Reads the specification, changes it, and stores it when it differs, as `argocd app set` and
    /// `app unset` do. May be repeated. Changes that another client makes at the same moment are
    /// lost: the server takes specifications without a version.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> argocd_client::Result<()> {
    /// use argocd_client::application::AppRef;
    /// use argocd_client::mock::{ApplicationSeed, ArgoCdMock};
    ///
    /// let argocd = ArgoCdMock::start().await;
    /// argocd.add_application(ApplicationSeed::new("web").on_cluster("in-cluster"));
    ///
    /// let spec = argocd
    ///     .client()
    ///     .applications()
    ///     .edit(&AppRef::new("web"), |spec| spec.destination.namespace = "web".to_owned())
    ///     .await?;
    ///
    /// assert_eq!(spec.destination.namespace, "web");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The kinds of [`application`](Self::application) and [`update_spec`](Self::update_spec).
    pub async fn edit(
        &self,
        application: &AppRef,
        change: impl FnOnce(&mut ApplicationSpec),
    ) -> Result<ApplicationSpec> {
        let found = self.application(application).await?;
        let mut spec = found.spec.clone();
        change(&mut spec);
        if spec == found.spec {
            return Ok(spec);
        }
        self.update_spec(application, &spec).await
    }

    /// Patches an application. A merge patch may be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a result that is not valid;
    /// [`Server`](ErrorKind::Server) for a patch that does not apply;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, update`.
    pub async fn patch(
        &self,
        application: &AppRef,
        patch: &ApplicationPatch,
    ) -> Result<Application> {
        let (kind, patch, idempotency) = match patch {
            ApplicationPatch::Merge(patch) => ("merge", patch, Idempotency::Safe),
            ApplicationPatch::Json(patch) => ("json", patch, Idempotency::Unsafe),
        };
        let mut body =
            json!({"name": application.name, "patch": patch.to_string(), "patchType": kind});
        identify(&mut body, application);
        let call = Call::new(
            "patch application",
            Method::PATCH,
            APPLICATION,
            &[&application.name],
        )
        .target(application.to_string())
        .idempotency(idempotency)
        .body(&body)?;
        self.transport.send(&call).await
    }

    /// Goes back to an entry of the history; returns at once. Not repeated after a lost response.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for an unknown entry or an automated application;
    /// [`OperationInProgress`](ErrorKind::OperationInProgress),
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, sync`.
    pub async fn rollback(&self, application: &AppRef, history_id: i64) -> Result<Application> {
        let mut body = json!({"name": application.name, "id": history_id});
        identify(&mut body, application);
        let template = "/api/v1/applications/{}/rollback";
        let call = Call::new(
            "roll back application",
            Method::POST,
            template,
            &[&application.name],
        )
        .target(application.to_string())
        .body(&body)?;
        self.transport.send(&call).await
    }

    /// Stops the running operation; returns at once. Returns `false` when none is running. May be
    /// repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, sync`;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden).
    pub async fn terminate(&self, application: &AppRef) -> Result<bool> {
        let template = "/api/v1/applications/{}/operation";
        let call = Call::new(
            "terminate operation",
            Method::DELETE,
            template,
            &[&application.name],
        );
        match self
            .transport
            .send::<Value>(&addressed(call, application))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.message().contains("No operation is in progress") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Synchronises an application and waits until the operation has ended and the conditions hold.
    ///
    /// # Errors
    /// The kinds of [`sync`](Self::sync) and [`wait`](Self::wait).
    pub async fn sync_and_wait(
        &self,
        application: &AppRef,
        request: &super::SyncRequest,
        conditions: &WaitFor,
        poll: Poll,
    ) -> Result<WaitOutcome> {
        self.sync(application, request).await?;
        self.wait(application, conditions, poll).await
    }
}

/// Names the namespace and project of an application in a body.
fn identify(body: &mut Value, application: &AppRef) {
    if let Some(namespace) = &application.namespace {
        body["appNamespace"] = json!(namespace);
    }
    if let Some(project) = &application.project {
        body["project"] = json!(project);
    }
}

impl Application {
    /// The entry of the history with this id, as `argocd app history` lists them.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the history has no such entry.
    pub fn deployment(&self, id: i64) -> Result<&super::Deployment> {
        self.status
            .history
            .iter()
            .find(|entry| entry.id == id)
            .ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "read application history")
                    .with_target(self.metadata.qualified_name())
                    .with_message(format!("no deployment with id {id}"))
            })
    }
}
