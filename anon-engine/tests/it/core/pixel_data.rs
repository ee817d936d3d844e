//! Native pixel data that is longer or shorter than the image, and bytes behind it.

use anon_engine::{Source, plan};
use anon_model::{Remark, RemarkReason};
use dicom_core::Tag;

use super::build::{
    EXPLICIT, Enc, JPEG, Object, Outcome, Table, UNDEFINED, data_set_of, holds, names, read, run,
};

const SAMPLES: Tag = Tag(0x0028, 0x0002);
const FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS: Tag = Tag(0x0028, 0x0100);
const PIXELS: Tag = Tag(0x7FE0, 0x0010);
const GARBAGE: &[u8] = b"CANARY^X\r\n0 bytes left";

/// Two frames of three rows and five columns.
fn image(enc: Enc, bits: u16, pixels: &[u8]) -> Object {
    let word = |number: u16| match enc {
        Enc::Big => number.to_be_bytes(),
        Enc::Explicit | Enc::Implicit => number.to_le_bytes(),
    };
    Object::new(enc)
        .element(SAMPLES, "US", word(1))
        .text(FRAMES, "IS", "2")
        .element(ROWS, "US", word(3))
        .element(COLUMNS, "US", word(5))
        .element(BITS, "US", word(bits))
        .element(PIXELS, "OW", pixels)
}

fn remarks(table: Table, bytes: &[u8]) -> Outcome<Vec<(RemarkReason, u32, u64)>> {
    let policy = table.policy();
    let plan = plan(&policy, Source::part10(bytes))?;
    let clean = plan.apply(&names(plan.wanted()))?;
    let each = |remark: Remark| (remark.reason, remark.tag, remark.count);
    Ok(clean.remarks().iter().map(each).collect())
}

fn pixels(output: &[u8]) -> Outcome<Vec<u8>> {
    Ok(read(output)?.element(PIXELS)?.to_bytes()?.into_owned())
}

#[test]
fn bytes_behind_the_last_pixel_are_left_out_and_counted() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        for (bits, len) in [(8, 30), (16, 60), (1, 4)] {
            let whole = vec![7; len];
            let longer = [&whole[..], GARBAGE].concat();
            let input = image(enc, bits, &longer).part10(syntax);
            let output = run(&Table::new().policy(), &input)?;
            assert!(!holds(&output, b"CANARY"), "{enc:?} {bits}");
            assert_eq!(pixels(&output)?, whole, "{enc:?} {bits}");
            let expected = (RemarkReason::PixelsTooLong, 0x7FE0_0010, 1);
            assert_eq!(remarks(Table::new(), &input)?, [expected]);
            // The output is whole, so nothing is to be said of it.
            assert_eq!(remarks(Table::new(), &output)?, []);
        }
    }
    Ok(())
}

#[test]
fn float_pixel_data_loses_the_bytes_behind_its_last_pixel_too() -> Outcome {
    for (tag, vr, bits, rows, len) in [
        (Tag(0x7FE0, 0x0008), "OF", 32, 3, 120),
        (Tag(0x7FE0, 0x0009), "OD", 64, 3, 240),
        (Tag(0x7FE0, 0x0008), "OF", 32, 1, 40),
    ] {
        let longer = [&vec![7; len][..], GARBAGE].concat();
        let object = image(Enc::Explicit, bits, &[]).without(PIXELS);
        let object = object.element(ROWS, "US", [rows, 0]);
        let input = object.element(tag, vr, longer).part10(EXPLICIT);
        let output = run(&Table::new().keeping(&[tag]).policy(), &input)?;
        assert!(!holds(&output, b"CANARY"), "{tag}");
        assert_eq!(read(&output)?.element(tag)?.to_bytes()?.len(), len);
    }
    Ok(())
}

#[test]
fn short_pixel_data_is_kept_and_counted() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let short = [7; 28];
        let input = image(enc, 8, &short).part10(syntax);
        let output = run(&Table::new().policy(), &input)?;
        assert_eq!(pixels(&output)?, short, "{enc:?}");
        let expected = (RemarkReason::PixelsTooShort, 0x7FE0_0010, 1);
        assert_eq!(remarks(Table::new(), &input)?, [expected]);
    }
    Ok(())
}

#[test]
fn an_image_of_nearly_4_gib_that_is_not_there_is_kept_as_it_is() -> Outcome {
    // 65535 rows of 1 pixel in 65537 frames: the most that 32 bits can count.
    let enc = Enc::Explicit;
    let short = [7; 28];
    let input = image(enc, 8, &short)
        .text(FRAMES, "IS", "65537")
        .element(ROWS, "US", [0xFF, 0xFF])
        .element(COLUMNS, "US", [1, 0])
        .part10(EXPLICIT);
    let output = run(&Table::new().policy(), &input)?;
    assert_eq!(pixels(&output)?, short);
    let expected = (RemarkReason::PixelsTooShort, 0x7FE0_0010, 1);
    assert_eq!(remarks(Table::new(), &input)?, [expected]);
    Ok(())
}

#[test]
fn pixel_data_of_the_right_length_is_not_mentioned() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        // 12 bits are packed by some writers, and stored in 16 by others.
        for (bits, len) in [(8, 30), (16, 60), (1, 4), (12, 46), (12, 60)] {
            let input = image(enc, bits, &vec![7; len]).part10(syntax);
            assert_eq!(remarks(Table::new(), &input)?, [], "{enc:?} {bits}");
        }
        // The length is not certain: the pixel data stays as it is.
        let without = image(enc, 8, &[7; 90]).without(ROWS).part10(syntax);
        assert_eq!(remarks(Table::new(), &without)?, []);
        assert_eq!(pixels(&run(&Table::new().policy(), &without)?)?, [7; 90]);
    }
    Ok(())
}

#[test]
fn odd_pixel_data_is_padded_and_not_too_long() -> Outcome {
    let enc = Enc::Explicit;
    let odd = image(enc, 8, &[7; 16]).text(FRAMES, "IS", "1");
    assert_eq!(remarks(Table::new(), &odd.part10(EXPLICIT))?, []);
    let longer = image(enc, 8, &[7; 18]).text(FRAMES, "IS", "1");
    let output = run(&Table::new().policy(), &longer.part10(EXPLICIT))?;
    assert_eq!(pixels(&output)?, [&[7; 15][..], &[0]].concat());
    Ok(())
}

#[test]
fn bytes_behind_the_pixel_data_that_are_no_element_are_left_out_and_counted() -> Outcome {
    for (enc, syntax) in Enc::ALL {
        let whole = image(enc, 8, &[7; 30]).part10(syntax);
        let expected = run(&Table::new().policy(), &whole)?;
        let cases: [&[u8]; 4] = [GARBAGE, b"\x1A", b"\r\n", b"\0\0\0\0\0\0\0\0\0\0CANARY^X"];
        for garbage in cases {
            let input = [&whole[..], garbage].concat();
            let output = run(&Table::new().policy(), &input)?;
            assert_eq!(output, expected, "{enc:?} {garbage:?}");
            let one = (RemarkReason::TrailingBytes, 0, 1);
            assert_eq!(remarks(Table::new(), &input)?, [one], "{garbage:?}");
        }
        let padded = [&whole[..], &[0; 300]].concat();
        assert_eq!(remarks(Table::new(), &padded)?, [], "zeros are padding");
    }
    Ok(())
}

/// What could be the rest of a damaged object is not dropped.
#[test]
fn an_element_that_is_cut_behind_the_pixel_data_is_refused() {
    for (enc, syntax) in Enc::ALL {
        let whole = image(enc, 8, &[7; 30]).part10(syntax);
        for cut in [
            enc.header(Tag(0x7FE1, 0x1010), "OB", 500),
            enc.header(Tag(0xFFFA, 0xFFFA), "SQ", 500),
            enc.header(Tag(0xFFFE, 0xE000), "", 500),
        ] {
            let input = [&whole[..], &cut, b"the rest"].concat();
            let refused = run(&Table::new().policy(), &input).expect_err("cut");
            assert!(!refused.foreign, "{}", refused.reason);
        }
        let zeros = [0; 128];
        let second = [&zeros[..], &whole[128..]].concat();
        run(&Table::new().policy(), &[&whole[..], &second].concat()).expect_err("a second file");
        // Without pixel data, nobody knows whether the object was complete.
        let input = Object::new(enc).part10(syntax);
        run(&Table::new().policy(), &[&input[..], GARBAGE].concat()).expect_err("no pixels");
    }
}

#[test]
fn bytes_behind_compressed_pixel_data_are_left_out() -> Outcome {
    let enc = Enc::Explicit;
    let mut fragments = enc.header(PIXELS, "OB", UNDEFINED);
    fragments.extend(enc.header(Tag(0xFFFE, 0xE000), "", 0));
    fragments.extend(enc.element(Tag(0xFFFE, 0xE000), "", [0xFF; 8]));
    fragments.extend(enc.header(Tag(0xFFFE, 0xE0DD), "", 0));
    let whole = Object::new(enc).raw(PIXELS, fragments).part10(JPEG);
    let output = run(&Table::new().policy(), &[&whole[..], GARBAGE].concat())?;
    assert_eq!(output, run(&Table::new().policy(), &whole)?);
    assert!(data_set_of(&output)?.ends_with(&enc.header(Tag(0xFFFE, 0xE0DD), "", 0)));
    Ok(())
}
