//! Network cards as property strings.

use std::fmt;
use std::str::FromStr;

use super::text_enum::text_enum;
use crate::error::{Error, Result};
use crate::id::{BridgeName, MacAddress};
use crate::property::{PropertyString, duplicate};

text_enum!(
    /// The model of a network card.
    NetworkModel {
        /// Paravirtualized, the one for Linux guests.
        Virtio = "virtio",
        /// Intel e1000.
        E1000 = "e1000",
        /// Intel e1000e.
        E1000e = "e1000e",
        /// Realtek 8139.
        Rtl8139 = "rtl8139",
        /// VMware vmxnet3.
        Vmxnet3 = "vmxnet3",
    }
);

/// The models of the server; each is also a key whose value is the MAC address (PVE 8.4.21 and 9.2.11).
const MODELS: [&str; 14] = [
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

/// Keys that are no models.
const OPTIONS: [&str; 10] = [
    "model",
    "macaddr",
    "bridge",
    "firewall",
    "link_down",
    "mtu",
    "queues",
    "rate",
    "tag",
    "trunks",
];

/// A network card.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NetworkDevice {
    /// The model.
    pub model: NetworkModel,
    /// The MAC address; the server makes one up when it is not given.
    pub mac: Option<MacAddress>,
    /// The bridge or SDN vnet. An unknown one is noticed only when the VM starts.
    pub bridge: Option<BridgeName>,
    /// The VLAN id, 1 to 4094.
    pub vlan: Option<u16>,
    /// Whether the firewall of the server filters it.
    pub firewall: Option<bool>,
    /// Whether the cable is pulled.
    pub link_down: Option<bool>,
    /// The MTU; 1 takes the bridge's. Virtio only.
    pub mtu: Option<u16>,
    /// The number of packet queues.
    pub queues: Option<u8>,
    /// Options that this crate has no name for.
    pub other: Vec<(String, String)>,
}

impl NetworkDevice {
    /// A virtio card on this bridge.
    #[must_use]
    pub fn virtio(bridge: BridgeName) -> Self {
        Self {
            bridge: Some(bridge),
            ..Self::unconnected(NetworkModel::Virtio)
        }
    }

    fn unconnected(model: NetworkModel) -> Self {
        Self {
            model,
            mac: None,
            bridge: None,
            vlan: None,
            firewall: None,
            link_down: None,
            mtu: None,
            queues: None,
            other: Vec::new(),
        }
    }

    /// Sets the model.
    #[must_use]
    pub fn model(mut self, model: NetworkModel) -> Self {
        self.model = model;
        self
    }

    /// Sets the MAC address.
    #[must_use]
    pub fn mac(mut self, mac: MacAddress) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Sets the VLAN id.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }

    /// Filters the traffic by the firewall of the server.
    #[must_use]
    pub fn firewall(mut self) -> Self {
        self.firewall = Some(true);
        self
    }

    /// Does not filter the traffic, which is the server's default.
    #[must_use]
    pub fn without_firewall(mut self) -> Self {
        self.firewall = Some(false);
        self
    }

    /// Unplugs the network cable.
    #[must_use]
    pub fn link_down(mut self) -> Self {
        self.link_down = Some(true);
        self
    }

    /// Sets the MTU.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Any other option of a network card.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((key.into(), value.into()));
        self
    }

    /// Whether `MODEL=MAC` is read as the model and the address.
    fn model_can_be_a_key(&self) -> bool {
        let model = self.model.as_str();
        !model.contains('=')
            && model.trim() == model
            && !OPTIONS.contains(&model)
            && self.other.iter().all(|(key, _)| key != model)
    }

    pub(super) fn to_property(&self) -> PropertyString {
        let mut text = PropertyString::with_default("model", &self.model);
        match &self.mac {
            // The server's own spelling of model and address in one.
            Some(mac) if self.model_can_be_a_key() => {
                text = PropertyString::default();
                text.push(self.model.as_str(), mac);
            }
            Some(mac) => text.push("macaddr", mac),
            None => {}
        }
        text.push_some("bridge", self.bridge.as_ref());
        text.push_flag("firewall", self.firewall);
        text.push_flag("link_down", self.link_down);
        text.push_some("mtu", self.mtu.as_ref());
        text.push_some("queues", self.queues.as_ref());
        text.push_some("tag", self.vlan.as_ref());
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text
    }
}

impl fmt::Display for NetworkDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_property().fmt(f)
    }
}

impl FromStr for NetworkDevice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        let mut device = match parsed.take_default(&["model"])? {
            Some(model) => Self::unconnected(model.as_str().into()),
            None => take_model_and_mac(&mut parsed)?,
        };
        if parsed.iter().any(|(key, _)| MODELS.contains(&key)) {
            return Err(duplicate("model"));
        }
        if let Some(mac) = parsed.take_parsed("macaddr")?
            && device.mac.replace(mac).is_some()
        {
            return Err(duplicate("macaddr"));
        }
        device.bridge = parsed.take_parsed("bridge")?;
        device.vlan = parsed.take_parsed("tag")?;
        device.firewall = parsed.take_flag("firewall")?;
        device.link_down = parsed.take_flag("link_down")?;
        device.mtu = parsed.take_parsed("mtu")?;
        device.queues = parsed.take_parsed("queues")?;
        device.other = parsed.into_rest();
        Ok(device)
    }
}

/// `virtio=BC:24:11:AA:BB:CC`: the model is the key of a pair whose value is an address.
fn take_model_and_mac(parsed: &mut PropertyString) -> Result<NetworkDevice> {
    let pair = parsed
        .iter()
        .filter(|(key, _)| !OPTIONS.contains(key))
        .find_map(|(key, value)| Some((key.to_owned(), MacAddress::new(value).ok()?)));
    let Some((model, mac)) = pair else {
        let problem = "model: property is missing and it is not optional";
        return Err(Error::field("parse property string", "value", problem));
    };
    parsed.take(&model);
    Ok(NetworkDevice {
        mac: Some(mac),
        ..NetworkDevice::unconnected(model.as_str().into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_address_have_three_spellings() {
        let spelled: Vec<NetworkDevice> = [
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2",
            "model=virtio,macaddr=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2",
            "virtio,macaddr=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();

        assert_eq!(spelled[0], spelled[1]);
        assert_eq!(spelled[0], spelled[2]);
        assert_eq!(spelled[0].vlan, Some(2));
        assert_eq!(
            spelled[1].to_string(),
            "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2"
        );
    }

    #[test]
    fn a_model_that_is_given_twice_is_refused_as_the_server_does() {
        for text in [
            "e1000,model=virtio",
            "e1000,virtio=BC:24:11:AA:BB:CC",
            "model=e1000,virtio=BC:24:11:AA:BB:CC",
            "e1000=BC:24:11:AA:BB:CC,virtio=BC:24:11:AA:BB:CD",
            "macaddr=BC:24:11:AA:BB:CC,virtio=BC:24:11:AA:BB:CD",
        ] {
            let error = text.parse::<NetworkDevice>().unwrap_err();
            assert!(
                error.to_string().contains("duplicate key"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_model_that_is_no_key_is_written_under_its_name() {
        let mac = MacAddress::new("BC:24:11:AA:BB:CC").unwrap();
        for model in ["=x", "a=b", " x", "bridge", "macaddr"] {
            let bare = NetworkDevice::unconnected(model.into());
            for card in [bare.clone().mac(mac.clone()), bare] {
                let printed = card.to_string();
                assert_eq!(printed.parse::<NetworkDevice>().unwrap(), card, "{printed}");
            }
        }
    }

    #[test]
    fn a_card_without_address_is_written_with_a_bare_model() {
        let bridge = BridgeName::new("vmbr1").unwrap();
        let device = NetworkDevice::virtio(bridge).vlan(2).firewall();

        assert_eq!(device.to_string(), "virtio,bridge=vmbr1,firewall=1,tag=2");
    }

    #[test]
    fn unknown_options_survive() {
        let text = "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,trunks=2;3";

        assert_eq!(text.parse::<NetworkDevice>().unwrap().to_string(), text);
    }
}
