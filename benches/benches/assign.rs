//! Assigns new and known pseudonyms, in groups of several sizes, in memory and on disk.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anon_benches::{cases, is_full_run, work};
use anon_engine::store::Durability;
use anon_model::LookupStore;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn stores(directory: &Path) -> Vec<(&'static str, Arc<dyn LookupStore>)> {
    let disk = |name: &str, durability| {
        work::disk_lookups(&directory.join(name), durability).expect("cannot open a store on disk")
    };
    vec![
        (
            "memory",
            work::memory_lookups().expect("cannot make a store in memory"),
        ),
        ("disk_relaxed", disk("relaxed.redb", Durability::Relaxed)),
        ("disk_full", disk("full.redb", Durability::Full)),
    ]
}

fn assign(c: &mut Criterion) {
    let directory = cases::directory().expect("cannot create a directory");
    for (name, lookups) in stores(directory.path()) {
        let mut group = c.benchmark_group(format!("assign/{name}"));
        group.sample_size(10);
        let mut next = 0;
        let sizes: &[u64] = if is_full_run() {
            &[1, 64, 256, 1_000]
        } else {
            &[1, 8]
        };
        for size in sizes {
            group.throughput(Throughput::Elements(size * work::OWN_UIDS));
            group.bench_with_input(BenchmarkId::new("baseline/make", size), size, |b, size| {
                b.iter(|| {
                    (0..*size)
                        .map(|n| black_box(work::wanted(n)).uids.len())
                        .sum::<usize>()
                });
            });
            group.bench_with_input(BenchmarkId::new("cold", size), size, |b, size| {
                b.iter(|| {
                    work::assign_new(&*lookups, next..next + size)
                        .expect("cannot assign new pseudonyms");
                    next += size;
                });
            });
            group.bench_with_input(BenchmarkId::new("warm", size), size, |b, size| {
                b.iter(|| {
                    work::assign_known(&*lookups, 0..*size)
                        .expect("cannot assign known pseudonyms");
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, assign);
criterion_main!(benches);
