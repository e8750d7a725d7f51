//! The services of the chain in one process.

pub mod kubernetes;
pub mod openbao;
mod serve;

pub use serve::{Call, Fault};
