//! Changes that nobody else's change gets lost by.

use crate::error::Result;
use crate::reason::Reason;

/// Runs a change that reads something and gives its digest to the call that changes it; once more when somebody else
/// changed it in between.
///
/// A digest makes a change fail with [`Reason::ConfigChanged`] when the configuration is not the one that was read. Whatever
/// takes a digest can be changed so: options and disks of a VM, its firewall, high availability.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use proxmox_client::vm::MoveDiskRequest;
/// use proxmox_client::mock::{MockStorage, PveMock};
/// use proxmox_client::{Poll, id::{StorageName, VmId}, reread};
///
/// let mut builder = PveMock::builder();
/// for name in ["nvme-lvm", "sata-lvm"] {
///     builder = builder.storage(MockStorage::lvm_thin(StorageName::new(name)?));
/// }
/// let mock = builder.start().await;
/// mock.add_vm(VmId::new(104)?, &[("scsi0", "nvme-lvm:1")]);
/// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
///
/// let task = reread(async || {
///     let digest = vm.config().await?.digest.unwrap_or_default();
///     let to = MoveDiskRequest::new(StorageName::new("sata-lvm")?).digest(digest);
///     vm.move_disk("scsi0".parse()?, &to).await
/// })
/// .await?;
/// task.wait(Poll::default()).await?;
/// # Ok::<(), proxmox_client::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// What `change` returns. `Conflict` means that the configuration changed twice.
pub async fn reread<T>(mut change: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    match change().await {
        Err(error) if error.reason() == Some(Reason::ConfigChanged) => change().await,
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    async fn attempts(failures: u32, reason: Reason) -> (u32, bool) {
        let mut made = 0;
        let result = reread(async || {
            made += 1;
            match made <= failures {
                true => Err(Error::new(ErrorKind::Conflict, "test").with_reason(Some(reason))),
                false => Ok(()),
            }
        })
        .await;
        (made, result.is_ok())
    }

    #[tokio::test]
    async fn a_change_that_met_another_one_is_made_once_more() {
        assert_eq!(attempts(0, Reason::ConfigChanged).await, (1, true));
        assert_eq!(attempts(1, Reason::ConfigChanged).await, (2, true));
        assert_eq!(attempts(2, Reason::ConfigChanged).await, (2, false));
    }

    #[tokio::test]
    async fn other_failures_are_returned_at_once() {
        assert_eq!(attempts(1, Reason::VmRunning).await, (1, false));
    }
}
