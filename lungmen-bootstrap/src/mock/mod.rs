//! The services of the chain in one process.

pub mod kubernetes;
mod lab;
pub mod openbao;
mod serve;

pub(crate) use lab::Expected;
pub use lab::{Lab, LabBuilder, LabEvent, Pace};
pub use serve::{Call, Fault};
