//! The sink in memory.

use anon_export::{Capabilities, MemorySink, conformance};

#[test]
fn passes_the_suite() {
    conformance::check(MemorySink::new);
}

#[test]
fn passes_the_suite_with_a_limit() {
    conformance::check(|| {
        MemorySink::with_capabilities(Capabilities::new().with_max_object_bytes(1 << 41))
    });
}

/// The objects of the suite for a sink that takes DICOM files only.
#[test]
fn passes_the_suite_with_dicom_files() {
    conformance::check(|| MemorySink::with_capabilities(Capabilities::new().dicom_only()));
}
