//! Waiting for the applications that application sets generate for a cluster.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::wait::Waiting;
use super::{Application, Applications, Target};
use crate::application_set::ApplicationSets;
use crate::cluster::Clusters;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, WaitState};

/// How long application sets get before they are nudged, and between two nudges.
const NUDGE_AFTER: Duration = Duration::from_secs(20);

/// The applications of a cluster, or the proof that nothing generates any.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Appearance {
    /// All applications that target the cluster; every application set has created its own.
    Applications(Vec<Application>),
    /// No application targets the cluster, and no application set generates one for it.
    None,
    /// No application targets the cluster at the deadline; whether one is generated for it cannot be
    /// found out, for this reason.
    Unproven(String),
}

/// What one probe found.
enum Found {
    All(Appearance),
    /// A generated application does not exist yet.
    Missing(String),
    /// No application is listed, and the application sets cannot be asked.
    Unproven(String),
}

/// What the application sets say about a cluster.
enum Forecast {
    /// Names of the applications that they generate for it.
    Names(Vec<String>),
    /// They cannot be asked, for this reason.
    Unknown(String),
}

impl Applications {
    /// Waits until the applications exist that application sets generate for a cluster.
    ///
    /// The sets are asked what they would generate, so that "none" is known and not guessed. A set
    /// that met the cluster too early tries again only after 180 s (3.5.1); it is nudged by a change
    /// of the label [`NUDGE_LABEL`](crate::cluster::NUDGE_LABEL) after 20 s and then every 20 s, or
    /// after a tenth of a shorter deadline. Give a deadline of more than 200 s, which covers the
    /// period of the server even where the account may not change the cluster.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> argocd_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// use argocd_client::Poll;
    /// use argocd_client::application::{Appearance, Target};
    /// use argocd_client::cluster::{ClusterSpec, ServerUrl};
    ///
    /// # let argocd = argocd_client::mock::ArgoCdMock::start().await;
    /// # let (client, ca_pem) = (argocd.client(), include_str!("../../testdata/ca.pem"));
    /// let server = ServerUrl::parse("https://kubernetes.example.com:6443")?;
    /// client.clusters().register(&ClusterSpec::new("lungmen", server.clone(), "token".into(), ca_pem)).await?;
    ///
    /// let poll = Poll::every(Duration::from_secs(2)).deadline(Duration::from_secs(240));
    /// let found = client.applications().wait_until_generated(&Target::new(server, "lungmen"), poll).await?;
    ///
    /// assert_eq!(found, Appearance::None); // this server has no application set
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) when a set generates an application that does not appear, or
    /// when the server never answered;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn wait_until_generated(&self, target: &Target, poll: Poll) -> Result<Appearance> {
        self.wait_until_generated_observed(target, poll, |_| {})
            .await
    }

    /// The same as [`wait_until_generated`](Self::wait_until_generated); `observer` sees the state
    /// after every probe.
    ///
    /// # Errors
    /// The kinds of [`wait_until_generated`](Self::wait_until_generated).
    pub async fn wait_until_generated_observed(
        &self,
        target: &Target,
        poll: Poll,
        mut observer: impl FnMut(&WaitState),
    ) -> Result<Appearance> {
        let end = poll.ends_at();
        let what = format!("the applications of {} to appear", target.name());
        let mut waiting = Waiting::new(what, poll);
        let nudge_interval = NUDGE_AFTER.min(poll.total() / 10);
        let mut nudge_at = Instant::now() + nudge_interval;
        let (mut failure, mut unproven) = (None, None);
        loop {
            waiting.state.attempt += 1;
            match timeout_at(end, self.appearance(target)).await {
                Ok(Ok(Found::All(appearance))) => return Ok(appearance),
                Ok(Ok(Found::Missing(cause))) => {
                    waiting.state.cause = cause;
                    (failure, unproven) = (None, None);
                }
                Ok(Ok(Found::Unproven(why))) => {
                    waiting.state.cause = format!("no application targets the cluster yet; {why}");
                    (failure, unproven) = (None, Some(why));
                }
                Ok(Err(error)) if error.is_retryable() => {
                    waiting.state.cause = error.to_string();
                    (failure, unproven) = (Some(error), None);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
            if Instant::now() >= nudge_at {
                nudge_at = Instant::now() + nudge_interval;
                self.nudge(target, end).await;
            }
            let interval = waiting.report(&mut observer);
            if Instant::now() + interval >= end {
                break;
            }
            sleep(interval).await;
        }
        if let Some(why) = unproven {
            return Ok(Appearance::Unproven(why));
        }
        Err(waiting
            .state
            .timed_out("wait for generated applications", target.name(), failure))
    }

    /// The applications when all are there, or why the wait goes on.
    async fn appearance(&self, target: &Target) -> Result<Found> {
        let found = self.list_for(target).await?;
        match self.forecast(target).await? {
            Forecast::Names(names) if names.is_empty() && found.is_empty() => {
                Ok(Found::All(Appearance::None))
            }
            Forecast::Names(names) => {
                let is_missing = |name: &&String| {
                    !found
                        .iter()
                        .any(|application| application.metadata.name == **name)
                };
                Ok(match names.iter().find(is_missing) {
                    Some(name) => Found::Missing(format!(
                        "application {name} is generated but does not exist yet"
                    )),
                    None => Found::All(Appearance::Applications(found)),
                })
            }
            Forecast::Unknown(why) if found.is_empty() => Ok(Found::Unproven(why)),
            Forecast::Unknown(_) => Ok(Found::All(Appearance::Applications(found))),
        }
    }

    /// Asks every application set what it generates for the cluster.
    async fn forecast(&self, target: &Target) -> Result<Forecast> {
        let sets = ApplicationSets::new(self.transport.clone());
        let listed = match sets.list().await {
            Ok(listed) => listed,
            Err(error) => return unknown(error),
        };
        if !crate::account::allowed(&self.transport, "applicationsets", "get", "*/*").await? {
            return Ok(Forecast::Unknown(
                "the account may not see every application set".to_owned(),
            ));
        }
        let mut names = Vec::new();
        for set in listed {
            let generated = match sets.generate(&set.manifest()).await {
                Ok(generated) => generated,
                Err(error) => return unknown(error),
            };
            let own = generated
                .into_iter()
                .filter(|application| target.is(&application.spec.destination));
            names.extend(own.map(|application| application.metadata.name));
        }
        Ok(Forecast::Names(names))
    }

    /// Wakes the application sets up. A failure is only logged: the sets come back by themselves.
    async fn nudge(&self, target: &Target, end: Instant) {
        let clusters = Clusters::new(self.transport.clone());
        match timeout_at(end, clusters.nudge(target.server())).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, "application sets cannot be nudged"),
        }
    }
}

/// Missing rights and refusals leave the forecast open; a lost connection or session does not.
fn unknown(error: Error) -> Result<Forecast> {
    match error.kind() {
        ErrorKind::Forbidden
        | ErrorKind::NotFoundOrForbidden
        | ErrorKind::Unsupported
        | ErrorKind::Rejected
        | ErrorKind::Server => Ok(Forecast::Unknown(format!(
            "application sets cannot be asked: {error}"
        ))),
        _ => Err(error),
    }
}
