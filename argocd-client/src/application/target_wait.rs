//! Waiting for several applications, such as all of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Applications;
use super::feed::Feed;
use super::filter::ApplicationFilter;
use super::model::Application;
use super::progress::{Judgement, Progress, Subject};
use super::readiness::WaitFor;
use super::reference::Target;
use super::report::{ReadinessReport, ReadinessRow};
use super::watch::{ApplicationEvent, Failure, Follower};
use crate::error::Result;
use crate::poll::{Poll, WaitState};

/// How often the list is compared with what the stream said.
const RELIST: Duration = Duration::from_secs(30);

/// How several applications are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan does nothing until it is given to a wait"]
pub struct TargetWait {
    conditions: WaitFor,
    pub(super) poll: Poll,
    at_least: usize,
    pub(super) stable_for: Duration,
}

impl TargetWait {
    /// Waits as long as `poll` says; synced, healthy, no operation pending. The intervals of `poll` count where the server
    /// does not stream.
    ///
    /// By default at least one application must exist, and the state need not hold for longer.
    pub fn new(poll: Poll) -> Self {
        Self {
            conditions: WaitFor::default(),
            poll,
            at_least: 1,
            stable_for: Duration::ZERO,
        }
    }

    /// Sets what must hold for every application.
    pub fn conditions(mut self, conditions: WaitFor) -> Self {
        self.conditions = conditions;
        self
    }

    /// Sets how many applications must exist. None at all is ambiguous: application sets may not
    /// have created theirs yet. `0` accepts that.
    pub fn at_least(mut self, applications: usize) -> Self {
        self.at_least = applications;
        self
    }

    /// Sets how long the same applications must stay ready. Health changes back and forth right
    /// after a synchronisation, and applications create further ones.
    pub fn stable_for(mut self, duration: Duration) -> Self {
        self.stable_for = duration;
        self
    }
}

/// The readiness of the selected applications, kept up to date by events. Only rows are kept, so that the memory does not
/// grow with the applications.
struct Rows<'a, S> {
    selects: S,
    conditions: &'a WaitFor,
    rows: BTreeMap<(String, String), ReadinessRow>,
}

impl<S: Fn(&Application) -> bool> Rows<'_, S> {
    fn take(&mut self, event: ApplicationEvent) {
        match event {
            ApplicationEvent::Listed(applications) => {
                self.rows.clear();
                for application in &applications {
                    self.apply(application);
                }
            }
            ApplicationEvent::Applied(application) => self.apply(&application),
            ApplicationEvent::Deleted(application) => {
                self.rows.remove(&key(&application));
            }
        }
    }

    fn apply(&mut self, application: &Application) {
        let key = key(application);
        if (self.selects)(application) {
            self.rows.insert(key, self.conditions.judge(application));
        } else {
            self.rows.remove(&key);
        }
    }

    fn report(&self, expected: usize) -> ReadinessReport {
        ReadinessReport::new(self.rows.values().cloned().collect(), expected)
    }
}

fn key(application: &Application) -> (String, String) {
    let metadata = &application.metadata;
    (metadata.namespace.clone(), metadata.name.clone())
}

/// Waits for the applications that `selects` selects, by one list and one stream.
///
/// A server that does not stream is listed at the intervals of the plan instead.
pub(crate) async fn all(
    feed: Arc<dyn Feed>,
    selects: impl Fn(&Application) -> bool,
    subject: Subject,
    wait: &TargetWait,
    mut observer: impl FnMut(&WaitState),
) -> Result<ReadinessReport> {
    let end = wait.poll.ends_at();
    let mut follower = Follower::new(feed, RELIST);
    let mut rows = Rows {
        selects,
        conditions: &wait.conditions,
        rows: BTreeMap::new(),
    };
    let mut progress = Progress::new(wait, subject);
    loop {
        let wake = progress.next_moment(wait).map_or(end, |at| at.min(end));
        let stepped = timeout_at(wake, follower.step()).await;
        let listed = matches!(&stepped, Ok(Ok(Some(ApplicationEvent::Listed(_)))));
        match stepped {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(event))) => {
                rows.take(event);
                while let Some(event) = follower.buffered() {
                    rows.take(event);
                }
            }
            Ok(Err(Failure::List(error))) if !error.is_retryable() => return Err(error),
            Ok(Err(failure)) => {
                let interval = progress.failed(failure, &mut observer);
                if Instant::now() + interval >= end {
                    return progress.at_the_deadline();
                }
                sleep(interval).await;
                continue;
            }
            Err(_) if Instant::now() >= end => return progress.at_the_deadline(),
            Err(_) => {}
        }
        if listed && !progress.has_listed() {
            // What changed between the first list and the opening of the stream is in neither.
            follower.relist_by(Instant::now() + wait.poll.interval(1).saturating_mul(4));
        }
        match progress.judge(rows.report(wait.at_least), listed, wait, &mut observer) {
            Judgement::Pending => {}
            Judgement::Unconfirmed => follower.relist_by(Instant::now()),
            Judgement::Ended(report) => return Ok(report),
        }
    }
}

impl Applications {
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
    /// However many there are, they are followed by one list and one stream; the list is compared again before the wait
    /// ends. Applications that appear on the way are waited for as well.
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
    /// [`Unauthenticated`](crate::ErrorKind::Unauthenticated) without a valid session;
    /// [`Forbidden`](crate::ErrorKind::Forbidden); [`Deadline`](crate::ErrorKind::Deadline) when the server did not
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
        let feed = self.feed(ApplicationFilter::all());
        let subject = Subject {
            name: target.name().to_owned(),
            target: target.to_string(),
        };
        let selects = |application: &Application| target.is(&application.spec.destination);
        all(feed, selects, subject, wait, observer).await
    }

    /// The same as [`wait_for_target`](Self::wait_for_target) for the applications of a filter, such as a label selector:
    /// `argocd app wait -l` does this one by one.
    ///
    /// # Errors
    /// The kinds of [`wait_for_target`](Self::wait_for_target); [`Rejected`](crate::ErrorKind::Rejected) for a selector that cannot
    /// be read.
    pub async fn wait_for_selected(
        &self,
        filter: &ApplicationFilter,
        wait: &TargetWait,
        observer: impl FnMut(&WaitState),
    ) -> Result<ReadinessReport> {
        let feed = self.feed(filter.clone());
        let subject = Subject {
            name: filter.to_string(),
            target: filter.to_string(),
        };
        all(
            feed,
            |application| filter.admits(application),
            subject,
            wait,
            observer,
        )
        .await
    }
}
