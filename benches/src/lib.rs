//! The cases that the benchmarks measure, named and sized, each made from a seed; and what they
//! are measured against.
//!
//! * [`cases`]: single objects, and trees of files on disk.
//! * [`work`]: what is measured: plan and apply, assign, a whole import.
//! * [`baseline`]: copying the same bytes, which is what doing nothing costs.
//!
//! Trees and outputs go below `ANON_BENCH_DIR`, or the system's directory for temporary files.
//! Every run of an import gets a fresh directory: creating files where many were just deleted is
//! up to ten times slower on ext4, and hides everything else.

pub mod baseline;
pub mod cases;
pub mod work;

/// True under `cargo bench`; false where criterion runs everything once (`cargo test --benches`,
/// `--test`), and sizes should be tiny.
pub fn in_full() -> bool {
    let mut bench = false;
    for argument in std::env::args() {
        match argument.as_str() {
            "--bench" => bench = true,
            "--test" => return false,
            _ => {}
        }
    }
    bench
}
