//! The forms that the rules ask for.

use std::net::IpAddr;

use crate::id::is_host_label;
use crate::wire::split_list;

/// Whether there are items, and each of them passes.
pub(crate) fn all_of(text: &str, fits: impl Fn(&str) -> bool) -> bool {
    let mut items = split_list(text).peekable();
    items.peek().is_some() && items.all(fits)
}

pub(crate) fn is_dns_name(text: &str) -> bool {
    text.split('.').all(is_host_label)
}

/// A letter, then at least one letter, digit, hyphen or underscore.
pub(crate) fn is_config_id(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

pub(crate) fn is_alias(text: &str) -> bool {
    let name = text
        .strip_prefix("dc/")
        .or_else(|| text.strip_prefix("guest/"))
        .unwrap_or(text);
    is_config_id(name) && text.len() <= 64
}

/// Addresses and networks that are separated by commas and are of one family, or one range.
pub(crate) fn is_address_list(text: &str) -> bool {
    let (items, are_items): (Vec<&str>, bool) = match text.split_once('-') {
        Some((from, to)) => (vec![from, to], is_address(from) && is_address(to)),
        None => {
            let items: Vec<&str> = text.split(',').collect();
            let fit = items
                .iter()
                .all(|item| is_cidr(item, 0) || is_address(item));
            (items, fit)
        }
    };
    let sixes = items.iter().filter(|item| item.contains(':')).count();
    are_items && (sixes == 0 || sixes == items.len())
}

pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

pub(crate) fn is_access_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

pub(crate) fn is_token_name(text: &str) -> bool {
    text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_access_name(text)
}

/// The realm has the form of a token name.
pub(crate) fn is_user(text: &str) -> bool {
    let Some((name, realm)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !":/".contains(c);
    !name.is_empty()
        && name.chars().all(plain)
        && is_token_name(realm)
        && text.chars().count() <= 64
}

/// `eth0`, `vmbr0.5`, `eth0:1`.
pub(crate) fn is_interface(text: &str) -> bool {
    let (name, index) = match text.split_once([':', '.']) {
        Some((name, index)) => (name, Some(index)),
        None => (text, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (2..=20).contains(&text.len())
        && (2..=21).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(plain)
        && index.is_none_or(is_digits)
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

pub(crate) fn is_cidr(text: &str, least: u8) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = prefix.len() <= 3 && prefix.chars().all(|c| c.is_ascii_digit());
    digits
        && prefix
            .parse()
            .is_ok_and(|prefix: u8| (least..=most).contains(&prefix))
}
