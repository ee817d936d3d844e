//! What the suite is made of.

use std::collections::BTreeSet;
use std::process;

use crate::shared::hostile::{all, memory};

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = all().map(|case| case.name).collect();
    assert_eq!(names.len(), all().count());
}

#[cfg(target_os = "linux")]
#[test]
fn a_peak_of_memory_is_seen_and_forgotten() {
    let me = process::id();
    let before = memory::peak(me);
    // Written to, so that it is resident.
    drop(vec![1_u8; 64 << 20]);
    let during = memory::peak(me);
    assert!(during > before, "{before:?}, then {during:?}");
    memory::forget(me);
    let after = memory::peak(me);
    assert!(after < during, "{during:?}, then {after:?}");
}
