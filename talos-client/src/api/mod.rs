//! The machine API: clients, calls, COSI resources and waits.

pub(crate) mod builder;
pub(crate) mod certificate;
pub(crate) mod channel;
pub(crate) mod client;
pub(crate) mod code;
pub mod cosi;
pub(crate) mod credentials;
pub(crate) mod dial;
pub mod edit;
pub(crate) mod endpoint;
pub mod health;
pub mod machine;
pub(crate) mod maintenance;
pub(crate) mod nodes;
pub(crate) mod pb;
pub(crate) mod probe;
pub(crate) mod status;
pub(crate) mod stream;
pub(crate) mod tls;
pub mod upgrade;
pub mod wait;
pub(crate) mod wire;

pub use self::builder::{ClientBuilder, MaintenanceClientBuilder};
pub use self::certificate::PresentedCertificate;
pub use self::client::Client;
pub use self::code::Code;
pub use self::credentials::Credentials;
pub use self::endpoint::{DEFAULT_PORT, Endpoint};
pub use self::maintenance::MaintenanceClient;
pub use self::nodes::{NodeResult, Nodes};
pub use self::probe::{Probe, probe};
pub use self::stream::ResponseStream;
pub use self::tls::{CertificateAuthority, MaintenanceTrust, PinMismatch, PublicKeyFingerprint};

#[cfg(all(test, feature = "mock"))]
mod tests {
    mod scripted;
}
