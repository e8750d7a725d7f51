//! golden tests.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod factory;
mod talos;
