//! Reads the rows of format 2 that format 3 replaces, when a file is migrated.

use serde::Deserialize;

use super::rows::{phi, text_of};
use super::{CodecError, decode_wire};
use crate::ledger::records::{AccessionValue, PairId, PatientRecord, SeriesRecord, StudyRecord};
use crate::{PatientPhi, SeriesPhi, StudyPhi};

#[derive(Deserialize)]
struct PatientV1<'w> {
    id: &'w str,
    name: &'w str,
    sex: Option<&'w str>,
    birth_date: Option<&'w str>,
    ethnic_group: Option<&'w str>,
    studies: u64,
    series: u64,
    instances: u64,
}

/// Reads a patient. Its arrival is not known.
pub(crate) fn patient(bytes: &[u8]) -> Result<PatientRecord, CodecError> {
    let wire: PatientV1<'_> = decode_wire(("patient", 1), bytes)?;
    Ok(PatientRecord {
        phi: PatientPhi {
            id: text_of(wire.id),
            name: text_of(wire.name),
            sex: phi(wire.sex),
            birth_date: phi(wire.birth_date),
            ethnic_group: phi(wire.ethnic_group),
        },
        studies: wire.studies,
        series: wire.series,
        instances: wire.instances,
        ..PatientRecord::default()
    })
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(Default, serde::Serialize))]
struct StudyV1<'w> {
    patient: u64,
    first_seen: u64,
    source: &'w str,
    date: Option<&'w str>,
    date_offset: i32,
    phi_accession: Option<&'w str>,
    description: Option<&'w str>,
    accession: Option<u64>,
    series: u64,
    instances: u64,
    target: u64,
}

/// Reads a study. Format 2 did not keep the patient's values with it.
pub(crate) fn study(bytes: &[u8]) -> Result<StudyRecord, CodecError> {
    let wire: StudyV1<'_> = decode_wire(("study", 1), bytes)?;
    let pair = wire.accession.map(PairId);
    // Format 2 stored no pair id if a study had several accession numbers.
    let text = wire.phi_accession.unwrap_or_default();
    let parts = text.split('\\').filter(|_| pair.is_none());
    let accessions = pair.map(|_| text).into_iter().chain(parts);
    let accessions = accessions.map(|text| text.trim_matches([' ', '\0']));
    let accessions = accessions.filter(|text| !text.is_empty());
    let accessions = accessions.map(|text| AccessionValue {
        text: text_of(text),
        pair,
    });
    Ok(StudyRecord {
        patient: PairId(wire.patient),
        first_seen: wire.first_seen,
        accessions: accessions.collect(),
        phi: StudyPhi {
            source: text_of(wire.source),
            date: phi(wire.date),
            date_offset: wire.date_offset,
            accession: phi(wire.phi_accession),
            description: phi(wire.description),
        },
        person: PatientPhi::default(),
        series: wire.series,
        instances: wire.instances,
        target: wire.target,
    })
}

#[derive(Deserialize)]
struct SeriesV1<'w> {
    study: u64,
    description: Option<&'w str>,
    modality: Option<&'w str>,
    instances: u64,
}

/// Reads a series. Its arrival is not known.
pub(crate) fn series(bytes: &[u8]) -> Result<SeriesRecord, CodecError> {
    let wire: SeriesV1<'_> = decode_wire(("series", 1), bytes)?;
    Ok(SeriesRecord {
        study: PairId(wire.study),
        phi: SeriesPhi {
            description: phi(wire.description),
            modality: phi(wire.modality),
        },
        arrival: 0,
        instances: wire.instances,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::disk::codec::encode_wire;

    /// The originals of accession numbers are trimmed, so others would not be found again.
    #[test]
    fn migrated_accession_numbers_are_trimmed() {
        for (accession, text, expect) in [
            (None, "A3 \\ A4\0\\ \\", &["A3", "A4"][..]),
            (Some(7), "A5 ", &["A5"]),
        ] {
            let wire = StudyV1 {
                phi_accession: Some(text),
                accession,
                ..StudyV1::default()
            };
            let mut row = Vec::new();
            encode_wire(("study", 1), &wire, &mut row).unwrap();
            let numbers = study(&row).unwrap().accessions;
            let texts: Vec<&str> = numbers
                .iter()
                .map(|value| value.text.expose().as_str())
                .collect();
            assert_eq!(texts, expect, "{text:?}");
        }
    }
}
