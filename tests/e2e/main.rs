//! e2e tests.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
