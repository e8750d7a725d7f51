//! What the HTTP mocks of this crate share: a small server, faults, calls and events.

mod call;
mod events;
#[allow(dead_code, reason = "mirrored")]
mod fault;
mod respond;
mod server;

pub use call::Call;
pub(super) use call::CallLog;
pub(super) use events::Events;
pub use fault::Fault;
pub(super) use fault::FaultQueue;
pub(super) use respond::Service;
pub(super) use server::{Bound, IncomingRequest, json, plain, serve, text};
