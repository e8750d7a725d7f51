//! Waiting for the checks, one after the other, each with its own deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::check::{Check, CheckName, CheckState};
use super::client::{Client, ServerVersion};
use super::node::NodeSummary;
use super::request::Call;
use super::rules::judge;
use super::spec::VerifySpec;
use super::view::{View, Watches};
use super::warning::{Warning, warnings};
use crate::services::{Error, ErrorKind, Result};

/// What a verified cluster looks like.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterHealth {
    /// Version of the API server.
    pub version: ServerVersion,
    /// Every check with its result, in order.
    pub checks: Vec<Check>,
    /// The nodes by name.
    pub nodes: Vec<NodeSummary>,
    /// What is unexpected although the cluster works.
    pub warnings: Vec<Warning>,
}

type Observer<'a> = &'a (dyn Fn(&Check) + Send + Sync);

impl Client {
    /// Waits until the cluster is as `spec` expects it, check by check, and reports every change of a check's state to
    /// `observer`: waiting with the last cause, passed, skipped.
    ///
    /// Changes nothing on the cluster and may be repeated. The API server may still be starting: refused connections,
    /// 5xx answers and, for a while, 401 and 403 are waited out.
    ///
    /// # Errors
    ///
    /// `Deadline` naming the check that did not hold in time, with its last cause; `Certificate` at once when the server
    /// belongs to another cluster; `Unauthenticated` or `Forbidden` when that lasts longer than the grace period.
    pub async fn verify(
        &self,
        spec: &VerifySpec,
        observer: impl Fn(&Check) + Send + Sync,
    ) -> Result<ClusterHealth> {
        let observer: Observer<'_> = &observer;
        let (version, first) = self.reach(spec, observer).await?;
        let mut checks = vec![first, self.wait_ready(spec, observer).await?];
        let mut watches = Watches::start(self.kube(), spec.interval);
        let mut view = View::default();
        let mut grace = Grace::new(spec);
        for &name in CheckName::ALL.iter().skip(checks.len()) {
            let mut waiting = Waiting::begin(name, spec, observer);
            let mut state = judge(name, &view, spec);
            let check = loop {
                if let Some(done) = waiting.note(state) {
                    break done;
                }
                state = match timeout_at(waiting.deadline, watches.next(&mut view)).await {
                    Ok(Ok(())) => {
                        grace.reset();
                        waiting.failure = None;
                        judge(name, &view, spec)
                    }
                    Ok(Err(error)) => waiting.failed(grace.admit(error)?),
                    Err(_) => return Err(self.overdue(&mut waiting).await),
                };
            };
            checks.push(check);
        }
        Ok(ClusterHealth {
            warnings: warnings(&view, &version, spec),
            nodes: view
                .nodes
                .items()
                .into_iter()
                .flatten()
                .map(NodeSummary::of)
                .collect(),
            version,
            checks,
        })
    }

    /// Waits until the API server answers our credentials: the first check of [`Client::verify`], on its own.
    ///
    /// # Errors
    ///
    /// As [`Client::verify`].
    pub async fn wait_reachable(
        &self,
        spec: &VerifySpec,
        observer: impl Fn(&Check) + Send + Sync,
    ) -> Result<ServerVersion> {
        self.reach(spec, &observer)
            .await
            .map(|(version, _)| version)
    }

    async fn reach(
        &self,
        spec: &VerifySpec,
        observer: Observer<'_>,
    ) -> Result<(ServerVersion, Check)> {
        let mut waiting = Waiting::begin(CheckName::ApiReachable, spec, observer);
        let version = poll(&mut waiting, spec, || self.version()).await?;
        Ok((version, waiting.passed()))
    }

    async fn wait_ready(&self, spec: &VerifySpec, observer: Observer<'_>) -> Result<Check> {
        let mut waiting = Waiting::begin(CheckName::ApiReady, spec, observer);
        poll(&mut waiting, spec, || self.ready()).await?;
        Ok(waiting.passed())
    }

    /// The error of a check that ran out of time, with the newest warnings of the cluster itself, if it has any.
    async fn overdue(&self, waiting: &mut Waiting<'_>) -> Error {
        let error = waiting.overdue();
        let events = self.recent_warnings().await.unwrap_or_default();
        if events.is_empty() {
            return error;
        }
        let message = format!("{}; recent events: {}", error.message(), events.join("; "));
        error.with_message(message)
    }

    async fn recent_warnings(&self) -> Result<Vec<String>> {
        let path = "/api/v1/namespaces/kube-system/events?fieldSelector=type%3DWarning";
        let answer = self.send(Call::get("list events", path)).await?;
        let mut events: Vec<_> = answer["items"].as_array().cloned().unwrap_or_default();
        let time = |event: &serde_json::Value| {
            let stamp = event["lastTimestamp"]
                .as_str()
                .or(event["eventTime"].as_str());
            stamp.unwrap_or_default().to_owned()
        };
        events.sort_by_key(|event| std::cmp::Reverse(time(event)));
        let text = |event: &serde_json::Value| {
            let part = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {} {}",
                part(&event["involvedObject"]["name"]),
                part(&event["reason"]),
                part(&event["message"])
            )
        };
        Ok(events.iter().take(3).map(text).collect())
    }
}

/// Repeats a request until it succeeds; there is nothing to watch before the API server answers.
async fn poll<T, F>(
    waiting: &mut Waiting<'_>,
    spec: &VerifySpec,
    mut request: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut grace = Grace::new(spec);
    loop {
        match timeout_at(waiting.deadline, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => {
                let state = waiting.failed(grace.admit(error)?);
                waiting.note(state);
            }
            Err(_) => return Err(waiting.overdue()),
        }
        if Instant::now() + spec.interval >= waiting.deadline {
            return Err(waiting.overdue());
        }
        sleep(spec.interval).await;
    }
}

/// A check while it is waited for.
struct Waiting<'a> {
    name: CheckName,
    began: Instant,
    deadline: Instant,
    last: Option<CheckState>,
    failure: Option<Error>,
    observer: Observer<'a>,
}

impl<'a> Waiting<'a> {
    fn begin(name: CheckName, spec: &VerifySpec, observer: Observer<'a>) -> Self {
        let began = Instant::now();
        Self {
            name,
            began,
            deadline: began + spec.deadline_of(name),
            last: None,
            failure: None,
            observer,
        }
    }

    /// Reports `state` when it is news; the check, when there is nothing left to wait for.
    fn note(&mut self, state: CheckState) -> Option<Check> {
        let check = Check::new(self.name, state, self.began.elapsed());
        if self.last.as_ref() != Some(&check.state) {
            (self.observer)(&check);
            self.last = Some(check.state.clone());
        }
        check.is_done().then_some(check)
    }

    /// Keeps the failure of a request as the cause of the wait.
    fn failed(&mut self, error: Error) -> CheckState {
        let cause = match error.message() {
            "" => error.to_string(),
            message => message.to_owned(),
        };
        self.failure = Some(error);
        CheckState::Waiting(cause)
    }

    fn passed(&mut self) -> Check {
        let check = Check::new(self.name, CheckState::Passed, self.began.elapsed());
        (self.observer)(&check);
        check
    }

    fn overdue(&mut self) -> Error {
        let cause = match &self.last {
            Some(CheckState::Waiting(cause)) => cause.as_str(),
            _ => "no answer",
        };
        let error = Error::new(ErrorKind::Deadline, "verify cluster")
            .with_target(self.name.text())
            .with_message(format!(
                "not within {:?}: {cause}",
                self.deadline - self.began
            ));
        match self.failure.take() {
            Some(failure) => error.with_source(failure),
            None => error,
        }
    }
}

/// Patience with refused credentials: a starting API server may refuse good ones until its caches are filled.
struct Grace {
    allowed: Duration,
    since: Option<Instant>,
}

impl Grace {
    fn new(spec: &VerifySpec) -> Self {
        Self {
            allowed: spec.grace,
            since: None,
        }
    }

    fn reset(&mut self) {
        self.since = None;
    }

    /// The error again when it is worth waiting on.
    ///
    /// # Errors
    ///
    /// The error when it is final.
    fn admit(&mut self, error: Error) -> Result<Error> {
        match error.kind() {
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => {
                let since = *self.since.get_or_insert_with(Instant::now);
                if since.elapsed() > self.allowed {
                    Err(error)
                } else {
                    Ok(error)
                }
            }
            _ if error.is_retryable() => {
                self.since = None;
                Ok(error)
            }
            _ => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_are_final_after_the_grace_period_only() {
        let refusal = || Error::new(ErrorKind::Unauthenticated, "read version");
        let patient = VerifySpec::new([]);
        let strict = VerifySpec::new([]).credentials_grace(Duration::ZERO);

        assert!(Grace::new(&patient).admit(refusal()).is_ok());
        let mut grace = Grace::new(&strict);
        grace.since = Some(Instant::now() - Duration::from_millis(5));
        assert!(grace.admit(refusal()).is_err());
    }

    #[test]
    fn a_foreign_certificate_is_final_and_a_refused_connection_is_not() {
        let mut grace = Grace::new(&VerifySpec::new([]));

        assert!(
            grace
                .admit(Error::new(ErrorKind::Certificate, "x"))
                .is_err()
        );
        assert!(grace.admit(Error::new(ErrorKind::Connect, "x")).is_ok());
        assert!(grace.admit(Error::new(ErrorKind::NotReady, "x")).is_ok());
    }
}
