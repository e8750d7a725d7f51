//! The subnets of pods and services, which v1.14 moved out of the `v1alpha1` document.

use std::net::IpAddr;

use super::super::findings::Findings;
use super::super::view::View;
use crate::config::VersionContract;
use crate::go::address::parse_prefix;

/// Smallest pod or service subnet: 2^4 addresses.
const DEFAULT_NODE_MASK_IPV4: i64 = 24;
const DEFAULT_NODE_MASK_IPV6: i64 = 64;
/// Bits of a pod subnet beyond the part of a node.
const LARGEST_POD_SUBNET: i64 = 16;
const LARGEST_SERVICE_SUBNET: u8 = 20;
const MINIMUM_SUBNET_BITS: u8 = 4;

pub(super) fn check(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let pods: Vec<&str> = document.get("podSubnets").texts().collect();
    let services: Vec<&str> = document.get("serviceSubnets").texts().collect();
    let masks = NodeMasks::of(document, findings);
    if let Err(error) = check_subnets(&pods, &|subnet| masks.check(subnet)) {
        findings.error(format!("pod subnets: {error}"));
    }
    if let Err(error) = check_subnets(&services, &check_service_size) {
        findings.error(format!("service subnets: {error}"));
    }
    findings.error_if(
        pods.len() != services.len(),
        "the number of pod subnets must match the number of service subnets",
    );
}

type Subnet = (IpAddr, u8);

fn subnet_text((address, bits): Subnet) -> String {
    format!("{address}/{bits}")
}

fn length((address, _): Subnet) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// How much of the pod subnets one node gets; nothing where the size is wrong, which is reported once.
struct NodeMasks {
    ipv4: Option<i64>,
    ipv6: Option<i64>,
}

impl NodeMasks {
    fn of(document: View<'_>, findings: &mut Findings) -> Self {
        let mut mask = |field: &str, default: i64, longest: i64| {
            let bits = document.get(field).int();
            let is_valid = (0..=longest).contains(&bits);
            findings.error_if(
                !is_valid,
                format!("{field} must be between 1 and {longest}"),
            );
            is_valid.then_some(if bits == 0 { default } else { bits })
        };
        Self {
            ipv4: mask("nodeCIDRMaskSizeIPv4", DEFAULT_NODE_MASK_IPV4, 32),
            ipv6: mask("nodeCIDRMaskSizeIPv6", DEFAULT_NODE_MASK_IPV6, 128),
        }
    }

    fn check(&self, subnet: Subnet) -> Result<(), String> {
        let mask = if subnet.0.is_ipv4() {
            self.ipv4
        } else {
            self.ipv6
        };
        let Some(mask) = mask else {
            return Ok(());
        };
        let bits = i64::from(subnet.1);
        let text = subnet_text(subnet);
        if bits > mask {
            return Err(format!(
                "invalid subnet: {text} is smaller than the per-node pod CIDR mask size /{mask}"
            ));
        }
        if mask - bits > LARGEST_POD_SUBNET {
            return Err(format!(
                "invalid subnet: {text} is too large for the per-node pod CIDR mask size /{mask}, the difference must be at most {LARGEST_POD_SUBNET} bits"
            ));
        }
        Ok(())
    }
}

fn check_service_size(subnet: Subnet) -> Result<(), String> {
    let length = length(subnet);
    if length - subnet.1 > LARGEST_SERVICE_SUBNET {
        return Err(format!(
            "invalid subnet: {} is too large, it must be at least /{} (at most {LARGEST_SERVICE_SUBNET} host identifier bits)",
            subnet_text(subnet),
            length - LARGEST_SERVICE_SUBNET
        ));
    }
    Ok(())
}

fn check_subnets(
    subnets: &[&str],
    check_size: &dyn Fn(Subnet) -> Result<(), String>,
) -> Result<(), String> {
    match subnets.len() {
        0 => return Err("at least one subnet must be specified".to_owned()),
        1 | 2 => {}
        _ => {
            return Err("at most two subnets can be specified for dual-stack clusters".to_owned());
        }
    }
    let mut families = Vec::new();
    for text in subnets {
        let Some(subnet) = parse_prefix(text) else {
            return Err("invalid subnet: invalid Prefix".to_owned());
        };
        let (address, bits) = subnet;
        let network = ipnet::IpNet::new(address, bits).map(|net| net.network());
        if network != Ok(address) {
            return Err(format!("invalid subnet: {text} is not a valid CIDR"));
        }
        if length(subnet) - bits < MINIMUM_SUBNET_BITS {
            return Err(format!(
                "invalid subnet: /{bits} is too small, it must be larger than /{}",
                i16::from(bits) - i16::from(MINIMUM_SUBNET_BITS)
            ));
        }
        check_size(subnet)?;
        families.push(address.is_ipv4());
    }
    if let [first, second] = families.as_slice()
        && first == second
    {
        return Err(
            "at most one IPv4 and one IPv6 subnet can be specified for dual-stack clusters"
                .to_owned(),
        );
    }
    Ok(())
}
