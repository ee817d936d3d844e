//! `MemoryHandler`.

use anon_net::testing::MemoryHandler;
use anon_net::testing::conformance::{self, SampleInstance};
use anon_net::{Instance, InstanceHandler, InstanceUid, Outcome};

use crate::memory_network::uid;

pub(crate) fn instance(number: &str) -> Instance {
    Instance::new(
        uid("1.2.840.10008.5.1.4.1.1.2"),
        InstanceUid::new(number).expect("a UID"),
        uid("1.2.840.10008.1.2.1"),
        "MODALITY".parse().expect("a title"),
    )
}

pub(crate) fn sample() -> SampleInstance {
    SampleInstance {
        instance: instance("1.2.3"),
        body: (0..10_000u32).flat_map(u32::to_le_bytes).collect(),
    }
}

#[test]
fn memory_handler_passes_the_conformance_suite() {
    let sample = sample();
    let stored = |handler: &MemoryHandler| {
        handler.len() == 1
            && handler.stored(&sample.instance.sop_instance) == Some(sample.body.clone())
    };
    conformance::handler(|| MemoryHandler::new(1 << 20), &sample, stored);
}

#[test]
fn full_handler_refuses_and_keeps_its_instances() {
    let handler = MemoryHandler::new(10);
    let handle = |number, body: &[u8]| {
        handler
            .handle(&instance(number), &mut &*body)
            .expect("an outcome")
            .outcome
    };
    assert_eq!(handle("1.1", b"123456"), Outcome::Stored);
    assert_eq!(handle("1.2", b"12345"), Outcome::OutOfResources);
    assert_eq!(handle("1.1", b"other"), Outcome::OutOfResources);
    assert_eq!(handle("1.1", b"else"), Outcome::Quarantined);
    assert_eq!(handle("1.3", b"1"), Outcome::OutOfResources);
    assert_eq!((handler.len(), handler.quarantined()), (1, 1));
    let uid = InstanceUid::new("1.1").expect("a UID");
    assert_eq!(handler.stored(&uid).as_deref(), Some(b"123456".as_slice()));
}
