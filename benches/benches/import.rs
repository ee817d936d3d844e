//! Whole imports with two workers, compared with copies of the same trees.
//!
//! Each run writes to a fresh directory, and none is deleted before the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anon_benches::cases::{self, Tree};
use anon_benches::{baseline, is_full_run, work};
use anon_engine::store::Durability;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn trees(parent: &Path) -> std::io::Result<Vec<Tree>> {
    let (slices, small, (large, frames)) = if is_full_run() {
        (2_000, 5_000, (5, 500))
    } else {
        (3, 3, (1, 2))
    };
    Ok(vec![
        cases::ct_tree(parent, slices)?,
        cases::small_tree(parent, small)?,
        cases::large_tree(parent, large, frames)?,
    ])
}

/// Runs `work` `times` times, each time with a path that does not exist. Returns the total time.
fn fresh(times: u64, next: &mut impl FnMut() -> PathBuf, work: impl Fn(&Path)) -> Duration {
    (0..times)
        .map(|_| {
            let path = next();
            let start = Instant::now();
            work(&path);
            start.elapsed()
        })
        .sum()
}

fn import(c: &mut Criterion) {
    let directory = cases::directory().expect("cannot create a directory");
    let mut run = 0;
    let mut next = || {
        run += 1;
        directory.path().join(format!("run-{run}"))
    };
    for tree in trees(directory.path()).expect("cannot write the trees") {
        let mut group = c.benchmark_group(format!("import/{}", tree.name));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(1))
            .measurement_time(Duration::from_secs(1));
        group.throughput(Throughput::Bytes(tree.bytes));
        group.bench_function("baseline/cp_r", |b| {
            b.iter_custom(|times| {
                fresh(times, &mut next, |path| {
                    baseline::cp_r(&tree.root, path).expect("cp -r failed");
                })
            });
        });
        group.bench_function("baseline/copy_durable", |b| {
            b.iter_custom(|times| {
                fresh(times, &mut next, |path| {
                    baseline::copy_durable(&tree.root, path, 2).expect("cannot copy");
                })
            });
        });
        for (name, durability) in [("relaxed", Durability::Relaxed), ("full", Durability::Full)] {
            group.bench_function(name, |b| {
                b.iter_custom(|times| {
                    fresh(times, &mut next, |path| {
                        work::import_tree(&tree.root, path, 2, durability, tree.files)
                            .expect("cannot import");
                    })
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, import);
criterion_main!(benches);
