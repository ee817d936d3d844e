//! Decides whether the pixels of an object may show identifying text (PS3.3 section C.7.6.1).

use crate::read::uid::trim;

/// Whether the pixels show identifying text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BurnedInText {
    /// No sign of it.
    NotSaid,
    /// The object says so, or is a screen save.
    Shown,
    /// Objects of this SOP class often show it, and this one does not say.
    Unknown,
}

/// SOP classes whose pixels often show text: secondary capture and ultrasound (PS3.4 section B.5).
const OFTEN: [&str; 10] = [
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.6.2",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
];

/// Decides by Burned In Annotation (0028,0301), Image Type (0008,0008) and the SOP class.
pub(crate) fn burned_in(
    annotation: Option<&[u8]>,
    image_type: Option<&[u8]>,
    sop_class: &str,
) -> BurnedInText {
    let annotation = annotation.map(trim).unwrap_or_default();
    // Vendors write SCREEN SAVE, SCREEN_SAVE, SCREENSAVE or SAVE, in any of the values.
    let is_screen_save = image_type.is_some_and(|value| {
        value
            .windows(4)
            .any(|letters| letters.eq_ignore_ascii_case(b"SAVE"))
    });
    if annotation.eq_ignore_ascii_case(b"YES") || is_screen_save {
        BurnedInText::Shown
    } else if annotation.is_empty() && OFTEN.contains(&sop_class) {
        BurnedInText::Unknown
    } else {
        BurnedInText::NotSaid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers every ultrasound and secondary capture SOP class of the standard.
    #[test]
    fn ultrasound_and_secondary_capture_are_unknown_unless_they_say() {
        use dicom_dictionary_std::uids;
        let mut classes = vec![
            uids::ULTRASOUND_IMAGE_STORAGE,
            uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
            uids::ENHANCED_US_VOLUME_STORAGE,
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE,
            uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
            // Retired, so the dictionary has no constant for them.
            "1.2.840.10008.5.1.4.1.1.3",
            "1.2.840.10008.5.1.4.1.1.6",
        ];
        for class in &classes {
            let shown = |annotation| burned_in(annotation, None, class);
            assert_eq!(shown(None), BurnedInText::Unknown, "{class}");
            assert_eq!(shown(Some(b"")), BurnedInText::Unknown, "{class}");
            assert_eq!(shown(Some(b"NO")), BurnedInText::NotSaid, "{class}");
            assert_eq!(shown(Some(b"YES")), BurnedInText::Shown, "{class}");
        }
        classes.sort_unstable();
        let mut listed = OFTEN;
        listed.sort_unstable();
        assert_eq!(classes, listed);
    }

    #[test]
    fn annotation_image_type_and_class_decide() {
        use BurnedInText::{NotSaid, Shown, Unknown};
        const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
        const SC: &str = "1.2.840.10008.5.1.4.1.1.7";
        for (annotation, image_type, class, expect) in [
            (None, None, CT, NotSaid),
            (Some(&b"NO"[..]), None, SC, NotSaid),
            (None, None, SC, Unknown),
            (Some(b"  "), None, SC, Unknown),
            (Some(b"YES "), None, CT, Shown),
            (Some(b"yes"), None, CT, Shown),
            (
                Some(b"NO"),
                Some(&b"DERIVED\\SECONDARY\\SCREEN SAVE "[..]),
                CT,
                Shown,
            ),
            (None, Some(b"ORIGINAL\\PRIMARY\\Screen_Save"), CT, Shown),
            (None, Some(b"ORIGINAL\\PRIMARY\\AXIAL"), CT, NotSaid),
        ] {
            assert_eq!(
                burned_in(annotation, image_type, class),
                expect,
                "{annotation:?}"
            );
        }
    }
}
