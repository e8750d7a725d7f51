//! How steps are driven, whatever was asked for: the builder, the engine, waits, events and reports.

pub(crate) mod bootstrap;
pub(crate) mod builder;
pub(crate) mod clients;
pub(crate) mod context;
pub(crate) mod dial;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod limits;
pub(crate) mod millis;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod step;
pub(crate) mod timing;
pub(crate) mod wait;
