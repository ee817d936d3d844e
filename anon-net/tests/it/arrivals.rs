//! Arrivals in memory.

use anon_net::InstanceUid;
use anon_net::service::{Arrival, Arrivals};
use anon_net::testing::{MemoryArrivals, conformance};

#[test]
fn pass_the_suite() {
    let arrivals = MemoryArrivals::new();
    let uid = |text: &str| InstanceUid::new(text).expect("a UID");
    let three = [uid("1.2.1"), uid("1.2.2"), uid("1.2.3")];
    let store = |uid: &InstanceUid| arrivals.arrive(uid, Arrival::Stored);
    conformance::arrivals(&arrivals, &uid("1.2"), &three, &store);
    arrivals.arrive(&three[2], Arrival::Quarantined);
    let states = arrivals.states(&uid("1.2"), &three).unwrap();
    assert_eq!(states[2], Arrival::Quarantined);
    assert!(!format!("{arrivals:?}").contains("1.2"));
}
