//! [`Query`]: the keys of a study query.

use std::fmt;

use super::left_out::LeftOutReason;
use super::{MAX_RESPONSES, StudyMatch};
use crate::identifier::{Identifier, tag};
use crate::text::Charset;
use crate::{InstanceUid, TextError};

/// The keys of a study query. Each key narrows the search, and without any key all studies match.
/// `Debug` shows which keys are set.
///
/// Names, ids and accession numbers may contain the wildcards `*` and `?` (PS3.4 section
/// C.2.2.2.4). The peer evaluates wildcards, and decides whether case matters.
///
/// # Examples
/// ```
/// use anon_net::service::find::Query;
///
/// let query = Query::new()
///     .with_patient_name("DOE^*")?
///     .with_study_date("20240101-20241231")?
///     .with_modality("CT")?;
/// assert!(!format!("{query:?}").contains("DOE"));
/// assert!(Query::new().with_study_date("yesterday").is_err());
/// # Ok::<(), anon_net::TextError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    patient_name: String,
    patient_id: String,
    accession: String,
    study_date: String,
    modalities: Vec<String>,
    study: Option<InstanceUid>,
    max_responses: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

impl Query {
    /// Creates a query for all studies.
    pub fn new() -> Self {
        Self {
            patient_name: String::new(),
            patient_id: String::new(),
            accession: String::new(),
            study_date: String::new(),
            modalities: Vec::new(),
            study: None,
            max_responses: MAX_RESPONSES,
        }
    }

    /// Matches a patient's name. VR PN, at most 324 characters.
    ///
    /// # Errors
    /// [`TextError`] if the text has a backslash or a control character, or is too long.
    pub fn with_patient_name(self, text: &str) -> Result<Self, TextError> {
        let patient_name = key("patient name", text, 324)?;
        Ok(Self {
            patient_name,
            ..self
        })
    }

    /// Matches a patient ID. VR LO, at most 64 characters.
    ///
    /// # Errors
    /// Those of [`with_patient_name`](Self::with_patient_name).
    pub fn with_patient_id(self, text: &str) -> Result<Self, TextError> {
        let patient_id = key("patient id", text, 64)?;
        Ok(Self { patient_id, ..self })
    }

    /// Matches an accession number. VR SH has at most 16 characters, but 64 are accepted, because
    /// some archives have longer ones.
    ///
    /// # Errors
    /// Those of [`with_patient_name`](Self::with_patient_name).
    pub fn with_accession(self, text: &str) -> Result<Self, TextError> {
        let accession = key("accession number", text, 64)?;
        Ok(Self { accession, ..self })
    }

    /// Matches an accession number that was already checked.
    pub(super) fn with_known_accession(self, number: &str) -> Self {
        let accession = number.to_owned();
        Self { accession, ..self }
    }

    /// Matches a date `YYYYMMDD`, or a range `YYYYMMDD-YYYYMMDD` in which one date may be missing
    /// (PS3.4 section C.2.2.2.5).
    ///
    /// # Errors
    /// [`TextError`] if the text has another form.
    pub fn with_study_date(self, text: &str) -> Result<Self, TextError> {
        let study_date = key("study date", text, 17)?;
        let is_date = |part: &str| part.len() == 8 && part.bytes().all(|b| b.is_ascii_digit());
        let is_sound = match study_date.split_once('-') {
            Some((first, "")) => is_date(first),
            Some(("", last)) => is_date(last),
            Some((first, last)) => is_date(first) && is_date(last) && first <= last,
            None => study_date.is_empty() || is_date(&study_date),
        };
        if !is_sound {
            let problem = "it is neither YYYYMMDD nor a range of two dates";
            return Err(TextError::new("study date", text, problem));
        }
        Ok(Self { study_date, ..self })
    }

    /// Matches studies with a series of this modality. Further calls add alternatives. VR CS.
    ///
    /// # Errors
    /// [`TextError`] if the text is not a code string: 1 to 16 capitals, digits, spaces and
    /// underscores (PS3.5 section 6.2).
    pub fn with_modality(mut self, text: &str) -> Result<Self, TextError> {
        let code = key("modality", text, 16)?;
        let is_code = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_ ".contains(&b);
        if code.is_empty() || !code.bytes().all(is_code) {
            let problem = "it has other characters than capitals, digits, spaces and underscores";
            return Err(TextError::new("modality", text, problem));
        }
        self.modalities.push(code);
        Ok(self)
    }

    /// Matches one study.
    #[must_use]
    pub fn with_study(self, study: InstanceUid) -> Self {
        let study = Some(study);
        Self { study, ..self }
    }

    /// Sets the limit of responses. A server may send one response for each instance of a study.
    /// If its patients have to be queried one by one, each of these requests counts too. Default:
    /// 500,000.
    #[must_use]
    pub fn with_max_responses(self, max_responses: u32) -> Self {
        Self {
            max_responses,
            ..self
        }
    }

    pub(crate) fn max_responses(&self) -> u32 {
        self.max_responses
    }

    /// Returns true if no key is set.
    pub fn is_empty(&self) -> bool {
        let texts = [
            &self.patient_name,
            &self.patient_id,
            &self.accession,
            &self.study_date,
        ];
        texts.iter().all(|text| text.is_empty())
            && self.modalities.is_empty()
            && self.study.is_none()
    }

    /// Returns true if at most one study matches.
    pub(super) fn is_of_one_study(&self) -> bool {
        self.study.is_some()
    }

    /// Returns the identifier of the C-FIND request (PS3.4 Table C.6-5).
    pub(super) fn identifier(&self) -> Identifier {
        let texts = [
            (tag::PATIENT_NAME, self.patient_name.as_str()),
            (tag::PATIENT_ID, &self.patient_id),
            (tag::ACCESSION, &self.accession),
        ];
        let charset = Charset::for_texts(texts.map(|(_, text)| text));
        let mut identifier = Identifier::new();
        if let Some(term) = charset.term() {
            identifier.set(tag::CHARSET, term.as_bytes());
        }
        for key in RETURN_KEYS {
            identifier.set(key, b"");
        }
        identifier.set(tag::LEVEL, b"STUDY");
        for (tag, text) in texts {
            identifier.set(tag, &charset.encode(text));
        }
        identifier.set(tag::STUDY_DATE, self.study_date.as_bytes());
        // Modalities in Study has no standard matching of several values, so they are compared
        // after the response.
        if let [modality] = self.modalities.as_slice() {
            identifier.set(tag::MODALITIES, modality.as_bytes());
        }
        if let Some(study) = &self.study {
            identifier.set(tag::STUDY_UID, study.expose().as_bytes());
        }
        identifier
    }

    /// Returns the identifier for the studies of one patient, with an ID from a response. It has no
    /// other attribute of the patient level (PS3.4 section C.4.1.3.1.1).
    pub(super) fn identifier_of_patient(&self, id: &str) -> Identifier {
        let query = Self {
            patient_id: id.to_owned(),
            patient_name: String::new(),
            ..self.clone()
        };
        let mut identifier = query.identifier();
        for tag in [tag::PATIENT_NAME, tag::BIRTH_DATE, tag::SEX] {
            identifier.remove(tag);
        }
        identifier
    }

    /// Returns the identifier of the C-FIND request for the patients of the query (PS3.4 Table
    /// C.6-1).
    pub(super) fn patient_identifier(&self) -> Identifier {
        let texts = [
            (tag::PATIENT_NAME, self.patient_name.as_str()),
            (tag::PATIENT_ID, &self.patient_id),
        ];
        let charset = Charset::for_texts(texts.map(|(_, text)| text));
        let mut identifier = Identifier::new();
        if let Some(term) = charset.term() {
            identifier.set(tag::CHARSET, term.as_bytes());
        }
        identifier.set(tag::LEVEL, b"PATIENT");
        identifier.set(tag::BIRTH_DATE, b"");
        identifier.set(tag::SEX, b"");
        for (tag, text) in texts {
            identifier.set(tag, &charset.encode(text));
        }
        identifier
    }

    /// Checks a study against the query, because some servers ignore keys. False if the query has
    /// modalities and the response does not.
    ///
    /// # Errors
    /// The reason why the study does not match.
    pub(super) fn has(&self, found: &StudyMatch) -> Result<bool, LeftOutReason> {
        let is_other_study = self.study.as_ref().is_some_and(|uid| *uid != found.study);
        // The peer evaluates wildcards, and may ignore case.
        let is_plain = !self.accession.is_empty() && !self.accession.contains(['*', '?']);
        let is_other_accession = is_plain
            && !found.accession.is_empty()
            && !found.accession.eq_ignore_ascii_case(&self.accession);
        if is_other_study {
            return Err(LeftOutReason::OtherStudy);
        }
        if is_other_accession {
            return Err(LeftOutReason::OtherAccession);
        }
        if self.modalities.is_empty() {
            return Ok(true);
        }
        if found.modalities.is_empty() {
            return Ok(false);
        }
        if found.modalities.iter().any(|m| self.modalities.contains(m)) {
            Ok(true)
        } else {
            Err(LeftOutReason::OtherModality)
        }
    }
}

/// The elements that are requested of each study in addition to the keys.
const RETURN_KEYS: [tag::Tag; 9] = [
    tag::MODALITIES,
    tag::SOP_CLASSES,
    tag::STUDY_DESCRIPTION,
    tag::BIRTH_DATE,
    tag::SEX,
    tag::STUDY_UID,
    tag::SERIES_IN_STUDY,
    tag::INSTANCES_IN_STUDY,
    tag::STUDY_DATE,
];

/// Checks a key and removes leading and trailing spaces.
pub(super) fn key(what: &'static str, text: &str, most: usize) -> Result<String, TextError> {
    let trimmed = text.trim();
    let problem = if trimmed.chars().any(|c| c == '\\' || c.is_control()) {
        "it has a backslash or a control character"
    } else if trimmed.chars().count() > most {
        "it is too long"
    } else {
        return Ok(trimmed.to_owned());
    };
    Err(TextError::new(what, text, problem))
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("patient_name", &!self.patient_name.is_empty())
            .field("patient_id", &!self.patient_id.is_empty())
            .field("accession", &!self.accession.is_empty())
            .field("study_date", &!self.study_date.is_empty())
            .field("modalities", &self.modalities)
            .field("study", &self.study)
            .field("max_responses", &self.max_responses)
            .finish()
    }
}
