//! Identifiers, checked by the server's own rules when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The number of a VM, 100 to 999999999, unique over the cluster and over containers.
///
/// It may lie outside the range from which the server proposes free ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VmId(u32);

impl VmId {
    /// The smallest id.
    pub const MIN: u32 = 100;
    /// The largest id.
    pub const MAX: u32 = 999_999_999;

    /// Checks the range.
    ///
    /// # Errors
    /// `InvalidInput` outside 100 to 999999999.
    pub fn new(number: u32) -> Result<Self> {
        if (Self::MIN..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(invalid(
                "VM id",
                &number.to_string(),
                "a number from 100 to 999999999",
            ))
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for VmId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = !text.starts_with(['+', '0']);
        match text.parse() {
            Ok(number) if plain => Self::new(number),
            _ => Err(invalid("VM id", text, "a number from 100 to 999999999")),
        }
    }
}

impl TryFrom<u32> for VmId {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self> {
        Self::new(number)
    }
}

impl From<VmId> for u32 {
    fn from(id: VmId) -> Self {
        id.0
    }
}

impl crate::wire::FromWire for VmId {
    fn from_wire(value: serde_json::Value) -> Option<Self> {
        crate::wire::text(&value)?.parse().ok()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::new(number.try_into().ok()?).ok()
    }
}

crate::wire::from_wire_text!(NodeName, StorageName, BridgeName, VolumeId, MacAddress);

fn invalid(what: &str, value: &str, allowed: &str) -> Error {
    Error::field(
        "check identifier",
        what,
        format!("`{value}` is not {allowed}"),
    )
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $check:expr) => {
        text_id!($(#[$doc])* $name, $what, $allowed, $check, |text| text);
    };
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $check:expr, $spell:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the form.
            ///
            /// # Errors
            /// `InvalidInput` with the rule when the text breaks it.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                let spell: fn(String) -> String = $spell;
                if check(&text) {
                    Ok(Self(spell(text)))
                } else {
                    Err(invalid($what, &text, $allowed))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id!(
    /// The short host name of a node, as `GET /nodes` lists it.
    ///
    /// A domain name or an address is refused here, because the server would answer with a
    /// certificate or connection failure between its nodes (596, 595).
    NodeName,
    "node name",
    "a short host name (letters, digits and inner hyphens; no dots)",
    is_host_label
);

text_id!(
    /// The name of a storage, for example `local`.
    StorageName,
    "storage name",
    "a storage name (a letter, then letters, digits, `-`, `_`, `.`, ending in a letter or digit)",
    is_storage_name
);

text_id!(
    /// The name of a bridge or SDN vnet, for example `vmbr1`.
    BridgeName,
    "bridge name",
    "a bridge name (letters, digits, `-`, `_`, `.`)",
    |text| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    }
);

text_id!(
    /// A volume, `STORAGE:NAME`: `local:iso/talos.iso`, `nvme-lvm:vm-104-disk-0`.
    VolumeId,
    "volume id",
    "of the form STORAGE:NAME, without commas",
    |text| match text.split_once(':') {
        Some((storage, name)) => {
            is_storage_name(storage)
                && !name.is_empty()
                && !name.contains(',')
                && !name.contains(char::is_whitespace)
        }
        None => false,
    }
);

impl VolumeId {
    /// The volume that an upload or download of `file_name` as `content` makes on `storage`.
    ///
    /// The server cuts everything up to the last slash and replaces every character outside
    /// `[a-zA-Z0-9_.-]` by an underscore; so does this.
    ///
    /// # Errors
    /// `InvalidInput` when nothing is left of the name, or it is longer than 255 bytes.
    pub fn of_file(storage: &StorageName, content: &str, file_name: &str) -> Result<Self> {
        let name = normalized_file_name(file_name);
        if name.is_empty() || name.len() > 255 {
            return Err(invalid(
                "file name",
                file_name,
                "a name of 1 to 255 characters",
            ));
        }
        Self::new(format!("{storage}:{content}/{name}"))
    }

    /// The storage part.
    #[must_use]
    pub fn storage(&self) -> StorageName {
        StorageName(self.0.split(':').next().unwrap_or_default().to_owned())
    }

    /// Everything after the colon.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }

    /// The last path segment: the file name of an ISO image.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.name().rsplit('/').next().unwrap_or_default()
    }
}

/// The name under which the server stores an uploaded or downloaded file.
pub(crate) fn normalized_file_name(name: &str) -> String {
    name.rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

text_id!(
    /// A unicast MAC address, kept in upper case as the server prints it.
    MacAddress,
    "MAC address",
    "six hexadecimal pairs with colons, the first one even (unicast)",
    is_mac_address,
    |text| text.to_ascii_uppercase()
);

impl MacAddress {
    /// Whether `other`, in any letter case, is the same address.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

pub(crate) fn is_host_label(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_storage_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_mac_address(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    pairs.len() == 6
        && pairs
            .iter()
            .all(|pair| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit()))
        && u8::from_str_radix(pairs[0], 16).is_ok_and(|first| first % 2 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vm_ids_have_a_range() {
        assert_eq!("2411000".parse::<VmId>().unwrap().get(), 2_411_000);
        for text in ["99", "1000000000", "-1", "+104", "0104", "x", ""] {
            assert!(text.parse::<VmId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_name_is_no_node_name() {
        assert!(NodeName::new("pve-01").is_ok());
        for text in ["pve.example.org", "10.0.0.1", "-pve", "pve-", "", "pve_1"] {
            assert!(NodeName::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_volume_id_has_a_storage_and_a_name() {
        let volume = VolumeId::new("local:iso/talos.iso").unwrap();

        assert_eq!(volume.storage().as_str(), "local");
        assert_eq!(volume.name(), "iso/talos.iso");
        assert_eq!(volume.file_name(), "talos.iso");
        for text in ["local", ":iso/x", "local:", "local:iso/a,b.iso"] {
            assert!(VolumeId::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn file_names_become_what_the_server_stores() {
        let storage = StorageName::new("local").unwrap();
        let volume = VolumeId::of_file(&storage, "iso", "dir/talos v1.10.7 (x).iso").unwrap();

        assert_eq!(volume.as_str(), "local:iso/talos_v1.10.7__x_.iso");
    }

    #[test]
    fn multicast_addresses_are_refused() {
        assert!(MacAddress::new("BC:24:11:AA:BB:CC").is_ok());
        assert!(MacAddress::new("01:24:11:AA:BB:CC").is_err());
        assert!(MacAddress::new("BC-24-11-AA-BB-CC").is_err());
    }

    #[test]
    fn an_error_names_the_value_and_the_rule() {
        let error = StorageName::new("1st").unwrap_err();

        assert!(
            error.to_string().contains("`1st` is not a storage name"),
            "{error}"
        );
    }
}
