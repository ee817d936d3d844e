//! Enhanced MR: shared and per-frame functional groups (PS3.3 section C.7.6.16).

use dicom_core::VR;

use super::image::{grey_pixels, phantom};
use super::modules::{
    code, equipment_and_people, patient_study_series, reference, study_date, tag, texts,
};
use super::{DataSet, Place};

const ENHANCED_MR: &str = "1.2.840.10008.5.1.4.1.1.4.1";

/// An Enhanced MR image of `frames` frames of `matrix` × `matrix` pixels, with three levels of
/// nesting in its functional groups and dates, UIDs and times inside them.
pub fn mr_multiframe(place: &Place, frames: u16, matrix: u16) -> DataSet {
    let base = equipment_and_people(patient_study_series(place, ENHANCED_MR, "MR"));
    let set = texts(
        base,
        &[
            (0x0008_0008, VR::CS, "ORIGINAL\\PRIMARY\\T1\\NONE"),
            (0x0008_1030, VR::LO, "MR knee"),
            (0x0008_103E, VR::LO, "T1 sagittal"),
            (0x0008_9205, VR::CS, "MONOCHROME"),
            (0x0008_9206, VR::CS, "VOLUME"),
            (0x0008_9207, VR::CS, "NONE"),
            (0x0008_9208, VR::CS, "MAGNITUDE"),
            (0x0008_9209, VR::CS, "T1"),
            (0x0018_0023, VR::CS, "3D"),
            (0x0018_0087, VR::DS, "3"),
            (0x0018_9004, VR::CS, "PRODUCT"),
            (0x0018_9005, VR::SH, "T1 FFE"),
            (0x0018_9008, VR::CS, "GRADIENT"),
            (0x0018_9011, VR::CS, "NO"),
            (0x0018_9012, VR::CS, "NO"),
            (0x0018_9014, VR::CS, "NO"),
            (0x0018_9015, VR::CS, "NO"),
            (0x0018_9017, VR::CS, "NONE"),
            (0x0018_9018, VR::CS, "NO"),
            (0x0018_9024, VR::CS, "NO"),
            (0x0018_9025, VR::CS, "NONE"),
            (0x0018_9029, VR::CS, "NONE"),
            (0x0018_9032, VR::CS, "RECTILINEAR"),
            (0x0018_9033, VR::CS, "SINGLE"),
            (0x0018_9034, VR::CS, "LINEAR"),
            (0x0018_9064, VR::CS, "NONE"),
            (0x0018_9100, VR::CS, "1H"),
            (0x0018_9174, VR::CS, "IEC"),
            (0x0018_106A, VR::CS, "NO TRIGGER"),
            (0x0018_1800, VR::CS, "N"),
            (0x0018_5100, VR::CS, "HFS"),
            (0x0020_1040, VR::LO, ""),
            (0x0028_0301, VR::CS, "NO"),
            (0x0028_2110, VR::CS, "00"),
            (0x2050_0020, VR::CS, "IDENTITY"),
        ],
    )
    .put(
        tag(0x0008_002A),
        VR::DT,
        format!("{}101801.250", study_date(place)),
    )
    .put(tag(0x0018_9073), VR::FD, 128.5_f64)
    .put(tag(0x0020_0052), VR::UI, place.other_uid(1))
    .put(tag(0x0020_0200), VR::UI, place.other_uid(2))
    .put(tag(0x0020_9161), VR::UI, place.own_uid(1))
    .put(tag(0x0028_0008), VR::IS, frames.to_string())
    .sequence(tag(0x0040_0555), Vec::new())
    .sequence(
        tag(0x0020_9221),
        vec![DataSet::new().put(tag(0x0020_9164), VR::UI, place.own_uid(2))],
    )
    .sequence(tag(0x0020_9222), vec![dimension(place)])
    .sequence(tag(0x5200_9229), vec![shared(place)])
    .sequence(
        tag(0x5200_9230),
        (1..=frames).map(|frame| per_frame(place, frame)).collect(),
    );
    let mut noise = place.noise();
    let pixels = (0..frames)
        .flat_map(|_| phantom(matrix, matrix, &mut noise))
        .collect();
    grey_pixels(set, matrix, matrix, pixels)
}

fn dimension(place: &Place) -> DataSet {
    DataSet::new()
        .put(tag(0x0020_9164), VR::UI, place.own_uid(2))
        .put(tag(0x0020_9165), VR::AT, tag(0x0020_9057))
        .put(tag(0x0020_9167), VR::AT, tag(0x0020_9111))
}

/// The functional groups that all frames share.
fn shared(place: &Place) -> DataSet {
    let measures = DataSet::new()
        .put(tag(0x0018_0050), VR::DS, "3")
        .put(tag(0x0018_0088), VR::DS, "3.3")
        .put(tag(0x0028_0030), VR::DS, "0.5\\0.5");
    let orientation = DataSet::new().put(tag(0x0020_0037), VR::DS, "0\\1\\0\\0\\0\\-1");
    let region = DataSet::new()
        .sequence(tag(0x0008_2218), vec![code("72696002", "SCT", "Knee")])
        .put(tag(0x0020_9072), VR::CS, "L");
    let referenced = reference(ENHANCED_MR, &place.other_uid(20))
        .sequence(tag(0x0040_A170), vec![code("121311", "DCM", "Localizer")]);
    let timing = DataSet::new()
        .put(tag(0x0018_0080), VR::DS, "25")
        .put(tag(0x0018_0091), VR::IS, "1")
        .put(tag(0x0018_1314), VR::DS, "30")
        .put(tag(0x0018_9240), VR::US, 1_u16)
        .put(tag(0x0018_9241), VR::US, 1_u16);
    DataSet::new()
        .sequence(tag(0x0008_1140), vec![referenced])
        .sequence(tag(0x0018_9112), vec![timing])
        .sequence(tag(0x0020_9071), vec![region])
        .sequence(tag(0x0020_9116), vec![orientation])
        .sequence(tag(0x0028_9110), vec![measures])
}

/// The functional groups of one frame, counted from 1.
fn per_frame(place: &Place, frame: u16) -> DataSet {
    let date = study_date(place);
    let content = DataSet::new()
        .put(
            tag(0x0018_9074),
            VR::DT,
            format!("{date}1018{:02}.5", frame % 60),
        )
        .put(
            tag(0x0018_9151),
            VR::DT,
            format!("{date}1018{:02}.75", frame % 60),
        )
        .put(tag(0x0018_9220), VR::FD, 250_f64)
        .put(tag(0x0020_9056), VR::SH, "1")
        .put(tag(0x0020_9057), VR::UL, u32::from(frame))
        .put(tag(0x0020_9157), VR::UL, u32::from(frame));
    let position = DataSet::new().put(
        tag(0x0020_0032),
        VR::DS,
        format!("{}\\-60\\60", i32::from(frame) * 3 - 30),
    );
    let echo = DataSet::new().put(tag(0x0018_9082), VR::FD, 4.6_f64);
    let frame_type = DataSet::new()
        .put(tag(0x0008_9007), VR::CS, "ORIGINAL\\PRIMARY\\T1\\NONE")
        .put(tag(0x0008_9205), VR::CS, "MONOCHROME")
        .put(tag(0x0008_9206), VR::CS, "VOLUME")
        .put(tag(0x0008_9207), VR::CS, "NONE")
        .put(tag(0x0008_9208), VR::CS, "MAGNITUDE")
        .put(tag(0x0008_9209), VR::CS, "T1");
    DataSet::new()
        .sequence(tag(0x0018_9114), vec![echo])
        .sequence(tag(0x0018_9226), vec![frame_type])
        .sequence(tag(0x0020_9111), vec![content])
        .sequence(tag(0x0020_9113), vec![position])
}
