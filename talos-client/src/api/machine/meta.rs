//! The META partition: small values that survive an upgrade.

use super::Machine;
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;

impl Machine {
    /// Writes a value to the META partition. `talosctl meta write`; needs `os:admin`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] when the partition is full, [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn write_meta(&self, key: u8, value: &[u8]) -> Result<()> {
        self.unary(Call::set("write META key"), |mut machine| {
            let request = pb::MetaWriteRequest {
                key: key.into(),
                value: value.to_vec(),
            };
            async move { machine.meta_write(request).await }
        })
        .await
        .map(drop)
    }

    /// Deletes a value from the META partition. `talosctl meta delete`; needs `os:admin`. Returns whether it existed, and
    /// may therefore be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn delete_meta(&self, key: u8) -> Result<bool> {
        let request = pb::MetaDeleteRequest { key: key.into() };
        let result = self
            .unary(Call::set("delete META key"), |mut machine| async move {
                machine.meta_delete(request).await
            })
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
