//! What a run leaves behind: the cluster record, the lease, files, secrets and the journal.

pub(crate) mod artifacts;
pub mod claim;
pub(crate) mod credentials;
pub mod guard;
pub mod journal;
pub mod lease;
#[cfg(test)]
mod model;
mod private_file;
mod random;
pub mod record;
pub mod snippets;
pub mod store;
pub(crate) mod talosconfig;
