//! Rules of the documents beside `v1alpha1`.

mod bgp;
mod container;
mod image;
mod kubernetes;
mod kubernetes_network;
mod link;
mod network;
mod registry;
mod rule;
mod runtime;
mod storage;
mod system;
mod verification;
mod volume;

use super::findings::Findings;
use super::view::View;
use crate::config::{Document, VersionContract};

type Rule = fn(View<'_>, VersionContract, &mut Findings);

/// What was found in one document; several errors of one document make one entry, joined by line breaks.
pub(super) fn check(document: &Document, release: VersionContract) -> Findings {
    let mut findings = Findings::default();
    if let Some(rule) = rule_for(document.kind()) {
        rule(View::new(Some(document.node())), release, &mut findings);
    }
    if findings.errors.is_empty() {
        return findings;
    }
    let text = findings.errors.join("\n");
    findings.errors = if release < VersionContract::V1_12 {
        vec![text]
    } else if is_singleton(document.kind()) {
        vec![format!("{}: {text}", document.kind())]
    } else {
        vec![format!("{}/{}: {text}", document.kind(), document.name())]
    };
    findings
}

/// Kinds that occur once and have no name.
fn is_singleton(kind: &str) -> bool {
    const NAMED: [&str; 39] = [
        "BGPInstanceConfig",
        "BlackholeRouteConfig",
        "BondConfig",
        "BridgeConfig",
        "CRICustomizationConfig",
        "ContainerConfig",
        "DHCPv4Config",
        "DHCPv6Config",
        "DiscoveryServiceConfig",
        "DummyLinkConfig",
        "EtcFileConfig",
        "EthernetConfig",
        "ExistingVolumeConfig",
        "ExtensionServiceConfig",
        "ExternalVolumeConfig",
        "HCloudVIPConfig",
        "HTTPProbeConfig",
        "KernelModuleConfig",
        "KmsgLogConfig",
        "KubeAdmissionControlConfig",
        "KubeAuthorizerConfig",
        "KubeExternalManifestConfig",
        "KubeInlineManifestConfig",
        "KubeStaticPodConfig",
        "LVMLogicalVolumeConfig",
        "LVMVolumeGroupConfig",
        "Layer2VIPConfig",
        "LinkAliasConfig",
        "LinkConfig",
        "NetworkRuleConfig",
        "PCIDriverRebindConfig",
        "RAIDArrayConfig",
        "RawVolumeConfig",
        "RegistryAuthConfig",
        "RegistryMirrorConfig",
        "RegistryTLSConfig",
        "RoutingRuleConfig",
        "StaticHostConfig",
        "SwapVolumeConfig",
    ];
    const MORE_NAMED: [&str; 8] = [
        "TCPProbeConfig",
        "TrustedRootsConfig",
        "UserVolumeConfig",
        "VLANConfig",
        "VRFConfig",
        "VethConfig",
        "VolumeConfig",
        "WireguardConfig",
    ];
    !NAMED.contains(&kind) && !MORE_NAMED.contains(&kind)
}

/// The rule of a kind; kinds that the reference does not validate have none.
fn rule_for(kind: &str) -> Option<Rule> {
    Some(match kind {
        "VolumeConfig" => volume::check_system,
        "UserVolumeConfig" => volume::check_user,
        "RawVolumeConfig" | "SwapVolumeConfig" => volume::check_raw,
        "ExistingVolumeConfig" => volume::check_existing,
        "ExternalVolumeConfig" => volume::check_external,
        "ZswapConfig" => volume::check_zswap,
        "ExtensionServiceConfig" => runtime::check_extension_service,
        "KmsgLogConfig" => runtime::check_kmsg_log,
        "EventSinkConfig" => runtime::check_event_sink,
        "WatchdogTimerConfig" => runtime::check_watchdog,
        "SideroLinkConfig" => runtime::check_siderolink,
        "OOMConfig" => runtime::check_oom,
        "EnvironmentConfig" => runtime::check_environment,
        "NetworkRuleConfig" => rule::check,
        "EthernetConfig" => network::check_ethernet,
        "DHCPv4Config" | "DHCPv6Config" => network::check_dhcp,
        "HostnameConfig" => network::check_hostname,
        "StaticHostConfig" => network::check_static_host,
        "ResolverConfig" => network::check_resolver,
        "TimeSyncConfig" => network::check_time_sync,
        "Layer2VIPConfig" | "HCloudVIPConfig" => network::check_virtual_ip,
        "KubeSpanConfig" => network::check_kubespan,
        "BlackholeRouteConfig" => network::check_blackhole,
        "RoutingRuleConfig" => network::check_routing_rule,
        "TCPProbeConfig" => network::check_tcp_probe,
        "LinkConfig" | "DummyLinkConfig" | "BridgeConfig" => link::check_link,
        "BondConfig" => link::check_bond,
        "VLANConfig" => link::check_vlan,
        "VRFConfig" => link::check_vrf,
        "VethConfig" => link::check_veth,
        "WireguardConfig" => link::check_wireguard,
        "LinkAliasConfig" => link::check_alias,
        "RegistryMirrorConfig" => registry::check_mirror,
        "RegistryAuthConfig" => registry::check_auth,
        "RegistryTLSConfig" => registry::check_tls,
        "ImageVerificationConfig" => verification::check,
        "BGPInstanceConfig" => bgp::check,
        "ContainerConfig" => container::check,
        "HTTPProbeConfig" => network::check_http_probe,
        _ => {
            return kubernetes::rule_for(kind)
                .or_else(|| system::rule_for(kind))
                .or_else(|| storage::rule_for(kind));
        }
    })
}

/// Adds an error when a required text is missing.
fn require(document: View<'_>, field: &str, text: &str, findings: &mut Findings) {
    findings.error_if(!document.at(field).has_text(), text);
}
