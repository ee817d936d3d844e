//! Compares the generator with an independent reader (dicom-object), and checks its promises.

use std::collections::HashSet;

use dicom_core::Tag;
use dicom_object::{FileDicomObject, InMemDicomObject, from_reader};

use super::*;

const PLAIN: [Syntax; 4] = [
    Syntax::ImplicitLittle,
    Syntax::ExplicitLittle,
    Syntax::ExplicitBig,
    Syntax::Deflated,
];

fn cases() -> Vec<(&'static str, DataSet)> {
    let place = Place::new(1);
    vec![
        ("ct_slice", ct_slice(&place)),
        ("ct_small", ct_small(&place)),
        ("metadata_heavy", metadata_heavy(&place)),
        ("mr_multiframe", mr_multiframe(&place, 8, 32)),
        ("secondary_capture", secondary_capture(&place)),
        ("sr", sr(&place)),
        ("everything_phi", everything_phi(&place)),
    ]
}

fn read(bytes: &[u8]) -> FileDicomObject<InMemDicomObject> {
    from_reader(&bytes[128..]).expect("dicom-object reads it")
}

fn count(object: &InMemDicomObject) -> usize {
    object
        .iter()
        .map(|element| {
            1 + element
                .items()
                .unwrap_or_default()
                .iter()
                .map(count)
                .sum::<usize>()
        })
        .sum()
}

#[test]
fn dicom_object_finds_every_element_in_every_form() {
    for (name, set) in cases() {
        // The reader does not look into UN, nor, without VRs, into private sequences.
        let set = set.without(Tag(0x0011, 0x1002));
        for syntax in PLAIN {
            let set = match syntax {
                Syntax::ImplicitLittle => set
                    .clone()
                    .without(Tag(0x0011, 0x1001))
                    .without(Tag(0x0029, 0x1040)),
                _ => set.clone(),
            };
            for form in [Form::new(syntax), Form::new(syntax).undefined_lengths()] {
                let object = read(&set.write_as(&form));
                assert_eq!(
                    count(&object),
                    set.count(),
                    "{name} {syntax:?} {:?}",
                    form.lengths
                );
                assert_eq!(object.meta().transfer_syntax(), syntax.uid(), "{name}");
                let uid = object
                    .element(Tag(0x0008, 0x0018))
                    .expect("SOP Instance UID");
                assert_eq!(
                    uid.to_str().expect("text"),
                    Place::new(1).instance_uid(),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn encapsulated_objects_hold_all_fragments() {
    let object = read(&encapsulated(&Place::new(3), 400).write(Syntax::JPEG_LOSSLESS));
    let pixels = object.element(Tag(0x7FE0, 0x0010)).expect("pixels");
    assert_eq!(pixels.value().fragments().expect("fragments").len(), 400);

    let object = read(&us_colour(&Place::new(3)).write(Syntax::RLE));
    let pixels = object.element(Tag(0x7FE0, 0x0010)).expect("pixels");
    assert_eq!(pixels.value().fragments().expect("fragments").len(), 1);
}

#[test]
fn sizes_match_the_published_figures() {
    let place = Place::new(1);
    let ct = ct_slice(&place);
    let bytes = ct.write(Syntax::ExplicitLittle).len();
    assert!(
        (526_000..536_000).contains(&bytes),
        "CT slice: {bytes} bytes"
    );
    assert!(
        (130..=150).contains(&ct.count()),
        "CT slice: {} elements",
        ct.count()
    );
    let heavy = metadata_heavy(&place);
    let bytes = heavy.write(Syntax::ExplicitLittle).len();
    assert!(
        (19_000..21_500).contains(&bytes),
        "metadata heavy: {bytes} bytes"
    );
    assert!(
        (190..=210).contains(&heavy.count()),
        "metadata heavy: {} elements",
        heavy.count()
    );
}

#[test]
fn the_same_place_gives_the_same_bytes_and_another_gives_other_uids() {
    let write = |place: Place| ct_small(&place).write(Syntax::ExplicitLittle);
    assert_eq!(write(Place::new(5)), write(Place::new(5)));
    assert_ne!(write(Place::new(5)), write(Place::new(6)));
    let places = (0..2_000).map(|n| Place::nth(5, n, 25));
    let uids: HashSet<String> = places
        .flat_map(|place| [place.instance_uid(), place.own_uid(1)])
        .collect();
    assert_eq!(uids.len(), 4_000);
    assert!(uids.iter().all(|uid| uid.len() <= 64));
}

#[test]
fn a_large_image_is_as_long_as_it_says() {
    let large = LargeImage::new(Place::new(1), 3);
    let mut bytes = Vec::new();
    let written = large.write_to(&mut bytes).expect("memory");
    assert_eq!(written, large.len());
    assert_eq!(written, bytes.len() as u64);
    let pixels = read(&bytes)
        .element(Tag(0x7FE0, 0x0010))
        .expect("pixels")
        .to_bytes()
        .expect("bytes")
        .len();
    assert_eq!(pixels, 3 * LargeImage::FRAME_BYTES as usize);
    assert!(LargeImage::new(Place::new(1), u32::MAX).len() > 4_294_000_000);
}

#[test]
fn each_head_has_the_parts_it_names() {
    let ct = ct_small(&Place::new(1));
    let write = |head| ct.write_as(&Form::new(Syntax::ExplicitLittle).head(head));
    assert_eq!(&write(Head::NoPreamble)[..4], [2, 0, 0, 0]);
    assert_eq!(&write(Head::NoMeta)[128..136], b"DICM\x08\x00\x05\x00");
    assert_eq!(&write(Head::DataSet)[..6], b"\x08\x00\x05\x00CS");
    assert!(write(Head::Part10).ends_with(&write(Head::DataSet)));
}

/// Decodes a segment of [`rle_frame`] as PS3.5 section G.3.2 says.
fn unpack(segment: &[u8], samples: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while out.len() < samples {
        let code = segment[at].cast_signed();
        at += 1;
        if code >= 0 {
            let count = usize::from(code.unsigned_abs()) + 1;
            out.extend_from_slice(&segment[at..at + count]);
            at += count;
        } else {
            out.extend(std::iter::repeat_n(
                segment[at],
                usize::from(code.unsigned_abs()) + 1,
            ));
            at += 1;
        }
    }
    out
}

#[test]
fn rle_frames_decode_to_the_original_pixels() {
    let mut pixels = Noise::new(9).bytes(300);
    pixels.extend([7; 999]);
    pixels.extend([1, 1, 2, 2, 3, 3]);
    let frame = rle_frame(&pixels, 3);
    let word = |nth: usize| {
        u32::from_le_bytes(frame[nth * 4..nth * 4 + 4].try_into().expect("four")) as usize
    };
    assert_eq!(word(0), 3);
    for plane in 0..3 {
        let expected: Vec<u8> = pixels.iter().skip(plane).step_by(3).copied().collect();
        assert_eq!(
            unpack(&frame[word(plane + 1)..], expected.len()),
            expected,
            "plane {plane}"
        );
    }
    assert!(
        frame.len() < 64 + 3 * 140,
        "runs are packed: {}",
        frame.len()
    );
}

#[test]
fn canaries_are_planted_on_every_level_and_are_unique() {
    let mut set = everything_phi(&Place::new(1));
    let canaries = Canaries::plant(&mut set);
    let bytes = set.write(Syntax::ExplicitLittle);
    let tokens: HashSet<&[u8]> = canaries.iter().map(Canary::token).collect();
    assert_eq!(tokens.len(), canaries.len());
    assert_eq!(canaries.found_in(&bytes).len(), canaries.len());
    assert!(
        canaries
            .found_in(&everything_phi(&Place::new(1)).write(Syntax::ExplicitLittle))
            .is_empty()
    );
    assert!(
        canaries.iter().any(|canary| canary.path().len() == 4),
        "four levels"
    );
    assert!(
        canaries.iter().any(|canary| canary.tag().0 % 2 == 1),
        "private ones"
    );
}

#[test]
fn canaries_are_planted_in_every_standard_element() {
    let (set, canaries) = Canaries::in_every_standard_element(ct_small(&Place::new(1)));
    assert!(canaries.len() > 4_000, "{}", canaries.len());
    let tokens: HashSet<&[u8]> = canaries.iter().map(Canary::token).collect();
    assert_eq!(tokens.len(), canaries.len());
    let object = read(&set.write(Syntax::ExplicitLittle));
    assert_eq!(count(&object), set.count());
}

#[test]
fn invalid_data_sets_are_written_as_given() {
    let set = DataSet::new()
        .push(
            Tag(0x0010, 0x0020),
            dicom_core::VR::LO,
            Value::Exact(b"odd".to_vec()),
        )
        .push_raw(Tag(0x0008, 0x0018), *b"zz", "1.2")
        .push(Tag(0x0008, 0x0018), dicom_core::VR::UI, "1.2")
        .push(
            Tag(0x7FE0, 0x0010),
            dicom_core::VR::OB,
            Value::Claimed {
                length: 0xFFFF_FFF0,
                bytes: vec![1],
            },
        );
    let expected = b"\x10\x00\x20\x00LO\x03\x00odd\
        \x08\x00\x18\x00zz\x04\x001.2 \
        \x08\x00\x18\x00UI\x04\x001.2\x00\
        \xE0\x7F\x10\x00OB\x00\x00\xF0\xFF\xFF\xFF\x01";
    assert_eq!(set.write_data_set(Syntax::ExplicitLittle), expected);
}
