//! How long generating takes: secrets, machine configuration, certificates.

#![allow(missing_docs, clippy::unwrap_used)]

mod inputs;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use inputs::PATCHES;
use secrecy::ExposeSecret as _;
use talos_client::config::{
    ConfigPatch, GenerateInput, MachineType, TalosVersion, VersionContract,
};
use talos_client::secrets::{Role, SecretsBundle};

/// A bundle with an ECDSA service account key, which costs nothing to make.
fn bundle() -> SecretsBundle {
    SecretsBundle::generate_blocking(VersionContract::new(1, 6)).unwrap()
}

fn secrets(c: &mut Criterion) {
    let bundle = bundle();
    let text = bundle.to_yaml();
    c.bench_function("bundle without RSA", |b| b.iter(self::bundle));
    c.bench_function("parse and validate secrets.yaml", |b| {
        b.iter(|| SecretsBundle::parse(black_box(text.expose_secret())).unwrap());
    });
    c.bench_function("issue an administrator certificate", |b| {
        b.iter(|| bundle.client_certificate(Role::Admin).issue().unwrap());
    });
    let mut slow = c.benchmark_group("rsa");
    slow.sample_size(10);
    slow.bench_function("bundle with RSA 4096", |b| {
        b.iter(|| SecretsBundle::generate_blocking(VersionContract::V1_10).unwrap());
    });
    slow.finish();
}

fn configurations(c: &mut Criterion) {
    let bundle = bundle();
    for talos in ["v1.10.7", "v1.14.0-rc.1"] {
        let input = |patches: &[&str]| {
            let input = GenerateInput::new("lungmen.akn", "https://10.0.2.10:6443", &bundle)
                .unwrap()
                .talos_version(TalosVersion::parse(talos).unwrap());
            patches.iter().fold(input, |input, patch| {
                input.config_patch(ConfigPatch::new(*patch))
            })
        };
        for (name, patches) in [("two patches", &PATCHES[..]), ("no patches", &[])] {
            c.bench_function(&format!("three configurations, {name}, {talos}"), |b| {
                b.iter(|| {
                    let configs = input(patches).generate_all().unwrap();
                    [configs.init, configs.controlplane, configs.worker]
                        .map(|config| config.to_yaml())
                });
            });
        }
    }
}

/// Every node of a large cluster, from one bundle, each with a patch of its own.
fn cluster(c: &mut Criterion) {
    let bundle = bundle();
    let mut group = c.benchmark_group("cluster");
    group.sample_size(10);
    for talos in ["v1.10.7", "v1.14.0-rc.1"] {
        let version = TalosVersion::parse(talos).unwrap();
        group.bench_function(format!("1,000 configurations, {talos}"), |b| {
            b.iter(|| {
                let input = GenerateInput::new("lungmen.akn", "https://10.0.2.10:6443", &bundle)
                    .unwrap()
                    .talos_version(version.clone());
                (0..1000_u32)
                    .map(|number| {
                        let patch = node_patch(number);
                        let kind = match number {
                            0..3 => MachineType::ControlPlane,
                            _ => MachineType::Worker,
                        };
                        let node = input.clone().config_patch(ConfigPatch::new(patch));
                        let config = node.generate(kind).unwrap();
                        config.to_yaml().expose_secret().len()
                    })
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

fn node_patch(number: u32) -> String {
    let (high, low) = (number / 200, number % 200 + 10);
    format!(
        "machine:
  network:
    hostname: tal{number:04}
    interfaces:
      - deviceSelector: {{driver: virtio_net}}
        addresses: [10.0.{high}.{low}/16]
        routes: [{{network: 0.0.0.0/0, gateway: 10.0.0.1}}]
"
    )
}

criterion_group!(benches, secrets, configurations, cluster);
criterion_main!(benches);
