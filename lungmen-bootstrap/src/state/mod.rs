//! What a run leaves behind: files, secrets and the journal.

pub(crate) mod artifacts;
pub mod journal;
pub(crate) mod secrets;
pub(crate) mod talosconfig;
