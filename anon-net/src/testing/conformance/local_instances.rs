//! The conformance suite of [`LocalInstances`].

use std::thread;
use std::time::{Duration, Instant};

use crate::InstanceUid;
use crate::service::retrieve::{InstanceState, LocalInstances};

/// Longer than any implementation needs.
const LONG: Duration = Duration::from_secs(30);
/// A timeout that expires in the test.
const SHORT: Duration = Duration::from_millis(50);

/// Checks an implementation. `instances` are three instances of `study` that are all missing.
/// `store` stores an instance as if it had just arrived, and returns once it is stored.
///
/// # Panics
/// Panics at the first broken promise.
pub fn local_instances(
    local: &dyn LocalInstances,
    study: &InstanceUid,
    instances: &[InstanceUid; 3],
    store: &(dyn Fn(&InstanceUid) + Sync),
) {
    let states = || match local.states(study, instances) {
        Ok(states) => states,
        Err(error) => panic!("the states cannot be determined: {error}"),
    };
    let [first, second, _] = instances;
    let missing = InstanceState::Missing;
    assert_eq!(states(), [missing; 3], "every instance is missing at first");
    let none = local.states(study, &[]).ok();
    assert_eq!(none, Some(Vec::new()), "no states for no instances");

    let before = local.changes();
    let began = Instant::now();
    local.wait(before, SHORT);
    assert!(began.elapsed() < LONG, "a wait ends at its timeout");
    store(second);
    assert_ne!(local.changes(), before, "an arrival changes the number");
    let stored = InstanceState::Stored;
    assert_eq!(
        states(),
        [missing, stored, missing],
        "the states are in the order of the request"
    );
    let began = Instant::now();
    local.wait(before, LONG);
    assert!(
        began.elapsed() < LONG,
        "a wait does not block after a change"
    );

    let seen = local.changes();
    thread::scope(|scope| {
        scope.spawn(|| store(first));
        let began = Instant::now();
        while local.changes() == seen {
            local.wait(seen, LONG);
            assert!(began.elapsed() < LONG, "an arrival ends a wait");
        }
    });
    assert_eq!(
        states(),
        [stored, stored, missing],
        "a stored instance stays stored"
    );
}
