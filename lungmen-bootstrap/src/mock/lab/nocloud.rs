//! What a Talos node reads from the cloud-init drive of its VM.

use std::net::IpAddr;

use proxmox_client::mock::VmRecord;
use proxmox_client::vm::{Cdrom, Drive};
use secrecy::SecretString;

/// The content of the drive, as far as the lab plays it.
#[derive(Debug, Clone)]
pub(super) struct Nocloud {
    /// The static address of the first network device; `None` means DHCP.
    pub(super) address: Option<IpAddr>,
    /// The name of the VM up to its first dot, unless the drive has other meta data or user data than those of Proxmox VE.
    pub(super) hostname: Option<String>,
    /// The user data, where it is not that of Proxmox VE.
    pub(super) user_data: Option<SecretString>,
}

impl Nocloud {
    /// `None` without a drive, and with one of another type, which Talos does not read on this platform.
    pub(super) fn read(record: &VmRecord) -> Option<Self> {
        let config = &record.config;
        let is_drive = |drive: &Drive| match drive {
            Drive::Cdrom(Cdrom::Image(volume)) => volume
                .file_name()
                .split('.')
                .next()
                .is_some_and(|stem| stem.ends_with("-cloudinit")),
            _ => false,
        };
        let is_nocloud = config.option("citype").is_none_or(|kind| kind == "nocloud");
        if !is_nocloud || !config.drives.values().any(is_drive) {
            return None;
        }
        let user_data = record.user_data.as_deref().map(text);
        Some(Self {
            address: config.option("ipconfig0").and_then(address),
            hostname: hostname(record),
            user_data: user_data.map(SecretString::from),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The host name of the meta data. Those of Proxmox VE have none, and then Talos looks at the user data, where Proxmox VE
/// writes the name of the VM.
fn hostname(record: &VmRecord) -> Option<String> {
    let meta = record.meta_data.as_deref().map(text);
    let own = meta.as_deref().and_then(|meta| {
        let mut lines = meta.lines();
        lines.find_map(|line| line.strip_prefix("local-hostname: "))
    });
    match (own, &record.user_data) {
        (Some(own), _) => Some(own.to_owned()),
        (None, Some(_)) => None,
        (None, None) => {
            let name = record.config.name.as_deref().unwrap_or_default();
            Some(name.split('.').next().unwrap_or(name).to_owned())
        }
    }
}

/// The address of `ip=10.0.2.10/24,gw=10.0.2.1`. DHCP has none.
fn address(ip_config: &str) -> Option<IpAddr> {
    ip_config.split(',').find_map(|part| {
        let value = part
            .strip_prefix("ip=")
            .or_else(|| part.strip_prefix("ip6="))?;
        value.split('/').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_that_without_its_prefix() {
        assert_eq!(
            address("ip=10.0.2.10/24,gw=10.0.2.1"),
            Some(IpAddr::from([10, 0, 2, 10]))
        );
        assert_eq!(
            address("gw6=fe80::1,ip6=2001:db8::1/64"),
            "2001:db8::1".parse().ok()
        );
        assert_eq!(address("ip=dhcp,ip6=auto"), None);
    }
}
