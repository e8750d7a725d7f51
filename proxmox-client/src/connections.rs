//! How many connections a client opens: as many as it has requests at a time, and no more.
//!
//! The HTTP library opens a connection when none is free. A connection is free a moment after its response has ended, so a
//! request that begins in this moment opens one more (measured without this: up to 8 connections for 4 requests at a
//! time). The books here say whether a connection is on its way back; if so, the opening waits for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tower::{BoxError, Layer, Service};

/// How long an idle connection is kept. The server closes one after 5 s: a connection that is reused at that moment breaks
/// without a response.
pub(crate) const IDLE: Duration = Duration::from_secs(4);

/// How long the opening of a connection waits for another one that should be free. It takes microseconds to come back; one
/// that was lost costs the next request this time.
const RETURN: Duration = Duration::from_millis(200);

tokio::task_local! {
    /// Whether the request of this task finds a connection that another one left.
    static FINDS_ONE: bool;
}

/// The connections that nobody uses, by the moment at which they were left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Vec<Instant>>>);

impl Connections {
    /// Runs the exchange of one request. `is_reusable` says of its outcome whether the connection can be used again.
    pub(crate) async fn exchange<T>(
        &self,
        exchange: impl Future<Output = T>,
        is_reusable: impl FnOnce(&T) -> bool,
    ) -> T {
        let outcome = FINDS_ONE.scope(self.take(), exchange).await;
        if is_reusable(&outcome) {
            self.idle().push(Instant::now());
        }
        outcome
    }

    /// Takes a connection out of the books, if there is one.
    fn take(&self) -> bool {
        let mut idle = self.idle();
        idle.retain(|left| left.elapsed() < IDLE);
        idle.pop().is_some()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the connection that should be free, if there is one.
///
/// # Errors
/// When nobody needs a new connection any more: the library goes on opening in a task of its own once the request has
/// found another connection.
async fn wait_for_another() -> Result<(), BoxError> {
    if !FINDS_ONE.try_with(|finds_one| *finds_one).unwrap_or(false) {
        return Ok(());
    }
    let mut wait = std::pin::pin!(tokio::time::sleep(RETURN));
    poll_fn(|context| match FINDS_ONE.try_with(|_| ()) {
        Ok(()) => wait.as_mut().poll(context).map(Ok),
        Err(_) => Poll::Ready(Err("another connection became free".into())),
    })
    .await
}

/// Lets the opening of connections wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReuseFirst;

impl<S> Layer<S> for ReuseFirst {
    type Service = ReusesFirst<S>;

    fn layer(&self, open: S) -> Self::Service {
        ReusesFirst(open)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ReusesFirst<S>(S);

impl<S, R> Service<R> for ReusesFirst<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        // The service that was asked whether it is ready is the one to use.
        let unasked = self.0.clone();
        let mut open = std::mem::replace(&mut self.0, unasked);
        Box::pin(async move {
            wait_for_another().await?;
            open.call(to).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn finds_one(connections: &Connections, is_reusable: bool) -> bool {
        let exchange = async { FINDS_ONE.get() };
        connections.exchange(exchange, |_| is_reusable).await
    }

    #[tokio::test]
    async fn a_connection_is_found_once_for_every_time_it_was_left() {
        let connections = Connections::default();

        assert!(!finds_one(&connections, true).await);
        assert!(finds_one(&connections, true).await);
        assert!(finds_one(&connections, false).await);
        assert!(!finds_one(&connections, false).await);
    }

    #[tokio::test]
    async fn two_requests_at_a_time_do_not_find_the_same_connection() {
        let connections = Connections::default();
        assert!(!finds_one(&connections, true).await);

        let during_another = connections
            .exchange(finds_one(&connections, false), |_| false)
            .await;

        assert!(!during_another);
    }

    #[tokio::test]
    async fn nobody_waits_without_reason() {
        let started = Instant::now();

        assert!(wait_for_another().await.is_ok());
        assert!(FINDS_ONE.scope(false, wait_for_another()).await.is_ok());
        assert!(started.elapsed() < RETURN);
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_request_has_left_it_behind() {
        let mut wait = Box::pin(wait_for_another());
        let begun = FINDS_ONE
            .scope(
                true,
                poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())),
            )
            .await;

        assert!(begun);
        assert!(tokio::spawn(wait).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_lost_connection_costs_one_wait() {
        let started = Instant::now();

        assert!(FINDS_ONE.scope(true, wait_for_another()).await.is_ok());
        assert!(started.elapsed() >= RETURN);
    }
}
