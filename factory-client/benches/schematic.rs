//! The computation of an ID.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use factory_client::Schematic;

fn id(c: &mut Criterion) {
    let schematic = Schematic::builder()
        .extensions([
            "siderolabs/iscsi-tools",
            "siderolabs/qemu-guest-agent",
            "siderolabs/util-linux-tools",
        ])
        .kernel_args(["console=ttyS0,115200n8", "-init_on_alloc", "net.ifnames=0"])
        .build()
        .unwrap();
    c.bench_function("id", |b| b.iter(|| black_box(&schematic).local_id()));
}

criterion_group!(benches, id);
criterion_main!(benches);
