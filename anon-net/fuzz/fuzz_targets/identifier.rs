//! Identifiers: a decoded identifier encodes to bytes that decode to the same identifier. The first
//! byte selects the encoding.

#![no_main]

use anon_net::identifier::{Encoding, Identifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let [explicit, implicit, big] = Encoding::ALL;
    let encoding = match first % 3 {
        0 => explicit,
        1 => implicit,
        _ => big,
    };
    let identifier = match Identifier::decode(rest, encoding) {
        Ok(identifier) => identifier,
        Err(error) => {
            assert!(error.to_string().is_ascii());
            return;
        }
    };
    let Ok(bytes) = identifier.encode(encoding) else {
        return;
    };
    let again = Identifier::decode(&bytes, encoding).expect("our encoding is valid");
    assert_eq!(again.elements().len(), identifier.elements().len());
    for (before, after) in identifier.elements().iter().zip(again.elements()) {
        assert_eq!((before.tag, before.vr), (after.tag, after.vr));
        let (value, padding) = after.value.split_at(before.value.len());
        assert_eq!(value, before.value, "{}", before.tag);
        assert_eq!(padding.len(), value.len() % 2, "{}", before.tag);
        // Padding can complete half a character at the end of an odd value.
        if padding.is_empty() {
            assert_eq!(identifier.text(before.tag), again.text(before.tag));
        }
        let _ = (again.texts(before.tag), again.uid(before.tag));
    }
    assert_eq!(again.encode(encoding).as_ref(), Ok(&bytes));
});
