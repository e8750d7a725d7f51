//! The two computations that somebody waits for: an ID, and the search for the list behind one.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use factory_client::{OfflineFactory, Schematic, SchematicId, Search, TalosVersion};

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

fn search(c: &mut Criterion) {
    let names = OfflineFactory::community()
        .official_extensions(&TalosVersion::new(1, 10, 7))
        .unwrap();
    // An ID that is none of them, so that every list is tried.
    let search = Search::new(SchematicId::of_text(""), names);
    let mut group = c.benchmark_group("search");
    group.sample_size(10);
    group.bench_function("up to 5 of 62", |b| b.iter(|| search.run(|_| {})));
    group.finish();
}

criterion_group!(benches, id, search);
criterion_main!(benches);
