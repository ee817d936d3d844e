//! `MemoryArrivals`.

use anon_net::InstanceUid;
use anon_net::service::{InstanceState, LocalInstances};
use anon_net::testing::{MemoryInstances, conformance};

#[test]
fn memory_arrivals_pass_the_conformance_suite() {
    let arrivals = MemoryInstances::new();
    let uid = |text: &str| InstanceUid::new(text).expect("a UID");
    let three = [uid("1.2.1"), uid("1.2.2"), uid("1.2.3")];
    let store = |uid: &InstanceUid| arrivals.arrive(uid, InstanceState::Stored);
    conformance::local_instances(&arrivals, &uid("1.2"), &three, &store);
    arrivals.arrive(&three[2], InstanceState::Quarantined);
    let states = arrivals.states(&uid("1.2"), &three).unwrap();
    assert_eq!(states[2], InstanceState::Quarantined);
    assert!(!format!("{arrivals:?}").contains("1.2"));
}
