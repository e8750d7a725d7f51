//! The whole chain against the Lab.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod complete;
mod faults;
mod hardware;
mod repeat;
mod resume;
mod several;
mod spec;
mod support;
