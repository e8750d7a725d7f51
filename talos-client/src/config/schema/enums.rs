//! Enumerations and the names of their values.

use super::Minor;

/// A Go enumeration that is written by name.
#[derive(Debug)]
pub(crate) struct Enumeration {
    name: &'static str,
    values: &'static [Member],
    form: Form,
}

/// A value and the minor versions that know it.
#[derive(Debug)]
struct Member {
    number: u32,
    name: &'static str,
    releases: (u16, u16),
}

/// Where an enumeration differs from a plain list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Names in any case.
    Names,
    /// The tables 1 to 252 are their own names.
    RoutingTables,
    /// Names in lower case only; an empty text is the first, and the numbers of old releases are taken as well.
    FailOverMac,
}

macro_rules! enumerations {
    ($($go:literal $name:literal $(as $form:ident)?: $($number:literal $value:literal $(in [$since:literal, $until:literal])?),+;)*) => {
        /// The enumeration of a Go type.
        pub(crate) fn enumeration(go: &str) -> Option<&'static Enumeration> {
            match go {
                $($go => Some(const {
                    &Enumeration { name: $name, values: &[$(Member { number: $number, name: $value, releases: [(10, 14) $(, ($since, $until))?] [0 $(+ { let _: u16 = $since; 1 })?] }),+], form: [Form::Names $(, Form::$form)?][0 $(+ { let _ = Form::$form; 1 })?] }
                }),)*
                _ => None,
            }
        }
    };
}

enumerations! {
    "block.EncryptionProviderType" "EncryptionProviderType": 0 "none", 1 "luks2";
    "block.FilesystemType" "FilesystemType":
        0 "none", 1 "xfs", 2 "vfat", 3 "ext4", 4 "iso9660", 5 "swap" in [11, 12], 5 "swapi" in [13, 14],
        6 "virtiofs" in [13, 14], 7 "btrfs" in [14, 14];
    "block.VolumeType" "VolumeType":
        0 "partition", 1 "disk", 2 "tmpfs", 3 "directory", 4 "symlink", 5 "overlay", 6 "external" in [13, 14];
    "nethelpers.ADLACPActive" "ADLACPActive": 0 "off", 1 "on";
    "nethelpers.ADSelect" "ADSelect": 0 "stable", 1 "bandwidth", 2 "count";
    "nethelpers.ARPAllTargets" "ARPAllTargets": 0 "any", 1 "all";
    "nethelpers.ARPValidate" "ARPValidate":
        0 "none", 1 "active", 2 "backup", 3 "all", 4 "filter" in [12, 14], 5 "filter-active" in [12, 14],
        6 "filter-backup" in [12, 14];
    "nethelpers.AutoHostnameKind" "AutoHostnameKind": 0 "off", 1 "talos-addr", 2 "stable";
    "nethelpers.BondMode" "BondMode":
        0 "balance-rr", 1 "active-backup", 2 "balance-xor", 3 "broadcast", 4 "802.3ad", 5 "balance-tlb", 6 "balance-alb";
    "nethelpers.BondXmitHashPolicy" "BondXmitHashPolicy":
        0 "layer2", 1 "layer3+4", 2 "layer2+3", 3 "encap2+3", 4 "encap3+4";
    "nethelpers.ClientIdentifier" "ClientIdentifier": 0 "none", 1 "mac", 2 "duid";
    "nethelpers.DNSProtocol" "DNSProtocol": 0 "Do53", 1 "DoT", 2 "DoH";
    "nethelpers.DefaultAction" "DefaultAction": 0 "accept", 1 "block";
    "nethelpers.FailOverMAC" "FailOverMAC" as FailOverMac: 0 "none", 1 "active", 2 "follow";
    "nethelpers.LACPRate" "LACPRate": 0 "slow", 1 "fast";
    "nethelpers.PrimaryReselect" "PrimaryReselect": 0 "always", 1 "better", 2 "failure";
    "nethelpers.Protocol" "Protocol": 1 "icmp", 6 "tcp", 17 "udp", 58 "icmpv6";
    "nethelpers.RoutingRuleAction" "RoutingRuleAction":
        0 "unspec", 1 "unicast", 6 "blackhole", 7 "unreachable", 8 "prohibit";
    "nethelpers.RoutingTable" "RoutingTable" as RoutingTables: 0 "unspec", 253 "default", 254 "main", 255 "local";
    "nethelpers.VLANProtocol" "VLANProtocol": 33024 "802.1q", 34984 "802.1ad";
    "nethelpers.WOLMode" "WOLMode":
        1 "phy", 2 "unicast", 4 "multicast", 8 "broadcast", 32 "magic", 64 "magicsecure", 128 "filter";
    "storage.LVMLogicalVolumeType" "LVMLogicalVolumeType": 0 "linear", 1 "raid1", 2 "raid0", 3 "raid10";
    "storage.MDLevel" "MDLevel": 0 "raid1";
    "storage.MDMetadata" "MDMetadata": 0 "1.0", 1 "1.2";
}

impl Enumeration {
    /// The number behind a name in a release.
    pub(crate) fn parse(&self, text: &str, minor: Minor) -> Result<u32, String> {
        let named = |exact: bool| {
            let fits = |member: &&Member| {
                if exact {
                    member.name == text
                } else {
                    member.name.eq_ignore_ascii_case(text)
                }
            };
            self.members(minor).find(fits).map(|member| member.number)
        };
        match self.form {
            Form::Names => named(false).ok_or_else(|| self.refusal(text)),
            Form::RoutingTables => named(false)
                .or_else(|| table_number(text))
                .ok_or_else(|| self.refusal(text)),
            Form::FailOverMac if text.is_empty() => Ok(0),
            Form::FailOverMac => named(true)
                .or_else(|| small_number(text).filter(|number| *number <= 2))
                .ok_or_else(|| format!("invalid fail_over_mac value {text}")),
        }
    }

    fn refusal(&self, text: &str) -> String {
        format!("{text} does not belong to {} values", self.name)
    }

    fn members(&self, minor: Minor) -> impl Iterator<Item = &Member> {
        self.values.iter().filter(move |member| {
            let (since, until) = member.releases;
            (since..=until).contains(&minor.number())
        })
    }

    /// The name of a number in a release.
    pub(crate) fn text(&self, number: u32, minor: Minor) -> String {
        match self.members(minor).find(|member| member.number == number) {
            Some(member) => member.name.to_owned(),
            None if self.form == Form::RoutingTables => number.to_string(),
            None => format!("{}({number})", self.name),
        }
    }
}

/// A routing table without a name, written as a plain decimal number.
fn table_number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    ((1..=252).contains(&number) && number.to_string() == text).then_some(number)
}

/// A number of eight bits, as Go reads it in base 10: with leading zeros and a sign.
fn small_number(text: &str) -> Option<u32> {
    u32::try_from(text.parse::<i8>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let filesystem = enumeration("block.FilesystemType").unwrap();

        assert_eq!(
            filesystem
                .parse("ext4", Minor::V1_14)
                .map(|number| filesystem.text(number, Minor::V1_14)),
            Ok("ext4".to_owned())
        );
        assert_eq!(
            filesystem.parse("zfs", Minor::V1_14),
            Err("zfs does not belong to FilesystemType values".to_owned())
        );
    }

    #[test]
    fn names_belong_to_releases() {
        let filesystem = enumeration("block.FilesystemType").unwrap();

        assert!(filesystem.parse("swap", Minor::V1_12).is_ok());
        assert!(filesystem.parse("swap", Minor::V1_13).is_err());
        assert_eq!(filesystem.parse("swapi", Minor::V1_13), Ok(5));
        assert_eq!(
            filesystem.parse("btrfs", Minor::V1_13),
            Err("btrfs does not belong to FilesystemType values".to_owned())
        );
    }

    #[test]
    fn fail_over_takes_the_numbers_of_old_releases() {
        let values = enumeration("nethelpers.FailOverMAC").unwrap();

        for (text, number) in [
            ("", 0),
            ("none", 0),
            ("follow", 2),
            ("01", 1),
            ("+2", 2),
            ("-0", 0),
        ] {
            assert_eq!(values.parse(text, Minor::V1_14), Ok(number), "{text}");
        }
        for text in ["Active", "3", "-1", "1.0", "0x1", "128"] {
            assert_eq!(
                values.parse(text, Minor::V1_14),
                Err(format!("invalid fail_over_mac value {text}"))
            );
        }
    }

    #[test]
    fn routing_tables_may_be_numbers() {
        let table = enumeration("nethelpers.RoutingTable").unwrap();

        assert_eq!(table.parse("100", Minor::V1_14), Ok(100));
        assert_eq!(table.parse("MAIN", Minor::V1_14), Ok(254));
        for text in ["0", "253", "254", "256", "0100", "+1", "-1", "999"] {
            assert_eq!(
                table.parse(text, Minor::V1_14),
                Err(format!("{text} does not belong to RoutingTable values"))
            );
        }
        assert_eq!(
            (table.text(100, Minor::V1_14), table.text(254, Minor::V1_14)),
            ("100".to_owned(), "main".to_owned())
        );
    }
}
