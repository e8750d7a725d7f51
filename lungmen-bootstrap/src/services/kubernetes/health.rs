//! Waits for the checks, one after the other, each with its own deadline.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::check::{Check, CheckName, CheckState};
use super::client::{Client, ServerVersion};
use super::dns;
use super::node::NodeSummary;
use super::reported::{REPORTED, report};
use super::request::ApiRequest;
use super::rules::judge;
use super::spec::{Cni, Component, VerifySpec};
use super::survey::ClusterSurvey;
use super::view::{View, Watches};
use super::warning::{Warning, warnings};
use crate::services::{DurationText, Error, ErrorKind, Result};

/// The result of [`Client::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClusterHealth {
    /// Version of the API server.
    pub version: ServerVersion,
    /// Every check with its result, in order.
    pub checks: Vec<Check>,
    /// The nodes by name.
    pub nodes: Vec<NodeSummary>,
    /// Warnings about a cluster whose checks pass.
    pub warnings: Vec<Warning>,
    /// What runs in the cluster; none when the credentials may not list it.
    pub survey: Option<ClusterSurvey>,
}

/// coredns answers over TCP as well.
const DNS_PORT: u16 = 53;

type Observer<'a> = &'a mut (dyn FnMut(&Check) + Send);

impl Client {
    /// Waits until every check of `spec` passes, one after the other. Changes nothing on the cluster; may be repeated.
    ///
    /// The API server may still be starting: refused connections and 5xx responses are waited out, 401 and 403 for
    /// [`VerifySpec::credentials_deadline`].
    ///
    /// # Errors
    ///
    /// `Deadline` with the check that did not pass in time and its last status; `Certificate` at once when the server
    /// belongs to another cluster; `Unauthenticated` or `Forbidden` when the server keeps rejecting the credentials.
    pub async fn verify(&self, spec: &VerifySpec) -> Result<ClusterHealth> {
        self.verify_observed(spec, |_| {}).await
    }

    /// [`verify`](Self::verify) that reports every change of a check's state: waiting with the reason, passed, skipped.
    ///
    /// # Errors
    ///
    /// `Deadline`, `Certificate`, `Unauthenticated`, `Forbidden`, as for [`verify`](Self::verify).
    pub async fn verify_observed(
        &self,
        spec: &VerifySpec,
        mut observer: impl FnMut(&Check) + Send,
    ) -> Result<ClusterHealth> {
        let (version, reachable) = self.reach(spec, &mut observer).await?;
        let ready = self.wait_ready(spec, &mut observer).await?;
        let mut checks = vec![reachable, ready];
        let mut watches = Watches::start(self.kube(), spec.interval);
        let mut view = View::default();
        let mut starting = StartingServer::new(spec);
        let waited = CheckName::ALL
            .iter()
            .filter(|name| !REPORTED.contains(name));
        for &name in waited.skip(checks.len()) {
            if name == CheckName::ClusterDns {
                checks.push(self.wait_dns(spec, &mut observer).await?);
                continue;
            }
            let mut waiting = Waiting::begin(name, spec, &mut observer);
            let mut state = judge(name, &view, spec);
            let check = loop {
                if let Some(done) = waiting.note(state) {
                    break done;
                }
                state = match timeout_at(waiting.end, watches.next(&mut view)).await {
                    Ok(Ok(())) => {
                        starting.reset();
                        waiting.failure = None;
                        judge(name, &view, spec)
                    }
                    Ok(Err(error)) => waiting.failed(starting.admit(error)?),
                    Err(_) => return Err(self.timed_out(&mut waiting).await),
                };
            };
            checks.push(check);
        }
        let warnings = warnings(&view, &version, spec);
        let survey = self.survey().await;
        for name in REPORTED {
            let state = report(name, &warnings, survey.as_ref());
            let mut waiting = Waiting::begin(name, spec, &mut observer);
            checks.extend(waiting.note(state));
        }
        Ok(ClusterHealth {
            warnings,
            survey: survey.ok(),
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

    /// Waits until the API server responds and accepts the credentials: the first check of [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// `Deadline`, `Certificate`, `Unauthenticated`, `Forbidden`, as for [`verify`](Self::verify).
    pub async fn wait_reachable(&self, spec: &VerifySpec) -> Result<ServerVersion> {
        let (version, _) = self.reach(spec, &mut |_| {}).await?;
        Ok(version)
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

    /// Asks a coredns pod for the Service `kubernetes`, through the API server: that the pods are Ready says nothing about
    /// what they answer.
    async fn wait_dns(&self, spec: &VerifySpec, observer: Observer<'_>) -> Result<Check> {
        let mut waiting = Waiting::begin(CheckName::ClusterDns, spec, observer);
        let skipped = if spec.is_disabled(Component::CoreDns) {
            Some("coredns is disabled")
        } else if spec.cni == Cni::None {
            Some("cni is none")
        } else {
            None
        };
        if let Some(reason) = skipped
            && let Some(check) = waiting.note(CheckState::Skipped(reason.to_owned()))
        {
            return Ok(check);
        }
        let name = format!("kubernetes.default.svc.{}", spec.dns_domain);
        poll(&mut waiting, spec, || async {
            let pod = self
                .connect_selected("kube-system", "k8s-app=kube-dns", DNS_PORT)
                .await?;
            let limit = self.request_timeout();
            match tokio::time::timeout(limit, dns::lookup(pod, &name)).await {
                Ok(found) => found,
                Err(_) => Err(
                    Error::new(ErrorKind::Timeout, "look up a name in the cluster")
                        .with_target(&name)
                        .with_message(format!("no response within {}", DurationText(limit))),
                ),
            }
        })
        .await?;
        Ok(waiting.passed())
    }

    /// The error of a check whose deadline passed, with the newest warning events of the cluster.
    async fn timed_out(&self, waiting: &mut Waiting<'_>) -> Error {
        let error = waiting.timed_out();
        let events = self.recent_warnings().await.unwrap_or_default();
        if events.is_empty() {
            return error;
        }
        let message = format!("{}; recent events: {}", error.message(), events.join("; "));
        error.with_message(message)
    }

    async fn recent_warnings(&self) -> Result<Vec<String>> {
        let path = "/api/v1/namespaces/kube-system/events?fieldSelector=type%3DWarning";
        let response = self.send(ApiRequest::get("list events", path)).await?;
        let mut events: Vec<_> = response["items"].as_array().cloned().unwrap_or_default();
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

/// Repeats a request until it succeeds: nothing can be watched before the API server responds.
async fn poll<T, F>(
    waiting: &mut Waiting<'_>,
    spec: &VerifySpec,
    mut request: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut starting = StartingServer::new(spec);
    loop {
        match timeout_at(waiting.end, request()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => {
                let state = waiting.failed(starting.admit(error)?);
                waiting.note(state);
            }
            Err(_) => return Err(waiting.timed_out()),
        }
        if Instant::now() + spec.interval >= waiting.end {
            return Err(waiting.timed_out());
        }
        sleep(spec.interval).await;
    }
}

/// A check while it is waited for.
struct Waiting<'a> {
    name: CheckName,
    started: Instant,
    end: Instant,
    deadline: Duration,
    attempt: u32,
    last: Option<CheckState>,
    failure: Option<Error>,
    observer: Observer<'a>,
}

impl<'a> Waiting<'a> {
    fn begin(name: CheckName, spec: &VerifySpec, observer: Observer<'a>) -> Self {
        let (started, deadline) = (Instant::now(), spec.deadline_of(name));
        // A century is as good as for ever, and does not overflow the clock.
        let longest = Duration::from_secs(100 * 365 * 24 * 3600);
        Self {
            name,
            started,
            end: started + deadline.min(longest),
            deadline,
            attempt: 0,
            last: None,
            failure: None,
            observer,
        }
    }

    /// Reports `state` when it changed. Returns the check when it is over.
    fn note(&mut self, state: CheckState) -> Option<Check> {
        let check = self.check(state);
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
        let check = self.check(CheckState::Passed);
        (self.observer)(&check);
        check
    }

    fn check(&mut self, state: CheckState) -> Check {
        self.attempt = self.attempt.saturating_add(1);
        Check {
            name: self.name,
            state,
            attempt: self.attempt,
            elapsed: self.started.elapsed(),
            deadline: self.deadline,
        }
    }

    fn timed_out(&mut self) -> Error {
        let status = match &self.last {
            Some(CheckState::Waiting(cause)) => cause.as_str(),
            _ => "no response",
        };
        let time = DurationText(self.deadline);
        let error = Error::new(ErrorKind::Deadline, "verify cluster")
            .with_target(self.name.id())
            .with_message(format!(
                "timed out after {time} waiting for {}; last status: {status}",
                self.name.waiting_for()
            ));
        match self.failure.take() {
            Some(failure) => error.with_source(failure),
            None => error,
        }
    }
}

/// A starting API server can reject valid credentials until its caches are filled.
struct StartingServer {
    allowed: Duration,
    since: Option<Instant>,
}

impl StartingServer {
    fn new(spec: &VerifySpec) -> Self {
        Self {
            allowed: spec.credentials_deadline,
            since: None,
        }
    }

    fn reset(&mut self) {
        self.since = None;
    }

    /// Returns the error when the wait goes on.
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
    fn rejected_credentials_are_final_only_after_their_deadline() {
        let rejected = || Error::new(ErrorKind::Unauthenticated, "read version");
        let patient = VerifySpec::new([]);
        let strict = VerifySpec::new([]).credentials_deadline(Duration::ZERO);

        assert!(StartingServer::new(&patient).admit(rejected()).is_ok());
        let mut starting = StartingServer::new(&strict);
        starting.since = Some(Instant::now() - Duration::from_millis(5));
        assert!(starting.admit(rejected()).is_err());
    }

    #[test]
    fn a_foreign_certificate_is_final_and_a_refused_connection_is_not() {
        let mut starting = StartingServer::new(&VerifySpec::new([]));

        assert!(
            starting
                .admit(Error::new(ErrorKind::Certificate, "x"))
                .is_err()
        );
        assert!(starting.admit(Error::new(ErrorKind::Connect, "x")).is_ok());
        assert!(starting.admit(Error::new(ErrorKind::NotReady, "x")).is_ok());
    }
}
