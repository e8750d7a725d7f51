//! Where a machine may be found, as somebody else reports: a DHCP server, an IPAM.

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;

/// The machine whose address is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressQuery {
    /// The name of its cluster.
    pub cluster: String,
    /// Its name at Proxmox VE.
    pub name: String,
    /// Its VM id.
    pub vm_id: u32,
    /// Its Proxmox node.
    pub node: String,
    /// Its SMBIOS UUID, which some DHCP clients send.
    pub uuid: String,
    /// The MAC addresses of its network cards, `BC:24:11:00:00:01`, in their order.
    pub mac_addresses: Vec<String>,
}

/// Tells at which addresses a machine may be found before it is configured: the leases of a DHCP server, an IPAM, a scan.
///
/// It is asked in each attempt of the wait for the first boot, after the declared address and the guest agent led nowhere,
/// and has five seconds. An answer is a hint and never proof: a machine is accepted only when it is in maintenance mode and
/// reports the SMBIOS UUID of its VM, so a stale lease does no harm. Errors, late answers and wrong ones are causes of the
/// wait, which the events and the error at its deadline name; the next attempt asks again.
///
/// ```
/// use std::net::IpAddr;
///
/// use lungmen_bootstrap::{AddressQuery, AddressResolver};
///
/// /// The lease file of dnsmasq: time, MAC address, address, host name and client id in each line.
/// struct Leases(std::path::PathBuf);
///
/// #[lungmen_bootstrap::async_trait]
/// impl AddressResolver for Leases {
///     fn name(&self) -> String {
///         "dnsmasq".to_owned()
///     }
///
///     async fn resolve(
///         &self,
///         machine: &AddressQuery,
///     ) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
///         let leases = tokio::fs::read_to_string(&self.0).await?;
///         let of_machine = |mac: &str| machine.mac_addresses.iter().any(|own| own.eq_ignore_ascii_case(mac));
///         let addresses = leases.lines().filter_map(|line| {
///             let mut fields = line.split(' ').skip(1);
///             fields.next().filter(|mac| of_machine(mac))?;
///             fields.next()?.parse().ok()
///         });
///         Ok(addresses.collect())
///     }
/// }
/// ```
#[async_trait]
pub trait AddressResolver: Send + Sync {
    /// What events, reports and errors call it.
    fn name(&self) -> String;

    /// The addresses at which the machine may be, the likeliest first; none when nothing is known yet. May be called any
    /// number of times and for several machines at once, and must change nothing.
    ///
    /// # Errors
    /// Anything: it becomes a cause of the wait.
    async fn resolve(
        &self,
        machine: &AddressQuery,
    ) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>>;
}

impl fmt::Debug for dyn AddressResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddressResolver")
            .field(&self.name())
            .finish()
    }
}
