//! What becomes of an entry that exists.

/// What registration does when the address is registered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnExisting {
    /// Brings the entry up to date, credentials included. Labels and annotations are merged.
    #[default]
    Update,
    /// Keeps the credentials and brings the rest up to date.
    Reuse,
    /// Refuses with [`AlreadyExists`](crate::ErrorKind::AlreadyExists).
    Fail,
}
