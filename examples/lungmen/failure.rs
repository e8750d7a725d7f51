//! Why the program ends with exit code 1.

use std::error::Error as StdError;

/// A failed run, or something that kept it from starting.
#[derive(Debug)]
pub(crate) enum Failure {
    Run(lungmen_bootstrap::Error),
    Other(String),
}

impl Failure {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    pub(crate) fn missing(what: &str, names: &[&str]) -> Self {
        Self::Other(format!("{what} is missing: set {}", names.join(" or ")))
    }

    /// The text for people: the chain of causes once, with a hint where there is one.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::Run(error) => error.report(),
            Self::Other(text) => format!("error: {text}"),
        }
    }
}

impl From<lungmen_bootstrap::Error> for Failure {
    fn from(error: lungmen_bootstrap::Error) -> Self {
        Self::Run(error)
    }
}

macro_rules! from_client_error {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Other(chain(&error))
            }
        }
    )+};
}

from_client_error!(
    proxmox_client::Error,
    factory_client::Error,
    argocd_client::Error,
    lungmen_bootstrap::services::Error,
);

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
