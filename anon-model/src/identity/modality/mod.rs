//! Modalities and their storage SOP classes.
//!
//! A project names the modalities that it accepts. V17's fifteen have the same classes as in V17.
//! The others have the classes of PS3.4 Table B.5-1 that the modality creates (PS3.3 section
//! C.7.3.1.1.1). Settings can name single classes in addition.

mod classes;

pub(crate) use classes::{CLASSES, TRANSFER_SYNTAXES};

/// A modality and its storage classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Modality {
    /// The code of PS3.3 section C.7.3.1.1.1, or V17's.
    pub code: &'static str,
    /// Its name in plain words.
    pub name: &'static str,
    /// UIDs of storage SOP classes without the prefix `1.2.840.10008.5.1.4.1.1.`.
    suffixes: &'static [&'static str],
}

/// The prefix of the UIDs of storage classes.
const PREFIX: &str = "1.2.840.10008.5.1.4.1.1.";

const fn modality(
    code: &'static str,
    name: &'static str,
    suffixes: &'static [&'static str],
) -> Modality {
    Modality {
        code,
        name,
        suffixes,
    }
}

/// Every modality that settings can name. V17's fifteen come first, unchanged.
pub const MODALITIES: &[Modality] = &[
    modality("CR", "Computed Radiography", &["1"]),
    modality("DX", "Digital X-Ray", &["1.1", "1.1.1"]),
    modality("IO", "Intra-oral Radiography", &["1.3", "1.3.1"]),
    modality(
        "MG",
        "Mammography",
        &["1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"],
    ),
    modality("CT", "Computed Tomography", &["2", "2.1", "2.2"]),
    modality("MR", "Magnetic Resonance", &["4", "4.1"]),
    modality("US", "Ultrasound", &["6.1", "6.2", "3.1"]),
    modality(
        "PT",
        "Positron Emission Tomography",
        &["128", "128.1", "130"],
    ),
    modality("NM", "Nuclear Medicine", &["20"]),
    modality("SC", "Secondary Capture", &["7"]),
    modality(
        "SR",
        "Structured Report",
        &["88.11", "88.22", "88.33", "88.34", "88.35"],
    ),
    modality(
        "PR",
        "Presentation State",
        &[
            "11.1", "11.2", "11.3", "11.4", "11.5", "11.6", "11.7", "11.8", "11.9", "11.10",
            "11.11",
        ],
    ),
    modality("PDF", "Encapsulated PDF", &["104.1"]),
    modality("OT", "Other", &[]),
    modality("DOC", "Document", &[]),
    modality(
        "XA",
        "X-Ray Angiography",
        &["12.1", "12.1.1", "13.1.1", "13.1.2"],
    ),
    modality("RF", "Radiofluoroscopy", &["12.2", "12.2.1"]),
    modality(
        "RTIMAGE",
        "Radiotherapy Image",
        &["481.1", "481.23", "481.24"],
    ),
    modality("RTDOSE", "Radiotherapy Dose", &["481.2"]),
    modality("RTSTRUCT", "Radiotherapy Structure Set", &["481.3"]),
    modality("RTPLAN", "Radiotherapy Plan", &["481.5", "481.8"]),
    modality(
        "RTRECORD",
        "Radiotherapy Treatment Record",
        &["481.4", "481.6", "481.7", "481.9"],
    ),
    modality(
        "RTRAD",
        "Radiotherapy Radiation, second generation",
        &[
            "481.10", "481.11", "481.12", "481.13", "481.14", "481.15", "481.16", "481.17",
            "481.18", "481.19", "481.20", "481.21", "481.22", "481.25",
        ],
    ),
    modality("SEG", "Segmentation", &["66.4", "66.5", "66.7", "66.8"]),
    modality("REG", "Registration", &["66.1", "66.3"]),
    modality("FID", "Fiducials", &["66.2"]),
    modality("RWV", "Real World Value Map", &["67"]),
    modality("PMAP", "Parametric Map", &["30"]),
    modality("TRACT", "Tractography Results", &["66.6"]),
    modality("RAW", "Raw Data", &["66"]),
    modality("KO", "Key Object Selection", &["88.59"]),
    modality(
        "CAD",
        "Computer-aided Detection Report",
        &["88.50", "88.65", "88.69"],
    ),
    modality(
        "DOSE",
        "Radiation Dose Report",
        &["88.67", "88.68", "88.73", "88.76"],
    ),
    modality("LOG", "Procedure Log", &["88.40"]),
    modality(
        "ECG",
        "Electrocardiography",
        &["9.1.1", "9.1.2", "9.1.3", "9.1.4"],
    ),
    modality("HD", "Hemodynamic Waveform", &["9.2.1", "9.5.1"]),
    modality("EPS", "Cardiac Electrophysiology", &["9.3.1"]),
    modality("AU", "Audio", &["9.4.1", "9.4.2"]),
    modality("RESP", "Respiratory Waveform", &["9.6.1", "9.6.2"]),
    modality("EEG", "Electroencephalography", &["9.7.1", "9.7.4"]),
    modality("EMG", "Electromyography", &["9.7.2"]),
    modality("EOG", "Electrooculography", &["9.7.3"]),
    modality("POS", "Body Position Waveform", &["9.8.1"]),
    modality("SM", "Slide Microscopy", &["77.1.6", "77.1.3", "91.1"]),
    modality("GM", "General Microscopy", &["77.1.2", "77.1.2.1"]),
    modality("CFM", "Confocal Microscopy", &["77.1.8", "77.1.9"]),
    modality("ES", "Endoscopy", &["77.1.1", "77.1.1.1"]),
    modality("XC", "External-camera Photography", &["77.1.4", "77.1.4.1"]),
    modality("DMS", "Dermoscopy", &["77.1.7"]),
    modality(
        "OP",
        "Ophthalmic Photography",
        &["77.1.5.1", "77.1.5.2", "77.1.5.3", "77.1.5.5", "77.1.5.6"],
    ),
    modality("OPT", "Ophthalmic Tomography", &["77.1.5.4"]),
    modality("OPTENF", "Ophthalmic Tomography En Face", &["77.1.5.7"]),
    modality(
        "OPTBSV",
        "Ophthalmic Tomography B-scan Volume Analysis",
        &["77.1.5.8"],
    ),
    modality("OPM", "Ophthalmic Mapping", &["81.1", "82.1"]),
    modality("OPV", "Ophthalmic Visual Field", &["80.1"]),
    modality("LEN", "Lensometry", &["78.1"]),
    modality("AR", "Autorefraction", &["78.2"]),
    modality("KER", "Keratometry", &["78.3"]),
    modality("SRF", "Subjective Refraction", &["78.4"]),
    modality("VA", "Visual Acuity", &["78.5"]),
    modality("OAM", "Ophthalmic Axial Measurements", &["78.7"]),
    modality("IOL", "Intraocular Lens Data", &["78.8"]),
    modality(
        "IVOCT",
        "Intravascular Optical Coherence Tomography",
        &["14.1", "14.2"],
    ),
    modality("PA", "Photoacoustic", &["6.3"]),
    modality("OSS", "Optical Surface Scan", &["68.1", "68.2"]),
    modality(
        "M3D",
        "Model for 3D Manufacturing",
        &["104.3", "104.4", "104.5"],
    ),
    modality("CDA", "Encapsulated CDA", &["104.2"]),
    modality("ASMT", "Content Assessment", &["90.1"]),
    modality(
        "MRS",
        "MR Spectroscopy and converted MR",
        &["4.2", "4.3", "4.4"],
    ),
    modality("CTP", "CT for processing", &["2.3", "2.4", "2.5"]),
    modality(
        "SCM",
        "Secondary Capture, multi-frame",
        &["7.1", "7.2", "7.3", "7.4"],
    ),
];

impl Modality {
    /// Returns the modality with this code, in upper or lower case.
    pub fn named(code: &str) -> Option<&'static Self> {
        MODALITIES
            .iter()
            .find(|modality| modality.code.eq_ignore_ascii_case(code))
    }

    /// Returns the UIDs of its storage classes, in V17's order. OT and DOC have none.
    pub fn classes(&self) -> impl Iterator<Item = String> + use<> {
        self.suffixes
            .iter()
            .map(|suffix| format!("{PREFIX}{suffix}"))
    }

    /// Returns the first modality that has a storage class: the one to add if an object of the
    /// class was refused.
    ///
    /// # Examples
    /// ```
    /// use anon_model::Modality;
    ///
    /// let modality = Modality::of_class("1.2.840.10008.5.1.4.1.1.88.59");
    /// assert_eq!(modality.map(|modality| modality.code), Some("KO"));
    /// ```
    pub fn of_class(uid: &str) -> Option<&'static Self> {
        let suffix = uid.strip_prefix(PREFIX)?;
        MODALITIES
            .iter()
            .find(|modality| modality.suffixes.contains(&suffix))
    }
}

/// Returns every storage SOP class of the standard: UID and name.
pub fn storage_classes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.iter().copied()
}

/// Returns the name of a storage SOP class, such as `CT Image Storage`.
pub fn class_name(uid: &str) -> Option<&'static str> {
    CLASSES
        .iter()
        .find(|(known, _)| *known == uid)
        .map(|(_, name)| *name)
}

/// The UID of a storage class given by its name or its keyword, such as `CT Image Storage` or
/// `CTImageStorage`. Only letters and digits count, in either case.
pub fn class_named(name: &str) -> Option<&'static str> {
    named(CLASSES, name)
}

/// Returns every transfer syntax that an object can be stored in: UID and name.
pub fn transfer_syntaxes() -> impl Iterator<Item = (&'static str, &'static str)> {
    TRANSFER_SYNTAXES.iter().copied()
}

/// The UID of a transfer syntax given by its name. Only letters and digits count, in either case.
pub fn transfer_syntax_named(name: &str) -> Option<&'static str> {
    named(TRANSFER_SYNTAXES, name)
}

fn named(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    let wanted = letters(name);
    table
        .iter()
        .find(|(_, known)| letters(known) == wanted)
        .map(|(uid, _)| *uid)
}

fn letters(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}
