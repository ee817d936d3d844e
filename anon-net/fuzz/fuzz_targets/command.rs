//! Command sets: what is understood is written again, and understood as the same.

#![no_main]

use anon_net::dimse::Command;
use anon_net::dimse::message::MAX_COMMAND_BYTES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let command = match Command::decode(data) {
        Ok(command) => command,
        Err(malformed) => {
            assert!(malformed.to_string().is_ascii());
            return;
        }
    };
    let bytes = command.encode();
    // A comment is cut, and an element that its operation does not have is left out: once only.
    assert!(bytes.len() <= MAX_COMMAND_BYTES);
    let again = Command::decode(&bytes).expect("it is ours");
    assert_eq!(again.has_data_set(), command.has_data_set());
    assert_eq!(again.encode(), bytes);
});
