//! Texts and numbers with a form of their own.

use std::net::SocketAddr;

use super::Enumeration;
use super::enums::enumeration;
use super::size;
use crate::go::address::{check_address, check_address_port, check_prefix, parse_ip, parse_prefix};

/// A form of texts and numbers that a Go type reads and writes by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Codec {
    /// `1m30s`.
    Duration,
    /// `32GiB`; keeps its text.
    ByteSize,
    /// A byte size or a percentage; keeps its text.
    Size,
    /// A CEL expression; keeps its text.
    Expression,
    /// An IP address, with a port or as a prefix.
    Address(Address),
    /// `00:11:22:33:44:55`.
    HardwareAddress,
    /// A value with a name.
    Enumeration(&'static Enumeration),
    /// A URL, merged part by part.
    Url,
    /// A port or `lo-hi`.
    PortRange,
    /// A size that is written in SI units.
    DiskSize,
    /// Permissions, written in octal.
    FileMode,
    /// `>= 100GB`; keeps its text.
    DiskSizeMatcher,
    /// Bytes in base64.
    Base64,
    /// The value of a command line argument.
    Argument,
}

/// What belongs to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    Plain,
    Port,
    Prefix,
}

impl Codec {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "time.Duration" => Self::Duration,
            "block.ByteSize" => Self::ByteSize,
            "block.Size" => Self::Size,
            "cel.Expression" => Self::Expression,
            "netip.Addr" | "network.Addr" | "meta.Addr" => Self::Address(Address::Plain),
            "netip.AddrPort" | "network.AddrPort" | "meta.AddrPort" => Self::Address(Address::Port),
            "netip.Prefix" | "network.Prefix" | "meta.Prefix" => Self::Address(Address::Prefix),
            "nethelpers.HardwareAddr" => Self::HardwareAddress,
            "v1alpha1.Endpoint" | "meta.URL" => Self::Url,
            "network.PortRange" => Self::PortRange,
            "v1alpha1.DiskSize" => Self::DiskSize,
            "v1alpha1.FileMode" | "runtime.EtcFileMode" => Self::FileMode,
            "v1alpha1.InstallDiskSizeMatcher" => Self::DiskSizeMatcher,
            "v1alpha1.Base64Bytes" => Self::Base64,
            "v1alpha1.ArgValue" | "meta.ArgValue" => Self::Argument,
            name => return enumeration(name).map(Self::Enumeration),
        })
    }

    /// Whether Go reads it from text by `UnmarshalText`, which sees the text of any scalar.
    pub(crate) fn reads_text(self) -> bool {
        matches!(
            self,
            Self::ByteSize
                | Self::Size
                | Self::Expression
                | Self::Address(_)
                | Self::HardwareAddress
                | Self::Enumeration(_)
        )
    }

    /// Whether Go reads it by `UnmarshalYAML`.
    pub(crate) fn reads_yaml(self) -> bool {
        matches!(
            self,
            Self::Url | Self::PortRange | Self::DiskSize | Self::DiskSizeMatcher | Self::Argument
        )
    }

    /// Whether the Go type is a struct, so that a mapping in its place is a matter of unknown keys.
    pub(crate) fn is_struct(self) -> bool {
        match self {
            Self::Duration
            | Self::DiskSize
            | Self::FileMode
            | Self::Base64
            | Self::HardwareAddress
            | Self::Enumeration(_) => false,
            Self::ByteSize
            | Self::Size
            | Self::Expression
            | Self::Address(_)
            | Self::Url
            | Self::PortRange
            | Self::DiskSizeMatcher
            | Self::Argument => true,
        }
    }

    /// Whether the Go type is a list of bytes.
    pub(crate) fn is_bytes(self) -> bool {
        matches!(self, Self::Base64 | Self::HardwareAddress)
    }
}

/// Checks a byte size, which may be negative.
pub(crate) fn check_byte_size(text: &str, negative: bool) -> Result<(), String> {
    let text = if negative {
        text.strip_prefix('-').unwrap_or(text)
    } else {
        text
    };
    size::parse_bytes(text).map(drop)
}

/// Checks a percentage.
pub(crate) fn check_percentage(text: &str, negative: bool) -> Result<(), String> {
    size::check_percentage(text, negative)
}

/// Reads the size of a legacy disk partition in bytes.
pub(crate) fn parse_disk_size(text: &str) -> Result<u64, String> {
    size::parse_bytes(text)
}

/// Writes the size of a legacy disk partition; nothing when it has no exact SI text.
pub(crate) fn disk_size_text(bytes: u64) -> Option<String> {
    size::si_text(bytes)
}

/// Reads a duration in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    size::parse_duration(text)
}

/// Writes a duration of nanoseconds.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    size::duration_text(nanoseconds)
}

/// Reads a disk size condition and returns it without the space around it.
pub(crate) fn check_disk_size_matcher(text: &str) -> Result<String, String> {
    let condition = text.trim();
    // The operator stands in front; without one the sizes must be equal.
    let size = [">=", "<=", "==", ">", "<"]
        .iter()
        .find_map(|operator| condition.strip_prefix(operator))
        .unwrap_or(condition);
    match size::parse_bytes(size.trim()) {
        Ok(_) => Ok(condition.to_owned()),
        Err(error) => Err(format!("failed to parse disk size {size}: {error}")),
    }
}

/// Reads an address and returns it in its canonical form.
pub(crate) fn canonical_address(text: &str, kind: Address) -> Result<String, String> {
    match kind {
        Address::Plain => {
            check_address(text)?;
            Ok(parse_ip(text).map_or_else(|| text.to_owned(), |ip| ip.to_string()))
        }
        Address::Port => canonical_address_port(text),
        Address::Prefix => {
            check_prefix(text)?;
            Ok(parse_prefix(text)
                .map_or_else(|| text.to_owned(), |(ip, bits)| format!("{ip}/{bits}")))
        }
    }
}

fn canonical_address_port(text: &str) -> Result<String, String> {
    check_address_port(text)?;
    let address = text.parse::<SocketAddr>();
    Ok(address.map_or_else(|_| text.to_owned(), |address| address.to_string()))
}

/// Reads a hardware address or a DUID: hexadecimal bytes of any number, with colons anywhere. Returns it with a colon between
/// the bytes.
pub(crate) fn canonical_hardware_address(text: &str) -> Result<String, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    if let Some(byte) = digits.iter().find(|byte| !byte.is_ascii_hexdigit()) {
        return Err(format!("encoding/hex: invalid byte: {}", code_point(*byte)));
    }
    if !digits.len().is_multiple_of(2) {
        return Err("encoding/hex: odd length hex string".to_owned());
    }
    let pairs: Vec<String> = digits
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_ascii_lowercase())
        .collect();
    Ok(pairs.join(":"))
}

/// A byte as a code point, with the character where it can be printed: `U+0067 'g'`.
fn code_point(byte: u8) -> String {
    let character = char::from(byte);
    let is_printable = !character.is_control() && !matches!(byte, 0xa0 | 0xad);
    if is_printable {
        format!("U+{byte:04X} '{character}'")
    } else {
        format!("U+{byte:04X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_out_canonical() {
        assert_eq!(
            canonical_address("FD00::0001", Address::Plain).as_deref(),
            Ok("fd00::1")
        );
        assert_eq!(
            canonical_address("[fd00::1]:51820", Address::Port).as_deref(),
            Ok("[fd00::1]:51820")
        );
        assert_eq!(
            canonical_address("10.0.0.1/8", Address::Prefix).as_deref(),
            Ok("10.0.0.1/8")
        );
        assert_eq!(
            canonical_address("10.0.0.0", Address::Prefix),
            Err("netip.ParsePrefix(\"10.0.0.0\"): no '/'".to_owned())
        );
        assert!(canonical_address("10.0.0.0/33", Address::Prefix).is_err());
        assert!(canonical_address("10.0.0.256", Address::Plain).is_err());
    }

    #[test]
    fn hardware_addresses_come_out_canonical() {
        for (text, canonical) in [
            ("00:1A:2b:3c:4d:5e", "00:1a:2b:3c:4d:5e"),
            ("001a2b3c4d5e", "00:1a:2b:3c:4d:5e"),
            (
                "00:03:00:01:aa:bb:cc:dd:ee:ff",
                "00:03:00:01:aa:bb:cc:dd:ee:ff",
            ),
            ("2:e3:c4:0", "2e:3c:40"),
            ("00:1a", "00:1a"),
            ("", ""),
        ] {
            assert_eq!(
                canonical_hardware_address(text).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
        assert_eq!(
            canonical_hardware_address("2:e3:c4"),
            Err("encoding/hex: odd length hex string".to_owned())
        );
        for (text, byte) in [
            ("00-1a-2b-3c-4d-5e", "U+002D '-'"),
            ("0é:1a", "U+00C3 'Ã'"),
            ("0 ", "U+0020 ' '"),
            ("0\n", "U+000A"),
        ] {
            assert_eq!(
                canonical_hardware_address(text),
                Err(format!("encoding/hex: invalid byte: {byte}")),
            );
        }
    }

    #[test]
    fn disk_size_conditions_are_checked() {
        assert_eq!(
            check_disk_size_matcher(" >= 100GB ").as_deref(),
            Ok(">= 100GB")
        );
        assert_eq!(
            check_disk_size_matcher("<= 3XB"),
            Err("failed to parse disk size  3XB: unhandled size name: xb".to_owned())
        );
    }
}
