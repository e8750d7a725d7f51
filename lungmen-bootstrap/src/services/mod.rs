//! The two servers without a client crate of their own: the Kubernetes API and OpenBao.
//!
//! Both fail in the same ways and return the same [`Error`]. [`TlsTrust`], [`RetryPolicy`] and [`Poll`] have the same
//! form as in the client crates.

pub(crate) mod error;
mod identity;
pub mod kubernetes;
pub mod openbao;
#[allow(dead_code, reason = "mirrored")]
mod poll;
mod presented;
mod retry;
mod tls;
mod validity;

pub use error::{Error, ErrorKind, Result};
pub use poll::{Poll, WaitState};
pub use presented::presented_fingerprint;
pub use retry::RetryPolicy;
pub use tls::{Fingerprint, PinMismatch, TlsTrust};

#[cfg(feature = "mock")]
pub(crate) use identity::provider;
pub(crate) use identity::{private_key, with_identity};
pub(crate) use poll::DurationText;
pub(crate) use retry::{Idempotency, retry_after};
pub(crate) use tls::certificates;
pub(crate) use validity::RENEW_BEFORE;
pub use validity::Validity;
