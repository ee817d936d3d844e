//! How values are written: a version byte, then bincode (standard configuration) of a struct that
//! is private to that version.
//!
//! ```text
//! value = version: u8 | bincode of the struct of that version
//! ```
//!
//! Lengths are bounded before anything is allocated, and a value that is longer than what was
//! decoded is damaged. bincode cannot add fields to a struct, so a new version is a new struct here
//! and a step in [`migrate`](super::migrate).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::scheme::IdentityRecord;
use crate::ledger::records::{
    IntentRecord, Member, Meta, Output, Pair, PairId, PatientRecord, SeriesRecord, StudyRecord,
};
use crate::{
    BackendError, Counts, Fingerprint, PatientPhi, Phi, Remedy, RulesRecord, SeriesPhi, StudyPhi,
    Totals,
};

/// Longest value in bytes.
const LIMIT: usize = 16 << 20;

/// Version of every value written today.
const VERSION: u8 = 1;

/// A value that cannot be read or written. It says which kind of value, never what is in it:
/// bincode's own errors can print parts of the input, so they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("a {0} row of the lookup store is damaged")]
    Damaged(&'static str),
    #[error(
        "a {kind} row of the lookup store has version {version}, which is newer than this program"
    )]
    Newer { kind: &'static str, version: u8 },
    #[error("a {0} row is too long for the lookup store")]
    TooLong(&'static str),
}

impl From<CodecError> for BackendError {
    fn from(error: CodecError) -> Self {
        let remedy = match error {
            CodecError::TooLong(_) => Remedy::Quarantine,
            CodecError::Damaged(_) | CodecError::Newer { .. } => Remedy::Stop,
        };
        Self::new(remedy, error)
    }
}

/// What has a form on disk.
pub(crate) trait Row: Sized {
    const KIND: &'static str;
    /// The struct that is written; borrows where it can.
    type Wire<'w>: Serialize + Deserialize<'w>;

    fn wire(&self) -> Self::Wire<'_>;
    fn from_wire(wire: Self::Wire<'_>) -> Self;
}

/// Appends a value to an emptied buffer.
pub(crate) fn encode<R: Row>(row: &R, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_wire(R::KIND, &row.wire(), buffer)
}

fn encode_wire(
    kind: &'static str,
    wire: &impl Serialize,
    buffer: &mut Vec<u8>,
) -> Result<(), CodecError> {
    buffer.clear();
    buffer.push(VERSION);
    let config = bincode::config::standard();
    bincode::serde::encode_into_std_write(wire, buffer, config)
        .map_err(|_| CodecError::TooLong(kind))?;
    if buffer.len() > LIMIT {
        return Err(CodecError::TooLong(kind));
    }
    Ok(())
}

/// Reads a value.
pub(crate) fn decode<R: Row>(bytes: &[u8]) -> Result<R, CodecError> {
    let damaged = CodecError::Damaged(R::KIND);
    let (version, body) = bytes.split_first().ok_or(damaged)?;
    match *version {
        VERSION => {}
        0 => return Err(damaged),
        version => {
            return Err(CodecError::Newer {
                kind: R::KIND,
                version,
            });
        }
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (wire, consumed) =
        bincode::serde::borrow_decode_from_slice(body, config).map_err(|_| damaged)?;
    if consumed != body.len() {
        return Err(damaged);
    }
    Ok(R::from_wire(wire))
}

fn text(text: Option<&Phi<String>>) -> Option<&str> {
    text.map(|text| text.expose().as_str())
}

fn phi(text: Option<&str>) -> Option<Phi<String>> {
    text.map(|text| Phi::new(text.to_owned()))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PairV1<'w> {
    original: &'w str,
    given: Option<&'w str>,
    referrer: Option<u64>,
}

impl<'w> PairV1<'w> {
    fn of(pair: &'w Pair) -> Self {
        Self {
            original: pair.original.expose(),
            given: pair.given.as_deref(),
            referrer: pair.referrer.map(turned),
        }
    }

    fn pair(self) -> Pair {
        Pair {
            original: Phi::new(self.original.to_owned()),
            given: self.given.map(str::to_owned),
            referrer: self.referrer.map(turned_back),
        }
    }
}

/// An id with its number on top: small numbers are short in bincode.
fn turned(id: PairId) -> u64 {
    id.0.rotate_left(4)
}

fn turned_back(turned: u64) -> PairId {
    PairId(turned.rotate_right(4))
}

/// Pairs with numbers in a row, from that of the key on. None where one was removed.
pub(crate) struct Run(pub(crate) Vec<Option<Pair>>);

#[derive(Serialize, Deserialize)]
pub(crate) struct RunV1<'w>(#[serde(borrow)] Vec<Option<PairV1<'w>>>);

impl Row for Run {
    const KIND: &'static str = "pair";
    type Wire<'w> = RunV1<'w>;

    fn wire(&self) -> RunV1<'_> {
        RunV1(
            self.0
                .iter()
                .map(|pair| pair.as_ref().map(PairV1::of))
                .collect(),
        )
    }

    fn from_wire(wire: RunV1<'_>) -> Self {
        Self(
            wire.0
                .into_iter()
                .map(|pair| pair.map(PairV1::pair))
                .collect(),
        )
    }
}

/// Appends what [`Run`] makes of these pairs, which stay where they are.
pub(crate) fn encode_run<'p>(
    pairs: impl Iterator<Item = &'p Pair>,
    buffer: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let wire = RunV1(pairs.map(|pair| Some(PairV1::of(pair))).collect());
    encode_wire(Run::KIND, &wire, buffer)
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PatientV1<'w> {
    id: &'w str,
    name: &'w str,
    sex: Option<&'w str>,
    birth_date: Option<&'w str>,
    ethnic_group: Option<&'w str>,
    studies: u64,
    series: u64,
    instances: u64,
}

impl Row for PatientRecord {
    const KIND: &'static str = "patient";
    type Wire<'w> = PatientV1<'w>;

    fn wire(&self) -> PatientV1<'_> {
        PatientV1 {
            id: self.phi.id.expose(),
            name: self.phi.name.expose(),
            sex: text(self.phi.sex.as_ref()),
            birth_date: text(self.phi.birth_date.as_ref()),
            ethnic_group: text(self.phi.ethnic_group.as_ref()),
            studies: self.studies,
            series: self.series,
            instances: self.instances,
        }
    }

    fn from_wire(wire: PatientV1<'_>) -> Self {
        Self {
            phi: PatientPhi {
                id: Phi::new(wire.id.to_owned()),
                name: Phi::new(wire.name.to_owned()),
                sex: phi(wire.sex),
                birth_date: phi(wire.birth_date),
                ethnic_group: phi(wire.ethnic_group),
            },
            studies: wire.studies,
            series: wire.series,
            instances: wire.instances,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StudyV1<'w> {
    patient: u64,
    sight: u64,
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

impl Row for StudyRecord {
    const KIND: &'static str = "study";
    type Wire<'w> = StudyV1<'w>;

    fn wire(&self) -> StudyV1<'_> {
        StudyV1 {
            patient: self.patient.0,
            sight: self.sight,
            source: self.phi.source.expose(),
            date: text(self.phi.date.as_ref()),
            date_offset: self.phi.date_offset,
            phi_accession: text(self.phi.accession.as_ref()),
            description: text(self.phi.description.as_ref()),
            accession: self.accession.map(|id| id.0),
            series: self.series,
            instances: self.instances,
            target: self.target,
        }
    }

    fn from_wire(wire: StudyV1<'_>) -> Self {
        Self {
            patient: PairId(wire.patient),
            sight: wire.sight,
            phi: StudyPhi {
                source: Phi::new(wire.source.to_owned()),
                date: phi(wire.date),
                date_offset: wire.date_offset,
                accession: phi(wire.phi_accession),
                description: phi(wire.description),
            },
            accession: wire.accession.map(PairId),
            series: wire.series,
            instances: wire.instances,
            target: wire.target,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SeriesV1<'w> {
    study: u64,
    description: Option<&'w str>,
    modality: Option<&'w str>,
    instances: u64,
}

impl Row for SeriesRecord {
    const KIND: &'static str = "series";
    type Wire<'w> = SeriesV1<'w>;

    fn wire(&self) -> SeriesV1<'_> {
        SeriesV1 {
            study: self.study.0,
            description: text(self.phi.description.as_ref()),
            modality: text(self.phi.modality.as_ref()),
            instances: self.instances,
        }
    }

    fn from_wire(wire: SeriesV1<'_>) -> Self {
        Self {
            study: PairId(wire.study),
            phi: SeriesPhi {
                description: phi(wire.description),
                modality: phi(wire.modality),
            },
            instances: wire.instances,
        }
    }
}

/// An instance as it is written: series, length, digest, bytes, little-endian. There are more of
/// these than of anything else, and their length is the same for all.
pub(crate) type MemberBytes = [u8; 40];

pub(crate) fn member_bytes(member: &Member) -> MemberBytes {
    let mut bytes = [0; 40];
    let fields = member.series.0.to_le_bytes().into_iter();
    let fields = fields
        .chain(member.fingerprint.length.to_le_bytes())
        .chain(member.fingerprint.digest)
        .chain(member.bytes.to_le_bytes());
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    bytes
}

pub(crate) fn member(bytes: &MemberBytes) -> Member {
    let number = |place: usize| {
        let field = bytes.iter().skip(place).take(8).rev();
        field.fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    let mut digest = [0; 16];
    for (byte, field) in digest.iter_mut().zip(bytes.iter().skip(16)) {
        *byte = *field;
    }
    Member {
        series: PairId(number(0)),
        fingerprint: Fingerprint {
            length: number(8),
            digest,
        },
        bytes: number(32),
    }
}

/// The instances that a group brought to a series.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brought(pub(crate) Vec<PairId>);

#[derive(Serialize, Deserialize)]
pub(crate) struct BroughtV1(Vec<u64>);

impl Row for Brought {
    const KIND: &'static str = "instance";
    type Wire<'w> = BroughtV1;

    /// The distance of each to the one before it: mostly one byte.
    fn wire(&self) -> BroughtV1 {
        let mut last = 0;
        let distance = |id: &PairId| {
            let turned = turned(*id);
            let before = std::mem::replace(&mut last, turned);
            turned.wrapping_sub(before)
        };
        BroughtV1(self.0.iter().map(distance).collect())
    }

    fn from_wire(wire: BroughtV1) -> Self {
        let mut last = 0_u64;
        let id = |distance: u64| {
            last = last.wrapping_add(distance);
            turned_back(last)
        };
        Self(wire.0.into_iter().map(id).collect())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) enum IntentV1 {
    Publish(Vec<([u64; 4], bool)>),
    Remove(Vec<[String; 2]>),
}

impl Row for IntentRecord {
    const KIND: &'static str = "intent";
    type Wire<'w> = IntentV1;

    fn wire(&self) -> IntentV1 {
        match self {
            Self::Publish(outputs) => IntentV1::Publish(
                outputs
                    .iter()
                    .map(|output| {
                        let ids = [output.patient, output.study, output.series, output.instance];
                        (ids.map(|id| id.0), output.added)
                    })
                    .collect(),
            ),
            Self::Remove(directories) => IntentV1::Remove(directories.clone()),
        }
    }

    fn from_wire(wire: IntentV1) -> Self {
        match wire {
            IntentV1::Publish(outputs) => Self::Publish(
                outputs
                    .into_iter()
                    .map(|(ids, added)| {
                        let [patient, study, series, instance] = ids.map(PairId);
                        Output {
                            patient,
                            study,
                            series,
                            instance,
                            added,
                        }
                    })
                    .collect(),
            ),
            IntentV1::Remove(directories) => Self::Remove(directories),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RulesV1<'w> {
    digest: [u8; 32],
    name: &'w str,
    text: &'w str,
    accepted: &'w str,
}

impl Row for RulesRecord {
    const KIND: &'static str = "rules";
    type Wire<'w> = RulesV1<'w>;

    fn wire(&self) -> RulesV1<'_> {
        RulesV1 {
            digest: self.digest,
            name: &self.name,
            text: &self.text,
            accepted: &self.accepted,
        }
    }

    fn from_wire(wire: RulesV1<'_>) -> Self {
        Self {
            digest: wire.digest,
            name: wire.name.to_owned(),
            text: wire.text.to_owned(),
            accepted: wire.accepted.to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MetaV1 {
    identity: IdentityRecord,
    numbered: [u64; 3],
    computed: [u64; 3],
    given: [u64; 3],
    group: u64,
    sight: u64,
    rules: u64,
    counts: [u64; 3],
    totals: [u64; 5],
}

impl Row for Meta {
    const KIND: &'static str = "state";
    type Wire<'w> = MetaV1;

    fn wire(&self) -> MetaV1 {
        let (counts, totals) = (&self.counts, &self.totals);
        MetaV1 {
            identity: self.identity.clone(),
            numbered: self.numbered,
            computed: self.computed,
            given: self.given,
            group: self.group,
            sight: self.sight,
            rules: self.rules,
            counts: [counts.patients, counts.uids, counts.accessions],
            totals: [
                totals.patients,
                totals.studies,
                totals.series,
                totals.instances,
                totals.bytes,
            ],
        }
    }

    fn from_wire(wire: MetaV1) -> Self {
        let [patients, uids, accessions] = wire.counts;
        let counts = Counts {
            patients,
            uids,
            accessions,
        };
        let [patients, studies, series, instances, bytes] = wire.totals;
        Self {
            identity: wire.identity,
            numbered: wire.numbered,
            computed: wire.computed,
            given: wire.given,
            group: wire.group,
            sight: wire.sight,
            rules: wire.rules,
            counts,
            totals: Totals {
                patients,
                studies,
                series,
                instances,
                bytes,
            },
        }
    }
}

impl fmt::Debug for PairV1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairV1(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Space;
    use crate::ledger::records::Kind;

    fn pair() -> Pair {
        Pair {
            original: Phi::new("1.2".to_owned()),
            given: Some("x".to_owned()),
            referrer: Some(PairId::new(Space::Uid, Kind::Numbered, 3)),
        }
    }

    fn run() -> Run {
        Run(vec![Some(pair()), None])
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let mut buffer = Vec::new();
        encode(&run(), &mut buffer).unwrap();
        let golden = [1, 2, 1, 3, b'1', b'.', b'2', 1, 1, b'x', 1, 52, 0];
        assert_eq!(buffer, golden);
        assert_eq!(decode::<Run>(&buffer).unwrap().0, run().0);
        encode_run([pair()].iter(), &mut buffer).unwrap();
        assert_eq!(decode::<Run>(&buffer).unwrap().0, [Some(pair())]);
        let instance = Member {
            series: PairId(0x0102),
            fingerprint: Fingerprint {
                length: 300,
                digest: [7; 16],
            },
            bytes: 5,
        };
        let mut golden = vec![2, 1, 0, 0, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0];
        golden.extend([7; 16]);
        golden.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(member_bytes(&instance).as_slice(), golden);
        assert_eq!(member(&member_bytes(&instance)), instance);
        let uid = |number| PairId::new(Space::Uid, Kind::Numbered, number);
        let brought = Brought(vec![uid(3), uid(4), uid(9)]);
        encode(&brought, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 3, 52, 16, 80]);
        assert_eq!(decode::<Brought>(&buffer), Ok(brought));
        let falling = Brought(vec![uid(9), uid(4)]);
        encode(&falling, &mut buffer).unwrap();
        assert_eq!(decode::<Brought>(&buffer), Ok(falling));
        let series = SeriesRecord {
            study: PairId(9),
            phi: SeriesPhi {
                description: None,
                modality: Some(Phi::new("CT".to_owned())),
            },
            instances: 2,
        };
        encode(&series, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 9, 0, 1, 2, b'C', b'T', 2]);
        assert_eq!(decode::<SeriesRecord>(&buffer), Ok(series));
    }

    #[test]
    fn damage_is_found() {
        let mut buffer = Vec::new();
        let read = |bytes: &[u8]| decode::<Run>(bytes).map(|run| run.0);
        encode(&run(), &mut buffer).unwrap();
        for length in 0..buffer.len() {
            let cut = read(&buffer[..length]);
            assert_eq!(cut, Err(CodecError::Damaged("pair")), "cut at {length}");
        }
        buffer.push(0);
        assert_eq!(read(&buffer), Err(CodecError::Damaged("pair")), "longer");
        buffer[0] = 2;
        let newer = CodecError::Newer {
            kind: "pair",
            version: 2,
        };
        assert_eq!(read(&buffer), Err(newer));
        // A text that claims 2^60 bytes allocates nothing.
        let hostile = [1, 1, 1, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert_eq!(read(&hostile), Err(CodecError::Damaged("pair")), "hostile");
    }
}
