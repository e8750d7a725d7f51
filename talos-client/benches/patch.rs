//! Parsing, patching and printing a machine configuration of 40 KiB.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use secrecy::ExposeSecret as _;
use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};

const PATCH: &str = "
machine:
  certSANs: [tal01.example.org, 10.0.2.10]
  network:
    hostname: tal01
    interfaces:
    - {interface: eth7, addresses: [10.9.9.9/24], dhcp: false}
  install: {image: 'factory.talos.dev/nocloud-installer/abc:v1.10.7', wipe: true}
  kubelet: {extraArgs: {rotate-server-certificates: true}}
  sysctls: {net.core.somaxconn: 4096}
cluster:
  network: {podSubnets: [10.42.0.0/16]}
  apiServer: {admissionControl: [{name: PodSecurity, configuration: {exemptions: {namespaces: [longhorn-system]}}}]}
---
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
provisioning: {diskSelector: {match: system_disk}, maxSize: 32GiB}
";

/// A configuration of mostly short values in many nodes, which is the expensive kind.
fn configuration() -> String {
    let mut text = String::from(
        "version: v1alpha1\nmachine:\n  type: controlplane\n  token: abcdef.0123456789abcdef\n  network:\n    interfaces:\n",
    );
    let mut index = 0;
    while text.len() < 38 << 10 {
        let _ = write!(
            text,
            "    - interface: eth{index}\n      addresses: [10.0.{index}.1/24, 'fd00:{index}::1/64']\n      routes:\n      - network: 10.1.{index}.0/24\n        gateway: 10.0.{index}.254\n      mtu: 1500\n      dhcp: false\n"
        );
        index += 1;
    }
    text.push_str("cluster:\n  clusterName: bench\n  controlPlane: {endpoint: 'https://10.0.0.1:6443'}\n  network: {podSubnets: [10.244.0.0/16]}\n");
    text.push_str("  apiServer:\n    admissionControl:\n    - name: PodSecurity\n      configuration: {kind: PodSecurityConfiguration, exemptions: {namespaces: [kube-system]}}\n");
    while text.len() < 40 << 10 {
        text.push_str("# filled up to the size\n");
    }
    text
}

fn patch(criterion: &mut Criterion) {
    let text = configuration();
    let patches = [ConfigPatch::new(PATCH)];
    let version = TalosVersion::default();
    let config = MachineConfig::parse(&text).unwrap_or_default();

    criterion.bench_function("parse 40 KiB", |bencher| {
        bencher.iter(|| MachineConfig::parse(black_box(&text)))
    });
    criterion.bench_function("patch 40 KiB", |bencher| {
        bencher.iter(|| config.patched(black_box(&patches), &version))
    });
    criterion.bench_function("parse, patch and print 40 KiB", |bencher| {
        bencher.iter(|| {
            let patched = MachineConfig::parse(black_box(&text))
                .and_then(|config| config.patched(&patches, &version));
            patched.map(|config| config.to_yaml().expose_secret().len())
        });
    });
}

criterion_group!(benches, patch);
criterion_main!(benches);
