//! What several benches work on.

/// Two patches for all machines: one that merges into the `v1alpha1` document, one that adds a document.
pub(crate) const PATCHES: [&str; 2] = [
    "machine:
  network:
    searchDomains: [example.org]
    nameservers: [1.1.1.1, 9.9.9.9]
    interfaces:
      - deviceSelector: {driver: virtio_net}
        addresses: [10.0.2.10/24]
        routes: [{network: 0.0.0.0/0, gateway: 10.0.2.1}]
  sysctls: {vm.nr_hugepages: '1024'}
cluster:
  allowSchedulingOnControlPlanes: true
",
    "apiVersion: v1alpha1
kind: UserVolumeConfig
name: longhorn
provisioning:
  diskSelector: {match: '!system_disk'}
  minSize: 40GiB
",
];
