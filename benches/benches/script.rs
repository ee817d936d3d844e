//! Compiles scripts into rules.

use std::hint::black_box;

use anon_script::{Dialect, Rules as _, builtin, load};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn script(c: &mut Criterion) {
    let rules = builtin("rsna-v17").expect("rsna-v17 is built in");
    let text = rules.text().to_owned();
    let loaded = load(&text, Some(Dialect::Rsna)).expect("the built-in text is a valid script");
    assert_eq!(
        loaded.rules.digest(),
        rules.digest(),
        "the text gives other rules"
    );
    let mut group = c.benchmark_group("script");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("baseline/copy", |b| {
        b.iter(|| black_box(text.as_bytes()).to_vec());
    });
    group.bench_function("load/rsna-v17", |b| {
        b.iter(|| load(black_box(&text), Some(Dialect::Rsna)).expect("a valid script"));
    });
    group.bench_function("builtin/rsna-v17", |b| {
        b.iter(|| builtin(black_box("rsna-v17")));
    });
    group.finish();
}

criterion_group!(benches, script);
criterion_main!(benches);
