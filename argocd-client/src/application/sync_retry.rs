//! How the controller repeats a synchronisation that failed.

use std::ops::Not;
use std::time::Duration;

use serde::Serialize;

/// How the controller repeats a synchronisation that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a plan does nothing until it is given to a synchronisation"]
pub struct SyncRetry {
    limit: i64,
    backoff: Backoff,
    /// Since 3.2; older servers ignore it.
    #[serde(skip_serializing_if = "Not::not")]
    refresh: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Backoff {
    duration: String,
    factor: i64,
    max_duration: String,
}

impl SyncRetry {
    /// So many repetitions, after 5 s, 10 s, 20 s, … up to 3 min, which are the defaults of `argocd app sync`.
    pub fn limit(repetitions: u32) -> Self {
        Self {
            limit: repetitions.into(),
            backoff: Backoff {
                duration: "5s".to_owned(),
                factor: 2,
                max_duration: "3m0s".to_owned(),
            },
            refresh: false,
        }
    }

    /// Sets the first and the longest pause; every pause is `factor` times the one before.
    pub fn backoff(mut self, first: Duration, factor: u32, longest: Duration) -> Self {
        self.backoff = Backoff {
            duration: format!("{}ms", first.as_millis()),
            factor: factor.into(),
            max_duration: format!("{}ms", longest.as_millis()),
        };
        self
    }

    /// Repeats with the newest revision instead of the first one (3.2 and later).
    pub fn refresh(mut self) -> Self {
        self.refresh = true;
        self
    }
}
