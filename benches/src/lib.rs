//! The test data of the benchmarks, the measured operations and their baselines.
//!
//! * [`cases`]: single objects, and trees of files on disk, generated from a seed.
//! * [`work`]: the measured operations: plan and apply, assign, a whole import.
//! * [`baseline`]: copies of the same bytes, the cost of doing nothing.
//!
//! Trees and outputs are written to `ANON_BENCH_DIR`, or the system's temporary directory. Every import
//! gets a fresh directory: on ext4, creating files where many were just deleted is up to ten times slower.

pub mod baseline;
pub mod cases;
pub mod work;

/// Returns true under `cargo bench`. Returns false where criterion runs each benchmark once (`cargo test
/// --benches`, `--test`), which needs tiny sizes only.
pub fn is_full_run() -> bool {
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
