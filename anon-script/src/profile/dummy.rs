//! Values that replace others (action D of PS3.15 section E.1.1): valid for their VR, and the same in every
//! object.

use std::sync::Arc;

use dicom_core::{Tag, VR};

use crate::rules::{Action, ItemElement, ItemValue};

/// Returns the action that replaces an attribute.
pub(super) fn action(tag: Tag, vr: VR) -> Action {
    let text = match (tag, vr) {
        (Tag(0x0400, 0x0565), _) => "COERCE",
        (_, VR::UI) => return Action::Uid,
        (_, VR::SQ) => return Action::Item(item(tag)),
        (_, VR::PN | VR::LO | VR::SH | VR::UC | VR::ST | VR::LT | VR::UT) => "REMOVED",
        (_, VR::CS | VR::AE) => "ANON",
        (_, VR::DA) => "19000101",
        (_, VR::TM) => "000000",
        (_, VR::DT) => "19000101000000",
        (_, VR::AS) => "030Y",
        (_, VR::UR) => "urn:removed",
        (_, VR::IS | VR::DS | VR::US | VR::SS | VR::UL | VR::SL | VR::FL | VR::FD) => "0",
        // Bytes of unknown meaning have no dummy.
        _ => return Action::Empty,
    };
    Action::Replace(text.into())
}

fn text(tag: Tag, vr: VR, text: &str) -> ItemElement {
    ItemElement {
        tag,
        vr,
        value: ItemValue::Text(text.into()),
    }
}

fn sequence(tag: Tag, elements: impl Into<Arc<[ItemElement]>>) -> ItemElement {
    ItemElement {
        tag,
        vr: VR::SQ,
        value: ItemValue::Item(elements.into()),
    }
}

/// A coded entry (PS3.3 section 8.8).
fn code(value: &str, scheme: &str, meaning: &str) -> [ItemElement; 3] {
    [
        text(Tag(0x0008, 0x0100), VR::SH, value),
        text(Tag(0x0008, 0x0102), VR::SH, scheme),
        text(Tag(0x0008, 0x0104), VR::LO, meaning),
    ]
}

fn unknown() -> [ItemElement; 3] {
    code("261665006", "SCT", "Unknown")
}

/// An item with what its sequence requires (PS3.3).
fn item(sequence_tag: Tag) -> Arc<[ItemElement]> {
    match sequence_tag {
        // Person Identification Macro (PS3.3 section 10.1).
        Tag(0x0008, 0x1072) => [
            text(Tag(0x0008, 0x0080), VR::LO, "REMOVED"),
            sequence(Tag(0x0040, 0x1101), unknown()),
        ]
        .into(),
        // SOP Instance Reference Macro (PS3.3 section 10.8): Modality Performed Procedure Step.
        Tag(0x0008, 0x1111) => [
            text(Tag(0x0008, 0x1150), VR::UI, "1.2.840.10008.3.1.2.3.3"),
            text(Tag(0x0008, 0x1155), VR::UI, "2.25.0"),
        ]
        .into(),
        // Verifying Observer Sequence (PS3.3 section C.17.2).
        Tag(0x0040, 0xA073) => [
            text(Tag(0x0040, 0xA027), VR::LO, "REMOVED"),
            text(Tag(0x0040, 0xA030), VR::DT, "19000101000000"),
            text(Tag(0x0040, 0xA075), VR::PN, "REMOVED"),
            sequence(Tag(0x0040, 0xA088), unknown()),
        ]
        .into(),
        // A content item (PS3.3 section C.17.3): a comment.
        Tag(0x0040, 0xA730) => [
            text(Tag(0x0040, 0xA010), VR::CS, "CONTAINS"),
            text(Tag(0x0040, 0xA040), VR::CS, "TEXT"),
            sequence(Tag(0x0040, 0xA043), code("121106", "DCM", "Comment")),
            text(Tag(0x0040, 0xA160), VR::UT, "removed"),
        ]
        .into(),
        // Waveform Annotation Sequence (PS3.3 section C.10.8).
        Tag(0x0040, 0xB020) => [
            text(Tag(0x0040, 0xA0B0), VR::US, "1\\0"),
            text(Tag(0x0070, 0x0006), VR::ST, "removed"),
        ]
        .into(),
        // Graphic Annotation Sequence (PS3.3 section C.10.5): a point in the corner.
        Tag(0x0070, 0x0001) => [
            text(Tag(0x0070, 0x0002), VR::CS, "ANON"),
            sequence(
                Tag(0x0070, 0x0009),
                [
                    text(Tag(0x0070, 0x0005), VR::CS, "PIXEL"),
                    text(Tag(0x0070, 0x0020), VR::US, "2"),
                    text(Tag(0x0070, 0x0021), VR::US, "1"),
                    text(Tag(0x0070, 0x0022), VR::FL, "1\\1"),
                    text(Tag(0x0070, 0x0023), VR::CS, "POINT"),
                    text(Tag(0x0070, 0x0024), VR::CS, "N"),
                ],
            ),
        ]
        .into(),
        _ => unknown().into(),
    }
}
