//! The signals that end the program.

/// A request to end: Ctrl-C, `kill`, or a terminal that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    HangUp,
    Interrupt,
    Terminate,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// 128 and the number of the signal, as shells report it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens from the moment it is made, so that no signal has its usual effect while the program begins.
#[cfg(unix)]
pub(crate) struct Signals([(Signal, Option<tokio::signal::unix::Signal>); 3]);

#[cfg(unix)]
impl Signals {
    /// A signal that cannot be listened to keeps its usual effect.
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let listener = |meaning, kind| (meaning, signal(kind).ok());
        Self([
            listener(Signal::HangUp, SignalKind::hangup()),
            listener(Signal::Interrupt, SignalKind::interrupt()),
            listener(Signal::Terminate, SignalKind::terminate()),
        ])
    }

    /// Returns when one of the signals came.
    pub(crate) async fn received(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (meaning, listener) in &mut self.0 {
                let came = listener
                    .as_mut()
                    .map(|listener| listener.poll_recv(context));
                if came.is_some_and(|came| came.is_ready()) {
                    return std::task::Poll::Ready(*meaning);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Self {
        Self
    }

    /// Returns when Ctrl-C came.
    pub(crate) async fn received(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
