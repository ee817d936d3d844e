//! Cleans any text with any identifiers. A cleaned text stays as it is, is never longer, and holds no
//! identifier.
#![no_main]

use anon_script::clean::{Identifiers, description, technical, term};
use anon_script::{ObjectHeader, SeenElement, SeenValue, Tag, VR};
use libfuzzer_sys::fuzz_target;

/// Elements that identifiers are taken from, one for each line of the input.
const ELEMENTS: &[(Tag, VR)] = &[
    (Tag(0x0010, 0x0010), VR::PN),
    (Tag(0x0010, 0x0020), VR::LO),
    (Tag(0x0010, 0x0030), VR::DA),
    (Tag(0x0008, 0x0080), VR::LO),
    (Tag(0x0008, 0x0081), VR::ST),
];

fuzz_target!(|bytes: &[u8]| {
    let input = String::from_utf8_lossy(bytes);
    let (text, values) = input.split_once('\0').unwrap_or((&input, ""));
    let mut header = ObjectHeader::new();
    for ((offset, &(tag, vr)), value) in (0..).zip(ELEMENTS).zip(values.split('\0')) {
        let (parent, item, value_of) = (None, 0, SeenValue::Sequence);
        header.push_text(
            SeenElement {
                tag,
                vr,
                parent,
                item,
                offset,
                value: value_of,
            },
            value,
        );
    }
    let identifiers = Identifiers::of(&header);
    for clean in [description, term, technical] {
        for vr in [VR::LO, VR::UT] {
            let once = clean(text, vr, &identifiers);
            assert!(once.text.len() <= text.len());
            assert!(!identifiers.occur_in(&once.text) || vr == VR::LO);
            let twice = clean(&once.text, vr, &identifiers);
            assert_eq!((twice.removed, &twice.text), (0, &once.text));
        }
    }
});
