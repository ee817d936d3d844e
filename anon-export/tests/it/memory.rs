//! `MemorySink`.

use anon_export::{Capabilities, MemorySink, conformance};

#[test]
fn memory_sink_passes_the_conformance_suite() {
    conformance::check(MemorySink::new);
}

#[test]
fn memory_sink_with_a_limit_passes_the_conformance_suite() {
    conformance::check(|| {
        MemorySink::with_capabilities(Capabilities::new().with_max_object_bytes(1 << 41))
    });
}

/// The suite then puts DICOM files.
#[test]
fn dicom_only_memory_sink_passes_the_conformance_suite() {
    conformance::check(|| MemorySink::with_capabilities(Capabilities::new().dicom_only()));
}
