//! A node that answers on the Talos port.

use std::fmt;

use talos_client::{Endpoint, PresentedCertificate};

use crate::spec::machine::MachineSpec;

/// A node that answers.
#[derive(Debug, Clone)]
pub(crate) enum FoundNode {
    /// In maintenance mode, without a configuration.
    Maintenance {
        endpoint: Endpoint,
        source: AddressSource,
        certificate: Box<PresentedCertificate>,
    },
    /// Configured with the identity of the cluster.
    Configured {
        endpoint: Endpoint,
        source: AddressSource,
    },
}

/// How the address of a node was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddressSource {
    /// Declared, and given to the VM on its nocloud drive.
    Static,
    /// Declared, and reserved at a DHCP server for the declared MAC address.
    Reserved,
    /// Declared; how the node gets it is not declared.
    Declared,
    /// Another one, which the guest agent reports for the first network card.
    GuestAgent,
    /// Another one, which the resolver of this name reports.
    Resolver(String),
}

impl AddressSource {
    /// The source of the declared address of the machine.
    pub(crate) fn declared(machine: &MachineSpec) -> Self {
        let mut networks = machine.networks();
        if machine.static_address.is_some() {
            Self::Static
        } else if networks.next().is_some_and(|network| network.mac.is_some()) {
            Self::Reserved
        } else {
            Self::Declared
        }
    }
}

impl fmt::Display for AddressSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("static address"),
            Self::Reserved => f.write_str("declared address, reserved for the MAC address"),
            Self::Declared => f.write_str("declared address"),
            Self::GuestAgent => f.write_str("address from the guest agent"),
            Self::Resolver(name) => write!(f, "address from {name}"),
        }
    }
}

impl FoundNode {
    pub(crate) fn is_configured(&self) -> bool {
        matches!(self, Self::Configured { .. })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Maintenance { endpoint, .. } | Self::Configured { endpoint, .. } => endpoint,
        }
    }

    fn source(&self) -> &AddressSource {
        match self {
            Self::Maintenance { source, .. } | Self::Configured { source, .. } => source,
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
        write!(f, "{} {mode} ({})", self.endpoint(), self.source())
    }
}
