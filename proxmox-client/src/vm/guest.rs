//! Addresses that the guest agent reports, and which of them is the machine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Vm;
use crate::docs::read_errors;
use crate::error::{ErrorKind, Result};
use crate::id::MacAddress;
use crate::poll::{Poll, Probed, WaitState};
use crate::wire;

/// A network interface inside the guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GuestInterface {
    /// The guest's name of it.
    #[serde(default, deserialize_with = "wire::string")]
    pub name: String,
    /// Its MAC address; loopback has none or zeros.
    #[serde(
        default,
        rename = "hardware-address",
        deserialize_with = "wire::opt_string"
    )]
    pub mac: Option<String>,
    /// Its addresses.
    #[serde(default, rename = "ip-addresses")]
    pub addresses: Vec<GuestAddress>,
}

impl GuestInterface {
    /// An interface with these addresses.
    pub fn new(
        name: impl Into<String>,
        mac: Option<&MacAddress>,
        addresses: impl IntoIterator<Item = (IpAddr, u8)>,
    ) -> Self {
        let addresses = addresses
            .into_iter()
            .map(|(address, prefix)| GuestAddress { address, prefix });
        Self {
            name: name.into(),
            mac: mac.map(|mac| mac.as_str().to_ascii_lowercase()),
            addresses: addresses.collect(),
        }
    }
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GuestAddress {
    /// The address.
    #[serde(rename = "ip-address")]
    pub address: IpAddr,
    /// The prefix length.
    #[serde(default)]
    pub prefix: u8,
}

/// Which of a guest's addresses is wanted.
///
/// The interface is found by the MAC address of the network card, whatever the guest calls it and
/// however many bridges it has made; loopback and link-local addresses are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a selector does nothing until it is given interfaces"]
pub struct AddressSelector {
    mac: MacAddress,
    subnet: Option<(IpAddr, u8)>,
}

impl AddressSelector {
    /// An address on the card with this MAC address, IPv4 before IPv6.
    pub fn for_mac(mac: MacAddress) -> Self {
        Self { mac, subnet: None }
    }

    /// Prefers an address in this subnet, where there are several.
    pub fn prefer_subnet(mut self, network: IpAddr, prefix: u8) -> Self {
        self.subnet = Some((network, prefix));
        self
    }

    /// The wanted address, if it is there.
    #[must_use]
    pub fn select(&self, interfaces: &[GuestInterface]) -> Option<IpAddr> {
        let usable: Vec<IpAddr> = interfaces
            .iter()
            .filter(|interface| {
                interface
                    .mac
                    .as_deref()
                    .is_some_and(|mac| self.mac.matches(mac))
            })
            .filter(|interface| !is_inner_interface(&interface.name))
            .flat_map(|interface| &interface.addresses)
            .map(|entry| entry.address)
            .filter(|address| is_usable(*address))
            .collect();
        let preferred = self.subnet.and_then(|(network, prefix)| {
            usable
                .iter()
                .find(|address| in_subnet(**address, network, prefix))
        });
        preferred
            .or_else(|| usable.iter().find(|address| address.is_ipv4()))
            .or_else(|| usable.first())
            .copied()
    }
}

/// Interfaces that clusters make inside the guest; some copy the MAC address of the card below.
fn is_inner_interface(name: &str) -> bool {
    const INNER: &[&str] = &[
        "lo",
        "cni",
        "flannel",
        "cilium",
        "lxc",
        "veth",
        "kubespan",
        "siderolink",
        "dummy",
        "docker",
        "kube-",
    ];
    name == "lo" || INNER.iter().skip(1).any(|prefix| name.starts_with(prefix))
}

fn is_usable(address: IpAddr) -> bool {
    /// Talos answers its own DNS requests of pods on this address.
    const HOST_DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 116, 108);
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4 == HOST_DNS)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unicast_link_local() || v6 == Ipv6Addr::UNSPECIFIED)
        }
    }
}

fn in_subnet(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((address, width), (network, other)) = (bits(address), bits(network));
    let prefix = u32::from(prefix);
    width == other && prefix <= width && (prefix == 0 || (address ^ network) >> (128 - prefix) == 0)
}

impl Vm {
    /// The network interfaces that the guest agent reports.
    ///
    /// Each call without an agent occupies a worker of the server for 3 s: ask no more often than every 5 s. Needs
    /// `VM.GuestAgent.Audit`, before PVE 9 `VM.Monitor`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady` while the agent does not respond; `Rejected` when the VM has no `agent` option or the agent rejects the command; `Conflict` when the VM does not run; `NotFound`")]
    pub async fn guest_interfaces(&self) -> Result<Vec<GuestInterface>> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces";
        let request = self
            .get("read guest interfaces", route)
            .timeout(Duration::from_secs(15));
        self.agent_result(request).await
    }

    /// Waits until the guest agent reports the selected address twice in a row.
    ///
    /// Do not make this the only source of the address: the agent does not respond while Talos installs and reboots,
    /// and never when the extension is missing from the installer image.
    ///
    /// # Errors
    /// `Deadline` with the last cause; at once `Forbidden`, `Rejected` (no agent configured), `NotFound`, `Conflict`,
    /// `Unauthenticated`, `Certificate` and `Decode`.
    pub async fn wait_for_address(&self, selector: &AddressSelector, poll: Poll) -> Result<IpAddr> {
        self.wait_for_address_observed(selector, poll, |_| {}).await
    }

    /// Waits as [`wait_for_address`](Self::wait_for_address) does and calls `observer` after every probe.
    ///
    /// # Errors
    /// `Deadline` with the last cause; at once `Forbidden`, `Rejected` (no agent configured), `NotFound`, `Conflict`,
    /// `Unauthenticated`, `Certificate` and `Decode`.
    pub async fn wait_for_address_observed(
        &self,
        selector: &AddressSelector,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<IpAddr> {
        let before = Mutex::new(None);
        let remember = |found: Option<IpAddr>| {
            std::mem::replace(
                &mut *before.lock().unwrap_or_else(PoisonError::into_inner),
                found,
            )
        };
        let probe = || async {
            let interfaces = match self.guest_interfaces().await {
                Ok(interfaces) => interfaces,
                Err(error) => {
                    remember(None);
                    return match error.kind() {
                        ErrorKind::Server => Ok(Probed::Pending(error.to_string())),
                        _ => Err(error),
                    };
                }
            };
            let found = selector.select(&interfaces);
            Ok(match (found, remember(found)) {
                (Some(address), Some(previous)) if address == previous => Probed::Ready(address),
                (Some(address), _) => Probed::Pending(format!("the agent reported {address} once")),
                (None, _) => Probed::Pending("the agent reported no such address".to_owned()),
            })
        };
        let waiting_for = "a stable address from the guest agent";
        poll.wait(
            "wait for guest address",
            &self.target(),
            waiting_for,
            observer,
            probe,
        )
        .await
        .map_err(|error| error.with_server(self.client.transport().server()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn interfaces() -> Vec<GuestInterface> {
        serde_json::from_value(json!([
            { "name": "lo", "hardware-address": "00:00:00:00:00:00",
              "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8 }] },
            { "name": "cni0", "hardware-address": "bc:24:11:aa:bb:cc",
              "ip-addresses": [{ "ip-address": "10.244.0.1", "prefix": 24 }] },
            { "name": "ens18", "hardware-address": "bc:24:11:aa:bb:cc", "ip-addresses": [
                { "ip-address": "fe80::1", "ip-address-type": "ipv6", "prefix": 64 },
                { "ip-address": "169.254.1.1", "prefix": 16 },
                { "ip-address": "2001:db8::10", "prefix": 64 },
                { "ip-address": "192.168.1.9", "prefix": 24 },
                { "ip-address": "10.0.2.10", "prefix": 24 } ] },
            { "name": "dummy0" },
        ]))
        .unwrap()
    }

    fn selector() -> AddressSelector {
        AddressSelector::for_mac(MacAddress::new("BC:24:11:AA:BB:CC").unwrap())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_card_is_found_by_its_address_and_inner_interfaces_are_skipped() {
        assert_eq!(
            selector().select(&interfaces()),
            Some(address("192.168.1.9"))
        );
    }

    #[test]
    fn the_wished_subnet_wins() {
        let selected = |network, prefix| {
            selector()
                .prefer_subnet(address(network), prefix)
                .select(&interfaces())
        };

        assert_eq!(selected("10.0.2.0", 24), Some(address("10.0.2.10")));
        assert_eq!(selected("2001:db8::", 32), Some(address("2001:db8::10")));
        assert_eq!(selected("172.16.0.0", 12), Some(address("192.168.1.9")));
    }

    #[test]
    fn another_card_or_no_usable_address_is_none() {
        let other = AddressSelector::for_mac(MacAddress::new("BC:24:11:00:00:00").unwrap());
        let mut early = interfaces();
        early[2].addresses.truncate(2);

        assert_eq!(other.select(&interfaces()), None);
        assert_eq!(selector().select(&early), None);
    }
}
