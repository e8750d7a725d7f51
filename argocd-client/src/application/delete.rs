//! Deleting applications, with or without what they deployed.

use http::Method;
use serde_json::Value;

use super::{APPLICATION, AppRef, Application, Applications, absence, addressed};
use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::poll::{Poll, Probed};
use crate::transport::found;

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

    /// Deletes an application and waits until it is gone, its finalizers included. Returns `false`
    /// when there was none. May be repeated.
    ///
    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) while finalizers are not done, with the last condition of
    /// the application; the kinds of [`delete`](Self::delete).
    pub async fn delete_and_wait(
        &self,
        application: &AppRef,
        cascade: Cascade,
        poll: Poll,
    ) -> Result<bool> {
        let existed = self.delete(application, cascade).await?;
        let find = async || found(self.application(application).await);
        until_gone(application, poll, find).await?;
        Ok(existed)
    }
}

/// Waits until an application that is being deleted is not found any more.
pub(crate) async fn until_gone(
    application: &AppRef,
    poll: Poll,
    find: impl AsyncFn() -> Result<Option<Application>>,
) -> Result<()> {
    let what = format!("application {application} to be deleted");
    let target = application.to_string();
    let probe = async || {
        Ok(match find().await? {
            Some(found) => Probed::Pending(found.remaining()),
            None => Probed::Ready(()),
        })
    };
    poll.wait("delete application", &target, what, |_| {}, probe)
        .await
}

impl Application {
    /// Why it is not gone yet.
    pub(crate) fn remaining(&self) -> String {
        let mut conditions = self.status.conditions.iter();
        match conditions.find(|condition| condition.kind == "DeletionError") {
            Some(condition) => format!("{}: {}", condition.kind, condition.message),
            None => format!("finalizers: {}", self.metadata.finalizers.join(", ")),
        }
    }
}
