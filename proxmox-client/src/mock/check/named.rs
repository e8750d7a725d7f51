//! The server's named formats, with the text of each when a value does not have it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::pattern::matches;
use super::{Checked, Release, cluster, firewall};

/// Checks a value against the named format; `described` is what the contract says about it. `None` for a format that
/// nothing is known about.
pub(super) fn check(
    name: &str,
    described: Option<&Value>,
    release: Release,
    value: &str,
) -> Option<Checked> {
    let looks_like = |valid: bool, what: &str| match valid {
        true => Ok(()),
        false => Err(format!("value does not look like a valid {what}\n")),
    };
    Some(match name {
        "dns-name" => looks_like(is_dns_name(value), "DNS name"),
        "pve-vmid" => looks_like(matches(r"[1-9][0-9]{2,8}", false, value), "VM ID"),
        "pve-node" => looks_like(is_host_label(value), "node name"),
        "mac-addr" => looks_like(
            matches(r"[a-f0-9][02468ace](:[a-f0-9]{2}){5}", true, value),
            "unicast MAC address",
        ),
        "ipv4" => looks_like(value.parse::<Ipv4Addr>().is_ok(), "IPv4 address"),
        "ipv6" => looks_like(value.parse::<Ipv6Addr>().is_ok(), "IPv6 address"),
        "ip" => looks_like(value.parse::<IpAddr>().is_ok(), "IP address"),
        "address" => looks_like(
            value.parse::<IpAddr>().is_ok() || is_dns_name(value),
            &format!("address: {value}"),
        ),
        "CIDR" => looks_like(cidr(value).is_some(), "CIDR network"),
        "pve-ipv4-config" => looks_like(
            matches!(value, "dhcp" | "manual") || cidr(value).is_some_and(|ip| ip.is_ipv4()),
            "ipv4 network configuration",
        ),
        "pve-ipv6-config" => looks_like(
            matches!(value, "auto" | "dhcp" | "manual")
                || cidr(value).is_some_and(|ip| ip.is_ipv6()),
            "ipv6 network configuration",
        ),
        "disk-size" => looks_like(
            matches(r"(\d+(\.\d+)?)([KMGT](iB)?)?", false, value),
            &format!("disk size: {value}"),
        ),
        _ => return check_by_text(name, described, release, value),
    })
}

/// Formats whose texts quote the value.
fn check_by_text(
    name: &str,
    described: Option<&Value>,
    release: Release,
    value: &str,
) -> Option<Checked> {
    let unless = |valid: bool, text: String| match valid {
        true => Ok(()),
        false => Err(format!("{text}\n")),
    };
    Some(match name {
        "pve-volume-id" => check_volume(value),
        "pve-volume-id-or-qm-path" if matches!(value, "none" | "cdrom") => Ok(()),
        "pve-volume-id-or-qm-path" | "pve-volume-id-or-absolute-path" => {
            match value.starts_with('/') {
                true => Ok(()),
                false => check_volume(value),
            }
        }
        "pve-storage-id" => unless(
            is_storage_id(value),
            format!("storage ID '{value}' contains illegal characters"),
        ),
        "pve-tag" => unless(
            matches(r"[a-z0-9_][a-z0-9_\-\+\.]*", true, value),
            "invalid characters in tag".to_owned(),
        ),
        "pve-configid" => unless(
            matches(r"[a-z][a-z0-9_-]+", true, value),
            format!("invalid configuration ID '{value}'"),
        ),
        "pve-qm-bootdev" => unless(
            is_boot_device(value),
            format!("invalid boot device '{value}'"),
        ),
        "pve-hotplug-features" => check_hotplug(value),
        "pve-startup-order" => unless(
            is_startup_order(value),
            "unable to parse startup options".to_owned(),
        ),
        "pve-storage-content" => unless(
            is_content_type(value),
            format!("invalid content type '{value}'"),
        ),
        "pve-task-status-type" => unless(
            matches("ok|error|warning|unknown", true, value),
            format!("invalid status '{value}'"),
        ),
        "pve-priv" => unless(
            super::super::privileges::is_privilege(release, value),
            format!("invalid privilege '{value}'"),
        ),
        "pve-userid" => unless(
            matches(r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+", false, value),
            format!("value '{value}' does not look like a valid user name"),
        ),
        "pve-tokenid" => unless(
            matches(
                r"[^\s:/]+@[A-Za-z][A-Za-z0-9.\-_]+![A-Za-z][A-Za-z0-9.\-_]+",
                false,
                value,
            ),
            format!("value '{value}' does not look like a valid token ID"),
        ),
        "pve-realm" | "pve-roleid" | "pve-groupid" => unless(
            matches(r"[A-Za-z0-9.\-_]+", false, value),
            format!("value '{value}' contains invalid characters"),
        ),
        "pve-poolid" => unless(
            matches(r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}", false, value),
            format!("pool name '{value}' contains invalid characters"),
        ),
        "pve-qm-bootdisk" => unless(is_drive(value), format!("invalid boot disk '{value}'")),
        "urlencoded" => unless(
            matches(r"[-%a-zA-Z0-9_.!~*'()]*", false, value),
            "invalid urlencoded string".to_owned(),
        ),
        _ => {
            return cluster::check(name, value)
                .or_else(|| firewall::check(name, value))
                .or_else(|| check_described(described, value));
        }
    })
}

/// A format that the contract describes by a pattern.
fn check_described(described: Option<&Value>, value: &str) -> Option<Checked> {
    let format = described?;
    let pattern = format.get("pattern").and_then(Value::as_str)?;
    let fits = matches(pattern, format.get("ignore_case").is_some(), value);
    Some(match fits {
        true => Ok(()),
        false => Err("value does not match the regex pattern\n".to_owned()),
    })
}

fn check_volume(value: &str) -> Checked {
    if matches(r"([a-z][a-z0-9\-_\.]*[a-z0-9]):(.+)", true, value) {
        Ok(())
    } else {
        Err(format!("unable to parse volume ID '{value}'\n"))
    }
}

fn check_hotplug(value: &str) -> Checked {
    if matches!(value, "0" | "1") {
        return Ok(());
    }
    let known = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
    match crate::wire::split_list(value).find(|feature| !known.contains(feature)) {
        None => Ok(()),
        Some(feature) => Err(format!("invalid hotplug feature '{feature}'\n")),
    }
}

/// `order=1,up=30,down=60` in any order; a number alone is the order.
fn is_startup_order(value: &str) -> bool {
    value.split(',').all(|part| {
        let number = match part.trim().split_once('=') {
            Some(("order" | "up" | "down", number)) => number,
            Some(_) => return false,
            None => part.trim(),
        };
        !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    })
}

fn is_content_type(value: &str) -> bool {
    matches!(
        value,
        "images" | "rootdir" | "vztmpl" | "iso" | "backup" | "snippets" | "import" | "none"
    )
}

pub(super) fn is_storage_id(value: &str) -> bool {
    matches(r"[a-z][a-z0-9\-_\.]*[a-z0-9]", true, value)
}

pub(super) fn is_host_label(value: &str) -> bool {
    matches(r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?", false, value)
}

fn is_dns_name(value: &str) -> bool {
    value.split('.').all(is_host_label)
}

/// A device with an index that exists.
fn is_boot_device(value: &str) -> bool {
    let indexed = |name: &str, last: u8| {
        let index = value.strip_prefix(name);
        index.is_some_and(|index| is_index(index, last))
    };
    is_drive(value) || indexed("net", 31) || indexed("usb", 13) || indexed("hostpci", 15)
}

fn is_drive(value: &str) -> bool {
    [("ide", 3), ("sata", 5), ("scsi", 30), ("virtio", 15)]
        .iter()
        .any(|(bus, last)| {
            value
                .strip_prefix(bus)
                .is_some_and(|index| is_index(index, *last))
        })
}

fn is_index(text: &str, last: u8) -> bool {
    let plain = text == "0" || !text.starts_with('0');
    plain
        && text.chars().all(|c| c.is_ascii_digit())
        && text.parse::<u8>().is_ok_and(|index| index <= last)
}

/// Networks that are larger than /8 are none.
fn cidr(value: &str) -> Option<IpAddr> {
    let (address, prefix) = value.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (8..=most).contains(&prefix).then_some(address)
}
