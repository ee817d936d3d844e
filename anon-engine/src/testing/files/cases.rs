//! The named image cases: CT, ultrasound, secondary capture, encapsulated, and the large ones.

use std::io::{self, Write};

use dicom_core::{Tag, VR};

use super::data_set::{DataSet, Value, letters};
use super::encode::{Encoder, Form, Syntax};
use super::image::{fan, grey_pixels, phantom, rle_frame};
use super::modules::{
    Row, code, equipment_and_people, patient_study_series, reference, tag, texts,
};
use super::{Lengths, Noise, Place};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const US: &str = "1.2.840.10008.5.1.4.1.1.6.1";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
const XA: &str = "1.2.840.10008.5.1.4.1.1.12.1";

/// Acquisition parameters of the CT slice (PS3.3 section C.8.2), and other typical elements.
const CT_ROWS: &[Row] = &[
    (0x0008_0008, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
    (0x0008_0022, VR::DA, "20190304"),
    (0x0008_0032, VR::TM, "101801.5"),
    (0x0008_1030, VR::LO, "CT thorax"),
    (0x0008_103E, VR::LO, "axial 1.0 soft"),
    (0x0010_1000, VR::LO, "MRN-88412"),
    (0x0010_2160, VR::SH, "unknown"),
    (0x0010_2180, VR::SH, "Lightkeeper"),
    (
        0x0010_4000,
        VR::LT,
        "Arrived from Larkspur ward 3 with a nurse",
    ),
    (0x0018_0010, VR::LO, "none"),
    (0x0018_0015, VR::CS, "CHEST"),
    (0x0018_0022, VR::CS, "HELICAL MODE"),
    (0x0018_0050, VR::DS, "1.0"),
    (0x0018_0060, VR::DS, "120"),
    (0x0018_0090, VR::DS, "500"),
    (0x0018_1030, VR::LO, "Thorax routine"),
    (0x0018_1100, VR::DS, "360"),
    (0x0018_1130, VR::DS, "143"),
    (0x0018_1150, VR::IS, "500"),
    (0x0018_1151, VR::IS, "210"),
    (0x0018_1152, VR::IS, "105"),
    (0x0018_1200, VR::DA, "20190102\\20190211"),
    (0x0018_1201, VR::TM, "070000\\071500"),
    (0x0018_1210, VR::SH, "B30f"),
    (0x0018_5100, VR::CS, "HFS"),
    (0x0020_0012, VR::IS, "4"),
    (0x0020_0037, VR::DS, "1\\0\\0\\0\\1\\0"),
    (0x0020_1040, VR::LO, "SN"),
    (0x0020_4000, VR::LT, "Reformatted on console 2"),
    (0x0028_0301, VR::CS, "NO"),
    (0x0028_1050, VR::DS, "40\\-600"),
    (0x0028_1051, VR::DS, "400\\1200"),
    (0x0028_1052, VR::DS, "-1024"),
    (0x0028_1053, VR::DS, "1"),
    (0x0028_1054, VR::LO, "HU"),
    (0x0032_1032, VR::PN, "Requester^Rufus"),
    (0x0032_1060, VR::LO, "CT thorax without contrast"),
    (0x0038_0010, VR::LO, "ADM-2019-113"),
    (0x0040_0253, VR::SH, "PPS-771"),
    (0x0040_1001, VR::SH, "RP-5521"),
    (0x0040_A124, VR::UI, "2.25.7123498712349871234"),
];

/// A CT slice of 512 × 512 × 16 bits: about 527 KB, about 145 elements on all levels, with nested
/// sequences and three private blocks.
pub fn ct_slice(place: &Place) -> DataSet {
    ct(place, 512)
}

/// The same slice with a matrix of 64 × 64: about 11 KB.
pub fn ct_small(place: &Place) -> DataSet {
    ct(place, 64)
}

fn ct(place: &Place, matrix: u16) -> DataSet {
    let spacing = 360_000_u32 / u32::from(matrix);
    let base = equipment_and_people(patient_study_series(place, CT, "CT"));
    let set = ct_private(ct_sequences(texts(base, CT_ROWS), place))
        .put(
            tag(0x0020_0032),
            VR::DS,
            format!("-180\\-180\\{}", 200 - i64::from(place.instance % 400)),
        )
        .put(tag(0x0020_0052), VR::UI, place.other_uid(1))
        .put(
            tag(0x0020_1041),
            VR::DS,
            format!("{}", 200 - i64::from(place.instance % 400)),
        )
        .put(
            tag(0x0028_0030),
            VR::DS,
            format!("0.{spacing:06}\\0.{spacing:06}"),
        );
    grey_pixels(
        set,
        matrix,
        matrix,
        phantom(matrix, matrix, &mut place.noise()),
    )
}

fn ct_sequences(set: DataSet, place: &Place) -> DataSet {
    let earlier = |number| reference(CT, &place.other_uid(number));
    let requested = DataSet::new()
        .put(tag(0x0008_0050), VR::SH, place.accession())
        .put(tag(0x0020_000D), VR::UI, place.study_uid())
        .sequence(
            tag(0x0008_1110),
            vec![reference("1.2.840.10008.3.1.2.3.1", &place.other_uid(10))],
        )
        .put(tag(0x0032_1060), VR::LO, "CT thorax without contrast")
        .sequence(tag(0x0032_1064), vec![code("CTTHO", "99LARK", "CT thorax")])
        .put(tag(0x0040_0007), VR::LO, "Thorax for Quillfeather")
        .put(tag(0x0040_1001), VR::SH, "RP-5521");
    set.sequence(tag(0x0008_1032), vec![code("CTTHO", "99LARK", "CT thorax")])
        .sequence(
            tag(0x0008_1111),
            vec![reference("1.2.840.10008.3.1.2.3.3", &place.other_uid(11))],
        )
        .sequence(tag(0x0008_1140), vec![earlier(12), earlier(13)])
        .sequence(
            tag(0x0008_2112),
            vec![earlier(14).sequence(
                tag(0x0040_A170),
                vec![code(
                    "121322",
                    "DCM",
                    "Source image for image processing operation",
                )],
            )],
        )
        .sequence(
            tag(0x0008_2218),
            vec![
                code("51185008", "SCT", "Chest")
                    .sequence(tag(0x0008_2220), vec![code("24028007", "SCT", "Right")]),
            ],
        )
        .sequence(
            tag(0x0018_9346),
            vec![code("113691", "DCM", "IEC Body Dosimetry Phantom")],
        )
        .sequence(
            tag(0x0040_0260),
            vec![code("THO1", "99LARK", "Thorax protocol")],
        )
        .sequence(tag(0x0040_0275), vec![requested])
}

/// Private blocks of three makers, one of them with a sequence whose item has a block of its own.
fn ct_private(set: DataSet) -> DataSet {
    let inner = DataSet::new()
        .put(tag(0x0010_0010), VR::PN, "Hidden^Inner")
        .private(
            (0x0029, 0x10, 0x08),
            "SYNTHETIC INNER",
            VR::LO,
            "inner value",
        );
    set.private(
        (0x0009, 0x10, 0x01),
        "SYNTHETIC IDENT 1",
        VR::LO,
        "Quillfeather private copy",
    )
    .private(
        (0x0009, 0x10, 0x04),
        "SYNTHETIC IDENT 1",
        VR::DA,
        "20190304",
    )
    .private(
        (0x0019, 0x10, 0x02),
        "SYNTHETIC CT PARM",
        VR::FD,
        0.984_375_f64,
    )
    .private(
        (0x0019, 0x10, 0x0F),
        "SYNTHETIC CT PARM",
        VR::UN,
        &[7, 1, 0, 3, 9, 9],
    )
    .private(
        (0x0019, 0x10, 0x10),
        "SYNTHETIC CT PARM",
        VR::DS,
        "12.5\\13.5\\14.5",
    )
    .private(
        (0x0029, 0x10, 0x40),
        "SYNTHETIC HEADER",
        VR::SQ,
        vec![inner],
    )
    .private(
        (0x0029, 0x10, 0x41),
        "SYNTHETIC HEADER",
        VR::OB,
        vec![0x5A_u8; 96],
    )
}

/// A file that is mostly header: about 20 KB and 200 elements over three levels, pixels of 16 × 16.
pub fn metadata_heavy(place: &Place) -> DataSet {
    let mut set = ct(place, 16);
    let mut noise = place.noise();
    let note = |noise: &mut Noise| {
        let words = [
            "lobe", "margin", "stable", "without", "nodule", "axis", "spacing", "Larkspur",
        ];
        let mut text = String::new();
        while text.len() < 900 {
            let word = words
                .iter()
                .cycle()
                .nth(noise.below(8) as usize)
                .unwrap_or(&"");
            text.push_str(word);
            text.push(' ');
        }
        text
    };
    for number in [
        0x0010_21B0,
        0x0018_4000,
        0x0020_4000,
        0x0032_4000,
        0x0038_4000,
        0x0040_1400,
    ] {
        set.set(tag(number), VR::LT, note(&mut noise));
    }
    let regions = (0..13)
        .map(|nth: u32| {
            code(&format!("REG{nth}"), "99LARK", "Region of interest").put(
                tag(0x0018_9004),
                VR::CS,
                "RESEARCH",
            )
        })
        .collect();
    let set = set.sequence(tag(0x0018_9346), regions);
    set.private(
        (0x0029, 0x11, 0x10),
        "SYNTHETIC CURVE",
        VR::OB,
        noise.bytes(9_000),
    )
}

/// A colour ultrasound image of 96 × 128 RGB pixels without burned-in text: (0028,0301) is NO.
///
/// Its pixels are RLE Lossless: write it as [`Syntax::RLE`].
pub fn us_colour(place: &Place) -> DataSet {
    const ROWS: u16 = 96;
    const COLUMNS: u16 = 128;
    let pixels = fan(ROWS, COLUMNS, &mut place.noise());
    let region = DataSet::new()
        .put(tag(0x0018_6012), VR::US, 1_u16)
        .put(tag(0x0018_6014), VR::US, 1_u16)
        .put(tag(0x0018_6016), VR::UL, 0_u32)
        .put(tag(0x0018_6018), VR::UL, 0_u32)
        .put(tag(0x0018_601A), VR::UL, 0_u32)
        .put(tag(0x0018_601C), VR::UL, u32::from(COLUMNS) - 1)
        .put(tag(0x0018_601E), VR::UL, u32::from(ROWS) - 1)
        .put(tag(0x0018_6024), VR::US, 3_u16)
        .put(tag(0x0018_6026), VR::US, 3_u16)
        .put(tag(0x0018_602C), VR::FD, 0.0625_f64)
        .put(tag(0x0018_602E), VR::FD, 0.0625_f64);
    let base = equipment_and_people(patient_study_series(place, US, "US"));
    texts(
        base,
        &[
            (0x0008_0008, VR::CS, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0001"),
            (0x0008_1030, VR::LO, "US abdomen"),
            (0x0020_0020, VR::CS, ""),
            (0x0028_0301, VR::CS, "NO"),
            (0x0028_0004, VR::CS, "RGB"),
            (0x0028_2110, VR::CS, "00"),
        ],
    )
    .sequence(tag(0x0018_6011), vec![region])
    .put(tag(0x0028_0002), VR::US, 3_u16)
    .put(tag(0x0028_0006), VR::US, 0_u16)
    .put(tag(0x0028_0010), VR::US, ROWS)
    .put(tag(0x0028_0011), VR::US, COLUMNS)
    .put(tag(0x0028_0100), VR::US, 8_u16)
    .put(tag(0x0028_0101), VR::US, 8_u16)
    .put(tag(0x0028_0102), VR::US, 7_u16)
    .put(tag(0x0028_0103), VR::US, 0_u16)
    .put(
        tag(0x7FE0_0010),
        VR::OB,
        Value::Fragments(vec![rle_frame(&pixels, 3)]),
    )
}

/// A secondary capture image that does not say whether text is burned in.
pub fn secondary_capture(place: &Place) -> DataSet {
    let base = equipment_and_people(patient_study_series(place, SECONDARY_CAPTURE, "OT"));
    let set = texts(
        base,
        &[
            (0x0008_0008, VR::CS, "DERIVED\\SECONDARY"),
            (0x0008_0064, VR::CS, "WSD"),
        ],
    );
    grey_pixels(set, 32, 32, phantom(32, 32, &mut place.noise()))
}

/// Bytes of each fragment of [`encapsulated`].
pub const FRAGMENT_BYTES: usize = 4096;

/// A multi-frame angiogram with one fragment of noise a frame; the fragments are not images. Write
/// it in an encapsulated syntax such as [`Syntax::JPEG_LOSSLESS`].
pub fn encapsulated(place: &Place, fragments: usize) -> DataSet {
    let mut noise = place.noise();
    let pixels = (0..fragments)
        .map(|_| noise.bytes(FRAGMENT_BYTES))
        .collect();
    multi_frame_head(place, fragments).put(tag(0x7FE0_0010), VR::OB, Value::Fragments(pixels))
}

fn multi_frame_head(place: &Place, frames: usize) -> DataSet {
    let base = equipment_and_people(patient_study_series(place, XA, "XA"));
    let set = texts(
        base,
        &[
            (0x0008_0008, VR::CS, "ORIGINAL\\PRIMARY\\SINGLE PLANE"),
            (0x0018_0060, VR::DS, "80"),
            (0x0018_1063, VR::DS, "66.7"),
            (0x0018_1155, VR::CS, "GR"),
            (0x0028_0301, VR::CS, "NO"),
            (0x0028_1040, VR::CS, "LIN"),
        ],
    )
    .put(tag(0x0028_0008), VR::IS, frames.to_string())
    .put(tag(0x0028_0009), VR::AT, tag(0x0018_1063));
    grey_pixels(set, 512, 512, Vec::new()).without(tag(0x7FE0_0010))
}

/// A multi-frame object of any size that is written frame by frame, never held in memory.
#[derive(Debug, Clone)]
pub struct LargeImage {
    place: Place,
    frames: u32,
}

impl LargeImage {
    /// Bytes of one frame: 512 × 512 × 16 bits.
    pub const FRAME_BYTES: u32 = 512 * 512 * 2;

    /// The largest number of frames whose native pixel data fits its length field.
    pub const MAX_FRAMES: u32 = u32::MAX / Self::FRAME_BYTES;

    /// An object of this many frames, at most [`LargeImage::MAX_FRAMES`] (just under 4 GiB).
    pub fn new(place: Place, frames: u32) -> Self {
        Self {
            place,
            frames: frames.min(Self::MAX_FRAMES),
        }
    }

    /// 512 frames: 256 MiB of pixels.
    pub fn of_256m(place: Place) -> Self {
        Self::new(place, 512)
    }

    /// Length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.head().len() as u64 + u64::from(self.pixel_bytes())
    }

    /// Returns false: every object has a header.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the Part 10 file, explicit little endian, and returns its length.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, writer: &mut dyn Write) -> io::Result<u64> {
        let head = self.head();
        writer.write_all(&head)?;
        let mut noise = self.place.noise();
        let mut frame = vec![0; Self::FRAME_BYTES as usize];
        for _ in 0..self.frames {
            noise.fill(&mut frame);
            writer.write_all(&frame)?;
        }
        Ok(head.len() as u64 + u64::from(self.pixel_bytes()))
    }

    const fn pixel_bytes(&self) -> u32 {
        self.frames * Self::FRAME_BYTES
    }

    /// Everything up to the first pixel.
    fn head(&self) -> Vec<u8> {
        let set = multi_frame_head(&self.place, self.frames as usize);
        let form = Form::new(Syntax::ExplicitLittle);
        let mut head = set.write_as(&form);
        let mut pixel_header = Encoder::new(form.syntax, Lengths::Defined);
        pixel_header.header(Tag(0x7FE0, 0x0010), letters(VR::OW), self.pixel_bytes());
        head.extend_from_slice(&pixel_header.out);
        head
    }
}
