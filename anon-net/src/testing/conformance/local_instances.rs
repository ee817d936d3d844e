//! The suite of [`LocalInstances`].

use std::thread;
use std::time::{Duration, Instant};

use crate::InstanceUid;
use crate::service::retrieve::{InstanceState, LocalInstances};

/// Longer than any implementation needs.
const LONG: Duration = Duration::from_secs(30);
/// Shorter than that, and longer than nothing.
const SHORT: Duration = Duration::from_millis(50);

/// Checks an implementation. `instances` are three of `study`, none of which is here; `store` stores
/// the one it is given, as if it had just come, and returns when it is there.
///
/// # Panics
/// With the promise that is broken.
pub fn local_instances(
    local: &dyn LocalInstances,
    study: &InstanceUid,
    instances: &[InstanceUid; 3],
    store: &(dyn Fn(&InstanceUid) + Sync),
) {
    let states = || match local.states(study, instances) {
        Ok(states) => states,
        Err(error) => panic!("states are told: {error}"),
    };
    let [first, second, _] = instances;
    let missing = InstanceState::Missing;
    assert_eq!(states(), [missing; 3], "nothing is here yet");
    let none = local.states(study, &[]).ok();
    assert_eq!(none, Some(Vec::new()), "none for none");

    let before = local.changes();
    let began = Instant::now();
    local.wait(before, SHORT);
    assert!(began.elapsed() < LONG, "a wait ends");
    store(second);
    assert_ne!(local.changes(), before, "an arrival is a change");
    let stored = InstanceState::Stored;
    assert_eq!(states(), [missing, stored, missing], "told in order");
    let began = Instant::now();
    local.wait(before, LONG);
    assert!(began.elapsed() < LONG, "no wait for what has been");

    let seen = local.changes();
    thread::scope(|scope| {
        scope.spawn(|| store(first));
        let began = Instant::now();
        while local.changes() == seen {
            local.wait(seen, LONG);
            assert!(began.elapsed() < LONG, "an arrival ends a wait");
        }
    });
    assert_eq!(states(), [stored, stored, missing], "and what was here is");
}
