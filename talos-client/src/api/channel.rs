//! The gRPC channel to one node: the only place that sends, limits and repeats.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::api::stream::ResponseStream;
use crate::poll::DurationText;
use crate::retry::{Idempotency, RetryPolicy};
use crate::{Endpoint, Error, ErrorKind, Result, api::dial, api::status};

/// The service that generated clients are made of.
pub(crate) type Service = InterceptedService<Channel, Routing>;

/// Largest message of the machine API in both directions; tonic's own limit is an eighth of it.
pub(crate) const MAX_MESSAGE_SIZE: usize = 32 * 1024 * 1024;

/// HTTP/2 windows of the reference client.
const STREAM_WINDOW: u32 = 65535 * 32;
const CONNECTION_WINDOW: u32 = 65535 * 16;

/// Name, idempotency and time limit of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    idempotency: Idempotency,
    timeout: Option<Duration>,
}

impl Call {
    /// A call that only reads.
    pub(crate) const fn read(operation: &'static str) -> Self {
        Self {
            operation,
            idempotency: Idempotency::Safe,
            timeout: None,
        }
    }

    /// A call that changes the node, and whose repetition has no further effect.
    pub(crate) const fn set(operation: &'static str) -> Self {
        Self::read(operation)
    }

    /// A call that changes the node.
    pub(crate) const fn change(operation: &'static str) -> Self {
        Self {
            operation,
            idempotency: Idempotency::Unsafe,
            timeout: None,
        }
    }

    /// At least this long for one attempt.
    pub(crate) const fn at_least(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// Time limits and repetition, as the builders set them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) stream_deadline: Duration,
    pub(crate) retry: RetryPolicy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            stream_deadline: Duration::from_hours(1),
            retry: RetryPolicy::default(),
        }
    }
}

/// A cheap handle to the connection, aimed at one node.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    shared: Arc<Shared>,
    routing: Routing,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    limits: Limits,
    channel: Mutex<Option<Channel>>,
}

/// The `node` header: with it a control plane node passes the call on to another node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routing {
    node: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Routing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(node) = &self.node {
            request.metadata_mut().insert("node", node.clone());
        }
        Ok(request)
    }
}

impl Transport {
    pub(crate) fn new(endpoint: Endpoint, tls: ClientConfig, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                endpoint,
                tls: Arc::new(tls),
                limits,
                channel: Mutex::new(None),
            }),
            routing: Routing::default(),
        }
    }

    /// The same connection, with calls passed on to `node`.
    pub(crate) fn to_node(&self, node: &str) -> Result<Self> {
        let value = node.parse::<MetadataValue<Ascii>>().map_err(|source| {
            Error::new(ErrorKind::Configuration, "set target node")
                .with_target(node)
                .with_message("a node is an address or a host name")
                .with_source(source)
        })?;
        Ok(Self {
            shared: Arc::clone(&self.shared),
            routing: Routing { node: Some(value) },
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    pub(crate) fn target(&self) -> String {
        let endpoint = &self.shared.endpoint;
        match self
            .routing
            .node
            .as_ref()
            .and_then(|node| node.to_str().ok())
        {
            Some(node) => format!("{endpoint}, node {node}"),
            None => endpoint.to_string(),
        }
    }

    /// Makes a unary call, and repeats it as far as its idempotency allows.
    ///
    /// A response of the node is final here, although the same call may succeed later: what a node is not ready for
    /// takes seconds, and the waits of this crate repeat those calls.
    pub(crate) async fn call<T, F, Fut>(&self, call: Call, send: F) -> Result<T>
    where
        F: Fn(Service) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let send = &send;
        let attempt = |number| async move {
            if number > 1 {
                tracing::debug!(operation = call.operation, number, "repeating the call");
            }
            match self.attempt(call, send).await {
                Ok(value) => Ok(Ok(value)),
                Err(error) if is_final(&error) => Ok(Err(error)),
                Err(error) => Err(error),
            }
        };
        let retry = self.shared.limits.retry;
        retry.run(call.idempotency, attempt).await?
    }

    /// Makes a unary call once.
    pub(crate) async fn call_once<T, F, Fut>(&self, call: Call, send: F) -> Result<T>
    where
        F: Fn(Service) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.attempt(call, &send).await
    }

    async fn attempt<T, F, Fut>(&self, call: Call, send: &F) -> Result<T>
    where
        F: Fn(Service) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let service = self.service(call.operation).await?;
        let started = Instant::now();
        let timeout = self.shared.limits.timeout;
        let limit = call.timeout.map_or(timeout, |least| least.max(timeout));
        let result = match tokio::time::timeout(limit, send(service)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(status::from_status(call.operation, &self.target(), &status)),
            Err(_) => Err(Error::new(ErrorKind::Timeout, call.operation)
                .with_target(self.target())
                .with_message(format!("no response within {}", DurationText(limit)))),
        };
        tracing::debug!(
            operation = call.operation,
            duration_ms = started.elapsed().as_millis(),
            kind = ?result.as_ref().err().map(Error::kind),
            "called"
        );
        if let Err(error) = &result {
            self.forget_broken(error).await;
        }
        result.map_err(|error| error.with_server(self.shared.endpoint.to_string()))
    }

    /// Opens a server stream when it is first polled; it ends with an error at its deadline.
    pub(crate) fn stream<P, T, I, F, Fut>(
        &self,
        operation: &'static str,
        open: F,
        items: impl Fn(P) -> Result<I> + Send + 'static,
    ) -> ResponseStream<T>
    where
        P: Send + 'static,
        T: Send + 'static,
        I: IntoIterator<Item = T> + Send + 'static,
        I::IntoIter: Send,
        F: FnOnce(Service) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<tonic::Streaming<P>>, Status>> + Send + 'static,
    {
        let transport = self.clone();
        let opening = async move {
            let service = transport.service(operation).await?;
            open(service)
                .await
                .map(Response::into_inner)
                .map_err(|status| status::from_status(operation, &transport.target(), &status))
        };
        let deadline = self.shared.limits.stream_deadline;
        ResponseStream::open(operation, self.target(), opening, items).deadline(deadline)
    }

    async fn service(&self, operation: &'static str) -> Result<Service> {
        let mut channel = self.shared.channel.lock().await;
        let ready = match &*channel {
            Some(ready) => ready.clone(),
            None => {
                let connected = self.connect(operation).await?;
                channel.insert(connected).clone()
            }
        };
        Ok(InterceptedService::new(ready, self.routing.clone()))
    }

    async fn connect(&self, operation: &'static str) -> Result<Channel> {
        let Shared {
            endpoint,
            tls,
            limits,
            ..
        } = &*self.shared;
        // The scheme stays http: with https tonic insists on TLS of its own as soon as any crate of the build
        // enables one of its TLS features. Our connector knows nothing but TLS.
        let channel = Channel::from_shared(format!("http://{endpoint}"))
            .map_err(|source| {
                Error::new(ErrorKind::Configuration, operation)
                    .with_target(endpoint.to_string())
                    .with_source(source)
            })?
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);

        let (endpoint, tls, timeout) = (endpoint.clone(), Arc::clone(tls), limits.connect_timeout);
        let connector = tower::service_fn(move |_: http::Uri| {
            let (endpoint, tls) = (endpoint.clone(), Arc::clone(&tls));
            async move {
                dial::accepted(&endpoint, tls, timeout)
                    .await
                    .map(TokioIo::new)
            }
        });
        channel
            .connect_with_connector(connector)
            .await
            .map_err(|failure| status::from_transport(operation, &self.target(), &failure))
    }

    /// A connection to a host that went down without a word would swallow the next calls too.
    async fn forget_broken(&self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Interrupted) {
            *self.shared.channel.lock().await = None;
        }
    }
}

fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotReady | ErrorKind::Server)
}
