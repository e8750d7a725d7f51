//! What the two services without a client crate of their own share: the error type and the TLS trust.
//!
//! The Kubernetes API and OpenBao are spoken to by modules of this crate ([`crate::kubernetes`], [`crate::openbao`]).
//! Both fail in the same ways, so both return [`Error`].

mod error;
pub mod kubernetes;
pub mod openbao;
mod tls;

pub use error::{Error, ErrorKind, Result};
pub use tls::TlsTrust;
#[cfg(feature = "mock")]
pub(crate) use tls::provider;
pub(crate) use tls::{certificates, client_config, private_key, untrusting_config};
