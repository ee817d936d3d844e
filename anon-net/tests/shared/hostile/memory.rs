//! The peak memory of a process.

use std::fs::{self, File};
use std::io::Write;

/// Returns the peak resident memory of a process since [`reset_peak`], in bytes. `None` where the
/// system does not report it (proc(5), `VmHWM`).
pub(crate) fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Resets the peak, where the system allows it (proc(5), `clear_refs`). Otherwise the peak covers
/// the process's lifetime.
pub(crate) fn reset_peak(process: u32) {
    let file = File::options()
        .write(true)
        .open(format!("/proc/{process}/clear_refs"));
    if let Ok(mut file) = file {
        let _ = file.write_all(b"5");
    }
}
