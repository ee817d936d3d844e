//! Command sets: a decoded command set encodes to bytes that decode to the same command set.

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
    // Encoding cuts the comment and drops elements that the operation does not have, so only the
    // second round trip is exact.
    assert!(bytes.len() <= MAX_COMMAND_BYTES);
    let again = Command::decode(&bytes).expect("our encoding is valid");
    assert_eq!(again.has_data_set(), command.has_data_set());
    assert_eq!(again.encode(), bytes);
});
