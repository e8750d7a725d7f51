//! Types of the firewall, which VMs and the cluster share.

use crate::params::request;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// The options of the firewall of a VM.
    FirewallOptions {
        /// Whether the firewall filters at all.
        enabled: bool = "enable",
        /// What happens to traffic to the VM without a rule: `ACCEPT`, `REJECT`, `DROP`.
        policy_in: Option<String> = "policy_in",
        /// What happens to traffic from the VM without a rule.
        policy_out: Option<String> = "policy_out",
        /// Whether DHCP is allowed.
        dhcp: Option<bool> = "dhcp",
        /// Whether only the VM's MAC address may send.
        mac_filter: Option<bool> = "macfilter",
        /// Whether only configured addresses may send.
        ip_filter: Option<bool> = "ipfilter",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }

    /// A rule.
    FirewallRule {
        /// The position, from 0.
        position: u32 = "pos",
        /// `in`, `out`, `forward` or `group`.
        kind: String = "type",
        /// `ACCEPT`, `REJECT`, `DROP`, or the name of a group.
        action: String = "action",
        /// Whether the rule is active.
        enabled: bool = "enable",
        /// The predefined macro, for example `SSH`.
        preset: Option<String> = "macro",
        /// The protocol.
        protocol: Option<String> = "proto",
        /// The source.
        source: Option<String> = "source",
        /// The destination.
        destination: Option<String> = "dest",
        /// The source ports.
        source_ports: Option<String> = "sport",
        /// The destination ports.
        destination_ports: Option<String> = "dport",
        /// The network card, for example `net0`.
        iface: Option<String> = "iface",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }

    /// A named set of addresses.
    IpSet {
        /// The name.
        name: String = "name",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }

    /// An address or network of a set.
    IpSetEntry {
        /// The address or network.
        cidr: String = "cidr",
        /// Whether the set excludes the entry.
        excluded: bool = "nomatch",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }

    /// A named address.
    FirewallAlias {
        /// The name.
        name: String = "name",
        /// The address or network.
        cidr: String = "cidr",
        /// The comment.
        comment: Option<String> = "comment",
    }
);

text_enum!(
    /// What happens to packets that no rule decides.
    FirewallPolicy {
        /// They pass.
        Accept = "ACCEPT",
        /// They are refused with an answer.
        Reject = "REJECT",
        /// They are dropped.
        Drop = "DROP",
    }
);

text_enum!(
    /// Which packets a rule is about.
    RuleKind {
        /// Those to the VM.
        In = "in",
        /// Those from the VM.
        Out = "out",
        /// Those that the node forwards.
        Forward = "forward",
        /// The rules of a security group, named by the action.
        Group = "group",
    }
);

request!(
    /// Changes to the options of the firewall of a VM.
    FirewallOptionsUpdate() {
        /// `ACCEPT`, `REJECT` or `DROP` for traffic to the VM without a rule.
        policy_in: FirewallPolicy = "policy_in",
        /// `ACCEPT`, `REJECT` or `DROP` for traffic from the VM without a rule.
        policy_out: FirewallPolicy = "policy_out",
        /// Applies the change only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Enables the firewall.
            enable = "enable" "1",
            /// Disables the firewall.
            disable = "enable" "0",
            /// Allows DHCP.
            allow_dhcp = "dhcp" "1",
            /// Forbids DHCP.
            forbid_dhcp = "dhcp" "0",
            /// Lets only the VM's MAC address send.
            filter_mac = "macfilter" "1",
            /// Lets only configured addresses send.
            filter_ip = "ipfilter" "1",
        }
    }

    /// A rule to create. `kind` is `in`, `out` or `group`; `action` is `ACCEPT`, `REJECT`, `DROP` or the
    /// name of a group.
    FirewallRuleRequest(kind: RuleKind = "type", action: String = "action" is FIREWALL_ACTION) {
        /// The predefined macro, for example `SSH`.
        preset: String = "macro" is TEXT_128,
        /// The protocol.
        protocol: String = "proto",
        /// The source.
        source: String = "source" is FIREWALL_ADDRESSES,
        /// The destination.
        destination: String = "dest" is FIREWALL_ADDRESSES,
        /// The source ports.
        source_ports: String = "sport",
        /// The destination ports.
        destination_ports: String = "dport",
        /// The network card, for example `net0`.
        iface: String = "iface" is INTERFACE,
        /// The comment.
        comment: String = "comment",
        /// Adds the rule only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Activates the rule; a new rule is inactive otherwise.
            enable = "enable" "1",
        }
    }

    /// Changes to a rule.
    FirewallRuleUpdate() {
        /// Which packets the rule is about.
        kind: RuleKind = "type",
        /// `ACCEPT`, `DROP`, `REJECT` or the name of a group.
        action: String = "action" is FIREWALL_ACTION,
        /// The predefined macro, for example `SSH`.
        preset: String = "macro" is TEXT_128,
        /// The protocol.
        protocol: String = "proto",
        /// The source.
        source: String = "source" is FIREWALL_ADDRESSES,
        /// The destination.
        destination: String = "dest" is FIREWALL_ADDRESSES,
        /// The source ports.
        source_ports: String = "sport",
        /// The destination ports.
        destination_ports: String = "dport",
        /// The network card, for example `net0`.
        iface: String = "iface" is INTERFACE,
        /// The comment.
        comment: String = "comment",
        /// The settings to remove by the server's names, separated by commas.
        unset: String = "delete" is OPTIONS,
        /// Changes the rule only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Activates the rule.
            enable = "enable" "1",
            /// Deactivates the rule.
            disable = "enable" "0",
        }
    }
);
