//! A node that answers on the Talos port.

use std::fmt;

use talos_client::{Endpoint, PresentedCertificate};

/// A node that answers.
#[derive(Debug, Clone)]
pub(crate) enum FoundNode {
    /// In maintenance mode, without a configuration.
    Maintenance {
        endpoint: Endpoint,
        certificate: Box<PresentedCertificate>,
    },
    /// Configured with the identity of the cluster.
    Configured { endpoint: Endpoint },
}

impl FoundNode {
    pub(crate) fn is_configured(&self) -> bool {
        matches!(self, Self::Configured { .. })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Maintenance { endpoint, .. } | Self::Configured { endpoint } => endpoint,
        }
    }

    /// The certificate of maintenance mode; each boot has a new one.
    pub(crate) fn certificate(&self) -> Option<&PresentedCertificate> {
        match self {
            Self::Maintenance { certificate, .. } => Some(certificate),
            Self::Configured { .. } => None,
        }
    }
}

impl fmt::Display for FoundNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.is_configured() {
            "configured"
        } else {
            "in maintenance mode"
        };
        write!(f, "{} {mode}", self.endpoint())
    }
}
