//! A request about one application.

use std::sync::Arc;

use serde_json::Value;

use super::application::Key;
use super::application_routes::{read, reference};
use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::MockServer;

/// Who asks, for which application, and with which query.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) server: &'a Arc<MockServer>,
    pub(super) caller: &'a Caller,
    pub(super) name: &'a str,
    pub(super) query: &'a Query,
}

impl Asked<'_> {
    /// The application, when the caller may do `action` on it.
    pub(super) fn read(&self, action: &str) -> Result<(Key, Value), Rejection> {
        let reference = reference(self.name, self.query);
        let application = read(self.server, self.caller, &reference, action)?;
        Ok((reference.0, application))
    }
}
