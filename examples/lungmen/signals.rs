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

/// Returns when one of the signals came. A signal that cannot be listened to keeps its usual effect.
#[cfg(unix)]
pub(crate) async fn received() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind: SignalKind, meaning: Signal| async move {
        match signal(kind) {
            Ok(mut listener) => {
                listener.recv().await;
                meaning
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = wait(SignalKind::hangup(), Signal::HangUp) => signal,
        signal = wait(SignalKind::interrupt(), Signal::Interrupt) => signal,
        signal = wait(SignalKind::terminate(), Signal::Terminate) => signal,
    }
}

/// Returns when Ctrl-C came.
#[cfg(not(unix))]
pub(crate) async fn received() -> Signal {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Signal::Interrupt
}
