//! Plan and apply for each kind of object, compared with a copy of its bytes.

use std::fs::File;
use std::hint::black_box;

use anon_benches::{baseline, cases, is_full_run, work};
use anon_engine::{Segment, Source, plan};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn in_memory(c: &mut Criterion) {
    let policy = work::policy().expect("rules");
    for case in cases::in_memory() {
        let names = work::names_for(&policy, &case.bytes).expect(case.name);
        let mut out = Vec::with_capacity(case.bytes.len() + 65_536);
        let mut group = c.benchmark_group(format!("plan_apply/{}", case.name));
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        group.bench_function("baseline/copy", |b| {
            b.iter(|| baseline::copy_bytes(black_box(&case.bytes), &mut out));
        });
        group.bench_function("plan", |b| {
            b.iter(|| plan(&policy, Source::part10(black_box(&case.bytes))).is_ok());
        });
        group.bench_function("plan_apply_write", |b| {
            b.iter(|| {
                work::plan_apply(&policy, black_box(&case.bytes), &names, &mut out)
                    .expect(case.name);
            });
        });
        group.finish();
    }
}

/// A multi-frame file on disk. Its pixel data is never read into memory, so the copy shows what that saves.
fn from_a_file(c: &mut Criterion) {
    let directory = cases::directory().expect("a directory");
    let path = directory.path().join("multi_frame.dcm");
    let frames = if is_full_run() { 512 } else { 1 };
    let length = cases::large_file(&path, 0, frames).expect("the file");
    let policy = work::policy().expect("rules");
    let file = File::open(&path).expect("the file");
    let names = work::names(
        plan(&policy, Source::file(&file, length))
            .expect("a plan")
            .wanted(),
    );
    let bytes = vec![0_u8; usize::try_from(length).expect("fits")];
    let mut out = Vec::new();
    let mut group = c.benchmark_group("plan_apply/multi_frame_256m");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(length));
    group.bench_function("baseline/copy", |b| {
        b.iter(|| baseline::copy_bytes(black_box(&bytes), &mut out));
    });
    group.bench_function("plan_apply", |b| {
        b.iter(|| {
            let plan = plan(&policy, Source::file(&file, length)).expect("a plan");
            let clean = plan.apply(&names).expect("an output");
            clean
                .segments()
                .map(|segment| match segment {
                    Segment::Bytes(bytes) => bytes.len() as u64,
                    Segment::File { len, .. } => len,
                })
                .sum::<u64>()
        });
    });
    group.finish();
}

criterion_group!(benches, in_memory, from_a_file);
criterion_main!(benches);
