//! Checks of the suite itself.

use std::collections::BTreeSet;
use std::process;

use crate::shared::hostile::{all, memory};

#[test]
fn case_names_are_unique() {
    let names: BTreeSet<&str> = all().map(|case| case.name).collect();
    assert_eq!(names.len(), all().count());
}

#[cfg(target_os = "linux")]
#[test]
fn memory_peak_is_measured_and_reset() {
    let me = process::id();
    let before = memory::peak(me);
    // Written, so that it is resident.
    drop(vec![1_u8; 64 << 20]);
    let during = memory::peak(me);
    assert!(during > before, "{before:?}, then {during:?}");
    memory::reset_peak(me);
    let after = memory::peak(me);
    assert!(after < during, "{during:?}, then {after:?}");
}
