//! [`identify`]: finds out what an object is and whose, by its root values. Refuses it if the project
//! does not accept it.

use anon_model::modality::class_name;
use anon_model::{PatientPhi, Phi, SeriesPhi, StudyPhi, Wanted};

use super::root_values::{RootValue, RootValues};
use super::{Captured, UidReplacement, Warnings};
use crate::deid::pixel::{BurnedInText, burned_in};
use crate::deid::policy::{BurnedIn, MissingPatientId, PatientKey, Policy};
use crate::deid::template::Template;
use crate::read::text::{self, Charset};
use crate::read::uid;
use crate::refusal::{Category, Refusal};

/// What an object is, and whose.
pub(super) struct Identified {
    pub(super) wanted: Wanted,
    pub(super) captured: Captured,
    pub(super) sop_class: String,
    pub(super) warnings: Warnings,
    /// True if text of the root stands without the escape sequence of its character set.
    pub(super) has_no_escape: bool,
}

/// Separates Patient ID and issuer in a patient key. An LO value has no control character but ESC
/// (PS3.5 section 6.2).
const KEY_SEPARATOR: char = '\u{1F}';

/// Checks that the project accepts the object, and reads the values for the PHI index.
pub(super) fn identify(
    policy: &Policy,
    root_values: &RootValues,
    originals: &[u8],
) -> Result<Identified, Refusal> {
    let values = RootValueReader::new(root_values, originals);
    let [sop_class, instance, study, series] = required_uids(&values)?;
    check_class(policy, &sop_class)?;
    let mut warnings = Warnings {
        burned_in_unknown: check_pixels(policy, &values, &sop_class)?,
        ..Warnings::default()
    };
    let patient = patient_key(policy, &values)?;
    if patient.is_empty() {
        if policy.missing_patient_id == MissingPatientId::Quarantine {
            let reason = "missing or empty: PatientID";
            return Err(Refusal::new(Category::MissingAttributes, reason));
        }
        warnings.shared_patient = true;
    }
    let wanted = Wanted {
        patient: Phi::new(patient),
        study: Phi::new(study),
        series: Phi::new(series),
        instance: Phi::new(instance),
        study_conflict: policy.study_conflict,
        ..Wanted::default()
    };
    Ok(Identified {
        wanted,
        captured: values.captured(),
        sop_class,
        warnings,
        has_no_escape: values.has_no_escape(),
    })
}

/// Returns the UIDs of SOP class, instance, study and series. PS3.3 requires a value of each (sections
/// C.12.1, C.7.2.1 and C.7.3.1). Checked in the order of V17.
fn required_uids(values: &RootValueReader<'_>) -> Result<[String; 4], Refusal> {
    let required = [
        (RootValue::SopClass, "SOPClassUID"),
        (RootValue::Instance, "SOPInstanceUID"),
        (RootValue::Study, "StudyInstanceUID"),
        (RootValue::Series, "SeriesInstanceUID"),
    ];
    let uids = required.map(|(field, _)| values.uid(field));
    if uids.iter().any(String::is_empty) {
        let missing: Vec<&str> = uids
            .iter()
            .zip(required)
            .filter_map(|(uid, (_, name))| uid.is_empty().then_some(name))
            .collect();
        let reason = format!("missing or empty: {}", missing.join(", "));
        return Err(Refusal::new(Category::MissingAttributes, reason));
    }
    // A SOP class with two values is refused as a UID that is not well-formed.
    if uids.iter().skip(1).any(|uid| uid.contains('\\')) {
        let reason = "a study, series or SOP instance UID has more than one value";
        return Err(Refusal::new(Category::MissingAttributes, reason));
    }
    Ok(uids)
}

fn check_class(policy: &Policy, sop_class: &str) -> Result<(), Refusal> {
    let category = Category::InvalidStorageClass;
    if !uid::is_well_formed(sop_class.as_bytes()) {
        return Err(Refusal::new(
            category,
            "the SOP Class UID (0008,0016) is not a UID",
        ));
    }
    if policy.storage_classes.contains(sop_class) {
        return Ok(());
    }
    if class_name(sop_class).is_none() {
        // It may be the UID of somebody's instance.
        let reason = "the project does not accept the SOP class of the object, and PS3.6 does not list \
                      it; a private SOP class is accepted once its UID is in storage_classes";
        return Err(Refusal::new(category, reason));
    }
    let reason = format!("the project's storage_classes do not include {sop_class}");
    let mut refusal = Refusal::new(category, reason);
    refusal.sop_class = Some(sop_class.to_owned());
    Err(refusal)
}

/// Returns true if the pixels may show identifying text, and the object does not say whether they do.
fn check_pixels(
    policy: &Policy,
    values: &RootValueReader<'_>,
    sop_class: &str,
) -> Result<bool, Refusal> {
    let annotation = values.bytes(RootValue::BurnedIn);
    let image_type = values.bytes(RootValue::ImageType);
    match burned_in(annotation, image_type, sop_class) {
        BurnedInText::NotSaid => Ok(false),
        BurnedInText::Unknown => Ok(true),
        BurnedInText::Shown if policy.burned_in == BurnedIn::Accept => Ok(false),
        BurnedInText::Shown => {
            let reason = "its pixels show identifying text, or it is a screen save; \
                          pixels are not cleaned (burned_in = \"accept\" keeps them as they are)";
            Err(Refusal::new(Category::BurnedIn, reason))
        }
    }
}

/// Returns the key of the patient: Patient ID (0010,0020), with its issuer (0010,0021) if the policy
/// says so. Empty if the object has no Patient ID, which is type 2 (PS3.3 section C.7.1.1).
fn patient_key(policy: &Policy, values: &RootValueReader<'_>) -> Result<String, Refusal> {
    let id = values.key(RootValue::PatientId);
    let issuer = match policy.patient_key {
        PatientKey::Id => String::new(),
        PatientKey::IdAndIssuer => values.key(RootValue::Issuer),
    };
    if id.is_empty() || policy.patient_key == PatientKey::Id {
        return Ok(id);
    }
    if id.contains(KEY_SEPARATOR) || issuer.contains(KEY_SEPARATOR) {
        let reason = "the patient id or its issuer holds a control character";
        return Err(Refusal::new(Category::CapturePhiError, reason));
    }
    if issuer.is_empty() {
        return Ok(id);
    }
    Ok(format!("{id}{KEY_SEPARATOR}{issuer}"))
}

/// Decodes root values.
struct RootValueReader<'n> {
    root: &'n RootValues,
    originals: &'n [u8],
    charset: Charset,
}

impl<'n> RootValueReader<'n> {
    fn new(root_values: &'n RootValues, originals: &'n [u8]) -> Self {
        let charset = root_values.bytes(RootValue::Charset, originals);
        Self {
            root: root_values,
            originals,
            charset: charset.map(Charset::parse).unwrap_or_default(),
        }
    }

    fn bytes(&self, field: RootValue) -> Option<&'n [u8]> {
        self.root.bytes(field, self.originals)
    }

    fn uid(&self, field: RootValue) -> String {
        self.bytes(field).map(uid::text).unwrap_or_default()
    }

    fn key(&self, field: RootValue) -> String {
        let bytes = self.bytes(field).unwrap_or_default();
        self.charset.key(bytes)
    }

    fn text(&self, field: RootValue) -> Option<Phi<String>> {
        self.bytes(field)
            .map(|bytes| Phi::new(self.charset.text(bytes)))
    }

    fn has_no_escape(&self) -> bool {
        let texts = [
            RootValue::Accession,
            RootValue::StudyDescription,
            RootValue::SeriesDescription,
            RootValue::PatientName,
            RootValue::PatientId,
            RootValue::Issuer,
            RootValue::EthnicGroup,
        ];
        let mut values = texts.into_iter().filter_map(|field| self.bytes(field));
        values.any(|value| self.charset.lacks_escape(value))
    }

    /// Returns the values of Accession Number (0008,0050), each once.
    fn accessions(&self) -> Vec<Phi<String>> {
        let key = self.key(RootValue::Accession);
        if !key.contains('\\') {
            return if key.is_empty() {
                Vec::new()
            } else {
                vec![Phi::new(key)]
            };
        }
        let mut values: Vec<Phi<String>> = Vec::new();
        // Decoded first: in some sets a backslash is half a character.
        for part in key.split('\\').map(text::trimmed) {
            if !part.is_empty() && !values.iter().any(|known| known.expose() == part) {
                values.push(Phi::new(part.to_owned()));
            }
        }
        values
    }

    fn captured(&self) -> Captured {
        Captured {
            patient: PatientPhi {
                id: self.text(RootValue::PatientId).unwrap_or_default(),
                name: self.text(RootValue::PatientName).unwrap_or_default(),
                sex: self.text(RootValue::Sex),
                birth_date: self.text(RootValue::BirthDate),
                ethnic_group: self.text(RootValue::EthnicGroup),
            },
            study: StudyPhi {
                date: self.text(RootValue::StudyDate),
                accession: self.text(RootValue::Accession),
                description: self.text(RootValue::StudyDescription),
                ..StudyPhi::default()
            },
            accessions: self.accessions(),
            series: SeriesPhi {
                description: self.text(RootValue::SeriesDescription),
                modality: self.text(RootValue::Modality),
            },
        }
    }
}

/// Moves the originals of the template into `wanted`, which already has the object's own three UIDs.
/// Returns the replacement of each original UID.
pub(super) fn uid_replacements(
    template: &mut Template,
    wanted: &mut Wanted,
) -> Vec<UidReplacement> {
    let mut uid_replacements = Vec::with_capacity(template.uids.texts.len());
    for text in std::mem::take(&mut template.uids).texts {
        let target = if text == *wanted.study.expose() {
            UidReplacement::Study
        } else if text == *wanted.series.expose() {
            UidReplacement::Series
        } else if text == *wanted.instance.expose() {
            UidReplacement::Instance
        } else {
            let at = u32::try_from(wanted.uids.len()).unwrap_or(u32::MAX);
            wanted.uids.push(Phi::new(text));
            UidReplacement::Other(at)
        };
        uid_replacements.push(target);
    }
    let accessions = std::mem::take(&mut template.accessions).texts;
    wanted.accessions = accessions.into_iter().map(Phi::new).collect();
    uid_replacements
}
