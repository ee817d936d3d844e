//! How much memory a process has had.

use std::fs::{self, File};
use std::io::Write;

/// The most resident memory of a process since [`forget`], in bytes; None where the system does not say
/// (proc(5), `VmHWM`).
pub(crate) fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Begins anew, where the system lets us (proc(5), `clear_refs`); else the peak stays that of its life.
pub(crate) fn forget(process: u32) {
    let file = File::options()
        .write(true)
        .open(format!("/proc/{process}/clear_refs"));
    if let Ok(mut file) = file {
        let _ = file.write_all(b"5");
    }
}
