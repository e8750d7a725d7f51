//! What the HTTP fakes of this crate share: a small server, injected faults, and a log of calls.

mod fault;
mod server;

pub use fault::{Call, Fault};
pub(super) use fault::{CallLog, FaultQueue};
pub(super) use server::{Bound, Incoming, Reply, Service, json, plain, serve};
