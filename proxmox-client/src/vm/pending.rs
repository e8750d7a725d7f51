//! Options with their pending values.

use crate::wire::response;

response!(
    /// An option of a VM with its present and its pending value.
    PendingOption {
        /// The server's name of the option.
        name: String = "key",
        /// The present value.
        value: Option<String> = "value",
        /// The value after the next start.
        pending: Option<String> = "pending",
        /// Whether the option is removed at the next start: 1, or 2 when its volume is deleted as well.
        delete: Option<u8> = "delete",
    }
);

impl PendingOption {
    /// Whether the value changes at the next start.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.is_some() || self.delete.is_some()
    }
}
